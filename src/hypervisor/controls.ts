/** Which VMX controls this hypervisor wants, fitted to what the processor offers.
 *  Reference: SDM Vol. 3, "VMX Capability Reporting Facility", "Reserved Controls and Default Settings". */

import { InvalidInput } from '../base/errors.ts';
import { hex } from '../base/int.ts';
import { CR4_PAE } from '../base/registers.ts';
import type { RootMode } from '../machine/root-mode.ts';
import * as MSR from '../vmx/capabilities.ts';
import { controlNames, PIN_BASED, PRIMARY, SECONDARY, VM_ENTRY, VM_EXIT } from '../vmx/controls.ts';

export interface Controls {
  readonly pinBased: number;
  readonly primary: number;
  readonly secondary: number;
  /** With shadow paging: the secondary controls while the guest is in real-address mode, null if the processor has none for that. */
  readonly real: number | null;
  readonly exit: number;
  readonly entry: number;
  /** The preemption timer counts one for each 2^timerShift instructions. */
  readonly timerShift: number;
  /** Bits that CR0 and CR4 must have in VMX non-root operation (unrestricted guest: but for PE and PG). */
  readonly cr0Required: number;
  readonly cr4Required: number;
  /** Bits that CR4 may have in VMX operation. */
  readonly cr4Allowed: number;
  /** EPT pages of 2 MiB exist. */
  readonly largePages: boolean;
  readonly vpid: boolean;
}

const TRUE_CONTROLS = 1 << 23; // of IA32_VMX_BASIC, high half: the TRUE MSRs exist
const CR0_PE_PG = 0x8000_0001 | 0;

/** How a VM's memory is translated: by EPT behind the guest's own tables, or by shadow tables in their place. */
export type Paging = 'nested' | 'shadow';

/** Reads the capability MSRs. Throws InvalidInput if something is missing that this hypervisor cannot do without. */
export function chooseControls(root: RootMode, paging: Paging): Controls {
  const isNested = paging === 'nested';
  const msr = (index: number): { lo: number; hi: number } => {
    const value = root.rdmsr(index);
    if (value === 'gp')
      throw new InvalidInput(`the processor has no MSR ${hex(index, 3)}: choose another model with --cpu`);
    return value;
  };
  const choose = (
    name: string,
    index: number,
    table: Readonly<Record<string, number>>,
    needed: number,
    wanted = 0,
  ): number => {
    const { lo, hi } = msr(index);
    const missing = needed & ~hi;
    if (missing) {
      throw new InvalidInput(
        `the processor's ${name} controls lack ${controlNames(table, missing).join(', ')}: choose another model with --cpu`,
      );
    }
    return needed | (wanted & hi) | lo;
  };

  const precise = (msr(MSR.IA32_VMX_BASIC).hi & TRUE_CONTROLS) !== 0;
  const pinBased = choose(
    'pin-based',
    precise ? MSR.IA32_VMX_TRUE_PINBASED_CTLS : MSR.IA32_VMX_PINBASED_CTLS,
    PIN_BASED,
    PIN_BASED.EXTERNAL_INTERRUPT_EXITING | PIN_BASED.NMI_EXITING | PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER,
  );
  const primary = choose(
    'primary processor-based',
    precise ? MSR.IA32_VMX_TRUE_PROCBASED_CTLS : MSR.IA32_VMX_PROCBASED_CTLS,
    PRIMARY,
    PRIMARY.INTERRUPT_WINDOW_EXITING |
      PRIMARY.USE_TSC_OFFSETTING |
      PRIMARY.HLT_EXITING |
      PRIMARY.USE_IO_BITMAPS |
      PRIMARY.USE_MSR_BITMAPS |
      (isNested
        ? PRIMARY.ACTIVATE_SECONDARY_CONTROLS
        : PRIMARY.INVLPG_EXITING | PRIMARY.CR3_LOAD_EXITING | PRIMARY.CR3_STORE_EXITING),
    PRIMARY.ACTIVATE_SECONDARY_CONTROLS,
  );
  const hasSecondary = (primary & PRIMARY.ACTIVATE_SECONDARY_CONTROLS) !== 0;
  const chooseSecondary = (needed: number): number =>
    hasSecondary
      ? choose(
          'secondary processor-based',
          MSR.IA32_VMX_PROCBASED_CTLS2,
          SECONDARY,
          needed,
          SECONDARY.ENABLE_VPID | SECONDARY.ENABLE_RDTSCP,
        )
      : 0;
  const cr4Allowed = msr(MSR.IA32_VMX_CR4_FIXED1).lo;
  if (!isNested && (cr4Allowed & CR4_PAE) === 0)
    throw new InvalidInput('shadow tables are those of PAE paging, which the processor does not have');
  const withEpt = SECONDARY.ENABLE_EPT | SECONDARY.UNRESTRICTED_GUEST;
  const secondary = chooseSecondary(isNested ? withEpt : 0);
  const offersEpt = hasSecondary && (msr(MSR.IA32_VMX_PROCBASED_CTLS2).hi & withEpt) === withEpt;
  const exit = choose(
    'VM-exit',
    precise ? MSR.IA32_VMX_TRUE_EXIT_CTLS : MSR.IA32_VMX_EXIT_CTLS,
    VM_EXIT,
    VM_EXIT.ACKNOWLEDGE_INTERRUPT_ON_EXIT | VM_EXIT.SAVE_DEBUG_CONTROLS,
    VM_EXIT.LOAD_IA32_EFER,
  );
  const entry = choose(
    'VM-entry',
    precise ? MSR.IA32_VMX_TRUE_ENTRY_CTLS : MSR.IA32_VMX_ENTRY_CTLS,
    VM_ENTRY,
    VM_ENTRY.LOAD_DEBUG_CONTROLS,
    VM_ENTRY.LOAD_IA32_EFER,
  );
  return {
    pinBased,
    primary: primary & ~PRIMARY.INTERRUPT_WINDOW_EXITING, // set when an interrupt has to wait
    secondary,
    real: !isNested && offersEpt ? chooseSecondary(withEpt) : null,
    exit,
    entry,
    timerShift: msr(MSR.IA32_VMX_MISC).lo & 31,
    cr0Required: msr(MSR.IA32_VMX_CR0_FIXED0).lo & ~CR0_PE_PG,
    cr4Required: msr(MSR.IA32_VMX_CR4_FIXED0).lo,
    cr4Allowed,
    largePages: offersEpt && (msr(MSR.IA32_VMX_EPT_VPID_CAP).lo & MSR.EPT_CAP.PAGES_2M) !== 0,
    vpid: (secondary & SECONDARY.ENABLE_VPID) !== 0,
  };
}
