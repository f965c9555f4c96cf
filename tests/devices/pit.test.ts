import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../src/base/clock.ts';
import { InvalidInput } from '../../src/base/errors.ts';
import { Pit, TICKS_PER_PULSE } from '../../src/devices/pit/pit.ts';

// Expected values: Intel 8254 data sheet, timing diagrams of modes 0 to 5.
let time: number;
let clock: VirtualClock;
let pit: Pit;
let changes: [number, boolean][];

const line = {
  set: (level: boolean): void => {
    if ((changes.at(-1)?.[1] ?? true) !== level) changes.push([time / TICKS_PER_PULSE, level]);
  },
};
/** Lets pulses pass; alarms come at their exact time. */
const until = (pulse: number): void => {
  const end = pulse * TICKS_PER_PULSE;
  while (clock.next <= end) {
    time = clock.next;
    clock.runDue();
  }
  time = end;
};
const load = (counter: number, control: number, count: number): void => {
  pit.write(3, (counter << 6) | control);
  pit.write(counter, count & 0xff);
  pit.write(counter, count >> 8);
};
const latched = (counter: number): number => {
  pit.write(3, counter << 6);
  return pit.read(counter) | (pit.read(counter) << 8);
};
const out2 = (): boolean => (pit.systemControl.read(0, 1) & 0x20) !== 0;

beforeEach(() => {
  time = 0;
  changes = [];
  clock = new VirtualClock(() => time);
  pit = new Pit(clock, line);
});

