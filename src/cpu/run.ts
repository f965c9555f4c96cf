/** Runs a processor: from instruction boundary to instruction boundary, events in between. */

import { Unimplemented } from '../base/errors.ts';
import {
  ACTIVITY,
  CS,
  EFLAGS,
  EIP,
  EVENT_BOUNDARY,
  EVENT_DEBUG,
  EVENT_HALT,
  EVENT_INTERRUPT,
  EVENT_STOP,
  EVENTS,
  FLAG_IF,
  INTERRUPTIBILITY,
  SEG_BASE,
} from '../base/registers.ts';
import { SIGNAL_ALONE, SIGNAL_EXCEPTION } from '../base/signal.ts';
import type { Cpu } from './cpu.ts';
import { debugBoundary } from './debugging/boundary.ts';
import { needsSteps } from './debugging/state.ts';
import { breaksBefore, stepDebugged } from './debugging/step.ts';
import { dispatch, exceptionEvent, takeNmi } from './far/events.ts';
import { interpret } from './interpreter.generated.ts';
import { MODE_SINGLE } from './mode.ts';
import { BLOCK_LIMIT } from './records.ts';
import { takeInit } from './reset.ts';
import { trainInterpreter } from './train.ts';

const HEADROOM = BLOCK_LIMIT + 1;
/** Blocking by STI and by MOV SS: both last until the next instruction is done. */
const SHADOW = 3;

/** Activity states as VMX numbers them. */
const ACTIVITY_HLT = 1;
const ACTIVITY_SHUTDOWN = 2;

/** Why `run` came back. */
export type RunEnd =
  | 'budget' // the instructions are used up
  | 'halted' // HLT, and no interrupt can be taken now
  | 'shutdown' // triple fault
  | 'stopped'; // EVENT_STOP was set

/** Runs at most `budget` instructions (at least 1; exact). Throws `Unimplemented` with address and bytes filled in. */
export function run(cpu: Cpu, budget: number): RunEnd {
  trainInterpreter();
  cpu.endTime = cpu.now() + budget;
  cpu.remaining = budget;
  cpu.cut = Number.POSITIVE_INFINITY;
  if (cpu.monitor !== null && cpu.monitor.nextDeadline() <= cpu.now()) cpu.S[EVENTS] |= EVENT_BOUNDARY;
  try {
    return execute(cpu);
  } catch (error) {
    if (error instanceof Unimplemented && error.address === undefined) locate(cpu, error);
    throw error;
  }
}

function execute(cpu: Cpu): RunEnd {
  const S = cpu.S;
  while (cpu.remaining > 0) {
    if (S[EVENTS] !== 0) {
      const end = boundary(cpu);
      if (end === 'again') continue;
      if (end !== null) return end;
      // A VM exit took place and somebody waits for it, or the delivery of an interrupt ended in a shutdown.
      if ((S[EVENTS] & (EVENT_STOP | EVENT_HALT)) !== 0) continue;
      if (cpu.remaining <= 0) break;
      if ((S[EVENTS] & EVENT_DEBUG) !== 0) {
        debugged(cpu);
        continue;
      }
    }
    const isWatched = cpu.observer?.onInstruction !== undefined;
    if (isWatched) cpu.observer?.onInstruction?.();
    if ((S[INTERRUPTIBILITY] & SHADOW) !== 0) inShadow(cpu);
    else if (isWatched) {
      if (single(cpu)) deliverSignal(cpu);
    } else {
      const exact = cpu.remaining <= HEADROOM;
      const headroom = exact ? 1 : HEADROOM;
      if (interpret(cpu, cpu.remaining - headroom, headroom, exact ? MODE_SINGLE : 0)) deliverSignal(cpu);
    }
  }
  return 'budget';
}

/** One instruction while debugging features are in use, or the fault that a breakpoint on it makes. */
function debugged(cpu: Cpu): void {
  if (breaksBefore(cpu)) return;
  cpu.observer?.onInstruction?.();
  if ((cpu.S[INTERRUPTIBILITY] & SHADOW) !== 0) inShadow(cpu);
  else stepDebugged(cpu, single, deliverSignal);
}

