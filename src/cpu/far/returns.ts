/** Far RET and IRET (SDM Vol. 2, "RET", "IRET/IRETD"). */

import { Unimplemented } from '../../base/errors.ts';
import {
  ARITHMETIC_FLAGS,
  CPL,
  CR0,
  CR0_AM,
  CS,
  DS,
  EFLAGS,
  EIP,
  ES,
  ESP,
  FLAG_AC,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FS,
  GS,
  INTERRUPTIBILITY,
  SS_,
} from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { checkSensitive, isProtected } from '../system/privilege.ts';
import { checkOffset, enterCode, enterReal, returnTarget } from './code.ts';
import { setAccessed } from './descriptors.ts';
import { quickReturn } from './quick.ts';
import { dropPrivilegedSegments, install, loadVirtual8086, stackDescriptor } from './segments.ts';
import { peek, setStackPointer } from './stack.ts';
import { returnFromTask } from './task-instructions.ts';

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
  if (!isProtected(cpu)) {
    enterReal(cpu, selector, offset);
    cpu.adjustStack(2 * size + release);
  } else protectedReturn(cpu, size, selector, offset, 2 * size, release, cpu.getFlags());
}

/** Blocking by NMI ends with an IRET, even with one that faults (SDM Vol. 3, "Handling Multiple NMIs"). */
export function iret(cpu: Cpu, i: Instruction): void {
  if ((cpu.S[INTERRUPTIBILITY] & BLOCKING_BY_NMI) === 0) {
    interruptReturn(cpu, i);
    return;
  }
  try {
    interruptReturn(cpu, i);
  } catch (thrown) {
    if (thrown === cpu.signal) cpu.nmiUnblocked = cpu.endNmiBlocking();
    throw thrown;
  }
}

function interruptReturn(cpu: Cpu, i: Instruction): void {
  checkSensitive(cpu, 'IRET');
  if (!isProtected(cpu)) iretReal(cpu, i.operandSize);
  else if (cpu.S[EFLAGS] & FLAG_NT) returnFromTask(cpu);
  else iretProtected(cpu, i.operandSize);
}

/** REAL-ADDRESS-MODE of the manual's procedure, and RETURN-FROM-VIRTUAL-8086-MODE with IOPL 3, which stays in that mode. */
function iretReal(cpu: Cpu, size: 2 | 4): void {
  const offset = peek(cpu, 0, size);
  const selector = peek(cpu, size, size) & 0xffff;
  const flags = newFlags(cpu, peek(cpu, 2 * size, size), realFlags(cpu, size));
  refuseAlignmentCheck(cpu, cpu.S[CPL], flags);
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
  if (size === 4 && (popped & FLAG_VM) !== 0 && cpl === 0) {
    enterVirtual8086(cpu, offset, selector, popped);
    return;
  }
  const flags = newFlags(cpu, popped, protectedFlags(size, cpl, (cpu.getFlags() & FLAG_IOPL) >> 12));
  protectedReturn(cpu, size, selector, offset, 3 * size, 0, flags);
  finishIret(cpu, flags);
}

/** RETURN-TO-VIRTUAL-8086-MODE: nine doublewords, from EIP up to GS. Segment registers are loaded without any check. */
function enterVirtual8086(cpu: Cpu, offset: number, selector: number, popped: number): void {
  const [esp, ss, es, ds, fs, gs] = [12, 16, 20, 24, 28, 32].map((at) => peek(cpu, at, 4)) as SixWords;
  checkOffset(cpu, 0xffff, offset);
  const flags = newFlags(cpu, popped, FROM_RING_0 | FLAG_VM);
  refuseAlignmentCheck(cpu, 3, flags);
  // Nothing can fail from here on.
  loadVirtual8086(cpu, CS, selector);
  loadVirtual8086(cpu, SS_, ss & 0xffff);
  loadVirtual8086(cpu, ES, es & 0xffff);
  loadVirtual8086(cpu, DS, ds & 0xffff);
  loadVirtual8086(cpu, FS, fs & 0xffff);
  loadVirtual8086(cpu, GS, gs & 0xffff);
  cpu.S[EIP] = offset;
  cpu.S[ESP] = esp;
  cpu.setCpl(3);
  finishIret(cpu, flags);
}

type SixWords = [number, number, number, number, number, number];

/** EFLAGS after IRET: the bits of `writable` from the stack, the others as they are. */
function newFlags(cpu: Cpu, popped: number, writable: number): number {
  return (cpu.getFlags() & ~writable) | (popped & writable);
}

function refuseAlignmentCheck(cpu: Cpu, cpl: number, flags: number): void {
  if (cpl === 3 && (flags & FLAG_AC) !== 0 && (cpu.S[CR0] & CR0_AM) !== 0) throw new Unimplemented('alignment check');
}

function finishIret(cpu: Cpu, flags: number): void {
  cpu.endNmiBlocking();
  cpu.setFlags(flags);
}

/** Flags that IRET takes from the stack. With 32 bits also RF, AC and ID. */
const ALWAYS = ARITHMETIC_FLAGS | FLAG_TF | FLAG_DF | FLAG_NT;
const WIDE = FLAG_RF | FLAG_AC | FLAG_ID;

/** IOPL stays as it is in virtual-8086 mode, where CPL is 3. */
const realFlags = (cpu: Cpu, size: 2 | 4): number =>
  ALWAYS | FLAG_IF | (cpu.S[CPL] === 0 ? FLAG_IOPL : 0) | (size === 4 ? WIDE : 0);

function protectedFlags(size: 2 | 4, cpl: number, iopl: number): number {
  let writable = ALWAYS;
  if (size === 4) writable |= WIDE;
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
  refuseAlignmentCheck(cpu, cpl, flags);
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
