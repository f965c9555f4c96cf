/** Instruction decoder: bytes to a plain record. Reference: SDM Vol. 2, chapter 2, "Instruction Format". */

import { CS, DS, ES, FS, GS, SS_, ZERO } from '../base/registers.ts';
import {
  BYTE,
  type Cell,
  FAR_POINTER,
  type Form,
  FULL,
  ILLEGAL_FORM,
  NEAR_BRANCH,
  NO_IMMEDIATE,
  OFFSET,
  ONE_BYTE_CELLS,
  SHORT_BRANCH,
  SIGNED_BYTE,
  THREE_BYTE_CELLS,
  TWO_BYTE_CELLS,
  WORD,
  WORD_AND_BYTE,
} from './decode-tables.ts';
import { blankInstruction, type Instruction } from './instruction.ts';
import { BASE_16, DIRECT_16, DIRECT_32, INDEX_16, NO_INDEX, SEGMENT_16, SEGMENT_32, SIB } from './modrm.ts';
import { ILLEGAL } from './opcodes/index.ts';

/** Longer ones raise #GP(0), whatever they would mean. */
export const MAXIMUM_LENGTH = 15;

/** What the prefix bytes say; of each kind the last one counts. */
const LOCK = 0xf0;
const OPERAND_SIZE = 0x66;
const ADDRESS_SIZE = 0x67;

/** Segment register named by a prefix byte, −1 for other bytes, −2 for the other prefixes. */
const PREFIX = new Int8Array(256).fill(-1);
for (const [byte, segment] of [
  [0x26, ES],
  [0x2e, CS],
  [0x36, SS_],
  [0x3e, DS],
  [0x64, FS],
  [0x65, GS],
  [OPERAND_SIZE, -2],
  [ADDRESS_SIZE, -2],
  [LOCK, -2],
  [0xf2, -2],
  [0xf3, -2],
] as const)
  PREFIX[byte] = segment;

/** What `decodeInto` returns in place of a length: it goes on beyond `end`; it has more than 15 bytes. */
export const TRUNCATED = 0;
export const TOO_LONG = -1;

/** Decodes the instruction that starts at `bytes[start]`; nothing from `end` on is read.
 *  'truncated': it goes on beyond `end`. 'tooLong': it has more than 15 bytes. What the manual calls an undefined opcode
 *  has a row with semantics 'undefined'. */
export function decode(
  bytes: Uint8Array,
  start: number,
  end: number,
  codeSize: 2 | 4,
): Instruction | 'truncated' | 'tooLong' {
  const i = blankInstruction();
  const length = decodeInto(i, bytes, start, end, codeSize);
  return length > 0 ? i : length === TRUNCATED ? 'truncated' : 'tooLong';
}

/** The same into an object that is there already: returns its length, TRUNCATED or TOO_LONG. */
export function decodeInto(i: Instruction, bytes: Uint8Array, start: number, end: number, codeSize: 2 | 4): number {
  const long = end - start >= MAXIMUM_LENGTH;
  const stop = long ? start + MAXIMUM_LENGTH : end;
  const short = long ? TOO_LONG : TRUNCATED;
  let at = start;

  i.operandSize = codeSize;
  i.addressSize = codeSize;
  i.segment = DS;
  i.segmentOverride = false;
  i.lock = false;
  i.rep = 0;
  i.memory = false;
  i.base = ZERO;
  i.index = ZERO;
  i.scale = 0;
  i.displacement = 0;
  i.immediate = 0;
  i.immediate2 = 0;

  if (at >= stop) return short;
  let opcode = bytes[at++] as number;
  while (PREFIX[opcode] !== -1) {
    const segment = PREFIX[opcode] as number;
    if (segment >= 0) {
      i.segment = segment;
      i.segmentOverride = true;
    } else if (opcode === OPERAND_SIZE) i.operandSize = codeSize === 4 ? 2 : 4;
    else if (opcode === ADDRESS_SIZE) i.addressSize = codeSize === 4 ? 2 : 4;
    else if (opcode === LOCK) i.lock = true;
    else i.rep = opcode as 0xf2 | 0xf3;
    if (at >= stop) return short;
    opcode = bytes[at++] as number;
  }

  let cell: Cell;
  if (opcode !== 0x0f) cell = ONE_BYTE_CELLS[opcode] as Cell;
  else {
    if (at >= stop) return short;
    opcode = bytes[at++] as number;
    if (opcode !== 0x38) cell = TWO_BYTE_CELLS[opcode] as Cell;
    else {
      if (at >= stop) return short;
      opcode = bytes[at++] as number;
      cell = THREE_BYTE_CELLS[opcode] as Cell;
    }
  }
  i.opcode = opcode;

  let form = cell.any;
  let modrm = 0;
  if (cell.modrm) {
    if (at >= stop) return short;
    modrm = bytes[at++] as number;
    if (cell.byModrm !== null) form = cell.byModrm[modrm] as Form | null;
  }
  i.modrm = modrm;
  i.mod = modrm >> 6;
  i.reg = (modrm >> 3) & 7;
  i.rm = modrm & 7;
  while (form !== null && !form.anyPrefix && !prefixesSuit(form, i.rep, i.operandSize !== codeSize)) form = form.next;
  if (form === null || ((form.regs >> i.reg) & 1) === 0) {
    i.row = ILLEGAL;
    i.length = at - start;
    return i.length;
  }
  if (form.row.prefix === i.rep) i.rep = 0;

  if (cell.modrm && modrm < 0xc0 && !form.alwaysRegister) {
    at = i.addressSize === 4 ? memory32(i, bytes, at, stop) : memory16(i, bytes, at, stop);
    if (at > stop) return short;
  }
  if (form.immediate !== NO_IMMEDIATE) {
    at = immediates(i, form.immediate, bytes, at, stop);
    if (at > stop) return short;
  }
  i.row = i.lock && !(form.row.lockable && i.memory) ? ILLEGAL_FORM.row : form.row;
  i.length = at - start;
  return i.length;
}

