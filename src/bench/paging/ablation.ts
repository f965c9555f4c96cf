/** The shadow pager with one part switched off at a time: what each is worth, and that none is missing where the comparison is made. */

import type { ShadowOptions } from '../../hypervisor/shadow/options.ts';
import { type ByPreset, byPreset, ratio, type Spread } from './compare.ts';
import { costed, type MeasureOptions } from './measure.ts';
import type { Workload } from './workloads.ts';

/** Parts by name, switched off. */
export const ABLATIONS: Readonly<Record<string, ShadowOptions>> = {
  unsync: { unsync: false },
  'root cache': { roots: 1 },
  prefetch: { prefetch: false },
  'fault bypass': { bypass: false },
  'flood detector': { flood: 0 },
  emulation: { emulate: false },
};

export interface Ablation {
  readonly workload: string;
  /** Exits of one round with everything on. */
  readonly exits: number;
  readonly without: Readonly<Record<string, { readonly exits: number; readonly times: ByPreset<Spread> }>>;
}

/** Fewer exits and faults in a round than this: there is nothing that a part could save. */
const HARDLY_ANY = 4;

/** With guest pages of 4 KiB; null where the pager has hardly anything to do. */
export function ablate(o: MeasureOptions, workload: Workload): Ablation | null {
  const whole = costed(o, workload, '4K', 'shadow');
  if (whole.facts.exits + whole.facts.trueFaults < HARDLY_ANY) return null;
  const without = Object.entries(ABLATIONS).map(([name, shadow]) => {
    const part = costed(o, workload, '4K', 'shadow', shadow);
    return [name, { exits: part.facts.exits, times: byPreset((preset) => ratio(o.lanes, preset, part, whole)) }];
  });
  return { workload: workload.name, exits: whole.facts.exits, without: Object.fromEntries(without) };
}
