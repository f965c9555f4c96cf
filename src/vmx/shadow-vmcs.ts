/** VMCS shadowing (SDM Vol. 3, "VMCS Shadowing Bitmap Addresses", "VMREAD", "VMWRITE"): VMREAD and VMWRITE in non-root operation that
 *  reach the VMCS of the link pointer, and no other, without an exit. */
import type { VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';
import type { Vmcs } from './vmcs.ts';
import * as W from './words.ts';

/** Does the access to this field leave the guest? `bitmap`: word of the bitmap's address. */
export function shadowedFieldExits(x: VmxContext, encoding: number, bitmap: number): boolean {
  if (!x.secondary(SECONDARY.VMCS_SHADOWING) || encoding >>> 15 !== 0) return true;
  const at = (x.words[bitmap] >>> 0) + (encoding >>> 3);
  return ((x.cpu.memory.read8(at) >> (encoding & 7)) & 1) !== 0;
}

/** The VMCS that the link pointer of the current one names; null if it names none. VM entry has looked at the region. */
export function linkedVmcs(x: VmxContext): Vmcs | null {
  const pointer = x.words[W.W_LINK_POINTER];
  if (pointer === -1 && x.words[W.W_LINK_POINTER + 1] === -1) return null;
  return x.store.activate(pointer >>> 0);
}

/** VM entry with shadowing makes the linked VMCS active: software must not look into its region any more. */
export function activateLinked(x: VmxContext): void {
  if (x.secondary(SECONDARY.VMCS_SHADOWING)) linkedVmcs(x);
}
