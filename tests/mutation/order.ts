/** Which tests a mutant is shown, and in which order: those that reach it, the likeliest and cheapest first. Only time depends on it. */
import type { MeasuredTest } from './worker.ts';

export class Order {
  readonly #tests: readonly MeasuredTest[];
  readonly #reached: readonly Buffer[];
  /** Of tests, by the file that the mutants are in. */
  readonly #kills = new Map<string, Float64Array>();
  readonly #tries = new Map<string, Float64Array>();
  /** How much of a file a test runs through, beyond what loading its modules does: 0 to 1. */
  readonly #affinity = new Map<string, Float64Array>();

  /** `files`: the file of each mutant. */
  constructor(tests: readonly MeasuredTest[], files: readonly string[]) {
    this.#tests = tests;
    this.#reached = tests.map(({ reached }) => Buffer.from(reached, 'base64'));
    for (const [n, reached] of this.#reached.entries())
      for (const [mutant, file] of files.entries()) if (isSet(reached, mutant)) this.#of(this.#affinity, file)[n]++;
    for (const counts of this.#affinity.values()) {
      const least = Math.min(...counts);
      const most = Math.max(...counts, least + 1);
      for (const [n, count] of counts.entries()) counts[n] = (count - least) / (most - least);
    }
  }

  #of(counts: Map<string, Float64Array>, file: string): Float64Array {
    const known = counts.get(file) ?? new Float64Array(this.#tests.length);
    counts.set(file, known);
    return known;
  }

  /** The tests of these files for a mutant, of at most so many milliseconds together (but one at least); and how many there would be. */
  tests(
    mutant: number,
    file: string,
    files: readonly string[],
    budget: number,
  ): { chosen: MeasuredTest[]; of: number } {
    const from = new Set(files);
    const kills = this.#of(this.#kills, file);
    const tries = this.#of(this.#tries, file);
    const affinity = this.#of(this.#affinity, file);
    const worth = (n: number) =>
      ((kills[n] + 0.02) * (affinity[n] + 0.02)) / (tries[n] + 1) / (this.#tests[n].cost + 1);
    const reaching = this.#tests.flatMap((test, n) =>
      isSet(this.#reached[n], mutant) && from.has(test.file) ? [n] : [],
    );
    const sorted = reaching.map((n) => [worth(n), n]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    const chosen: MeasuredTest[] = [];
    let sum = 0;
    for (const [, n] of sorted) {
      const test = this.#tests[n];
      if (chosen.length > 0 && sum + test.cost > budget) continue;
      sum += test.cost;
      chosen.push(test);
    }
    return { chosen, of: reaching.length };
  }

  /** What came of it: tests before `killer` noticed nothing (all, if it is null). */
  learn(file: string, shown: readonly MeasuredTest[], killer: MeasuredTest | null): void {
    for (const test of shown) {
      const n = this.#tests.indexOf(test);
      this.#of(this.#tries, file)[n]++;
      if (test !== killer) continue;
      this.#of(this.#kills, file)[n]++;
      return;
    }
  }

  /** A test that noticed a mutant of the file in an earlier run. */
  remember(file: string, by: string): void {
    const n = this.#tests.findIndex((test) => nameOf(test) === by);
    if (n < 0) return;
    this.#of(this.#tries, file)[n]++;
    this.#of(this.#kills, file)[n]++;
  }
}

const isSet = (bits: Buffer, n: number): boolean => (bits[n >> 3] & (1 << (n & 7))) !== 0;

/** How results name a test. */
export const nameOf = (test: MeasuredTest): string => `${test.file}: ${test.title}`;
