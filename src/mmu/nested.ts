/** Guest-physical addresses through EPT (SDM Vol. 3, "EPT Translation Mechanism", "EPT-Induced VM Exits"). As the EntryMemory of a guest's walk it makes that walk
 *  two-dimensional. It does not raise anything: it says what went wrong, and where. */

import type { GuestFront } from './guest-front.ts';
import type { MmuCounts } from './observer.ts';
import type { Space } from './space.ts';
import { ENTRY_DIRTY, ENTRY_SUPPRESS_VE, SHIFT_1G } from './store.ts';
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
  /** Whether a write through this translation needs no look at the tables: D is set, or there are no such flags. */
  dirty = true;
  /** Whether nothing was cached. */
  missed = false;
  /** Whether what was cached did not do only because D was clear. */
  wasClean = false;
  /** After a failure: the address (page and offset), the access, and whether it was a misconfiguration. */
  failedPage = 0;
  failedOffset = 0;
  failedAccess = 0;
  misconfigured = false;
  /** Neither that nor a violation: the write has to be logged, and there is no room. */
  logFull = false;
  /** Nor one of these: a guest's table lies in the APIC-access page. */
  apicAccess = false;
  /** Frame of that page, −1: none. */
  apicFrame = -1;
  /** Whether bit 63 was set in the EPT entry that decided, the one not present or the one that maps the page. */
  suppressVe = false;
  /** Notes that D of a guest-physical page is about to be set; false if the log is full. Null: nobody wants to know. */
  log: ((page: number) => boolean) | null = null;
  #format: TableFormat;
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

  /** The format of EPT entries from now on. */
  set format(format: TableFormat) {
    this.#format = format;
  }

  locate(frame: number, offset: number, write: boolean): number {
    // Setting an accessed or dirty flag reads and writes the entry; with such flags in EPT every access to a guest's table counts as a
    // write (SDM Vol. 3, "Accessed and Dirty Flags for EPT").
    const access = write || this.#format.dirty !== 0 ? READ | WRITE : READ;
    const front = this.#front;
    if (front?.find(this.root, frame) && (front.rights & access) === access && front.frame !== this.apicFrame) {
      this.#countReferences(front.shift);
      return front.frame * 4096 + offset;
    }
    return this.locateFor(access, frame, offset);
  }

  /** The same for an access of given kind: accesses to a guest's tables are guest-physical ones (SDM Vol. 3, "Guest-Physical Accesses to
   *  the APIC-Access Page"). */
  locateFor(access: number, frame: number, offset: number): number {
    if (!this.translate(frame, offset, access, this.#caches?.policy.cachesWalks === true)) return -1;
    if (this.frame !== this.apicFrame) return this.frame * 4096 + offset;
    this.#fail(frame, offset, access, false);
    this.apicAccess = true;
    return -1;
  }

  /** Translates a guest-physical page for an access (READ, WRITE, EXECUTE); false if EPT forbids it or is misconfigured.
   *  `entryWanted`: the caller goes on with `entry`. */
  translate(page: number, offset: number, access: number, cached: boolean, entryWanted = false): boolean {
    this.entry = -1;
    this.walked = false;
    this.missed = true;
    this.wasClean = false;
    const caches = cached ? this.#caches : null;
    const space = this.space;
    const front = entryWanted || caches === null ? null : this.#front;
    if (front?.find(this.root, page) && (front.rights & access) === access) {
      this.frame = front.frame;
      this.rights = front.rights;
      this.shift = front.shift;
      this.dirty = true;
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
        this.dirty = this.#format.dirty === 0 || (store.flags[e] & ENTRY_DIRTY) !== 0;
        this.wasClean = (access & WRITE) !== 0 && !this.dirty;
        if ((this.rights & access) === access && !this.wasClean) {
          if (this.dirty) front?.put(this.root, page, this.frame, this.rights, this.shift);
          if (front !== null) this.#countReferences(this.shift);
          return true;
        }
        if (caches.policy.stalest && (this.rights & access) !== access) {
          this.suppressVe = (store.flags[e] & ENTRY_SUPPRESS_VE) !== 0;
          return this.#fail(page, offset, access, false);
        }
      }
    }
    this.walked = true;
    const walker = this.#walker;
    const outcome = walker.walk(this.#format, bareEntries, this.root, page, this.structures);
    this.rights = walker.rights & 7;
    this.suppressVe = walker.high < 0;
    if (outcome === RESERVED) return this.#fail(page, offset, access, true);
    if (outcome !== WALKED || (this.rights & access) !== access) return this.#fail(page, offset, access, false);
    const write = (access & WRITE) !== 0;
    if (write && !walker.dirty && this.log !== null && !this.log(page)) {
      this.#fail(page, offset, access, false);
      this.logFull = true;
      return false;
    }
    walker.markUsed(this.#format, bareEntries, page, write, this.structures);
    this.dirty = walker.dirty;
    this.frame = walker.frame;
    this.shift = walker.shift;
    if (caches !== null && space !== null) {
      const first = this.frame & ~((1 << this.shift) - 1);
      const flags = this.rights | (this.dirty ? ENTRY_DIRTY : 0) | (this.suppressVe ? ENTRY_SUPPRESS_VE : 0);
      this.entry = caches.guestPhysical.insert(space, page, this.shift, false, first, first, flags);
      if (this.dirty) front?.put(this.root, page, this.frame, this.rights, this.shift);
    }
    return true;
  }

  /** References are those of a processor without caches for parts of a walk: what is looked up here counts as if it were walked. So in
   *  `unlimited` a walk of a guest's tables may take a cached translation of EPT, older than the tables, and count references that it did
   *  not make. */
  #countReferences(shift: number): void {
    this.#counts.walkReferences += this.#format.levels - (shift === 0 ? 0 : shift === SHIFT_1G ? 2 : 1);
  }

  #fail(page: number, offset: number, access: number, misconfigured: boolean): boolean {
    this.failedPage = page;
    this.failedOffset = offset;
    this.failedAccess = access;
    this.misconfigured = misconfigured;
    this.logFull = false;
    this.apicAccess = false;
    return false;
  }
}
