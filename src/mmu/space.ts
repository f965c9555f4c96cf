/** Tags of cached translations (SDM Vol. 3, "Caching Translation Information"): a space is what one VPID and one EPT root make. */

/** EPTRTA of translations made without EPT. */
export const NO_EPT = -1;

/** Entries that die together. Retiring a tag gives it a new id, so everything that bore the old one is gone at once. */
export interface Tag {
  readonly vpid: number;
  /** EPTP[51:12], or NO_EPT. */
  readonly eptrta: number;
  readonly global: boolean;
  /** Never used twice in one store; 0 is nobody's. */
  id: number;
  /** Chain of the entries that bear it, newest first; −1 at the ends. */
  head: number;
  tail: number;
  count: number;
  /** Entries among them for pages above 4 KiB. */
  large: number;
  /** Entries among them that are pieces of a larger page. */
  pieces: number;
  /** Grows whenever one of them comes, goes or becomes another. */
  changes: number;
  /** In a store by page (page-store.ts): where its leaves are, 0 where there is none; what its live records bear, never 0. */
  leaves: Int32Array;
  generation: number;
}

/** A directory without leaves: one place for each 4 MiB of linear addresses, three for large pages. */
export const NO_LEAVES: Readonly<Int32Array> = new Int32Array(1027);

/** A tag that nothing bears yet. */
export const newTag = (vpid: number, eptrta: number, global: boolean, id: number): Tag => ({
  vpid,
  eptrta,
  global,
  id,
  head: -1,
  tail: -1,
  count: 0,
  large: 0,
  pieces: 0,
  changes: 0,
  leaves: NO_LEAVES as Int32Array,
  generation: 1,
});

export interface Space {
  readonly vpid: number;
  readonly eptrta: number;
  readonly plain: Tag;
  readonly global: Tag;
}

/** Spaces of one store, by VPID. */
export class Spaces {
  readonly #byVpid = new Map<number, Space[]>();
  #size = 0;
  /** Increments when spaces are forgotten: what `get` returned holds for one value of it. */
  epoch = 0;
  /** The next id: ids only grow. */
  nextId = 1;

  /** The id for a tag that is made or retired. */
  takeId(): number {
    return this.nextId++;
  }

  /** The space, made if it does not exist yet. Now and then empty ones are forgotten (`epoch`). */
  get(vpid: number, eptrta: number): Space {
    const peers = this.ofVpid(vpid);
    for (const space of peers) if (space.eptrta === eptrta) return space;
    if (this.#size >= 1024) this.#forgetEmpty();
    const space: Space = {
      vpid,
      eptrta,
      plain: this.#tag(vpid, eptrta, false),
      global: this.#tag(vpid, eptrta, true),
    };
    const list = this.#byVpid.get(vpid);
    if (list === undefined) this.#byVpid.set(vpid, [space]);
    else list.push(space);
    this.#size++;
    return space;
  }

  ofVpid(vpid: number): readonly Space[] {
    return this.#byVpid.get(vpid) ?? [];
  }

  *all(): Generator<Space> {
    for (const list of this.#byVpid.values()) yield* list;
  }

  /** Starts again without any space. */
  clear(): void {
    this.epoch++;
    this.#byVpid.clear();
    this.#size = 0;
  }

  #tag(vpid: number, eptrta: number, global: boolean): Tag {
    return newTag(vpid, eptrta, global, this.takeId());
  }

  #forgetEmpty(): void {
    this.epoch++;
    this.#size = 0;
    for (const [vpid, list] of this.#byVpid) {
      const kept = list.filter((s) => s.plain.count + s.global.count > 0);
      if (kept.length > 0) this.#byVpid.set(vpid, kept);
      else this.#byVpid.delete(vpid);
      this.#size += kept.length;
    }
  }
}
