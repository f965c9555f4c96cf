/** The arithmetic of comparisons on noisy machines: medians, and ratios of what was measured side by side. */

/** What is told of a series of measurements. */
export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The middle one; of an even number of values the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

export const summary = (values: readonly number[]): Summary => ({
  min: Math.min(...values),
  median: median(values),
  max: Math.max(...values),
});

/** a[i] / b[i], for each run that both have finished: noise that lasts longer than a run falls out of each of them. */
export function pairedRatios(a: readonly number[], b: readonly number[]): number[] {
  const pairs = Math.min(a.length, b.length);
  return Array.from({ length: pairs }, (_, i) => (a[i] as number) / (b[i] as number));
}

/** NaN of none. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** 0, 1 … n − 1 in the order of a round: each round begins with another one, so nobody always runs first or behind the same one. */
export function turnOrder(n: number, round: number): number[] {
  const order = Array.from({ length: n }, (_, i) => (i + round) % n);
  return round % 2 === 0 ? order : order.reverse();
}
