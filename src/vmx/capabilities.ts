/** What a processor offers in VMX (SDM Vol. 3, Appendix A, "VMX Capability Reporting Facility"), and the MSRs that say so. */

import type { U64 } from '../base/int.ts';
import { cr4Mask, type ProcessorModel } from '../cpu/model.ts';
import { DEBUGCTL_BITS } from '../cpu/msr.ts';
import { PIN_BASED, PRIMARY, SECONDARY, VM_ENTRY, VM_EXIT, VM_FUNCTION } from './controls.ts';
import { FIELDS } from './field-table.ts';
import * as F from './fields.ts';
import { generationOptions } from './generations.ts';
import { EPT_CAP, type VmxOptions, VPID_CAP } from './options.ts';

export { EPT_CAP, type VmxOptions, VPID_CAP };

/** Bits of one control word: those that must be one, and those that may be one. */
export interface ControlWord {
  readonly allowed0: number;
  readonly allowed1: number;
}

export interface VmxCapabilities {
  readonly revision: number;
  /** Bytes of a VMXON or VMCS region. */
  readonly regionBytes: number;
  readonly pinBased: ControlWord;
  readonly primary: ControlWord;
  readonly secondary: ControlWord;
  readonly exit: ControlWord;
  readonly entry: ControlWord;
  readonly cr0Fixed0: number;
  readonly cr0Fixed1: number;
  readonly cr4Fixed0: number;
  readonly cr4Fixed1: number;
  readonly debugctl: number;
  readonly physicalAddressBits: number;
  readonly cr3Targets: number;
  readonly timerRate: number;
  /** Activity states besides active, as bits 8:6 of IA32_VMX_MISC: 1 HLT, 2 shutdown, 4 wait-for-SIPI. */
  readonly activityStates: number;
  /** Most entries that an MSR area may have. */
  readonly msrAreaEntries: number;
  readonly eptVpid: U64;
  /** Bits of the VM-function controls that may be one. */
  readonly vmFunctions: number;
  readonly trueControls: boolean;
  readonly writesReadOnlyFields: boolean;
  readonly zeroLengthInjection: boolean;
}

/** Reserved bits that must be one, as the TRUE capability MSRs have them … */
const DEFAULT1 = { pinBased: 0x16, primary: 0x0400_6172, exit: 0x0003_6dfb, entry: 0x0000_11fb } as const;
/** … and those that the older MSRs add to them (CR3 exiting, debug controls). */
const DEFAULT1_OLD = { primary: 0x0401_e172, exit: 0x0003_6dff, entry: 0x0000_11ff } as const;

