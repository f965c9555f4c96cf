/** The kernels of guests/, assembled here: the images that nasm makes, and what an independent machine printed, whatever runs them. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { INSTRUCTIONS, MISCHIEF, MISCHIEF_STALEST } from './counts.ts';
import { assembled, guestFile, kernel, mischiefWords, type Run, type RunOptions, runBare, runNested } from './runs.ts';

const CACHES: readonly (readonly [string, TranslationCacheOptions])[] = [
  ['unlimited', { kind: 'unlimited' }],
  ['modelled with 8 entries', { kind: 'modelled', entries: 8, seed: 3 }],
  ['stalest', { kind: 'stalest' }],
  ['stalest with a seed', { kind: 'stalest', seed: 7 }],
];

/** Their runs in VMs, without those that execute VMX: it is hidden from guests. */
const IN_VMS = Object.keys(INSTRUCTIONS).filter((name) => name !== 'vmlaunch' && name !== 'hypervisor');

const placing = (name: string): RunOptions => {
  if (name === 'hypervisor') return { modules: [{ bytes: kernel('second') }] };
  return name === 'realmode' ? { real: true } : {};
};

describe('images', () => {
  const sums = guestFile('SHA256SUMS').trimEnd().split('\n');
  const bench = (name: string): string => guestFile(`../bench/kernels/${name}`);

  test.each(sums.map((line) => line.split(/ +/).reverse()))('%s has the sum of what nasm makes', (file, sum) => {
    const name = file.replace('.bin', '');
    const image = name.startsWith('bench-') ? benchKernel(name.slice(6)) : kernel(name);
    expect(createHash('sha256').update(image).digest('hex')).toBe(sum);
  });

  test('every kernel has a sum, a page about it and an expected output', () => {
    const folders = readdirSync(new URL('../../guests', import.meta.url), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'include' && entry.name !== 'vmx-suite')
      .map((entry) => entry.name);
    expect(folders.sort()).toEqual(Object.keys(INSTRUCTIONS).sort());
    for (const name of folders) {
      expect(sums.filter((line) => line.endsWith(`  ${name}.bin`))).toHaveLength(1);
      expect(guestFile(`${name}/README.md`)).toContain(`# ${name}\n`);
      expect(guestFile(`${name}/expected.txt`)).not.toBe('');
    }
  });

  function benchKernel(name: string): Uint8Array {
    const source = bench(`${name}.asm`).replace('%include "common.inc"', bench('common.inc'));
    return assembled(source);
  }
});

describe.each(CACHES)('translations: %s', (_, translationCache) => {
  const runs = new Map<string, Run>();
  const onBareMachine = (name: string): Run => {
    const run = runs.get(name) ?? runBare(kernel(name), { ...placing(name), translationCache });
    runs.set(name, run);
    return run;
  };

  test.each(Object.keys(INSTRUCTIONS))('%s prints on the bare machine what an independent machine printed', (name) => {
    const run = onBareMachine(name);
    expect(run.output).toBe(guestFile(`${name}/expected.txt`));
    expect(run).toMatchObject({ end: 'power-off', instructions: INSTRUCTIONS[name] });
  });

  test.each(IN_VMS)('%s does in a VM what it does on the bare machine, with every port at the same time', (name) => {
    const run = runNested(kernel(name), { ...placing(name), translationCache });
    expect(run.output).toBe(guestFile(`${name}/expected.txt`));
    expect(run).toEqual(onBareMachine(name));
  });
});

test('in a VM there is no VMX for vmlaunch, and it says so', () => {
  const run = runNested(kernel('vmlaunch'));
  expect(run.end).toBe('power-off');
  expect(run.output).toBe('this processor has no VMX\n');
});

describe('a second kernel under the hypervisor in machine code', () => {
  /** What the hypervisor prints with this kernel as its module, without its own first line. */
  const under = (name: string): string => {
    const run = runBare(kernel('hypervisor'), { modules: [{ bytes: kernel(name) }] });
    expect(run.end).toBe('power-off');
    const [first, ...rest] = run.output.split('\n');
    expect(first).toBe('hypervisor: starting the second kernel');
    return rest.join('\n');
  };

  test.each(['second', 'hello', 'tasks'])('%s prints what it prints under the hypervisor in TypeScript', (name) => {
    expect(under(name)).toBe(runNested(kernel(name)).output);
  });

  test('what cannot be started is refused', () => {
    const { output } = runBare(kernel('hypervisor'), { modules: [{ bytes: kernel('realmode') }] });
    expect(output).toBe('hypervisor: the module is no kernel that could be started\n');
    expect(runBare(kernel('hypervisor')).output).toBe('hypervisor: no kernel was given as a module\n');
  });
});

describe('mischief', () => {
  test('every word is tried', () => expect(Object.keys(MISCHIEF)).toEqual(mischiefWords));

  test.each(mischiefWords)('%s does on the bare machine what an independent machine did', (word) => {
    const [instructions, end = 'power-off'] = MISCHIEF[word];
    const maxInstructions = end === 'limit' ? instructions : 20_000_000;
    const run = runBare(kernel('mischief'), { commandLine: word, maxInstructions });
    expect(run.output).toBe(guestFile(`mischief/expected/${word}.txt`));
    expect(run).toMatchObject({ end, instructions });
  });

  test.each(mischiefWords)('%s does the same in a VM, on a processor that forgets nothing', (word) => {
    const [instructions, end = 'power-off'] = MISCHIEF_STALEST[word];
    const maxInstructions = end === 'limit' ? instructions : 20_000_000;
    const options = { commandLine: word, maxInstructions, translationCache: { kind: 'stalest', seed: 11 } } as const;
    const run = runNested(kernel('mischief'), options);
    expect(run.output).toBe(guestFile(`mischief/expected/${word}.txt`));
    expect(run).toMatchObject({ end, instructions });
  });
});
