/** VM entries (SDM Vol. 3, "VM Entries"): checks, loading guest state, event injection. */
import { Unimplemented } from '../base/errors.ts';
import {
  ACTIVITY,
  CPL,
  CR0,
  DEBUGCTL,
  DR7,
  DR7_FIXED,
  EIP,
  EVENT_DEBUG,
  EVENT_HALT,
  EVENT_STOP,
  EVENTS,
  FLAG_AC,
  INTERRUPTIBILITY,
  MODE,
  PENDING_DEBUG,
} from '../base/registers.ts';
import { debugRegistersChanged } from '../cpu/debugging/breakpoints.ts';
import { forgetDebugging } from '../cpu/debugging/state.ts';
import { dispatch } from '../cpu/far/events.ts';
import type { ProcessorEvent } from '../cpu/monitor.ts';
import { DR7_WRITABLE } from '../cpu/system/debug-registers.ts';
import { apicFrame } from './apic-page.ts';
import {
  ALL_GROUPS,
  type EntryCheck,
  type FailedCheck,
  failedChecks,
  firstFailure,
  groupsOfStage,
  type Stage,
} from './checks/index.ts';
import type { VmxContext } from './context.ts';
import {
  ACTIVITY_HLT,
  ACTIVITY_WAIT_FOR_SIPI,
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_STI,
  INTERRUPTION_ERROR_CODE,
  INTERRUPTION_TYPE,
  PIN_BASED,
  PRIMARY,
  SECONDARY,
  VM_ENTRY,
} from './controls.ts';
import { CR0_LOADED, loadHostState, noteTrapFlag } from './exit.ts';
import { ENTRY_FAILURE, EXIT, VM_ERROR } from './exit-reasons.ts';
import { loadMsrArea } from './msr-areas.ts';
import { ENTRY_MSRS, loadGuestMsrs } from './msr-fields.ts';
import { loadGuestPdptes } from './pdptes.ts';
import { selectDirtyLog } from './pml.ts';
import { activateLinked } from './shadow-vmcs.ts';
import { loadGuestRegisters } from './state-copy.generated.ts';
import { enterVirtualApic } from './virtual-apic.ts';
import type { Vmcs } from './vmcs.ts';
import * as W from './words.ts';

/** What became of VMLAUNCH or VMRESUME besides an error number: the guest's state, or the host's after a late failure, is loaded. */
export const ENTERED = 0;

/** VMLAUNCH and VMRESUME from the launch-state check on. Returns ENTERED or a VM-instruction error.
 *  `retiring`: 1 if an instruction is executing, which will count as retired before the guest's first one. */
export function enter(x: VmxContext, vmcs: Vmcs, launch: boolean, retiring: 0 | 1): number {
  // "Basic VM-Entry Checks"
  if ((x.cpu.S[INTERRUPTIBILITY] & BLOCKING_BY_MOV_SS) !== 0) return VM_ERROR.ENTRY_MOV_SS_BLOCKING;
  if (launch && vmcs.launched) return VM_ERROR.VMLAUNCH_NON_CLEAR;
  if (!launch && !vmcs.launched) return VM_ERROR.VMRESUME_NON_LAUNCHED;
  // "Checks on VMX Controls and Host-State Area"
  if (failing(x, vmcs, 'controls') !== null) return refused(x, VM_ERROR.ENTRY_INVALID_CONTROL, 'controls');
  if (failing(x, vmcs, 'host') !== null) return refused(x, VM_ERROR.ENTRY_INVALID_HOST_STATE, 'host');
  // "Checking and Loading Guest State"
  const broken = failing(x, vmcs, 'guest');
  if (broken !== null) {
    failLate(x, EXIT.ENTRY_FAILURE_GUEST_STATE, broken.qualification, rowsOf(x, 'guest'));
    return ENTERED;
  }
  refuseUnimplemented(x.words);
  loadGuestState(x, retiring);
  // "Loading MSRs"
  const w = x.words;
  if (w[W.W_ENTRY_MSR_LOAD_COUNT] !== 0) {
    const result = loadMsrArea(x, w[W.W_ENTRY_MSR_LOAD], w[W.W_ENTRY_MSR_LOAD_COUNT]);
    if (result.entry !== 0) {
      const message = `entry ${result.entry} of the VM-entry MSR-load area cannot be loaded`;
      failLate(x, EXIT.ENTRY_FAILURE_MSR_LOADING, result.entry, [
        { id: result.rule, section: 'Loading MSRs', message, fields: [], stage: 'guest' },
      ]);
      return ENTERED;
    }
  }
  vmcs.launched = true;
  x.lastEntryFailure = null;
  x.entries++;
  x.observer?.onEntry?.();
  if (w[W.W_ENTRY_INFO] < 0) inject(x);
  return ENTERED;
}

