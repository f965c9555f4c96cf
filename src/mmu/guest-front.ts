/** A direct-mapped copy of guest-physical translations, so that a walk through EPT finds its tables without a search. Like the fast
 *  tables it holds nothing that the store does not hold. */

const SLOTS = 1 << 14;

export class GuestFront {
  readonly #page = new Int32Array(SLOTS).fill(-1);
  readonly #root = new Int32Array(SLOTS);
  readonly #stamp = new Int32Array(SLOTS);
  readonly #frame = new Int32Array(SLOTS);
  readonly #rights = new Int32Array(SLOTS);
  #generation = 0;
  /** Result of `find`. */
  frame = 0;
  rights = 0;
  /** Size of the EPT page: bits of the page number inside it. */
  shift = 0;

  /** Whether the page is here under this EPT root. */
  find(root: number, page: number): boolean {
    const k = page & (SLOTS - 1);
    if (this.#page[k] !== page || this.#root[k] !== root || this.#stamp[k] !== this.#generation) return false;
    this.frame = this.#frame[k];
    this.rights = this.#rights[k] & 7;
    this.shift = this.#rights[k] >> 3;
    return true;
  }

  put(root: number, page: number, frame: number, rights: number, shift: number): void {
    const k = page & (SLOTS - 1);
    this.#page[k] = page;
    this.#root[k] = root;
    this.#stamp[k] = this.#generation;
    this.#frame[k] = frame;
    this.#rights[k] = (rights & 7) | (shift << 3);
  }

  /** Forgets everything. */
  clear(): void {
    this.#generation = (this.#generation + 1) | 0;
  }
}
