import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { CONTEXT, CR2, CR4_PGE } from '../../src/base/registers.ts';
import { SIGNAL_EXCEPTION } from '../../src/base/signal.ts';
import type { PageWalkStep } from '../../src/mmu/observer.ts';
import { PAGE_CODE } from '../../src/mmu/physical-memory.ts';
import { runs } from '../effort.ts';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine, writeEpt } from './machine.ts';

/** Pages 5, 6, 7 at frames 9, 8, 7 (not in order); 8 read-only, 9 supervisor, 10 not present, 11 beyond RAM. */
function paged(): TestMachine {
  const m = machine();
  m.memory.write32(0x1000, 0x2007);
  const entries = [0x9007, 0x8007, 0x7007, 0xa005, 0xb003, 0, 0x80_0007];
  entries.forEach((e, k) => {
    m.memory.write32(0x2000 + 4 * (5 + k), e);
  });
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: 0 });
  return m;
}

test('with paging off a linear address is the physical one', () => {
  const { memory, S, mmu } = machine();
  mmu.write32(0x1234, 0x89ab_cdef);
  expect(memory.read32(0x1234)).toBe(0x89ab_cdef | 0);
  expect(mmu.T[S[CONTEXT] + 1]).toBe(0);
  expect(mmu.read32(0x8000_0000)).toBe(-1);
  expect(mmu.counts.walks).toBe(0);
});

test('accesses of every size and alignment agree with bytes, over page ends too', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom(8, 16, 32),
          fc.oneof(fc.integer({ min: 0x5000, max: 0x7ffc }), fc.constantFrom(0x5ffd, 0x5ffe, 0x5fff, 0x6ffd, 0x6fff)),
          fc.integer(),
          fc.boolean(),
        ),
      ),
      (writes) => {
        const { mmu, memory } = paged();
        const bytes = new Uint8Array(0x8000);
        for (const [size, at, value, system] of writes) {
          if (size === 8) system ? mmu.writeSystem8(at, value) : mmu.write8(at, value);
          else if (size === 16) system ? mmu.writeSystem16(at, value) : mmu.write16(at, value);
          else system ? mmu.writeSystem32(at, value) : mmu.write32(at, value);
          for (let k = 0; k < size / 8; k++) bytes[at + k] = value >> (8 * k);
          let want = 0;
          for (let k = size / 8 - 1; k >= 0; k--) want = want * 256 + bytes[at + k];
          const reads =
            size === 8
              ? [mmu.read8(at), mmu.readForWrite8(at), mmu.readSystem8(at)]
              : size === 16
                ? [mmu.read16(at), mmu.readForWrite16(at), mmu.readSystem16(at)]
                : [mmu.read32(at), mmu.readForWrite32(at), mmu.readSystem32(at)];
          expect(reads.map((v) => v >>> 0)).toEqual([want, want, want]);
        }
        for (let p = 5; p < 8; p++)
          expect(Buffer.compare(memory.readBytes((14 - p) << 12, 4096), bytes.slice(p << 12, (p + 1) << 12))).toBe(0);
      },
    ),
    { numRuns: runs(30) },
  );
});

describe('a write over a page end', () => {
  test('writes nothing when the second page refuses', () => {
    const m = paged();
    setCpl(m, 0);
    m.mmu.write32(0x7ffc, 0x1111_1111);
    const outcome = outcomeOf(m, () => m.mmu.write32(0x7ffe, 0x2222_2222));
    expect(outcome).toEqual({ kind: 'page fault', errorCode: 3 });
    expect(m.signal.linear).toBe(0x8000);
    expect(m.mmu.read32(0x7ffc)).toBe(0x1111_1111);
  });

  test('reports the first page first', () => {
    const m = paged();
    outcomeOf(m, () => m.mmu.read32(0xafff));
    expect(m.signal.linear).toBe(0xafff);
  });
});

test('a page fault leaves CR2 to the processor and says why it happened', () => {
  const m = paged();
  setCpl(m, 3);
  expect(outcomeOf(m, () => m.mmu.read8(0x9001))).toEqual({ kind: 'page fault', errorCode: 5 });
  expect(m.signal).toMatchObject({ kind: SIGNAL_EXCEPTION, linear: 0x9001, because: 'the page is a supervisor page' });
  expect(m.S[CR2]).toBe(0);
});

test('implicit supervisor accesses at CPL 3 reach supervisor pages and give the user none', () => {
  const m = paged();
  setCpl(m, 3);
  const base = m.S[CONTEXT];
  m.mmu.writeSystem32(0x9000, 77);
  expect(m.mmu.readSystem32(0x9000)).toBe(77);
  expect(m.S[CONTEXT]).toBe(base);
  expect(m.mmu.T[base + 9]).toBe(1);
  expect(outcomeOf(m, () => m.mmu.read32(0x9000)).kind).toBe('page fault');
  expect(outcomeOf(m, () => m.mmu.readSystem32(0xa000))).toEqual({ kind: 'page fault', errorCode: 0 });
});

