/** Delivery of one event through the interrupt vector table or the IDT (SDM Vol. 2, "INT n/INTO/INT3/INT1", Operation;
 *  Vol. 3, "Exception- and Interrupt-Handler Procedures", "Error Code"). */

import { hex } from '../../base/int.ts';
import {
  AR_S,
  CPL,
  CR0,
  CR0_PE,
  CS,
  DEBUG_BD,
  DS,
  EIP,
  ES,
  ESP,
  FLAG_AC,
  FLAG_IF,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VM,
  FS,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  SEG_SELECTOR,
  SS_,
} from '../../base/registers.ts';
import { DB, GP, MC, NP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { ProcessorEvent } from '../monitor.ts';
import { checkSensitive, isVirtual8086 } from '../system/privilege.ts';
import { checkOffset, enterCode, gateTarget, requirePresent } from './code.ts';
import {
  type Descriptor,
  descriptorAt,
  dplOf,
  type Gate,
  gateOf,
  INTERRUPT_GATE16,
  INTERRUPT_GATE32,
  isConforming,
  isPresent,
  selectorError,
  setAccessed,
  TASK_GATE,
  TRAP_GATE16,
  TRAP_GATE32,
  typeOf,
} from './descriptors.ts';
import { install, installNull, loadReal } from './segments.ts';
import { checkRoom, currentStack, innerStack, pushFrame, setStackPointer } from './stack.ts';
import { enterTaskGate } from './task.ts';

/** Interruption types, as in ProcessorEvent. */
export const EXTERNAL_INTERRUPT = 0;
export const NMI_EVENT = 2;
export const HARDWARE_EXCEPTION = 3;
export const SOFTWARE_INTERRUPT = 4;
export const PRIVILEGED_SOFTWARE_EXCEPTION = 5;
export const SOFTWARE_EXCEPTION = 6;

/** Error-code bit: the index names a gate of the IDT. */
const IDT_FLAG = 2;
/** In the order in which an event in virtual-8086 mode pushes them. */
const DATA_SEGMENTS = [GS, FS, DS, ES] as const;
/** Interruptibility: blocking by STI and by MOV SS. */
const BLOCKING_FOR_ONE_INSTRUCTION = 3;

/** Delivers `event`, or throws the signal for the fault met on the way; registers and stack are then as before, except behind the
 *  commit point of a task switch. S[EIP] must name
 *  the instruction that the event belongs to: for types 4 to 6 the one that asks for it, whose length is added to make the return
 *  address. `injected`: by VM entry, which leaves RF in the pushed image alone. False: a task gate left to the execution monitor. */
export function deliver(cpu: Cpu, event: ProcessorEvent, injected = false): boolean {
  const S = cpu.S;
  const flags = cpu.settleFlags();
  const image = injected ? flags : pushedFlags(cpu, event);
  const eip = event.type >= SOFTWARE_INTERRUPT ? (S[EIP] + event.instructionLength) | 0 : S[EIP];
  if ((S[CR0] & CR0_PE) === 0) deliverReal(cpu, event, image, eip);
  else if (!deliverProtected(cpu, event, image, eip)) return false;
  S[INTERRUPTIBILITY] &= ~BLOCKING_FOR_ONE_INSTRUCTION;
  return true;
}

/** EFLAGS as pushed (SDM Vol. 3, "Instruction-Breakpoint Exception Condition"): RF is set for faults, so that the instruction can be
 *  restarted past a breakpoint; that instruction breakpoint itself leaves it to its handler. */
export function pushedFlags(cpu: Cpu, event: ProcessorEvent): number {
  if (event.type >= SOFTWARE_INTERRUPT) return cpu.getFlags() & ~FLAG_RF;
  return isFault(event) ? cpu.getFlags() | FLAG_RF : cpu.boundaryFlags();
}

/** Whether the event is a fault other than an instruction breakpoint. Of the debug exceptions only general detect is. */
export function isFault(event: ProcessorEvent): boolean {
  if (event.type !== HARDWARE_EXCEPTION || event.vector === MC) return false;
  return event.vector !== DB || ((event.debug ?? 0) & DEBUG_BD) !== 0;
}

/** Whether the program itself asked for the event: then gates check its privilege, and EXT stays clear in error codes. */
const isSoftware = (event: ProcessorEvent): boolean =>
  event.type === SOFTWARE_INTERRUPT || event.type === SOFTWARE_EXCEPTION;

/** REAL-ADDRESS-MODE of the manual's procedure. */
function deliverReal(cpu: Cpu, event: ProcessorEvent, image: number, eip: number): void {
  const S = cpu.S;
  const at = event.vector * 4;
  if (at + 3 > S[IDTR_LIMIT] >>> 0) cpu.raise(GP, 0, `vector ${hex(event.vector, 2)} is beyond the IDT limit`);
  const entry = cpu.mmu.readSystem32((S[IDTR_BASE] + at) >>> 0);
  const stack = currentStack(cpu);
  checkRoom(cpu, stack, 6, 2);
  const esp = pushFrame(cpu, stack, 2, [image, S[SEG_SELECTOR + CS], eip]);
  setStackPointer(cpu, esp);
  loadReal(cpu, CS, entry >>> 16);
  S[EIP] = entry & 0xffff;
  cpu.setFlags(cpu.getFlags() & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF));
}

