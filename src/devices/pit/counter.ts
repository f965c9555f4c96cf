/** One counter of an 8254 programmable interval timer. Time is counted in CLK pulses since reset.
 *  Reference: Intel 8254 data sheet (order number 231164), "Mode Definitions".
 *
 *  Nothing happens on each pulse: the counting element follows from when it was loaded and with what; `advance`
 *  brings the rest (reloads, OUT) up to a pulse. A count of 1 in modes 2 and 3, which the data sheet forbids, acts as 2. */

import type { Unvalidated } from '../../base/errors.ts';
import { boolean, byte, integer, ticks } from '../../base/validate.ts';

export interface CounterState {
  mode: number;
  bcd: boolean;
  /** 1: low byte only, 2: high byte only, 3: low then high. */
  access: number;
  gate: boolean;
  out: boolean;
  /** Count register: what the program wrote, 1 to 10000h (BCD: 10,000). */
  count: number;
  /** Pulse at which the counting element is (or was) loaded, and with what. */
  origin: number;
  from: number;
  /** A whole count was written since the control word. */
  written: boolean;
  /** The element counts (or will, from `origin` on), as far as GATE lets it. */
  running: boolean;
  /** Written, but not in the counting element yet. */
  nullCount: boolean;
  /** Mode 3: the half of the period that `origin` begins. */
  secondHalf: boolean;
  /** The next byte of a two-byte access is the high one. */
  writeHigh: boolean;
  readHigh: boolean;
  writeLow: number;
  latchedCount: number;
  countLatched: boolean;
  latchedStatus: number;
  statusLatched: boolean;
}

const idle = (): CounterState => ({
  mode: 3,
  bcd: false,
  access: 3,
  gate: true,
  out: true,
  count: 0x1_0000,
  origin: 0,
  from: 0x1_0000,
  written: false,
  running: false,
  nullCount: true,
  secondHalf: false,
  writeHigh: false,
  readHigh: false,
  writeLow: 0,
  latchedCount: 0,
  countLatched: false,
  latchedStatus: 0,
  statusLatched: false,
});

const toBcd = (n: number): number =>
  (n % 10) | ((Math.floor(n / 10) % 10) << 4) | ((Math.floor(n / 100) % 10) << 8) | (Math.floor(n / 1000) << 12);
const fromBcd = (n: number): number => (n & 15) + ((n >> 4) & 15) * 10 + ((n >> 8) & 15) * 100 + (n >> 12) * 1000;

/** Modes in which a rising GATE starts the count, and writing one does not. */
const isTriggered = (mode: number): boolean => mode === 1 || mode === 5;
const isPeriodic = (mode: number): boolean => mode === 2 || mode === 3;

export class Counter {
  #s: CounterState = idle();

  /** OUT as of the last `advance`. */
  get out(): boolean {
    return this.#s.out;
  }

  get gate(): boolean {
    return this.#s.gate;
  }

