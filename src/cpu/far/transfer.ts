/** Far JMP and CALL (SDM Vol. 2, "JMP", "CALL"; Vol. 3, "Call Gates"). */

import { CPL, CS, EIP, ESP, SEG_LIMIT, SEG_SELECTOR, SS_ } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { isProtected } from '../system/privilege.ts';
import {
  checkDirect,
  checkOffset,
  enterCode,
  enterReal,
  gateTarget,
  requirePresent,
  targetDescriptor,
} from './code.ts';
import {
  CALL_GATE16,
  CALL_GATE32,
  type Descriptor,
  dplOf,
  type Gate,
  gateOf,
  isCode,
  isConforming,
  named,
  selectorError,
  setAccessed,
  TASK_GATE,
  TSS16_AVAILABLE,
  TSS32_AVAILABLE,
  typeOf,
} from './descriptors.ts';
import { install } from './segments.ts';
import { checkRoom, currentStack, innerStack, peek, pushFrame, setStackPointer } from './stack.ts';
import { switchByGate, switchToTss } from './task-instructions.ts';
import { TASK_CALL, TASK_JMP } from './task-switch.ts';

/** The far pointer of JMP and CALL: in the instruction (EA, 9A), or in memory (FF). */
function farPointer(cpu: Cpu, i: Instruction): { selector: number; offset: number } {
  if (i.opcode !== 0xff) return { selector: i.immediate2 & 0xffff, offset: truncate(i, i.immediate) };
  const linear = cpu.linearAddress(i, i.operandSize + 2, false);
  const offset = i.operandSize === 4 ? cpu.mmu.read32(linear) : cpu.mmu.read16(linear);
  return { selector: cpu.mmu.read16((linear + i.operandSize) >>> 0), offset };
}

const truncate = (i: Instruction, offset: number): number => (i.operandSize === 2 ? offset & 0xffff : offset);

export function jmpFar(cpu: Cpu, i: Instruction): void {
  const { selector, offset } = farPointer(cpu, i);
  if (!isProtected(cpu)) enterReal(cpu, selector, offset);
  else {
    const d = targetDescriptor(cpu, selector);
    if (isCode(d)) jumpToCode(cpu, d, offset);
    else jumpThroughSystem(cpu, d);
  }
}

function jumpToCode(cpu: Cpu, code: Descriptor, offset: number): void {
  checkDirect(cpu, code);
  checkOffset(cpu, code.limit, offset);
  setAccessed(cpu, code);
  enterCode(cpu, code, cpu.S[CPL], offset);
}

function jumpThroughSystem(cpu: Cpu, d: Descriptor): void {
  switch (typeOf(d)) {
    case CALL_GATE16:
    case CALL_GATE32:
      jumpThroughGate(cpu, d);
      break;
    case TASK_GATE:
      switchByGate(cpu, d, TASK_JMP);
      break;
    case TSS16_AVAILABLE:
    case TSS32_AVAILABLE:
      switchToTss(cpu, d, TASK_JMP);
      break;
    default:
      cpu.raise(GP, selectorError(d.selector, 0), `${named(d.selector)} is nothing that JMP can go to`);
  }
}

function jumpThroughGate(cpu: Cpu, d: Descriptor): void {
  const gate = callGate(cpu, d);
  const cpl = cpu.S[CPL];
  const code = gateTarget(cpu, gate.selector, 0);
  if (!isConforming(code) && dplOf(code) !== cpl)
    cpu.raise(GP, selectorError(gate.selector, 0), 'JMP through a call gate cannot change the privilege level');
  requirePresent(cpu, code, 0);
  checkOffset(cpu, code.limit, gate.offset);
  setAccessed(cpu, code);
  enterCode(cpu, code, cpl, gate.offset);
}

