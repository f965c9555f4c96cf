/** Virtual time: one tick per retired instruction, nominal 1 GHz. There is no wall clock in the core. */

/** What a device sees of time. */
export interface Clock {
  /** Ticks since reset. Exact at port and memory-mapped accesses. */
  now(): number;
  /** Calls `alarm` once when the clock reaches `at` (ticks; in the past means at the next boundary). Returns a handle. */
  setAlarm(at: number, alarm: () => void): AlarmHandle;
  cancelAlarm(handle: AlarmHandle): void;
}

export interface AlarmHandle {
  readonly at: number;
}

interface Entry extends AlarmHandle {
  readonly alarm: () => void;
  readonly order: number;
}

/** The clock of one board. Its owner advances it; alarms that fall due run in order of time, then of setting. */
export class VirtualClock implements Clock {
  /** Where the owner reads the exact time from while a processor runs. */
  #source: () => number;
  #entries: Entry[] = [];
  #order = 0;
  /** Told of every new alarm, so that a run under way can end in time. */
  onAlarmSet: ((at: number) => void) | null = null;

  constructor(source: () => number) {
    this.#source = source;
  }

  now(): number {
    return this.#source();
  }

  setAlarm(at: number, alarm: () => void): AlarmHandle {
    const entry: Entry = { at, alarm, order: this.#order++ };
    const place = this.#entries.findIndex((e) => e.at > at);
    if (place < 0) this.#entries.push(entry);
    else this.#entries.splice(place, 0, entry);
    this.onAlarmSet?.(at);
    return entry;
  }

  cancelAlarm(handle: AlarmHandle): void {
    const place = this.#entries.indexOf(handle as Entry);
    if (place >= 0) this.#entries.splice(place, 1);
  }

  /** Time of the next alarm, Infinity if none is set. */
  get next(): number {
    return this.#entries[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Runs every alarm that is due now. */
  runDue(): void {
    for (;;) {
      const first = this.#entries[0];
      if (first === undefined || first.at > this.now()) return;
      this.#entries.shift();
      first.alarm();
    }
  }
}
