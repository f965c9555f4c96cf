/** The pair of 8259A interrupt controllers of a PC: the slave's output is the master's input 2.
 *  Reference: Intel 8259A data sheet, "Cascade Mode"; Intel 82371SB data sheet, "Edge/Level Control Registers". */

import type { Unvalidated } from '../../base/errors.ts';
import { record } from '../../base/validate.ts';
import type { InterruptLine, PortDevice } from '../ports.ts';
import { type ChipState, PicChip } from './chip.ts';

const CASCADE = 2;
const SPURIOUS = 7;

// Where a PC's firmware leaves the vectors, which matters to kernels that never program them.
const MASTER_BASE = 0x08;
const SLAVE_BASE = 0x70;

// Inputs that ELCR can make level triggered: not the timer, keyboard, cascade, RTC and FPU.
const ELCR_MASTER = 0xf8;
const ELCR_SLAVE = 0xde;

export interface PicState {
  master: ChipState;
  slave: ChipState;
}

export class Pic {
  readonly #master: PicChip;
  readonly #slave: PicChip;
  /** Two registers each, at 20h and A0h. */
  readonly master: PortDevice;
  readonly slave: PortDevice;
  /** ELCR1 and ELCR2, at 4D0h. */
  readonly elcr: PortDevice;

  /** `output`: the wire to the processor. */
  constructor(output: InterruptLine) {
    const master = new PicChip('master', output, MASTER_BASE);
    const slave = new PicChip('slave', { set: (level) => master.setInput(CASCADE, level) }, SLAVE_BASE);
    this.#master = master;
    this.#slave = slave;
    this.master = master;
    this.slave = slave;
    this.elcr = {
      read: (offset) => (offset === 0 ? master : slave).elcr,
      write: (offset, value) => {
        if (offset === 0) master.elcr = value & ELCR_MASTER;
        else slave.elcr = value & ELCR_SLAVE;
      },
    };
  }

  /** The wire of IRQ 0 to 15. */
  line(irq: number): InterruptLine {
    const chip = irq < 8 ? this.#master : this.#slave;
    return { set: (level) => chip.setInput(irq & 7, level) };
  }

  /** INTA cycles of the processor: the vector. A request that went away meanwhile yields the spurious IRQ 7 or 15. */
  acknowledge(): number {
    const input = this.#master.acknowledge();
    if (input !== CASCADE) return this.#master.vectorOf(input < 0 ? SPURIOUS : input);
    const behind = this.#slave.acknowledge();
    return this.#slave.vectorOf(behind < 0 ? SPURIOUS : behind);
  }

  reset(): void {
    this.#slave.reset();
    this.#master.reset();
  }

  save(): PicState {
    return { master: this.#master.save(), slave: this.#slave.save() };
  }

  restore(state: Unvalidated<PicState>): void {
    const master = record(state.master, 'pic.master');
    const slave = record(state.slave, 'pic.slave');
    this.#slave.restore(slave);
    this.#master.restore(master); // last: what the slave's restore did to input 2 is in here already
  }
}
