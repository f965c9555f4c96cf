/** PAE walks against the reference model: every outcome, every flag written, every reference counted; with and without NX, with and without EPT
 *  (SDM Vol. 3, "PAE Paging"). */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CR4_PAE, CR4_PGE, EFER, EFER_NXE, PDPTE } from '../../src/base/registers.ts';
import { runs } from '../effort.ts';
import { type MemoryAccess, ReferenceMmu } from '../models/paging.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine } from './machine.ts';

// frames: 1 and 2 page directories, 3 to 5 page tables, 8 to 31 data; 32 PML4, 33 PDPT, 34 PD, 35 an EPT page table
const PML4 = 32;
const DATA = fc.integer({ min: 8, max: 31 });
const often = fc.nat(7).map((n) => n !== 0);

/** A low word's flags. */
const flags = fc
  .tuple(often, often, often, fc.constantFrom(0, 0, 0x20, 0x60, 0x18, 0x100, 0x120))
  .map(([present, write, user, rest]) => (present ? 1 : 0) | (write ? 2 : 0) | (user ? 4 : 0) | rest);
const high = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(0x8000_0000 | 0) },
  // address bits beyond memory, reserved bits
  { weight: 1, arbitrary: fc.constantFrom(1, 0xf, 0x10, 0x8_0000, 0x10_0000, 0x4000_0000) },
);
type Word = readonly [at: number, value: number];
const entry = (at: number, low: fc.Arbitrary<number>): fc.Arbitrary<Word[]> =>
  fc.tuple(low, high).map(([l, h]): Word[] => [
    [at, l],
    [at + 4, h],
  ]);
const pde = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom(3, 4, 5), flags).map(([f, low]) => (f << 12) | low) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(1), flags).map(([f, low]) => (f << 21) | low | 0x80) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(0x3ff), flags).map(([f, low]) => (f << 13) | low | 0x80) },
  { weight: 1, arbitrary: fc.integer() },
);
const pte = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(DATA, flags).map(([f, low]) => (f << 12) | low) },
  { weight: 1, arbitrary: fc.integer() },
);
const INDICES = [0, 1, 255, 511] as const;
const guestTables: fc.Arbitrary<Word[]> = fc
  .tuple(
    ...[1, 2].flatMap((frame) => INDICES.map((i) => entry(frame * 4096 + 8 * i, pde))),
    ...[3, 4, 5].flatMap((frame) => INDICES.map((i) => entry(frame * 4096 + 8 * i, pte))),
  )
  .map((words) => words.flat());
/** Mostly everything at its own address. */
const eptTables: fc.Arbitrary<Word[]> = fc
  .array(fc.constantFrom(0x37, 0x37, 0x37, 0x37, 0x37, 0x37, 0x31, 0x33, 0x35, 0x30, 0x137, 0x337), {
    minLength: 32,
    maxLength: 32,
  })
  .map((lows): Word[] => [
    [PML4 * 4096, (33 << 12) | 7],
    [33 * 4096, (34 << 12) | 7],
    [34 * 4096, (35 << 12) | 7],
    ...lows.map((low, i): Word => [35 * 4096 + 8 * i, (i << 12) | low]),
  ]);
const pointers = fc.tuple(
  ...[0, 1, 2, 3].map(() =>
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(0x1001, 0x2001, 0x1e19) },
      { weight: 1, arbitrary: fc.constant(0) },
    ),
  ),
);
const regimes = fc.record({
  pointers,
  noExecute: fc.boolean(),
  writeProtect: fc.boolean(),
  ept: fc.boolean(),
  eptFlags: fc.boolean(),
});
const accesses: fc.Arbitrary<MemoryAccess> = fc.record({
  linear: fc
    .tuple(fc.nat(3), fc.constantFrom(...INDICES), fc.constantFrom(...INDICES), fc.constantFrom(0, 4, 0xfff))
    .map(([p, d, t, o]) => ((p << 30) | (d << 21) | (t << 12) | o) >>> 0),
  kind: fc.constantFrom('read' as const, 'write' as const, 'fetch' as const),
  user: fc.boolean(),
});

function perform(m: TestMachine, a: MemoryAccess): number {
  setCpl(m, a.user ? 3 : 0);
  if (a.kind === 'fetch') return m.mmu.fetchPage(a.linear);
  return a.kind === 'read' ? m.mmu.ramForRead(a.linear) : m.mmu.ramForWrite(a.linear);
}

test.each([true, false])('every PAE walk ends as the manual says; the caches empty before each: %s', (fresh) => {
  const m = machine(1 << 22);
  const faults = new Set<number>();
  const forget = (): void => {
    m.mmu.invvpid(1, m.mmu.vpid, 0);
    m.mmu.invept(2, 0, 0);
  };
  fc.assert(
    fc.property(
      fc.tuple(guestTables, eptTables).map(([a, b]) => [...a, ...b]),
      regimes,
      fc.array(accesses, { minLength: 1, maxLength: 12, size: 'max' }),
      (words, r, list) => {
        m.memory.u8.fill(0);
        for (const [at, value] of words) m.memory.write32(at, value);
        const reference = new ReferenceMmu(m.memory.u8.slice());
        const eptp = PML4 * 4096 + (r.eptFlags ? 0x5e : 0x1e);
        m.mmu.eptEnabled = r.ept;
        m.mmu.eptpLow = eptp;
        m.mmu.eptPointerChanged();
        r.pointers.forEach((low, n) => {
          m.S[PDPTE + 2 * n] = low;
          m.S[PDPTE + 2 * n + 1] = 0;
        });
        m.S[EFER] = r.noExecute ? EFER_NXE : 0;
        const common = { paging: true, writeProtect: r.writeProtect, cr3: 0x7000 };
        setRegime(m, { ...common, cr4: 0 });
        setRegime(m, { ...common, cr4: CR4_PAE | CR4_PGE });
        forget();
        const pae = { pointers: r.pointers.map(BigInt), noExecute: r.noExecute };
        const regime = { ...common, pageSizeExtensions: false, eptp: r.ept ? BigInt(eptp) : null, pae };
        for (const a of list) {
          if (fresh) forget();
          const references = m.mmu.counts.walkReferences - reference.references;
          const was = reference.access(regime, a);
          const want = was.kind === 'translated' && was.physical >= m.memory.bytes ? { ...was, physical: -1 } : was;
          expect(outcomeOf(m, () => perform(m, a))).toEqual(want);
          expect(Buffer.compare(m.memory.u8, reference.ram)).toBe(0);
          if (fresh) expect(m.mmu.counts.walkReferences - reference.references).toBe(references);
          if (was.kind === 'page fault') {
            expect(m.signal.linear).toBe(a.linear);
            faults.add(was.errorCode);
          }
        }
      },
    ),
    { numRuns: runs(500) },
  );
  const { counts } = m.mmu; // the tables are such that all of it happens
  expect(counts.eptViolations).toBeGreaterThan(50);
  expect(counts.accessedDirtyUpdates).toBeGreaterThan(100);
  for (const code of [0, 2, 3, 4, 5, 7, 9, 0x10, 0x11, 0x15, 0x19]) expect(faults, String(code)).toContain(code);
});
