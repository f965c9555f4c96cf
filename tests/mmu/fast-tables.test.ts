/** The fast tables hold nothing that the TLB does not say. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CONTEXT, CR0, CR0_PG, CR0_WP, CR3, CR4_PGE, CR4_PSE } from '../../src/base/registers.ts';
import { PAGE_CODE, PAGE_LOGGED } from '../../src/mmu/physical-memory.ts';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { runs } from '../effort.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine, writeEpt } from './machine.ts';

const WRITE_HALF = 1 << 20;
const HELD = 3;

/** Checks every usable slot of every context against the store that it was copied from. */
function checkSlots({ memory, mmu }: TestMachine): void {
  const { fast, linear, guestPhysical } = mmu.caches;
  for (const c of fast.contexts) {
    if (c.lastUse < 0) continue;
    for (const half of [0, WRITE_HALF]) {
      const part = mmu.T.subarray(c.base + half, c.base + half + WRITE_HALF);
      for (let page = 0; page < WRITE_HALF; page++) {
        if (part[page] === 1) continue;
        const held = half !== 0 && (part[page] & 0xfff) === HELD;
        if (!held) expect(part[page] & 0xfff).toBe(0);
        const frame = ((part[page] >>> 12) ^ page) >>> 0;
        expect(frame).toBeLessThan(memory.bytes >>> 12);
        if (half !== 0 && !held) expect(memory.pageFlags[frame]).toBe(0);
        if (c.class === 3 && c.eptrta < 0) {
          expect(frame).toBe(page);
          continue;
        }
        const store = c.class === 3 ? guestPhysical : linear;
        const e = store.peek(store.spaces.get(c.class === 3 ? 0 : c.vpid, c.eptrta), page);
        expect(e).toBeGreaterThanOrEqual(0);
        expect(frame).toBe(store.frameOf(e) | (page & ((1 << store.shift(e)) - 1)));
        const flags = store.flagsOf(e);
        if (c.class === 2) expect(flags & 8).toBe(8);
        if (half !== 0 && (c.class === 1 || c.class === 2)) expect(flags & 2).toBe(2);
        if (half !== 0 && c.class !== 3) expect(flags & 0x210).toBe(0x210);
        if (half !== 0 && c.class === 3) expect(flags & 2).toBe(2);
      }
    }
  }
}

const page = fc.oneof(fc.nat(15), fc.integer({ min: 1024, max: 1032 }), fc.constant(0xf_ffff));
const step = fc.oneof(
  { weight: 20, arbitrary: fc.record({ do: fc.constantFrom('read', 'write', 'fetch', 'system'), page }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'cpl',
        'wp',
        'pg',
        'cr3',
        'invlpg',
        'vpid',
        'ept',
        'flag',
        'unflag',
        'invept',
        'invvpid',
        'edit',
        'entry',
      ),
      page,
    }),
  },
);

const kinds: readonly TranslationCacheOptions[] = [
  { kind: 'unlimited' },
  { kind: 'modelled', entries: 5, seed: 3 },
  { kind: 'stalest' },
  { kind: 'stalest', seed: 9 },
];

test.each(kinds)('every usable slot follows from the TLB: %o', (cache) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: 'max' }), (steps) => {
      const m = machine(1 << 23, { cache, contexts: 3 });
      const { memory, mmu, S } = m;
      for (const root of [0x40, 0x50]) {
        writeEpt(m, root, 0, root + 1, 7);
        for (const i of [0, 3]) writeEpt(m, root + 1, i, root + 2, 7);
        writeEpt(m, root + 2, 0, root + 3, 7);
        writeEpt(m, root + 2, 2, 0x400, 0xb7);
        for (let f = 0; f < 0x40; f++) writeEpt(m, root + 3, f, f, f % 5 === 4 && f > 4 ? 0x31 : 0x37);
      }
      memory.write32(0x1000, 0x2007);
      memory.write32(0x1004, 0x87);
      memory.write32(0x1ffc, 0x2007);
      for (let p = 0; p < 16; p++) memory.write32(0x2000 + 4 * p, ((p + 16) << 12) | [7, 5, 3, 0x107, 1, 0x105][p % 6]);
      let regime = { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PGE | CR4_PSE };
      setRegime(m, regime);
      for (const s of steps) {
        const a = (s.page << 12) >>> 0;
        outcomeOf(m, () => {
          switch (s.do) {
            case 'read':
              return mmu.read32(a);
            case 'write':
              mmu.write8(a + 0xffe, 0);
              return 0;
            case 'fetch':
              return mmu.fetchPage(a);
            case 'system':
              return mmu.readSystem32(a);
            case 'cpl':
              setCpl(m, s.page & 3);
              return 0;
            case 'wp':
            case 'pg':
              regime =
                s.do === 'wp'
                  ? { ...regime, writeProtect: !regime.writeProtect }
                  : { ...regime, paging: !regime.paging };
              setRegime(m, regime);
              return 0;
            case 'cr3':
              S[CR3] = 0x1000;
              mmu.movToCr3();
              return 0;
            case 'invlpg':
              mmu.invlpg(a);
              return 0;
            case 'vpid':
              mmu.vpid = s.page & 1;
              mmu.selectContext();
              return 0;
            case 'entry':
              mmu.vpid = 0;
              S[CR0] ^= CR0_WP ^ (s.page & 2 ? CR0_PG : 0);
              mmu.vmTransition();
              return 0;
            case 'ept':
              mmu.eptEnabled = s.page % 3 !== 0;
              mmu.eptpLow = s.page & 1 ? 0x4_0000 : 0x5_0000;
              mmu.selectContext();
              return 0;
            case 'flag':
              memory.setPageFlag(16 + (s.page & 15), PAGE_CODE);
              return 0;
            case 'unflag':
              memory.clearPageFlag(16 + (s.page & 15), PAGE_CODE);
              return 0;
            case 'invept':
              mmu.invept(1 + (s.page & 1), 0x5_0000, 0);
              return 0;
            case 'invvpid':
              mmu.invvpid(s.page & 3, s.page & 4 ? 0 : 1, a);
              return 0;
            default:
              memory.write32(0x2000 + 4 * (s.page & 15), (((s.page & 7) + 24) << 12) | 0x67);
              return 0;
          }
        });
      }
      checkSlots(m);
    }),
    { numRuns: runs(20) },
  );
});

