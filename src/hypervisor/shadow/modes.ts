/** The control registers of a guest under the shadow pager: what it sees, and what its processor really has. Paging is always on,
 *  with CR0.WP = 1 and tables of PAE paging.
 *
 *  Real-address mode cannot have paging. It is virtual-8086 mode in fact (src/hypervisor/real). But where the processor offers unrestricted guests the VM runs with EPT meanwhile, and goes on
 *  so until it turns paging on: after a switch to protected mode its segments still hold what only an unrestricted guest may have.
 *  Reference: SDM Vol. 3, "Guest/Host Masks and Read Shadows", "Unrestricted Guests". */

import {
  CR0_CD,
  CR0_ET,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_VMXE,
  EFER_NXE,
} from '../../base/registers.ts';
import { PF } from '../../base/signal.ts';
import { VM_ENTRY } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import type { Controls } from '../controls.ts';
import { ERROR } from '../paging/entry.ts';
import { type PagingRegisters, usesNx } from '../paging/registers.ts';
import type { Vcpu } from '../vcpu.ts';

/** Bits of which the guest sees what it wrote. The others are its own. */
export const CR0_OWNED: number = CR0_PG | CR0_CD | CR0_NW | CR0_WP | CR0_NE | CR0_PE;
export const CR4_OWNED: number = CR4_VMXE | CR4_PGE | CR4_PAE | CR4_PSE | CR4_SMEP | CR4_SMAP;

/** How the processor runs the guest: with shadow tables, with these in virtual-8086 mode, or with EPT. */
export type Phase = 'shadow' | 'virtual-8086' | 'ept';

/** The phase that follows `now` with the guest's new CR0. */
export function phaseFor(cr0: number, now: Phase, controls: Controls): Phase {
  if ((cr0 & CR0_PE) !== 0) return now === 'ept' && (cr0 & CR0_PG) === 0 ? 'ept' : 'shadow';
  return controls.real === null ? 'virtual-8086' : 'ept';
}

/** IA32_EFER of the processor: NX counts for 32-bit paging, too, once the tables are those of PAE paging. */
export const realEfer = (phase: Phase, guest: PagingRegisters): number =>
  phase === 'shadow' && usesNx(guest) ? EFER_NXE : 0;

/** Writes control registers and what depends on them into the VMCS. `bypass`: page faults of entries that are not present do not exit. */
export function writeRegisters(
  vcpu: Vcpu,
  controls: Controls,
  phase: Phase,
  guest: PagingRegisters,
  bypass: boolean,
): void {
  const isShadow = phase !== 'ept';
  const isPaging = (guest.cr0 & CR0_PG) !== 0;
  const told = bypass && isPaging ? ERROR.P : 0;
  vcpu.write(F.EXCEPTION_BITMAP, phase === 'virtual-8086' ? -1 : 1 << PF);
  vcpu.write(F.PAGE_FAULT_ERROR_CODE_MASK, told);
  vcpu.write(F.PAGE_FAULT_ERROR_CODE_MATCH, told);
  vcpu.write(F.CR0_READ_SHADOW, guest.cr0);
  vcpu.write(F.CR4_READ_SHADOW, guest.cr4);
  const cr0 = isShadow ? CR0_PG | CR0_WP | CR0_PE : guest.cr0 & (CR0_PE | CR0_WP);
  vcpu.write(F.GUEST_CR0, (guest.cr0 & ~(CR0_OWNED & ~CR0_NE)) | cr0 | CR0_NE | CR0_ET);
  // Without paging a guest has no pages of users that the supervisor must keep away from; its shadow tables have.
  const cr4 = guest.cr4 & ~(CR4_PSE | CR4_PAE | (isPaging ? 0 : CR4_SMEP | CR4_SMAP));
  vcpu.write(F.GUEST_CR4, cr4 | CR4_VMXE | (isShadow ? CR4_PAE : 0));
  if ((controls.entry & VM_ENTRY.LOAD_IA32_EFER) !== 0) vcpu.write(F.GUEST_IA32_EFER, realEfer(phase, guest));
  if (controls.real !== null)
    vcpu.write(F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, isShadow ? controls.secondary : controls.real);
  if (!isShadow) vcpu.write(F.GUEST_CR3, guest.cr3);
}
