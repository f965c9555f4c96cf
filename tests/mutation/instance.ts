/** One instance of the bundled tests: all modules executed anew, with one mutant switched on. */
import { createRequire } from 'node:module';
import { Script } from 'node:vm';
import { Runner, type Test } from './runner.ts';

const require = createRequire(import.meta.url);

/** Thrown out of a loop that went round too often. */
const ENDLESS = 'endless';

interface Exports {
  readonly files: Record<string, () => Promise<unknown>>;
}
type Bundle = (
  require: (name: string) => unknown,
  module: { exports: Exports },
  mutant: number,
  reached: Uint8Array,
  rounds: { left: number; used: number },
) => void;

/** The bundle as a function. */
export const compiled = (text: string): Bundle =>
  new Script(
    `(function (require, module, __mutant, __reached, __rounds) { const exports = module.exports;
const __round = () => { if (--__rounds.left < 0) throw new Error('${ENDLESS}'); };
${text}
})`,
    { filename: 'mutants.cjs' },
  ).runInThisContext();

export class Instance {
  readonly reached: Uint8Array;
  readonly #rounds = { left: 0, used: 0 };
  readonly #runner = new Runner();
  readonly #files: Record<string, () => Promise<unknown>>;
  readonly #tests = new Map<string, readonly Test[]>();

  constructor(bundle: Bundle, mutant: number, mutants: number) {
    this.reached = new Uint8Array(mutants);
    const module = { exports: {} as Exports };
    const load = (name: string): unknown => (name === 'vitest' ? this.#runner.exports : require(name));
    bundle(load, module, mutant, this.reached, this.#rounds);
    this.#files = module.exports.files;
  }

  /** The tests of a file. */
  async tests(file: string, rounds: number): Promise<readonly Test[]> {
    const known = this.#tests.get(file);
    if (known !== undefined) return known;
    this.#rounds.left = rounds;
    const tests = await this.#runner.collect(file, this.#files[file]);
    this.#tests.set(file, tests);
    return tests;
  }

  /** Null if the test passed, else what was wrong. So many rounds of loops may be gone. */
  async run(test: Test, rounds: number): Promise<string | null> {
    this.#rounds.left = rounds;
    try {
      await test.run();
    } catch (error) {
      return this.isEndless ? ENDLESS : String(error).split('\n')[0] || 'an error';
    }
    return this.isEndless ? ENDLESS : null;
  }

  get roundsLeft(): number {
    return this.#rounds.left;
  }

  /** Even if the error was caught on its way. */
  get isEndless(): boolean {
    return this.#rounds.left < 0;
  }

  end(): Promise<void> {
    return this.#runner.end();
  }
}
