/** Expressions: values. A value is a sum: registers with factors, section starts with factors, and a 64-bit number.
 *  Where the sections will lie is only known at the end, so `label` is "start of .text + 12" and `label - $$` is 12. */

import { LineError } from './errors.ts';
import type { Expression } from './expression.ts';
import type { Register } from './registers.ts';

export interface Term<What> {
  readonly of: What;
  readonly factor: bigint;
}

export interface Value {
  /** By name. */
  readonly registers: readonly Term<Register>[];
  /** Factor of "something not yet known": a symbol that is defined further down. What is added to it is dropped. */
  readonly unknown: bigint;
  readonly number: bigint;
  /** A number stands in the sum, be it 0: adding another to it is a merger that the address hint counts. */
  readonly hasNumber: boolean;
  readonly sections: readonly Term<number>[];
}

/** What a symbol stands for; section null: a plain number. */
export interface SymbolValue {
  readonly section: number | null;
  readonly offset: bigint;
}

/** What an address expression suggests about its base register. */
export interface AddressHint {
  register: Register | null;
  /** base: mentioned first · notBase: multiplied · summed: two terms were merged, so order means nothing. */
  kind: 'none' | 'base' | 'notBase' | 'summed';
}

export interface Surroundings {
  lookup(name: string, column: number): SymbolValue | null;
  /** `$` and the section of `$$`. */
  here(): { readonly section: number | null; readonly offset: number };
  /** Symbols must be known. */
  readonly critical: boolean;
}

const NONE: readonly never[] = [];
const wrap = (n: bigint): bigint => BigInt.asIntN(64, n);
const unsigned = (n: bigint): bigint => BigInt.asUintN(64, n);

export const numberValue = (number: bigint): Value => ({
  registers: NONE,
  unknown: 0n,
  number,
  hasNumber: true,
  sections: NONE,
});
const UNKNOWN: Value = { registers: NONE, unknown: 1n, number: 0n, hasNumber: false, sections: NONE };

/** Nothing but a number. */
export const isNumber = (v: Value): boolean => v.registers.length === 0 && v.unknown === 0n && v.sections.length === 0;
/** Not known yet, and no register in it. */
export const isUnknown = (v: Value): boolean => v.registers.length === 0 && v.unknown !== 0n;

const byRegister = (a: Register, b: Register): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const byNumber = (a: number, b: number): number => a - b;

/** Merges two sorted sums. */
function addTerms<T>(
  p: readonly Term<T>[],
  q: readonly Term<T>[],
  order: (a: T, b: T) => number,
  hint: AddressHint | null,
): readonly Term<T>[] {
  if (q.length === 0) return p;
  if (p.length === 0) return q;
  const sum: Term<T>[] = [];
  let i = 0;
  let j = 0;
  while (i < p.length || j < q.length) {
    const a = p[i];
    const b = q[j];
    const side = a === undefined ? 1 : b === undefined ? -1 : order(a.of, b.of);
    if (side < 0) sum.push(p[i++] as Term<T>);
    else if (side > 0) sum.push(q[j++] as Term<T>);
    else {
      const factor = (a as Term<T>).factor + (b as Term<T>).factor;
      if (factor !== 0n) {
        sum.push({ of: (a as Term<T>).of, factor });
        if (hint !== null) hint.kind = 'summed';
      }
      i++;
      j++;
    }
  }
  return sum;
}

function add(p: Value, q: Value, hint: AddressHint | null): Value {
  const registers = addTerms(p.registers, q.registers, byRegister, hint);
  if (p.unknown !== 0n || q.unknown !== 0n)
    return { registers, unknown: p.unknown + q.unknown, number: 0n, hasNumber: false, sections: NONE };
  const number = wrap(p.number + q.number);
  const both = p.hasNumber && q.hasNumber;
  if (hint !== null && both && number !== 0n) hint.kind = 'summed';
  const hasNumber = both ? number !== 0n : p.hasNumber || q.hasNumber;
  const sections = addTerms(p.sections, q.sections, byNumber, hint);
  return { registers, unknown: 0n, number, hasNumber, sections };
}

const scaleTerms = <T>(terms: readonly Term<T>[], factor: bigint): readonly Term<T>[] =>
  factor === 0n || terms.length === 0 ? NONE : terms.map((t) => ({ of: t.of, factor: wrap(t.factor * factor) }));

function scale(v: Value, factor: bigint, hint: AddressHint | null): Value {
  if (hint !== null && hint.kind === 'base' && v.registers.some((t) => t.of === hint.register)) hint.kind = 'notBase';
  return {
    registers: scaleTerms(v.registers, factor),
    unknown: v.unknown * factor,
    number: wrap(v.number * factor),
    hasNumber: v.hasNumber,
    sections: scaleTerms(v.sections, factor),
  };
}

const negate = (v: Value): Value => scale(v, -1n, null);
const truth = (b: boolean): bigint => (b ? 1n : 0n);

/** Shifts as the host of the reference assembler does them: the count is taken modulo 64. */
const count = (n: bigint): bigint => n & 63n;

