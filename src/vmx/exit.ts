/** VM exits (SDM Vol. 3, "VM Exits"): recording why, saving guest state, loading host state. */
import {
  ACTIVITY,
  AR_UNUSABLE,
  CPL,
  CR0,
  CR3,
  CR4,
  CS,
  DEBUG_B,
  DEBUG_BD,
  DEBUG_BS,
  DEBUG_ENABLED,
  DEBUG_MONITOR,
  DEBUG_WATCH,
  DEBUGCTL,
  DR7,
  DR7_FIXED,
  DS,
  EIP,
  ES,
  ESP,
  EVENT_HALT,
  EVENT_STOP,
  EVENTS,
  FLAG_RF,
  FS,
  GDTR_BASE,
  GDTR_LIMIT,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  LDTR,
  MODE,
  PENDING_DEBUG,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  START_EIP,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TR,
} from '../base/registers.ts';
import { DB } from '../base/signal.ts';
import { debugRegistersChanged } from '../cpu/debugging/breakpoints.ts';
import { forgetDebugging } from '../cpu/debugging/state.ts';
import type { VmxContext } from './context.ts';
import {
  BLOCKING_BY_NMI,
  INTERRUPTION_ERROR_CODE,
  INTERRUPTION_NMI_UNBLOCKING,
  INTERRUPTION_TYPE,
  INTERRUPTION_VALID,
  PIN_BASED,
  PRIMARY,
  SECONDARY,
  VM_EXIT,
} from './controls.ts';
import { EXIT, VMX_ABORT } from './exit-reasons.ts';
import { loadMsrArea, storeMsrArea } from './msr-areas.ts';
import { EXIT_MSRS, loadHostMsrs, saveGuestMsrs } from './msr-fields.ts';
import { loadHostPdptes, saveGuestPdptes } from './pdptes.ts';
import { setWord } from './set-word.ts';
import { saveGuestRegisters } from './state-copy.generated.ts';
import * as W from './words.ts';

/** CR0 bits that VM entries and exits load: PG AM WP NE TS EM MP PE. The others keep their values. */
export const CR0_LOADED = 0x8005_002f | 0;

/** Type and vector of a debug exception in interruption information. */
const HARDWARE_DB = (INTERRUPTION_TYPE.HARDWARE_EXCEPTION << 8) | DB;
/** What the field for pending debug exceptions holds: B0 to B3, enabled breakpoint, BS. */
const PENDING_FIELD = DEBUG_B | DEBUG_ENABLED | DEBUG_BS;

/** Host segments (SDM Vol. 3, "Loading Host Segment and Descriptor-Table Registers"). */
const HOST_CODE = 0xc09b;
const HOST_DATA = 0xc093;
const HOST_TSS = 0x8b;

/** An exit instead of an instruction: RIP names it, its length is recorded, it does not count as executed.
 *  `info`: VM-exit instruction information, 0 where the manual leaves it undefined. */
export function exitInstruction(
  x: VmxContext,
  reason: number,
  qualification: number,
  length: number,
  info: number,
): void {
  const w = x.words;
  w[W.W_EXIT_INFO] = 0;
  w[W.W_VECTORING] = 0;
  w[W.W_LENGTH] = length;
  w[W.W_INSTRUCTION_INFO] = info;
  x.cpu.retires = 0;
  leave(x, reason, qualification, x.cpu.S[START_EIP], x.cpu.getFlags() & ~FLAG_RF);
}

/** An exit between two instructions. */
export function exitAtBoundary(x: VmxContext, reason: number, qualification: number): void {
  x.words[W.W_EXIT_INFO] = 0;
  recordVectoring(x);
  leave(x, reason, qualification, x.cpu.S[EIP], x.cpu.boundaryFlags());
}

