/** A set-associative array of keys: what a cache or a TLB knows. A free way is taken first; otherwise a victim is drawn among the ways that were not the last
 *  one used, as processors that do not keep the whole order of uses do. */

/** Sizes of one array. */
export interface Geometry {
  readonly entries: number;
  /** Ways of a set; as many as entries: fully associative. */
  readonly ways: number;
}

const FREE = -1;

export class Associative {
  readonly ways: number;
  /** Keys by set and way. */
  readonly #keys: Float64Array;
  /** Way of each set that was used last. */
  readonly #recent: Uint8Array;
  readonly #mask: number;
  /** Entries in use, as long as none was taken out or driven out: whether looking is worth it. */
  #filled = 0;
  #random: number;

  /** `seed`: of the generator of victims. The number of sets has to be a power of two. */
  constructor({ entries, ways }: Geometry, seed: number) {
    const sets = entries / ways;
    if (!(Number.isInteger(sets) && sets >= 1 && (sets & (sets - 1)) === 0 && ways <= 256))
      throw new RangeError(`${entries} entries of ${ways} ways: the number of sets must be a power of two`);
    this.ways = ways;
    this.#mask = sets - 1;
    this.#keys = new Float64Array(entries).fill(FREE);
    this.#recent = new Uint8Array(sets);
    this.#random = Math.imul(seed + 1, 0x9e37_79b1) | 1;
  }

  /** Whether the key is there; then it is the last one used of its set. `index` chooses the set. */
  has(key: number, index: number): boolean {
    if (this.#filled === 0) return false;
    const keys = this.#keys;
    const set = index & this.#mask;
    const first = set * this.ways;
    if (keys[first + this.#recent[set]] === key) return true;
    for (let way = 0; way < this.ways; way++)
      if (keys[first + way] === key) {
        this.#recent[set] = way;
        return true;
      }
    return false;
  }

  /** Puts a key in that is not there. */
  put(key: number, index: number): void {
    const keys = this.#keys;
    const set = index & this.#mask;
    const first = set * this.ways;
    let way = 0;
    while (way < this.ways && keys[first + way] !== FREE) way++;
    if (way === this.ways) way = this.#victim(set);
    else this.#filled++;
    keys[first + way] = key;
    this.#recent[set] = way;
  }

  /** Takes a key out, if it is there. */
  remove(key: number, index: number): void {
    const first = (index & this.#mask) * this.ways;
    for (let way = 0; way < this.ways; way++)
      if (this.#keys[first + way] === key) {
        this.#keys[first + way] = FREE;
        this.#filled--;
      }
  }

  #victim(set: number): number {
    if (this.ways === 1) return 0;
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    const drawn = (x >>> 0) % (this.ways - 1);
    return drawn >= this.#recent[set] ? drawn + 1 : drawn;
  }
}
