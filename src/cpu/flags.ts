/** Lazy arithmetic flags (SDM Vol. 1, "EFLAGS Register", status flags).
 *
 *  An instruction that sets flags only notes what it did: FLAG_KIND, an operand A and the result R. Whoever needs a flag
 *  computes it. INC and DEC leave CF alone, so they are a modifier beside the kind with a result of their own: CF still follows
 *  from kind, A and R; the other five from FLAG_STEP. */

import {
  ARITHMETIC_FLAGS,
  EFLAGS,
  FLAG_A,
  FLAG_AF,
  FLAG_CF,
  FLAG_KIND,
  FLAG_OF,
  FLAG_PF,
  FLAG_R,
  FLAG_SF,
  FLAG_STEP,
  FLAG_ZF,
} from '../base/registers.ts';

/** Kinds: family + width (0 byte, 1 word, 2 doubleword). 0 means: the flags stand in EFLAGS. */
export const KIND_ADD = 4; // A + B = R
export const KIND_ADC = 8; // A + B + 1 = R
export const KIND_SUB = 12; // A − B = R
export const KIND_SBB = 16; // A − B − 1 = R
export const KIND_LOGIC = 20; // CF = OF = AF = 0
export const KIND_SHL = 24; // A: operand shifted by count − 1; CF is its top bit
export const KIND_SHR = 28; // A: operand shifted by count − 1; CF is its low bit, OF its top bit
export const KIND_SAR = 32; // as SHR, OF = 0
export const KIND_MUL = 36; // A = 1 if the product did not fit: CF = OF = A
export const KIND_SHRD = 40; // A: operand shifted by count − 1; CF is its low bit, OF says whether the sign changed
/** Modifiers, added to the kind: STEP_INC | width << 8. */
export const STEP_INC = 0x400;
export const STEP_DEC = 0x800;
export const KIND_MASK = 0xff;

/** Top-aligns a value of width w, so that sign and carry sit where a 32-bit value has them. */
const SHIFT = [24, 16, 0] as const;
const shiftOf = (w: number): number => SHIFT[w as 0 | 1 | 2];

/** CF as 0 or 1. */
export function carry(S: Int32Array): number {
  const kind = S[FLAG_KIND] & KIND_MASK;
  if (kind === 0) return S[EFLAGS] & FLAG_CF;
  const shift = shiftOf(kind & 3);
  const a = (S[FLAG_A] << shift) >>> 0;
  const r = (S[FLAG_R] << shift) >>> 0;
  switch (kind & ~3) {
    case KIND_ADD:
      return r < a ? 1 : 0;
    case KIND_ADC:
      return r <= a ? 1 : 0;
    case KIND_SUB:
      return a < (a - r) >>> 0 ? 1 : 0;
    case KIND_SBB:
      // B = A − R − 1 in the operand's own width; a borrow out is A ≤ B
      return a <= (a - r - 2 ** shift) >>> 0 ? 1 : 0;
    case KIND_SHL:
      return a >>> 31;
    case KIND_SHR:
    case KIND_SAR:
    case KIND_SHRD:
      return (a >>> shift) & 1;
    case KIND_MUL:
      return S[FLAG_A];
    default:
      return 0;
  }
}

/** The result that ZF, SF and PF describe, top-aligned. Only meaningful while FLAG_KIND is not 0. */
function result(S: Int32Array): number {
  const kind = S[FLAG_KIND];
  return kind > KIND_MASK ? S[FLAG_STEP] << shiftOf((kind >> 8) & 3) : S[FLAG_R] << shiftOf(kind & 3);
}

function overflow(S: Int32Array): number {
  const kind = S[FLAG_KIND];
  if (kind > KIND_MASK) return result(S) === (kind & STEP_INC ? 0x8000_0000 | 0 : stepTop(kind)) ? 1 : 0;
  const shift = shiftOf(kind & 3);
  const a = S[FLAG_A] << shift;
  const r = S[FLAG_R] << shift;
  switch (kind & ~3) {
    case KIND_ADD:
      return ((a ^ r) & ((r - a) ^ r)) >>> 31;
    case KIND_ADC:
      return ((a ^ r) & ((r - a - 2 ** shift) ^ r)) >>> 31;
    case KIND_SUB:
      return ((a ^ (a - r)) & (a ^ r)) >>> 31;
    case KIND_SBB:
      return ((a ^ (a - r - 2 ** shift)) & (a ^ r)) >>> 31;
    case KIND_SHL:
    case KIND_SHRD:
      return (a ^ r) >>> 31;
    case KIND_SHR:
      return a >>> 31;
    case KIND_MUL:
      return S[FLAG_A];
    default:
      return 0;
  }
}

/** The largest positive value of a step's width, top-aligned: where DEC overflows to. */
const stepTop = (kind: number): number => (0x7fff_ffff >> shiftOf((kind >> 8) & 3)) << shiftOf((kind >> 8) & 3);

/** PF for a byte: set when the number of ones is even. */
const evenParity = (byte: number): number => ((0x6996 >> ((byte ^ (byte >> 4)) & 15)) & 1) ^ 1;

/** The low byte of the result, for PF. */
const lowByte = (S: Int32Array): number => (S[FLAG_KIND] > KIND_MASK ? S[FLAG_STEP] : S[FLAG_R]) & 0xff;