/** An exit because of an event, or because of one met during the delivery of another. `info`: interruption information. */
export function exitEvent(
  x: VmxContext,
  reason: number,
  qualification: number,
  info: number,
  errorCode: number,
  length: number,
): void {
  const w = x.words;
  w[W.W_EXIT_INFO] = info | INTERRUPTION_VALID;
  if ((info & INTERRUPTION_ERROR_CODE) !== 0) w[W.W_EXIT_ERROR_CODE] = errorCode;
  if (unblockedNmi(x)) w[W.W_EXIT_INFO] |= INTERRUPTION_NMI_UNBLOCKING;
  recordVectoring(x);
  if (length > 0) w[W.W_LENGTH] = length;
  const detect = (info & 0x7ff) === HARDWARE_DB && (qualification & DEBUG_BD) !== 0; // general detect is a fault
  const fault = detect || isFault((info >> 8) & 7, info & 0xff);
  leave(x, reason, qualification, x.cpu.S[EIP], fault ? x.cpu.getFlags() | FLAG_RF : x.cpu.boundaryFlags());
}

/** An exit because of EPT: the access can be tried again. */
export function exitEpt(x: VmxContext, reason: number, qualification: number): void {
  const w = x.words;
  w[W.W_EXIT_INFO] = 0;
  recordVectoring(x);
  const flags = x.cpu.getFlags();
  const event = x.cpu.delivering;
  const fault = event === null || isFault(event.type, event.vector);
  leave(x, reason, qualification, x.cpu.S[EIP], fault ? flags | FLAG_RF : flags);
}

/** An IRET has ended blocking by NMI and then faulted: the hypervisor that removes the cause has to bring the blocking back. Undefined
 *  during the delivery of an event, as for the double fault: 0. */
export const unblockedNmi = (x: VmxContext): boolean => x.cpu.nmiUnblocked && x.cpu.delivering === null;

/** RF is 1 in the flags that are saved for a fault (SDM Vol. 3, "Saving RIP, RSP, RFLAGS, and SSP"). */
const isFault = (type: number, vector: number): boolean =>
  type === INTERRUPTION_TYPE.HARDWARE_EXCEPTION && vector !== DB;

/** IDT-vectoring information (SDM Vol. 3, "Information for VM Exits During Event Delivery"): the event that was on its way. */
function recordVectoring(x: VmxContext): void {
  const event = x.cpu.delivering;
  const w = x.words;
  if (event === null) {
    w[W.W_VECTORING] = 0;
    return;
  }
  let info = event.vector | (event.type << 8) | INTERRUPTION_VALID;
  if (event.errorCode >= 0) {
    info |= INTERRUPTION_ERROR_CODE;
    w[W.W_VECTORING_ERROR_CODE] = event.errorCode;
  }
  w[W.W_VECTORING] = info;
  if (event.type >= INTERRUPTION_TYPE.SOFTWARE_INTERRUPT) w[W.W_LENGTH] = event.instructionLength;
}

/** The steps of every VM exit, after the information fields. */
function leave(x: VmxContext, reason: number, qualification: number, rip: number, rflags: number): void {
  const w = x.words;
  w[W.W_REASON] = reason;
  w[W.W_QUALIFICATION] = qualification;
  x.exits[reason]++;
  // "VM-entry control fields": the valid bit of the interruption information is cleared.
  if (w[W.W_ENTRY_INFO] < 0) setWord(x, W.W_ENTRY_INFO, w[W.W_ENTRY_INFO] & ~INTERRUPTION_VALID);
  saveGuestState(x, rip, rflags);
  // "Saving MSRs"
  if (w[W.W_EXIT_MSR_STORE_COUNT] !== 0) {
    if (!storeMsrArea(x, w[W.W_EXIT_MSR_STORE], w[W.W_EXIT_MSR_STORE_COUNT])) {
      abort(x, VMX_ABORT.SAVING_GUEST_MSRS);
      return;
    }
  }
  loadHostState(x);
}