test('a frame that gets a flag loses its write slots in every context, and only those', () => {
  const m = machine();
  m.memory.write32(0x1000, 0x2067);
  m.memory.write32(0x2000 + 4 * 5, 0x8067);
  m.memory.write32(0x2000 + 4 * 6, 0x8167);
  m.memory.write32(0x2000 + 4 * 7, 0x9067);
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PGE });
  const bases: number[] = [];
  for (const cpl of [0, 3]) {
    setCpl(m, cpl);
    bases.push(m.S[CONTEXT]);
    for (const p of [5, 6, 7]) m.mmu.write8(p << 12, 1);
  }
  const slots = (half: number) => bases.map((b) => [5, 6, 7].map((p) => (m.mmu.T[b + half + p] & 0xfff) === 0));
  expect(slots(WRITE_HALF)).toEqual([
    [true, true, true],
    [true, true, true],
  ]);
  m.memory.setPageFlag(8, PAGE_LOGGED);
  expect(slots(WRITE_HALF)).toEqual([
    [false, false, true],
    [false, false, true],
  ]);
  expect(slots(0).flat()).not.toContain(false);
  expect(m.mmu.ramForWrite(0x5000)).toBe(-1);
  m.memory.clearPageFlag(8, PAGE_LOGGED);
  expect(m.mmu.ramForWrite(0x5000)).toBe(0x8000);
});

test('a clean page has no write slot until it is written', () => {
  const m = machine();
  m.memory.write32(0x1000, 0x2007);
  m.memory.write32(0x2000 + 4 * 5, 0x8007);
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: 0 });
  m.mmu.read8(0x5000);
  expect(m.mmu.T[m.S[CONTEXT] + WRITE_HALF + 5]).toBe(1);
  m.mmu.write8(0x5000, 1);
  expect(m.mmu.T[m.S[CONTEXT] + WRITE_HALF + 5]).toBe((5 << 12) ^ 0x8000);
  m.mmu.movToCr3();
  m.mmu.read8(0x5000); // dirty already: a read fills both
  expect(m.mmu.T[m.S[CONTEXT] + WRITE_HALF + 5]).toBe((5 << 12) ^ 0x8000);
});

test('a context stays usable when more pages were touched than its list holds', () => {
  const m = machine(129 << 20);
  const pages = m.memory.bytes >>> 12;
  for (let p = 0; p < pages; p++) m.mmu.write32(p << 12, p);
  const usable = m.mmu.T.subarray(m.S[CONTEXT], m.S[CONTEXT] + WRITE_HALF).filter((e) => e === 0).length;
  expect(usable).toBe(pages - (1 << 15)); // it started again
  for (let p = 0; p < pages; p++) if (m.mmu.read32(p << 12) !== p) throw new Error(`page ${p}`);
});

test('fetchGeneration changes when a page that was fetched from is dropped, and not for others', () => {
  const m = machine();
  m.memory.write32(0x1000, 0x2067);
  for (const p of [5, 6]) m.memory.write32(0x2000 + 4 * p, (p << 12) | 0x67);
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: 0 });
  m.mmu.fetchPage(0x5000);
  m.mmu.read8(0x6000);
  const before = m.mmu.fetchGeneration;
  m.mmu.invlpg(0x6000);
  expect(m.mmu.fetchGeneration).toBe(before);
  m.mmu.invlpg(0x5000);
  const after = m.mmu.fetchGeneration;
  expect(after).not.toBe(before);
  m.memory.write32(0x2000 + 4 * 5, 0x5027);
  m.mmu.fetchPage(0x5000);
  m.mmu.write8(0x5000, 1); // sets D by a walk; the page stays one that was fetched from
  expect(m.mmu.fetchGeneration).toBe(after);
  m.mmu.invlpg(0x5000);
  expect(m.mmu.fetchGeneration).not.toBe(after);
});
