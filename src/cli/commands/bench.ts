/** `ringlet bench`: benchmarks that come with the package. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { InvalidInput } from '../../base/errors.ts';
import { benchPaging, WORKLOADS } from '../../bench/paging/index.ts';
import { packageFolder, readFirst, whyNot } from '../files.ts';
import { parseNumber } from '../numbers.ts';
import { DONE } from '../status.ts';
import { say, writeOut } from '../terminal.ts';

export interface BenchOptions {
  readonly only?: string;
  readonly seeds?: string;
  readonly rounds?: string;
  readonly json?: string;
  readonly charts?: string;
  readonly quiet?: boolean;
}

const MOST_SEEDS = 100;
const MOST_ROUNDS = 100;
/** The comparison was not fair. */
const FAILED = 1;

/** Runs SUITE. Returns the exit status. */
export function bench(suite: string, options: BenchOptions): number {
  if (suite !== 'paging') throw new InvalidInput(`there is no benchmark '${suite}': use paging`);
  const only = options.only?.split(',') ?? null;
  const unknown = only?.find((part) => !WORKLOADS.some(({ name }) => name.includes(part)));
  if (unknown !== undefined)
    throw new InvalidInput(`--only '${unknown}' is no workload: use ${WORKLOADS.map(({ name }) => name).join(', ')}`);
  const seeds = within('--seeds', options.seeds ?? '2', MOST_SEEDS);
  const rounds = within('--rounds', options.rounds ?? '2', MOST_ROUNDS);
  const home = packageFolder();
  const folders = [join(home, 'bench', 'paging'), join(home, 'guests', 'include')];
  // before all the work: what cannot be written is found out now
  if (options.charts !== undefined) makeFolder(options.charts);
  if (options.json !== undefined) {
    makeFolder(dirname(options.json));
    write(options.json, '');
  }
  const started = performance.now();
  const result = benchPaging({
    sources: (name) => {
      const found = readFirst(folders.map((folder) => join(folder, name)));
      return found === null ? null : new TextDecoder().decode(found);
    },
    only,
    seeds,
    rounds,
    tell: (what) => {
      if (options.quiet !== true) say(what);
    },
    seconds: () => (performance.now() - started) / 1000,
  });
  writeOut(`${result.text}\n`);
  if (options.json !== undefined) write(options.json, `${JSON.stringify(result.data)}\n`);
  if (options.charts !== undefined) {
    for (const { file, svg } of result.charts) write(join(options.charts, file), svg);
    say(`${result.charts.length} charts are in ${options.charts}`);
  }
  for (const failure of result.failures) say(`FAILED: ${failure}`);
  return result.failures.length === 0 ? DONE : FAILED;
}

function within(option: string, text: string, most: number): number {
  const value = parseNumber(text, option);
  if (value < 1 || value > most) throw new InvalidInput(`${option} ${text}: give a number from 1 to ${most}`);
  return value;
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new InvalidInput(`cannot make ${path}: ${whyNot(error)}`);
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw new InvalidInput(`cannot write ${path}: ${whyNot(error)}`);
  }
}
