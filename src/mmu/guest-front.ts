/** A direct-mapped copy of guest-physical translations, so that a walk through EPT finds its tables without a search. Like the fast
 *  tables it holds nothing that the store does not hold. */

const SLOTS = 1 << 14;
/** Words of a slot: page, EPT root, generation, frame << 8 | shift << 3 | rights (frames have at most 24 bits). */
const WORDS = 4;

export class GuestFront {
  readonly #slots = new Int32Array(SLOTS * WORDS).fill(-1);
  #generation = 0;
  /** Result of `find`. */
  frame = 0;
  rights = 0;
  /** Size of the EPT page: bits of the page number inside it. */
  shift = 0;

  /** Whether the page is here under this EPT root. */
  find(root: number, page: number): boolean {
    const slots = this.#slots;
    const k = (page & (SLOTS - 1)) * WORDS;
    if (slots[k] !== page || slots[k + 1] !== root || slots[k + 2] !== this.#generation) return false;
    const packed = slots[k + 3];
    this.frame = packed >>> 8;
    this.rights = packed & 7;
    this.shift = (packed >> 3) & 31;
    return true;
  }

  put(root: number, page: number, frame: number, rights: number, shift: number): void {
    if (frame >= 1 << 24 || root !== (root | 0)) return;
    const slots = this.#slots;
    const k = (page & (SLOTS - 1)) * WORDS;
    slots[k] = page;
    slots[k + 1] = root;
    slots[k + 2] = this.#generation;
    slots[k + 3] = (frame << 8) | (shift << 3) | (rights & 7);
  }

  /** Forgets everything. */
  clear(): void {
    this.#generation = (this.#generation + 1) | 0;
  }
}
