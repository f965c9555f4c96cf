/** What is known of mutants, kept in a file from run to run. */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutants.ts';
import { hashOf } from './plan.ts';
import type { MeasuredTest, Outcome } from './worker.ts';

export interface Result {
  readonly outcome: Outcome | 'not covered';
  /** The test that noticed it. */
  readonly by: string;
  /** Tests that were shown the mutant, of those that come to its place. */
  readonly shown: number;
  readonly of: number;
  readonly seconds: number;
  /** Tried because it was asked for: no part of a random sample. */
  readonly picked?: boolean;
}
interface Kept extends Result {
  readonly key: string;
  /** Which tests there were (see `Suite`), and milliseconds for those of one mutant. */
  readonly suite: string;
  readonly budget: number;
}

/** Files of tests, with the hash of each. */
export type Suite = Readonly<Record<string, string>>;

export class Results {
  readonly #folder: string;
  readonly #suite: Suite;
  readonly #budget: number;
  readonly #known = new Map<string, Kept>();
  readonly #suites: Record<string, Suite> = {};

  /** `suite`: the tests as they are now; `budget`: milliseconds for the tests of a mutant. */
  constructor(folder: string, suite: Suite, budget: number) {
    this.#folder = folder;
    this.#suite = suite;
    this.#budget = budget;
    this.#suites = this.#read('suites.json') ?? {};
    if (!existsSync(join(folder, 'results.jsonl'))) return;
    for (const line of readFileSync(join(folder, 'results.jsonl'), 'utf8').split('\n')) {
      if (line === '') continue;
      const kept: Kept = JSON.parse(line);
      this.#known.set(kept.key, kept);
    }
  }

  add(mutant: Mutant, result: Result): void {
    const kept = { key: mutant.key, suite: this.#shownTo(mutant), budget: this.#budget, ...result };
    this.#known.set(mutant.key, kept);
    appendFileSync(join(this.#folder, 'results.jsonl'), `${JSON.stringify(kept)}\n`);
  }

  /** Name of the tests as they are now, together with those of other files that the mutant was shown to before. */
  #shownTo(mutant: Mutant): string {
    const before = this.#suites[this.#known.get(mutant.key)?.suite ?? ''];
    const suite = Object.fromEntries(Object.entries({ ...before, ...this.#suite }).sort());
    const name = hashOf(JSON.stringify(suite));
    if (this.#suites[name] === undefined) {
      this.#suites[name] = suite;
      writeFileSync(join(this.#folder, 'suites.json'), JSON.stringify(this.#suites));
    }
    return name;
  }

  of(mutant: Mutant): Result | null {
    return this.#known.get(mutant.key) ?? null;
  }

  /** Files whose tests may say something new of a mutant; whether that comes on top of what is known. */
  news(mutant: Mutant): { readonly files: readonly string[]; readonly more: boolean } {
    const kept = this.#known.get(mutant.key);
    if (kept?.outcome === 'killed' || kept?.outcome === 'endless') return { files: [], more: false };
    const files = Object.keys(this.#suite);
    if (kept === undefined || (kept.budget < this.#budget && kept.shown < kept.of)) return { files, more: false };
    const old = this.#suites[kept.suite] ?? {};
    return { files: files.filter((file) => old[file] !== this.#suite[file]), more: true };
  }

  /** What tests of a file reach, if it was measured with these sources. */
  measured(key: string): MeasuredTest[] | null {
    return this.#read(`${key}.tests.json`);
  }

  keepMeasured(key: string, tests: readonly MeasuredTest[]): void {
    writeFileSync(join(this.#folder, `${key}.tests.json`), JSON.stringify(tests));
  }

  #read<T>(name: string): T | null {
    const path = join(this.#folder, name);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
  }

  summary(mutants: readonly Mutant[]): string {
    const counts: Record<string, number> = {};
    for (const mutant of mutants) {
      const outcome = this.of(mutant)?.outcome ?? 'not tried';
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    return Object.entries(counts)
      .map(([outcome, count]) => `${count} ${outcome}`)
      .join(', ');
  }
}
