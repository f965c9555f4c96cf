import { DS, ZERO } from '../base/registers.ts';
import { ILLEGAL } from './opcodes/index.ts';
import type { Row } from './rows.ts';

/** One decoded instruction. Plain data: decoding has no side effect and reads nothing but the bytes. */
export interface Instruction {
  row: Row;
  /** Bytes, prefixes included. */
  length: number;
  /** Bytes of a "v" operand: 2 or 4. */
  operandSize: 2 | 4;
  addressSize: 2 | 4;
  /** Effective segment register of the memory operand (default or override); without one DS or the override (strings, XLAT). */
  segment: number;
  /** Whether a prefix named the segment. */
  segmentOverride: boolean;
  lock: boolean;
  /** The last of F2/F3, unless it is part of the opcode. */
  rep: 0 | 0xf2 | 0xf3;
  /** The last opcode byte. */
  opcode: number;
  modrm: number;
  mod: number;
  reg: number;
  rm: number;
  /** The E or M operand is in memory, or there is an O operand (its address stands in `displacement` too). */
  memory: boolean;
  /** Register-file indices of the effective address, ZERO where absent. */
  base: number;
  index: number;
  /** Shift count for the index, 0 to 3. */
  scale: number;
  /** int32. */
  displacement: number;
  /** First immediate, as a register of its size would read: 0 to FFh, 0 to FFFFh, or an int32; sIb after extension to the
   *  operand size. Branch displacements are sign-extended. Offset of a far pointer; address of an O operand. */
  immediate: number;
  /** ENTER's level; selector of a far pointer. */
  immediate2: number;
}

/** Whether this instruction can raise an exception: the register form of most operations cannot. */
export const canFault = (i: Instruction): boolean => (i.memory ? i.row.mayFault : i.row.registerFormMayFault);

/** One that no bytes have been read into yet. */
export const blankInstruction = (): Instruction => ({
  row: ILLEGAL,
  length: 0,
  operandSize: 4,
  addressSize: 4,
  segment: DS,
  segmentOverride: false,
  lock: false,
  rep: 0,
  opcode: 0,
  modrm: 0,
  mod: 0,
  reg: 0,
  rm: 0,
  memory: false,
  base: ZERO,
  index: ZERO,
  scale: 0,
  displacement: 0,
  immediate: 0,
  immediate2: 0,
});
