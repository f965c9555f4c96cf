/** The short walk is the long one: nothing that can be seen tells them apart. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CR3, CR4_PGE, CR4_PSE } from '../../src/base/registers.ts';
import { runs } from '../effort.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine, writeEpt } from './machine.ts';

/** Every combination of P, R/W, U/S, A, D, PS and G, more of those with P and A. */
const low = fc.oneof(
  fc.nat(0x1ff),
  fc.nat(0x1ff).map((bits) => (bits & ~0x80) | 0x21),
);
const tables = fc.record({
  /** Directory entries 0 to 2 and the pages of the first table; entry 2 of the directory leads to a table outside RAM. */
  directory: fc.tuple(low, low),
  pages: fc.array(low, { minLength: 8, maxLength: 8 }),
  ept: fc.array(fc.constantFrom(7, 7, 7, 7, 3, 1, 0), { minLength: 24, maxLength: 24 }),
  pse: fc.boolean(),
  nested: fc.boolean(),
  user: fc.boolean(),
  kind: fc.constantFrom('unlimited' as const, 'modelled' as const),
});
const step = fc.tuple(
  fc.constantFrom('read', 'read', 'write', 'fetch', 'cr3'),
  fc.oneof(fc.nat(7), fc.constantFrom(1024, 2048)),
);

function build(t: typeof tables extends fc.Arbitrary<infer T> ? T : never, observed: boolean): [TestMachine, number[]] {
  const reads: number[] = [];
  const observer = observed ? { onPageWalkStep: () => {} } : undefined;
  const m = machine(1 << 20, { cache: { kind: t.kind }, ...(observer && { observer }) });
  m.memory.map({
    start: 0x20_0000,
    length: 0x1000,
    read: (offset) => {
      reads.push(offset);
      return 0x5047; // accessed is clear: no short walk, but it is known only once it was read
    },
    write: () => {},
  });
  writeEpt(m, 0x40, 0, 0x41, 7);
  writeEpt(m, 0x41, 0, 0x42, 7);
  writeEpt(m, 0x42, 0, 0x43, 7);
  writeEpt(m, 0x42, 1, 0x200, 0xb7);
  t.ept.forEach((rights, f) => {
    writeEpt(m, 0x43, f, f, f === 1 || f === 2 ? 0x37 : 0x30 | rights);
  });
  m.memory.write32(0x1000, 0x2000 | t.directory[0]);
  m.memory.write32(0x1004, 0x3000 | t.directory[1]);
  m.memory.write32(0x1008, 0x20_0067);
  t.pages.forEach((bits, p) => {
    m.memory.write32(0x2000 + 4 * p, ((p + 4) << 12) | bits);
  });
  m.mmu.eptpLow = 0x4_001e;
  m.mmu.eptEnabled = t.nested;
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PGE | (t.pse ? CR4_PSE : 0) });
  if (t.user) setCpl(m, 3);
  return [m, reads];
}

test('outcomes, flags in the tables, reads of devices and counts are those of the long walk', () => {
  fc.assert(
    fc.property(tables, fc.array(step, { maxLength: 40, size: 'max' }), (t, steps) => {
      const [short, shortReads] = build(t, false);
      const [long, longReads] = build(t, true);
      const play = (m: TestMachine, [action, page]: readonly [string, number]): unknown => {
        const a = page << 12;
        return outcomeOf(m, () => {
          if (action === 'read') return m.mmu.ramForRead(a);
          if (action === 'write') return m.mmu.ramForWrite(a);
          if (action === 'fetch') return m.mmu.fetchPage(a);
          m.S[CR3] = 0x1000;
          m.mmu.movToCr3();
          return 0;
        });
      };
      for (const s of steps) {
        expect(play(short, s)).toEqual(play(long, s));
        expect(short.mmu.counts).toEqual(long.mmu.counts);
      }
      expect(shortReads).toEqual(longReads);
      expect(short.memory.readBytes(0, 0x3000)).toEqual(long.memory.readBytes(0, 0x3000));
      expect(short.mmu.save()).toEqual(long.mmu.save());
    }),
    { numRuns: runs(30) },
  );
});
