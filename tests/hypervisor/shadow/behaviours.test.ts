/** What guests do that breaks simple shadow pagers, with every optimisation and without, each entry recounted after each exit. */
import { describe, expect, test } from 'vitest';
import { firstVmxModel } from '../../../src/cpu/model.ts';
import type { ShadowOptions } from '../../../src/hypervisor/shadow/options.ts';
import { type Run, runBare, runNested } from '../../guests/runs.ts';
import { PAE_PROGRAMS } from './pae-programs.ts';
import { PROGRAMS, paeProgram, pagingProgram } from './programs.ts';

const VARIANTS: readonly (readonly [string, ShadowOptions])[] = [
  ['everything', {}],
  ['no table out of step', { unsync: false }],
  ['nothing emulated', { emulate: false }],
  ['neither', { unsync: false, emulate: false, flood: 0 }],
  ['no prefetching, tables soon given up', { prefetch: false, flood: 2, unsync: false }],
  ['one root', { roots: 1 }],
  ['few tables', { tables: 24 }],
  ['every page fault exits', { bypass: false }],
];

const images = new Map([
  ...Object.entries(PROGRAMS).map(([name, source]) => [name, pagingProgram(source)] as const),
  ...Object.entries(PAE_PROGRAMS).map(([name, source]) => [`PAE: ${name}`, paeProgram(source)] as const),
]);
const bare = new Map<string, Run>();
const LIMIT = 300_000;
const expected = (name: string): Run => {
  const known = bare.get(name) ?? runBare(images.get(name) as Uint8Array, { maxInstructions: LIMIT });
  bare.set(name, known);
  return known;
};

describe.each(VARIANTS)('%s', (_name, options) => {
  test.each([...images])('%s', (name, image) => {
    const shadow = { ...options, audit: true };
    expect(runNested(image, { paging: 'shadow', shadow, maxInstructions: LIMIT })).toEqual(expected(name));
  });
});

describe('the host’s frames lie side by side', () => {
  test.each([...images])('%s', (name, image) => {
    const options = { paging: 'shadow', largePages: true, maxInstructions: LIMIT } as const;
    expect(runNested(image, { ...options, shadow: { audit: true } })).toEqual(expected(name));
  });
});

describe('every translation lives as long as it may', () => {
  test.each([...images])('%s', (name, image) => {
    const translationCache = { kind: 'stalest' } as const;
    const options = { translationCache, maxInstructions: LIMIT };
    expect(runBare(image, options)).toEqual(expected(name));
    expect(runNested(image, options)).toEqual(expected(name));
    expect(runNested(image, { ...options, paging: 'shadow', shadow: { audit: true } })).toEqual(expected(name));
  });
});

describe('on a processor without EPT, VPID and unrestricted guest', () => {
  // nor has it SMEP and SMAP
  test.each([...images].filter(([name]) => !/SMEP|SMAP/.test(name)))('%s', (name, image) => {
    const options = { paging: 'shadow', maxInstructions: LIMIT, shadow: { audit: true } } as const;
    expect(runNested(image, options, { processor: firstVmxModel })).toEqual(expected(name));
  });
});

test('the programs come to their ends', () => {
  const others = [...images.keys()].filter((name) => expected(name).end !== 'power-off');
  expect(others).toEqual(['CR3 where there is no memory']);
});
