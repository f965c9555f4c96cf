/** The page walker (SDM Vol. 3, "Paging", "EPT Translation Mechanism"): one for all formats of tables. Where entries lie is the matter of an EntryMemory,
 *  so a two-dimensional walk is a walk whose entries are themselves found by a walk. */
import type { MmuCounts, MmuObserver } from './observer.ts';
import type { Tag } from './space.ts';
import type { Store } from './store.ts';
import { ALL_RIGHTS, EXECUTE, type TableFormat } from './table-format.ts';

/** Finds table entries on the bus. */
export interface EntryMemory {
  /** Bus address of the entry at `offset` in the frame; −1 if it cannot be reached for this access. */
  locate(frame: number, offset: number, write: boolean): number;
}

/** Entries of tables that nothing stands in front of. */
export const bareEntries: EntryMemory = {
  locate: (frame, offset) => frame * 4096 + offset,
};

/** The bus as a walk needs it. */
export interface Words {
  read32(at: number): number;
  write32(at: number, value: number): void;
}

/** Outcomes of a walk. */
export const WALKED = 0;
export const ABSENT = 1;
export const RESERVED = 2;
/** An entry could not be reached, or not be written: the EntryMemory knows why. */
export const UNREACHABLE = 3;

/** Entries that point to tables, as the processor remembers them (SDM Vol. 3, "Paging-Structure Caches"). */
export interface StructureCache {
  readonly store: Store;
  tag: Tag;
}

/** Key of the entry of this level that `page` goes through. Bit 0, which no such key needs, keeps tables of 1,024 entries apart. */
export const structureKey = (page: number, level: number, indexBits: number): number =>
  (page & ~((1 << (indexBits * (level - 1))) - 1)) | (level << 28) | (indexBits === 10 ? 1 : 0);

export class Walker {
  /** What the last walk that ended with WALKED found: the 4-KiB frame of the page number walked for, the size of its page … */
  frame = 0;
  shift = 0;
  /** … rights ANDed over all levels (of the entries read so far after other outcomes), flags of the leaf. */
  rights = 0;
  global = false;
  dirty = false;
  /** Level at which the walk ended, and the high word of the entry there (0 in formats that have none). */
  level = 0;
  high = 0;
  readonly #words: Words;
  readonly #counts: MmuCounts;
  readonly #observer: MmuObserver | null;
  readonly #tables = [0, 0, 0, 0, 0, 0];
  readonly #offsets = [0, 0, 0, 0, 0, 0];
  readonly #lows = [0, 0, 0, 0, 0, 0];
  readonly #given = [0, 0, 0, 0, 0, 0]; // rights that the entry gives
  #first = 0;

  constructor(words: Words, counts: MmuCounts, observer: MmuObserver | null) {
    this.#words = words;
    this.#counts = counts;
    this.#observer = observer;
  }

  /** Walks from the root table in frame `root` for a page number. Writes nothing: see `markUsed`. */
  walk(format: TableFormat, entries: EntryMemory, root: number, page: number, cache: StructureCache | null): number {
    let table = root;
    let level = format.levels;
    let rights = ALL_RIGHTS;
    if (cache !== null) {
      const e = this.#deepest(format, page, cache);
      if (e >= 0) {
        table = cache.store.frame[e];
        rights = cache.store.flags[e];
        level = (cache.store.key[e] >>> 28) - 1;
      }
    }
    this.#first = level;
    const { indexBits, entryBytes } = format;
    const keep = format.accessed !== 0 || cache !== null; // somebody will ask for the entries
    let inside = indexBits * (level - 1);
    for (; ; level--, inside -= indexBits) {
      const offset = ((page >>> inside) & ((1 << indexBits) - 1)) * entryBytes;
      const at = entries === bareEntries ? table * 4096 + offset : entries.locate(table, offset, false);
      if (at < 0) return this.#end(UNREACHABLE, level, rights);
      const low = this.#words.read32(at);
      const high = entryBytes === 8 ? this.#words.read32(at + 4) : 0;
      this.high = high;
      this.#counts.walkReferences++;
      if (this.#observer !== null) this.#observer.onPageWalkStep?.({ format: format.name, level, at, low, high });
      if (keep) {
        this.#tables[level] = table;
        this.#offsets[level] = offset;
        this.#lows[level] = low;
      }
      if ((low & format.present) === 0) return this.#end(ABSENT, level, 0);
      let given = format.rights[low & 7];
      if ((high & format.executeDisable) !== 0) given &= ~EXECUTE;
      if (keep) this.#given[level] = given;
      rights &= given;
      const leaf = level === 1 || (low & format.page[level]) !== 0;
      if (isReserved(format, low, high, level, leaf)) return this.#end(RESERVED, level, rights);
      table = (low >>> 12) | ((high & format.frameHigh) << 20);
      if (leaf) {
        const within = (1 << inside) - 1;
        this.shift = inside;
        this.frame = (table & ~within) | (page & within);
        this.global = (low & format.global) !== 0;
        this.dirty = format.dirty === 0 || (low & format.dirty) !== 0;
        return this.#end(WALKED, level, rights);
      }
    }
  }

  #end(outcome: number, level: number, rights: number): number {
    this.level = level;
    this.rights = rights;
    return outcome;
  }

  /** The remembered entry nearest to the leaf that the page goes through, −1 if there is none. */
  #deepest(format: TableFormat, page: number, cache: StructureCache): number {
    for (let level = 2; level <= format.levels; level++) {
      const e = cache.store.findKey(cache.tag, structureKey(page, level, format.indexBits));
      if (e >= 0) return e;
    }
    return -1;
  }

  /** Sets the accessed flags of the entries that the last walk read, and the dirty flag of the leaf for a write, from the root down.
   *  Then the entries that point to tables may be remembered. False if an entry could not be written. */
  markUsed(
    format: TableFormat,
    entries: EntryMemory,
    page: number,
    write: boolean,
    cache: StructureCache | null,
  ): boolean {
    const leaf = this.level;
    if (format.accessed !== 0) {
      for (let level = this.#first; level >= leaf; level--) {
        const want = format.accessed | (write && level === leaf ? format.dirty : 0);
        if ((this.#lows[level] & want) === want) continue;
        const at = entries.locate(this.#tables[level], this.#offsets[level], true);
        if (at < 0) return false;
        this.#words.write32(at, this.#words.read32(at) | want);
        this.#counts.accessedDirtyUpdates++;
      }
      if (write) this.dirty = true;
    }
    if (cache !== null) this.#remember(format, page, cache);
    return true;
  }

  #remember(format: TableFormat, page: number, cache: StructureCache): void {
    const above = this.#first < format.levels ? structureKey(page, this.#first + 1, format.indexBits) : -1;
    const parent = above < 0 ? -1 : cache.store.peekKey(cache.tag, above);
    let rights = parent < 0 ? ALL_RIGHTS : cache.store.flags[parent];
    for (let level = this.#first; level > this.level; level--) {
      rights &= this.#given[level];
      const key = structureKey(page, level, format.indexBits);
      cache.store.putKey(cache.tag, key, this.#tables[level - 1], 0, rights);
    }
  }
}

/** Whether a present entry has a bit or a combination of bits that it may not have. */
const isReserved = (f: TableFormat, low: number, high: number, level: number, leaf: boolean): boolean =>
  (low & (leaf ? f.reservedPage : f.reservedTable)[level]) !== 0 ||
  (high & f.reservedHigh) !== 0 ||
  ((f.badRights >>> (low & 7)) & 1) !== 0 ||
  (leaf && ((f.badTypes >>> ((low >>> 3) & 7)) & 1) !== 0);
