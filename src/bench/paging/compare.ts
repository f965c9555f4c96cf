/** Runs side by side on every lane of a processor generation and at every corner of the parameters. */

import { type Amounts, cycles } from './cost.ts';
import type { Facts } from './facts.ts';
import { PRESETS, type Preset } from './hardware/presets.ts';
import type { Lane } from './lanes.ts';
import { corners, middle, type Parameters } from './parameters.ts';

/** A run, and what it costs on each lane. */
export interface Costed {
  readonly facts: Facts;
  readonly amounts: readonly Amounts[];
  readonly hostSeconds: number;
}

/** An interval over all lanes and corners, and inside it the one over lanes with each parameter in the middle of its range. */
export interface Spread {
  readonly least: number;
  readonly most: number;
  readonly lower: number;
  readonly upper: number;
}

/** By the name of a preset. */
export type ByPreset<T> = Readonly<Record<string, T>>;

export const byPreset = <T>(of: (preset: Preset) => T): ByPreset<T> =>
  Object.fromEntries(PRESETS.map((preset) => [preset.name, of(preset)]));

/** What `value` makes of each lane of the preset (by its number) and each corner. */
export function spreadOf(
  lanes: readonly Lane[],
  preset: Preset,
  value: (lane: number, p: Parameters) => number,
): Spread {
  let [least, most, lower, upper] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  [lower, upper] = [least, most];
  const all = corners(preset);
  const centre = middle(preset);
  for (const [i, lane] of lanes.entries()) {
    if (lane.preset !== preset) continue;
    const inside = value(i, centre);
    lower = Math.min(lower, inside);
    upper = Math.max(upper, inside);
    for (const p of all) {
      const v = value(i, p);
      if (v < least) least = v;
      if (v > most) most = v;
    }
  }
  return { least, most, lower, upper };
}

/** Cycles of `a` by those of `b`, both on the same lane and at the same corner. */
export const ratio = (lanes: readonly Lane[], preset: Preset, a: Costed, b: Costed): Spread =>
  spreadOf(lanes, preset, (i, p) => cycles(a.amounts[i] as Amounts, p) / cycles(b.amounts[i] as Amounts, p));

/** In what part of all lanes and corners `a` costs less than `b`; ties within a thousandth count half. */
export function wins(lanes: readonly Lane[], preset: Preset, a: Costed, b: Costed): number {
  let [all, won] = [0, 0];
  spreadOf(lanes, preset, (i, p) => {
    const quotient = cycles(a.amounts[i] as Amounts, p) / cycles(b.amounts[i] as Amounts, p);
    all++;
    won += quotient < 0.999 ? 1 : quotient > 1.001 ? 0 : 0.5;
    return quotient;
  });
  return won / all;
}
