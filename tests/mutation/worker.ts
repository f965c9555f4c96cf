/** A process that runs tests: each test alone to see what it reaches, or tests against a mutant until one notices it. */
import { readFileSync } from 'node:fs';
import { compiled, Instance } from './instance.ts';

/** A test: the n-th of its file. */
export interface TestName {
  readonly file: string;
  readonly index: number;
}
export interface MeasuredTest extends TestName {
  readonly title: string;
  /** Milliseconds among the others of its file; rounds of loops alone, with what it needs to be loaded. */
  readonly cost: number;
  readonly rounds: number;
  /** Numbers of the mutants whose place it comes to; in base 64, a bit each. */
  readonly reached: string;
  readonly failure: string | null;
}

export type Job =
  | { readonly kind: 'measure'; readonly file: string }
  | { readonly kind: 'try'; readonly mutant: number; readonly tests: readonly (TestName & { rounds: number })[] };
export type Answer =
  | { readonly kind: 'measured'; readonly tests: readonly MeasuredTest[] }
  | { readonly kind: 'tried'; readonly outcome: Outcome; readonly by: TestName | null; readonly why: string | null };

export type Outcome = 'killed' | 'endless' | 'survived';

/** Enough for the loading of modules, which make tables. */
const LOADING = 1e8;
const PLENTY = 1e12;

const [bundle, count] = process.argv.slice(2);
const load = compiled(readFileSync(bundle, 'utf8'));
const mutants = Number(count);

/** Processor time, which other work on the machine does not change. */
const milliseconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** What each test of the file reaches is seen when it runs alone, what it costs when it runs after the others. */
async function measured(file: string): Promise<MeasuredTest[]> {
  const start = milliseconds();
  const company = new Instance(load, -1, mutants);
  const tests = await company.tests(file, PLENTY);
  const loading = (milliseconds() - start) / tests.length;
  const costs: number[] = [];
  for (const test of tests) {
    const before = milliseconds();
    await company.run(test, PLENTY);
    costs.push(milliseconds() - before + loading);
  }
  await company.end();
  const found: MeasuredTest[] = [];
  for (const [index, cost] of costs.entries()) {
    const instance = new Instance(load, -1, mutants);
    const [test] = (await instance.tests(file, PLENTY)).slice(index);
    const failure = await instance.run(test, PLENTY);
    await instance.end();
    const rounds = PLENTY - instance.roundsLeft;
    found.push({ file, index, title: test.title, cost, rounds, reached: bits(instance.reached), failure });
  }
  return found;
}

function bits(reached: Uint8Array): string {
  const packed = Buffer.alloc((reached.length + 7) >> 3);
  for (const [n, r] of reached.entries()) packed[n >> 3] |= r << (n & 7);
  return packed.toString('base64');
}

async function tried(mutant: number, tests: readonly (TestName & { rounds: number })[]): Promise<Answer> {
  const instance = new Instance(load, mutant, mutants);
  const verdict = (outcome: Outcome, by: TestName | null, why: string | null): Answer => ({
    kind: 'tried',
    outcome,
    by,
    why,
  });
  try {
    for (const { file, index, rounds } of tests) {
      const by = { file, index };
      let all: Awaited<ReturnType<typeof instance.tests>>;
      try {
        all = await instance.tests(file, LOADING);
      } catch (error) {
        return verdict(instance.isEndless ? 'endless' : 'killed', by, `while loading: ${String(error).slice(0, 100)}`);
      }
      // Tests are made of tables, too: a mutant that makes other tests is noticed.
      if (all.length <= index) return verdict('killed', by, 'the test is no longer there');
      const why = await instance.run(all[index], rounds);
      if (why !== null) return verdict(instance.isEndless ? 'endless' : 'killed', by, why.slice(0, 160));
    }
    return verdict('survived', null, null);
  } finally {
    await instance.end().catch(() => undefined);
  }
}

process.on('message', async (job: Job) => {
  const answer: Answer =
    job.kind === 'measure' ? { kind: 'measured', tests: await measured(job.file) } : await tried(job.mutant, job.tests);
  process.send?.(answer);
});
console.log = () => undefined;
process.on('uncaughtException', () => undefined);
process.on('unhandledRejection', () => undefined);