/** One instruction under blocking by STI or MOV SS; the blocking ends with it. */
function inShadow(cpu: Cpu): void {
  const before = cpu.monitor?.nonRoot ?? false;
  if ((cpu.S[EVENTS] & EVENT_DEBUG) !== 0) stepDebugged(cpu, single, deliverSignal);
  else if (single(cpu)) deliverSignal(cpu);
  // A VM exit saved the blocking, a VM entry loaded another: then it is no longer ours to end.
  if ((cpu.monitor?.nonRoot ?? false) === before) {
    cpu.S[INTERRUPTIBILITY] &= ~SHADOW;
    cpu.updateInterruptEvent();
  }
}

/** One instruction of a longer run. True when the signal holds an event that has to be delivered. */
function single(cpu: Cpu): boolean {
  const rest = cpu.remaining - 1;
  cpu.remaining = 1;
  cpu.endTime -= rest;
  cpu.isAlone = true;
  const pending = interpret(cpu, 0, 1, MODE_SINGLE);
  cpu.isAlone = false;
  cpu.remaining += rest;
  cpu.endTime += rest;
  if (cpu.cut < cpu.endTime) cpu.shorten(cpu.cut);
  return pending;
}

/** An event that an instruction met: exceptions are delivered, EPT events leave the guest. */
function deliverSignal(cpu: Cpu): void {
  const { signal } = cpu;
  if (signal.kind === SIGNAL_ALONE) {
    if (single(cpu)) deliverSignal(cpu);
    return;
  }
  if (signal.kind !== SIGNAL_EXCEPTION) {
    cpu.monitor?.eptEvent();
    cpu.nmiUnblocked = false;
    return;
  }
  dispatch(cpu, exceptionEvent(cpu, signal));
  cpu.nmiUnblocked = false;
}

/** What happens between two instructions (SDM Vol. 3, "Priority Among Concurrent Events"). Null: go on;
 *  'again': look at the boundary of the context that came into force. */
function boundary(cpu: Cpu): RunEnd | 'again' | null {
  const { S } = cpu;
  if (S[EVENTS] & EVENT_STOP) {
    S[EVENTS] &= ~EVENT_STOP;
    return 'stopped';
  }
  if (S[EVENTS] & EVENT_BOUNDARY && cpu.monitor?.afterInstruction()) return 'again';
  if (S[EVENTS] & EVENT_INTERRUPT && takeInit(cpu)) return 'again';
  if (S[EVENTS] & EVENT_DEBUG && debugBoundary(cpu)) return 'again';
  if (S[EVENTS] & (EVENT_BOUNDARY | EVENT_INTERRUPT) && cpu.monitor?.boundary()) return null;
  if (S[EVENTS] & EVENT_INTERRUPT && takeNmi(cpu)) return S[EVENTS] & EVENT_DEBUG ? 'again' : null;
  // Interrupts do not end these; that of a guest is its hypervisor's matter.
  if (S[ACTIVITY] > ACTIVITY_HLT)
    return S[ACTIVITY] === ACTIVITY_SHUTDOWN && cpu.monitor?.nonRoot !== true ? 'shutdown' : 'halted';
  const shadow = S[INTERRUPTIBILITY] & SHADOW;
  if (S[EVENTS] & EVENT_INTERRUPT && cpu.interruptLine && (S[EFLAGS] & FLAG_IF) !== 0 && shadow === 0) {
    wake(cpu);
    const vector = cpu.interruptController.acknowledge();
    dispatch(cpu, { vector, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
    return S[EVENTS] & EVENT_DEBUG ? 'again' : null;
  }
  if (S[EVENTS] & EVENT_HALT) return 'halted';
  if (S[EVENTS] & EVENT_DEBUG) needsSteps(cpu);
  return null;
}

/** Leaves the HLT state. */
export function wake(cpu: Cpu): void {
  cpu.S[ACTIVITY] = 0;
  cpu.S[EVENTS] &= ~EVENT_HALT;
}

/** Fills in where an unimplemented instruction stands. */
function locate(cpu: Cpu, error: Unimplemented): void {
  const { S, mmu, memory } = cpu;
  error.address = (S[EIP] + S[SEG_BASE + CS]) >>> 0;
  const bytes: number[] = [];
  for (let k = 0; k < 15; k++) {
    const at = mmu.physicalOf((error.address + k) | 0, 'fetch');
    if (!at.ok) break;
    bytes.push(memory.read8(at.hostPhysical));
  }
  error.bytes = bytes;
}
