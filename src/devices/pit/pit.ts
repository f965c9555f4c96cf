/** 8254 programmable interval timer, with the gate and output of counter 2 at port 61h.
 *  Reference: Intel 8254 data sheet (order number 231164); Intel 82371SB data sheet, "NMI Status and Control Register".
 *
 *  OUT of counter 0 is IRQ 0. One CLK pulse takes 838 ticks of virtual time: 1 GHz / 1.193182 MHz. */

import type { Unvalidated } from '../../base/errors.ts';
import { integer, record } from '../../base/validate.ts';
import type { AlarmHandle, Clock, InterruptLine, PortDevice } from '../ports.ts';
import { Counter, type CounterState } from './counter.ts';

/** Ticks of virtual time in one CLK pulse. */
export const TICKS_PER_PULSE = 838;

// Register offsets
const CONTROL = 3;

// Control word
const SELECT_READ_BACK = 3; // in bits 7:6, where counters 0 to 2 are selected
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

// Port 61h
const GATE_2 = 0x01;
const SYSTEM_CONTROL_WRITABLE = 0x0f; // gate, speaker, and two parity bits without effect
const REFRESH = 0x10; // toggles with each memory refresh, about every 15 µs
const OUT_2 = 0x20;
const PULSES_PER_REFRESH = 18;

export interface PitState {
  counter0: CounterState;
  counter1: CounterState;
  counter2: CounterState;
  systemControl: number;
}

export class Pit implements PortDevice {
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #counters = [new Counter(), new Counter(), new Counter()] as const;
  #systemControl = 0;
  #alarm: AlarmHandle | null = null;
  /** The register at port 61h. */
  readonly systemControl: PortDevice;

  constructor(clock: Clock, irq: InterruptLine) {
    this.#clock = clock;
    this.#irq = irq;
    this.#counters[2].setGate(false, 0);
    this.systemControl = {
      read: () => this.#readSystemControl(),
      write: (_offset, value) => this.#writeSystemControl(value),
    };
    this.#irq.set(this.#counters[0].out);
  }

  read(offset: number): number {
    return offset === CONTROL ? 0 : this.#counters[offset].read(this.#now); // the control word cannot be read
  }

  write(offset: number, value: number): void {
    const now = this.#now;
    if (offset !== CONTROL) this.#counters[offset].write(value, now);
    else if (value >> 6 === SELECT_READ_BACK) this.#readBack(value, now);
    else if ((value & 0x30) === 0) this.#counters[value >> 6].latchCount(now);
    else this.#counters[value >> 6].program(value, now);
    this.#follow();
  }

  reset(): void {
    for (const counter of this.#counters) counter.reset();
    this.#writeSystemControl(0);
    this.#follow();
  }

  save(): PitState {
    const [counter0, counter1, counter2] = this.#counters;
    return {
      counter0: counter0.save(),
      counter1: counter1.save(),
      counter2: counter2.save(),
      systemControl: this.#systemControl,
    };
  }

  /** The board's clock must show the time of the saved state already. */
  restore(state: Unvalidated<PitState>): void {
    const systemControl = integer(state.systemControl, 'pit.systemControl', 0, SYSTEM_CONTROL_WRITABLE);
    this.#counters[0].restore(record(state.counter0, 'pit.counter0'), 'pit.counter0');
    this.#counters[1].restore(record(state.counter1, 'pit.counter1'), 'pit.counter1');
    this.#counters[2].restore(record(state.counter2, 'pit.counter2'), 'pit.counter2');
    this.#systemControl = systemControl;
    this.#setAlarm();
  }

  get #now(): number {
    return Math.floor(this.#clock.now() / TICKS_PER_PULSE);
  }

  #readBack(command: number, now: number): void {
    this.#counters.forEach((counter, i) => {
      if (!(command & (2 << i))) return;
      if (!(command & READ_BACK_NO_COUNT)) counter.latchCount(now);
      if (!(command & READ_BACK_NO_STATUS)) counter.latchStatus(now);
    });
  }

  #readSystemControl(): number {
    const now = this.#now;
    this.#counters[2].advance(now);
    const refresh = Math.floor(now / PULSES_PER_REFRESH) & 1 ? REFRESH : 0;
    return this.#systemControl | refresh | (this.#counters[2].out ? OUT_2 : 0);
  }

  #writeSystemControl(value: number): void {
    this.#systemControl = value & SYSTEM_CONTROL_WRITABLE;
    this.#counters[2].setGate((value & GATE_2) !== 0, this.#now);
  }

  /** Puts OUT of counter 0 on its wire and waits for its next change. */
  #follow(): void {
    this.#counters[0].advance(this.#now);
    this.#irq.set(this.#counters[0].out);
    this.#setAlarm();
  }

  #setAlarm(): void {
    if (this.#alarm !== null) this.#clock.cancelAlarm(this.#alarm);
    const pulse = this.#counters[0].nextChange(this.#now);
    this.#alarm = Number.isFinite(pulse)
      ? this.#clock.setAlarm(pulse * TICKS_PER_PULSE, () => {
          this.#alarm = null;
          this.#follow();
        })
      : null;
  }
}
