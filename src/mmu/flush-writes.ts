/** Who wrote to table entries last, for the report on flushes. */
import type { Place } from './flush-path.ts';

/** Entries kept; a guest is not trusted to write few. */
const MOST = 1 << 18;

export class TableWrites {
  /** By address, four bytes at a time. */
  readonly #places = new Map<number, Place>();

  /** [at, at + length) is written. */
  note(at: number, length: number, place: Place): void {
    if (this.#places.size > MOST) this.#places.clear();
    for (let word = at - (at % 4); word < at + length; word += 4) this.#places.set(word, place);
  }

  /** The last write to an entry; null if none was seen. */
  last(at: number, bytes: 4 | 8): Place | null {
    const low = this.#places.get(at) ?? null;
    const high = bytes === 8 ? (this.#places.get(at + 4) ?? null) : null;
    if (low === null || high === null) return low ?? high;
    return high.instructions > low.instructions ? high : low;
  }
}
