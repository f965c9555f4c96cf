/** A guest's descriptor tables and segment registers, as the hypervisor reads descriptors and loads segment registers on the guest's
 *  behalf. Reference: SDM Vol. 3, "Segment Descriptors", "System Segment and Gate Descriptor Types". */

import { AR_G, AR_P, AR_S, AR_UNUSABLE, LDTR } from '../base/registers.ts';
import * as F from '../vmx/fields.ts';
import type { GuestLinear } from './guest-linear.ts';
import type { Vcpu } from './vcpu.ts';

const ACCESSED = 1;
const CODE = 8;
const WRITABLE_OR_READABLE = 2;
const CONFORMING = 4;

/** The fields of the segment registers follow each other in the manual's order, two apart. */
const APART = 2;

/** A segment or system descriptor in the guest's memory. */
export interface GuestDescriptor {
  readonly selector: number;
  /** Linear address. */
  readonly address: number;
  readonly base: number;
  /** Byte-granular. */
  readonly limit: number;
  /** In VMX's format. */
  readonly access: number;
}

export const isPresent = (d: GuestDescriptor): boolean => (d.access & AR_P) !== 0;
export const dplOf = (d: GuestDescriptor): number => (d.access >> 5) & 3;
export const isSystem = (d: GuestDescriptor): boolean => (d.access & AR_S) === 0;
export const isCode = (d: GuestDescriptor): boolean => !isSystem(d) && (d.access & CODE) !== 0;
export const isConforming = (d: GuestDescriptor): boolean => isCode(d) && (d.access & CONFORMING) !== 0;
export const isReadable = (d: GuestDescriptor): boolean =>
  !isSystem(d) && (!isCode(d) || (d.access & WRITABLE_OR_READABLE) !== 0);
export const isWritable = (d: GuestDescriptor): boolean =>
  !isSystem(d) && !isCode(d) && (d.access & WRITABLE_OR_READABLE) !== 0;
/** Type of a system descriptor. */
export const systemType = (d: GuestDescriptor): number => (isSystem(d) ? d.access & 15 : -1);

export class GuestDescriptors {
  readonly #vcpu: Vcpu;
  readonly #memory: GuestLinear;

  /** `memory` with supervisor rights. */
  constructor(vcpu: Vcpu, memory: GuestLinear) {
    this.#vcpu = vcpu;
    this.#memory = memory;
  }

  /** What `selector` names, null beyond its table. Page faults are thrown. */
  read(selector: number): GuestDescriptor | null {
    const address = this.#address(selector);
    if (address < 0) return null;
    const low = this.#memory.read(address, 4);
    const high = this.#memory.read((address + 4) >>> 0, 4);
    const access = (high >>> 8) & 0xf0ff;
    const units = (high & 0xf_0000) | (low & 0xffff);
    return {
      selector,
      address,
      base: ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0,
      limit: (access & AR_G ? (units << 12) | 0xfff : units) >>> 0,
      access,
    };
  }

  #address(selector: number): number {
    const vcpu = this.#vcpu;
    const at = selector & 0xfff8;
    if ((selector & 4) === 0)
      return at + 7 > vcpu.read(F.GUEST_GDTR_LIMIT) >>> 0 ? -1 : (vcpu.read(F.GUEST_GDTR_BASE) + at) >>> 0;
    const { base, limit, access } = segmentOf(vcpu, LDTR);
    return (access & AR_UNUSABLE) !== 0 || at + 7 > limit >>> 0 ? -1 : (base + at) >>> 0;
  }

  /** Sets the accessed bit of a code or data segment, and returns it so. */
  accessed(d: GuestDescriptor): GuestDescriptor {
    if (d.access & ACCESSED) return d;
    this.#memory.write((d.address + 5) >>> 0, 1, (d.access | ACCESSED) & 0xff);
    return { ...d, access: d.access | ACCESSED };
  }
}

/** The hidden part of a segment register. */
export function segmentOf(vcpu: Vcpu, segment: number): Pick<GuestDescriptor, 'base' | 'limit' | 'access'> {
  return {
    base: vcpu.read(F.GUEST_ES_BASE + APART * segment) >>> 0,
    limit: vcpu.read(F.GUEST_ES_LIMIT + APART * segment) >>> 0,
    access: vcpu.read(F.GUEST_ES_ACCESS_RIGHTS + APART * segment),
  };
}

export const selectorOf = (vcpu: Vcpu, segment: number): number => vcpu.read(F.GUEST_ES_SELECTOR + APART * segment);

/** Loads a segment register, LDTR or TR. */
export function setSegment(
  vcpu: Vcpu,
  segment: number,
  selector: number,
  base: number,
  limit: number,
  access: number,
): void {
  vcpu.write(F.GUEST_ES_SELECTOR + APART * segment, selector);
  vcpu.write(F.GUEST_ES_BASE + APART * segment, base);
  vcpu.write(F.GUEST_ES_LIMIT + APART * segment, limit);
  vcpu.write(F.GUEST_ES_ACCESS_RIGHTS + APART * segment, access);
}