const NUMERIC: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  '||': (a, b) => truth(a !== 0n || b !== 0n),
  '^^': (a, b) => truth((a !== 0n) !== (b !== 0n)),
  '&&': (a, b) => truth(a !== 0n && b !== 0n),
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '&': (a, b) => a & b,
  '<<': (a, b) => a << count(b),
  '<<<': (a, b) => a << count(b),
  '>>': (a, b) => unsigned(a) >> count(b),
  '>>>': (a, b) => a >> count(b),
  '/': (a, b) => unsigned(a) / unsigned(b),
  '%': (a, b) => unsigned(a) % unsigned(b),
  '//': (a, b) => a / b,
  '%%': (a, b) => a % b,
};

const COMPARED: Readonly<Record<string, (difference: bigint) => bigint>> = {
  '<': (d) => truth(d < 0n),
  '<=': (d) => truth(d <= 0n),
  '>': (d) => truth(d > 0n),
  '>=': (d) => truth(d >= 0n),
};

function compare(operator: string, p: Value, q: Value, column: number): Value {
  const difference = add(p, negate(q), null);
  if (difference.unknown !== 0n) return UNKNOWN;
  const equal = isNumber(difference) && difference.number === 0n;
  if (operator === '=' || operator === '==') return numberValue(truth(equal));
  if (operator === '!=' || operator === '<>') return numberValue(truth(!equal));
  if (!isNumber(difference)) throw new LineError(column, `\`${operator}\`: the two sides differ by more than a number`);
  return numberValue((COMPARED[operator] as (d: bigint) => bigint)(difference.number));
}

function multiply(p: Value, q: Value, column: number, hint: AddressHint | null): Value {
  if (isNumber(p)) return scale(q, p.number, hint);
  if (isNumber(q)) return scale(p, q.number, hint);
  if (isUnknown(p) && isUnknown(q)) return UNKNOWN;
  throw new LineError(column, '`*`: one side must be a number known here');
}

function applyBinary(operator: string, p: Value, q: Value, column: number, hint: AddressHint | null): Value {
  if (operator === '+') return add(p, q, hint);
  if (operator === '-') return add(p, negate(q), hint);
  if (operator === '*') return multiply(p, q, column, hint);
  const numeric = NUMERIC[operator];
  if (numeric === undefined) return compare(operator, p, q, column);
  if (!(isNumber(p) || isUnknown(p)) || !(isNumber(q) || isUnknown(q)))
    throw new LineError(
      column,
      `\`${operator}\` works on numbers only; the value of a label is known when everything is placed (label - $$ is a number)`,
    );
  if (isUnknown(p) || isUnknown(q)) return UNKNOWN;
  if (q.number === 0n && /[/%]/.test(operator)) throw new LineError(column, 'division by zero');
  return numberValue(wrap(numeric(p.number, q.number)));
}

/** The value of an expression. Throws LineError. */
export function evaluate(e: Expression, around: Surroundings, hint: AddressHint | null = null): Value {
  switch (e.kind) {
    case 'number':
      return numberValue(e.value);
    case 'register':
      if (hint !== null && hint.kind === 'none') {
        hint.register = e.register;
        hint.kind = 'base';
      }
      return { registers: [{ of: e.register, factor: 1n }], unknown: 0n, number: 0n, hasNumber: false, sections: NONE };
    case 'symbol': {
      const found = around.lookup(e.name, e.column);
      if (found !== null) return symbolValue(found);
      if (around.critical) throw new LineError(e.column, `\`${e.name}\` is not defined here`);
      return UNKNOWN;
    }
    case 'here':
    case 'base': {
      const { section, offset } = around.here();
      return symbolValue({ section, offset: e.kind === 'here' ? BigInt(offset) : 0n });
    }
    case 'unary':
      return applyUnary(e.operator, evaluate(e.of, around, hint), e.column);
    case 'binary': {
      const left = evaluate(e.left, around, hint);
      return applyBinary(e.operator, left, evaluate(e.right, around, hint), e.column, hint);
    }
    case 'choice': {
      const condition = evaluate(e.condition, around, hint);
      const yes = evaluate(e.yes, around, hint);
      const no = evaluate(e.no, around, hint);
      if (isUnknown(condition)) return UNKNOWN;
      if (!isNumber(condition)) throw new LineError(e.column, 'the condition of `?` must be a number');
      return condition.number !== 0n ? yes : no;
    }
  }
}

function symbolValue(symbol: SymbolValue): Value {
  if (symbol.section === null) return numberValue(symbol.offset);
  return { ...numberValue(symbol.offset), sections: [{ of: symbol.section, factor: 1n }] };
}

function applyUnary(operator: string, v: Value, column: number): Value {
  if (operator === '-') return negate(v);
  if (isUnknown(v)) return UNKNOWN;
  if (!isNumber(v)) throw new LineError(column, `\`${operator}\` works on numbers only`);
  return numberValue(operator === '~' ? ~v.number : truth(v.number === 0n));
}
