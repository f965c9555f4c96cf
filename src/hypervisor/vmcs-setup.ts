/** Fills the VMCS of a new virtual processor.
 *  Reference: SDM Vol. 3, "Virtual Machine Control Structures"; fields in the order of its sections. */

import { CR0_NE, CR4_VMXE } from '../base/registers.ts';
import { PF } from '../base/signal.ts';
import type { EntryRegisters } from '../machine/loader/entry.ts';
import { PRIMARY, VM_ENTRY } from '../vmx/controls.ts';
import * as F from '../vmx/fields.ts';
import type { Controls, Paging } from './controls.ts';
import { HOST_CS, HOST_DATA, HOST_TR, type RootEnvironment } from './root-setup.ts';
import { CR0_OWNED, CR4_OWNED } from './shadow/modes.ts';

/** What differs between virtual processors. */
export interface VmcsPlan {
  readonly environment: RootEnvironment;
  readonly controls: Controls;
  readonly gate: number;
  readonly vpid: number;
  /** null: none. */
  readonly eptPointer: number | null;
  readonly paging: Paging;
  readonly ioBitmapA: number;
  readonly ioBitmapB: number;
  readonly msrBitmap: number;
  readonly start: EntryRegisters;
}

const SEGMENT_FIELDS = [
  [F.GUEST_ES_SELECTOR, F.GUEST_ES_BASE, F.GUEST_ES_LIMIT, F.GUEST_ES_ACCESS_RIGHTS],
  [F.GUEST_CS_SELECTOR, F.GUEST_CS_BASE, F.GUEST_CS_LIMIT, F.GUEST_CS_ACCESS_RIGHTS],
  [F.GUEST_SS_SELECTOR, F.GUEST_SS_BASE, F.GUEST_SS_LIMIT, F.GUEST_SS_ACCESS_RIGHTS],
  [F.GUEST_DS_SELECTOR, F.GUEST_DS_BASE, F.GUEST_DS_LIMIT, F.GUEST_DS_ACCESS_RIGHTS],
  [F.GUEST_FS_SELECTOR, F.GUEST_FS_BASE, F.GUEST_FS_LIMIT, F.GUEST_FS_ACCESS_RIGHTS],
  [F.GUEST_GS_SELECTOR, F.GUEST_GS_BASE, F.GUEST_GS_LIMIT, F.GUEST_GS_ACCESS_RIGHTS],
  [F.GUEST_LDTR_SELECTOR, F.GUEST_LDTR_BASE, F.GUEST_LDTR_LIMIT, F.GUEST_LDTR_ACCESS_RIGHTS],
  [F.GUEST_TR_SELECTOR, F.GUEST_TR_BASE, F.GUEST_TR_LIMIT, F.GUEST_TR_ACCESS_RIGHTS],
] as const;

/** CR0 bits that the guest must not change in earnest: VMX needs NE, the guest sees what it wrote. */
export const CR0_HOST_OWNED: number = CR0_NE;
/** CR4.VMXE is always set, and always looks clear. */
export const CR4_HOST_OWNED: number = CR4_VMXE;

const NO_LINK = 0xffff_ffff;
const DR7_RESET = 0x400;

/** Every field with its value; 64-bit fields as their low half, the high half is 0 unless it has a row of its own. */
export function initialFields(plan: VmcsPlan): [field: number, value: number][] {
  return [...controlFields(plan), ...hostFields(plan), ...guestFields(plan)];
}

function controlFields({ controls, vpid, eptPointer, paging, ...plan }: VmcsPlan): [number, number][] {
  const isShadow = paging === 'shadow';
  const fields: [number, number][] = [
    [F.PIN_BASED_VM_EXECUTION_CONTROLS, controls.pinBased],
    [F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, controls.primary],
    [F.EXCEPTION_BITMAP, isShadow ? 1 << PF : 0],
    [F.PAGE_FAULT_ERROR_CODE_MASK, 0],
    [F.PAGE_FAULT_ERROR_CODE_MATCH, 0],
    [F.IO_BITMAP_A_ADDRESS, plan.ioBitmapA],
    [F.IO_BITMAP_B_ADDRESS, plan.ioBitmapB],
    [F.TSC_OFFSET, 0],
    [F.CR0_GUEST_HOST_MASK, isShadow ? CR0_OWNED : CR0_HOST_OWNED],
    [F.CR0_READ_SHADOW, plan.start.cr0],
    [F.CR4_GUEST_HOST_MASK, isShadow ? CR4_OWNED : CR4_HOST_OWNED],
    [F.CR4_READ_SHADOW, 0],
    [F.CR3_TARGET_COUNT, 0],
    [F.MSR_BITMAP_ADDRESS, plan.msrBitmap],
    [F.VM_EXIT_CONTROLS, controls.exit],
    [F.VM_EXIT_MSR_STORE_COUNT, 0],
    [F.VM_EXIT_MSR_LOAD_COUNT, 0],
    [F.VM_ENTRY_CONTROLS, controls.entry],
    [F.VM_ENTRY_MSR_LOAD_COUNT, 0],
    [F.VM_ENTRY_INTERRUPTION_INFORMATION, 0],
  ];
  if ((controls.primary & PRIMARY.ACTIVATE_SECONDARY_CONTROLS) !== 0)
    fields.push([F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, controls.secondary]);
  if ((controls.entry & VM_ENTRY.LOAD_IA32_EFER) !== 0) fields.push([F.GUEST_IA32_EFER, 0], [F.HOST_IA32_EFER, 0]);
  if (eptPointer !== null) fields.push([F.EPT_POINTER, eptPointer]);
  if (controls.vpid) fields.push([F.VIRTUAL_PROCESSOR_IDENTIFIER, vpid]);
  return fields;
}

