/** The benchmark: runs each workload in each mode and compares. */

import type { ShadowOptions } from '../../hypervisor/shadow/options.ts';
import { type ByPreset, byPreset, type Costed, ratio, type Spread, spreadOf, wins } from './compare.ts';
import { type Amounts, amountsOf, cycles } from './cost.ts';
import type { Facts } from './facts.ts';
import { type Lane, processorFor } from './lanes.ts';
import { MODES, type Mode, run } from './run.ts';
import { imageOf, type Sources, type Workload } from './workloads.ts';

export interface MeasureOptions {
  readonly sources: Sources;
  readonly lanes: readonly Lane[];
  /** Rounds before those that are counted, and these. */
  readonly warm: number;
  readonly counted: number;
  /** Told before each run. */
  readonly tell: (what: string) => void;
  /** Seconds by the host's clock, for the record. */
  readonly seconds: () => number;
  /** Runs that were made already, by what they were. */
  readonly known: Map<string, Costed>;
}

/** Pages by which the guest maps its own memory. */
export const PAGES = ['4K', '4M'] as const;
export type Pages = (typeof PAGES)[number];

export interface Row {
  readonly workload: string;
  readonly pages: Pages;
  readonly mode: Mode;
  /** Of one round. */
  readonly facts: Facts;
  readonly cycles: ByPreset<Spread>;
  /** Times as many cycles as on the bare machine. */
  readonly slowdown: ByPreset<Spread>;
  /** Of the nested modes: times as many as with shadow paging, and in what part of all cases shadow paging costs less. */
  readonly againstShadow: ByPreset<Spread>;
  readonly shadowWins: ByPreset<number>;
  readonly hostSeconds: number;
}

/** The modes of one workload side by side, in the order of MODES. */
export function measureWorkload(o: MeasureOptions, workload: Workload, pages: Pages): Row[] {
  const { lanes } = o;
  const runs = MODES.map((mode) => costed(o, workload, pages, mode));
  const [bare, shadow] = runs as [Costed, Costed];
  return MODES.map((mode, m) => {
    const one = runs[m] as Costed;
    return {
      ...{ workload: workload.name, pages, mode, facts: one.facts, hostSeconds: one.hostSeconds },
      cycles: byPreset((preset) => spreadOf(lanes, preset, (i, p) => cycles(one.amounts[i] as Amounts, p))),
      slowdown: byPreset((preset) => ratio(lanes, preset, one, bare)),
      againstShadow: byPreset((preset) => ratio(lanes, preset, one, shadow)),
      shadowWins: byPreset((preset) => wins(lanes, preset, shadow, one)),
    };
  });
}

/** Runs a workload, if that has not been done before. */
export function costed(
  o: MeasureOptions,
  workload: Workload,
  pages: Pages,
  mode: Mode,
  shadow: ShadowOptions = {},
): Costed {
  const key = JSON.stringify([workload.name, pages, mode, shadow]);
  const known = o.known.get(key) ?? runAndCost(o, workload, pages, mode, shadow);
  o.known.set(key, known);
  return known;
}

function runAndCost(o: MeasureOptions, workload: Workload, pages: Pages, mode: Mode, shadow: ShadowOptions): Costed {
  const { warm, counted, lanes } = o;
  o.tell(`${workload.name}, guest pages of ${pages === '4K' ? '4 KiB' : '4 MiB'}, ${mode}`);
  const before = o.seconds();
  const image = imageOf(workload, o.sources, warm + counted, pages === '4M');
  const facts = run(image, { mode, processors: lanes.map(processorFor), warm, counted, shadow });
  const amounts = facts.processors.map((p, i) => amountsOf(facts, p, (lanes[i] as Lane).preset));
  return { facts, amounts, hostSeconds: o.seconds() - before };
}

/** The benchmark is fair only if the guest does the same in every mode. In words what is not. */
export function unequalWork(rows: readonly Row[]): string[] {
  return rows.flatMap(({ workload, pages, mode, facts }) => {
    const bare = rows.find((r) => r.workload === workload && r.pages === pages && r.mode === 'bare');
    const same =
      bare === undefined ||
      (facts.instructions === bare.facts.instructions && facts.trueFaults === bare.facts.trueFaults);
    return same ? [] : [`${workload} ${pages}: ${mode} does not do the work of the bare machine`];
  });
}