/** "Saving Guest State". */
function saveGuestState(x: VmxContext, rip: number, rflags: number): void {
  const S = x.cpu.S;
  const w = x.words;
  const unchecked = saveGuestRegisters(S, w);
  if (x.current !== null) x.current.unchecked |= unchecked;
  setWord(x, W.W_GUEST_CR0, S[CR0]);
  setWord(x, W.W_GUEST_RFLAGS, rflags);
  w[W.W_GUEST_RIP] = rip;
  setWord(x, W.W_PENDING_DEBUG, S[PENDING_DEBUG] & PENDING_FIELD);
  const controls = w[W.W_EXIT_CONTROLS];
  if ((controls & VM_EXIT.SAVE_DEBUG_CONTROLS) !== 0) {
    setWord(x, W.W_GUEST_DR7, S[DR7]);
    setWord(x, W.W_DEBUGCTL, S[DEBUGCTL]);
    setWord(x, W.W_DEBUGCTL + 1, 0);
  }
  if ((controls & (VM_EXIT.SAVE_IA32_PAT | VM_EXIT.SAVE_IA32_EFER)) !== 0) saveGuestMsrs(x);
  if ((controls & VM_EXIT.SAVE_VMX_PREEMPTION_TIMER_VALUE) !== 0) setWord(x, W.W_TIMER, timerValue(x));
  saveGuestPdptes(x);
}

/** What is left on the preemption timer. */
function timerValue(x: VmxContext): number {
  const unit = 2 ** x.capabilities.timerRate;
  const left = Math.floor(x.deadline / unit) - Math.floor(x.cpu.now() / unit);
  return Math.max(left, 0) | 0;
}

/** "Loading Host State": also after a VM entry that failed late. */
export function loadHostState(x: VmxContext): void {
  const { cpu } = x;
  const { S, mmu } = cpu;
  const w = x.words;
  const nmi = (w[W.W_EXIT_INFO] & 0x8000_0700) === (INTERRUPTION_VALID | (INTERRUPTION_TYPE.NMI << 8));
  const virtualNmis = (w[W.W_PIN] & PIN_BASED.VIRTUAL_NMIS) !== 0;
  x.nonRoot = false;
  x.deadline = Number.POSITIVE_INFINITY;
  x.virtualInterrupt = false;
  x.apicWrite = -1;
  mmu.leaveApicFrame();
  // Control registers, debug registers, MSRs
  S[CR0] = (S[CR0] & ~CR0_LOADED) | (w[W.W_HOST_CR0] & CR0_LOADED);
  S[CR3] = w[W.W_HOST_CR3];
  S[CR4] = w[W.W_HOST_CR4];
  x.trapFlagPending = false;
  noteTrapFlag(x);
  forgetDebugging(cpu);
  if (S[DR7] !== DR7_FIXED) {
    S[DR7] = DR7_FIXED;
    debugRegistersChanged(cpu);
  }
  S[DEBUGCTL] = 0;
  S[SYSENTER_CS] = w[W.W_HOST_SYSENTER_CS];
  S[SYSENTER_ESP] = w[W.W_HOST_SYSENTER_ESP];
  S[SYSENTER_EIP] = w[W.W_HOST_SYSENTER_EIP];
  if ((w[W.W_EXIT_CONTROLS] & EXIT_MSRS) !== 0) loadHostMsrs(x);
  // Segment and descriptor-table registers
  hostSegment(S, CS, w[W.W_HOST_CS], 0, -1, HOST_CODE);
  hostSegment(S, ES, w[W.W_HOST_ES], 0, -1, HOST_DATA);
  hostSegment(S, SS_, w[W.W_HOST_ES + SS_], 0, -1, HOST_DATA);
  hostSegment(S, DS, w[W.W_HOST_ES + DS], 0, -1, HOST_DATA);
  hostSegment(S, FS, w[W.W_HOST_ES + FS], w[W.W_HOST_FS_BASE], -1, HOST_DATA);
  hostSegment(S, GS, w[W.W_HOST_ES + GS], w[W.W_HOST_GS_BASE], -1, HOST_DATA);
  hostSegment(S, TR, w[W.W_HOST_TR], w[W.W_HOST_TR_BASE], 0x67, HOST_TSS);
  hostSegment(S, LDTR, 0, 0, 0, AR_UNUSABLE);
  S[GDTR_BASE] = w[W.W_HOST_GDTR_BASE];
  S[GDTR_LIMIT] = 0xffff;
  S[IDTR_BASE] = w[W.W_HOST_IDTR_BASE];
  S[IDTR_LIMIT] = 0xffff;
  // RIP, RSP, RFLAGS
  S[EIP] = w[W.W_HOST_RIP];
  S[ESP] = w[W.W_HOST_RSP];
  S[CPL] = 0;
  S[MODE] = -1;
  // Non-register state: active; no blocking but by NMI, and that not if it was the guest's virtual one
  S[ACTIVITY] = 0;
  S[INTERRUPTIBILITY] = nmi ? BLOCKING_BY_NMI : virtualNmis ? 0 : S[INTERRUPTIBILITY] & BLOCKING_BY_NMI;
  S[EVENTS] &= EVENT_STOP;
  cpu.setFlags(2);
  // "Updating translation caches" happens within: VPID and EPT are off in root operation
  mmu.vpid = 0;
  mmu.eptEnabled = false;
  mmu.vmTransition(x.secondary(SECONDARY.ENABLE_VPID));
  if (!loadHostPdptes(x)) {
    abort(x, VMX_ABORT.HOST_PDPTES);
    return;
  }
  // "Loading MSRs"
  if (w[W.W_EXIT_MSR_LOAD_COUNT] !== 0) {
    if (loadMsrArea(x, w[W.W_EXIT_MSR_LOAD], w[W.W_EXIT_MSR_LOAD_COUNT]).entry !== 0) {
      abort(x, VMX_ABORT.LOADING_HOST_MSRS);
      return;
    }
  }
  x.observer?.onExit?.(w[W.W_REASON] >>> 0);
  x.onExit?.();
}

