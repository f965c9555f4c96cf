/** The data caches: three levels and memory behind them. Data of the guest, table entries that walks read, and the hypervisor's own references share them.
 *
 *  Sets beyond the first level are chosen by a hash of the address. Otherwise the workloads' regular layout would meet itself in few sets, on the bare machine more
 *  than where a hypervisor has scattered the frames: a matter of who hands out frames, not of how they are translated. */

import { Associative, type Geometry } from './associative.ts';

const LINE_SHIFT = 6;
export const LINE_BYTES = 1 << LINE_SHIFT;

/** Where a reference found what it wanted: first to third level, memory. */
export const LEVELS = 4;
export const MEMORY_LEVEL = LEVELS - 1;

export class DataCaches {
  readonly #levels: readonly Associative[];
  #last = -1;

  /** `sizes`: in lines, first level first. */
  constructor(sizes: readonly Geometry[], seed: number) {
    this.#levels = sizes.map((size, level) => new Associative(size, seed * 8 + level));
  }

  /** A reference to a host-physical address: the level that has its line. Afterwards all of them have it. */
  reference(physical: number): number {
    const line = Math.floor(physical / LINE_BYTES);
    if (line === this.#last) return 0;
    this.#last = line;
    const levels = this.#levels;
    let level = 0;
    const hash = spread(line);
    while (level < levels.length && !levels[level].has(line, level === 0 ? line : hash)) level++;
    for (let missed = Math.min(level, levels.length) - 1; missed >= 0; missed--)
      levels[missed].put(line, missed === 0 ? line : hash);
    return level;
  }
}

const spread = (line: number): number => {
  const h = Math.imul(line ^ (line >>> 11), 0x9e37_79b1);
  return h ^ (h >>> 15);
};
