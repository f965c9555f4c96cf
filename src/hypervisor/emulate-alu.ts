/** Arithmetic of emulated instructions: pure functions of operands. Reference: SDM Vol. 2, the instructions' "Flags Affected". */

import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from '../base/registers.ts';

const OPERATIONS = ['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp', 'test', 'inc', 'dec', 'not', 'neg'] as const;
export type AluOperation = (typeof OPERATIONS)[number];

export const isAlu = (semantics: string): semantics is AluOperation => OPERATIONS.includes(semantics as AluOperation);

export interface Computed {
  readonly value: number;
  /** All arithmetic flags after the operation. */
  readonly flags: number;
  /** The destination is written. */
  readonly stores: boolean;
}

/** `a` is the destination, `b` the source; `eflags` before. */
export function compute(operation: AluOperation, a: number, b: number, size: number, eflags: number): Computed {
  const carry = eflags & FLAG_CF;
  switch (operation) {
    case 'add':
      return sum(a, b, 0, size);
    case 'adc':
      return sum(a, b, carry, size);
    case 'sub':
      return difference(a, b, 0, size);
    case 'sbb':
      return difference(a, b, carry, size);
    case 'cmp':
      return { ...difference(a, b, 0, size), stores: false };
    case 'neg':
      return difference(0, a, 0, size);
    case 'inc': {
      const r = sum(a, 1, 0, size);
      return { ...r, flags: (r.flags & ~FLAG_CF) | carry };
    }
    case 'dec': {
      const r = difference(a, 1, 0, size);
      return { ...r, flags: (r.flags & ~FLAG_CF) | carry };
    }
    case 'and':
      return logic(a & b, size);
    case 'test':
      return { ...logic(a & b, size), stores: false };
    case 'or':
      return logic(a | b, size);
    case 'xor':
      return logic(a ^ b, size);
    case 'not': {
      const arithmetic = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;
      return { value: ~a, flags: eflags & arithmetic, stores: true };
    }
  }
}

const unsigned = (n: number, size: number): number => (size === 4 ? n >>> 0 : n & ((1 << (size * 8)) - 1));
const signOf = (n: number, size: number): number => (n >>> (size * 8 - 1)) & 1;

function resultFlags(value: number, size: number): number {
  let parity = value & 0xff;
  parity ^= parity >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return (unsigned(value, size) === 0 ? FLAG_ZF : 0) | (signOf(value, size) ? FLAG_SF : 0) | (parity & 1 ? 0 : FLAG_PF);
}

const logic = (value: number, size: number): Computed => ({ value, flags: resultFlags(value, size), stores: true });

function sum(a: number, b: number, carry: number, size: number): Computed {
  const exact = unsigned(a, size) + unsigned(b, size) + carry;
  const value = exact | 0;
  const overflow = signOf((a ^ value) & (b ^ value), size);
  return {
    value,
    flags:
      resultFlags(value, size) |
      (exact > unsigned(-1, size) ? FLAG_CF : 0) |
      ((a ^ b ^ value) & FLAG_AF) |
      (overflow ? FLAG_OF : 0),
    stores: true,
  };
}

function difference(a: number, b: number, borrow: number, size: number): Computed {
  const exact = unsigned(a, size) - unsigned(b, size) - borrow;
  const value = exact | 0;
  const overflow = signOf((a ^ b) & (a ^ value), size);
  return {
    value,
    flags:
      resultFlags(value, size) | (exact < 0 ? FLAG_CF : 0) | ((a ^ b ^ value) & FLAG_AF) | (overflow ? FLAG_OF : 0),
    stores: true,
  };
}
