/** The harness of the benchmarks: its arithmetic, its stopwatch, its loop around a VM. Nothing is timed here. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Markers } from '../bench/markers.ts';
import { MinimalHypervisor } from '../bench/minimal-hypervisor.ts';
import { parseOptions } from '../bench/options.ts';
import { gate, large, table } from '../bench/report.ts';
import { geometricMean, median, pairedRatios, summary, turnOrder } from '../bench/statistics.ts';
import { assemble, Hypervisor, Machine, RootModePort } from '../src/index.ts';

describe('statistics', () => {
  test('the median is the middle one, or the mean of the two in the middle, by value and not by spelling', () => {
    expect(median([100, 9, 20])).toBe(20);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });

  test('the summary', () => {
    expect(summary([5, 1, 9])).toEqual({ min: 1, median: 5, max: 9 });
  });

  test('ratios are of neighbours, so that slow phases fall out', () => {
    expect(pairedRatios([10, 40, 10], [20, 80, 20])).toEqual([0.5, 0.5, 0.5]);
    expect(median([10, 40, 10]) / median([20, 20, 80])).toBe(0.5);
    expect(median(pairedRatios([10, 40, 10], [20, 20, 80]))).toBe(0.5);
    expect(median(pairedRatios([1, 100, 1000], [2, 10, 1000]))).toBe(1);
    expect(pairedRatios([1, 2, 3], [1])).toEqual([1]);
  });

  test('the geometric mean of a speed-up and its reverse is 1', () => {
    expect(geometricMean([4, 0.25])).toBeCloseTo(1);
    expect(geometricMean([2, 8])).toBeCloseTo(4);
    expect(geometricMean([])).toBeNaN();
  });

  test('in every round everybody runs once, and not always in the same order', () => {
    const rounds = [0, 1, 2, 3, 4, 5].map((round) => turnOrder(3, round));
    for (const order of rounds) expect([...order].sort()).toEqual([0, 1, 2]);
    expect(new Set(rounds.map(String)).size).toBe(6);
    expect(turnOrder(2, 0)).toEqual([0, 1]);
    expect(turnOrder(1, 7)).toEqual([0]);
  });
});

describe('the stopwatch', () => {
  const feed = (...pieces: readonly (readonly [string, number])[]): Markers => {
    const markers = new Markers();
    for (const [text, now] of pieces) markers.feed(text, now);
    return markers;
  };

  test('runs from the piece that completes the first mark to the one with the second', () => {
    const markers = feed(
      ['BIOS <1>\nsort', 1],
      [':', 2],
      ['<', 3],
      ['..', 50],
      ['>', 90],
      ['1234', 91],
      ['ABCD\n', 95],
    );
    expect(markers.milliseconds).toBe(87);
    expect(markers.checksum).toBe('1234ABCD');
  });

  test('a checksum is complete with its line only, and may be followed by the time-stamp counter', () => {
    expect(feed(['a:<', 1], ['>1234ABCD', 2]).checksum).toBeNull();
    expect(feed(['a:<', 1], ['>1234ABCD 0000000000001000\r\n', 2]).checksum).toBe('1234ABCD');
  });

  test('no time without both marks, none at all if they come together', () => {
    expect(feed(['a:', 1]).milliseconds).toBeNull();
    expect(feed(['a:<', 1]).milliseconds).toBeNull();
    expect(feed(['a:<>00000000\n', 1]).milliseconds).toBe(0);
  });
});

describe('reports', () => {
  test('a table is aligned', () => {
    expect(table(['a', 'b'], [['long', '1']])).toBe('| a    | b |\n|------|--:|\n| long | 1 |');
  });

  test('numbers are short', () => {
    expect([large(12_345_678), large(999), large(1500), large(Number.NaN)]).toEqual(['12.3 M', '999', '1.50 k', '–']);
  });

  test('a gate holds from its bound on, and not for what was not measured', () => {
    expect([0.89, 0.9, Number.NaN].map((value) => gate('x', value, 0.9).passed)).toEqual([false, true, false]);
  });
});

describe('options', () => {
  test('five runs of full length unless said otherwise', () => {
    expect(parseOptions(['nested'])).toMatchObject({ suites: ['nested'], runs: 5, scale: 1, only: null });
  });

  test.each([
    [['--runs', '0'], '--runs 0'],
    [['--scale', 'x'], '--scale x'],
    [['--peer', 'old'], 'NAME=COMMAND'],
    [['--bogus'], '--bogus'],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('the smallest loop around a VM', () => {
  const file = (name: string): string => readFileSync(new URL(`../bench/kernels/${name}`, import.meta.url), 'utf8');
  const MEMORY = 32 << 20;

  test.each(['exits', 'ports'])('%s prints what it prints on the bare machine and under the hypervisor', (name) => {
    const image = assemble(file(`${name}.asm`), { defines: { ROUNDS: 100 }, include: file }).bytes;
    const run = (start: (transmit: (byte: number) => void) => void): string => {
      let text = '';
      start((byte) => {
        text += String.fromCharCode(byte);
      });
      return text;
    };
    const bare = run((transmit) => {
      const machine = new Machine({ memory: MEMORY, serial: [{ transmit }] });
      machine.load(image);
      machine.run();
    });
    const nested = run((transmit) => {
      const hypervisor = new Hypervisor(new RootModePort(new Machine({ memory: MEMORY + (4 << 20) })));
      hypervisor.createVm({ memory: MEMORY, image, serial: [{ transmit }] });
      hypervisor.run();
    });
    const minimal = run((transmit) => {
      const root = new RootModePort(new Machine({ memory: MEMORY + (4 << 20) }));
      const vm = new Hypervisor(root).createVm({ memory: MEMORY, image });
      new MinimalHypervisor(root, vm.vcpu.general, transmit).run();
    });
    expect(bare).toMatch(new RegExp(`^${name}:<>[0-9A-F]{8}\n$`));
    expect([nested, minimal]).toEqual([bare, bare]);
  });
});