/** The default model: a 32-bit processor with EPT, VPID and unrestricted guest. */
export const defaultVmxOptions: VmxOptions = {
  pinBased:
    PIN_BASED.EXTERNAL_INTERRUPT_EXITING |
    PIN_BASED.NMI_EXITING |
    PIN_BASED.VIRTUAL_NMIS |
    PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER,
  primary:
    PRIMARY.INTERRUPT_WINDOW_EXITING |
    PRIMARY.USE_TSC_OFFSETTING |
    PRIMARY.HLT_EXITING |
    PRIMARY.INVLPG_EXITING |
    PRIMARY.RDPMC_EXITING |
    PRIMARY.RDTSC_EXITING |
    PRIMARY.CR3_LOAD_EXITING |
    PRIMARY.CR3_STORE_EXITING |
    PRIMARY.USE_TPR_SHADOW |
    PRIMARY.NMI_WINDOW_EXITING |
    PRIMARY.MOV_DR_EXITING |
    PRIMARY.UNCONDITIONAL_IO_EXITING |
    PRIMARY.USE_IO_BITMAPS |
    PRIMARY.MONITOR_TRAP_FLAG |
    PRIMARY.USE_MSR_BITMAPS |
    PRIMARY.PAUSE_EXITING |
    PRIMARY.ACTIVATE_SECONDARY_CONTROLS,
  secondary:
    SECONDARY.VIRTUALIZE_APIC_ACCESSES |
    SECONDARY.VIRTUALIZE_X2APIC_MODE |
    SECONDARY.APIC_REGISTER_VIRTUALIZATION |
    SECONDARY.VIRTUAL_INTERRUPT_DELIVERY |
    SECONDARY.ENABLE_EPT |
    SECONDARY.DESCRIPTOR_TABLE_EXITING |
    SECONDARY.ENABLE_RDTSCP |
    SECONDARY.ENABLE_VPID |
    SECONDARY.WBINVD_EXITING |
    SECONDARY.UNRESTRICTED_GUEST |
    SECONDARY.PAUSE_LOOP_EXITING |
    SECONDARY.ENABLE_VM_FUNCTIONS |
    SECONDARY.VMCS_SHADOWING |
    SECONDARY.ENABLE_PML |
    SECONDARY.EPT_VIOLATION_VE |
    SECONDARY.USE_TSC_SCALING,
  exit:
    VM_EXIT.SAVE_DEBUG_CONTROLS |
    VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL |
    VM_EXIT.ACKNOWLEDGE_INTERRUPT_ON_EXIT |
    VM_EXIT.SAVE_IA32_PAT |
    VM_EXIT.LOAD_IA32_PAT |
    VM_EXIT.SAVE_IA32_EFER |
    VM_EXIT.LOAD_IA32_EFER |
    VM_EXIT.SAVE_VMX_PREEMPTION_TIMER_VALUE,
  entry:
    VM_ENTRY.LOAD_DEBUG_CONTROLS |
    VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL |
    VM_ENTRY.LOAD_IA32_PAT |
    VM_ENTRY.LOAD_IA32_EFER,
  cr4: 0x21bc, // TSD DE PSE PAE PGE PCE VMXE
  debugctl: DEBUGCTL_BITS,
  physicalAddressBits: 36,
  cr3Targets: 4,
  timerRate: 0,
  eptVpid: {
    lo:
      EPT_CAP.EXECUTE_ONLY |
      EPT_CAP.WALK_LENGTH_4 |
      EPT_CAP.MEMORY_TYPE_UC |
      EPT_CAP.MEMORY_TYPE_WB |
      EPT_CAP.PAGES_2M |
      EPT_CAP.PAGES_1G |
      EPT_CAP.ACCESSED_DIRTY |
      EPT_CAP.ADVANCED_INFORMATION |
      EPT_CAP.INVEPT |
      EPT_CAP.INVEPT_SINGLE_CONTEXT |
      EPT_CAP.INVEPT_ALL_CONTEXT,
    hi:
      VPID_CAP.INVVPID |
      VPID_CAP.INDIVIDUAL_ADDRESS |
      VPID_CAP.SINGLE_CONTEXT |
      VPID_CAP.ALL_CONTEXT |
      VPID_CAP.SINGLE_CONTEXT_RETAINING_GLOBALS,
  },
  vmFunctions: VM_FUNCTION.EPTP_SWITCHING,
  activityStates: 7,
  trueControls: true,
  writesReadOnlyFields: true,
  zeroLengthInjection: true,
  revision: 0x0052_494e,
};

/** The capabilities that a model's options make. */
export function vmxCapabilities(options: VmxOptions = defaultVmxOptions): VmxCapabilities {
  const word = (allowed0: number, settable: number): ControlWord => ({ allowed0, allowed1: allowed0 | settable });
  const must = options.trueControls ? DEFAULT1 : DEFAULT1_OLD;
  return {
    revision: options.revision,
    regionBytes: 1024,
    pinBased: word(DEFAULT1.pinBased, options.pinBased),
    primary: word(must.primary, options.primary),
    secondary: word(0, options.secondary),
    exit: word(must.exit, options.exit),
    entry: word(must.entry, options.entry),
    cr0Fixed0: 0x8000_0021 | 0, // PG, NE, PE
    cr0Fixed1: -1,
    cr4Fixed0: 0x2000, // VMXE
    cr4Fixed1: options.cr4,
    debugctl: options.debugctl,
    physicalAddressBits: options.physicalAddressBits,
    cr3Targets: options.cr3Targets,
    timerRate: options.timerRate,
    activityStates: options.activityStates,
    trueControls: options.trueControls,
    writesReadOnlyFields: options.writesReadOnlyFields,
    zeroLengthInjection: options.zeroLengthInjection,
    msrAreaEntries: 512,
    eptVpid: options.eptVpid,
    vmFunctions: options.vmFunctions,
  };
}

