/** The results as text. */

import { amount, figure, interval, percent, table } from '../table.ts';
import { ABLATIONS, type Ablation } from './ablation.ts';
import type { BreakEven } from './break-even.ts';
import type { Calibration } from './calibration.ts';
import { BUCKET_NAMES, inBuckets } from './charts.ts';
import type { FactName } from './facts.ts';
import { PRESETS } from './hardware/presets.ts';
import type { Row } from './measure.ts';
import { rangesOf } from './parameters.ts';
import { MODES } from './run.ts';

const COLUMNS: readonly (readonly [FactName, string])[] = [
  ['instructions', 'instructions'],
  ['tlbMisses', 'TLB misses'],
  ['walkReferences', 'cold refs'],
  ['trueFaults', 'true faults'],
  ['hiddenFaults', 'hidden'],
  ['tableWrites', 'table writes'],
  ['cr3Exits', 'CR3 exits'],
  ['invlpgExits', 'INVLPG exits'],
  ['eptViolations', 'EPT viol.'],
  ['exits', 'exits'],
  ['flushes', 'flushes'],
  ['rootReferences', 'hyp. refs'],
  ['vmcsAccesses', 'VMCS acc.'],
];

const nameOf = ({ workload, pages }: Row): string => `${workload} ${pages}`;

/** Facts of one round, in every mode. */
export const countsTable = (rows: readonly Row[]): string =>
  table(
    ['workload', 'mode', ...COLUMNS.map(([, title]) => title)],
    rows.map((r) => [nameOf(r), r.mode, ...COLUMNS.map(([name]) => amount(r.facts[name]))]),
  );

/** What the modelled processors of one generation make of it: from least to most over them. */
export function processorTable(rows: readonly Row[], lanes: readonly number[]): string {
  const over = (value: (lane: number) => number): string => {
    const values = lanes.map(value);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return least === most ? amount(least) : `${amount(least)} … ${amount(most)}`;
  };
  return table(
    ['workload', 'mode', 'second-level hits', 'walks', 'refs a walk', 'refs beyond the first cache', 'walks by refs'],
    rows.map((r) => {
      const of = (lane: number) => r.facts.processors[lane] as Row['facts']['processors'][number];
      const beyond = (lane: number): number =>
        of(lane)
          .walkReferencesAt.slice(1)
          .reduce((sum, n) => sum + n, 0);
      return [
        nameOf(r),
        r.mode,
        over((lane) => of(lane).secondLevelHits),
        over((lane) => of(lane).walks + of(lane).faultWalks),
        over((lane) => of(lane).walkReferences / Math.max(1, of(lane).walks + of(lane).faultWalks)),
        over(beyond),
        byReferences(of(lanes[0] ?? 0).histogram),
      ];
    }),
  );
}

/** A histogram in few words: how many of a hundred walks read so many entries, small walk caches, first seed. */
function byReferences(histogram: readonly number[]): string {
  const amounts = inBuckets(histogram);
  const sum = amounts.reduce((s, n) => s + n, 0);
  const shares = amounts.flatMap((n, i) => (n === 0 ? [] : [`${BUCKET_NAMES[i]}: ${percent(n / sum)}`]));
  return shares.join(', ') || '·';
}

/** Cycles by those of the bare machine, and who wins. */
export function slowdownTable(rows: readonly Row[], preset: string): string {
  const of = (r: Row, mode: string): Row =>
    rows.find((o) => o.workload === r.workload && o.pages === r.pages && o.mode === mode) as Row;
  return table(
    ['workload', ...MODES.slice(1), 'shadow before 4K', 'before 2M'],
    rows
      .filter(({ mode }) => mode === 'bare')
      .map((bare) => [
        nameOf(bare),
        ...MODES.slice(1).map((mode) => interval(of(bare, mode).slowdown[preset] ?? NOTHING)),
        ...['nested 4K', 'nested 2M'].map((mode) => percent(of(bare, mode).shadowWins[preset] ?? Number.NaN)),
      ]),
  );
}

const NOTHING = { least: Number.NaN, most: Number.NaN };

export const breakEvenTable = (edge: BreakEven): string =>
  table(
    ['generation', ...Object.keys(edge)],
    PRESETS.map(({ name }) => [
      name,
      ...Object.values(edge).map((of) => {
        const { least, most } = of[name] ?? NOTHING;
        return most === 0 ? 'never' : `${perMiss(least)} … ${perMiss(most)}`;
      }),
    ]),
  );

/** A rate of writes as one in so many misses. */
const perMiss = (rate: number): string => (rate === 0 ? 'never' : `1 in ${figure(1 / rate)}`);

/** Exits of a round, and cycles by those of the whole pager. */
export const ablationTable = (ablations: readonly Ablation[], preset: string): string =>
  table(
    ['workload', 'all of it', ...Object.keys(ABLATIONS).map((name) => `no ${name}`)],
    ablations.map(({ workload, exits, without }) => [
      workload,
      `${amount(exits)} exits`,
      ...Object.values(without).map((w) => {
        const times = w.times[preset] ?? NOTHING;
        return w.exits === exits && Math.abs(times.most - 1) < 0.005 ? '·' : `${amount(w.exits)}, ×${interval(times)}`;
      }),
    ]),
  );

export const parametersTable = (): string =>
  table(
    ['parameter', ...PRESETS.map(({ name }) => name)],
    Object.keys(rangesOf(PRESETS[0] as (typeof PRESETS)[number])).map((name) => [
      name,
      ...PRESETS.map((preset) => {
        const [least, most] = rangesOf(preset)[name as keyof ReturnType<typeof rangesOf>];
        return `${least} … ${most}`;
      }),
    ]),
  );

/** The pager in machine code beside the one that is measured: each by exit. */
export const calibrationTable = (calibrations: readonly Calibration[]): string =>
  table(
    [
      'exit',
      ...['instructions', 'references', 'VMCS acc.'].map((what) => `${what} in machine code`),
      ...['references', 'VMCS acc.', 'operations'].map((what) => `${what} here`),
      'instructions charged',
    ],
    calibrations.map(({ kind, assembled: a, measured: m, charged }) => [
      kind,
      ...[a.instructions, a.references, a.vmcsAccesses, m.references, m.vmcsAccesses, m.operations].map(figure),
      `${charged[0].toFixed(0)} … ${charged[1].toFixed(0)}`,
    ]),
  );
