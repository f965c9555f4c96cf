/** Slots: what the operands of a form accept, and how operand codes of the rows become slots. */

import type { OperandCode } from '../cpu/rows.ts';
import type { Size } from './operands.ts';
import type { RegisterClass } from './registers.ts';

/** What one operand of a form accepts. */
export interface Slot {
  /** How it is encoded: the letter of its operand code; '-' for a fixed register, which is not encoded. */
  readonly role: 'E' | 'G' | 'Z' | 'I' | 'J' | 'A' | 'O' | 'T' | '-';
  /** Registers that fit. */
  readonly registers: readonly RegisterClass[];
  /** The one register that fits, by name. */
  readonly only?: string;
  /** Memory fits. */
  readonly memory: boolean;
  /** Bytes that an operand which is no register must be declared to have; 0: need not be declared. */
  readonly size: Size;
  /** Where `size` is 0: the size that may be declared nevertheless; −1: any. */
  readonly same: Size | -1;
  /** The size of an operand without declared size; `bits`: that of the code. */
  readonly implied?: Size | 'bits';
  /** Immediates: sbyte: fits a sign-extended byte · one: is 1. */
  readonly value?: 'sbyte' | 'one';
  /** Jumps: must be said · memory: far must be said. */
  readonly distance?: 'short' | 'near' | 'far';
  /** Bytes of the immediate, the offset, the displacement; 0: as the code or the declared size says. */
  readonly bytes: number;
}

export type Width = 2 | 4;
const GENERAL: Readonly<Record<number, RegisterClass>> = { 1: 'r8', 2: 'r16', 4: 'r32' };
export const general = (size: number): RegisterClass => GENERAL[size] as RegisterClass;
const ACCUMULATOR: Readonly<Record<number, string>> = { 1: 'al', 2: 'ax', 4: 'eax' };

export const slot = (role: Slot['role'], more: Partial<Slot>): Slot => ({
  role,
  registers: [],
  memory: false,
  size: 0,
  same: 0,
  bytes: 0,
  ...more,
});

export const registerSlot = (role: Slot['role'], size: Size): Slot =>
  slot(role, { registers: [general(size)], same: size });
export const fixed = (name: string, group: RegisterClass): Slot => slot('-', { registers: [group], only: name });

/** Register or memory whose size another operand tells. */
export const sharedRm = (size: Size): Slot => slot('E', { registers: [general(size)], memory: true, same: size });
/** Register or memory whose size must be declared. */
export const sizedRm = (size: Size): Slot => slot('E', { registers: [general(size)], memory: true, size });
export const memoryOnly = (same: Slot['same'] = 0, more: Partial<Slot> = {}): Slot =>
  slot('E', { memory: true, same, ...more });
export const immediate = (bytes: number, more: Partial<Slot>): Slot => slot('I', { bytes, ...more });

export const widthOf = (code: string, width: Width): Size =>
  code.endsWith('b') ? 1 : code.endsWith('w') ? 2 : code.endsWith('d') ? 4 : width;

/** Slots of operand codes that mean the same in every row; null: the row's shape decides. */
export function plainSlot(code: OperandCode, width: Width): Slot | null {
  switch (code) {
    case 'Gb': case 'Gw': case 'Gd': case 'Gv': return registerSlot('G', widthOf(code, width));
    case 'Zb': case 'Zv': return registerSlot('Z', widthOf(code, width));
    case 'Rd': return registerSlot('E', 4);
    case 'Cd': return slot('G', { registers: ['control'] });
    case 'Dd': return slot('G', { registers: ['debug'] });
    case 'Sw': return slot('G', { registers: ['segment'] });
    case 'AL': case 'CL': return fixed(code.toLowerCase(), 'r8');
    case 'AX': case 'DX': return fixed(code.toLowerCase(), 'r16');
    case 'rAX': case 'eAX': return fixed(ACCUMULATOR[width] as string, general(width));
    case 'ES': case 'CS': case 'SS': case 'DS': case 'FS': case 'GS': return fixed(code.toLowerCase(), 'segment');
    case 'Ob': case 'Ov': return slot('O', { memory: true, same: widthOf(code, width) });
    case '1': return slot('-', { value: 'one' });
    case 'M': case 'Ma': case 'Ms': return memoryOnly();
    case 'Mdq': return memoryOnly(16);
    default: return null;
  }
} // biome-ignore format: a table