/** What ringlet offers on a processor of that model. */
export function modelCapabilities(model: ProcessorModel): VmxCapabilities {
  const options = generationOptions(defaultVmxOptions, model.vmx);
  return vmxCapabilities({
    ...options,
    exit: options.exit & ~withoutMsrs(model, EXIT_MSR_CONTROLS),
    entry: options.entry & ~withoutMsrs(model, ENTRY_MSR_CONTROLS),
    cr4: cr4Mask(model),
    physicalAddressBits: model.physicalAddressBits,
  });
}

/** Controls about an MSR that only some models have. */
type MsrControls = { readonly pat: number; readonly efer: number; readonly performance: number };
const EXIT_MSR_CONTROLS: MsrControls = {
  pat: VM_EXIT.SAVE_IA32_PAT | VM_EXIT.LOAD_IA32_PAT,
  efer: VM_EXIT.SAVE_IA32_EFER | VM_EXIT.LOAD_IA32_EFER,
  performance: VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL,
};
const ENTRY_MSR_CONTROLS: MsrControls = {
  pat: VM_ENTRY.LOAD_IA32_PAT,
  efer: VM_ENTRY.LOAD_IA32_EFER,
  performance: VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL,
};

/** The controls about MSRs that the model does not have. */
function withoutMsrs(model: ProcessorModel, controls: MsrControls): number {
  const features: ReadonlySet<string> = model.features;
  return (
    (features.has('PAT') ? 0 : controls.pat) |
    (features.has('NX') ? 0 : controls.efer) |
    (model.performanceMonitoring > 0 ? 0 : controls.performance)
  );
}

/** Does `word` allow setting all bits of `mask`? */
export const offers = (word: ControlWord, mask: number): boolean => (word.allowed1 & mask) === mask;

type Needs = (c: VmxCapabilities) => boolean;
const pinBased =
  (mask: number): Needs =>
  (c) =>
    offers(c.pinBased, mask);
const primary =
  (mask: number): Needs =>
  (c) =>
    offers(c.primary, mask);
const secondary =
  (mask: number): Needs =>
  (c) =>
    offers(c.primary, PRIMARY.ACTIVATE_SECONDARY_CONTROLS) && offers(c.secondary, mask);
const exit =
  (mask: number): Needs =>
  (c) =>
    offers(c.exit, mask);
/** The guest's value exists if it can be loaded or saved. */
const entryOrExit =
  (entry: number, saving: number): Needs =>
  (c) =>
    offers(c.entry, entry) || (saving !== 0 && offers(c.exit, saving));
const S = SECONDARY;

