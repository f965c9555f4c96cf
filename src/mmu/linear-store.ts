/** What the memory unit asks of the store of linear translations, whichever way they are kept: with a limit, victims and draws
 *  (store.ts), or without (page-store.ts). An entry is a number that is good until the next change of the store. */
import type { Space, Spaces, Tag } from './space.ts';

export interface LinearStore {
  readonly spaces: Spaces;
  /** Entries that it can hold. */
  readonly capacity: number;
  /** The entry that translates `page`, −1 if there is none or if it is drawn to be forgotten; `peek` does not draw. */
  find(space: Space, page: number): number;
  peek(space: Space, page: number): number;
  /** Caches a translation. Another one for the same page in the same space gives way to it. */
  insert(
    space: Space,
    page: number,
    shift: number,
    global: boolean,
    frame: number,
    guestFrame: number,
    flags: number,
  ): number;
  /** Caches under a key that is known to be absent. */
  insertKey(tag: Tag, key: number, frame: number, guestFrame: number, flags: number): number;
  /** Kills one entry; every entry for `page` in the space; every entry of the tag, at once and without a word to the fast tables. */
  remove(e: number): void;
  removePage(space: Space, page: number): void;
  retire(tag: Tag): void;
  /** What entry e says. */
  tagOf(e: number): Tag;
  shift(e: number): number;
  frameOf(e: number): number;
  guestFrameOf(e: number): number;
  flagsOf(e: number): number;
  /** Notes that an instruction was fetched by entry e; that a fast context has a copy of it. */
  noteFetch(e: number): void;
  noteCopy(e: number, context: number): void;
  /** Live entries of a tag. */
  entries(tag: Tag): Generator<number>;
  /** Entry e for a snapshot, the nth that is saved: [index, key, frame, guestFrame, flags, stamp]. */
  saved(e: number, nth: number): readonly number[];
  freeList(): { readonly used: number; readonly free: number[]; readonly random: number };
  /** Starts a restore: empty but for free entries. `place` puts the others back. */
  reset(used: number, free: readonly number[], random: number): void;
  place(e: number, tag: Tag, key: number, frame: number, guestFrame: number, flags: number, stamp: number): void;
}
