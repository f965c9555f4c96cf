/** Where shadow paging overtakes nested paging: a write to a page table costs more in the one, a TLB miss in the other. */

import { type ByPreset, byPreset, type Costed, type Spread, spreadOf } from './compare.ts';
import { type Amounts, cycles } from './cost.ts';
import { costed, type MeasureOptions } from './measure.ts';
import type { Mode } from './run.ts';
import type { Workload } from './workloads.ts';

/** One of two workloads: the one only writes tables, the other only misses. */
export interface Rates {
  readonly writes: Workload;
  /** Table writes of one round of it. */
  readonly perRound: number;
  readonly misses: Workload;
}

/** Table writes for each TLB miss below which shadow paging costs less than the nested mode; 0: it never does. */
export type BreakEven = Readonly<Record<'nested 4K' | 'nested 2M', ByPreset<Spread>>>;

export function breakEven(o: MeasureOptions, { writes, perRound, misses }: Rates): BreakEven {
  const runs = (workload: Workload): Record<Mode, Costed> => {
    const modes = ['shadow', 'nested 4K', 'nested 2M'] as const;
    return Object.fromEntries(modes.map((mode) => [mode, costed(o, workload, '4K', mode)])) as Record<Mode, Costed>;
  };
  const [w, m] = [runs(writes), runs(misses)];
  const edge = (mode: Mode): ByPreset<Spread> =>
    byPreset((preset) =>
      spreadOf(o.lanes, preset, (i, p) => {
        const cost = (run: Costed): number => cycles(run.amounts[i] as Amounts, p);
        const write = (cost(w.shadow) - cost(w[mode])) / perRound;
        const walks = m[mode].facts.processors[i]?.walks ?? 0;
        const miss = (cost(m[mode]) - cost(m.shadow)) / walks;
        return Math.max(0, miss) / write;
      }),
    );
  return { 'nested 4K': edge('nested 4K'), 'nested 2M': edge('nested 2M') };
}
