/** MSRs that other instructions than RDMSR read, without an exit: during a guest's turn they hold its values.
 *  What root mode itself has in them does not matter. */

import type { RootMode } from '../machine/root-mode.ts';
import type { Vm } from './vm.ts';

/** IA32_PMC0 and IA32_PMC1 for RDPMC, IA32_TSC_AUX for RDTSCP. */
const HELD = [0xc1, 0xc2, 0xc000_0103] as const;
const RESET = { lo: 0, hi: 0 };

/** Whether a write by the guest stays in the processor. */
export const isHeld = (index: number): boolean => index === HELD[0] || index === HELD[1] || index === HELD[2];

export class GuestMsrs {
  readonly #root: RootMode;
  /** What the processor holds. */
  readonly #held: { readonly lo: number; readonly hi: number }[] = HELD.map(() => RESET);

  constructor(root: RootMode) {
    this.#root = root;
  }

  /** A VM's turn begins. */
  load(vm: Vm): void {
    HELD.forEach((index, k) => {
      const value = vm.msrs.get(index) ?? RESET;
      if (value.lo === this.#held[k]?.lo && value.hi === this.#held[k]?.hi) return;
      this.#root.wrmsr(index, value.lo, value.hi);
      this.#held[k] = value;
    });
  }

  /** It is over: what the guest wrote meanwhile is in the processor. */
  save(vm: Vm): void {
    if (vm.msrs.size === 0) return;
    HELD.forEach((index, k) => {
      this.#held[k] = vm.msrs.get(index) ?? RESET;
    });
  }
}
