/** What happened to a VM, in numbers. */

import { exitReasonName } from '../vmx/exit-reasons.ts';

const REASONS = 256;

export class VmStats {
  /** Exits by basic reason. */
  readonly #exits = new Uint32Array(REASONS);
  entries = 0;
  /** External interrupts delivered to the guest. */
  interrupts = 0;
  /** Exceptions that the hypervisor raised in the guest. */
  exceptions = 0;
  /** Events whose delivery an exit had cut short, delivered again. */
  reinjections = 0;
  /** Instructions that the hypervisor executed for the guest. */
  emulated = 0;
  /** Accesses to addresses that belong to nothing. */
  floats = 0;
  /** Ticks of virtual time that the guest spent halted. */
  halted = 0;
  /** Times the VM got the processor. */
  turns = 0;

  countExit(reason: number): void {
    this.#exits[Math.min(reason, REASONS - 1)]++;
  }

  exits(reason: number): number {
    return this.#exits[reason];
  }

  get totalExits(): number {
    return this.#exits.reduce((sum, n) => sum + n, 0);
  }

  /** Non-zero counts by the reason's name, the most frequent first. */
  get exitsByName(): Record<string, number> {
    const counted = [...this.#exits.entries()].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    return Object.fromEntries(counted.map(([reason, n]) => [exitReasonName(reason), n]));
  }
}
