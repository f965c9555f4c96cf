/** The results as charts: file names and SVG. */

import { bandChart } from '../charts/bands.ts';
import { colour } from '../charts/frame.ts';
import { intervalChart } from '../charts/intervals.ts';
import { shareChart } from '../charts/shares.ts';
import { ABLATIONS, type Ablation } from './ablation.ts';
import type { BreakEven } from './break-even.ts';
import { PRESETS, type Preset } from './hardware/presets.ts';
import type { Pages, Row } from './measure.ts';
import { MODES } from './run.ts';

export interface Chart {
  readonly file: string;
  readonly svg: string;
}

const WHISKERS = 'bars: replacement seeds and walk caches; whiskers: all ranges of the parameters';
const PAGE_SIZE = { '4K': '4 KiB', '4M': '4 MiB' } as const;

const titleOf = ({ name, about }: Preset): string => `${name}, ${about}`;

/** Cycles by those of the bare machine, workload by workload. */
export function slowdownChart(rows: readonly Row[], preset: Preset, pages: Pages): Chart {
  const chosen = rows.filter((r) => r.pages === pages);
  const names = [...new Set(chosen.map((r) => r.workload))];
  const modes = MODES.slice(1);
  return {
    file: `slowdown-${preset.name}-${pages}.svg`,
    svg: intervalChart({
      title: `Times as long as on the bare machine, guest pages of ${PAGE_SIZE[pages]}`,
      subtitle: `${titleOf(preset)}; ${WHISKERS}`,
      axis: 'cycles by cycles of the bare machine',
      series: modes,
      groups: names.map((name) => ({
        name,
        values: modes.map(
          (mode) => chosen.find((r) => r.workload === name && r.mode === mode)?.slowdown[preset.name] ?? null,
        ),
      })),
      neutral: 1,
    }),
  };
}

/** Walks by the number of entries that they read, up to and with each of these. */
const BUCKETS = [1, 2, 4, 8, 24] as const;

/** Amounts of a histogram in few buckets. */
export const inBuckets = (histogram: readonly number[]): number[] =>
  BUCKETS.map((most, i) =>
    histogram.slice(i === 0 ? 0 : (BUCKETS[i - 1] as number) + 1, most + 1).reduce((sum, n) => sum + n, 0),
  );

export const BUCKET_NAMES: readonly string[] = BUCKETS.map((most, i) => {
  const least = i === 0 ? 1 : (BUCKETS[i - 1] as number) + 1;
  return least === most ? String(most) : `${least} to ${most}`;
});

/** How many entries walks read, on the modelled processor with this number. */
export function histogramChart(rows: readonly Row[], preset: Preset, lane: number, pages: Pages): Chart {
  const chosen = rows.filter((r) => r.pages === pages);
  const names = [...new Set(chosen.map((r) => r.workload))];
  return {
    file: `walks-${preset.name}-${pages}.svg`,
    svg: shareChart({
      title: `Entries that a walk reads, guest pages of ${PAGE_SIZE[pages]}`,
      subtitle: `${titleOf(preset)}; small walk caches, first seed`,
      axis: 'per cent of walks',
      kinds: BUCKET_NAMES,
      groups: names.map((name) => ({
        name,
        rows: chosen
          .filter((r) => r.workload === name)
          .map((r) => ({ name: r.mode, amounts: inBuckets(r.facts.processors[lane]?.histogram ?? []) })),
      })),
    }),
  };
}

export function ablationChart(ablations: readonly Ablation[], preset: Preset): Chart {
  const parts = Object.keys(ABLATIONS);
  return {
    file: `ablation-${preset.name}.svg`,
    svg: intervalChart({
      title: 'The shadow pager without one of its parts',
      subtitle: `${titleOf(preset)}; ${WHISKERS}`,
      axis: 'cycles by cycles of the whole pager',
      series: parts.map((part) => `no ${part}`),
      groups: ablations.map(({ workload, without }) => ({
        name: workload,
        values: parts.map((part) => without[part]?.times[preset.name] ?? null),
      })),
      neutral: 1,
    }),
  };
}

const PER = 1000;

/** Rates of misses and of table writes: bands where the two ways cost the same, and where the workloads lie. */
export function breakEvenChart(edge: BreakEven, rows: readonly Row[], rival: 'nested 4K' | 'nested 2M'): Chart {
  const rate = (n: number, r: Row): number => Math.max((PER * n) / r.facts.instructions, LEAST_RATE);
  const points = rows
    .filter((r) => r.mode === rival && r.pages === '4K')
    .map((r) => {
      const shadow = rows.find((o) => o.workload === r.workload && o.pages === '4K' && o.mode === 'shadow');
      const share = Object.values(r.shadowWins);
      const won = share.reduce((sum, s) => sum + s, 0) / share.length;
      return {
        name: r.workload,
        x: rate(r.facts.processors[0]?.walks ?? 0, r),
        // what a write of a table or a load of CR3 costs more under shadow paging: its exits
        y: rate(shadow?.facts.exits ?? 0, r),
        fill: won > 0.9 ? colour(0) : won < 0.1 ? colour(1) : colour(6),
      };
    });
  return {
    file: `break-even-${rival.replace(' ', '-')}.svg`,
    svg: bandChart({
      title: `Where shadow paging and ${rival} cost the same`,
      subtitle:
        'bands: all seeds, walk caches and ranges; points: workloads (blue: shadow wins, orange: nested wins, grey: it depends)',
      axisX: 'page walks in 1,000 instructions',
      axisY: 'table writes (of workloads: exits of the shadow pager) in 1,000 instructions',
      x: [LEAST_RATE, 500],
      y: [LEAST_RATE, 500],
      bands: PRESETS.map(({ name }) => ({ name, ...(edge[rival][name] ?? { least: 0, most: 0 }) }))
        .filter(({ most }) => most > 0)
        .map((band) => ({ ...band, least: Math.max(band.least, LEAST_SLOPE) })),
      points,
      above: 'nested paging wins',
      below: 'shadow paging wins',
    }),
  };
}

/** Rates below this are drawn at the edge. */
const LEAST_RATE = 0.01;
const LEAST_SLOPE = 1e-6;
