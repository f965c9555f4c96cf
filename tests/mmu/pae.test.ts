/** PAE paging against its reference model: every outcome, every flag written, every reference counted. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER,
  EFER_NXE,
  EFLAGS,
  FLAG_AC,
  PDPTE,
} from '../../src/base/registers.ts';
import { runs } from '../effort.ts';
import { type PaeRegime, ReferencePae } from '../models/pae.ts';
import type { MemoryAccess } from '../models/paging.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine } from './machine.ts';

// frames: 1 and 2 page directories, 3 to 5 page tables, 8 to 31 data
const INDICES = [0, 1, 511] as const;

const often = fc.integer({ min: 0, max: 7 }).map((n) => n !== 0);
/** Low twelve bits of an entry. */
const flags = fc
  .tuple(often, often, often, fc.constantFrom(0, 0, 0x20, 0x60, 0x18, 0x100))
  .map(([p, w, u, rest]) => (p ? 1 : 0) | (w ? 2 : 0) | (u ? 4 : 0) | rest);
const high = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(0x8000_0000) },
  // up to bit 35 they are address bits
  { weight: 2, arbitrary: fc.constantFrom(1, 8, 0x10, 0x4000_0000) },
);
const entry = (low: fc.Arbitrary<number>): fc.Arbitrary<bigint> =>
  fc.tuple(low, high).map(([l, h]) => (BigInt(h) << 32n) | BigInt(l >>> 0));

const pde = fc.oneof(
  { weight: 6, arbitrary: entry(fc.tuple(fc.constantFrom(3, 4, 5), flags).map(([f, low]) => (f << 12) | low)) },
  { weight: 3, arbitrary: entry(fc.tuple(fc.constantFrom(0, 1), flags).map(([f, low]) => (f << 21) | low | 0x80)) },
  // one bit of 20:12 in an entry for 2 MiB; bit 12 is PAT
  {
    weight: 2,
    arbitrary: entry(fc.tuple(fc.integer({ min: 12, max: 20 }), flags).map(([bit, low]) => (1 << bit) | low | 0x80)),
  },
);
const pte = entry(
  fc
    .tuple(fc.constantFrom(8, 9, 31, 0x3ff, 0x400, 0xf_ffff), flags, fc.constantFrom(0, 0, 0x80))
    .map(([f, low, pat]) => (f << 12) | low | pat),
);

const tables = fc
  .tuple(
    ...[1, 2].flatMap((frame) => INDICES.map((i) => pde.map((v) => [frame * 4096 + 8 * i, v] as const))),
    ...[3, 4, 5].flatMap((frame) => INDICES.map((i) => pte.map((v) => [frame * 4096 + 8 * i, v] as const))),
  )
  .map((words) => words as readonly (readonly [number, bigint])[]);

const pdpte = fc.constantFrom(0n, 0x1001n, 0x1001n, 0x2001n, 0x2e19n, 0x1000n, 0x1_0000_1001n);
const regimes: fc.Arbitrary<PaeRegime> = fc.record({
  pdptes: fc.tuple(fc.constant(0x1001n), pdpte, pdpte, fc.constant(0x2001n)),
  nxe: fc.boolean(),
  writeProtect: fc.boolean(),
  smep: fc.boolean(),
  smap: fc.boolean(),
  ac: fc.boolean(),
});
const accesses: fc.Arbitrary<MemoryAccess> = fc.record({
  linear: fc
    .tuple(fc.nat(3), fc.constantFrom(...INDICES), fc.constantFrom(...INDICES), fc.constantFrom(0, 4, 0xfff))
    .map(([p, d, t, o]) => ((p << 30) | (d << 21) | (t << 12) | o) >>> 0),
  kind: fc.constantFrom('read' as const, 'write' as const, 'fetch' as const),
  user: fc.boolean(),
});

function perform(m: TestMachine, { linear, kind, user }: MemoryAccess): number {
  setCpl(m, user ? 3 : 0);
  if (kind === 'fetch') return m.mmu.fetchPage(linear);
  return kind === 'read' ? m.mmu.ramForRead(linear) : m.mmu.ramForWrite(linear);
}

function enter(m: TestMachine, r: PaeRegime): void {
  for (const [n, value] of r.pdptes.entries()) {
    m.S[PDPTE + 2 * n] = Number(BigInt.asIntN(32, value));
    m.S[PDPTE + 2 * n + 1] = Number(value >> 32n);
  }
  m.S[EFER] = r.nxe ? EFER_NXE : 0;
  m.S[EFLAGS] = r.ac ? FLAG_AC : 0;
  // CR4.PSE says nothing here
  const cr4 = CR4_PAE | CR4_PSE | (r.smep ? CR4_SMEP : 0) | (r.smap ? CR4_SMAP : 0);
  setRegime(m, { cr3: 0, paging: true, writeProtect: r.writeProtect, cr4 });
}

const WAYS = [
  ['each for itself', true],
  ['with what is cached', false],
] as const;

test.each(WAYS)('walks through PAE tables end as the manual says, %s', (_, fresh) => {
  const m = machine(1 << 22);
  const ends = new Set<string>();
  fc.assert(
    fc.property(tables, regimes, fc.array(accesses, { minLength: 1, maxLength: 16, size: 'max' }), (words, r, list) => {
      m.memory.u8.fill(0);
      for (const [at, value] of words) {
        m.memory.write32(at, Number(value & 0xffff_ffffn));
        m.memory.write32(at + 4, Number(value >> 32n));
      }
      const reference = new ReferencePae(m.memory.u8.slice());
      enter(m, r);
      m.mmu.invvpid(1, 0, 0);
      for (const a of list) {
        if (fresh) m.mmu.invvpid(1, 0, 0);
        const before = m.mmu.counts.walkReferences - reference.references;
        const was = reference.access(r, a);
        const outside = was.kind === 'translated' && was.physical >= m.memory.bytes;
        expect(outcomeOf(m, () => perform(m, a))).toEqual(outside ? { ...was, physical: -1 } : was);
        expect(Buffer.compare(m.memory.u8, reference.ram)).toBe(0);
        if (fresh) expect(m.mmu.counts.walkReferences - reference.references).toBe(before);
        ends.add(was.kind === 'page fault' ? String(was.errorCode) : outside ? 'outside' : was.kind);
      }
    }),
    { numRuns: runs(400) },
  );
  // absent, refused, reserved, by reads, writes and fetches that are told, of user and supervisor: 18 error codes; and two good ends
  expect(ends.size).toBe(20);
});
