/** Events in non-root operation (SDM Vol. 3, "Exceptions", "External Interrupts", "Other Causes of VM Exits"): what exits,
 *  and what is looked at between two instructions. */
import {
  ACTIVITY,
  EFLAGS,
  EIP,
  EVENT_BOUNDARY,
  EVENTS,
  FLAG_IF,
  INTERRUPTIBILITY,
  PENDING_DEBUG,
  START_EIP,
} from '../base/registers.ts';
import { DB, PF, SIGNAL_APIC_ACCESS, SIGNAL_EPT_MISCONFIGURATION, SIGNAL_PML_FULL } from '../base/signal.ts';
import { takeNmi } from '../cpu/far/events.ts';
import type { ProcessorEvent } from '../cpu/monitor.ts';
import { APIC_GUEST_PHYSICAL } from '../mmu/faults.ts';
import type { VmxContext } from './context.ts';
import {
  ACTIVITY_HLT,
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_NMI,
  BLOCKING_BY_STI,
  INTERRUPTION_ERROR_CODE,
  INTERRUPTION_NMI_UNBLOCKING,
  INTERRUPTION_TYPE,
  PIN_BASED,
  PRIMARY,
  VM_EXIT,
} from './controls.ts';
import { exitAtBoundary, exitEpt, exitEvent, exitInstruction, unblockedNmi } from './exit.ts';
import { EXIT } from './exit-reasons.ts';
import { deliverVirtualInterrupt } from './virtual-apic.ts';
import { becomesException } from './virtualization-exception.ts';
import * as W from './words.ts';

const T = INTERRUPTION_TYPE;
/** Exit qualification of APIC accesses, 15:12. */
const KIND_GUEST_PHYSICAL_DELIVERY = 10;

const pin = (x: VmxContext, control: number): boolean => (x.words[W.W_PIN] & control) !== 0;

/** Does the event leave the guest instead of being delivered? */
export function interceptEvent(x: VmxContext, event: ProcessorEvent): boolean {
  switch (event.type) {
    case T.EXTERNAL_INTERRUPT:
      // The loop has acknowledged it already, which it does only if no exit is due: see boundary().
      return false;
    case T.NMI:
      if (!pin(x, PIN_BASED.NMI_EXITING)) return false;
      exitEvent(x, EXIT.EXCEPTION_OR_NMI, 0, event.vector | (T.NMI << 8), 0, 0);
      return true;
    case T.SOFTWARE_INTERRUPT:
      return false;
    default:
      if (!exceptionExits(x, event)) return false;
      exitForException(x, event);
      return true;
  }
}

/** "Exception bitmap"; page faults also by error code: bit 14 applies if the masked code matches, its opposite if not. */
function exceptionExits(x: VmxContext, event: ProcessorEvent): boolean {
  const w = x.words;
  const bit = (w[W.W_EXCEPTIONS] >>> event.vector) & 1;
  if (event.vector !== PF) return bit !== 0;
  const matches = (event.errorCode & w[W.W_PF_MASK]) === w[W.W_PF_MATCH];
  return matches ? bit !== 0 : bit === 0;
}

/** Qualification: the linear address of a page fault, or what a debug exception would have put into DR6. CR2, DR6 and DR7 keep their
 *  values, and nothing of a debug exception stays pending. */
function exitForException(x: VmxContext, event: ProcessorEvent): void {
  let info = event.vector | (event.type << 8);
  if (event.errorCode >= 0) info |= INTERRUPTION_ERROR_CODE;
  const qualification = event.vector === PF ? event.address : (event.debug ?? 0);
  if (event.vector === DB) x.cpu.S[PENDING_DEBUG] = 0;
  exitEvent(x, EXIT.EXCEPTION_OR_NMI, qualification, info, event.errorCode, event.instructionLength);
}

/** "INIT signals": nothing of what they do elsewhere is done. */
export function interceptInit(x: VmxContext): boolean {
  exitAtBoundary(x, EXIT.INIT, 0);
  return true;
}

/** "Start-up IPIs". Qualification: the vector. */
export function interceptStartUp(x: VmxContext, vector: number): boolean {
  exitAtBoundary(x, EXIT.SIPI, vector);
  return true;
}

/** "Task switches are not allowed in VMX non-root operation". Qualification: selector 15:0, source 31:30. */
export function interceptTaskSwitch(x: VmxContext, selector: number, source: number): boolean {
  const qualification = selector | (source << 30);
  const S = x.cpu.S;
  if (x.cpu.delivering !== null) {
    if (x.cpu.delivering.type < T.SOFTWARE_INTERRUPT) x.words[W.W_LENGTH] = 0;
    exitEpt(x, EXIT.TASK_SWITCH, qualification); // saves RF as the old TSS would hold it
  } else exitInstruction(x, EXIT.TASK_SWITCH, qualification, (S[EIP] - S[START_EIP]) & 15, 0);
  return true;
}

