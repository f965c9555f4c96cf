/** Tries every mutant of the folders named (src/mmu and src/vmx if none is), and writes docs/mutation.md.
 *
 *      npm run test:mutation -- [folder …] [--sample N] [--seed S] [--budget SECONDS] [--rooms ROOM,…] [--only EXPRESSION] [--workers N]
 *                              [--again] [--report]
 *
 *  Results are kept in coverage/mutation: a run that was stopped goes on where it was, and a mutant that was noticed once is not tried
 *  again while its line stays as it is. `--again` shows those that survived to tests that are new or changed, and starts no others;
 *  `--report` writes the page only. Mutants come in an order made of the seed, so what a stopped run has is a random sample. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Mutant } from './mutants.ts';
import { nameOf, Order } from './order.ts';
import { bundles, hashOf, planOf, ROOT, sourcesHash, suiteOf, testFiles } from './plan.ts';
import { Pool } from './pool.ts';
import { writePage } from './report.ts';
import { Results } from './results.ts';
import type { MeasuredTest } from './worker.ts';

/** Rooms of tests/ whose tests run in a process of their own kind without writing or starting anything. */
const ROOMS = [
  'mmu',
  'vmx',
  'devices',
  'invariants',
  'machine',
  'staleness',
  'cpu/system',
  'hypervisor',
  'guests',
  'properties/isolation',
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    seed: { type: 'string', default: '2026' },
    budget: { type: 'string', default: '2' },
    rooms: { type: 'string', default: ROOMS.join() },
    only: { type: 'string', default: '' },
    workers: { type: 'string', default: process.env.RINGLET_WORKERS ?? '2' },
    again: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
  },
});
const folders = positionals.length > 0 ? positionals : ['src/mmu', 'src/vmx'];
const budget = Number(values.budget) * 1000;
const workers = Number(values.workers);
const FOLDER = join(ROOT, 'coverage/mutation');

const say = (text: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);

/** Runs so many at a time. */
async function parallel<T>(items: readonly T[], body: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < items.length) await body(items[next++]);
  };
  await Promise.all(Array.from({ length: workers }, work));
}

mkdirSync(FOLDER, { recursive: true });
const plan = planOf(folders);
const { mutants } = plan;
const files = testFiles(values.rooms.split(','));
const suite = suiteOf(files);
const results = new Results(FOLDER, suite, budget);
say(`${mutants.length} mutants in ${folders.join(', ')}, ${files.length} files of tests, seed ${values.seed}`);

/** In the order of the seed; the sample of each file, if one was asked for. */
function toTry(): Mutant[] {
  const order = new Map(mutants.map((m) => [m, hashOf(`${values.seed} ${m.key}`)]));
  const sorted = [...mutants].sort((a, b) => ((order.get(a) ?? '') < (order.get(b) ?? '') ? -1 : 1));
  if (values.sample === undefined) return sorted.filter(({ file }) => new RegExp(values.only).test(file));
  const taken: Record<string, number> = {};
  return sorted.filter(({ file }) => {
    taken[file] = (taken[file] ?? 0) + 1;
    return taken[file] <= Number(values.sample);
  });
}

/** All tests, each measured alone. */
async function measuredTests(noting: string): Promise<MeasuredTest[]> {
  const bundle = join(FOLDER, 'noting.cjs');
  writeFileSync(bundle, noting);
  const pool = new Pool(bundle, mutants.length);
  const tests: MeasuredTest[] = [];
  const sources = sourcesHash(plan);
  await parallel(files, async (file) => {
    const key = hashOf(`${sources} ${file} ${suite[file]} ${folders}`);
    let measured = results.measured(key);
    if (measured === null) {
      const answer = await pool.run({ kind: 'measure', file }, 1_200_000);
      if (answer?.kind !== 'measured') return say(`${file}: could not be measured`);
      measured = [...answer.tests];
      results.keepMeasured(key, measured);
      say(`${file}: ${measured.length} tests, ${Math.round(measured.reduce((sum, t) => sum + t.cost, 0))} ms`);
    }
    tests.push(...measured);
  });
  pool.end();
  for (const { file, title, failure } of tests) if (failure !== null) say(`left out: ${file}, ${title}: ${failure}`);
  return tests.filter(({ failure }) => failure === null).sort((a, b) => a.cost - b.cost);
}

const NOT_COVERED = { outcome: 'not covered', by: '', shown: 0, of: 0, seconds: 0 } as const;

async function tryAll(): Promise<void> {
  const { mutated, noting } = await bundles(plan, files);
  const tests = await measuredTests(noting);
  const bundle = join(FOLDER, 'mutated.cjs');
  writeFileSync(bundle, mutated);
  const pool = new Pool(bundle, mutants.length);
  const order = new Order(
    tests,
    mutants.map(({ file }) => file),
  );
  for (const mutant of mutants) order.remember(mutant.file, results.of(mutant)?.by ?? '');
  const number = new Map(mutants.map((m, n) => [m, n]));
  const left = toTry().filter((m) => results.news(m).files.length > 0 && !(values.again && results.of(m) === null));
  say(`${tests.length} tests; ${left.length} mutants to try`);
  let done = 0;
  await parallel(left, async (mutant) => {
    const n = number.get(mutant) ?? 0;
    const news = results.news(mutant);
    const { chosen, of } = order.tests(n, mutant.file, news.files, budget);
    const before = news.more ? results.of(mutant) : null;
    const start = performance.now();
    if (chosen.length === 0) results.add(mutant, before ?? NOT_COVERED);
    else {
      const shown = chosen.map((t) => ({ file: t.file, index: t.index, rounds: t.rounds * 10 + 1e6 }));
      const limit = 60_000 + 30 * chosen.reduce((sum, t) => sum + t.cost, 0);
      const answer = await pool.run({ kind: 'try', mutant: n, tests: shown }, limit);
      const tried = answer?.kind === 'tried' ? answer : null;
      const killer = chosen.find((t) => t.file === tried?.by?.file && t.index === tried.by.index) ?? null;
      if (tried !== null) order.learn(mutant.file, chosen, killer);
      results.add(mutant, {
        outcome: tried?.outcome ?? 'endless',
        by: killer === null ? '' : nameOf(killer),
        shown: chosen.length + (before?.shown ?? 0),
        of: of + (before?.of ?? 0),
        seconds: (performance.now() - start) / 1000 + (before?.seconds ?? 0),
        ...(results.of(mutant)?.picked || (values.only !== '' && before === null) ? { picked: true } : {}),
      });
    }
    if (++done % 100 === 0) say(`${done} of ${left.length}: ${results.summary(mutants)}`);
  });
  pool.end();
}

if (!values.report) await tryAll();
writePage(mutants, results, folders, values.seed);
say(results.summary(mutants));
