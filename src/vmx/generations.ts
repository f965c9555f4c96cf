/** What VMX offered when (SDM Vol. 3, Appendix A, and the processors that brought each part): limits on what ringlet has. */
import type { VmxGeneration } from '../cpu/model.ts';
import { PIN_BASED, SECONDARY, VM_ENTRY, VM_EXIT } from './controls.ts';
import { EPT_CAP, type VmxOptions } from './options.ts';

/** Bits and properties that a generation lacks. */
interface Lacks {
  readonly pinBased: number;
  readonly primary: number;
  readonly secondary: number;
  readonly exit: number;
  readonly entry: number;
  /** Of EPT_VPID_CAP, low half. */
  readonly ept: number;
  readonly options: Partial<VmxOptions>;
}

const NOTHING: Lacks = { pinBased: 0, primary: 0, secondary: 0, exit: 0, entry: 0, ept: 0, options: {} };

const AFTER_PML = SECONDARY.USE_TSC_SCALING | SECONDARY.MODE_BASED_EXECUTE_CONTROL;
const AFTER_EPT =
  AFTER_PML |
  SECONDARY.APIC_REGISTER_VIRTUALIZATION |
  SECONDARY.VIRTUAL_INTERRUPT_DELIVERY |
  SECONDARY.ENABLE_VM_FUNCTIONS |
  SECONDARY.VMCS_SHADOWING |
  SECONDARY.ENABLE_PML |
  SECONDARY.EPT_VIOLATION_VE |
  SECONDARY.RDRAND_EXITING |
  SECONDARY.RDSEED_EXITING;
/** Of the secondary controls the first processors that had any offered these. */
const FIRST_SECONDARY = SECONDARY.VIRTUALIZE_APIC_ACCESSES | SECONDARY.WBINVD_EXITING;

const LACKS: Readonly<Record<VmxGeneration, Lacks>> = {
  all: NOTHING,
  pml: { ...NOTHING, secondary: AFTER_PML },
  ept: {
    ...NOTHING,
    pinBased: PIN_BASED.PROCESS_POSTED_INTERRUPTS,
    secondary: AFTER_EPT,
    ept: EPT_CAP.ACCESSED_DIRTY | EPT_CAP.ADVANCED_INFORMATION,
    options: { vmFunctions: 0, writesReadOnlyFields: false, zeroLengthInjection: false },
  },
  // The preemption timer came with the second generation in fact; it stays, because it is no matter of paging.
  first: {
    pinBased: PIN_BASED.PROCESS_POSTED_INTERRUPTS,
    primary: 0,
    secondary: ~FIRST_SECONDARY,
    exit:
      VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL |
      VM_EXIT.SAVE_IA32_PAT |
      VM_EXIT.LOAD_IA32_PAT |
      VM_EXIT.SAVE_IA32_EFER |
      VM_EXIT.LOAD_IA32_EFER,
    entry: VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL | VM_ENTRY.LOAD_IA32_PAT | VM_ENTRY.LOAD_IA32_EFER,
    ept: -1,
    options: {
      vmFunctions: 0,
      trueControls: false,
      writesReadOnlyFields: false,
      zeroLengthInjection: false,
      eptVpid: { lo: 0, hi: 0 },
    },
  },
};

/** The part of `options` that a generation has. */
export function generationOptions(options: VmxOptions, generation: VmxGeneration): VmxOptions {
  const lacks = LACKS[generation];
  return {
    ...options,
    pinBased: options.pinBased & ~lacks.pinBased,
    primary: options.primary & ~lacks.primary,
    secondary: options.secondary & ~lacks.secondary,
    exit: options.exit & ~lacks.exit,
    entry: options.entry & ~lacks.entry,
    eptVpid: { lo: options.eptVpid.lo & ~lacks.ept, hi: options.eptVpid.hi },
    ...lacks.options,
  };
}
