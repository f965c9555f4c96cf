import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { CR3, CR4_PGE, CR4_PSE } from '../../src/base/registers.ts';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { runs } from '../effort.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine, writeEpt } from './machine.ts';

const kinds: readonly TranslationCacheOptions[] = [
  { kind: 'unlimited' },
  { kind: 'modelled', entries: 7, seed: 3 },
  { kind: 'stalest', seed: 9 },
];

function build(cache: TranslationCacheOptions, contexts = 3): TestMachine {
  const m = machine(1 << 22, { cache, contexts });
  writeEpt(m, 0x40, 0, 0x41, 7);
  writeEpt(m, 0x41, 0, 0x42, 7);
  writeEpt(m, 0x42, 0, 0x43, 7);
  for (let f = 0; f < 0x40; f++) writeEpt(m, 0x43, f, f, 0x37);
  m.memory.write32(0x1000, 0x2007);
  m.memory.write32(0x1004, 0x87);
  for (let p = 0; p < 16; p++) m.memory.write32(0x2000 + 4 * p, ((p + 16) << 12) | [7, 5, 0x107, 3][p % 4]);
  m.mmu.eptpLow = 0x4_001e;
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PGE | CR4_PSE });
  return m;
}

type Step = readonly [action: string, page: number];
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom('read', 'read', 'write', 'write', 'fetch', 'cpl', 'cr3', 'invlpg', 'vpid', 'ept', 'edit'),
  fc.oneof(fc.nat(15), fc.integer({ min: 1024, max: 1026 })),
);

/** One step; what can be seen of it. */
function play(m: TestMachine, [action, page]: Step): unknown {
  const { mmu, memory, S } = m;
  const a = page << 12;
  const outcome = outcomeOf(m, () => {
    if (action === 'read') return mmu.read32(a);
    if (action === 'write') return mmu.readForWrite32(a);
    if (action === 'fetch') return mmu.fetchPage(a);
    if (action === 'cpl') setCpl(m, page & 3);
    else if (action === 'cr3') {
      S[CR3] = 0x1000;
      mmu.movToCr3();
    } else if (action === 'invlpg') mmu.invlpg(a);
    else if (action === 'edit') memory.write32(0x2000 + 4 * (page & 15), (((page & 7) + 24) << 12) | 0x67);
    else {
      if (action === 'vpid') mmu.vpid = page & 1;
      else mmu.eptEnabled = (page & 1) !== 0;
      mmu.selectContext();
    }
    return 0;
  });
  return { outcome, counts: structuredClone(mmu.counts) };
}

test.each(kinds)('a restored unit goes on exactly as the saved one: %o', (cache) => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80, size: 'max' }),
      fc.array(step, { maxLength: 80, size: 'max' }),
      (before, after) => {
        const m = build(cache);
        for (const s of before) play(m, s);
        const state = JSON.parse(JSON.stringify(m.mmu.save()));
        const other = build(cache, 4);
        play(other, ['read', 3]);
        other.memory.restore(m.memory.save());
        other.S.set(m.S);
        other.mmu.restore(state);
        expect(other.mmu.save()).toEqual(m.mmu.save());
        for (const s of after) expect(play(other, s)).toEqual(play(m, s));
        expect(other.mmu.save()).toEqual(m.mmu.save());
      },
    ),
    { numRuns: runs(15) },
  );
});

/** Every way to spoil one leaf of the state. */
function* corruptions(
  value: unknown,
  path: (string | number)[] = [],
): Generator<[path: (string | number)[], bad: unknown]> {
  if (typeof value === 'object' && value !== null) {
    for (const key of Object.keys(value)) yield* corruptions((value as Record<string, unknown>)[key], [...path, key]);
    yield [path, null];
  } else for (const bad of ['x', -2, 0.5, undefined, 2 ** 60]) yield [path, bad];
}

test('a state with one field spoilt is refused and changes nothing', () => {
  const m = build({ kind: 'modelled', entries: 4, seed: 1 });
  m.mmu.eptEnabled = true;
  m.mmu.selectContext();
  for (const s of [
    ['write', 1],
    ['write', 4],
    ['read', 2],
    ['invlpg', 1],
    ['read', 1024],
  ] as const)
    play(m, s);
  const state = m.mmu.save();
  const target = build({ kind: 'modelled', entries: 4, seed: 1 });
  const untouched = target.mmu.save();
  let tried = 0;
  for (const [path, bad] of corruptions(state)) {
    if (path.length === 0 || (path.at(-1) === 'random' && bad === -2)) continue;
    const spoilt = structuredClone(state) as unknown as Record<string, unknown>;
    let at = spoilt;
    for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
    at[path[path.length - 1]] = bad;
    expect(() => target.mmu.restore(spoilt), `${path.join('.')} = ${String(bad)}`).toThrow(InvalidInput);
    tried++;
  }
  expect(tried).toBeGreaterThan(200);
  expect(target.mmu.save()).toEqual(untouched);
});

test('an entry that is there twice, or missing, is refused', () => {
  const m = build({ kind: 'modelled' });
  for (const p of [0, 4, 8]) play(m, ['write', p]);
  m.mmu.invlpg(0);
  const state = structuredClone(m.mmu.save()) as unknown as { stores: { free: number[]; used: number }[] };
  expect(state.stores[0].free).toEqual([0]);
  for (const free of [[], [0, 0], [1], [3]]) {
    state.stores[0].free = free;
    expect(() => m.mmu.restore(state)).toThrow(InvalidInput);
  }
});
