/** Operands of the typed layer: what an instruction gets, however it was written. */

import { type Register, register } from './registers.ts';
import type { AddressHint } from './value.ts';

/** Bytes; 0: not said. */
export type Size = 0 | 1 | 2 | 4 | 8 | 10 | 16;

/** A number that may depend on where sections will lie: number + start of `plus` − start of `minus`. */
export interface Quantity {
  readonly number: bigint;
  readonly plus: number | null;
  readonly minus: number | null;
  /** Not known yet (first pass). */
  readonly unknown: boolean;
}

export interface RegisterOperand {
  readonly kind: 'register';
  readonly register: Register;
}
export interface ImmediateOperand {
  readonly kind: 'immediate';
  readonly value: Quantity;
  readonly size: Size;
  /** The size is meant: no shorter form. */
  readonly strict: boolean;
  /** Of a jump's target. */
  readonly distance: 'short' | 'near' | null;
}
export interface MemoryOperand {
  readonly kind: 'memory';
  readonly base: Register | null;
  readonly index: Register | null;
  /** Factor of the index; 1 to 9 (3, 5, 9 use the index as base too). */
  readonly scale: number;
  readonly displacement: Quantity;
  readonly segment: Register | null;
  /** Of what is accessed. */
  readonly size: Size;
  /** Of the displacement. */
  readonly displacementSize: Size;
  /** [eax*2] stays an index. */
  readonly nosplit: boolean;
  readonly hint: AddressHint;
  readonly distance: 'near' | 'far' | null;
}
/** selector:offset */
export interface FarOperand {
  readonly kind: 'far';
  readonly selector: Quantity;
  readonly offset: Quantity;
  readonly size: Size;
}
export type Operand = RegisterOperand | ImmediateOperand | MemoryOperand | FarOperand;

export const PREFIXES = ['wait', 'rep', 'repe', 'repz', 'repne', 'repnz', 'lock', 'a16', 'a32', 'o16', 'o32'] as const;
export const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;
export type Prefix = (typeof PREFIXES)[number] | (typeof SEGMENTS)[number];

/** An instruction as the typed layer takes it. */
export interface AssemblyInstruction {
  /** Any case; aliases (JE, SAL, LOOPZ …) too. */
  readonly mnemonic: string;
  readonly operands: readonly Operand[];
  readonly prefixes: readonly Prefix[];
}

export const quantity = (number: bigint | number, plus: number | null = null): Quantity => ({
  number: BigInt(number),
  plus,
  minus: null,
  unknown: false,
});

/** A register operand, by name. */
export const reg = (name: string): RegisterOperand => ({ kind: 'register', register: register(name) });

/** An immediate operand. */
export const imm = (value: bigint | number, size: Size = 0, strict = false): ImmediateOperand => ({
  kind: 'immediate',
  value: quantity(value),
  size,
  strict,
  distance: null,
});

/** The target of a jump: an offset in the section that the instruction is in. */
export const target = (offset: bigint | number, distance: 'short' | 'near' | null = null): ImmediateOperand => ({
  kind: 'immediate',
  value: quantity(offset, 0),
  size: 0,
  strict: false,
  distance,
});

/** A memory operand; registers by name. */
export function mem(
  parts: Partial<
    Omit<MemoryOperand, 'kind' | 'base' | 'index' | 'segment' | 'displacement' | 'hint'> & {
      base: string;
      index: string;
      segment: string;
      displacement: bigint | number;
    }
  > = {},
): MemoryOperand {
  const { base, index, segment, displacement = 0, ...rest } = parts;
  return {
    kind: 'memory',
    base: base === undefined ? null : register(base),
    index: index === undefined ? null : register(index),
    scale: index === undefined ? 0 : 1,
    displacement: quantity(displacement),
    segment: segment === undefined ? null : register(segment),
    size: 0,
    displacementSize: 0,
    nosplit: false,
    hint: base === undefined ? { register: null, kind: 'none' } : { register: register(base), kind: 'base' },
    distance: null,
    ...rest,
  };
}

/** A far pointer operand. */
export const far = (selector: number, offset: number, size: Size = 0): FarOperand => ({
  kind: 'far',
  selector: quantity(selector),
  offset: quantity(offset),
  size,
});
