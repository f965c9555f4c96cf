/** Real-address mode in virtual-8086 mode, for processors without unrestricted guests: what the guest sees, and what its processor
 *  really has. Segments are as virtual-8086 mode wants them; IOPL is 0, so that everything that differs from real-address mode faults.
 *
 *  Left out: segments with other limits than 64 KiB ("unreal mode"), and bases that are no selector's once the guest has come back from
 *  protected mode. Reference: SDM Vol. 3, "8086 Emulation", "Checks on Guest Segment Registers", "Checks on Guest RIP and RFLAGS". */

import { CS, ESP, FLAG_IOPL, FLAG_VM, SS_ } from '../../base/registers.ts';
import * as F from '../../vmx/fields.ts';
import type { Vcpu } from '../vcpu.ts';

/** The fields of the segment registers follow each other in the registers' order. */
const APART = 2;
const SEGMENTS = 6;
const VIRTUAL_ACCESS = 0xf3;
const CODE_ACCESS = 0x9b;
const DATA_ACCESS = 0x93;
const LIMIT = 0xffff;
const RPL = 3;

/** Turns the segments of real-address mode, or what is left of protected mode, into those of virtual-8086 mode. */
export function enterVirtual8086(vcpu: Vcpu): void {
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const selector = (vcpu.read(F.GUEST_ES_BASE + APART * segment) >>> 4) & 0xffff;
    loadVirtualSegment(vcpu, segment, selector);
    vcpu.write(F.GUEST_ES_LIMIT + APART * segment, LIMIT);
    vcpu.write(F.GUEST_ES_ACCESS_RIGHTS + APART * segment, VIRTUAL_ACCESS);
  }
  setFlags(vcpu, vcpu.read(F.GUEST_RFLAGS));
}

/** Protected mode: the segments stay what they were, until the guest loads others. */
export function leaveVirtual8086(vcpu: Vcpu): void {
  for (let segment = 0; segment < SEGMENTS; segment++) {
    const selector = vcpu.read(F.GUEST_ES_SELECTOR + APART * segment);
    vcpu.write(F.GUEST_ES_SELECTOR + APART * segment, selector & ~RPL); // ring 0
    vcpu.write(F.GUEST_ES_ACCESS_RIGHTS + APART * segment, segment === CS ? CODE_ACCESS : DATA_ACCESS);
  }
  const flags = vcpu.eflags;
  vcpu.virtualIopl = -1;
  vcpu.write(F.GUEST_RFLAGS, flags);
}

/** Loads a segment register as real-address mode does. */
export function loadVirtualSegment(vcpu: Vcpu, segment: number, selector: number): void {
  vcpu.write(F.GUEST_ES_SELECTOR + APART * segment, selector);
  vcpu.write(F.GUEST_ES_BASE + APART * segment, selector << 4);
}

export function setFlags(vcpu: Vcpu, flags: number): void {
  vcpu.virtualIopl = flags & FLAG_IOPL;
  vcpu.write(F.GUEST_RFLAGS, (flags & ~FLAG_IOPL) | FLAG_VM);
}

/** Linear address of the top of the stack after SP has moved by `by`. */
export function moveStack(vcpu: Vcpu, by: number): { before: number; after: number } {
  const esp = vcpu.getRegister(ESP);
  const moved = (esp + by) & 0xffff;
  vcpu.setRegister(ESP, (esp & ~0xffff) | moved);
  const base = vcpu.read(F.GUEST_ES_BASE + APART * SS_);
  return { before: base + (esp & 0xffff), after: base + moved };
}

/** A field of a saved state, as it would be in real-address mode; null for those that are the same. */
export function realField(vcpu: Vcpu, field: number): number | null {
  if (field === F.GUEST_RFLAGS) return vcpu.eflags;
  const segment = (field - F.GUEST_ES_ACCESS_RIGHTS) / APART;
  if (segment >= 0 && segment < SEGMENTS && Number.isInteger(segment)) return DATA_ACCESS;
  return null;
}
