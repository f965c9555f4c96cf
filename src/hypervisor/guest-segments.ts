/** Segment checks that the hypervisor has to make, where an exit comes before those of the processor.
 *  Reference: SDM Vol. 3, "Limit Checking", "Type Checking"; "Relative Priority of Faults and VM Exits". */

import { AR_DB, AR_UNUSABLE, SS_ } from '../base/registers.ts';
import { GP, SS } from '../base/signal.ts';
import * as F from '../vmx/fields.ts';
import type { Vcpu } from './vcpu.ts';

// Access rights: type
const WRITABLE_OR_READABLE = 2;
const EXPAND_DOWN = 4;
const CODE = 8;

/** The fields of the segment registers follow each other in the manual's order, two apart. */
const APART = 2;
/** No offset lies beyond this limit, whatever the access reaches round to. */
const FOUR_GIB = 0xffff_ffff;

/** A data access through one segment register: rights and limit are read once. */
export class GuestSegment {
  readonly #access: number;
  readonly #limit: number;
  /** What a refused access raises, with error code 0. */
  readonly vector: number;

  constructor(vcpu: Vcpu, segment: number) {
    this.#access = vcpu.read(F.GUEST_ES_ACCESS_RIGHTS + APART * segment);
    this.#limit = vcpu.read(F.GUEST_ES_LIMIT + APART * segment) >>> 0;
    this.vector = segment === SS_ ? SS : GP;
  }

  /** Whether `size` bytes at `offset` may be read or written. */
  allows(offset: number, size: number, write: boolean): boolean {
    const access = this.#access;
    if ((access & AR_UNUSABLE) !== 0) return false;
    const isCode = (access & CODE) !== 0;
    if ((write || isCode) && (access & WRITABLE_OR_READABLE) === 0) return false;
    if (isCode && write) return false;
    const first = offset >>> 0;
    const last = first + size - 1;
    if (isCode || (access & EXPAND_DOWN) === 0) return last <= this.#limit || this.#limit === FOUR_GIB;
    return first > this.#limit && last <= ((access & AR_DB) !== 0 ? 0xffff_ffff : 0xffff);
  }
}