/** Controls that bring fields with them: without the control the field does not exist. */
const NEEDS: ReadonlyMap<number, Needs> = new Map([
  [F.VIRTUAL_PROCESSOR_IDENTIFIER, secondary(S.ENABLE_VPID)],
  [F.POSTED_INTERRUPT_NOTIFICATION_VECTOR, pinBased(PIN_BASED.PROCESS_POSTED_INTERRUPTS)],
  [F.EPTP_INDEX, secondary(S.EPT_VIOLATION_VE)],
  [F.GUEST_INTERRUPT_STATUS, secondary(S.VIRTUAL_INTERRUPT_DELIVERY)],
  [F.PML_INDEX, secondary(S.ENABLE_PML)],
  [F.MSR_BITMAP_ADDRESS, primary(PRIMARY.USE_MSR_BITMAPS)],
  [F.PML_ADDRESS, secondary(S.ENABLE_PML)],
  [F.VIRTUAL_APIC_ADDRESS, primary(PRIMARY.USE_TPR_SHADOW)],
  [F.APIC_ACCESS_ADDRESS, secondary(S.VIRTUALIZE_APIC_ACCESSES)],
  [F.POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, pinBased(PIN_BASED.PROCESS_POSTED_INTERRUPTS)],
  [F.VM_FUNCTION_CONTROLS, secondary(S.ENABLE_VM_FUNCTIONS)],
  [F.EPT_POINTER, secondary(S.ENABLE_EPT)],
  [F.EOI_EXIT_BITMAP_0, secondary(S.VIRTUAL_INTERRUPT_DELIVERY)],
  [F.EOI_EXIT_BITMAP_1, secondary(S.VIRTUAL_INTERRUPT_DELIVERY)],
  [F.EOI_EXIT_BITMAP_2, secondary(S.VIRTUAL_INTERRUPT_DELIVERY)],
  [F.EOI_EXIT_BITMAP_3, secondary(S.VIRTUAL_INTERRUPT_DELIVERY)],
  [F.EPTP_LIST_ADDRESS, secondary(S.ENABLE_VM_FUNCTIONS)],
  [F.VMREAD_BITMAP_ADDRESS, secondary(S.VMCS_SHADOWING)],
  [F.VMWRITE_BITMAP_ADDRESS, secondary(S.VMCS_SHADOWING)],
  [F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, secondary(S.EPT_VIOLATION_VE)],
  [F.TSC_MULTIPLIER, secondary(S.USE_TSC_SCALING)],
  [F.GUEST_PHYSICAL_ADDRESS, secondary(S.ENABLE_EPT)],
  [F.GUEST_IA32_PAT, entryOrExit(VM_ENTRY.LOAD_IA32_PAT, VM_EXIT.SAVE_IA32_PAT)],
  [F.GUEST_IA32_EFER, entryOrExit(VM_ENTRY.LOAD_IA32_EFER, VM_EXIT.SAVE_IA32_EFER)],
  [F.GUEST_IA32_PERF_GLOBAL_CTRL, entryOrExit(VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL, 0)],
  [F.GUEST_PDPTE0, secondary(S.ENABLE_EPT)],
  [F.GUEST_PDPTE1, secondary(S.ENABLE_EPT)],
  [F.GUEST_PDPTE2, secondary(S.ENABLE_EPT)],
  [F.GUEST_PDPTE3, secondary(S.ENABLE_EPT)],
  [F.HOST_IA32_PAT, exit(VM_EXIT.LOAD_IA32_PAT)],
  [F.HOST_IA32_EFER, exit(VM_EXIT.LOAD_IA32_EFER)],
  [F.HOST_IA32_PERF_GLOBAL_CTRL, exit(VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL)],
  [F.TPR_THRESHOLD, primary(PRIMARY.USE_TPR_SHADOW)],
  [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, primary(PRIMARY.ACTIVATE_SECONDARY_CONTROLS)],
  [F.PLE_GAP, secondary(S.PAUSE_LOOP_EXITING)],
  [F.PLE_WINDOW, secondary(S.PAUSE_LOOP_EXITING)],
  [F.VMX_PREEMPTION_TIMER_VALUE, pinBased(PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER)],
]);

/** Does a processor with these capabilities have the field? */
export function fieldExists(encoding: number, capabilities: VmxCapabilities): boolean {
  return NEEDS.get(encoding)?.(capabilities) ?? true;
}

/** MSR indices, by the manual's names. */
export const IA32_FEATURE_CONTROL = 0x3a;
export const IA32_VMX_BASIC = 0x480;
export const IA32_VMX_PINBASED_CTLS = 0x481;
export const IA32_VMX_PROCBASED_CTLS = 0x482;
export const IA32_VMX_EXIT_CTLS = 0x483;
export const IA32_VMX_ENTRY_CTLS = 0x484;
export const IA32_VMX_MISC = 0x485;
export const IA32_VMX_CR0_FIXED0 = 0x486;
export const IA32_VMX_CR0_FIXED1 = 0x487;
export const IA32_VMX_CR4_FIXED0 = 0x488;
export const IA32_VMX_CR4_FIXED1 = 0x489;
export const IA32_VMX_VMCS_ENUM = 0x48a;
export const IA32_VMX_PROCBASED_CTLS2 = 0x48b;
export const IA32_VMX_EPT_VPID_CAP = 0x48c;
export const IA32_VMX_TRUE_PINBASED_CTLS = 0x48d;
export const IA32_VMX_TRUE_PROCBASED_CTLS = 0x48e;
export const IA32_VMX_TRUE_EXIT_CTLS = 0x48f;
export const IA32_VMX_TRUE_ENTRY_CTLS = 0x490;
export const IA32_VMX_VMFUNC = 0x491;