/** The first row of a stage that does not hold. Looks only at groups that have changed since they held. */
function failing(x: VmxContext, vmcs: Vmcs, stage: Stage): EntryCheck | null {
  const broken = firstFailure(x.view, stage, vmcs.unchecked);
  if (x.checkEverything) {
    const all = firstFailure(x.view, stage, ALL_GROUPS);
    if (all !== broken)
      throw new Error(`entry checks disagree: ${broken?.id} of the changed groups, ${all?.id} of all`);
  }
  if (broken === null) vmcs.unchecked &= ~groupsOfStage(stage);
  return broken;
}

const rowsOf = (x: VmxContext, stage: Stage): FailedCheck[] =>
  failedChecks(x.view).filter((row) => row.stage === stage);

function refused(x: VmxContext, error: number, stage: Stage): number {
  x.lastEntryFailure = { error, reason: 0, rows: rowsOf(x, stage) };
  x.observer?.onEntryFailure?.(x.lastEntryFailure);
  return error;
}

/** "VM-Entry Failures During or After Loading Guest State": guest state is not saved, the injection stays valid. */
function failLate(x: VmxContext, reason: number, qualification: number, rows: readonly FailedCheck[]): void {
  const w = x.words;
  x.lastEntryFailure = { error: 0, reason, rows };
  w[W.W_REASON] = reason | ENTRY_FAILURE;
  w[W.W_QUALIFICATION] = qualification;
  w[W.W_EXIT_INFO] = 0;
  w[W.W_VECTORING] = 0;
  x.exits[reason]++;
  x.observer?.onEntryFailure?.(x.lastEntryFailure);
  loadHostState(x);
}

/** A guest may ask for what the machine does not have yet; better to say so at once. */
function refuseUnimplemented(w: Int32Array): void {
  const flags = w[W.W_GUEST_RFLAGS];
  const cpl3 = (w[W.W_GUEST_SS_ACCESS] & 0x60) === 0x60;
  if ((flags & FLAG_AC) !== 0 && (w[W.W_GUEST_CR0] & 0x4_0000) !== 0 && cpl3)
    throw new Unimplemented('alignment check');
}

/** "Loading Guest State". */
function loadGuestState(x: VmxContext, retiring: number): void {
  const { cpu } = x;
  const { S, mmu } = cpu;
  const w = x.words;
  loadGuestRegisters(S, w);
  S[CR0] = (S[CR0] & ~CR0_LOADED) | (w[W.W_GUEST_CR0] & CR0_LOADED);
  S[EIP] = w[W.W_GUEST_RIP];
  S[CPL] = (w[W.W_GUEST_SS_ACCESS] >> 5) & 3;
  S[MODE] = -1;
  x.nonRoot = true;
  S[EVENTS] &= EVENT_STOP;
  if (S[ACTIVITY] !== 0) S[EVENTS] |= EVENT_HALT;
  if ((w[W.W_ENTRY_CONTROLS] & ENTRY_MSRS) !== 0) loadGuestMsrs(x);
  x.lastPause = -1;
  startTimer(x, cpu.now() + retiring);
  loadDebugState(x);
  cpu.setFlags(w[W.W_GUEST_RFLAGS]);
  const nmiWindow = x.primary(PRIMARY.NMI_WINDOW_EXITING);
  x.wantBoundary(nmiWindow || x.deadline <= cpu.now());
  cpu.shorten(x.deadline);
  // "Clearing Address-Range Monitoring" has no object. "Updating translation caches":
  mmu.vpid = x.secondary(SECONDARY.ENABLE_VPID) ? w[W.W_VPID] : 0;
  mmu.eptEnabled = x.secondary(SECONDARY.ENABLE_EPT);
  mmu.eptpLow = w[W.W_EPTP];
  mmu.eptpHigh = w[W.W_EPTP + 1];
  selectDirtyLog(x);
  activateLinked(x);
  mmu.setApicFrame(apicFrame(x));
  mmu.vmTransition();
  loadGuestPdptes(x);
  enterVirtualApic(x);
  if (x.apicWrite >= 0) x.wantBoundary(true);
}

