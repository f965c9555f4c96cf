/** REP, REPE, REPNE (SDM Vol. 2, "REP/REPE/REPZ/REPNE/REPNZ"): iterations in runs, as far as they stay in plain RAM and in
 *  one page, else one by one. */
import { ECX, EIP, EVENTS, FLAG_R, SEG_ACCESS, SEG_LIMIT, START_EIP } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { advance, backwards, counter, index } from './addressing.ts';

/** Carries out one iteration, without the counter. */
export type Element = (cpu: Cpu, i: Instruction) => void;

/** Carries out at most `most` iterations at once, without the counter; returns how many. 0: the next one has to be done alone. */
export type Run = (cpu: Cpu, i: Instruction, most: number) => number;

const PAGE = 0x1000;

/** Repeats while the counter is not 0 and, where `compares`, ZF is as the prefix wants it. Each iteration is complete before the
 *  next begins, so that a fault finds the registers as the iterations before it left them. */
export function repeat(cpu: Cpu, i: Instruction, run: Run, element: Element, compares: boolean): void {
  cpu.isRepeating = false;
  if (counter(cpu, i) === 0) return;
  const { rewrites } = cpu.code;
  for (;;) {
    let n = run(cpu, i, allowedIterations(cpu, i));
    if (n === 0) {
      element(cpu, i);
      n = 1;
    }
    advance(cpu, i, ECX, -n);
    cpu.remaining -= n - 1;
    // A comparison noted its difference: 0 is ZF.
    if (compares && (cpu.S[FLAG_R] === 0) !== (i.rep === 0xf3)) return;
    if (counter(cpu, i) === 0 || !goesOn(cpu, rewrites)) return;
  }
}

/** Iterations that the counter and the budget of the run allow, a page of bytes at most. At least 1 if the counter is not 0. */
function allowedIterations(cpu: Cpu, i: Instruction): number {
  const count = counter(cpu, i);
  const most = count < PAGE ? count : PAGE;
  return most <= cpu.remaining ? most : Math.max(1, cpu.remaining);
}

/** Whether the iteration that is due may follow at once; if so it is taken off the budget, else EIP is made to point at the
 *  instruction again. `rewrites`: those that had been when the instruction began. */
export function goesOn(cpu: Cpu, rewrites: number): boolean {
  // It may have overwritten itself: then what stands there now goes on, however long the run could last.
  if (cpu.remaining > 1 && cpu.code.rewrites === rewrites && cpu.S[EVENTS] === 0) {
    cpu.remaining--;
    return true;
  }
  again(cpu);
  return false;
}

/** Lets the instruction be the next one once more. */
export function again(cpu: Cpu): void {
  cpu.S[EIP] = cpu.S[START_EIP];
  cpu.isRepeating = true;
}

/** How many of `most` elements from `linear` on lie wholly in its page, below the segment's limit and without wrapping of the
 *  offset in `register`. The first one has passed the segment check. 0: it crosses the page, or the segment expands down. */
export function elementsInPage(
  cpu: Cpu,
  i: Instruction,
  segment: number,
  register: number,
  linear: number,
  size: number,
  most: number,
): number {
  const inPage = linear & (PAGE - 1);
  if (inPage + size > PAGE) return 0;
  const back = backwards(cpu);
  const shift = size >> 1;
  const n = back ? (inPage >> shift) + 1 : (PAGE - inPage) >> shift;
  const less = n < most ? n : most;
  // A segment of 4 GiB has no end, and beyond the last offset its first one follows.
  if (cpu.S[SEG_LIMIT + segment] === -1 && i.addressSize === 4) return less;
  return Math.min(less, elementsInSegment(cpu, i, segment, index(cpu, i, register) >>> 0, size, back));
}

function elementsInSegment(cpu: Cpu, i: Instruction, segment: number, offset: number, size: number, back: boolean) {
  const isExpandDown = (cpu.S[SEG_ACCESS + segment] & 0xc) === 4;
  if (isExpandDown) return 0;
  if (back) return Math.floor(offset / size) + 1;
  const limit = cpu.S[SEG_LIMIT + segment] >>> 0;
  const top = i.addressSize === 2 ? Math.min(0xffff, limit) : limit;
  return Math.floor((top + 1 - offset) / size);
}