/** Whether the guest has to be run one instruction at a time because of its monitor trap flag. */
export function noteTrapFlag(x: VmxContext): void {
  const { S } = x.cpu;
  if (x.nonRoot && x.primary(PRIMARY.MONITOR_TRAP_FLAG)) S[DEBUG_WATCH] |= DEBUG_MONITOR;
  else S[DEBUG_WATCH] &= ~DEBUG_MONITOR;
}

function hostSegment(
  S: Int32Array,
  segment: number,
  selector: number,
  base: number,
  limit: number,
  access: number,
): void {
  S[SEG_SELECTOR + segment] = selector;
  S[SEG_BASE + segment] = base;
  S[SEG_LIMIT + segment] = limit;
  // A null selector leaves a data segment unusable; CS and TR cannot be null (entry checks).
  S[SEG_ACCESS + segment] = selector === 0 ? access | AR_UNUSABLE : access;
}

/** VMX abort (SDM Vol. 3, "VMX Aborts"): the indicator goes into the region, the processor shuts down. */
export function abort(x: VmxContext, indicator: number): void {
  const S = x.cpu.S;
  x.aborted = indicator;
  x.nonRoot = false;
  x.deadline = Number.POSITIVE_INFINITY;
  if (x.current !== null) x.store.abort(x.current.address, indicator);
  S[ACTIVITY] = 2;
  S[EVENTS] |= EVENT_HALT;
  x.onExit?.();
}

/** Exits that the manual calls triple fault. */
export function exitTripleFault(x: VmxContext): void {
  x.words[W.W_VECTORING] = 0;
  x.words[W.W_EXIT_INFO] = 0;
  leave(x, EXIT.TRIPLE_FAULT, 0, x.cpu.S[EIP], x.cpu.getFlags());
}
