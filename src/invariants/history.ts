/** Words of page tables over time: every version that a processor may have seen. Time is the number of an event in the trace. */

const WORDS = 1024;

interface Word {
  /** When each version came to be, ascending, and what it was. */
  readonly times: number[];
  readonly values: number[];
}

export class TableHistory {
  /** By address / 4. Words that were never 0 … are not here: 0 from the beginning of their frame on. */
  readonly #words = new Map<number, Word>();
  readonly #frames = new Set<number>();
  /** Grows with each write. */
  version = 0;

  /** From now on the frame is known; words that are not named are 0. */
  begin(time: number, frame: number, words: readonly (readonly [number, number])[]): void {
    this.#frames.add(frame);
    for (const [index, value] of words) this.#set(time, frame * WORDS + index, value);
  }

  /** The word as it is; 0 if nobody has read its frame. */
  now(at: number): number {
    return this.#words.get(Math.floor(at / 4))?.values.at(-1) ?? 0;
  }

  write(time: number, at: number, value: number): void {
    this.version++;
    const word = Math.floor(at / 4);
    if (!this.#words.has(word)) this.#set(0, word, 0);
    this.#set(time, word, value);
  }

  /** Every value that the aligned word has had since `time`, the one that it had then included; none if nobody read its frame. */
  versions(at: number, time: number): readonly number[] {
    const word = this.#words.get(Math.floor(at / 4));
    if (word === undefined) return this.#frames.has(Math.floor(at / 4096)) ? ZERO : NONE;
    const { times, values } = word;
    let first = times.length - 1;
    while (first > 0 && times[first] > time) first--;
    return first === 0 && values.length === 1 ? values : [...new Set(values.slice(first))];
  }

  #set(time: number, word: number, value: number): void {
    const known = this.#words.get(word);
    if (known === undefined) this.#words.set(word, { times: [time], values: [value] });
    else {
      known.times.push(time);
      known.values.push(value);
    }
  }
}

const ZERO: readonly number[] = [0];
const NONE: readonly number[] = [];
