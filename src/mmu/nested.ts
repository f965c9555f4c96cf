/** Guest-physical addresses through EPT (SDM Vol. 3, "EPT Translation Mechanism", "EPT-Induced VM Exits"). As the EntryMemory of a guest's walk it makes that walk
 *  two-dimensional. It does not raise anything: it says what went wrong, and where. */

import type { GuestFront } from './guest-front.ts';
import type { MmuCounts } from './observer.ts';
import type { Space } from './space.ts';
import type { TableFormat } from './table-format.ts';
import { READ, WRITE } from './table-format.ts';
import type { TranslationCaches } from './translation-caches.ts';
import { bareEntries, type EntryMemory, RESERVED, type StructureCache, WALKED, type Walker } from './walker.ts';

export class Nested implements EntryMemory {
  /** The EPT root in force (EPTP[51:12]), and what is cached under it. */
  root = 0;
  space: Space | null = null;
  structures: StructureCache | null = null;
  /** Result: 4-KiB frame, size of the EPT page, rights; cached entry or −1; whether a walk was needed. */
  frame = 0;
  shift = 0;
  rights = 0;
  entry = -1;
  walked = false;
  /** Whether nothing was cached. */
  missed = false;
  /** After a failure: the address (page and offset), the access, and whether it was a misconfiguration. */
  failedPage = 0;
  failedOffset = 0;
  failedAccess = 0;
  misconfigured = false;
  readonly #format: TableFormat;
  readonly #walker: Walker;
  readonly #caches: TranslationCaches | null;
  readonly #counts: MmuCounts;
  readonly #front: GuestFront | null;

  constructor(format: TableFormat, walker: Walker, caches: TranslationCaches | null, counts: MmuCounts) {
    this.#counts = counts;
    this.#front = caches?.front ?? null;
    this.#format = format;
    this.#walker = walker;
    this.#caches = caches;
  }

  locate(frame: number, offset: number, write: boolean): number {
    // setting an accessed or dirty flag reads and writes the entry
    const access = write ? READ | WRITE : READ;
    const front = this.#front;
    if (front?.find(this.root, frame) && (front.rights & access) === access) {
      this.#countReferences(front.shift);
      return front.frame * 4096 + offset;
    }
    const ok = this.translate(frame, offset, access, this.#caches?.policy.cachesWalks === true);
    return ok ? this.frame * 4096 + offset : -1;
  }

  /** Translates a guest-physical page for an access (READ, WRITE, EXECUTE); false if EPT forbids it or is misconfigured.
   *  `entryWanted`: the caller goes on with `entry`. */
  translate(page: number, offset: number, access: number, cached: boolean, entryWanted = false): boolean {
    this.entry = -1;
    this.walked = false;
    this.missed = true;
    const caches = cached ? this.#caches : null;
    const space = this.space;
    const front = entryWanted || caches === null ? null : this.#front;
    if (front?.find(this.root, page) && (front.rights & access) === access) {
      this.frame = front.frame;
      this.rights = front.rights;
      this.shift = front.shift;
      this.#countReferences(front.shift);
      return true;
    }
    if (caches !== null && space !== null) {
      const store = caches.guestPhysical;
      const e = store.find(space, page);
      if (e >= 0) {
        this.missed = false;
        this.shift = store.shift(e);
        this.rights = store.flags[e] & 7;
        this.frame = store.frame[e] | (page & ((1 << this.shift) - 1));
        this.entry = e;
        if ((this.rights & access) === access) {
          front?.put(this.root, page, this.frame, this.rights, this.shift);
          if (front !== null) this.#countReferences(this.shift);
          return true;
        }
        if (caches.policy.stalest) return this.#fail(page, offset, access, false);
      }
    }
    this.walked = true;
    const walker = this.#walker;
    const outcome = walker.walk(this.#format, bareEntries, this.root, page, this.structures);
    this.rights = walker.rights & 7;
    if (outcome === RESERVED) return this.#fail(page, offset, access, true);
    if (outcome !== WALKED || (this.rights & access) !== access) return this.#fail(page, offset, access, false);
    walker.markUsed(this.#format, bareEntries, page, (access & WRITE) !== 0, this.structures);
    this.frame = walker.frame;
    this.shift = walker.shift;
    if (caches !== null && space !== null) {
      const first = this.frame & ~((1 << this.shift) - 1);
      this.entry = caches.guestPhysical.insert(space, page, this.shift, false, first, first, this.rights);
      front?.put(this.root, page, this.frame, this.rights, this.shift);
    }
    return true;
  }

  /** References are those of a processor without caches for parts of a walk: what is looked up here counts as if it were walked. */
  #countReferences(shift: number): void {
    this.#counts.walkReferences += shift === 0 ? this.#format.levels : this.#format.levels - 1;
  }

  #fail(page: number, offset: number, access: number, misconfigured: boolean): boolean {
    this.failedPage = page;
    this.failedOffset = offset;
    this.failedAccess = access;
    this.misconfigured = misconfigured;
    return false;
  }
}
