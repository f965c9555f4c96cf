/** Resolution: the values of a statement's operands, in a pass. */

import { LineError } from './errors.ts';
import type { Operand, Quantity, Size } from './operands.ts';
import type { Register } from './registers.ts';
import type { OperandSyntax } from './statement.ts';
import { type AddressHint, evaluate, isNumber, isUnknown, type Surroundings, type Value } from './value.ts';

/** The number that a value is, with at most one section added and the current one subtracted; null if it is more. */
export function quantityOf(value: Value, section: number | null): Quantity | null {
  if (isUnknown(value)) return { number: 0n, plus: null, minus: null, unknown: true };
  let plus: number | null = null;
  let minus: number | null = null;
  if (value.registers.length > 0) return null;
  for (const { of, factor } of value.sections) {
    if (factor === 1n && plus === null) plus = of;
    else if (factor === -1n && minus === null && of === section) minus = of;
    else return null;
  }
  return { number: value.number, plus, minus, unknown: false };
}

/** The value of an expression that must be a plain number; null while it is unknown. */
export function numberOf(value: Value, column: number, what: string): bigint | null {
  if (isUnknown(value)) return null;
  if (!isNumber(value)) throw new LineError(column, `${what} must be a number, not an address`);
  return value.number;
}

function memoryOf(syntax: OperandSyntax & { kind: 'memory' }, around: Surroundings, section: number | null): Operand {
  const hint: AddressHint = { register: null, kind: 'none' };
  const value = evaluate(syntax.expression, around, hint);
  let base: Register | null = null;
  let index: Register | null = null;
  let scale = 0;
  for (const { of, factor } of value.registers) {
    if (of.class === 'segment') throw new LineError(syntax.column, 'a segment stands first, with a colon: [es:bx]');
    if (of.class !== 'r16' && of.class !== 'r32')
      throw new LineError(syntax.column, `${of.name} cannot address memory`);
    if (factor === 1n && base === null) base = of;
    else if (index === null) {
      index = of;
      scale = Number(factor);
    } else throw new LineError(syntax.column, 'an address has at most two registers, one of them scaled');
  }
  const rest = { ...value, registers: [] };
  const displacement = quantityOf(rest, section);
  if (displacement === null)
    throw new LineError(syntax.column, 'the address is not a sum of registers, one label and numbers');
  const { segment, size, displacementSize, nosplit, distance } = syntax;
  return { kind: 'memory', base, index, scale, displacement, segment, size, displacementSize, nosplit, hint, distance };
}

function quantityAt(value: Value, section: number | null, column: number): Quantity {
  const found = quantityOf(value, section);
  if (found === null) throw new LineError(column, 'the value is neither a number nor one label plus a number');
  return found;
}

/** An operand with its values. Throws LineError. */
export function resolveOperand(syntax: OperandSyntax, around: Surroundings, section: number | null): Operand {
  if (syntax.kind === 'memory') return memoryOf(syntax, around, section);
  if (syntax.kind === 'far')
    return {
      kind: 'far',
      selector: quantityAt(evaluate(syntax.selector, around), section, syntax.column),
      offset: quantityAt(evaluate(syntax.offset, around), section, syntax.column),
      size: syntax.size,
    };
  const value = evaluate(syntax.expression, around);
  if (syntax.distance === 'far') throw new LineError(syntax.column, 'a far jump names its segment: jmp 8:label');
  const register = value.registers[0];
  if (register !== undefined) {
    const alone = value.registers.length === 1 && register.factor === 1n && isNumber({ ...value, registers: [] });
    if (!alone || value.number !== 0n) throw new LineError(syntax.column, 'registers are added inside brackets only');
    return { kind: 'register', register: register.of };
  }
  const { size, strict, distance } = syntax;
  return { kind: 'immediate', value: quantityAt(value, section, syntax.column), size: size as Size, strict, distance };
}