/** Debug registers, trap flag of the monitor, pending debug exceptions ("Delivery of Pending Debug Exceptions after VM Entry"). */
function loadDebugState(x: VmxContext): void {
  const { cpu } = x;
  const { S } = cpu;
  const w = x.words;
  noteTrapFlag(x);
  forgetDebugging(cpu);
  if ((w[W.W_ENTRY_CONTROLS] & VM_ENTRY.LOAD_DEBUG_CONTROLS) !== 0) {
    const dr7 = (w[W.W_GUEST_DR7] & DR7_WRITABLE) | DR7_FIXED;
    S[DEBUGCTL] = w[W.W_DEBUGCTL];
    if (S[DR7] !== dr7) {
      S[DR7] = dr7;
      debugRegistersChanged(cpu);
    }
  }
  const pending = w[W.W_PENDING_DEBUG];
  if (pending === 0 || discardsPending(x)) return;
  S[PENDING_DEBUG] = pending;
  S[EVENTS] |= EVENT_DEBUG;
}

/** Whether no debug exceptions are pending after the entry, whatever their field says. */
function discardsPending(x: VmxContext): boolean {
  const { S } = x.cpu;
  const info = x.words[W.W_ENTRY_INFO];
  const type = (info >>> 8) & 7;
  const T = INTERRUPTION_TYPE;
  if (info >= 0 || type === T.OTHER_EVENT) return S[ACTIVITY] > ACTIVITY_HLT;
  if (type === T.SOFTWARE_INTERRUPT || type === T.SOFTWARE_EXCEPTION)
    return (S[INTERRUPTIBILITY] & BLOCKING_BY_MOV_SS) === 0;
  return true;
}

function startTimer(x: VmxContext, now: number): void {
  // It does not run while the processor waits for a SIPI.
  if (
    (x.words[W.W_PIN] & PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER) === 0 ||
    x.cpu.S[ACTIVITY] === ACTIVITY_WAIT_FOR_SIPI
  ) {
    x.deadline = Number.POSITIVE_INFINITY;
    return;
  }
  const unit = 2 ** x.capabilities.timerRate;
  const value = x.words[W.W_TIMER] >>> 0;
  x.deadline = value === 0 ? now : (Math.floor(now / unit) + value) * unit;
}

/** "Event Injection": delivered through the guest's IDT; the event itself is not subject to interception. */
function inject(x: VmxContext): void {
  const w = x.words;
  const info = w[W.W_ENTRY_INFO];
  // "Injection of Pending MTF VM Exits": nothing is delivered.
  if (((info >>> 8) & 7) === INTERRUPTION_TYPE.OTHER_EVENT) {
    x.trapFlagPending = true;
    x.cpu.S[EVENTS] |= EVENT_DEBUG;
    return;
  }
  const type = ((info >>> 8) & 7) as ProcessorEvent['type'];
  // "Interruptibility state": an entry that injects leaves no blocking by STI or MOV SS.
  x.cpu.S[INTERRUPTIBILITY] &= ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
  const event: ProcessorEvent = {
    vector: info & 0xff,
    type,
    errorCode: (info & INTERRUPTION_ERROR_CODE) !== 0 ? w[W.W_ENTRY_ERROR_CODE] & 0xffff : -1,
    instructionLength: type >= INTERRUPTION_TYPE.SOFTWARE_INTERRUPT ? w[W.W_ENTRY_LENGTH] : 0,
    address: 0,
  };
  dispatch(x.cpu, event, true);
}
