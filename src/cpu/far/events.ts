/** What becomes of an event: VM exit, delivery, double fault, shutdown (SDM Vol. 3, "Interrupt 8—Double Fault Exception (#DF)";
 *  "Exit Behavior of VMX Non-Root Operation" for the order in which the execution monitor is asked). */

import {
  ACTIVITY,
  CR0,
  CR0_PE,
  CR2,
  DEBUG_BD,
  DEBUG_MONITOR,
  DEBUG_WATCH,
  EIP,
  EVENT_HALT,
  EVENTS,
  INTERRUPTIBILITY,
  START_EIP,
} from '../../base/registers.ts';
import {
  DB,
  DE,
  DF,
  GP,
  NMI,
  NP,
  PF,
  SIGNAL_EXCEPTION,
  SIGNAL_EXITED,
  type Signal,
  SS,
  TS,
  VE,
} from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { forgetTrap, noteDebugException } from '../debugging/state.ts';
import type { Instruction } from '../instruction.ts';
import type { ProcessorEvent } from '../monitor.ts';
import { checkSensitive } from '../system/privilege.ts';
import { deliver, HARDWARE_EXCEPTION, NMI_EVENT, SOFTWARE_INTERRUPT } from './deliver.ts';
import { quickInterrupt } from './quick.ts';

const BLOCKING_BY_NMI = 8;
const ACTIVITY_SHUTDOWN = 2;
const ACTIVITY_WAIT_FOR_SIPI = 3;
/** Blocking by STI and by MOV SS: on this processor both keep NMIs out, too. */
const SHADOW = 3;

/** Classes of the double-fault table. */
const BENIGN = 0;
const CONTRIBUTORY = 1;
const PAGE_FAULT = 2;
const DOUBLE_FAULT = 3;

function classOf(event: ProcessorEvent): number {
  if (event.type !== HARDWARE_EXCEPTION) return BENIGN;
  switch (event.vector) {
    case DE:
    case TS:
    case NP:
    case SS:
    case GP:
      return CONTRIBUTORY;
    case PF:
    case VE:
      return PAGE_FAULT;
    case DF:
      return DOUBLE_FAULT;
    default:
      return BENIGN;
  }
}

/** Whether two events, the second met while the first was delivered, make something worse than the second. */
function escalates(first: number, second: number): boolean {
  if (second === BENIGN) return false;
  return first === CONTRIBUTORY ? second === CONTRIBUTORY : first === PAGE_FAULT || first === DOUBLE_FAULT;
}

/** The exception that the signal describes, as an event. Real-address mode knows no error codes. */
export function exceptionEvent(cpu: Cpu, signal: Signal): ProcessorEvent {
  return {
    vector: signal.vector,
    type: HARDWARE_EXCEPTION,
    errorCode: cpu.S[CR0] & CR0_PE ? signal.errorCode : -1,
    instructionLength: 0,
    address: signal.vector === PF ? signal.linear : 0,
    ...(signal.vector === DB ? { debug: DEBUG_BD } : {}),
  };
}

/** Takes an NMI that waits, if nothing blocks it: VM exit or delivery. */
export function takeNmi(cpu: Cpu): boolean {
  const { S } = cpu;
  if (!cpu.nmiDue || (S[INTERRUPTIBILITY] & SHADOW) !== 0 || S[ACTIVITY] === ACTIVITY_WAIT_FOR_SIPI) return false;
  cpu.nmiPending = false;
  cpu.updateInterruptEvent();
  dispatch(cpu, { vector: NMI, type: NMI_EVENT, errorCode: -1, instructionLength: 0, address: 0 });
  return true;
}

/** Brings `event` to its end: exit, handler, or shutdown. S[EIP] names the instruction that it belongs to (types 4 to 6: the one
 *  that asks for it, so that exits and nested faults find it there). `injected`: by VM entry, hence not subject to an exit itself
 *  and without effect on CR2. True if the event itself, and no other, was delivered. */
export function dispatch(cpu: Cpu, event: ProcessorEvent, injected = false): boolean {
  forgetTrap(cpu);
  try {
    return resolve(cpu, event, injected);
  } finally {
    cpu.delivering = null;
    cpu.isRepeating = false;
    if ((cpu.S[DEBUG_WATCH] & DEBUG_MONITOR) !== 0 && cpu.monitor?.nonRoot) cpu.monitor.stepped();
  }
}

