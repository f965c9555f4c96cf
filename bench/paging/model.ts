/** Cycles under a stated model. Counts are facts; these are not: every figure is an interval over the ranges below. */

import type { Counts } from './counts.ts';

export interface Parameters {
  /** Cycles for an instruction that finds its translation. */
  readonly instruction: number;
  /** Cycles for a table entry that a walk reads, through the data caches. */
  readonly walkReference: number;
  /** Part of a walk's references to upper levels that walk caches save: all but the last two of a two-dimensional walk, all but the last one else. */
  readonly walkCacheHits: number;
  /** Cycles of a VM exit and the entry after it, indirect costs included. */
  readonly exit: number;
  /** Cycles for each reference of the hypervisor to memory, with the instructions around it. */
  readonly rootReference: number;
}

/** Least and most of each, as published for processors from 2008 to 2020 (docs/paging-benchmark.md). */
export const RANGES: Readonly<Record<keyof Parameters, readonly [number, number]>> = {
  instruction: [0.5, 1.5],
  walkReference: [4, 30],
  walkCacheHits: [0.3, 0.9],
  exit: [800, 4000],
  rootReference: [4, 12],
};

/** Cycles of one round. */
export function cycles(counts: Counts, p: Parameters, isNested: boolean): number {
  const last = counts.walks * (isNested ? 2 : 1);
  const upper = Math.max(0, counts.walkReferences - last);
  return (
    counts.instructions * p.instruction +
    (Math.min(counts.walkReferences, last) + upper * (1 - p.walkCacheHits)) * p.walkReference +
    counts.exits * p.exit +
    counts.rootReferences * p.rootReference
  );
}

/** Every combination of least and most. */
export function corners(): Parameters[] {
  const names = Object.keys(RANGES) as (keyof Parameters)[];
  return Array.from(
    { length: 1 << names.length },
    (_, mask) =>
      Object.fromEntries(names.map((name, k) => [name, RANGES[name][(mask >> k) & 1]])) as unknown as Parameters,
  );
}

export interface Interval {
  readonly least: number;
  readonly most: number;
}

export const intervalOf = (values: readonly number[]): Interval => ({
  least: Math.min(...values),
  most: Math.max(...values),
});

/** Slowdown against the bare machine under the same parameters, over all corners. */
export const slowdown = (counts: Counts, bare: Counts, isNested: boolean): Interval =>
  intervalOf(corners().map((p) => cycles(counts, p, isNested) / cycles(bare, p, false)));

/** In how many of the corners shadow paging costs less than nested paging: 1 always, 0 never. */
export function shadowWins(shadow: Counts, nested: Counts): number {
  const all = corners();
  return all.filter((p) => cycles(shadow, p, false) < cycles(nested, p, true)).length / all.length;
}

/** TLB misses that have to fall on each table write for shadow paging to cost less, over all corners: what a write costs more in shadow
 *  paging, divided by what a miss costs more in nested paging. `write` and `miss` are counts for one of them. */
export const breakEven = (
  write: { shadow: Counts; nested: Counts },
  miss: { shadow: Counts; nested: Counts },
): Interval =>
  intervalOf(
    corners().map(
      (p) =>
        (cycles(write.shadow, p, false) - cycles(write.nested, p, true)) /
        (cycles(miss.nested, p, true) - cycles(miss.shadow, p, false)),
    ),
  );
