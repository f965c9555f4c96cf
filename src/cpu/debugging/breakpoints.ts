/** Debug registers DR0 to DR3 and DR7: which breakpoints an instruction or an access meets (SDM Vol. 3, "Debug Registers",
 *  "Breakpoint Field Recognition"). Breakpoints that DR7 does not enable are not reported; the manual leaves that open. */

import {
  CR4,
  CR4_DE,
  CS,
  DEBUG_BREAKPOINTS,
  DEBUG_ENABLED,
  DEBUG_HITS,
  DEBUG_WATCH,
  DR0,
  DR7,
  EIP,
  EVENT_DEBUG,
  EVENTS,
  SEG_BASE,
} from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';

/** R/W fields of DR7. */
const ON_EXECUTION = 0;
const ON_WRITE = 1;
const ON_IO = 2;
const ON_ACCESS = 3;

/** L0 G0 L1 G1 L2 G2 L3 G3. */
const ENABLE_BITS = 0xff;

const isEnabled = (dr7: number, n: number): boolean => ((dr7 >> (2 * n)) & 3) !== 0;
const kindOf = (dr7: number, n: number): number => (dr7 >>> (16 + 4 * n)) & 3;
/** LEN: 1, 2, 8 or 4 bytes. The one of 8 is undefined before Intel 64; it is taken as it was defined later. */
const bytesOf = (dr7: number, n: number): number => [1, 2, 8, 4][(dr7 >>> (18 + 4 * n)) & 3] as number;

/** To be called whenever DR0 to DR3 or DR7 have changed: makes the loop come out for each instruction, and the memory unit for each
 *  access to a page with a data breakpoint, or no longer. */
export function debugRegistersChanged(cpu: Cpu): void {
  const { S, mmu } = cpu;
  const dr7 = S[DR7];
  const pages: number[] = [];
  for (let n = 0; n < 4; n++) {
    const kind = kindOf(dr7, n);
    if (isEnabled(dr7, n) && (kind === ON_WRITE || kind === ON_ACCESS)) pages.push(S[DR0 + n] >>> 12);
  }
  if (pages.length > 0) mmu.watch(pages, (linear, bytes, write) => noteAccess(S, linear, bytes, write));
  else if (mmu.isWatching) mmu.watch([], null);
  if ((dr7 & ENABLE_BITS) !== 0) {
    S[DEBUG_WATCH] |= DEBUG_BREAKPOINTS;
    S[EVENTS] |= EVENT_DEBUG;
  } else S[DEBUG_WATCH] &= ~DEBUG_BREAKPOINTS;
}

/** Whether `bytes` bytes at `at` and the range of breakpoint n have one in common. Ranges are aligned to their length. */
function overlaps(S: Int32Array, n: number, at: number, bytes: number): boolean {
  const length = bytesOf(S[DR7], n);
  const start = (S[DR0 + n] & -length) >>> 0;
  return at < start + length && start < at + bytes;
}

/** B0 to B3 of the breakpoints on the instruction that is next. */
export function instructionBreakpoints(cpu: Cpu): number {
  const { S } = cpu;
  const linear = (S[EIP] + S[SEG_BASE + CS]) | 0;
  let hits = 0;
  for (let n = 0; n < 4; n++)
    if (isEnabled(S[DR7], n) && kindOf(S[DR7], n) === ON_EXECUTION && S[DR0 + n] === linear) hits |= 1 << n;
  return hits;
}

function noteAccess(S: Int32Array, linear: number, bytes: number, write: boolean): void {
  for (let n = 0; n < 4; n++) {
    const kind = kindOf(S[DR7], n);
    const wanted = kind === ON_ACCESS || (kind === ON_WRITE && write);
    if (wanted && isEnabled(S[DR7], n) && overlaps(S, n, linear >>> 0, bytes))
      S[DEBUG_HITS] |= (1 << n) | DEBUG_ENABLED;
  }
}

/** IN, OUT, INS or OUTS has used a port. Without CR4.DE there are no such breakpoints. */
export function notePort(cpu: Cpu, port: number, bytes: number): void {
  const { S } = cpu;
  if ((S[DEBUG_WATCH] & DEBUG_BREAKPOINTS) === 0 || (S[CR4] & CR4_DE) === 0) return;
  for (let n = 0; n < 4; n++)
    if (isEnabled(S[DR7], n) && kindOf(S[DR7], n) === ON_IO && overlaps(S, n, port, bytes))
      S[DEBUG_HITS] |= (1 << n) | DEBUG_ENABLED;
}