describe('8254', () => {
  test('mode 0: OUT falls with the control word and rises N + 1 pulses after the count', () => {
    until(10);
    load(0, 0x30, 4);
    until(100);
    expect(changes).toEqual([
      [10, false],
      [15, true],
    ]);
    expect(clock.next).toBe(Number.POSITIVE_INFINITY);
  });

  test('mode 0: the first byte of a new count stops the old one', () => {
    load(0, 0x30, 8);
    until(3);
    pit.write(0, 5);
    until(50);
    pit.write(0, 0);
    until(100);
    expect(changes).toEqual([
      [0, false],
      [56, true],
    ]);
  });

  test('mode 2: low for the last pulse of each period; a new count waits for the end of the period', () => {
    load(0, 0x34, 5);
    until(8);
    pit.write(0, 3);
    pit.write(0, 0);
    until(15);
    expect(changes).toEqual([
      [5, false],
      [6, true],
      [10, false],
      [11, true],
      [13, false],
      [14, true],
    ]);
  });

  test('mode 3: halves are equal for an even count, the first is longer by one for an odd one', () => {
    load(0, 0x36, 4);
    until(10);
    expect(changes.map(([at]) => at)).toEqual([3, 5, 7, 9]);
    until(11); // third period is in its second half
    load(0, 0x36, 5);
    changes = [];
    until(24);
    expect(changes.map(([at]) => at - 12)).toEqual([3, 5, 8, 10]);
  });

  test('count 0 stands for 10000h, and for 10,000 in BCD', () => {
    load(0, 0x34, 0);
    until(65_537);
    expect(changes).toEqual([
      [65_536, false],
      [65_537, true],
    ]);
    changes = [];
    load(0, 0x35, 0);
    until(65_537 + 10_001);
    expect(changes.map(([at]) => at - 65_537)).toEqual([10_000, 10_001]);
  });

  test('mode 4 strobes once, N + 1 pulses after the count', () => {
    load(0, 0x38, 3);
    until(70_000);
    expect(changes).toEqual([
      [4, false],
      [5, true],
    ]);
  });

  test('the latch holds the count until it is read; a second latch command changes nothing', () => {
    load(1, 0x34, 1000);
    until(101);
    pit.write(3, 0x40);
    until(200);
    pit.write(3, 0x40);
    expect(pit.read(1) | (pit.read(1) << 8)).toBe(900);
    expect(latched(1)).toBe(801);
  });

  test('BCD counts are read in BCD', () => {
    load(1, 0x31, 0x1234);
    until(36);
    expect(latched(1)).toBe(0x1199);
  });

  test('mode 3 counts down by two', () => {
    load(1, 0x36, 7);
    const seen: number[] = [];
    for (let pulse = 1; pulse <= 8; pulse++) {
      until(pulse);
      seen.push(latched(1));
    }
    expect(seen).toEqual([6, 4, 2, 0, 6, 4, 2, 6]);
  });

  test('read-back latches status before count: OUT, null count, access, mode, BCD', () => {
    load(0, 0x34, 100);
    pit.write(3, 0xe2);
    expect(pit.read(0)).toBe(0xf4);
    until(11);
    pit.write(3, 0xc2);
    expect([pit.read(0), pit.read(0), pit.read(0)]).toEqual([0xb4, 90, 0]);
  });

  test('single-byte access reads and writes one half', () => {
    pit.write(3, 0x60 | 0x04); // counter 1, high byte only, mode 2
    pit.write(1, 2);
    until(1);
    expect(pit.read(1)).toBe(2);
    until(2);
    expect(pit.read(1)).toBe(1);
  });

  test('port 61h: gate of counter 2 lets mode 0 count, bit 5 shows OUT, the writable bits read back', () => {
    load(2, 0x30, 10);
    until(50);
    expect(out2()).toBe(false);
    pit.systemControl.write(0, 0x01, 1);
    until(55);
    pit.systemControl.write(0, 0x00, 1);
    until(99);
    expect([latched(2), out2()]).toEqual([5, false]);
    pit.systemControl.write(0, 0x03, 1);
    until(103);
    expect(out2()).toBe(false);
    until(104);
    expect(out2()).toBe(true);
    expect(pit.systemControl.read(0, 1) & 0x0f).toBe(0x03);
  });

  test('mode 1: the gate triggers a pulse of N, and again before it ends', () => {
    load(2, 0x32, 5);
    until(10);
    expect(out2()).toBe(true);
    const trigger = (): void => {
      pit.systemControl.write(0, 0, 1);
      pit.systemControl.write(0, 1, 1);
    };
    trigger();
    until(11);
    expect(out2()).toBe(false);
    until(14);
    trigger();
    until(19);
    expect(out2()).toBe(false);
    until(20);
    expect(out2()).toBe(true);
  });

  test('mode 2: a low gate holds OUT high, a rising one starts the period again', () => {
    pit.systemControl.write(0, 1, 1);
    load(2, 0x34, 10);
    until(5);
    pit.systemControl.write(0, 0, 1);
    until(30);
    expect([out2(), latched(2)]).toEqual([true, 6]);
    pit.systemControl.write(0, 1, 1);
    until(31);
    expect(latched(2)).toBe(10);
    until(40);
    expect(out2()).toBe(false);
  });

  test('a restored timer ticks at the same pulses; a broken state is refused', () => {
    load(0, 0x36, 1000);
    load(2, 0x30, 77);
    until(700);
    const saved = JSON.parse(JSON.stringify(pit.save()));
    changes = [[700, false]]; // where OUT is by now
    until(5000);
    const expected = changes;
    expect(expected.length).toBe(9);
    changes = [];
    time = 700 * TICKS_PER_PULSE;
    clock = new VirtualClock(() => time);
    pit = new Pit(clock, { set: () => {} });
    const restored = new Pit(clock, line);
    restored.restore(saved);
    expect(restored.save()).toEqual(saved);
    changes = [[700, false]];
    until(5000);
    expect(changes).toEqual(expected);
    for (const [field, value] of [
      ['mode', 6],
      ['count', 0],
      ['origin', -1],
      ['gate', 1],
    ] as const) {
      const broken = { ...saved, counter0: { ...saved.counter0, [field]: value } };
      expect(() => restored.restore(broken), field).toThrow(InvalidInput);
    }
  });
});