function resolve(cpu: Cpu, asked: ProcessorEvent, injected: boolean): boolean {
  const event = asked.errorCode >= 0 && (cpu.S[CR0] & CR0_PE) === 0 ? { ...asked, errorCode: -1 } : asked;
  if (!injected && exits(cpu, event)) return false;
  if (!injected) noteInRegisters(cpu, event);
  let current = event;
  for (;;) {
    if (attempt(cpu, current, injected && current === event)) return current === event;
    if (cpu.signal.kind !== SIGNAL_EXCEPTION) return false; // an exit took place
    // An exception while `current` was delivered: first of all it may leave by itself, with `current` as the vectored event.
    const next = exceptionEvent(cpu, cpu.signal);
    if (exits(cpu, next)) return false;
    noteInRegisters(cpu, next);
    if (!escalates(classOf(current), classOf(next))) {
      current = next;
      continue;
    }
    cpu.delivering = null;
    if (classOf(current) === DOUBLE_FAULT) {
      shutDown(cpu);
      return false;
    }
    current = {
      vector: DF,
      type: HARDWARE_EXCEPTION,
      errorCode: cpu.S[CR0] & CR0_PE ? 0 : -1,
      instructionLength: 0,
      address: 0,
    };
    if (exits(cpu, current)) return false;
  }
}

/** Asks the execution monitor, with the event that is under way still in `delivering`. */
function exits(cpu: Cpu, event: ProcessorEvent): boolean {
  return cpu.monitor?.nonRoot === true && cpu.monitor.interceptEvent(event);
}

/** A page fault that is not intercepted leaves its address in CR2, even if it becomes a double fault; a debug exception what it
 *  found in DR6. */
function noteInRegisters(cpu: Cpu, event: ProcessorEvent): void {
  if (event.type !== HARDWARE_EXCEPTION) return;
  if (event.vector === PF) cpu.S[CR2] = event.address;
  else if (event.debug !== undefined) noteDebugException(cpu, event.debug);
}

/** One delivery. False: the signal says what prevented it, an exit included. */
function attempt(cpu: Cpu, event: ProcessorEvent, injected: boolean): boolean {
  const S = cpu.S;
  cpu.delivering = event;
  cpu.observer?.onEvent?.(event, injected);
  if (S[ACTIVITY] !== 0) {
    S[ACTIVITY] = 0;
    S[EVENTS] &= ~EVENT_HALT;
  }
  if (event.type === NMI_EVENT) S[INTERRUPTIBILITY] |= BLOCKING_BY_NMI;
  try {
    if (deliver(cpu, event, injected)) return true;
    cpu.signal.kind = SIGNAL_EXITED;
  } catch (thrown) {
    if (thrown !== cpu.signal) throw thrown;
    if (cpu.signal.kind !== SIGNAL_EXCEPTION && cpu.signal.kind !== SIGNAL_EXITED) {
      cpu.monitor?.eptEvent();
      cpu.signal.kind = SIGNAL_EXITED;
    }
  }
  return false;
}

/** A fault while a double fault is delivered. */
function shutDown(cpu: Cpu): void {
  if (cpu.monitor?.nonRoot && cpu.monitor.interceptTripleFault()) return;
  cpu.S[ACTIVITY] = ACTIVITY_SHUTDOWN;
  cpu.S[EVENTS] |= EVENT_HALT;
}

/** INT n, INT3, INTO and INT1: an event at the instruction itself. One that ends elsewhere does not count as executed. */
export function softwareEvent(cpu: Cpu, i: Instruction, vector: number, type: ProcessorEvent['type']): void {
  // INT n is not subject to the exception bitmap, so there is nobody to ask.
  if (type === SOFTWARE_INTERRUPT) {
    checkSensitive(cpu, 'INT n');
    if (quickInterrupt(cpu, vector, i.length)) {
      forgetTrap(cpu);
      return;
    }
  }
  cpu.S[EIP] = cpu.S[START_EIP];
  const event = { vector, type, errorCode: -1, instructionLength: i.length, address: 0 };
  if (!dispatch(cpu, event)) cpu.retires = 0;
}
