/** The modelled processors that watch each run: every generation with small and with large walk caches, for each seed. */

import { PRESETS, type Preset, WALK_CACHES } from './hardware/presets.ts';
import { ModelledProcessor } from './hardware/processor.ts';

/** One of them, by what it is. */
export interface Lane {
  readonly preset: Preset;
  readonly walkCaches: keyof typeof WALK_CACHES;
  readonly seed: number;
}

export function lanesFor(seeds: readonly number[]): readonly Lane[] {
  const sizes = Object.keys(WALK_CACHES) as (keyof typeof WALK_CACHES)[];
  return PRESETS.flatMap((preset) =>
    sizes.flatMap((walkCaches) => seeds.map((seed) => ({ preset, walkCaches, seed }))),
  );
}

export const processorFor = ({ preset, walkCaches, seed }: Lane): ModelledProcessor =>
  new ModelledProcessor({ tlb: preset.tlb, caches: preset.caches, walkCaches: WALK_CACHES[walkCaches] }, seed);