/** The signal holds an EPT violation or misconfiguration, or a write that the page-modification log has no room for. */
export function eptEvent(x: VmxContext): void {
  const { signal } = x.cpu;
  const w = x.words;
  if (signal.kind === SIGNAL_APIC_ACCESS) {
    exitEpt(x, EXIT.APIC_ACCESS, apicAccess(x, signal.qualification));
    return;
  }
  const unblocking = unblockedNmi(x) ? INTERRUPTION_NMI_UNBLOCKING : 0;
  if (signal.kind === SIGNAL_PML_FULL) {
    exitEpt(x, EXIT.PML_FULL, unblocking);
    return;
  }
  const qualification = signal.qualification | unblocking;
  if (signal.kind !== SIGNAL_EPT_MISCONFIGURATION && becomesException(x, qualification)) return;
  w[W.W_GUEST_PHYSICAL] = signal.guestPhysicalLow;
  w[W.W_GUEST_PHYSICAL + 1] = signal.guestPhysicalHigh;
  if (signal.kind === SIGNAL_EPT_MISCONFIGURATION) {
    exitEpt(x, EXIT.EPT_MISCONFIGURATION, 0);
    return;
  }
  w[W.W_GUEST_LINEAR] = signal.linear;
  exitEpt(x, EXIT.EPT_VIOLATION, qualification);
}

/** A guest-physical access counts as one of the event that is delivered, or of the instruction. */
function apicAccess(x: VmxContext, qualification: number): number {
  const isOfEvent = qualification >> 12 === APIC_GUEST_PHYSICAL && x.cpu.delivering !== null;
  return isOfEvent ? (qualification & 0xfff) | (KIND_GUEST_PHYSICAL_DELIVERY << 12) : qualification;
}

/** External interrupts exit, whatever RFLAGS.IF says. */
export const interruptsExit = (x: VmxContext): boolean => x.nonRoot && pin(x, PIN_BASED.EXTERNAL_INTERRUPT_EXITING);

/** Software wants to know when the guest can take an interrupt. */
export const windowWanted = (x: VmxContext): boolean => x.nonRoot && x.primary(PRIMARY.INTERRUPT_WINDOW_EXITING);

/** "Monitor Trap Flag": an exit before all debug exceptions; those that are pending are saved. */
export function trapFlagExit(x: VmxContext): boolean {
  if (!x.trapFlagPending) return false;
  exitAtBoundary(x, EXIT.MONITOR_TRAP_FLAG, 0);
  return true;
}

/** Real NMIs all exit: what is blocked are virtual ones. */
export const virtualNmis = (x: VmxContext): boolean => x.nonRoot && pin(x, PIN_BASED.VIRTUAL_NMIS);

/** "IRET": with NMI exiting it ends the blocking of virtual NMIs only. */
export const iretUnblocksNmis = (x: VmxContext): boolean =>
  !x.nonRoot || !pin(x, PIN_BASED.NMI_EXITING) || pin(x, PIN_BASED.VIRTUAL_NMIS);

/** Between two instructions, in the order of priority: preemption timer, NMI window, NMI, interrupt window, external interrupt.
 *  Windows and interrupts do not end the shutdown and wait-for-SIPI states. */
export function boundary(x: VmxContext): boolean {
  if (!x.nonRoot) {
    x.cpu.S[EVENTS] &= ~EVENT_BOUNDARY;
    return false;
  }
  const S = x.cpu.S;
  if (x.cpu.now() >= x.deadline) {
    exitAtBoundary(x, EXIT.PREEMPTION_TIMER, 0);
    return true;
  }
  const blocking = S[INTERRUPTIBILITY];
  const awake = S[ACTIVITY] <= ACTIVITY_HLT;
  const shadow = blocking & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  // "A logical processor may also prevent such a VM exit if there is blocking of events by STI": this one does, and keeps NMIs out.
  if (awake && x.primary(PRIMARY.NMI_WINDOW_EXITING) && (blocking & BLOCKING_BY_NMI) === 0 && shadow === 0) {
    exitAtBoundary(x, EXIT.NMI_WINDOW, 0);
    return true;
  }
  if (takeNmi(x.cpu)) return true;
  if (awake && shadow === 0) {
    if ((S[EFLAGS] & FLAG_IF) !== 0 && windowWanted(x)) {
      exitAtBoundary(x, EXIT.INTERRUPT_WINDOW, 0);
      return true;
    }
    if ((S[EFLAGS] & FLAG_IF) !== 0 && x.virtualInterrupt) {
      deliverVirtualInterrupt(x);
      return true;
    }
    if (x.cpu.interruptLine && interruptsExit(x)) {
      exitForInterrupt(x);
      return true;
    }
  }
  if (!x.primary(PRIMARY.NMI_WINDOW_EXITING)) S[EVENTS] &= ~EVENT_BOUNDARY;
  return false;
}

/** The vector is recorded only if the interrupt is acknowledged on exit; else it stays pending in its controller. */
function exitForInterrupt(x: VmxContext): void {
  if ((x.words[W.W_EXIT_CONTROLS] & VM_EXIT.ACKNOWLEDGE_INTERRUPT_ON_EXIT) === 0) {
    exitAtBoundary(x, EXIT.EXTERNAL_INTERRUPT, 0);
    return;
  }
  const vector = x.cpu.interruptController.acknowledge();
  exitEvent(x, EXIT.EXTERNAL_INTERRUPT, 0, vector | (T.EXTERNAL_INTERRUPT << 8), 0, 0);
}
