/** CPUID leaves of one processor, each worked out once. */

import { type CpuidResult, cpuid, type ProcessorModel } from './model.ts';

/** Leaves that are kept: software asks for few; whoever counts through all of them gains nothing. */
const MOST_KEPT = 64;
/** Leaves in which ECX does not count (SDM Vol. 2, CPUID). Where a leaf is too high, another one answers. */
const isPlain = (leaf: number): boolean => leaf === 0 || leaf === 1 || (leaf >= LEAST && leaf < LEAST + 9);
const LEAST = 0x8000_0000 | 0;

export class Identification {
  readonly #model: ProcessorModel;
  readonly #known = new Map<number, Readonly<CpuidResult>>();

  constructor(model: ProcessorModel) {
    this.#model = model;
  }

  /** What CPUID returns for a leaf (EAX) and a sub-leaf (ECX), as 32-bit patterns; not to be changed. */
  leaf(leaf: number, subleaf: number): Readonly<CpuidResult> {
    if (subleaf !== 0 && !isPlain(leaf | 0)) return cpuid(this.#model, leaf, subleaf);
    let result = this.#known.get(leaf);
    if (result === undefined) {
      result = cpuid(this.#model, leaf, 0);
      if (this.#known.size < MOST_KEPT) this.#known.set(leaf, result);
    }
    return result;
  }
}
