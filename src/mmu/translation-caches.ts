/** All that a processor may remember of page tables (SDM Vol. 3, "Caching Translation Information"). The linear store is the TLB in
 *  every policy. The guest-physical store serves accesses with paging off, and walks except in `modelled`; the caches
 *  of table entries exist only in `stalest`. */
import { FastTables } from './fast-tables.ts';
import type { FlushAudit } from './flush-audit.ts';
import { GuestFront } from './guest-front.ts';
import type { LinearStore } from './linear-store.ts';
import type { MmuCounts, MmuObserver } from './observer.ts';
import { PageStore } from './page-store.ts';
import { type TranslationCacheOptions, TranslationPolicy } from './policy.ts';
import { type Dropped, ENTRY_FETCHED, Store } from './store.ts';

export class TranslationCaches {
  readonly policy: TranslationPolicy;
  readonly fast: FastTables;
  /** Linear and combined translations: spaces by (VPID, EPTRTA). */
  readonly linear: LinearStore;
  /** Page-directory entries, in the same spaces. */
  readonly linearStructures: Store;
  /** Guest-physical translations: spaces (0, EPTRTA). */
  readonly guestPhysical: Store;
  /** EPT entries that point to tables, in the same spaces. */
  readonly eptStructures: Store;
  readonly all: readonly LinearStore[];
  /** Copies of guest-physical translations for walks; null where each lookup is to be seen or drawn. */
  readonly front: GuestFront | null;
  /** Is told of events that kill translations. */
  observer: MmuObserver | null = null;
  /** Looks at each use of a translation; null: nobody does. */
  audit: FlushAudit | null = null;

  constructor(
    options: TranslationCacheOptions,
    contexts: number,
    frames: number,
    counts: MmuCounts,
    tables?: Int32Array,
  ) {
    this.policy = new TranslationPolicy(options);
    this.fast = new FastTables(contexts, frames, tables);
    const dropped: Dropped = (page, shift, mask, flags) => {
      if (mask !== 0) this.fast.kill(page, shift, mask);
      if ((flags & ENTRY_FETCHED) !== 0) this.fast.generation++;
    };
    this.front = options.kind === 'unlimited' ? new GuestFront() : null;
    const nothing: Dropped = () => {};
    this.linear =
      options.kind === 'unlimited'
        ? new PageStore(counts, dropped, () => {
            this.fast.clearAll();
            this.fast.generation++;
          })
        : new Store(this.policy, 1, counts, dropped);
    this.guestPhysical = new Store(this.policy, 2, counts, (page, shift, mask, flags) => {
      this.front?.clear();
      dropped(page, shift, mask, flags);
    });
    this.linearStructures = new Store(this.policy, 3, counts, nothing);
    this.eptStructures = new Store(this.policy, 4, counts, nothing);
    this.all = [this.linear, this.guestPhysical, this.linearStructures, this.eptStructures];
  }
}