/** IA32_FEATURE_CONTROL bits. */
export const FEATURE_CONTROL_LOCK = 1 << 0;
export const FEATURE_CONTROL_VMX_OUTSIDE_SMX = 1 << 2;

/** Highest index of a field that there is (bits 9:1 of the encodings), for IA32_VMX_VMCS_ENUM. */
const highestIndex = (c: VmxCapabilities): number =>
  Math.max(...FIELDS.map((field) => (fieldExists(field.encoding, c) ? field.encoding & 0x3fe : 0)));

/** Value of a read-only capability MSR, or undefined if the processor has no such MSR. */
export function capabilityMsr(c: VmxCapabilities, index: number): U64 | undefined {
  const control = (word: ControlWord, more = 0): U64 => ({ lo: word.allowed0 | more, hi: word.allowed1 | more });
  const secondary = offers(c.primary, PRIMARY.ACTIVATE_SECONDARY_CONTROLS);
  switch (index) {
    case IA32_VMX_BASIC: // size, bit 48: 32-bit addresses, memory type WB, INS/OUTS information, TRUE MSRs
      return { lo: c.revision, hi: c.regionBytes | (1 << 16) | (6 << 18) | (1 << 22) | (c.trueControls ? 1 << 23 : 0) };
    case IA32_VMX_PINBASED_CTLS:
      return control(c.pinBased);
    case IA32_VMX_TRUE_PINBASED_CTLS:
      return c.trueControls ? control(c.pinBased) : undefined;
    case IA32_VMX_PROCBASED_CTLS:
      return control(c.primary, DEFAULT1_OLD.primary);
    case IA32_VMX_TRUE_PROCBASED_CTLS:
      return c.trueControls ? control(c.primary) : undefined;
    case IA32_VMX_EXIT_CTLS:
      return control(c.exit, DEFAULT1_OLD.exit);
    case IA32_VMX_TRUE_EXIT_CTLS:
      return c.trueControls ? control(c.exit) : undefined;
    case IA32_VMX_ENTRY_CTLS:
      return control(c.entry, DEFAULT1_OLD.entry);
    case IA32_VMX_TRUE_ENTRY_CTLS:
      return c.trueControls ? control(c.entry) : undefined;
    case IA32_VMX_MISC:
      return {
        lo:
          c.timerRate |
          (c.activityStates << 6) |
          (c.cr3Targets << 16) |
          ((c.msrAreaEntries / 512 - 1) << 25) |
          (c.writesReadOnlyFields ? 1 << 29 : 0) |
          (c.zeroLengthInjection ? 1 << 30 : 0),
        hi: 0,
      };
    case IA32_VMX_CR0_FIXED0:
      return { lo: c.cr0Fixed0, hi: 0 };
    case IA32_VMX_CR0_FIXED1:
      return { lo: c.cr0Fixed1, hi: 0 };
    case IA32_VMX_CR4_FIXED0:
      return { lo: c.cr4Fixed0, hi: 0 };
    case IA32_VMX_CR4_FIXED1:
      return { lo: c.cr4Fixed1, hi: 0 };
    case IA32_VMX_VMCS_ENUM:
      return { lo: highestIndex(c), hi: 0 };
    case IA32_VMX_PROCBASED_CTLS2:
      return secondary ? control(c.secondary) : undefined;
    case IA32_VMX_EPT_VPID_CAP:
      return secondary && (c.secondary.allowed1 & (SECONDARY.ENABLE_EPT | SECONDARY.ENABLE_VPID)) !== 0
        ? c.eptVpid
        : undefined;
    case IA32_VMX_VMFUNC:
      return secondary && offers(c.secondary, SECONDARY.ENABLE_VM_FUNCTIONS) ? { lo: c.vmFunctions, hi: 0 } : undefined;
    default:
      return undefined;
  }
}