test('a probe checks for the class it is told and sets the dirty flag, but writes nothing', () => {
  const m = paged();
  setCpl(m, 3);
  m.mmu.probeWrite(0x5ffc, 8, true);
  m.mmu.probeWrite(0x9000, 4096, false);
  expect([5, 6, 9].map((p) => m.memory.read32(0x2000 + 4 * p) & 0x60)).toEqual([0x60, 0x60, 0x60]);
  expect(outcomeOf(m, () => m.mmu.probeWrite(0x9000, 1, true))).toEqual({ kind: 'page fault', errorCode: 7 });
  expect(outcomeOf(m, () => m.mmu.probeWrite(0x7fff, 2, true))).toEqual({ kind: 'page fault', errorCode: 7 });
  m.mmu.probeWrite(0x7ffe, 2, true);
});

test('addresses wrap at 4 GiB', () => {
  const m = machine();
  m.memory.write32(0x1000, 0x2007);
  m.memory.write32(0x1ffc, 0x2007);
  m.memory.write32(0x2000, 0x8007);
  m.memory.write32(0x2ffc, 0x9007);
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: 0 });
  m.mmu.write32(0xffff_fffe, 0x4433_2211);
  m.mmu.probeWrite(-2, 4, false);
  expect(m.mmu.read32(-2)).toBe(0x4433_2211);
  expect([m.memory.read16(0x9ffe), m.memory.read16(0x8000)]).toEqual([0x2211, 0x4433]);
});

test('addresses beyond RAM reach the bus, misaligned ones once', () => {
  const m = paged();
  const log: string[] = [];
  m.memory.map({
    start: 0x80_0000,
    length: 4096,
    read: (offset, size) => log.push(`read ${offset} ${size}`),
    write: (offset, size, value) => log.push(`write ${offset} ${size} ${value}`),
  });
  m.mmu.read32(0xb004);
  m.mmu.write16(0xb001, 5);
  m.mmu.read8(0xbfff);
  expect(log).toEqual(['read 4 4', 'write 1 2 5', 'read 4095 1']);
  expect([m.mmu.ramForRead(0xb000), m.mmu.ramForWrite(0xb000), m.mmu.fetchPage(0xb000)]).toEqual([-1, -1, -1]);
  expect(m.mmu.counts.tlbMisses).toBe(1);
});

test('a walk that sets a flag in a frame with code announces the write', () => {
  const m = paged();
  const frames: number[] = [];
  m.memory.onCodeWrite = (at, length) => {
    frames.push(at, length);
    m.memory.clearPageFlag(at >>> 12, PAGE_CODE);
  };
  m.memory.setPageFlag(2, PAGE_CODE);
  m.mmu.read8(0x5000);
  expect(frames).toEqual([0x2014, 4]);
});

test('an observer sees every entry of a two-dimensional walk, in order', () => {
  const steps: PageWalkStep[] = [];
  const m = machine(1 << 22, { observer: { onPageWalkStep: (s) => steps.push(s) } });
  writeEpt(m, 0x40, 0, 0x41, 7);
  writeEpt(m, 0x41, 0, 0x42, 7);
  writeEpt(m, 0x42, 0, 0x43, 7);
  for (let f = 0; f < 16; f++) writeEpt(m, 0x43, f, f, 0x37);
  m.memory.write32(0x1000, 0x2067);
  m.memory.write32(0x2014, 0x5067);
  m.mmu.eptEnabled = true;
  m.mmu.eptpLow = 0x4_001e;
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PGE });
  m.mmu.read8(0x5000);
  const guest = steps.map((s) => `${s.format} ${s.level}`);
  const ept = ['EPT 4', 'EPT 3', 'EPT 2', 'EPT 1'];
  expect(guest).toEqual([...ept, 'IA-32 2', ...ept, 'IA-32 1', ...ept]);
  expect(m.mmu.counts).toMatchObject({ walks: 1, walkReferences: 14, tlbMisses: 1 });
});

test('the debugging walk agrees with the processor and changes nothing', () => {
  const m = paged();
  const before = [m.memory.save(), m.mmu.save()];
  const all = [0x5abc, 0x8001, 0x9000, 0xa000, 0x40_0000].map((a) => m.mmu.physicalOf(a, 'write'));
  expect(all.map((r) => (r.ok ? r.hostPhysical : r.why))).toEqual([
    0x9abc,
    'not allowed',
    0xb000,
    'not present',
    'not present',
  ]);
  expect([m.memory.save(), m.mmu.save()]).toEqual(before);
});

test('fewer than three or more than 31 contexts are refused', () => {
  for (const contexts of [0, 2, 32, 3.5]) expect(() => machine(4096, { contexts })).toThrow(InvalidInput);
  expect(() => machine(4096, { cache: { kind: 'modelled', entries: 0 } })).toThrow(InvalidInput);
});
