/** The TLB without limit: cached linear translations, found by page number without a search. A store (store.ts) that need not choose
 *  victims nor draw can keep each translation at a place of its own: one line of memory for what a lookup and an insertion touch.
 *
 *  Records lie in leaves of 1,024: the 4-KiB pages of 4 MiB, all the 4-MiB pages, or half of the 2-MiB pages of one tag. A record
 *  is alive while it bears its tag's generation. */
import type { LinearStore } from './linear-store.ts';
import type { MmuCounts } from './observer.ts';
import { NO_LEAVES, type Space, Spaces, type Tag } from './space.ts';
import {
  type Dropped,
  ENTRY_DIRTY,
  ENTRY_FETCHED,
  ENTRY_PIECE,
  keyOf,
  SHIFT_2M,
  SHIFT_4K,
  SHIFT_4M,
  shiftOf,
} from './store.ts';

/** Words of a record: generation; guest frame 23:20 << 28 | frame; guest frame 19:0 << 12 | flags; contexts that may hold a copy.
 *  A guest's tables name frames of 24 bits at most, EPT frames of 28. */
const FRAME = 1;
const FLAGS = 2;
const MASK = 3;
const FLAGS_MASK = 0xfff;
const FRAME_MASK = 0x0fff_ffff;

/** The second word. */
const framesWord = (frame: number, guestFrame: number): number => frame | ((guestFrame >>> 20) << 28);
/** Words of a leaf. */
const LEAF = 4096;

/** Places in a tag's directory of leaves. */
const LEAVES_2M = 1024;
const LEAVES_4M = 1026;

/** Generations of a tag, before its leaves are emptied and it starts again. */
export const GENERATIONS = 0x7fff_ffff;

/** So many that no guest runs out of them (16 GiB of 4-KiB pages), so few that none can exhaust the host. */
const LIMIT = 4096;

export class PageStore implements LinearStore {
  readonly spaces = new Spaces();
  #words: Int32Array;
  /** Whose leaf it is, and where in its directory. Leaf 0 is nobody's: nothing in it is ever alive. */
  readonly #owner: (Tag | null)[] = [null];
  readonly #place: number[] = [0];
  #free: number[] = [];
  readonly #limit: number;
  readonly #counts: MmuCounts;
  readonly #dropped: Dropped;
  /** Called when everything dies for want of room. */
  readonly #emptied: () => void;

  constructor(counts: MmuCounts, dropped: Dropped, emptied: () => void, limit = LIMIT) {
    this.#counts = counts;
    this.#dropped = dropped;
    this.#emptied = emptied;
    this.#limit = limit;
    this.#words = new Int32Array(Math.min(8, limit) * LEAF);
  }

  find(space: Space, page: number): number {
    const { plain } = space;
    const e = plain.leaves[page >>> 10] + ((page & 0x3ff) << 2);
    return this.#words[e] === plain.generation ? e : this.#elsewhere(space, page);
  }

  peek(space: Space, page: number): number {
    return this.find(space, page);
  }

  insert(
    space: Space,
    page: number,
    shift: number,
    global: boolean,
    frame: number,
    guestFrame: number,
    flags: number,
  ): number {
    const tag = global ? space.global : space.plain;
    for (let old = this.find(space, page); old >= 0; old = this.find(space, page)) {
      if (this.shift(old) === shift && this.tagOf(old) === tag) return this.#renew(old, tag, frame, guestFrame, flags);
      this.remove(old);
    }
    return this.insertKey(tag, keyOf(page, shift), frame, guestFrame, flags);
  }

