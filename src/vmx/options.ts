/** What makes one processor's VMX another than the next one's (SDM Vol. 3, Appendix A, "VMX Capability Reporting Facility"). */
import type { U64 } from '../base/int.ts';

/** What differs between models. Control words hold the bits that software may set beyond the reserved ones. */
export interface VmxOptions {
  readonly pinBased: number;
  readonly primary: number;
  readonly secondary: number;
  readonly exit: number;
  readonly entry: number;
  /** CR4 bits that may be one in VMX operation. */
  readonly cr4: number;
  /** IA32_DEBUGCTL bits that exist. */
  readonly debugctl: number;
  /** MAXPHYADDR: width of addresses in page tables and in EPT entries. */
  readonly physicalAddressBits: number;
  readonly cr3Targets: number;
  /** Bit of the time-stamp counter whose changes the preemption timer counts. */
  readonly timerRate: number;
  /** EPT_VPID_CAP, halves (0 where EPT and VPID are not offered). */
  readonly eptVpid: U64;
  /** Bits of the VM-function controls that may be one (IA32_VMX_VMFUNC). */
  readonly vmFunctions: number;
  /** Activity states besides active, as bits 8:6 of IA32_VMX_MISC: 1 HLT, 2 shutdown, 4 wait-for-SIPI. */
  readonly activityStates: number;
  /** The TRUE capability MSRs exist: some default settings may be changed. */
  readonly trueControls: boolean;
  /** VMWRITE may write read-only data fields. */
  readonly writesReadOnlyFields: boolean;
  /** A software event may be injected with an instruction length of 0. */
  readonly zeroLengthInjection: boolean;
  readonly revision: number;
}

/** Bits of EPT_VPID_CAP, low half. */
export const EPT_CAP = {
  EXECUTE_ONLY: 1 << 0,
  WALK_LENGTH_4: 1 << 6,
  MEMORY_TYPE_UC: 1 << 8,
  MEMORY_TYPE_WB: 1 << 14,
  PAGES_2M: 1 << 16,
  PAGES_1G: 1 << 17,
  INVEPT: 1 << 20,
  ACCESSED_DIRTY: 1 << 21,
  ADVANCED_INFORMATION: 1 << 22,
  INVEPT_SINGLE_CONTEXT: 1 << 25,
  INVEPT_ALL_CONTEXT: 1 << 26,
} as const;
/** Bits of EPT_VPID_CAP, high half. */
export const VPID_CAP = {
  INVVPID: 1 << 0,
  INDIVIDUAL_ADDRESS: 1 << 8,
  SINGLE_CONTEXT: 1 << 9,
  ALL_CONTEXT: 1 << 10,
  SINGLE_CONTEXT_RETAINING_GLOBALS: 1 << 11,
} as const;
