/** What the string instructions share: element size, index registers, the counter, and how far a repetition may go at once
 *  (SDM Vol. 1, "String Operations"; Vol. 2, "REP/REPE/REPZ/REPNE/REPNZ"). */
import {
  DS,
  ECX,
  EDI,
  EFLAGS,
  EIP,
  ES,
  ESI,
  EVENTS,
  FLAG_DF,
  SEG_ACCESS,
  SEG_LIMIT,
  START_EIP,
} from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';

/** Bytes of an element: 1, 2 or 4. */
export const elementSize = (i: Instruction): 1 | 2 | 4 => ((i.opcode & 1) === 0 ? 1 : i.operandSize);

/** ESI's segment may be overridden; EDI's never. */
export const sourceSegment = (i: Instruction): number => (i.segmentOverride ? i.segment : DS);

/** DF: towards lower addresses. */
export const backwards = (cpu: Cpu): boolean => (cpu.S[EFLAGS] & FLAG_DF) !== 0;

/** ECX, ESI or EDI, in the width of the address size, unsigned. */
export const index = (cpu: Cpu, i: Instruction, register: number): number =>
  i.addressSize === 2 ? cpu.S16[register << 1] : cpu.S[register] >>> 0;

/** Adds to ECX, ESI or EDI in the width of the address size. */
export function advance(cpu: Cpu, i: Instruction, register: number, by: number): void {
  if (i.addressSize === 2) cpu.S16[register << 1] += by;
  else cpu.S[register] += by;
}

/** Linear address of the source element, checked for reading. */
export const sourceAddress = (cpu: Cpu, i: Instruction, size: number): number =>
  cpu.segmentCheck(sourceSegment(i), index(cpu, i, ESI), size, false);

/** Linear address of the destination element. */
export const destinationAddress = (cpu: Cpu, i: Instruction, size: number, write: boolean): number =>
  cpu.segmentCheck(ES, index(cpu, i, EDI), size, write);

/** Reads an element through the MMU, unsigned (32 bits: a pattern). */
export const load = (cpu: Cpu, linear: number, size: number): number =>
  size === 1 ? cpu.mmu.read8(linear) : size === 2 ? cpu.mmu.read16(linear) : cpu.mmu.read32(linear);

/** Writes an element through the MMU. */
export function store(cpu: Cpu, linear: number, size: number, value: number): void {
  if (size === 1) cpu.mmu.write8(linear, value);
  else if (size === 2) cpu.mmu.write16(linear, value);
  else cpu.mmu.write32(linear, value);
}

/** Reads an element from RAM, unsigned (32 bits: a pattern). */
export const loadRam = (u8: Uint8Array, at: number, size: number): number =>
  size === 1
    ? u8[at]
    : size === 2
      ? u8[at] | (u8[at + 1] << 8)
      : u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24);

/** How many of `most` elements from `linear` on lie wholly in its page, below the segment's limit and without wrapping of the
 *  offset. The first one has passed the segment check. 0: the first one crosses the page, or the segment expands down. */
export function elementsInPage(
  cpu: Cpu,
  i: Instruction,
  segment: number,
  register: number,
  linear: number,
  size: number,
  most: number,
): number {
  const inPage = linear & 0xfff;
  const expandDown = (cpu.S[SEG_ACCESS + segment] & 0xc) === 4;
  if (expandDown || inPage + size > 0x1000) return 0;
  const offset = index(cpu, i, register);
  if (backwards(cpu)) return Math.min(most, Math.floor(inPage / size) + 1, Math.floor(offset / size) + 1);
  const top =
    i.addressSize === 2 ? Math.min(0xffff, cpu.S[SEG_LIMIT + segment] >>> 0) : cpu.S[SEG_LIMIT + segment] >>> 0;
  return Math.min(most, Math.floor((0x1000 - inPage) / size), Math.floor((top + 1 - offset) / size));
}

/** Iterations that the counter and the budget of the run allow. At least 1 if the counter is not 0. */
export const allowedIterations = (cpu: Cpu, i: Instruction): number =>
  Math.min(index(cpu, i, ECX), Math.max(1, cpu.remaining));

/** Accounts for `n` iterations done at once. While the counter is not 0 and `go` holds, the instruction is to be executed again. */
export function finishIterations(cpu: Cpu, i: Instruction, n: number, go: boolean): void {
  advance(cpu, i, ECX, -n);
  cpu.remaining -= n - 1;
  if (go && index(cpu, i, ECX) !== 0) cpu.S[EIP] = cpu.S[START_EIP];
}

/** What the attempt to go by pages left to be done one by one: nothing; one element, which crosses a page; or some, because
 *  the page is no plain RAM (MMIO, code) or the segment is out of the ordinary. */
export const NOTHING = 0;
export const ONE = 1;
export const SOME = 64;

/** Executes `element` once, or repeats it while the counter is not 0 and `element` returns true, at most `most` times. Each
 *  iteration is complete before the next begins, so that a fault finds the registers as the iterations before it left them. */
export function iterate(cpu: Cpu, i: Instruction, most: number, element: (cpu: Cpu, i: Instruction) => boolean): void {
  if (most === NOTHING || (i.rep !== 0 && index(cpu, i, ECX) === 0)) return;
  const { rewrites } = cpu.code;
  for (let n = 1; ; n++) {
    const go = element(cpu, i);
    if (i.rep === 0) return;
    advance(cpu, i, ECX, -1);
    if (!go || index(cpu, i, ECX) === 0) return;
    // It may have overwritten itself: then what stands there now goes on, however long the run could last.
    const isRewritten = cpu.code.rewrites !== rewrites;
    if (n >= most || cpu.remaining <= 1 || isRewritten || cpu.S[EVENTS] !== 0) {
      cpu.S[EIP] = cpu.S[START_EIP];
      return;
    }
    cpu.remaining--;
  }
}
