/** A split TLB of two levels: arrays of the first level for 4-KiB and for larger pages, one for both behind them, which in some processors has 4-KiB pages
 *  only. An entry belongs to a tag, which stands for a VPID and an EPT pointer until an event kills what is cached under them (spaces.ts). */

import { Associative, type Geometry } from './associative.ts';

export interface TlbGeometry {
  readonly data4K: Geometry;
  readonly dataLarge: Geometry;
  readonly code4K: Geometry;
  readonly codeLarge: Geometry;
  readonly second: Geometry;
  /** Whether the second level has larger pages, too. */
  readonly secondHasLarge: boolean;
}

/** Outcomes of a look-up. */
export const FIRST_LEVEL = 0;
export const SECOND_LEVEL = 1;
export const MISS = 2;

/** Bits of a page number. */
const PAGE_BITS = 20;
/** Sizes of pages as bits of the page number that lie inside. */
const LARGE = [9, 10] as const;

/** Tag, size and page in one number. */
const keyOf = (tag: number, page: number, shift: number): number =>
  (tag * 16 + shift) * (1 << PAGE_BITS) + (page >>> shift);

class FirstLevel {
  readonly small: Associative;
  readonly large: Associative;

  constructor(small: Geometry, large: Geometry, seed: number) {
    this.small = new Associative(small, seed);
    this.large = new Associative(large, seed + 1);
  }

  of(shift: number): Associative {
    return shift === 0 ? this.small : this.large;
  }
}

export class Tlb {
  readonly #data: FirstLevel;
  readonly #code: FirstLevel;
  readonly #second: Associative;
  readonly #secondHasLarge: boolean;

  constructor(g: TlbGeometry, seed: number) {
    this.#data = new FirstLevel(g.data4K, g.dataLarge, seed * 8);
    this.#code = new FirstLevel(g.code4K, g.codeLarge, seed * 8 + 2);
    this.#second = new Associative(g.second, seed * 8 + 4);
    this.#secondHasLarge = g.secondHasLarge;
  }

  /** Looks for the page of an access under the tag of its space, then under that of global pages there. */
  find(tag: number, global: number, page: number, isFetch: boolean): number {
    const first = isFetch ? this.#code : this.#data;
    if (first.small.has(keyOf(tag, page, 0), page)) return FIRST_LEVEL;
    for (const shift of LARGE) if (first.large.has(keyOf(tag, page, shift), page >>> shift)) return FIRST_LEVEL;
    if (first.small.has(keyOf(global, page, 0), page)) return FIRST_LEVEL;
    for (const shift of LARGE) if (first.large.has(keyOf(global, page, shift), page >>> shift)) return FIRST_LEVEL;
    return this.#findSecond(first, tag, page) || this.#findSecond(first, global, page) ? SECOND_LEVEL : MISS;
  }

  /** Puts in the result of a walk. */
  fill(tag: number, page: number, shift: number, isFetch: boolean): void {
    const key = keyOf(tag, page, shift);
    (isFetch ? this.#code : this.#data).of(shift).put(key, page >>> shift);
    if ((shift === 0 || this.#secondHasLarge) && !this.#second.has(key, page >>> shift))
      this.#second.put(key, page >>> shift);
  }

  /** Takes every entry for the page out. */
  invalidate(tag: number, page: number): void {
    for (const shift of [0, ...LARGE]) {
      const key = keyOf(tag, page, shift);
      this.#data.of(shift).remove(key, page >>> shift);
      this.#code.of(shift).remove(key, page >>> shift);
      this.#second.remove(key, page >>> shift);
    }
  }

  #findSecond(first: FirstLevel, tag: number, page: number): boolean {
    for (const shift of this.#secondHasLarge ? [0, ...LARGE] : [0]) {
      const key = keyOf(tag, page, shift);
      if (!this.#second.has(key, page >>> shift)) continue;
      first.of(shift).put(key, page >>> shift);
      return true;
    }
    return false;
  }
}
