/** The walker against the reference model: every outcome, every flag written, every reference counted. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CR4_PGE, CR4_PSE } from '../../src/base/registers.ts';
import { runs } from '../effort.ts';
import { type EptFeatures, type MemoryAccess, type PagingRegime, ReferenceMmu } from '../models/paging.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine } from './machine.ts';

// frames: 1 page directory, 2 to 4 page tables, 8 to 31 data; 32 PML4, 33 PDPT, 34 PD, 35 and 36 EPT page tables
const PML4 = 32;

const flags = fc
  .record({
    present: often(),
    write: often(),
    user: often(),
    rest: fc.constantFrom(0, 0, 0x20, 0x60, 0x18, 0x100, 0x120),
  })
  .map((f) => (f.present ? 1 : 0) | (f.write ? 2 : 0) | (f.user ? 4 : 0) | f.rest);

function often(): fc.Arbitrary<boolean> {
  return fc.integer({ min: 0, max: 7 }).map((n) => n !== 0);
}

const pde = (wild: boolean) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom(2, 3, 4), flags).map(([f, low]) => (f << 12) | low) },
    { weight: 2, arbitrary: fc.tuple(fc.constantFrom(0, 1), flags).map(([f, low]) => (f << 22) | low | 0x80) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(0x1ff), flags).map(([f, low]) => (f << 13) | low | 0x80) },
    { weight: wild ? 1 : 0, arbitrary: fc.integer() },
  );
const pte = (wild: boolean) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.integer({ min: 8, max: 31 }), flags).map(([f, low]) => (f << 12) | low) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom(0x3ff, 0x400, 0xf_ffff), flags).map(([f, low]) => (f << 12) | low),
    },
    { weight: wild ? 1 : 0, arbitrary: fc.integer() },
  );
/** Low word of an EPT entry: mostly RWX, write-back. */
const eptLow = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0x37) },
  { weight: 3, arbitrary: fc.constantFrom(0x31, 0x33, 0x35, 0x30) },
  { weight: 1, arbitrary: fc.nat(0xfff) },
  { weight: 1, arbitrary: fc.constantFrom(0x34, 0x137, 0x337, 0x237) },
);
const eptTableLow = fc.oneof(
  { weight: 15, arbitrary: fc.constant(7) },
  { weight: 2, arbitrary: fc.constantFrom(1, 3, 5, 0, 0x87, 4, 0x107, 0x307) },
  { weight: 1, arbitrary: fc.nat(0xfff) },
);
const eptHigh = fc.oneof(
  { weight: 30, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.constantFrom(1, 0xf, 0x10, 0x8_0000, 0x8000_0000) },
);

type Word = readonly [at: number, value: number];

/** Index 1023 of a table wraps the address space and the table. */
const DIRECTORY = [0, 1, 2, 3, 511, 1023] as const;
const TABLE = [0, 1, 2, 1023] as const;

const guestTables = (wild: boolean): fc.Arbitrary<Word[]> => {
  const words: fc.Arbitrary<Word>[] = DIRECTORY.map((i) => pde(wild).map((v) => [0x1000 + 4 * i, v] as const));
  for (const frame of [2, 3, 4])
    for (const i of TABLE) words.push(pte(wild).map((v) => [frame * 4096 + 4 * i, v] as const));
  return fc.tuple(...words);
};
const entry64 = (table: number, index: number, frame: fc.Arbitrary<number>, low: fc.Arbitrary<number>) =>
  fc.tuple(frame, low, eptHigh).map(([f, l, h]): Word[] => [
    [table * 4096 + index * 8, (f << 12) | l],
    [table * 4096 + index * 8 + 4, h],
  ]);
const eptTables = (wild: boolean): fc.Arbitrary<Word[]> => {
  const words: fc.Arbitrary<Word[]>[] = [entry64(PML4, 0, fc.constant(33), eptTableLow)];
  for (const i of [0, 1, 2, 3])
    words.push(
      fc.oneof(
        { weight: 12, arbitrary: entry64(33, i, fc.constant(34), eptTableLow) },
        // pages of 1 GiB, where they are offered and aligned
        {
          weight: 1,
          arbitrary: entry64(
            33,
            i,
            fc.constantFrom(0, 0, 1 << 18, 512),
            eptLow.map((l) => l | 0x80),
          ),
        },
      ),
    );
  for (const i of [0, 1, 2, 511])
    words.push(
      fc.oneof(
        { weight: 5, arbitrary: entry64(34, i, fc.constant(35 + (i & 1)), eptTableLow) },
        {
          weight: 1,
          arbitrary: entry64(
            34,
            i,
            fc.constantFrom(0, 512),
            eptLow.map((l) => l | 0x80),
          ),
        },
        { weight: 1, arbitrary: entry64(34, i, fc.constantFrom(0, 8, 512), fc.nat(0xfff)) },
      ),
    );
  for (let i = 0; i < 40; i++) {
    const same = { weight: 8, arbitrary: fc.constant(i) };
    const other = { weight: 1, arbitrary: wild ? fc.nat(1024) : fc.integer({ min: 8, max: 31 }) };
    words.push(entry64(35, i, i >= 32 && !wild ? fc.constant(8) : fc.oneof(same, other), eptLow));
  }
  for (const i of [0, 511]) words.push(entry64(36, i, fc.integer({ min: 8, max: 31 }), eptLow));
  return fc.tuple(...words).map((w) => w.flat());
};

