/** The VMX state of one logical processor, which the parts of this room work on. No behaviour besides small shared steps. */
import { EVENT_BOUNDARY, EVENTS } from '../base/registers.ts';
import type { Cpu } from '../cpu/cpu.ts';
import {
  EPT_CAP,
  FEATURE_CONTROL_LOCK,
  FEATURE_CONTROL_VMX_OUTSIDE_SMX,
  fieldExists,
  modelCapabilities,
  type VmxCapabilities,
} from './capabilities.ts';
import { EntryView, type FailedCheck } from './checks/index.ts';
import { PRIMARY } from './controls.ts';
import { EXIT_REASONS } from './exit-reasons.ts';
import { fieldOf, WORD } from './field-table.ts';
import { type Vmcs, VmcsStore } from './vmcs.ts';
import { W_PRIMARY, W_SECONDARY } from './words.ts';

export interface VmxSettings {
  /** @defaultValue everything that ringlet has, for the processor's model */
  readonly capabilities?: VmxCapabilities;
  /** Decides where fields stand in VMCS regions. @defaultValue 1 */
  readonly layoutSeed?: number;
  /** IA32_FEATURE_CONTROL after reset. @defaultValue 5: firmware has allowed VMX and locked the register */
  readonly featureControl?: number;
  /** Look at all entry checks in every VM entry, and compare with what looking at the changed groups says. For tests. */
  readonly checkEverything?: boolean;
}

/** A VM entry that failed, and the rules that it broke. */
export interface EntryFailure {
  /** VM-instruction error 7 or 8, or 0 if the entry ended in an exit. */
  readonly error: number;
  /** Basic exit reason 33 or 34, or 0. */
  readonly reason: number;
  /** In the manual's order; the first one decided. */
  readonly rows: readonly FailedCheck[];
}

const hasField = (encoding: number, capabilities: VmxCapabilities): boolean => {
  const field = fieldOf(encoding);
  return field !== undefined && fieldExists(field.encoding, capabilities);
};

/** Who watches VM entries and exits; it changes nothing. */
export interface VmxObserver {
  /** A VM entry has loaded guest state and is about to inject what it has to. */
  onEntry?(): void;
  /** A VM exit, or an entry that failed late, has loaded host state. `reason`: the exit reason as the VMCS holds it, unsigned. */
  onExit?(reason: number): void;
  /** A VM entry has failed because of a rule, early (VM-instruction error 7 or 8) or late (before `onExit`). The VMCS is as it was judged. */
  onEntryFailure?(failure: EntryFailure): void;
}

/** Not in VMX operation; no current VMCS. */
export const NO_POINTER = -1;

export class VmxContext {
  readonly cpu: Cpu;
  readonly capabilities: VmxCapabilities;
  readonly store: VmcsStore;
  readonly view: EntryView;
  readonly checkEverything: boolean;
  /** Address of the VMXON region, NO_POINTER outside VMX operation. */
  vmxonPointer: number = NO_POINTER;
  nonRoot = false;
  /** The current VMCS. In non-root operation always there. */
  current: Vmcs | null = null;
  /** Its words; never read while there is no current VMCS. */
  words: Int32Array;
  featureControl: number;
  /** Word of each encoding for VMREAD and VMWRITE; −1 where this processor has no field. */
  readonly fieldWords: Int16Array;
  /** Offset of a write to the virtual-APIC page that is still to be followed up (virtual-apic.ts); −1: none. */
  apicWrite = -1;
  /** A virtual interrupt is recognised: delivered as soon as the guest can take interrupts. */
  virtualInterrupt = false;
  /** Virtual time of the first and the last PAUSE of the loop that PAUSE-loop exiting watches; −1: none. */
  firstPause = -1;
  lastPause = -1;
  /** Virtual time at which the preemption timer reaches 0; Infinity while it does not run. */
  deadline = Number.POSITIVE_INFINITY;
  /** An exit for the monitor trap flag is due at the next instruction boundary. */
  trapFlagPending = false;
  /** What the last successful VMREAD read, an int32 pattern. */
  readValue = 0;
  lastEntryFailure: EntryFailure | null = null;
  /** Indicator of a VMX abort: the processor has shut down. 0: none. */
  aborted = 0;
  /** VM exits by basic reason. */
  readonly exits = new Uint32Array(EXIT_REASONS);
  entries = 0;
  /** Called after each VM exit, when host state is loaded. */
  onExit: (() => void) | null = null;
  observer: VmxObserver | null = null;

  constructor(cpu: Cpu, settings: VmxSettings) {
    this.cpu = cpu;
    this.capabilities = settings.capabilities ?? modelCapabilities(cpu.model);
    this.store = new VmcsStore(cpu.memory, this.capabilities.regionBytes, settings.layoutSeed ?? 1);
    this.featureControl = settings.featureControl ?? FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    this.checkEverything = settings.checkEverything ?? false;
    this.fieldWords = WORD.map((word, encoding) => (word >= 0 && hasField(encoding, this.capabilities) ? word : -1));
    this.words = new Int32Array(0);
    const offered = this.capabilities.eptVpid.lo;
    cpu.mmu.configureEpt({
      physicalAddressBits: this.capabilities.physicalAddressBits,
      executeOnly: (offered & EPT_CAP.EXECUTE_ONLY) !== 0,
      pages1G: (offered & EPT_CAP.PAGES_1G) !== 0,
      advancedInformation: (offered & EPT_CAP.ADVANCED_INFORMATION) !== 0,
    });
    this.view = new EntryView(this.words, 0, this.capabilities, cpu.memory);
  }

  /** Makes a VMCS current, or none. */
  setCurrent(vmcs: Vmcs | null): void {
    this.current = vmcs;
    if (vmcs === null) return;
    this.words = vmcs.words;
    this.view.words = vmcs.words;
    this.view.pointer = vmcs.address;
  }

  /** A primary processor-based control of the current VMCS. */
  primary(mask: number): boolean {
    return (this.words[W_PRIMARY] & mask) !== 0;
  }

  /** A secondary control; all are 0 unless activated. */
  secondary(mask: number): boolean {
    return (
      (this.words[W_PRIMARY] & PRIMARY.ACTIVATE_SECONDARY_CONTROLS) !== 0 && (this.words[W_SECONDARY] & mask) !== 0
    );
  }

  /** Asks for a look at the next instruction boundary, or not any more. */
  wantBoundary(wanted: boolean): void {
    const S = this.cpu.S;
    if (wanted) S[EVENTS] |= EVENT_BOUNDARY;
    else S[EVENTS] &= ~EVENT_BOUNDARY;
  }
}
