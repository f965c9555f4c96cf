/** What the model has to assume, as ranges: docs/paging-benchmark.md says where each comes from. What depends on the processor's generation is in its preset. */

import type { Preset, Range } from './hardware/presets.ts';

export interface Parameters {
  /** Cycles of an instruction that finds its translation and its data in the first level. */
  readonly instruction: number;
  /** Part of the latency of data beyond the first level that execution does not hide. */
  readonly dataExposed: number;
  /** The same of the references of a walk. */
  readonly walkExposed: number;
  /** Cycles to deliver an event through the IDT and to return from it. */
  readonly event: number;
  /** Cycles of a load of CR3, an INVLPG, an INVVPID. */
  readonly flush: number;
  /** Cycles to set an accessed or dirty flag in the middle of a walk. */
  readonly flagUpdate: number;
  /** Cycles of an exit and the entry after it (the preset's). */
  readonly transition: number;
  /** Cycles that an exit costs afterwards, in what is not modelled: code caches, branch predictors, the hypervisor's own translations. */
  readonly indirect: number;
  /** Cycles of a VMREAD or VMWRITE (the preset's). */
  readonly vmcsAccess: number;
  /** Instructions of the hypervisor for an exit, whatever it is about. */
  readonly perExit: number;
  /** Instructions of the hypervisor for each word of memory that it reads or writes. */
  readonly perReference: number;
  /** Instructions for each entry of the shadow pager's books that changes: reverse maps, look-up of tables. */
  readonly perOperation: number;
}

export type ParameterName = keyof Parameters;

/** Those that do not depend on the preset. */
export const RANGES: Readonly<Record<Exclude<ParameterName, 'transition' | 'vmcsAccess'>, Range>> = {
  instruction: [0.5, 1.5],
  dataExposed: [0.3, 1],
  walkExposed: [0.5, 1],
  event: [200, 1000],
  flush: [50, 300],
  flagUpdate: [50, 400],
  indirect: [0, 1500],
  perExit: [40, 250],
  perReference: [1.5, 8],
  perOperation: [10, 60],
};

export const rangesOf = (preset: Preset): Readonly<Record<ParameterName, Range>> => ({
  ...RANGES,
  transition: preset.transition,
  vmcsAccess: preset.vmcsAccess,
});

/** Every combination of least and most. Cycles are linear in each parameter, so the quotient of two of them is monotonous in each: no point inside the ranges gives
 *  more or less than some corner. */
export function corners(preset: Preset): readonly Parameters[] {
  const known = CORNERS.get(preset);
  if (known !== undefined) return known;
  const ranges = Object.entries(rangesOf(preset)) as [ParameterName, Range][];
  const all = Array.from(
    { length: 1 << ranges.length },
    (_, mask) =>
      Object.fromEntries(ranges.map(([name, range], k) => [name, range[(mask >> k) & 1]])) as unknown as Parameters,
  );
  CORNERS.set(preset, all);
  return all;
}

const CORNERS = new Map<Preset, readonly Parameters[]>();

/** Every parameter in the middle of its range. */
export const middle = (preset: Preset): Parameters =>
  Object.fromEntries(
    Object.entries(rangesOf(preset)).map(([name, [least, most]]) => [name, (least + most) / 2]),
  ) as unknown as Parameters;