const regimes = fc.record({
  paging: fc.integer({ min: 0, max: 9 }).map((n) => n !== 0),
  writeProtect: fc.boolean(),
  pageSizeExtensions: fc.boolean(),
  cr3: fc.constantFrom(0x1000, 0x1018, 0x1fff),
  ept: fc.boolean(),
  eptFlags: fc.boolean(),
});
const accesses = fc.record({
  linear: fc
    .tuple(fc.constantFrom(...DIRECTORY), fc.constantFrom(...TABLE), fc.constantFrom(0, 4, 0xfff))
    .map(([d, t, o]) => ((d << 22) | (t << 12) | o) >>> 0),
  kind: fc.constantFrom('read' as const, 'write' as const, 'fetch' as const),
  user: fc.boolean(),
});

function perform(m: TestMachine, a: MemoryAccess): number {
  setCpl(m, a.user ? 3 : 0);
  return a.kind === 'fetch'
    ? m.mmu.fetchPage(a.linear)
    : a.kind === 'read'
      ? m.mmu.ramForRead(a.linear)
      : m.mmu.ramForWrite(a.linear);
}

function forgetAll({ mmu }: TestMachine): void {
  mmu.invvpid(1, mmu.vpid, 0);
  mmu.invept(2, 0, 0);
}

/** Plays accesses on both and compares outcomes and memory after each. */
function compare(
  m: TestMachine,
  words: readonly Word[],
  r: PagingRegime & { ept: boolean; eptFlags: boolean },
  list: readonly MemoryAccess[],
  fresh: boolean,
  features?: EptFeatures,
): void {
  m.memory.u8.fill(0);
  for (const [at, value] of words) m.memory.write32(at, value);
  const reference = new ReferenceMmu(m.memory.u8.slice(), features);
  const eptp = PML4 * 4096 + (r.eptFlags ? 0x5e : 0x1e);
  const regime = { ...r, eptp: r.ept ? BigInt(eptp) : null };
  const dirtied: number[] = [];
  m.mmu.dirtyLog = (page) => dirtied.push(page) > 0;
  m.mmu.eptEnabled = r.ept;
  m.mmu.eptpLow = eptp;
  m.mmu.eptPointerChanged();
  setRegime(m, { ...r, cr4: (r.pageSizeExtensions ? CR4_PSE : 0) | CR4_PGE });
  forgetAll(m);
  for (const a of list) {
    if (fresh) forgetAll(m);
    const references = m.mmu.counts.walkReferences - reference.references;
    const was = reference.access(regime, a);
    const want = was.kind === 'translated' && was.physical >= m.memory.bytes ? { ...was, physical: -1 } : was;
    expect(outcomeOf(m, () => perform(m, a))).toEqual(want);
    expect(Buffer.compare(m.memory.u8, reference.ram)).toBe(0);
    expect(dirtied).toEqual(reference.dirtied);
    if (fresh) expect(m.mmu.counts.walkReferences - reference.references).toBe(references);
    if (was.kind === 'page fault') expect(m.signal.linear).toBe(a.linear);
  }
}

const FEATURES: readonly (readonly [string, EptFeatures])[] = [
  ['a processor with the first EPT', { executeOnly: false, pages1G: false, advanced: false }],
  ['one with everything', { executeOnly: true, pages1G: true, advanced: true }],
];

test.each(FEATURES)(
  'every walk ends as the manual says, with the flags it says and no other write: %s',
  (_, features) => {
    const { executeOnly, pages1G, advanced: advancedInformation } = features;
    const m = machine(1 << 22, { ept: { physicalAddressBits: 36, executeOnly, pages1G, advancedInformation } });
    const tables = fc.tuple(guestTables(true), eptTables(true)).map(([a, b]) => [...a, ...b]);
    fc.assert(
      fc.property(tables, regimes, fc.array(accesses, { minLength: 1, maxLength: 12, size: 'max' }), (words, r, list) =>
        compare(m, words, { ...r, eptp: null }, list, true, features),
      ),
      { numRuns: runs(500) },
    );
    const { counts } = m.mmu; // the tables are such that all of it happens
    for (const n of [counts.pageFaults, counts.eptViolations, counts.eptMisconfigurations, counts.accessedDirtyUpdates])
      expect(n).toBeGreaterThan(100);
  },
);

test.each(['unlimited', 'modelled'] as const)(
  'with a cache (%s) nothing differs while nobody edits the tables',
  (kind) => {
    const m = machine(1 << 22, { cache: kind === 'modelled' ? { kind, entries: 3, seed: 7 } : { kind } });
    const tables = fc.tuple(guestTables(false), eptTables(false)).map(([a, b]) => [...a, ...b]);
    fc.assert(
      fc.property(tables, regimes, fc.array(accesses, { minLength: 1, maxLength: 40, size: 'max' }), (words, r, list) =>
        compare(m, words, { ...r, eptp: null }, list, false),
      ),
      { numRuns: runs(500) },
    );
  },
);
