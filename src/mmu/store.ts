/** A store of cached translations: the architectural TLB, and the smaller caches beside it. What an entry here says is in force
 *  until an event of invalidate.ts or want of room kills it; the fast tables are only a copy.
 *
 *  Parallel arrays, one element an entry. An entry is in the hash chain of (key, tag), and in the chain of its tag or the free
 *  list. Entries that died with their tag stay in their hash chain, where nobody looks for them, until they are used again. */

import type { LinearStore } from './linear-store.ts';
import type { MmuCounts } from './observer.ts';
import type { TranslationPolicy } from './policy.ts';
import { newTag, type Space, Spaces, type Tag } from './space.ts';

/** Flags of an entry: bits 3:0 rights by the first table, then */
export const ENTRY_DIRTY = 0x10;
/** An instruction was fetched by it. */
export const ENTRY_FETCHED = 0x20;
/** A piece of a larger page of the first table. */
export const ENTRY_PIECE = 0x40;
/** That page has 2 MiB, not 4. */
export const ENTRY_PIECE_2M = 0x80;
/** The EPT entry that maps the page has its suppress-#VE bit set. */
export const ENTRY_SUPPRESS_VE = 0x800;
/** Rights by EPT: READ, WRITE, EXECUTE moved up. All set where there is no EPT. */
export const EPT_RIGHTS_SHIFT = 8;

/** Sizes of pages: bits of the page number that lie inside. The code goes into the key. */
export const SHIFT_4K = 0;
export const SHIFT_2M = 9;
export const SHIFT_4M = 10;
/** EPT only. */
export const SHIFT_1G = 18;
const CODE_2M = 1 << 28;
const CODE_4M = 2 << 28;
const CODE_1G = 3 << 28;

/** Stands where an entry bears no tag. */
const NOBODY = newTag(0, 0, false, 0);

/** Called when an entry dies alone: what was copied from it into the contexts of `mask` has to go. */
export type Dropped = (page: number, shift: number, mask: number, flags: number) => void;

export class Store implements LinearStore {
  readonly spaces = new Spaces();
  /** Page number of the first page | size code. */
  key: Int32Array;
  frame: Int32Array;
  /** What the first table made of the page; the frame itself where there is no second one. */
  guestFrame: Int32Array;
  flags: Int32Array;
  /** Contexts of the fast tables that may hold a copy, one bit each. */
  mask: Int32Array;
  #tag: Float64Array; // id
  readonly #tagOf: Tag[] = [];
  #stamp: Float64Array; // count of events when "old or new" was drawn
  #hashNext: Int32Array;
  #hashPrevious: Int32Array; // −1 − bucket at the head of a chain
  #next: Int32Array;
  #previous: Int32Array;
  #buckets: Int32Array;
  #free = -1;
  #used = 0;
  /** Whether there ever was an entry for a page of 1 GiB. */
  #huge = false;
  #random: number;
  readonly #capacity: number;
  readonly #policy: TranslationPolicy;
  readonly #counts: MmuCounts;
  readonly #dropped: Dropped;

