/** Fast tables: copies of translations in the form that the hot path reads. Nothing observable depends on what they hold.
 *
 *  Entry = physical page XOR linear page with bits 11:0 clear, or 1 = unusable. `T[base + (a >>> 12)]` serves reads, the same
 *  + WRITE_HALF writes. A write entry with bits 1:0 set is held: the translation is known, but writes to the frame have to go
 *  through the bus, because of a page flag. Each context (VPID, EPT root, class) has a base of its own; CR3 is no part of it. */

/** Distance of the write half of a context from its read half. */
export const WRITE_HALF = 1 << 20;
const CONTEXT_WORDS = 1 << 21;
/** Words of the tables of so many contexts. */
export const fastTableWords = (contexts: number): number => contexts * CONTEXT_WORDS;

/** Low bits of a write entry whose frame has a page flag. */
export const HELD = 3;
/** What to do with the write entry of a page. */
export const NO_WRITES = 0;
export const WRITES = 1;
export const HELD_WRITES = 2;

/** Class of a context: what U/S, CR0.WP and SMAP make of an entry is settled when it is copied. */
export const SUPERVISOR = 0; // CR0.WP = 0
export const SUPERVISOR_WP = 1;
export const USER_CLASS = 2;
/** CR0.PG = 0 */
export const UNPAGED = 3;
/** Added to a supervisor class: SMAP keeps it from data of user pages. */
export const SMAP_CLASS = 4;

/** Pages noted per context and list; when a list is full its context starts again empty. */
const LIST_LENGTH = 1 << 15;

export interface FastContext {
  readonly index: number;
  readonly base: number;
  vpid: number;
  eptrta: number;
  class: number;
  /** What besides translations decides on fetches (CR4.SMEP, IA32_EFER.NXE), as when it was last in force. */
  fetchRules: number;
  /** −1: never used, its part of T is all zero. */
  lastUse: number;
  /** Pages with a slot that may be usable, non-global and global. */
  readonly plain: Int32Array;
  plainCount: number;
  readonly global: Int32Array;
  globalCount: number;
}

export class FastTables {
  readonly T: Int32Array;
  readonly contexts: readonly FastContext[];
  /** Increments when a translation that a fetch may have used is dropped, or a base gets another meaning. */
  generation = 0;
  /** Pages that are never copied: each access to them takes the slow path. */
  watched: ReadonlySet<number> | null = null;
  /** No page is. */
  copiesNothing = false;
  #uses = 0;
  /** Frames that some write slot names, one byte each: the others need no search. */
  readonly #writable: Uint8Array;

  constructor(contexts: number, frames: number, tables: Int32Array = new Int32Array(fastTableWords(contexts))) {
    this.T = tables;
    this.#writable = new Uint8Array(frames);
    this.contexts = Array.from({ length: contexts }, (_, index) => ({
      index,
      base: index * CONTEXT_WORDS,
      vpid: 0,
      eptrta: 0,
      class: 0,
      fetchRules: 0,
      lastUse: -1,
      plain: new Int32Array(LIST_LENGTH),
      plainCount: 0,
      global: new Int32Array(LIST_LENGTH),
      globalCount: 0,
    }));
  }

  /** The context with this key. If none has it, the one that was not used for longest is emptied for it; never `keep`, nor `keepToo`. */
  select(
    vpid: number,
    eptrta: number,
    cls: number,
    keep: FastContext | null,
    keepToo: FastContext | null = null,
  ): FastContext {
    let k = 0;
    while (this.contexts[k] === keep || this.contexts[k] === keepToo) k++;
    let c = this.contexts[k];
    for (const other of this.contexts) {
      if (other.lastUse >= 0 && other.vpid === vpid && other.eptrta === eptrta && other.class === cls) {
        this.use(other);
        return other;
      }
      if (other !== keep && other !== keepToo && other.lastUse < c.lastUse) c = other;
    }
    if (c.lastUse < 0) this.T.fill(1, c.base, c.base + CONTEXT_WORDS);
    else this.clear(c);
    this.generation++;
    c.vpid = vpid;
    c.eptrta = eptrta;
    c.class = cls;
    c.lastUse = ++this.#uses;
    return c;
  }

  /** The context whose part of T starts there. */
  at(base: number): FastContext {
    return this.contexts[base / CONTEXT_WORDS];
  }

  /** Notes that a context comes into force. */
  use(c: FastContext): void {
    c.lastUse = ++this.#uses;
  }

  /** Copies a translation of one 4-KiB page of RAM. */
  fill(c: FastContext, page: number, frame: number, writes: number, global: boolean): void {
    if (this.copiesNothing || this.watched?.has(page)) return;
    const T = this.T;
    const at = c.base + page;
    const e = (frame ^ page) << 12;
    if (T[at] === 1) {
      if (global) {
        if (c.globalCount === LIST_LENGTH) this.clear(c);
        c.global[c.globalCount++] = page;
      } else {
        if (c.plainCount === LIST_LENGTH) this.clear(c);
        c.plain[c.plainCount++] = page;
      }
    }
    T[at] = e;
    if (writes === WRITES) {
      T[at + WRITE_HALF] = e;
      this.#writable[frame] = 1;
    } else if (writes === HELD_WRITES) T[at + WRITE_HALF] = e | HELD;
  }

  /** Lets writes to the page through whose held entry is at `at`: its frame has no page flag any more. */
  release(at: number, frame: number): void {
    this.T[at] &= ~HELD;
    this.#writable[frame] = 1;
  }

  /** Makes every slot of a context unusable. */
  clear(c: FastContext): void {
    this.clearPlain(c);
    const T = this.T;
    for (let k = 0; k < c.globalCount; k++) {
      const at = c.base + c.global[k];
      T[at] = 1;
      T[at + WRITE_HALF] = 1;
    }
    c.globalCount = 0;
  }

  /** The same, but global pages stay. */
  clearPlain(c: FastContext): void {
    const T = this.T;
    for (let k = 0; k < c.plainCount; k++) {
      const at = c.base + c.plain[k];
      T[at] = 1;
      T[at + WRITE_HALF] = 1;
    }
    c.plainCount = 0;
  }

  clearAll(): void {
    for (const c of this.contexts) this.clear(c);
  }

  /** Makes the slots of 1 << shift pages unusable in the contexts of `mask`. */
  kill(page: number, shift: number, mask: number): void {
    for (let left = mask; left !== 0; left &= left - 1) {
      const at = this.contexts[31 - Math.clz32(left & -left)].base + page;
      if (shift === 0) {
        this.T[at] = 1;
        this.T[at + WRITE_HALF] = 1;
      } else {
        this.T.fill(1, at, at + (1 << shift));
        this.T.fill(1, at + WRITE_HALF, at + WRITE_HALF + (1 << shift));
      }
    }
  }

  /** Holds every write slot that leads to the frame. */
  killWriteSlots(frame: number): void {
    if (this.#writable[frame] === 0) return;
    this.#writable[frame] = 0;
    for (const c of this.contexts) {
      this.#killWrites(c, c.plain, c.plainCount, frame);
      this.#killWrites(c, c.global, c.globalCount, frame);
    }
  }

  #killWrites(c: FastContext, pages: Int32Array, count: number, frame: number): void {
    const T = this.T;
    for (let k = 0; k < count; k++) {
      const page = pages[k];
      const at = c.base + WRITE_HALF + page;
      if (T[at] === (frame ^ page) << 12) T[at] |= HELD;
    }
  }
}
