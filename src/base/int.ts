/** 32-bit and 64-bit integer helpers. Everywhere else `>>> 0` and `| 0` should be the exception. */

/** The 32-bit pattern of `n` as a number from 0 to 2^32 − 1. */
export const u32 = (n: number): number => n >>> 0;
/** Low byte, low word. */
export const u8 = (n: number): number => n & 0xff;
export const u16 = (n: number): number => n & 0xffff;
/** Sign-extended low byte, low word. */
export const s8 = (n: number): number => (n << 24) >> 24;
export const s16 = (n: number): number => (n << 16) >> 16;

/** A 64-bit value as two 32-bit halves; both may be given as signed or unsigned patterns. */
export interface U64 {
  readonly lo: number;
  readonly hi: number;
}

/** The number that two halves make. Exact below 2^53 only: use it for addresses, not for arbitrary values. */
export const join64 = (lo: number, hi: number): number => (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0);
/** Halves of a non-negative integer below 2^53. */
export const low32 = (n: number): number => n >>> 0;
export const high32 = (n: number): number => Math.floor(n / 0x1_0000_0000) >>> 0;

/** `n` in hexadecimal, at least `digits` wide, as the manuals print it: 0012_3000h. */
export function hex(n: number, digits = 8): string {
  const text = (n < 0 ? n >>> 0 : n).toString(16).toUpperCase().padStart(digits, '0');
  return `${text.length > 4 ? text.replace(/(?<=.)(?=(.{4})+$)/g, '_') : text}h`;
}