  constructor(policy: TranslationPolicy, salt: number, counts: MmuCounts, dropped: Dropped) {
    this.#counts = counts;
    this.#policy = policy;
    this.#capacity = policy.capacity;
    this.#dropped = dropped;
    this.#random = policy.generator(salt);
    const size = Math.min(this.#capacity, 1024);
    this.key = new Int32Array(size);
    this.frame = new Int32Array(size);
    this.guestFrame = new Int32Array(size);
    this.flags = new Int32Array(size);
    this.mask = new Int32Array(size);
    this.#tag = new Float64Array(size);
    this.#stamp = new Float64Array(size);
    this.#hashNext = new Int32Array(size);
    this.#hashPrevious = new Int32Array(size);
    this.#next = new Int32Array(size);
    this.#previous = new Int32Array(size);
    this.#buckets = new Int32Array(2048).fill(-1);
  }

  /** The entry that translates `page`, −1 if there is none or if it is drawn to be forgotten. */
  find(space: Space, page: number): number {
    const e = this.peek(space, page);
    return e >= 0 && this.#policy.draws && this.#drawnNew(e) ? -1 : e;
  }

  /** The same without drawing. */
  peek(space: Space, page: number): number {
    const { plain, global } = space;
    let e = this.#probe(page, plain.id);
    if (e < 0 && global.count > 0) e = this.#probe(page, global.id);
    if (e < 0 && plain.large > 0) e = this.#probeLarge(page, plain.id);
    if (e < 0 && global.large > 0) e = this.#probeLarge(page, global.id);
    return e;
  }

  /** The entry with exactly this key, for caches whose keys are not pages. Draws as `find` does. */
  findKey(tag: Tag, key: number): number {
    const e = tag.count > 0 ? this.#probe(key, tag.id) : -1;
    return e >= 0 && this.#policy.draws && this.#drawnNew(e) ? -1 : e;
  }

  /** The same without drawing. */
  peekKey(tag: Tag, key: number): number {
    return tag.count > 0 ? this.#probe(key, tag.id) : -1;
  }

  /** Caches a translation. Another one for the same page in the same space gives way to it. */
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
    const key = keyOf(page, shift);
    for (let old = this.peek(space, page); old >= 0; old = this.peek(space, page)) {
      if (this.key[old] === key && this.#tag[old] === tag.id) return this.#renew(old, frame, guestFrame, flags);
      this.remove(old);
    }
    return this.insertKey(tag, key, frame, guestFrame, flags);
  }

  /** Caches under a key that is known to be absent. */
  insertKey(tag: Tag, key: number, frame: number, guestFrame: number, flags: number): number {
    const e = this.#take();
    this.key[e] = key;
    this.frame[e] = frame;
    this.guestFrame[e] = guestFrame;
    this.flags[e] = flags;
    this.mask[e] = 0;
    this.#stamp[e] = this.#policy.events;
    this.#link(e, tag);
    return e;
  }

  /** Caches under a key, whether it is there or not. */
  putKey(tag: Tag, key: number, frame: number, guestFrame: number, flags: number): number {
    const old = this.#probe(key, tag.id);
    return old >= 0 ? this.#renew(old, frame, guestFrame, flags) : this.insertKey(tag, key, frame, guestFrame, flags);
  }

  /** Kills one entry. */
  remove(e: number): void {
    this.#drop(e);
    this.#unchain(e);
    this.#tag[e] = 0;
    this.#tagOf[e] = NOBODY;
    this.#next[e] = this.#free;
    this.#free = e;
  }

  /** Kills every entry for `page` in the space; true if there was one. */
  removePage(space: Space, page: number): void {
    for (let e = this.peek(space, page); e >= 0; e = this.peek(space, page)) this.remove(e);
  }

  /** Kills the entry with this key, if there is one. */
  removeKey(tag: Tag, key: number): void {
    const e = this.#probe(key, tag.id);
    if (e >= 0) this.remove(e);
  }

  /** Kills every entry of the tag, at once. The fast tables are the caller's matter. */
  retire(tag: Tag): void {
    if (tag.head >= 0) {
      this.#next[tag.tail] = this.#free;
      this.#free = tag.head;
    }
    tag.head = tag.tail = -1;
    tag.changes++;
    tag.count = tag.large = tag.pieces = 0;
    tag.id = this.spaces.takeId();
  }

  /** Size of the page of entry e. */
  shift(e: number): number {
    return shiftOf(this.key[e]);
  }

  frameOf(e: number): number {
    return this.frame[e];
  }

  guestFrameOf(e: number): number {
    return this.guestFrame[e];
  }

  flagsOf(e: number): number {
    return this.flags[e];
  }

  noteFetch(e: number): void {
    this.flags[e] |= ENTRY_FETCHED;
  }

  noteCopy(e: number, context: number): void {
    this.mask[e] |= 1 << context;
  }

  /** The tag of a live entry. */
  tagOf(e: number): Tag {
    return this.#tagOf[e];
  }

  /** Live entries of a tag, newest first. */
  *entries(tag: Tag): Generator<number> {
    for (let e = tag.head; e >= 0; e = this.#next[e]) yield e;
  }

  /** Free entries that were in use once, in the order in which they will be used again; how many entries were ever in use. */
  freeList(): { readonly used: number; readonly free: number[]; readonly random: number } {
    const free: number[] = [];
    for (let e = this.#free; e >= 0; e = this.#next[e]) free.push(e);
    return { used: this.#used, free, random: this.#random };
  }

  /** Entry e as a snapshot has it. */
  saved(e: number): readonly number[] {
    return [e, this.key[e], this.frame[e], this.guestFrame[e], this.flags[e], this.#stamp[e]];
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** Empties the store for a restore: entries 0 … used − 1 exist, those in `free` are free in that order. */
  reset(used: number, free: readonly number[], random: number): void {
    this.spaces.clear();
    this.#buckets.fill(-1);
    while (this.key.length < used) this.#grow();
    this.#used = used;
    this.#random = random;
    this.#tagOf.length = 0;
    this.#free = -1;
    for (let k = free.length - 1; k >= 0; k--) {
      const e = free[k];
      this.key[e] = 0;
      this.#tag[e] = 0;
      this.#hashLink(e);
      this.#next[e] = this.#free;
      this.#free = e;
    }
  }

  /** Puts entry e back as it was saved; `tag` grows at its head. */
  place(e: number, tag: Tag, key: number, frame: number, guestFrame: number, flags: number, stamp: number): void {
    this.key[e] = key;
    this.frame[e] = frame;
    this.guestFrame[e] = guestFrame;
    this.flags[e] = flags;
    this.mask[e] = 0;
    this.#stamp[e] = stamp;
    this.#link(e, tag);
  }

  #drawnNew(e: number): boolean {
    if (this.#stamp[e] === this.#policy.events) return false;
    this.#stamp[e] = this.#policy.events;
    return this.#policy.drawNew(this.key[e], this.#tag[e]);
  }

  #renew(e: number, frame: number, guestFrame: number, flags: number): number {
    const kept = ENTRY_DIRTY | ENTRY_FETCHED;
    const tag = this.#tagOf[e];
    tag.pieces += (flags & ENTRY_PIECE ? 1 : 0) - (this.flags[e] & ENTRY_PIECE ? 1 : 0);
    tag.changes++;
    if (this.frame[e] !== frame || ((this.flags[e] ^ flags) & ~kept) !== 0) {
      this.#drop(e);
      this.mask[e] = 0;
      this.flags[e] = flags;
    } else this.flags[e] = flags | (this.flags[e] & ENTRY_FETCHED);
    this.frame[e] = frame;
    this.guestFrame[e] = guestFrame;
    this.#stamp[e] = this.#policy.events;
    return e;
  }

  #drop(e: number): void {
    const key = this.key[e];
    this.#dropped(key & 0x0fff_ffff, shiftOf(key), this.mask[e], this.flags[e]);
  }

  /** An entry to fill: a free one, one never used, or a victim. */
  #take(): number {
    if (this.#free >= 0) {
      const e = this.#free;
      this.#free = this.#next[e];
      this.#unhash(e);
      return e;
    }
    if (this.#used < this.#capacity) {
      if (this.#used === this.key.length) this.#grow();
      return this.#used++;
    }
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    const victim = (x >>> 0) % this.#capacity;
    this.#counts.evictions++;
    this.#drop(victim);
    this.#unchain(victim);
    this.#unhash(victim);
    return victim;
  }

  #link(e: number, tag: Tag): void {
    this.#tag[e] = tag.id;
    this.#tagOf[e] = tag;
    this.#next[e] = tag.head;
    this.#previous[e] = -1;
    if (tag.head >= 0) this.#previous[tag.head] = e;
    else tag.tail = e;
    tag.head = e;
    tag.count++;
    tag.changes++;
    if (this.key[e] >= CODE_2M) {
      tag.large++;
      if (this.key[e] >= CODE_1G) this.#huge = true;
    }
    if ((this.flags[e] & ENTRY_PIECE) !== 0) tag.pieces++;
    this.#hashLink(e);
  }

  #unchain(e: number): void {
    const tag = this.#tagOf[e];
    const next = this.#next[e];
    const previous = this.#previous[e];
    if (previous >= 0) this.#next[previous] = next;
    else tag.head = next;
    if (next >= 0) this.#previous[next] = previous;
    else tag.tail = previous;
    tag.count--;
    tag.changes++;
    if (this.key[e] >= CODE_2M) tag.large--;
    if ((this.flags[e] & ENTRY_PIECE) !== 0) tag.pieces--;
  }

  #hashLink(e: number): void {
    const bucket = this.#bucket(this.key[e], this.#tag[e]);
    const head = this.#buckets[bucket];
    this.#hashNext[e] = head;
    this.#hashPrevious[e] = -1 - bucket;
    if (head >= 0) this.#hashPrevious[head] = e;
    this.#buckets[bucket] = e;
  }

  #unhash(e: number): void {
    const next = this.#hashNext[e];
    const previous = this.#hashPrevious[e];
    if (previous >= 0) this.#hashNext[previous] = next;
    else this.#buckets[-1 - previous] = next;
    if (next >= 0) this.#hashPrevious[next] = previous;
  }

