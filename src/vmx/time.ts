/** Time as a guest sees it (SDM Vol. 3, "Time-Stamp Counter Offset and Multiplier"), and the loop of PAUSE that takes too much of it
 *  ("PAUSE-Loop Exiting"). */
import type { U64 } from '../base/int.ts';
import { CPL } from '../base/registers.ts';
import type { VmxContext } from './context.ts';
import { PRIMARY, SECONDARY } from './controls.ts';
import * as W from './words.ts';

/** The guest's time-stamp counter for a value of the processor's. */
export function guestTsc(x: VmxContext, tsc: U64): U64 {
  if (!x.primary(PRIMARY.USE_TSC_OFFSETTING)) return tsc;
  const w = x.words;
  const own = x.secondary(SECONDARY.USE_TSC_SCALING)
    ? scale(tsc, w[W.W_TSC_MULTIPLIER], w[W.W_TSC_MULTIPLIER + 1])
    : tsc;
  const lo = (own.lo >>> 0) + (w[W.W_TSC_OFFSET] >>> 0);
  const hi = own.hi + w[W.W_TSC_OFFSET + 1] + (lo > 0xffff_ffff ? 1 : 0);
  return { lo: lo | 0, hi: hi | 0 };
}

const limbs = (lo: number, hi: number): readonly number[] => [lo & 0xffff, lo >>> 16, hi & 0xffff, hi >>> 16];

/** Bits 111:48 of the product: the multiplier has 48 bits behind the point. */
function scale(tsc: U64, lo: number, hi: number): U64 {
  const a = limbs(tsc.lo, tsc.hi);
  const b = limbs(lo, hi);
  const product: number[] = [];
  let carry = 0;
  for (let column = 0; column < 7; column++) {
    let sum = carry;
    for (let k = Math.max(0, column - 3); k <= Math.min(3, column); k++)
      sum += (a[k] as number) * (b[column - k] as number);
    product.push(sum % 0x1_0000);
    carry = Math.floor(sum / 0x1_0000);
  }
  const limb = (n: number): number => product[n] as number;
  return { lo: limb(3) | (limb(4) << 16), hi: limb(5) | (limb(6) << 16) };
}

/** A PAUSE of ring 0: true if it is one of a loop that has lasted longer than the window. PAUSEs further apart than the gap belong to
 *  different loops. */
export function pauseLoopTooLong(x: VmxContext): boolean {
  if (!x.secondary(SECONDARY.PAUSE_LOOP_EXITING) || x.cpu.S[CPL] !== 0) return false;
  const now = x.cpu.now();
  const first = x.lastPause < 0 || now - x.lastPause > x.words[W.W_PLE_GAP] >>> 0;
  if (first) x.firstPause = now;
  x.lastPause = now;
  return !first && now - x.firstPause > x.words[W.W_PLE_WINDOW] >>> 0;
}
