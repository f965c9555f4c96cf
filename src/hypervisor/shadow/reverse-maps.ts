/** For each page of the guest, the entries of shadow page tables that map it. */

const NONE: ReadonlySet<number> = new Set();

export class ReverseMaps {
  /** Places by page: number of the table * ENTRIES + index. */
  readonly #places = new Map<number, Set<number>>();

  add(guestFrame: number, place: number): void {
    const places = this.#places.get(guestFrame);
    if (places === undefined) this.#places.set(guestFrame, new Set([place]));
    else places.add(place);
  }

  remove(guestFrame: number, place: number): void {
    const places = this.#places.get(guestFrame);
    places?.delete(place);
    if (places?.size === 0) this.#places.delete(guestFrame);
  }

  of(guestFrame: number): ReadonlySet<number> {
    return this.#places.get(guestFrame) ?? NONE;
  }

  /** All places together. */
  get size(): number {
    let size = 0;
    for (const places of this.#places.values()) size += places.size;
    return size;
  }
}