/** PROTECTED-MODE of the manual's procedure. */
function deliverProtected(cpu: Cpu, event: ProcessorEvent, image: number, eip: number): boolean {
  const ext = isSoftware(event) ? 0 : 1;
  // The instruction itself has been asked already; this is for the one that a VM entry injects.
  if (event.type === SOFTWARE_INTERRUPT) checkSensitive(cpu, 'INT n');
  const d = readGate(cpu, event, ext);
  if (typeOf(d) === TASK_GATE) return enterTaskGate(cpu, d, event.errorCode, image, eip, ext);
  // TRAP-OR-INTERRUPT-GATE
  const gate = gateOf(d);
  const code = gateTarget(cpu, gate.selector, ext);
  requirePresent(cpu, code, ext);
  if (isVirtual8086(cpu) && (isConforming(code) || dplOf(code) !== 0))
    cpu.raise(GP, selectorError(gate.selector, ext), 'an event in virtual-8086 mode must lead to ring 0');
  if (!isConforming(code) && dplOf(code) < cpu.S[CPL]) enterInner(cpu, event, gate, code, image, eip, ext);
  else enterSame(cpu, event, gate, code, image, eip, ext);
  let clear = FLAG_TF | FLAG_NT | FLAG_VM | FLAG_RF;
  if (typeOf(d) === INTERRUPT_GATE16 || typeOf(d) === INTERRUPT_GATE32) clear |= FLAG_IF;
  cpu.setFlags(cpu.getFlags() & ~clear);
  return true;
}

/** The IDT entry of the event's vector, after the checks on the gate. */
function readGate(cpu: Cpu, event: ProcessorEvent, ext: number): Descriptor {
  const S = cpu.S;
  const at = event.vector * 8;
  const error = at | IDT_FLAG | ext;
  if (at + 7 > S[IDTR_LIMIT] >>> 0) cpu.raise(GP, error, `vector ${hex(event.vector, 2)} is beyond the IDT limit`);
  const d = descriptorAt(cpu, (S[IDTR_BASE] + at) >>> 0, at);
  if (!isIdtGate(d)) cpu.raise(GP, error, `IDT entry ${hex(event.vector, 2)} is not an interrupt, trap or task gate`);
  if (isSoftware(event) && dplOf(d) < S[CPL])
    cpu.raise(
      GP,
      error,
      `IDT entry ${hex(event.vector, 2)} has DPL ${dplOf(d)}, software at CPL ${S[CPL]} may not use it`,
    );
  if (!isPresent(d)) cpu.raise(NP, error, `IDT entry ${hex(event.vector, 2)} is not present`);
  return d;
}

function isIdtGate(d: Descriptor): boolean {
  switch (d.access & (AR_S | 0xf)) {
    case TASK_GATE:
    case INTERRUPT_GATE16:
    case TRAP_GATE16:
    case INTERRUPT_GATE32:
    case TRAP_GATE32:
      return true;
    default:
      return false;
  }
}

/** INTRA-PRIVILEGE-LEVEL-INTERRUPT */
function enterSame(
  cpu: Cpu,
  event: ProcessorEvent,
  gate: Gate,
  code: Descriptor,
  image: number,
  eip: number,
  ext: number,
): void {
  const stack = currentStack(cpu, ext);
  const frame = [image, cpu.S[SEG_SELECTOR + CS], eip];
  if (event.errorCode >= 0) frame.push(event.errorCode);
  checkRoom(cpu, stack, frame.length * gate.size, gate.size);
  checkOffset(cpu, code.limit, gate.offset, ext);
  setAccessed(cpu, code);
  setStackPointer(cpu, pushFrame(cpu, stack, gate.size, frame));
  enterCode(cpu, code, cpu.S[CPL], gate.offset);
}

/** INTER-PRIVILEGE-LEVEL-INTERRUPT, and INTERRUPT-FROM-VIRTUAL-8086-MODE, which saves the data segments first and leaves them null. */
function enterInner(
  cpu: Cpu,
  event: ProcessorEvent,
  gate: Gate,
  code: Descriptor,
  image: number,
  eip: number,
  ext: number,
): void {
  const S = cpu.S;
  const cpl = dplOf(code);
  const stack = innerStack(cpu, cpl, ext);
  const from8086 = isVirtual8086(cpu);
  const frame = from8086 ? DATA_SEGMENTS.map((segment) => S[SEG_SELECTOR + segment]) : [];
  frame.push(S[SEG_SELECTOR + SS_], S[ESP], image, S[SEG_SELECTOR + CS], eip);
  if (event.errorCode >= 0) frame.push(event.errorCode);
  checkRoom(cpu, stack, frame.length * gate.size, gate.size);
  checkOffset(cpu, code.limit, gate.offset, ext);
  setAccessed(cpu, stack.descriptor);
  setAccessed(cpu, code);
  const esp = pushFrame(cpu, stack, gate.size, frame);
  // Nothing can fail from here on.
  install(cpu, SS_, stack.selector, stack.descriptor);
  setStackPointer(cpu, esp);
  enterCode(cpu, code, cpl, gate.offset);
  if (from8086) for (const segment of DATA_SEGMENTS) installNull(cpu, segment, 0);
}
