/** The shadow pager as a part of a VM: options, saved states, limits, what it counts. */
import { describe, expect, test } from 'vitest';
import { firstVmxModel } from '../../../src/cpu/model.ts';
import type { ShadowOptions } from '../../../src/hypervisor/shadow/options.ts';
import { guestFile, kernel, MIB, nestedWorld, runBare, runNested } from '../../guests/runs.ts';
import { PAE_PROGRAMS } from './pae-programs.ts';
import { PROGRAMS, paeProgram, pagingProgram } from './programs.ts';

const WORKS = { memory: 8 * MIB, shadow: { audit: true } } as const;

test.each([
  ['tables', 23],
  ['tables', 1e9],
  ['roots', 0],
  ['flood', 1],
  ['flood', 2.5],
] as const)('%s %d is refused, and takes no frame', (name, value) => {
  const { hypervisor, add } = nestedWorld();
  const free = hypervisor.frames.free;
  expect(() => add(kernel('hello'), { paging: 'shadow', shadow: { [name]: value } })).toThrow(`shadow.${name}`);
  expect(hypervisor.frames.free).toBe(free);
});

test('a VM of each kind side by side', () => {
  const { hypervisor, add, result } = nestedWorld({ memory: 40 * MIB, slice: 997 });
  const vms = (['nested', 'shadow', 'nested', 'shadow'] as const).map((paging) =>
    add(kernel('pages'), { ...WORKS, paging }),
  );
  hypervisor.run();
  const bare = runBare(kernel('pages'), WORKS);
  for (const vm of vms) expect(result(vm)).toEqual(bare);
});

describe('a state is saved with one kind of paging and goes on with another', () => {
  const kinds = ['nested', 'shadow'] as const;
  const pairs = kinds.flatMap((from) => kinds.map((to) => [from, to] as const));
  const cases = pairs.flatMap(([from, to]) => [
    [from, to, 'faults', [1_000, 20_011, 120_000, 240_001]] as const,
    [from, to, 'pae', [5_000, 30_011, 100_000, 180_001]] as const,
  ]);
  test.each(cases)('%s, then %s: %s', (from, to, name, times) => {
    const image = kernel(name);
    const memory = 14 * MIB;
    const bare = runBare(image, { memory });
    for (const at of times) {
      const first = nestedWorld();
      const vm = first.add(image, { memory, paging: from });
      first.hypervisor.run({ maxInstructions: at });
      const state = first.hypervisor.save(vm);
      const second = nestedWorld({ seed: 9 });
      const other = second.add(kernel('hello'), { memory, paging: to });
      second.hypervisor.run({ maxInstructions: 100 });
      const before = second.result(other).output;
      second.hypervisor.restore(other, JSON.parse(JSON.stringify(state)));
      second.hypervisor.run();
      const { output, end, instructions } = second.result(other);
      expect([first.result(vm).output + output.slice(before.length), end, instructions]).toEqual([
        bare.output,
        bare.end,
        bare.instructions,
      ]);
    }
  });
});

test('kernels run on a processor without EPT, VPID and unrestricted guest', () => {
  const options = { processor: firstVmxModel };
  const run = runNested(kernel('pages'), { ...WORKS, paging: 'shadow' }, options);
  expect(run).toEqual(runBare(kernel('pages'), WORKS));
  expect(run.output).toBe(guestFile('pages/expected.txt'));
  expect(() => runNested(kernel('hello'), WORKS, options)).toThrow('ENABLE_EPT');
});

const counts = (name: string, shadow: ShadowOptions = {}) => {
  const { hypervisor, add } = nestedWorld();
  const vm = add(pagingProgram(PROGRAMS[name]), { memory: 8 * MIB, paging: 'shadow', shadow });
  hypervisor.run();
  const stats = vm.shadow?.stats;
  if (stats === undefined) throw new Error('no pager');
  return stats;
};

describe('what an optimisation saves', () => {
  const name = 'a table becomes data and a table again';
  test('tables out of step are written without exits', () => {
    expect(counts(name).tableWrites).toBeLessThan(20);
    expect(counts(name, { unsync: false, flood: 0 }).tableWrites).toBeGreaterThan(2000);
  });
  test('a table that is written as data is recognised', () => {
    const stats = counts(name, { unsync: false });
    expect(stats.tableWrites).toBeLessThan(50);
    expect(stats.zaps).toBeGreaterThan(3);
  });
  test('emulation replaces steps', () => {
    expect(counts(name, { unsync: false, flood: 0 }).steps).toBe(0);
    expect(counts(name, { unsync: false, flood: 0, emulate: false }).steps).toBeGreaterThan(2000);
  });
  test('roots are found again', () => {
    const many = counts('global pages');
    const few = counts('global pages', { roots: 1 });
    expect(many.rootMisses).toBeLessThan(few.rootMisses);
    expect(many.hiddenFaults).toBeLessThan(few.hiddenFaults);
  });
  test('a bound on the tables is kept', () => {
    const stats = counts('CR3 with the same value, and with many', { tables: 24 });
    expect(stats.evictions).toBeGreaterThan(0);
  });
});

describe('large pages of the guest', () => {
  const fills = (largePages: boolean) => {
    const { hypervisor, add } = nestedWorld();
    const image = paeProgram(PAE_PROGRAMS['pages of 2 MiB']);
    const vm = add(image, { memory: 8 * MIB, paging: 'shadow', largePages });
    hypervisor.run();
    return vm.shadow?.stats.largeFills;
  };
  test('stay large where the host’s frames allow it', () => expect(fills(true)).toBeGreaterThan(0));
  test('are split where they do not', () => expect(fills(false)).toBe(0));
  test('are mapped by one fault for 2 MiB', () => {
    const hidden = (largePages: boolean) => {
      const { hypervisor, add, result } = nestedWorld();
      const vm = add(kernel('pae'), { memory: 16 * MIB, paging: 'shadow', largePages });
      hypervisor.run();
      expect(result(vm)).toEqual(runBare(kernel('pae')));
      return vm.shadow?.stats.hiddenFaults ?? 0;
    };
    expect(hidden(true)).toBeLessThan(hidden(false));
  });
});

test('page faults of the guest’s own need not exit', () => {
  const faults = (bypass: boolean) => {
    const { hypervisor, add } = nestedWorld();
    const image = paeProgram(PAE_PROGRAMS['many pages are not there, and then they are']);
    const vm = add(image, { memory: 8 * MIB, paging: 'shadow', shadow: { bypass, unsync: false } });
    hypervisor.run();
    return vm.shadow?.stats.trueFaults;
  };
  expect(faults(false)).toBe(19); // each of 16 pages once, and three that stay away
  expect(faults(true)).toBe(2); // one tells of the directory, when there is no page table yet, and one of the table
});

test('without paging a guest meets each page once', () => {
  const { hypervisor, add } = nestedWorld();
  const vm = add(kernel('hello'), { memory: 8 * MIB, paging: 'shadow' });
  hypervisor.run();
  expect(vm.shadow?.stats).toMatchObject({ trueFaults: 0, hiddenFaults: 1, flushes: 1 });
});