function hostFields({ environment: e, gate }: VmcsPlan): [number, number][] {
  return [
    [F.HOST_CR0, e.cr0],
    [F.HOST_CR3, e.pageDirectory],
    [F.HOST_CR4, e.cr4],
    [F.HOST_RSP, e.stackTop],
    [F.HOST_RIP, gate],
    [F.HOST_CS_SELECTOR, HOST_CS],
    [F.HOST_SS_SELECTOR, HOST_DATA],
    [F.HOST_DS_SELECTOR, HOST_DATA],
    [F.HOST_ES_SELECTOR, HOST_DATA],
    [F.HOST_FS_SELECTOR, HOST_DATA],
    [F.HOST_GS_SELECTOR, HOST_DATA],
    [F.HOST_TR_SELECTOR, HOST_TR],
    [F.HOST_FS_BASE, 0],
    [F.HOST_GS_BASE, 0],
    [F.HOST_TR_BASE, e.tss],
    [F.HOST_GDTR_BASE, e.gdt],
    [F.HOST_IDTR_BASE, e.idt],
    [F.HOST_IA32_SYSENTER_CS, 0],
    [F.HOST_IA32_SYSENTER_ESP, 0],
    [F.HOST_IA32_SYSENTER_EIP, 0],
  ];
}

function guestFields({ start, controls }: VmcsPlan): [number, number][] {
  const fields: [number, number][] = [
    [F.GUEST_CR0, start.cr0 | controls.cr0Required],
    [F.GUEST_CR3, 0],
    [F.GUEST_CR4, controls.cr4Required],
    [F.GUEST_DR7, DR7_RESET],
    [F.GUEST_RSP, start.general[4]],
    [F.GUEST_RIP, start.eip],
    [F.GUEST_RFLAGS, start.eflags],
    [F.GUEST_GDTR_BASE, start.gdtr.base],
    [F.GUEST_GDTR_LIMIT, start.gdtr.limit],
    [F.GUEST_IDTR_BASE, start.idtr.base],
    [F.GUEST_IDTR_LIMIT, start.idtr.limit],
    [F.GUEST_IA32_DEBUGCTL, 0],
    [F.GUEST_IA32_SYSENTER_CS, 0],
    [F.GUEST_IA32_SYSENTER_ESP, 0],
    [F.GUEST_IA32_SYSENTER_EIP, 0],
    [F.GUEST_ACTIVITY_STATE, 0],
    [F.GUEST_INTERRUPTIBILITY_STATE, 0],
    [F.GUEST_PENDING_DEBUG_EXCEPTIONS, 0],
    [F.VMCS_LINK_POINTER, NO_LINK],
    [F.VMCS_LINK_POINTER + 1, NO_LINK],
    [F.VMX_PREEMPTION_TIMER_VALUE, 0],
  ];
  SEGMENT_FIELDS.forEach(([selector, base, limit, access], i) => {
    const segment = start.segments[i];
    fields.push([selector, segment.selector], [base, segment.base], [limit, segment.limit], [access, segment.access]);
  });
  return fields;
}

/** Fields that are the state of a guest: what a snapshot of its processor holds. */
const GUEST_STATE_FIELDS: readonly number[] = [
  ...SEGMENT_FIELDS.flat(),
  F.GUEST_CR0,
  F.GUEST_CR3,
  F.GUEST_CR4,
  F.CR0_READ_SHADOW,
  F.CR4_READ_SHADOW,
  F.GUEST_DR7,
  F.GUEST_RSP,
  F.GUEST_RIP,
  F.GUEST_RFLAGS,
  F.GUEST_GDTR_BASE,
  F.GUEST_GDTR_LIMIT,
  F.GUEST_IDTR_BASE,
  F.GUEST_IDTR_LIMIT,
  F.GUEST_IA32_DEBUGCTL,
  F.GUEST_IA32_SYSENTER_CS,
  F.GUEST_IA32_SYSENTER_ESP,
  F.GUEST_IA32_SYSENTER_EIP,
  F.GUEST_INTERRUPTIBILITY_STATE,
  F.GUEST_PENDING_DEBUG_EXCEPTIONS,
];

/** The same with the PDPTE registers; and IA32_EFER where VM entries load it, or else shadow paging has it. */
export function guestStateFields(entryControls: number, isNested: boolean): readonly number[] {
  const pdptes = [0, 1, 2, 3, 4, 5, 6, 7].map((k) => F.GUEST_PDPTE0 + k);
  const efer = !isNested || (entryControls & VM_ENTRY.LOAD_IA32_EFER) !== 0 ? [F.GUEST_IA32_EFER] : [];
  return [...GUEST_STATE_FIELDS, ...pdptes, ...efer];
}