/** A call gate may be used by CPL and the RPL of its own selector, and is present. */
function callGate(cpu: Cpu, d: Descriptor): Gate {
  if (dplOf(d) < Math.max(cpu.S[CPL], d.selector & 3))
    cpu.raise(GP, selectorError(d.selector, 0), `call gate ${named(d.selector)} is not open to this privilege level`);
  requirePresent(cpu, d, 0);
  return gateOf(d);
}

export function callFar(cpu: Cpu, i: Instruction): void {
  const { selector, offset } = farPointer(cpu, i);
  if (!isProtected(cpu)) callReal(cpu, selector, offset, i.operandSize);
  else {
    const d = targetDescriptor(cpu, selector);
    if (isCode(d)) {
      checkDirect(cpu, d);
      callSameLevel(cpu, d, offset, i.operandSize);
    } else callThroughSystem(cpu, d);
  }
}

function callReal(cpu: Cpu, selector: number, offset: number, size: 2 | 4): void {
  checkRoom(cpu, currentStack(cpu), 2 * size, size);
  checkOffset(cpu, cpu.S[SEG_LIMIT + CS], offset);
  setStackPointer(cpu, pushReturn(cpu, size));
  enterReal(cpu, selector, offset);
}

function callThroughSystem(cpu: Cpu, d: Descriptor): void {
  switch (typeOf(d)) {
    case CALL_GATE16:
    case CALL_GATE32:
      callThroughGate(cpu, d);
      break;
    case TASK_GATE:
      switchByGate(cpu, d, TASK_CALL);
      break;
    case TSS16_AVAILABLE:
    case TSS32_AVAILABLE:
      switchToTss(cpu, d, TASK_CALL);
      break;
    default:
      cpu.raise(GP, selectorError(d.selector, 0), `${named(d.selector)} is nothing that CALL can go to`);
  }
}

/** Pushes CS:EIP on the current stack. */
function pushReturn(cpu: Cpu, size: 2 | 4): number {
  return pushFrame(cpu, currentStack(cpu), size, [cpu.S[SEG_SELECTOR + CS], cpu.S[EIP]]);
}

function callSameLevel(cpu: Cpu, code: Descriptor, offset: number, size: 2 | 4): void {
  checkRoom(cpu, currentStack(cpu), 2 * size, size);
  checkOffset(cpu, code.limit, offset);
  setAccessed(cpu, code);
  setStackPointer(cpu, pushReturn(cpu, size));
  enterCode(cpu, code, cpu.S[CPL], offset);
}

function callThroughGate(cpu: Cpu, d: Descriptor): void {
  const gate = callGate(cpu, d);
  const code = gateTarget(cpu, gate.selector, 0);
  requirePresent(cpu, code, 0);
  if (isConforming(code) || dplOf(code) === cpu.S[CPL]) callSameLevel(cpu, code, gate.offset, gate.size);
  else callInner(cpu, gate, code);
}

/** "More privilege": stack of the target's level from the TSS, caller's SS:ESP, parameters, CS:EIP. */
function callInner(cpu: Cpu, gate: Gate, code: Descriptor): void {
  const S = cpu.S;
  const cpl = dplOf(code);
  const size = gate.size;
  const stack = innerStack(cpu, cpl, 0);
  checkRoom(cpu, stack, (4 + gate.count) * size, size);
  checkOffset(cpu, code.limit, gate.offset);
  // Parameters keep their order: the last one pushed by the caller ends up lowest again.
  const frame = [S[SEG_SELECTOR + SS_], S[ESP]];
  for (let n = gate.count - 1; n >= 0; n--) frame.push(peek(cpu, n * size, size));
  frame.push(S[SEG_SELECTOR + CS], S[EIP]);
  setAccessed(cpu, stack.descriptor);
  setAccessed(cpu, code);
  const esp = pushFrame(cpu, stack, size, frame);
  // Nothing can fail from here on.
  install(cpu, SS_, stack.selector, stack.descriptor);
  setStackPointer(cpu, esp);
  enterCode(cpu, code, cpl, gate.offset);
}
