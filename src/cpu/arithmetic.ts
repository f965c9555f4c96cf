/** Arithmetic that the generated forms call. */

import { ECX, EIP } from '../base/registers.ts';
import type { Cpu } from './cpu.ts';
import { carry, setCarryOverflow } from './flags.ts';
import type { Instruction } from './instruction.ts';

/** High half of the 64-bit product of two unsigned 32-bit patterns. */
export function mulHighUnsigned(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const cross = a0 * b1 + (middle & 0xffff);
  return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(cross / 65536)) | 0;
}

/** High half of the 64-bit product of two int32. */
export function mulHighSigned(a: number, b: number): number {
  return (mulHighUnsigned(a, b) - (a < 0 ? b : 0) - (b < 0 ? a : 0)) | 0;
}

/** RCL by `count` (1 to 31) of a value of `bits` bits; sets CF and OF (SDM Vol. 2, "RCL/RCR/ROL/ROR"). */
export function rotateLeftThroughCarry(S: Int32Array, value: number, count: number, bits: number): number {
  const n = count % (bits + 1);
  const top = bits - 1;
  let v = value;
  let c = carry(S);
  for (let k = 0; k < n; k++) {
    const out = (v >>> top) & 1;
    v = (v << 1) | c;
    c = out;
  }
  const r = bits === 32 ? v : v & (2 ** bits - 1);
  setCarryOverflow(S, c, (r >>> top) ^ c);
  return r;
}

/** RCR, likewise. OF is the exclusive or of the result's two top bits. */
export function rotateRightThroughCarry(S: Int32Array, value: number, count: number, bits: number): number {
  const n = count % (bits + 1);
  const top = bits - 1;
  let v = bits === 32 ? value : value & (2 ** bits - 1);
  let c = carry(S);
  for (let k = 0; k < n; k++) {
    const out = v & 1;
    v = (v >>> 1) | (c << top);
    c = out;
  }
  setCarryOverflow(S, c, (v >>> top) ^ (v >>> (top - 1)));
  return v;
}

/** LOOP, LOOPE, LOOPNE: counts (E)CX down and tells whether the branch is taken. The target is checked first, so that
 *  #GP leaves the counter as it was. */
export function countDown(x: Cpu, i: Instruction, condition: boolean): boolean {
  const S = x.S;
  const next = i.addressSize === 4 ? (S[ECX] - 1) | 0 : (S[ECX] - 1) & 0xffff;
  const taken = next !== 0 && condition;
  if (taken) x.checkTarget(i.operandSize === 4 ? S[EIP] + i.immediate : (S[EIP] + i.immediate) & 0xffff);
  if (i.addressSize === 4) S[ECX] = next;
  else x.S16[ECX << 1] = next;
  return taken;
}
