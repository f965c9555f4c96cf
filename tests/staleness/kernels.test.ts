/** Kernels that forget to throw translations away: they go wrong where a processor may remember, in the way that their output shows,
 *  and are right again with the one instruction (SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches"). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import {
  assembled,
  guestFile,
  kernelWithout,
  MIB,
  type Run,
  type RunOptions,
  runBare,
  runNested,
} from '../guests/runs.ts';

const SOURCE = readFileSync(new URL('remap.asm', import.meta.url), 'utf8');
const SEEDS = Array.from({ length: 16 }, (_, seed) => seed);
const PAGES = 64;

interface Remap {
  readonly flush: 'none' | 'INVLPG' | 'CR3';
  readonly global?: boolean;
  readonly backwards?: boolean;
  readonly events?: number;
}

const images = new Map<string, Uint8Array>();
function remap(options: Remap): Uint8Array {
  const { flush, global = false, backwards = false, events = 0 } = options;
  const defines = {
    FLUSH: ['none', 'INVLPG', 'CR3'].indexOf(flush),
    GLOBAL: Number(global),
    BACKWARDS: Number(backwards),
    EVENTS: events,
  };
  const key = JSON.stringify(defines);
  const image = images.get(key) ?? assembled(SOURCE, defines);
  images.set(key, image);
  return image;
}

const ALL_OLD = `${'o'.repeat(PAGES)}\n`;
const ALL_NEW = `${'n'.repeat(PAGES)}\n`;
const count = (text: string, letter: string): number => text.split(letter).length - 1;

const WAYS: readonly (readonly [string, (image: Uint8Array, options: RunOptions) => Run])[] = [
  ['on the bare machine', runBare],
  ['in a VM', runNested],
];
const FORGETFUL: TranslationCacheOptions = { kind: 'modelled', entries: 16, seed: 5 };

describe.each(WAYS)('page tables that change under 64 pages in use, %s', (_, run) => {
  const seen = (options: Remap, translationCache: TranslationCacheOptions): string =>
    run(remap(options), { memory: 8 * MIB, translationCache }).output;

  test.each<TranslationCacheOptions>([{ kind: 'unlimited' }, { kind: 'stalest' }])(
    'without a flush all of them stay where they were ($kind)',
    (cache) => {
      expect(seen({ flush: 'none' }, cache)).toBe(ALL_OLD);
      expect(seen({ flush: 'none', global: true }, cache)).toBe(ALL_OLD);
    },
  );

  test('a small cache hides most of the mistake', () => {
    const old = count(seen({ flush: 'none' }, FORGETFUL), 'o');
    expect(old).toBeLessThanOrEqual(16);
  });

  test.each<TranslationCacheOptions>([{ kind: 'unlimited' }, { kind: 'stalest' }, FORGETFUL])(
    'with INVLPG for each page, or a reload of CR3, all of them are new ($kind)',
    (cache) => {
      expect(seen({ flush: 'INVLPG' }, cache)).toBe(ALL_NEW);
      expect(seen({ flush: 'INVLPG', global: true }, cache)).toBe(ALL_NEW);
      expect(seen({ flush: 'CR3' }, cache)).toBe(ALL_NEW);
    },
  );

  test('a reload of CR3 does nothing to global pages', () => {
    expect(seen({ flush: 'CR3', global: true }, { kind: 'stalest' })).toBe(ALL_OLD);
    expect(seen({ flush: 'CR3', global: true }, { kind: 'unlimited' })).toBe(ALL_OLD);
  });

  test('with a seed some pages are old, some new; another seed, another choice', () => {
    const outputs = SEEDS.map((seed) => seen({ flush: 'none', events: 1 }, { kind: 'stalest', seed }));
    for (const output of outputs) {
      expect(output).toMatch(/^[on]{64}\n$/);
      expect(Math.abs(count(output, 'o') - PAGES / 2)).toBeLessThan(PAGES / 3);
    }
    expect(new Set(outputs).size).toBe(SEEDS.length);
    expect(new Set(outputs.map((output) => count(output, 'o'))).size).toBeGreaterThan(4); // not the same in another order
    for (let page = 0; page < PAGES; page++) {
      expect(new Set(outputs.map((output) => output[page]))).toEqual(new Set(['o', 'n']));
    }
  });

  test('the same seed makes the same choice, in whatever order the pages are looked at', () => {
    for (const seed of SEEDS.slice(0, 4)) {
      const cache = { kind: 'stalest', seed } as const;
      const events = 1 + (seed % 2);
      const output = seen({ flush: 'none', events }, cache);
      expect(seen({ flush: 'none', events }, cache)).toBe(output);
      expect(seen({ flush: 'none', events, backwards: true }, cache)).toBe(output);
    }
  });

  test('with the flush no seed makes a difference', () => {
    for (const seed of SEEDS.slice(0, 5)) {
      const cache = { kind: 'stalest', seed } as const;
      expect(seen({ flush: 'INVLPG', global: seed % 2 === 0, events: seed % 3 }, cache)).toBe(ALL_NEW);
      expect(seen({ flush: 'CR3', events: seed % 3 }, cache)).toBe(ALL_NEW);
    }
  });
});

/** Lines of the guests that can be left out, with what stands before them. */
const INVLPG_OF_STEP_8 = ['[TABLE_A + 16 * 4], ~(ACCESSED + DIRTY)\n', '        invlpg [edi]\n'] as const;
const INVLPG_AFTER_FAULT = ['        mov [edi + esi * 4], eax\n', '        invlpg [ebx]\n'] as const;
const RELOAD_OF_STEP_8 = ['        mov [DIRECTORY_A], eax\n', '        mov eax, cr3\n        mov cr3, eax\n'] as const;
const RELOAD_OF_CLONE = ["; A's translations still allow writing: drop them\n", '        mov cr3, eax\n'] as const;
const INVEPT_OF_WITHDRAW = [
  'without this the guest might keep what it has\n',
  '        invept eax, [invept_descriptor]\n',
] as const;