  /** Control word for this counter (not a latch command). OUT takes its initial level; counting waits for a count. */
  program(control: number, now: number): void {
    this.advance(now);
    const mode = (control >> 1) & 7;
    Object.assign(this.#s, {
      ...idle(),
      gate: this.#s.gate,
      count: this.#s.count,
      from: this.#element(now),
      access: (control >> 4) & 3,
      mode: mode > 5 ? mode - 4 : mode, // bit 2 is "don't care" in modes 2 and 3
      bcd: (control & 1) !== 0,
      out: mode !== 0,
    });
  }

  /** A byte written to the counter's port. */
  write(value: number, now: number): void {
    const s = this.#s;
    this.advance(now);
    if (s.access === 3 && !s.writeHigh) {
      s.writeLow = value;
      s.writeHigh = true;
      if (s.mode === 0) this.#stop(now, false); // the first byte stops mode 0 at once, OUT falls
      return;
    }
    s.writeHigh = false;
    const raw = s.access === 1 ? value : s.access === 2 ? value << 8 : s.writeLow | (value << 8);
    this.#load(raw, now);
  }

  /** A byte read from the counter's port: latched status, latched count, or the running count. */
  read(now: number): number {
    const s = this.#s;
    if (s.statusLatched) {
      s.statusLatched = false;
      return s.latchedStatus;
    }
    this.advance(now);
    const value = s.countLatched ? s.latchedCount : this.#readable(now);
    const high = s.access === 2 || (s.access === 3 && s.readHigh);
    if (s.access === 3) s.readHigh = !s.readHigh;
    if (s.access !== 3 || high) s.countLatched = false;
    return (high ? value >> 8 : value) & 0xff;
  }

  /** Counter latch command. A second one before the first was read is ignored. */
  latchCount(now: number): void {
    this.advance(now);
    if (this.#s.countLatched) return;
    this.#s.latchedCount = this.#readable(now);
    this.#s.countLatched = true;
  }

  /** Read-back of the status: OUT, null count, access, mode, BCD. */
  latchStatus(now: number): void {
    this.advance(now);
    const s = this.#s;
    if (s.statusLatched) return;
    const flags = (s.out ? 0x80 : 0) | (s.nullCount ? 0x40 : 0) | (s.bcd ? 1 : 0);
    s.latchedStatus = flags | (s.access << 4) | (s.mode << 1);
    s.statusLatched = true;
  }

  setGate(level: boolean, now: number): void {
    const s = this.#s;
    this.advance(now);
    if (level === s.gate) return;
    if (isTriggered(s.mode) || isPeriodic(s.mode)) {
      if (level && s.written) this.#start(now);
      else if (isPeriodic(s.mode)) this.#stop(now, true);
    } else if (s.running && now >= s.origin) {
      s.from = this.#element(now); // low: frozen here; high: goes on from here
      s.origin = now;
    }
    s.gate = level;
  }

  /** Brings reloads and OUT up to pulse `now`. */
  advance(now: number): void {
    const s = this.#s;
    if (!s.running || now < s.origin) return;
    if (!isPeriodic(s.mode)) s.nullCount = false;
    if (this.#isFrozen) return;
    if (s.mode === 2) this.#advanceRate(now);
    if (s.mode === 3) this.#advanceSquare(now);
    s.out = this.#levelAt(now);
  }

  /** The pulse of the next change of OUT after `now` (to which the counter has been advanced), Infinity if none comes. */
  nextChange(now: number): number {
    const s = this.#s;
    if (!s.running || this.#isFrozen) return Number.POSITIVE_INFINITY;
    const reached = s.origin + s.from; // terminal count
    switch (s.mode) {
      case 0:
        return now < reached ? reached : Number.POSITIVE_INFINITY;
      case 1:
        if (now < s.origin) return s.origin;
        return now < reached ? reached : Number.POSITIVE_INFINITY;
      case 2:
        return now < reached - 1 ? reached - 1 : reached;
      case 3:
        return s.origin + this.#half();
      default: // one pulse of low
        if (now < reached) return reached;
        return now === reached ? reached + 1 : Number.POSITIVE_INFINITY;
    }
  }

  reset(): void {
    this.#s = { ...idle(), gate: this.#s.gate };
  }

  save(): CounterState {
    return { ...this.#s };
  }

  restore(state: Unvalidated<CounterState>, name: string): void {
    const at = (field: keyof CounterState): string => `${name}.${field}`;
    const flag = (field: keyof CounterState): boolean => boolean(state[field], at(field));
    const count = (field: keyof CounterState): number => integer(state[field], at(field), 1, 0x1_0000);
    const s: CounterState = {
      mode: integer(state.mode, at('mode'), 0, 5),
      bcd: flag('bcd'),
      access: integer(state.access, at('access'), 1, 3),
      gate: flag('gate'),
      out: flag('out'),
      count: count('count'),
      origin: ticks(state.origin, at('origin')),
      from: integer(state.from, at('from'), 0, 0x1_0000),
      written: flag('written'),
      running: flag('running'),
      nullCount: flag('nullCount'),
      secondHalf: flag('secondHalf'),
      writeHigh: flag('writeHigh'),
      readHigh: flag('readHigh'),
      writeLow: byte(state.writeLow, at('writeLow')),
      latchedCount: integer(state.latchedCount, at('latchedCount'), 0, 0xffff),
      countLatched: flag('countLatched'),
      latchedStatus: byte(state.latchedStatus, at('latchedStatus')),
      statusLatched: flag('statusLatched'),
    };
    // A period of zero would never let time pass.
    if (isPeriodic(s.mode)) {
      s.from = Math.max(s.from, 2);
      s.count = Math.max(s.count, 2);
    }
    this.#s = s;
  }

  /** A whole count was written. */
  #load(raw: number, now: number): void {
    const s = this.#s;
    s.count = (s.bcd ? fromBcd(raw) % 10_000 : raw) || this.#modulus;
    if (isPeriodic(s.mode)) s.count = Math.max(s.count, 2);
    s.nullCount = true;
    s.written = true;
    if (isTriggered(s.mode) || (isPeriodic(s.mode) && (s.running || !s.gate))) return; // next trigger or reload
    if (s.mode === 0) s.out = false;
    this.#start(now);
  }

  /** The next pulse loads the counting element. */
  #start(now: number): void {
    const s = this.#s;
    s.origin = now + 1;
    s.from = s.count;
    s.running = true;
    s.secondHalf = false;
    if (isPeriodic(s.mode)) s.out = true;
  }

  #stop(now: number, out: boolean): void {
    const s = this.#s;
    s.from = this.#element(now);
    s.running = false;
    s.out = out;
  }

  /** Modes 0 and 4 count only while GATE is high. */
  get #isFrozen(): boolean {
    return !this.#s.gate && (this.#s.mode === 0 || this.#s.mode === 4);
  }

  get #modulus(): number {
    return this.#s.bcd ? 10_000 : 0x1_0000;
  }

  /** Pulses in the current half of a square wave: the first is one longer when the count is odd. */
  #half(): number {
    const n = this.#s.from;
    return this.#s.secondHalf ? Math.floor(n / 2) : Math.ceil(n / 2);
  }

  /** Mode 2: reloads at the end of each period; a new count is taken there. */
  #advanceRate(now: number): void {
    const s = this.#s;
    if (now - s.origin >= s.from) {
      s.origin += s.from;
      s.from = s.count;
      s.origin += Math.floor((now - s.origin) / s.from) * s.from;
    }
    if (s.from === s.count) s.nullCount = false;
  }

  /** Mode 3: a new count is taken at the end of a half period. */
  #advanceSquare(now: number): void {
    const s = this.#s;
    const nextHalf = (): void => {
      s.origin += this.#half();
      s.secondHalf = !s.secondHalf;
      s.from = s.count;
    };
    if (now - s.origin >= this.#half()) nextHalf();
    s.origin += Math.floor((now - s.origin) / s.from) * s.from;
    if (now - s.origin >= this.#half()) nextHalf();
    if (s.from === s.count) s.nullCount = false;
  }

  #levelAt(now: number): boolean {
    const s = this.#s;
    const elapsed = now - s.origin;
    switch (s.mode) {
      case 0:
        return s.out || elapsed >= s.from;
      case 1:
        return elapsed >= s.from;
      case 2:
        return s.from - elapsed !== 1;
      case 3:
        return !s.secondHalf;
      default:
        return elapsed !== s.from;
    }
  }

  /** The counting element at pulse `now`, as a plain number. */
  #element(now: number): number {
    const s = this.#s;
    if (!s.running || now < s.origin || this.#isFrozen) return s.from;
    const elapsed = now - s.origin;
    if (s.mode === 2) return s.from - elapsed;
    if (s.mode === 3) return (s.from & ~1) - 2 * elapsed;
    return (((s.from - elapsed) % this.#modulus) + this.#modulus) % this.#modulus; // goes round after terminal count
  }

  #readable(now: number): number {
    const element = this.#element(now);
    return this.#s.bcd ? toBcd(element % 10_000) : element & 0xffff;
  }
}
