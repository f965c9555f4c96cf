/** Stack frames that are pushed whole or not at all, on the current stack or on one that the TSS names
 *  (SDM Vol. 3, "Stack Switching", "Task-State Segment"). */

import { hex } from '../../base/int.ts';
import {
  AR_DB,
  AR_UNUSABLE,
  CPL,
  ESP,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  TR,
} from '../../base/registers.ts';
import { SS, TS } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { type Descriptor, selectorError } from './descriptors.ts';
import { stackDescriptor, withinLimit } from './segments.ts';

/** Where a frame goes. */
export interface Stack {
  readonly base: number;
  readonly limit: number;
  readonly access: number;
  readonly esp: number;
  /** Accesses have user rights. */
  readonly user: boolean;
  /** Error code of the #SS if the frame does not fit. */
  readonly error: number;
}

/** A stack of a more privileged level, checked but not yet in SS:ESP. */
export interface InnerStack extends Stack {
  readonly selector: number;
  readonly descriptor: Descriptor;
}

const maskOf = (stack: Stack): number => (stack.access & AR_DB ? -1 : 0xffff);

export function currentStack(cpu: Cpu, error = 0): Stack {
  const S = cpu.S;
  return {
    base: S[SEG_BASE + SS_],
    // An SS that holds no segment (64-bit hosts only) lets nothing through.
    limit: S[SEG_ACCESS + SS_] & AR_UNUSABLE ? 0 : S[SEG_LIMIT + SS_],
    access: S[SEG_ACCESS + SS_],
    esp: S[ESP],
    user: S[CPL] === 3,
    error,
  };
}

/** The stack for privilege level `cpl` from the current TSS, checked as calls and interrupts do. */
export function innerStack(cpu: Cpu, cpl: number, ext: number): InnerStack {
  const S = cpu.S;
  // Locate the stack pointer: ESPn and SSn in a 32-bit TSS, SPn and SSn in a 16-bit one.
  const wide = (S[SEG_ACCESS + TR] & 8) !== 0;
  const at = wide ? cpl * 8 + 4 : cpl * 4 + 2;
  const last = at + (wide ? 5 : 3);
  if (S[SEG_ACCESS + TR] & AR_UNUSABLE || last > S[SEG_LIMIT + TR] >>> 0)
    cpu.raise(TS, selectorError(S[SEG_SELECTOR + TR], ext), `the TSS has no room for the stack of ring ${cpl}`);
  const address = (S[SEG_BASE + TR] + at) >>> 0;
  const esp = wide ? cpu.mmu.readSystem32(address) : cpu.mmu.readSystem16(address);
  const selector = cpu.mmu.readSystem16((address + (wide ? 4 : 2)) >>> 0);
  const descriptor = stackDescriptor(cpu, selector, cpl, TS, ext);
  const { base, limit, access } = descriptor;
  return { base, limit, access, esp, user: false, error: selectorError(selector, ext), selector, descriptor };
}

/** #SS if `bytes` do not fit on the stack. */
export function checkRoom(cpu: Cpu, stack: Stack, bytes: number, slot: 2 | 4): void {
  const mask = maskOf(stack);
  const start = (stack.esp - bytes) & mask;
  // A frame that wraps around the top of the stack's address space is checked slot by slot.
  if (contiguous(start, bytes, mask)) {
    if (!withinLimit(stack.limit, stack.access, start, bytes)) tooSmall(cpu, stack, start);
  } else
    for (let n = slot; n <= bytes; n += slot) {
      const at = (stack.esp - n) & mask;
      if (!withinLimit(stack.limit, stack.access, at, slot)) tooSmall(cpu, stack, at);
    }
}

function tooSmall(cpu: Cpu, stack: Stack, offset: number): never {
  return cpu.raise(SS, stack.error, `no room on the stack: ${hex(offset)} is outside its limit ${hex(stack.limit)}`);
}

const contiguous = (start: number, bytes: number, mask: number): boolean => (start >>> 0) + bytes <= (mask >>> 0) + 1;

/** Pushes `values`, the first one highest, in slots of `slot` bytes, after the caller's `checkRoom`. Every page is probed before
 *  the first byte is written, in the order of the pushes, so that a page fault names the slot that meets it first. Returns the
 *  stack pointer behind the frame, for setStackPointer: that is the caller's to do, and cannot fail. */
export function pushFrame(cpu: Cpu, stack: Stack, slot: 2 | 4, values: readonly number[]): number {
  const mmu = cpu.mmu;
  const mask = maskOf(stack);
  const linear = (n: number): number => (stack.base + ((stack.esp - n * slot) & mask)) >>> 0;
  const count = values.length;
  mmu.probeWrite(linear(1), slot, stack.user);
  if ((linear(count) & ~0xfff) !== ((linear(1) + slot - 1) & ~0xfff))
    for (let n = 2; n <= count; n++) mmu.probeWrite(linear(n), slot, stack.user);
  for (let n = 1; n <= count; n++) {
    const value = values[n - 1];
    if (slot === 4) {
      if (stack.user) mmu.write32(linear(n), value);
      else mmu.writeSystem32(linear(n), value);
    } else if (stack.user) mmu.write16(linear(n), value & 0xffff);
    else mmu.writeSystem16(linear(n), value & 0xffff);
  }
  return (stack.esp - count * slot) | 0;
}

/** Reads the stack slot `bytes` above ESP; #SS(0) if the stack does not reach so far. */
export function peek(cpu: Cpu, bytes: number, slot: 2 | 4): number {
  const S = cpu.S;
  const linear = cpu.segmentCheck(SS_, (S[ESP] + bytes) & cpu.stackMask, slot, false);
  return slot === 4 ? cpu.mmu.read32(linear) : cpu.mmu.read16(linear);
}

/** Sets ESP, or only SP if the stack segment is a 16-bit one: its upper half then keeps what it held, as on silicon. */
export function setStackPointer(cpu: Cpu, value: number): void {
  const mask = cpu.stackMask;
  cpu.S[ESP] = (cpu.S[ESP] & ~mask) | (value & mask);
}