/** Lines that differ, as `expected => printed`. */
function differences(expected: string, printed: string): string[] {
  const [a, b] = [expected.split('\n'), printed.split('\n')];
  expect(b.length).toBe(a.length);
  return a.flatMap((line, i) => (line === b[i] ? [] : [`${line.trim()} => ${b[i].trim()}`]));
}

describe.each(WAYS)('pages, %s', (_, run) => {
  const spoilt = (line: readonly [string, string], cache: TranslationCacheOptions): string[] =>
    differences(guestFile('pages/expected.txt'), run(kernelWithout('pages', line), { translationCache: cache }).output);

  test('without the INVLPG of step 8 it does not see the accessed and dirty bits set again', () => {
    expect(spoilt(INVLPG_OF_STEP_8, { kind: 'stalest' })).toEqual([
      'entry: writable accessed => entry: writable',
      'entry: writable accessed dirty => entry: writable',
    ]);
    const outcomes = SEEDS.slice(0, 10).map((seed) => spoilt(INVLPG_OF_STEP_8, { kind: 'stalest', seed }).length);
    expect(new Set(outcomes)).toEqual(new Set([0, 2])); // some processors forgive it
  });

  test('without the reload of CR3 in step 8 the bits of the 4 MiB page stay clear', () => {
    expect(spoilt(RELOAD_OF_STEP_8, { kind: 'stalest' })).toEqual([
      'the 4 MiB page of the kernel: 000000E3 => the 4 MiB page of the kernel: 00000083',
    ]);
  });

  test('without the reload of CR3 in clone, A writes into what B shares', () => {
    const wrong = spoilt(RELOAD_OF_CLONE, { kind: 'stalest' });
    expect(wrong).toContain('value C0000000 => value 0000000A');
    expect(wrong).toContain('faults in all: 29 => faults in all: 28');
  });

  test('the INVLPG after a page fault is not needed: the fault has thrown the translation away', () => {
    expect(spoilt(INVLPG_AFTER_FAULT, { kind: 'stalest' })).toEqual([]);
    for (const seed of SEEDS.slice(0, 2)) expect(spoilt(INVLPG_AFTER_FAULT, { kind: 'stalest', seed })).toEqual([]);
  });
});

describe('vmlaunch without its INVEPT', () => {
  const image = kernelWithout('vmlaunch', INVEPT_OF_WITHDRAW);
  const expected = guestFile('vmlaunch/expected.txt');
  const LOST = '    exit 48, EPT violation, qualification 00000181, address 00008008\n';
  const printed = (translationCache: TranslationCacheOptions): string => runBare(image, { translationCache }).output;

  test('its guest goes on using a page that was withdrawn, and the exit does not come', () => {
    const output = printed({ kind: 'stalest' });
    expect(count(output, LOST)).toBe(count(expected, LOST) - 1);
    expect(output.length).toBeLessThan(expected.length);
  });

  test('a processor that caches nothing guest-physical forgives it: VM entries without VPID flush the rest', () => {
    expect(printed({ kind: 'modelled' })).toBe(expected);
  });

  test('seeds differ in whether it is noticed', () => {
    const outputs = SEEDS.slice(0, 10).map((seed) => printed({ kind: 'stalest', seed }));
    const right = outputs.filter((output) => output === expected).length;
    expect(right).toBeGreaterThan(0);
    expect(right).toBeLessThan(outputs.length);
    expect(SEEDS.slice(0, 2).map((seed) => printed({ kind: 'stalest', seed }))).toEqual(outputs.slice(0, 2));
  });
});
