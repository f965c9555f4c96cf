/** What a VM-entry check is: one rule of the manual as data, and the view of a VMCS that rules are written against. */
import type { U64 } from '../../base/int.ts';
import type { VmxCapabilities } from '../capabilities.ts';
import { INTERRUPTION_VALID, PRIMARY } from '../controls.ts';
import { WORD } from '../field-table.ts';
import * as F from '../fields.ts';

/** What checks read of host-physical memory. */
export interface CheckMemory {
  read32(at: number): number;
}

/** A VMCS as checks see it. Reading a field that does not exist yields undefined and is an error in the row. */
export class EntryView {
  words: Int32Array;
  readonly capabilities: VmxCapabilities;
  readonly memory: CheckMemory;
  /** Physical address of the VMCS region. */
  pointer: number;

  constructor(words: Int32Array, pointer: number, capabilities: VmxCapabilities, memory: CheckMemory) {
    this.words = words;
    this.pointer = pointer;
    this.capabilities = capabilities;
    this.memory = memory;
  }

  /** A field of up to 32 bits, or the low half of a 64-bit one; an int32 pattern. */
  low(field: number): number {
    return this.words[WORD[field]];
  }

  /** The high half of a 64-bit field. */
  high(field: number): number {
    return this.words[WORD[field] + 1];
  }

  pin(mask: number): boolean {
    return (this.low(F.PIN_BASED_VM_EXECUTION_CONTROLS) & mask) !== 0;
  }

  primary(mask: number): boolean {
    return (this.low(F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) & mask) !== 0;
  }

  /** A secondary control; all of them are 0 unless they are activated. */
  secondary(mask: number): boolean {
    return (
      this.primary(PRIMARY.ACTIVATE_SECONDARY_CONTROLS) &&
      (this.low(F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) & mask) !== 0
    );
  }

  exit(mask: number): boolean {
    return (this.low(F.VM_EXIT_CONTROLS) & mask) !== 0;
  }

  entry(mask: number): boolean {
    return (this.low(F.VM_ENTRY_CONTROLS) & mask) !== 0;
  }

  /** The VM entry injects an event. */
  get injects(): boolean {
    return (this.low(F.VM_ENTRY_INTERRUPTION_INFORMATION) & INTERRUPTION_VALID) !== 0;
  }

  /** Type of the injected event. */
  get injectedType(): number {
    return (this.low(F.VM_ENTRY_INTERRUPTION_INFORMATION) >>> 8) & 7;
  }

  get injectedVector(): number {
    return this.low(F.VM_ENTRY_INTERRUPTION_INFORMATION) & 0xff;
  }
}

/** Fields that `secondary()` reads; for the `fields` of rows. */
export const SECONDARY_FIELDS: readonly number[] = [
  F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
  F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
];

/** One rule. Rows stand in the manual's order; the first that does not hold decides how the VM entry fails. */
export interface EntryCheck {
  readonly id: string;
  /** Title of the manual's section. */
  readonly section: string;
  /** Every field that decides whether the rule holds; the first is the one that a report shows. */
  readonly fields: readonly number[];
  readonly holds: (v: EntryView) => boolean;
  /** What is wrong, for a view in which the rule does not hold; written so that it also reads as the rule. */
  readonly message: (v: EntryView) => string;
  /** Ids of rows that cannot hold either when this one does not. */
  readonly implies: readonly string[];
  /** Exit qualification of an entry failure due to guest state. */
  readonly qualification: number;
  /** Reads memory or processor state besides the fields: has to be looked at in every entry. */
  readonly volatile: boolean;
}

interface More {
  implies?: readonly string[];
  qualification?: number;
  volatile?: boolean;
}

/** Makes a row. */
export function check(
  id: string,
  section: string,
  fields: readonly number[],
  holds: (v: EntryView) => boolean,
  message: string | ((v: EntryView) => string),
  more: More = {},
): EntryCheck {
  return {
    id,
    section,
    fields,
    holds,
    message: typeof message === 'string' ? () => message : message,
    implies: more.implies ?? [],
    qualification: more.qualification ?? 0,
    volatile: more.volatile ?? false,
  };
}

/** `bits 5, 3` of a mask, for messages. */
export function bitList(mask: number): string {
  const bits: number[] = [];
  for (let bit = 31; bit >= 0; bit--) if ((mask >>> bit) & 1) bits.push(bit);
  return `${bits.length === 1 ? 'bit' : 'bits'} ${bits.join(', ')}`;
}

/** A physical address given by a VMCS field lies within the 32 bits that such addresses have (IA32_VMX_BASIC bit 48). */
export const fits32 = (v: EntryView, field: number): boolean => v.high(field) === 0;

/** Halves of a value that must not have bits beyond MAXPHYADDR. */
export function withinPhysicalWidth(value: U64, bits: number): boolean {
  return (
    bits >= 64 ||
    (bits > 32 ? value.hi >>> (bits - 32) === 0 : value.hi === 0 && (bits === 32 || value.lo >>> bits === 0))
  );
}