/** F2 and F3 go before 66 (SDM Vol. 2, "Instruction Prefixes"). */
function prefixesSuit(form: Form, rep: number, operandPrefix: boolean): boolean {
  const { prefix, strictPrefix } = form.row;
  if (!strictPrefix) return prefix === 0 || prefix === rep;
  return prefix === (rep !== 0 ? rep : operandPrefix ? OPERAND_SIZE : 0);
}

const byte = (bytes: Uint8Array, at: number): number => bytes[at] as number;
const signedByte = (bytes: Uint8Array, at: number): number => (byte(bytes, at) << 24) >> 24;
const word = (bytes: Uint8Array, at: number): number => byte(bytes, at) | (byte(bytes, at + 1) << 8);
const signedWord = (bytes: Uint8Array, at: number): number => (word(bytes, at) << 16) >> 16;
const doubleword = (bytes: Uint8Array, at: number): number => word(bytes, at) | (word(bytes, at + 2) << 16);

// The functions below return where the next byte stands; a value beyond `stop` means that bytes are missing.

/** Table 2-1, "16-Bit Addressing Forms with the ModR/M Byte". */
function memory16(i: Instruction, bytes: Uint8Array, at: number, stop: number): number {
  i.memory = true;
  const direct = i.mod === 0 && i.rm === DIRECT_16;
  if (!direct) {
    i.base = BASE_16[i.rm] as number;
    i.index = INDEX_16[i.rm] as number;
    if (!i.segmentOverride) i.segment = SEGMENT_16[i.rm] as number;
  }
  return displacement(i, direct || i.mod === 2 ? 2 : i.mod, bytes, at, stop);
}

/** Tables 2-2 and 2-3, "32-Bit Addressing Forms". */
function memory32(i: Instruction, bytes: Uint8Array, start: number, stop: number): number {
  let at = start;
  let base = i.rm;
  i.memory = true;
  if (base === SIB) {
    if (at >= stop) return stop + 1;
    const sib = byte(bytes, at++);
    base = sib & 7;
    const index = (sib >> 3) & 7;
    if (index !== NO_INDEX) {
      i.index = index;
      i.scale = sib >> 6;
    }
  }
  const direct = i.mod === 0 && base === DIRECT_32;
  if (!direct) {
    i.base = base;
    if (!i.segmentOverride) i.segment = SEGMENT_32[base] as number;
  }
  return displacement(i, direct || i.mod === 2 ? 4 : i.mod, bytes, at, stop);
}

function displacement(i: Instruction, size: number, bytes: Uint8Array, at: number, stop: number): number {
  if (at + size > stop) return stop + 1;
  if (size === 1) i.displacement = signedByte(bytes, at);
  else if (size === 2) i.displacement = signedWord(bytes, at);
  else if (size === 4) i.displacement = doubleword(bytes, at);
  return at + size;
}

function immediates(i: Instruction, kind: number, bytes: Uint8Array, at: number, stop: number): number {
  const end = at + immediateBytes(kind, i.operandSize, i.addressSize);
  if (end > stop) return stop + 1;
  const wide = i.operandSize === 4;
  switch (kind) {
    case BYTE:
      i.immediate = byte(bytes, at);
      break;
    case SIGNED_BYTE:
      i.immediate = wide ? signedByte(bytes, at) : signedByte(bytes, at) & 0xffff;
      break;
    case WORD:
      i.immediate = word(bytes, at);
      break;
    case FULL:
      i.immediate = wide ? doubleword(bytes, at) : word(bytes, at);
      break;
    case WORD_AND_BYTE:
      i.immediate = word(bytes, at);
      i.immediate2 = byte(bytes, at + 2);
      break;
    case FAR_POINTER:
      i.immediate = wide ? doubleword(bytes, at) : word(bytes, at);
      i.immediate2 = word(bytes, end - 2);
      break;
    case OFFSET:
      i.immediate = i.addressSize === 4 ? doubleword(bytes, at) : word(bytes, at);
      i.displacement = i.immediate;
      i.memory = true;
      break;
    case SHORT_BRANCH:
      i.immediate = signedByte(bytes, at);
      break;
    case NEAR_BRANCH:
      i.immediate = wide ? doubleword(bytes, at) : signedWord(bytes, at);
      break;
  }
  return end;
}

function immediateBytes(kind: number, operandSize: number, addressSize: number): number {
  switch (kind) {
    case BYTE:
    case SIGNED_BYTE:
    case SHORT_BRANCH:
      return 1;
    case WORD:
      return 2;
    case WORD_AND_BYTE:
      return 3;
    case FAR_POINTER:
      return operandSize + 2;
    case OFFSET:
      return addressSize;
    default:
      return operandSize;
  }
}