  insertKey(tag: Tag, key: number, frame: number, guestFrame: number, flags: number): number {
    const shift = shiftOf(key);
    const page = key & 0x0fff_ffff;
    const k = placeOf(page, shift);
    const leaf = tag.leaves[k] === 0 ? this.#newLeaf(tag, k) : tag.leaves[k];
    const e = leaf + (((page >>> shift) & 0x3ff) << 2);
    const words = this.#words;
    words[e] = tag.generation;
    words[e + FRAME] = framesWord(frame, guestFrame);
    words[e + FLAGS] = flags | (guestFrame << 12);
    words[e + MASK] = 0;
    tag.count++;
    tag.changes++;
    if (shift !== SHIFT_4K) tag.large++;
    if ((flags & ENTRY_PIECE) !== 0) tag.pieces++;
    return e;
  }

  remove(e: number): void {
    const tag = this.tagOf(e);
    this.#drop(e);
    this.#words[e] = 0;
    tag.count--;
    tag.changes++;
    if (this.shift(e) !== SHIFT_4K) tag.large--;
    if ((this.#words[e + FLAGS] & ENTRY_PIECE) !== 0) tag.pieces--;
  }

  removePage(space: Space, page: number): void {
    for (let e = this.find(space, page); e >= 0; e = this.find(space, page)) this.remove(e);
  }

  retire(tag: Tag): void {
    tag.count = tag.large = tag.pieces = 0;
    tag.changes++;
    if (++tag.generation !== GENERATIONS) return;
    for (const leaf of tag.leaves) if (leaf !== 0) this.#words.fill(0, leaf, leaf + LEAF);
    tag.generation = 1;
  }

  shift(e: number): number {
    const k = this.#place[e >>> 12];
    return k < LEAVES_2M ? SHIFT_4K : k < LEAVES_4M ? SHIFT_2M : SHIFT_4M;
  }

  tagOf(e: number): Tag {
    return this.#owner[e >>> 12] as Tag;
  }

  frameOf(e: number): number {
    return this.#words[e + FRAME] & FRAME_MASK;
  }

  guestFrameOf(e: number): number {
    return (this.#words[e + FLAGS] >>> 12) | ((this.#words[e + FRAME] >>> 28) << 20);
  }

  flagsOf(e: number): number {
    return this.#words[e + FLAGS] & FLAGS_MASK;
  }

  noteFetch(e: number): void {
    this.#words[e + FLAGS] |= ENTRY_FETCHED;
  }

  noteCopy(e: number, context: number): void {
    this.#words[e + MASK] |= 1 << context;
  }

  *entries(tag: Tag): Generator<number> {
    for (const leaf of tag.leaves)
      if (leaf !== 0) for (let e = leaf; e < leaf + LEAF; e += 4) if (this.#words[e] === tag.generation) yield e;
  }

  // ------------------------------------------------------------------------------------------------ snapshots: places have no numbers

  saved(e: number, nth: number): readonly number[] {
    return [nth, keyOf(this.#pageOf(e), this.shift(e)), this.frameOf(e), this.guestFrameOf(e), this.flagsOf(e), 0];
  }

  freeList(): { readonly used: number; readonly free: number[]; readonly random: number } {
    let used = 0;
    for (const { plain, global } of this.spaces.all()) used += plain.count + global.count;
    return { used, free: [], random: 1 };
  }

  get capacity(): number {
    return this.#limit * 1024;
  }

  reset(): void {
    this.spaces.clear();
    this.#words.fill(0);
    this.#free = [];
    this.#owner.length = this.#place.length = 1;
  }

  place(_e: number, tag: Tag, key: number, frame: number, guestFrame: number, flags: number): void {
    this.insertKey(tag, key, frame, guestFrame, flags);
  }

  // ------------------------------------------------------------------------------------------------

  /** A global translation, or one of a large page. */
  #elsewhere({ plain, global }: Space, page: number): number {
    let e = global.count > 0 ? this.#probe(global, page, SHIFT_4K) : -1;
    if (e < 0 && plain.large > 0) e = this.#probeLarge(plain, page);
    if (e < 0 && global.large > 0) e = this.#probeLarge(global, page);
    return e;
  }

  #probe(tag: Tag, page: number, shift: number): number {
    const e = tag.leaves[placeOf(page, shift)] + (((page >>> shift) & 0x3ff) << 2);
    return this.#words[e] === tag.generation ? e : -1;
  }

  #probeLarge(tag: Tag, page: number): number {
    const e = this.#probe(tag, page, SHIFT_2M);
    return e >= 0 ? e : this.#probe(tag, page, SHIFT_4M);
  }

  #renew(e: number, tag: Tag, frame: number, guestFrame: number, flags: number): number {
    const words = this.#words;
    const before = this.flagsOf(e);
    tag.pieces += (flags & ENTRY_PIECE ? 1 : 0) - (before & ENTRY_PIECE ? 1 : 0);
    tag.changes++;
    let now = flags;
    if ((words[e + FRAME] & FRAME_MASK) !== frame || ((before ^ flags) & ~(ENTRY_DIRTY | ENTRY_FETCHED)) !== 0) {
      this.#drop(e);
      words[e + MASK] = 0;
    } else now |= before & ENTRY_FETCHED;
    words[e + FRAME] = framesWord(frame, guestFrame);
    words[e + FLAGS] = now | (guestFrame << 12);
    return e;
  }

  #drop(e: number): void {
    this.#dropped(this.#pageOf(e), this.shift(e), this.#words[e + MASK], this.flagsOf(e));
  }

  #pageOf(e: number): number {
    const k = this.#place[e >>> 12];
    const slot = (e >>> 2) & 0x3ff;
    if (k < LEAVES_2M) return (k << 10) | slot;
    return k < LEAVES_4M ? (((k - LEAVES_2M) << 10) | slot) << SHIFT_2M : slot << SHIFT_4M;
  }

