/** All that a processor may remember of page tables (SDM Vol. 3, "Caching Translation Information"). The linear store is the TLB in
 *  every policy. The guest-physical store serves accesses with paging off; walks use it, and the caches of table
 *  entries, only in `stalest`: elsewhere each walk reads every entry. */
import { FastTables } from './fast-tables.ts';
import type { MmuCounts } from './observer.ts';
import { type TranslationCacheOptions, TranslationPolicy } from './policy.ts';
import { type Dropped, ENTRY_FETCHED, Store } from './store.ts';

export class TranslationCaches {
  readonly policy: TranslationPolicy;
  readonly fast: FastTables;
  /** Linear and combined translations: spaces by (VPID, EPTRTA). */
  readonly linear: Store;
  /** Page-directory entries, in the same spaces. */
  readonly linearStructures: Store;
  /** Guest-physical translations: spaces (0, EPTRTA). */
  readonly guestPhysical: Store;
  /** EPT entries that point to tables, in the same spaces. */
  readonly eptStructures: Store;
  readonly all: readonly Store[];

  constructor(options: TranslationCacheOptions, contexts: number, frames: number, counts: MmuCounts) {
    this.policy = new TranslationPolicy(options);
    this.fast = new FastTables(contexts, frames);
    const dropped: Dropped = (page, shift, mask, flags) => {
      if (mask !== 0) this.fast.kill(page, shift, mask);
      if ((flags & ENTRY_FETCHED) !== 0) this.fast.generation++;
    };
    const nothing: Dropped = () => {};
    this.linear = new Store(this.policy, 1, counts, dropped);
    this.guestPhysical = new Store(this.policy, 2, counts, dropped);
    this.linearStructures = new Store(this.policy, 3, counts, nothing);
    this.eptStructures = new Store(this.policy, 4, counts, nothing);
    this.all = [this.linear, this.guestPhysical, this.linearStructures, this.eptStructures];
  }
}