/** PF for each low byte of a result. */
const PARITY = Uint8Array.from({ length: 256 }, (_, byte) => (evenParity(byte) !== 0 ? FLAG_PF : 0));

/** All of EFLAGS, without changing how the flags are held. */
export function readFlags(S: Int32Array): number {
  const kind = S[FLAG_KIND];
  if (kind === 0) return S[EFLAGS];
  if (kind > KIND_MASK) return stepFlags(S, kind);
  const shift = shiftOf(kind & 3);
  const a = S[FLAG_A] << shift;
  const r = S[FLAG_R] << shift;
  const flags = (S[EFLAGS] & ~ARITHMETIC_FLAGS) | (PARITY[S[FLAG_R] & 0xff] as number) | (r === 0 ? FLAG_ZF : 0);
  const signed = flags | ((r >>> 24) & FLAG_SF);
  if ((kind & ~3) === KIND_LOGIC) return signed;
  return signed | (carry(S) !== 0 ? FLAG_CF : 0) | ownOverflowAdjust(kind, shift, a, r);
}

/** OF and AF of the arithmetic families, A and R top-aligned. */
function ownOverflowAdjust(kind: number, shift: number, a: number, r: number): number {
  const one = 2 ** shift;
  let b: number;
  switch (kind & ~3) {
    case KIND_ADD:
      b = r - a;
      break;
    case KIND_ADC:
      b = r - a - one;
      break;
    case KIND_SUB:
      b = a - r;
      return (((a ^ b) & (a ^ r)) < 0 ? FLAG_OF : 0) | (((a ^ r ^ b) >> shift) & FLAG_AF);
    case KIND_SBB:
      b = a - r - one;
      return (((a ^ b) & (a ^ r)) < 0 ? FLAG_OF : 0) | (((a ^ r ^ b) >> shift) & FLAG_AF);
    case KIND_SHL:
    case KIND_SHRD:
      return (a ^ r) < 0 ? FLAG_OF : 0;
    case KIND_SHR:
      return a < 0 ? FLAG_OF : 0;
    case KIND_MUL:
      return a !== 0 ? FLAG_OF : 0;
    default:
      return 0;
  }
  return (((a ^ r) & (b ^ r)) < 0 ? FLAG_OF : 0) | (((a ^ r ^ b) >> shift) & FLAG_AF);
}

/** EFLAGS after INC or DEC. */
function stepFlags(S: Int32Array, kind: number): number {
  const r = result(S);
  return (
    (S[EFLAGS] & ~ARITHMETIC_FLAGS) |
    (carry(S) !== 0 ? FLAG_CF : 0) |
    (PARITY[S[FLAG_STEP] & 0xff] as number) |
    ((S[FLAG_STEP] & 15) === ((kind & STEP_INC) !== 0 ? 0 : 15) ? FLAG_AF : 0) |
    (r === 0 ? FLAG_ZF : 0) |
    ((r >>> 24) & FLAG_SF) |
    (overflow(S) !== 0 ? FLAG_OF : 0)
  );
}

/** Writes the arithmetic flags into EFLAGS and clears the lazy kind. Returns EFLAGS. */
export function settleFlags(S: Int32Array): number {
  if (S[FLAG_KIND] === 0) return S[EFLAGS];
  const flags = readFlags(S);
  S[FLAG_KIND] = 0;
  S[EFLAGS] = flags;
  return flags;
}

/** Sets CF and OF and leaves the other flags (rotates). */
export function setCarryOverflow(S: Int32Array, cf: number, of: number): void {
  S[EFLAGS] = (settleFlags(S) & ~(FLAG_CF | FLAG_OF)) | (cf & 1) | (of & 1 ? FLAG_OF : 0);
}

/** Whether condition `cc` (the low four bits of Jcc, SETcc, CMOVcc opcodes) holds. */
export function condition(S: Int32Array, cc: number): boolean {
  const held = S[FLAG_KIND] === 0;
  const flags = S[EFLAGS];
  let value: boolean;
  switch (cc >> 1) {
    case 0:
      value = (held ? flags & FLAG_OF : overflow(S)) !== 0;
      break;
    case 1:
      value = carry(S) !== 0;
      break;
    case 2:
      value = held ? (flags & FLAG_ZF) !== 0 : result(S) === 0;
      break;
    case 3:
      value = held ? (flags & (FLAG_CF | FLAG_ZF)) !== 0 : result(S) === 0 || carry(S) !== 0;
      break;
    case 4:
      value = held ? (flags & FLAG_SF) !== 0 : result(S) < 0;
      break;
    case 5:
      value = held ? (flags & FLAG_PF) !== 0 : evenParity(lowByte(S)) !== 0;
      break;
    case 6:
      value = less(S, held, flags);
      break;
    default:
      value = (held ? (flags & FLAG_ZF) !== 0 : result(S) === 0) || less(S, held, flags);
  }
  return (cc & 1) === 0 ? value : !value;
}

const less = (S: Int32Array, held: boolean, flags: number): boolean =>
  held ? ((flags >> 7) & 1) !== ((flags >> 11) & 1) : result(S) < 0 !== (overflow(S) !== 0);
