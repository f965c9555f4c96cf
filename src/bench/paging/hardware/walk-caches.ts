/** What a processor remembers of walks besides their results (SDM Vol. 3, "Paging-Structure Caches", and "Caching Translation Information" of VMX): page-directory
 *  entries of the guest, EPT entries that point to tables, and translations of guest-physical pages. What belongs to EPT is named by the address of its entry. */

import { Associative, type Geometry } from './associative.ts';
import type { Walk, WalkPart } from './walk.ts';

export interface WalkCacheGeometry {
  /** Entries of page directories, with the table that they lead to translated already. */
  readonly directory: Geometry;
  /** EPT entries that point to tables. */
  readonly ept: Geometry;
  /** Guest-physical pages. */
  readonly nested: Geometry;
}

/** Names of what is cached (spaces.ts). */
export interface WalkTags {
  readonly directories: number;
  readonly guestPhysical: number;
}

const ENTRY_BITS = 32;

export class WalkCaches {
  readonly #directory: Associative;
  readonly #ept: Associative;
  readonly #nested: Associative;

  constructor(g: WalkCacheGeometry, seed: number) {
    this.#directory = new Associative(g.directory, seed * 8);
    this.#ept = new Associative(g.ept, seed * 8 + 1);
    this.#nested = new Associative(g.nested, seed * 8 + 2);
  }

  /** Walks: calls `read` with the address of each entry that is read after all. */
  walk(w: Walk, linearPage: number, tags: WalkTags, read: (at: number) => void): void {
    const { parts, complete, directoryShift } = w;
    const tables = parts.length - (parts.length > 0 && last(parts).entry < 0 ? 1 : 0);
    const region = linearPage >>> directoryShift;
    const key = directoryKey(tags.directories, region, directoryShift);
    const isShort = tables >= 2 && this.#directory.has(key, region);
    for (let i = isShort ? tables - 1 : 0; i < parts.length; i++) {
      const part = parts[i] as WalkPart;
      const isRefused = !complete && part.entry < 0;
      if (!(isShort && i === tables - 1)) this.#translate(part.ept, tags.guestPhysical, isRefused, read);
      if (part.entry >= 0) read(part.entry);
    }
    if (tables >= 2 && !isShort) this.#directory.put(key, region);
  }

  /** The directory entry that the linear page goes through is not what it was. */
  invalidateDirectory(tag: number, linearPage: number): void {
    for (const shift of [9, 10]) {
      const region = linearPage >>> shift;
      this.#directory.remove(directoryKey(tag, region, shift), region);
    }
  }

  /** `isRefused`: the last entry does not translate the page. */
  #translate(ept: readonly number[], tag: number, isRefused: boolean, read: (at: number) => void): void {
    if (ept.length === 0) return;
    const leaf = last(ept);
    if (this.#nested.has(entryKey(tag, leaf), leaf >>> 3)) return;
    let first = ept.length - 1;
    while (first > 0 && !this.#ept.has(entryKey(tag, ept[first - 1] as number), (ept[first - 1] as number) >>> 3))
      first--;
    for (let k = first; k < ept.length; k++) {
      const at = ept[k] as number;
      read(at);
      if (at !== leaf) this.#ept.put(entryKey(tag, at), at >>> 3);
      else if (!isRefused) this.#nested.put(entryKey(tag, at), at >>> 3);
    }
  }
}

const last = <T>(list: readonly T[]): T => list[list.length - 1] as T;
const directoryKey = (tag: number, region: number, shift: number): number => (tag * 16 + shift) * 2 ** 12 + region;
const entryKey = (tag: number, at: number): number => tag * 2 ** ENTRY_BITS + at;
