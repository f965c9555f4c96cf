/** Power-management control register, as much of it as switches the machine off.
 *  Reference: ACPI specification, "PM1 Control Registers"; port 604h and sleep type 0 for S5 as QEMU's PIIX4 has them. */

import type { Unvalidated } from '../../base/errors.ts';
import { word } from '../../base/validate.ts';
import type { PortDevice } from '../ports.ts';

const SLP_TYP = 0x1c00; // sleep type; 0 is "soft off" on this board
const SLP_EN = 0x2000; // enter the sleep state; reads as 0

export interface PowerOffState {
  control: number;
}

export class PowerOff implements PortDevice {
  readonly widestAccess = 2;
  readonly #onPowerOff: () => void;
  #control = 0;

  constructor(onPowerOff: () => void) {
    this.#onPowerOff = onPowerOff;
  }

  read(offset: number, size: number): number {
    return size === 2 ? this.#control : this.#control >> (offset * 8);
  }

  /** Only whole words: a byte access to this register does nothing. */
  write(offset: number, value: number, size: number): void {
    if (size !== 2 || offset !== 0) return;
    this.#control = value & ~SLP_EN;
    if ((value & (SLP_TYP | SLP_EN)) === SLP_EN) this.#onPowerOff();
  }

  reset(): void {
    this.#control = 0;
  }

  save(): PowerOffState {
    return { control: this.#control };
  }

  restore(state: Unvalidated<PowerOffState>): void {
    this.#control = word(state.control, 'powerOff.control') & ~SLP_EN;
  }
}
