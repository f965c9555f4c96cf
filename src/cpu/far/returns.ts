/** Far RET and IRET (SDM Vol. 2, "RET", "IRET/IRETD"). */

import { Unimplemented } from '../../base/errors.ts';
import {
  ARITHMETIC_FLAGS,
  CPL,
  CR0,
  CR0_AM,
  CR0_PE,
  EFLAGS,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  INTERRUPTIBILITY,
  SS_,
} from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { checkOffset, enterCode, enterReal, returnTarget } from './code.ts';
import { setAccessed } from './descriptors.ts';
import { quickReturn } from './quick.ts';
import { dropPrivilegedSegments, install, stackDescriptor } from './segments.ts';
import { peek, setStackPointer } from './stack.ts';
import { returnFromTask } from './task.ts';

const BLOCKING_BY_NMI = 8;

export function retFar(cpu: Cpu, i: Instruction): void {
  returnFar(cpu, i.operandSize, 0);
}

export function retFarImmediate(cpu: Cpu, i: Instruction): void {
  returnFar(cpu, i.operandSize, i.immediate & 0xffff);
}

function returnFar(cpu: Cpu, size: 2 | 4, release: number): void {
  const offset = peek(cpu, 0, size);
  const selector = peek(cpu, size, size) & 0xffff;
  if ((cpu.S[CR0] & CR0_PE) === 0) {
    enterReal(cpu, selector, offset);
    cpu.adjustStack(2 * size + release);
  } else protectedReturn(cpu, size, selector, offset, 2 * size, release, cpu.getFlags());
}

/** Blocking by NMI ends with the IRET that succeeds. (Silicon also ends it with one that faults.) */
export function iret(cpu: Cpu, i: Instruction): void {
  if ((cpu.S[CR0] & CR0_PE) === 0) iretReal(cpu, i.operandSize);
  else if (cpu.S[EFLAGS] & FLAG_NT) returnFromTask(cpu);
  else iretProtected(cpu, i.operandSize);
}

function iretReal(cpu: Cpu, size: 2 | 4): void {
  const offset = peek(cpu, 0, size);
  const selector = peek(cpu, size, size) & 0xffff;
  const flags = newFlags(cpu, peek(cpu, 2 * size, size), realFlags(size));
  enterReal(cpu, selector, offset);
  cpu.adjustStack(3 * size);
  finishIret(cpu, flags);
}

function iretProtected(cpu: Cpu, size: 2 | 4): void {
  if (size === 4 && quickReturn(cpu, FROM_RING_0)) return;
  const cpl = cpu.S[CPL];
  const offset = peek(cpu, 0, size);
  const selector = peek(cpu, size, size) & 0xffff;
  const popped = peek(cpu, 2 * size, size);
  if (size === 4 && (popped & FLAG_VM) !== 0 && cpl === 0) throw new Unimplemented('virtual-8086 mode');
  const flags = newFlags(cpu, popped, protectedFlags(size, cpl, (cpu.getFlags() & FLAG_IOPL) >> 12));
  protectedReturn(cpu, size, selector, offset, 3 * size, 0, flags);
  finishIret(cpu, flags);
}

/** EFLAGS after IRET: the bits of `writable` from the stack, the others as they are. */
function newFlags(cpu: Cpu, popped: number, writable: number): number {
  const flags = (cpu.getFlags() & ~writable) | (popped & writable);
  if (flags & FLAG_TF) throw new Unimplemented('single step');
  return flags;
}

function finishIret(cpu: Cpu, flags: number): void {
  cpu.S[INTERRUPTIBILITY] &= ~BLOCKING_BY_NMI;
  cpu.setFlags(flags);
}

/** Flags that IRET takes from the stack. RF is taken too, but lives for one instruction and matters to breakpoints only: it is
 *  left out together with them. */
const ALWAYS = ARITHMETIC_FLAGS | FLAG_TF | FLAG_DF | FLAG_NT;

const realFlags = (size: 2 | 4): number => ALWAYS | FLAG_IF | FLAG_IOPL | (size === 4 ? FLAG_AC | FLAG_ID : 0);

function protectedFlags(size: 2 | 4, cpl: number, iopl: number): number {
  let writable = ALWAYS;
  if (size === 4) writable |= FLAG_AC | FLAG_ID;
  if (cpl <= iopl) writable |= FLAG_IF;
  if (cpl === 0) writable |= FLAG_IOPL | (size === 4 ? FLAG_VIF | FLAG_VIP : 0);
  return writable;
}

const FROM_RING_0 = protectedFlags(4, 0, 0);

/** The part that RET and IRET share. `frame`: bytes of the slots up to CS or EFLAGS; `release`: operand of RET n; `flags`: EFLAGS
 *  as they will be. */
function protectedReturn(
  cpu: Cpu,
  size: 2 | 4,
  selector: number,
  offset: number,
  frame: number,
  release: number,
  flags: number,
): void {
  const code = returnTarget(cpu, selector);
  const cpl = selector & 3;
  if (cpl === 3 && (flags & FLAG_AC) !== 0 && (cpu.S[CR0] & CR0_AM) !== 0) throw new Unimplemented('alignment check');
  if (cpl === cpu.S[CPL]) {
    // Return to same privilege level
    checkOffset(cpu, code.limit, offset);
    setAccessed(cpu, code);
    enterCode(cpu, code, cpl, offset);
    cpu.adjustStack(frame + release);
    return;
  }
  // Return to outer privilege level
  const esp = peek(cpu, frame + release, size);
  const ss = peek(cpu, frame + release + size, size) & 0xffff;
  const stack = stackDescriptor(cpu, ss, cpl, GP, 0);
  checkOffset(cpu, code.limit, offset);
  setAccessed(cpu, code);
  setAccessed(cpu, stack);
  // Nothing can fail from here on.
  enterCode(cpu, code, cpl, offset);
  install(cpu, SS_, ss, stack);
  setStackPointer(cpu, esp);
  cpu.adjustStack(release);
  dropPrivilegedSegments(cpu, cpl);
}
