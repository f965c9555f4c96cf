/** Shadow against nested paging: what each costs, in counts, and in cycles under a stated model. */

import { builtPackage } from '../build.ts';
import { wanted } from '../options.ts';
import { type Counts, count, MODES, type Mode, perRound, type Way } from '../paging/counts.ts';
import { breakEven, type Interval, RANGES, shadowWins, slowdown } from '../paging/model.ts';
import { imageOf, WORKLOADS, type Workload } from '../paging/workloads.ts';
import { large as amount, figure, table } from '../report.ts';
import type { Suite, SuiteContext } from './suite.ts';

type Ringlet = typeof import('../../src/index.ts');

const FEW = 2;
const MANY = 6;
/** Replacement seeds of the modelled TLB: what depends on them shows as an interval. */
const SEEDS = [1, 2, 3];

const COLUMNS = [
  'walks',
  'walkReferences',
  'trueFaults',
  'hiddenFaults',
  'tableWrites',
  'cr3Exits',
  'invlpgExits',
  'exits',
  'rootReferences',
] as const;

/** Parts of the shadow pager switched off one by one. */
const ABLATION: Readonly<Record<string, NonNullable<Way['shadow']>>> = {
  'all of it': {},
  'no unsync': { unsync: false },
  'one root': { roots: 1 },
  'no prefetch': { prefetch: false },
  'no flood detector': { flood: 0 },
  'no emulation': { emulate: false },
};

interface Row {
  readonly workload: string;
  readonly pages: '4K' | '4M';
  readonly mode: Mode;
  readonly counts: Counts;
  /** Over replacement seeds and parameter ranges. */
  readonly slowdown: Interval;
}

/** Counts of one round. */
function measure(ringlet: Ringlet, workload: Workload, large: boolean, way: Way): Counts {
  const [few, many] = [FEW, MANY].map((rounds) => count(ringlet, imageOf(ringlet, workload, rounds, large), way));
  return perRound(few as Counts, many as Counts, MANY - FEW);
}

function rowsOf(ringlet: Ringlet, workload: Workload, large: boolean): Row[] {
  const bySeed = SEEDS.map((seed) => MODES.map((mode) => measure(ringlet, workload, large, { mode, seed })));
  return MODES.map((mode, m) => {
    const slowdowns = bySeed.map((counts) =>
      slowdown(counts[m] as Counts, counts[0] as Counts, mode.startsWith('nested')),
    );
    return {
      ...{ workload: workload.name, pages: large ? '4M' : '4K', mode, counts: bySeed[0]?.[m] as Counts },
      slowdown: {
        least: Math.min(...slowdowns.map((s) => s.least)),
        most: Math.max(...slowdowns.map((s) => s.most)),
      },
    };
  });
}

const interval = ({ least, most }: Interval): string => `${figure(least)} … ${figure(most)}`;

export const paging: Suite = {
  name: 'paging',
  about: 'shadow against nested paging: deterministic counts, and cycles under a stated model',
  async run(context: SuiteContext) {
    const { options, tell, print } = context;
    const ringlet = await builtPackage(tell);
    const rows: Row[] = [];
    for (const workload of WORKLOADS.filter(({ name }) => wanted(options, name)))
      for (const large of [false, true]) {
        tell(`${workload.name}, guest pages of ${large ? '4 MiB' : '4 KiB'}`);
        rows.push(...rowsOf(ringlet, workload, large));
      }
    const failures = unequalWork(rows);

    print('Counts for one round (modelled TLB of 1,536 entries, seed 1)\n');
    print(
      table(
        ['workload', 'mode', 'instructions', ...COLUMNS],
        rows.map((r) => [
          `${r.workload} ${r.pages}`,
          r.mode,
          amount(r.counts.instructions),
          ...COLUMNS.map((name) => (r.counts[name] === 0 ? '·' : amount(r.counts[name]))),
        ]),
      ),
    );
    print('\nTimes as long as on the bare machine, least and most over seeds and parameters');
    print(
      `(${Object.entries(RANGES)
        .map(([name, [a, b]]) => `${name} ${a} to ${b}`)
        .join(', ')})\n`,
    );
    print(table(['workload', ...MODES.slice(1), 'shadow wins'], slowdownRows(rows)));
    const edge = edgeOf(rows);
    if (edge !== null)
      print(`\nBreak-even: TLB misses for each table write above which shadow paging costs less: ${interval(edge)}`);
    const ablation = ablationOf(ringlet, context);
    print('\nThe shadow pager with a part switched off: exits of one round, guest pages of 4 KiB\n');
    print(table(['workload', ...Object.keys(ABLATION)], ablation));
    return { gates: [], failures, data: { rows, ablation, ranges: RANGES } };
  },
};

/** The benchmark is fair only if the guest does the same in every mode. */
function unequalWork(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    const bare = rows.find((r) => r.workload === row.workload && r.pages === row.pages && r.mode === 'bare') as Row;
    const same =
      row.counts.instructions === bare.counts.instructions && row.counts.trueFaults === bare.counts.trueFaults;
    return same ? [] : [`${row.workload} ${row.pages}: ${row.mode} does not do the work of the bare machine`];
  });
}

function slowdownRows(rows: readonly Row[]): string[][] {
  const of = (row: Row, mode: Mode): Row =>
    rows.find((r) => r.workload === row.workload && r.pages === row.pages && r.mode === mode) as Row;
  return rows
    .filter((r) => r.mode === 'bare')
    .map((bare) => [
      `${bare.workload} ${bare.pages}`,
      ...MODES.slice(1).map((mode) => interval(of(bare, mode).slowdown)),
      `${Math.round(100 * shadowWins(of(bare, 'shadow').counts, of(bare, 'nested 4K').counts))} %`,
    ]);
}

/** From the workload that only writes tables and the one that only misses. */
function edgeOf(rows: readonly Row[]): Interval | null {
  const pick = (workload: string, mode: Mode): Counts | undefined =>
    rows.find((r) => r.workload === workload && r.pages === '4K' && r.mode === mode)?.counts;
  const scaled = (counts: Counts, by: number): Counts =>
    Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, n / by])) as unknown as Counts;
  const [ws, wn] = [pick('protect', 'shadow'), pick('protect', 'nested 4K')];
  const [ms, mn] = [pick('stride 4096', 'shadow'), pick('stride 4096', 'nested 4K')];
  if (ws === undefined || wn === undefined || ms === undefined || mn === undefined) return null;
  const WRITES = 512; // two for each of 256 pages
  return breakEven(
    { shadow: scaled(ws, WRITES), nested: scaled(wn, WRITES) },
    { shadow: scaled(ms, ms.tlbMisses), nested: scaled(mn, mn.tlbMisses) },
  );
}

function ablationOf(ringlet: Ringlet, { options, tell }: SuiteContext): string[][] {
  return WORKLOADS.filter(({ name }) => wanted(options, name)).map((workload) => {
    tell(`${workload.name}: the pager without its parts`);
    const exits = Object.values(ABLATION).map((shadow) =>
      amount(measure(ringlet, workload, false, { mode: 'shadow', seed: 1, shadow }).exits),
    );
    return [workload.name, ...exits];
  });
}