  #bucket(key: number, id: number): number {
    const h = Math.imul(key ^ Math.imul(id | 0, 0x85eb_ca6b), 0x9e37_79b1);
    return (h ^ (h >>> 15)) & (this.#buckets.length - 1);
  }

  #probe(key: number, id: number): number {
    let e = this.#buckets[this.#bucket(key, id)];
    while (e >= 0 && (this.key[e] !== key || this.#tag[e] !== id)) e = this.#hashNext[e];
    return e;
  }

  #probeLarge(page: number, id: number): number {
    const e = this.#probe(keyOf(page, SHIFT_2M), id);
    if (e >= 0) return e;
    const f = this.#probe(keyOf(page, SHIFT_4M), id);
    return f >= 0 || !this.#huge ? f : this.#probe(keyOf(page, SHIFT_1G), id);
  }

  #grow(): void {
    const size = Math.min(this.#capacity, this.key.length * 2);
    const grown = <A extends Int32Array | Float64Array>(a: A, b: A): A => {
      b.set(a);
      return b;
    };
    this.key = grown(this.key, new Int32Array(size));
    this.frame = grown(this.frame, new Int32Array(size));
    this.guestFrame = grown(this.guestFrame, new Int32Array(size));
    this.flags = grown(this.flags, new Int32Array(size));
    this.mask = grown(this.mask, new Int32Array(size));
    this.#tag = grown(this.#tag, new Float64Array(size));
    this.#stamp = grown(this.#stamp, new Float64Array(size));
    this.#hashNext = new Int32Array(size);
    this.#hashPrevious = new Int32Array(size);
    this.#next = grown(this.#next, new Int32Array(size));
    this.#previous = grown(this.#previous, new Int32Array(size));
    this.#buckets = new Int32Array(this.#buckets.length * 2).fill(-1);
    for (let e = 0; e < this.#used; e++) this.#hashLink(e);
  }
}

/** Key of the page of this size that `page` lies in. */
export const keyOf = (page: number, shift: number): number =>
  shift === SHIFT_4K
    ? page
    : (page & -(1 << shift)) | (shift === SHIFT_2M ? CODE_2M : shift === SHIFT_4M ? CODE_4M : CODE_1G);

/** Size of the page of a key. */
export const shiftOf = (key: number): number =>
  key < CODE_2M ? SHIFT_4K : key < CODE_4M ? SHIFT_2M : key < CODE_1G ? SHIFT_4M : SHIFT_1G;
