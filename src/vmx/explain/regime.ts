/** The translation regime of a VMCS's guest, and host-physical memory as walks read it. */
import { EPT_CAP } from '../capabilities.ts';
import { PRIMARY, SECONDARY } from '../controls.ts';
import { fieldOf } from '../field-table.ts';
import * as F from '../fields.ts';
import type { WalkMemory, WalkRegime } from './address.ts';
import type { VmcsImage } from './image.ts';

const CR4_PAE = 1 << 5;
const FLAG_AC = 1 << 18;
/** GUEST_IA32_EFER and its bit NXE, for processors that have them. */
const GUEST_IA32_EFER = 0x2806;
const NXE = 1 << 11;

const secondary = (image: VmcsImage): number =>
  (image.low(F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) & PRIMARY.ACTIVATE_SECONDARY_CONTROLS) === 0
    ? 0
    : image.low(F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);

/** How the guest of this VMCS translates addresses. */
export function guestRegime(image: VmcsImage): WalkRegime {
  const offered = image.capabilities.eptVpid.lo;
  const pair = (encoding: number) => {
    const field = fieldOf(encoding);
    return field === undefined ? { lo: 0, hi: 0 } : image.value(field);
  };
  const ept = (secondary(image) & SECONDARY.ENABLE_EPT) !== 0;
  const cr4 = image.low(F.GUEST_CR4);
  const registers = [F.GUEST_PDPTE0, F.GUEST_PDPTE1, F.GUEST_PDPTE2, F.GUEST_PDPTE3];
  return {
    cr0: image.low(F.GUEST_CR0),
    cr3: image.low(F.GUEST_CR3),
    cr4,
    eptp: ept ? pair(F.EPT_POINTER) : null,
    ...(ept && (cr4 & CR4_PAE) !== 0 ? { pdptes: registers.map(pair) } : {}),
    physicalAddressBits: image.capabilities.physicalAddressBits,
    nxe: (pair(GUEST_IA32_EFER).lo & NXE) !== 0,
    executeOnly: (offered & EPT_CAP.EXECUTE_ONLY) !== 0,
    pages1g: (offered & EPT_CAP.PAGES_1G) !== 0,
    advancedInformation: (offered & EPT_CAP.ADVANCED_INFORMATION) !== 0,
    ac: (image.low(F.GUEST_RFLAGS) & FLAG_AC) !== 0,
  };
}

/** RAM, looked at without consequences. */
export function walkMemory(memory: { readonly bytes: number; peek32(at: number): number }): WalkMemory {
  return { peek: (at) => (at >= 0 && at + 4 <= memory.bytes ? memory.peek32(at) : undefined) };
}
