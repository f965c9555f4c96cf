/** The paging benchmark: shadow against nested paging, by deterministic counts and by cycles under a stated model. docs/paging-benchmark.md explains it. */

import { type Ablation, ablate } from './ablation.ts';
import { type BreakEven, breakEven } from './break-even.ts';
import { type Calibration, calibrate } from './calibration.ts';
import { ablationChart, breakEvenChart, type Chart, histogramChart, slowdownChart } from './charts.ts';
import type { Costed } from './compare.ts';
import { PRESETS, WALK_CACHES } from './hardware/presets.ts';
import { lanesFor } from './lanes.ts';
import { type MeasureOptions, measureWorkload, PAGES, type Row, unequalWork } from './measure.ts';
import { rangesOf } from './parameters.ts';
import * as report from './report.ts';
import { type Sources, WORKLOADS } from './workloads.ts';

export type { Chart } from './charts.ts';
export type { Sources } from './workloads.ts';
export { WORKLOADS } from './workloads.ts';

export interface PagingBenchOptions {
  readonly sources: Sources;
  /** Workloads whose names contain one of these; null: all. */
  readonly only: readonly string[] | null;
  /** How many seeds of replacement. */
  readonly seeds: number;
  /** Rounds that are counted, after one that warms up. */
  readonly rounds: number;
  readonly tell: (what: string) => void;
  readonly seconds: () => number;
}

export interface PagingBenchResult {
  readonly text: string;
  /** Plain data. */
  readonly data: unknown;
  readonly charts: readonly Chart[];
  /** What was not as it has to be for the comparison to be fair, in words. */
  readonly failures: readonly string[];
}

const WARM = 1;
/** Table writes in a round of `protect`: two for each of 256 pages. */
const PROTECT_WRITES = 512;

export function benchPaging(options: PagingBenchOptions): PagingBenchResult {
  const lanes = lanesFor(Array.from({ length: options.seeds }, (_, i) => i + 1));
  const { sources, rounds: counted, tell, seconds } = options;
  const o: MeasureOptions = { sources, lanes, warm: WARM, counted, tell, seconds, known: new Map<string, Costed>() };
  const workloads = WORKLOADS.filter(({ name }) => options.only?.some((part) => name.includes(part)) ?? true);
  const rows = workloads.flatMap((w) => PAGES.flatMap((pages) => measureWorkload(o, w, pages)));
  const ablations = workloads.flatMap((w) => ablate(o, w) ?? []);
  const find = (name: string) => workloads.find((w) => w.name === name);
  const [writes, misses] = [find('protect'), find('stride 4096')];
  const edge = writes && misses ? breakEven(o, { writes, perRound: PROTECT_WRITES, misses }) : null;
  tell('a shadow pager in machine code, and exits of the one that is measured');
  const calibration = calibrate(sources);
  const lanesOf = PRESETS.map(({ name }) => lanes.flatMap(({ preset }, i) => (preset.name === name ? [i] : [])));
  return {
    text: textOf(rows, ablations, edge, calibration, lanesOf),
    data: {
      rows,
      ablations,
      breakEven: edge,
      calibration,
      lanes: lanes.map(({ preset, walkCaches, seed }) => ({ preset: preset.name, walkCaches, seed })),
      presets: PRESETS.map((preset) => ({ ...preset, ranges: rangesOf(preset) })),
      walkCaches: WALK_CACHES,
    },
    charts: [
      ...PRESETS.flatMap((preset) => PAGES.map((pages) => slowdownChart(rows, preset, pages))),
      ...PRESETS.flatMap((preset, i) =>
        PAGES.map((pages) => histogramChart(rows, preset, lanesOf[i]?.[0] ?? 0, pages)),
      ),
      ...PRESETS.map((preset) => ablationChart(ablations, preset)),
      ...(edge === null ? [] : (['nested 4K', 'nested 2M'] as const).map((rival) => breakEvenChart(edge, rows, rival))),
    ],
    failures: unequalWork(rows),
  };
}

function textOf(
  rows: readonly Row[],
  ablations: readonly Ablation[],
  edge: BreakEven | null,
  calibration: readonly Calibration[],
  lanesOf: readonly (readonly number[])[],
): string {
  const parts = [
    '## Counts of one round\n\nTLB misses and cold references: a TLB of 1,536 entries, fully associative, and nothing else of a walk cached.',
    report.countsTable(rows),
  ];
  for (const [i, { name, about }] of PRESETS.entries())
    parts.push(
      `## ${name}: ${about}\n\nWhat its TLB and caches make of a round`,
      report.processorTable(rows, lanesOf[i] ?? []),
      'Times as many cycles as on the bare machine, least … most; in what part of all cases shadow paging costs less',
      report.slowdownTable(rows, name),
      'The shadow pager without one of its parts: exits of a round, and times as many cycles as with all of it',
      report.ablationTable(ablations, name),
    );
  if (edge !== null)
    parts.push(
      '## Break-even\n\nTable writes for each page walk below which shadow paging costs less',
      report.breakEvenTable(edge),
    );
  parts.push(
    '## Calibration\n\nA shadow pager in machine code beside the one that is measured: what one exit takes, and what is charged for it',
    report.calibrationTable(calibration),
  );
  parts.push('## Parameters, least … most', report.parametersTable());
  const seconds = rows.reduce((sum, r) => sum + r.hostSeconds, 0);
  parts.push(`${seconds.toFixed(0)} s of the host for the runs, watched; that is no evidence of anything.`);
  return parts.join('\n\n');
}
