/** The workloads of the paging benchmark do the same in every mode. */

import { expect, test } from 'vitest';
import { type Facts, perRound } from '../../src/bench/paging/facts.ts';
import { lanesFor, processorFor } from '../../src/bench/paging/lanes.ts';
import { MODES, type Mode, run } from '../../src/bench/paging/run.ts';
import { imageOf, WORKLOADS, type Workload } from '../../src/bench/paging/workloads.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { Machine } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import { sources } from './sources.ts';

const MEMORY = 64 << 20;

/** What a whole run prints and how many instructions it retires, at full speed. */
function whole(image: Uint8Array, mode: Mode): readonly [string, number] {
  let text = '';
  const serial = [
    {
      transmit: (byte: number) => {
        text += String.fromCharCode(byte);
      },
    },
  ];
  if (mode === 'bare') {
    const machine = new Machine({ memory: MEMORY, serial, contexts: 4 });
    machine.load(image);
    machine.run();
    return [text, machine.instructions];
  }
  const machine = new Machine({ memory: MEMORY + (32 << 20), contexts: 4 });
  const hypervisor = new Hypervisor(new RootModePort(machine));
  const largePages = mode === 'nested 2M';
  const paging = mode === 'shadow' ? 'shadow' : 'nested';
  const vm = hypervisor.createVm({ memory: MEMORY, image, serial, largePages, paging });
  hypervisor.run();
  return [text, vm.retired];
}

test.each(WORKLOADS.flatMap((w) => [[w.name, '4 KiB', w] as const, [w.name, '4 MiB', w] as const]))(
  '%s with guest pages of %s retires the same instructions in every mode',
  (_, pages, workload) => {
    const image = imageOf(workload, sources, 1, pages === '4 MiB').bytes;
    const [bare, ...others] = MODES.map((mode) => whole(image, mode));
    expect(bare?.[0]).toBe('done\n');
    for (const other of others) expect(other).toEqual(bare);
  },
);

const find = (name: string): Workload => WORKLOADS.find((w) => w.name === name) as Workload;

test('a watched run counts what one round causes, by the formulas of two-dimensional paging', () => {
  const lanes = lanesFor([1]);
  const measure = (mode: Mode, large: boolean): Facts =>
    run(imageOf(find('protect'), sources, 2, large), {
      ...{ mode, processors: lanes.map(processorFor), warm: 1, counted: 1 },
    });
  // of each of 256 pages: two INVLPGs, each followed by an access that misses
  for (const [mode, references] of [
    ['bare', 2],
    ['nested 4K', 14],
    ['nested 2M', 11],
  ] as const) {
    const facts = measure(mode, false);
    expect([facts.walks, facts.walkReferences]).toEqual([512, 512 * references]);
    expect([facts.invlpgs, facts.exits, facts.rootReferences]).toEqual([512, 0, 0]);
    for (const { walks } of facts.processors) expect(walks).toBe(512);
  }
  const shadow = measure('shadow', false);
  expect([shadow.invlpgExits, shadow.trueFaults, shadow.invlpgs]).toEqual([512, 0, 0]);
  expect(shadow.rootReferences).toBeGreaterThan(512);
  expect(shadow).toEqual(measure('shadow', false));
});

test('the faults of a round are those of the guest, whether or not they exit', () => {
  const image = imageOf(find('fault'), sources, 2, false);
  const faults = (mode: Mode, shadow = {}): number =>
    run(image, { mode, processors: [], warm: 1, counted: 1, shadow }).trueFaults;
  expect([faults('bare'), faults('nested 4K')]).toEqual([256, 256]);
  expect([faults('shadow'), faults('shadow', { bypass: false })]).toEqual([256, 256]);
});

test('a round is a difference by rounds, number by number', () => {
  const a = { n: 1, list: [1, 2], inner: { k: 0 } };
  const b = { n: 5, list: [3, 10], inner: { k: 1 } };
  expect(perRound(a, b, 2)).toEqual({ n: 2, list: [1, 4], inner: { k: 0.5 } });
});
