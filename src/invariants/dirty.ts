/** Who reads the dirty flags of EPT, or the page-modification log, must learn of every write (SDM Vol. 3, "Accessed and Dirty Flags for EPT",
 *  "Page-Modification Logging"): nothing that is cached lets writes through unseen, and each flag that is set is logged where there is a log. */
import type { TlbEntry } from '../machine/trace-event.ts';
import { EPT_DIRTY, eptLeafNow } from './derive.ts';
import type { TableHistory } from './history.ts';

const WRITE = 2;

export class DirtyFlags {
  readonly #history: TableHistory;
  /** Low words whose bit 9 was set since the last entry. */
  #set: number[] = [];
  /** Entries that were found to lose nothing, by which state of the tables. */
  readonly #good = new WeakMap<TlbEntry, number>();

  constructor(history: TableHistory) {
    this.#history = history;
  }

  entered(): void {
    this.#set = [];
  }

  /** A word of a table is about to become this. */
  write(at: number, value: number): void {
    if ((value & ~this.#history.now(at) & EPT_DIRTY) !== 0) this.#set.push(at);
  }

  /** The guest has left. Addresses of EPT entries whose dirty flag was set in the meantime without a word in the log. */
  unlogged(eptrta: number, logged: readonly number[]): number[] {
    if (this.#set.length === 0) return [];
    const told = new Set(logged.map((page) => eptLeafNow(this.#history, eptrta, page)?.at));
    return this.#set.filter((at) => !told.has(at) && this.#isLeaf(eptrta, at, 4));
  }

  /** Whether writes go through this entry although the flag is clear that they should set. */
  isBlind(entry: TlbEntry): boolean {
    const rights = entry.kind === 'linear' ? entry.rights & entry.eptRights : entry.rights;
    if (!entry.dirty || (rights & WRITE) === 0) return false;
    const { version } = this.#history;
    if (this.#good.get(entry) === version) return false;
    const page = entry.kind === 'linear' ? entry.guestFrame : entry.page;
    const leaf = eptLeafNow(this.#history, entry.eptrta, page);
    if (leaf !== null && (leaf.low & WRITE) !== 0 && (leaf.low & EPT_DIRTY) === 0) return true;
    this.#good.set(entry, version);
    return false;
  }

  /** Whether an entry that maps a page stands there, below a table of this level. */
  #isLeaf(table: number, wanted: number, level: number): boolean {
    for (let at = table * 4096; at < (table + 1) * 4096; at += 8) {
      const low = this.#history.now(at);
      if ((low & 7) === 0) continue;
      if (level === 1 || (low & 0x80) !== 0) {
        if (at === wanted) return true;
      } else {
        const next = (low >>> 12) + (this.#history.now(at + 4) & 0xf_ffff) * 0x10_0000;
        if (this.#isLeaf(next, wanted, level - 1)) return true;
      }
    }
    return false;
  }
}