  /** An empty leaf for the place `k` of a tag's directory. */
  #newLeaf(tag: Tag, k: number): number {
    if (this.#free.length === 0 && this.#owner.length * LEAF === this.#words.length) this.#makeRoom();
    if (tag.leaves === NO_LEAVES) tag.leaves = NO_LEAVES.slice();
    const n = this.#free.pop() ?? this.#owner.length;
    this.#owner[n] = tag;
    this.#place[n] = k;
    tag.leaves[k] = n * LEAF;
    return n * LEAF;
  }

  /** Takes leaves back in which nothing is alive, or makes the store larger; at its limit everything gives way. */
  #makeRoom(): void {
    for (let n = 1; n < this.#owner.length; n++) if (!this.#isAlive(n)) this.#release(n);
    const size = this.#words.length;
    if (this.#free.length * 2 < this.#owner.length && size < this.#limit * LEAF) {
      const words = this.#words;
      this.#words = new Int32Array(Math.min(2 * size, this.#limit * LEAF));
      this.#words.set(words);
    } else if (this.#free.length === 0) {
      this.#counts.evictions += this.freeList().used;
      for (const { plain, global } of this.spaces.all()) {
        this.retire(plain);
        this.retire(global);
      }
      for (let n = 1; n < this.#owner.length; n++) this.#release(n);
      this.#emptied();
    }
  }

  #isAlive(n: number): boolean {
    const tag = this.#owner[n];
    if (tag === null || tag.count === 0) return false;
    for (let e = n * LEAF; e < (n + 1) * LEAF; e += 4) if (this.#words[e] === tag.generation) return true;
    return false;
  }

  #release(n: number): void {
    const tag = this.#owner[n];
    if (tag === null) return; // is free already
    tag.leaves[this.#place[n]] = 0;
    this.#owner[n] = null;
    this.#words.fill(0, n * LEAF, (n + 1) * LEAF);
    this.#free.push(n);
  }
}

/** Where a page of this size has its leaf. */
const placeOf = (page: number, shift: number): number =>
  shift === SHIFT_4K ? page >>> 10 : shift === SHIFT_2M ? LEAVES_2M + (page >>> 19) : LEAVES_4M;
