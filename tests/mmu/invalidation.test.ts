/** What kills a cached translation, event by event, kept and killed (SDM Vol. 3, "Invalidation of TLBs and Paging-Structure Caches", and
 *  of VMX, "Invalidating Cached Translation Information"). Translations of every kind are cached in several spaces, then every table
 *  is edited; which addresses still lead to the old page after an event is compared with the manual's list, written out here. */
import { describe, expect, test } from 'vitest';
import {
  CR0,
  CR0_PG,
  CR0_WP,
  CR3,
  CR4,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
} from '../../src/base/registers.ts';
import type { TranslationCacheOptions } from '../../src/mmu/policy.ts';
import { machine, outcomeOf, setRegime, type TestMachine, writeEpt } from './machine.ts';

/** Spaces: VPID and EPT root (0 none, A, B). Guest-physical memory: 1 MiB at 0 without EPT, at 1 MiB under A, at 2 MiB under B. */
const SPACES = ['0/-', '0/A', '1/A', '1/B', '2/A'] as const;
const LINEAR = ['page', 'other', 'global', 'structure'] as const;
const GUEST = ['guest page', 'other guest page', 'EPT structure'] as const;
const ROOT: Record<string, number> = { '-': 0, A: 0x300, B: 0x310 };
const BASE: Record<string, number> = { '-': 0, A: 0x100, B: 0x200 };

// linear pages; 0 to 3 MiB under one page-directory entry, 'structure' under the next
const PAGE = 0x10;
const OTHER = 0x11;
const GLOBAL = 0x12;
const TOUCHED = 0x410;
const STRUCTURE = 0x411;
const PROBE = { page: PAGE, other: OTHER, global: GLOBAL, structure: STRUCTURE } as const;
// guest-physical pages, reached with paging off
const GUEST_PROBE = { 'guest page': 0x50, 'other guest page': 0x51, 'EPT structure': 0x211 } as const;

function enter(m: TestMachine, space: string, paging: boolean): void {
  const [vpid, root] = space.split('/');
  m.mmu.vpid = Number(vpid);
  m.mmu.eptEnabled = root !== '-';
  m.mmu.eptpLow = ROOT[root] << 12;
  // as VM entry loads it: no event
  m.S[CR0] = (paging ? CR0_PG : 0) | CR0_WP;
  m.S[CR3] = 0x1000;
  m.S[CR4] = CR4_PGE | CR4_PSE;
  m.mmu.selectContext();
}

/** Writes all tables; `frame` is where pages lead, in guest frames. */
function writeTables(m: TestMachine, frame: number): void {
  for (const base of Object.values(BASE)) {
    const at = (f: number, i: number) => (base + f) * 4096 + i * 4;
    m.memory.write32(at(1, 0), 0x2067);
    m.memory.write32(at(1, 1), frame === OLD ? 0x3067 : 0x4067);
    m.memory.write32(at(2, PAGE), (frame << 12) | 0x67);
    m.memory.write32(at(2, OTHER), ((frame + 1) << 12) | 0x67);
    m.memory.write32(at(2, GLOBAL), ((frame + 2) << 12) | 0x167);
    for (const [table, target] of [
      [3, OLD],
      [4, NEW],
    ]) {
      m.memory.write32(at(table, TOUCHED & 0x3ff), (target << 12) | 0x67);
      m.memory.write32(at(table, STRUCTURE & 0x3ff), (target << 12) | 0x67);
    }
  }
  for (const root of ['A', 'B']) {
    const [top, base] = [ROOT[root], BASE[root]];
    writeEpt(m, top, 0, top + 1, 7);
    writeEpt(m, top + 1, 0, top + 2, 7);
    writeEpt(m, top + 2, 0, top + 3, 7);
    writeEpt(m, top + 2, 1, top + (frame === OLD ? 4 : 5), 7);
    for (let f = 0; f < 0x40; f++) writeEpt(m, top + 3, f, base + f, 0x37);
    for (const f of [0x50, 0x51]) writeEpt(m, top + 3, f, base + frame, 0x37);
    for (const f of [0x10, 0x11]) {
      writeEpt(m, top + 4, f, base + OLD, 0x37);
      writeEpt(m, top + 5, f, base + NEW, 0x37);
    }
  }
}
const OLD = 0x20;
const NEW = 0x30;

/** A machine that has cached everything and whose tables then changed. */
function primed(cache: TranslationCacheOptions, contexts = 3): TestMachine {
  const m = machine(1 << 22, { cache, contexts });
  for (let f = 0; f < m.memory.bytes >>> 12; f++) m.memory.write32(f * 4096 + 0xff0, f & 0xff);
  writeTables(m, OLD);
  for (const space of SPACES) {
    enter(m, space, true);
    for (const page of [PAGE, OTHER, GLOBAL, TOUCHED]) m.mmu.read32(page * 4096 + 0xff0);
  }
  for (const root of ['A', 'B']) {
    enter(m, `0/${root}`, false);
    for (const page of [0x50, 0x51, 0x210]) m.mmu.read32(page * 4096 + 0xff0);
  }
  writeTables(m, NEW);
  return m;
}

/** Names of everything that leads to the new page. */
function killed(m: TestMachine): string[] {
  const fresh: string[] = [];
  for (const space of SPACES) {
    enter(m, space, true);
    for (const item of LINEAR) if (m.mmu.read32(PROBE[item] * 4096 + 0xff0) >= NEW) fresh.push(`${space} ${item}`);
  }
  for (const root of ['A', 'B']) {
    enter(m, `0/${root}`, false);
    for (const item of GUEST)
      if ((m.mmu.read32(GUEST_PROBE[item] * 4096 + 0xff0) & 0xff) >= NEW) fresh.push(`${root} ${item}`);
  }
  return fresh;
}

const of = (spaces: readonly string[], items: readonly string[]): string[] =>
  spaces.flatMap((s) => items.map((i) => `${s} ${i}`));
const NOT_GLOBAL = ['page', 'other', 'structure'];

/** Events happen in space 1/A with paging on. */
const EVENTS: readonly (readonly [name: string, event: (m: TestMachine) => unknown, dies: string[]])[] = [
  ['nothing', () => {}, []],
  ['MOV to CR3', ({ mmu }) => mmu.movToCr3(), of(['1/A', '1/B'], NOT_GLOBAL)],
  ['a change of CR4.PGE', (m) => changeCr4(m, CR4_PSE), of(['1/A', '1/B'], LINEAR)],
  ['a change of CR4.PSE', (m) => changeCr4(m, CR4_PGE), of(['1/A', '1/B'], LINEAR)],
  ['a change of CR4.PAE', (m) => changeCr4(m, CR4_PGE | CR4_PSE | CR4_PAE), of(['1/A', '1/B'], LINEAR)],
  ['setting CR4.SMEP', (m) => changeCr4(m, CR4_PGE | CR4_PSE | CR4_SMEP), of(['1/A', '1/B'], LINEAR)],
  ['clearing CR4.SMEP', clearSmep, []],
  ['a change of CR4.SMAP and CR4.TSD', (m) => changeCr4(m, CR4_PGE | CR4_PSE | CR4_SMAP | CR4_TSD), []],
  ['a change of other bits of CR0', ({ mmu, S }) => mmu.controlRegistersChanged(S[CR0] ^ OTHER_CR0, S[CR4]), []],
  ['EPTP switching', (m) => switchEptp(m, 'B'), []],
  ['EPTP switching to and fro', (m) => [switchEptp(m, 'B'), switchEptp(m, 'A')], []],
  ['setting CR0.PG', ({ mmu, S }) => mmu.controlRegistersChanged(S[CR0] & ~CR0_PG, S[CR4]), of(['1/A', '1/B'], LINEAR)],
  [
    'clearing CR0.PG',
    (m) => setRegime(m, { cr3: 0x1000, paging: false, writeProtect: true, cr4: CR4_PGE | CR4_PSE }),
    of(['1/A', '1/B'], LINEAR),
  ],
  [
    'a change of CR0.WP',
    (m) => setRegime(m, { cr3: 0x1000, paging: true, writeProtect: false, cr4: CR4_PGE | CR4_PSE }),
    [],
  ],
  ['INVLPG', ({ mmu }) => mmu.invlpg(PAGE << 12), of(['1/A', '1/B'], ['page', 'structure'])],
  ['INVLPG of a global page', ({ mmu }) => mmu.invlpg(GLOBAL << 12), of(['1/A', '1/B'], ['global', 'structure'])],
  ['a page fault', ({ mmu }) => mmu.pageFaulted(PAGE << 12), of(['1/A', '1/B'], ['page'])],
  [
    'a page fault elsewhere in the range of a page-directory entry',
    ({ mmu }) => mmu.pageFaulted(0x412 << 12),
    of(['1/A', '1/B'], ['structure']),
  ],
  ['VM entry with VPIDs on', (m) => transition(m, '0/-', '1/A'), []],
  ['VM exit with VPIDs on', (m) => transition(m, '1/A', '0/-'), []],
  ['VM entry or exit with VPIDs off', (m) => transition(m, '0/-', '0/A'), of(['0/-', '0/A'], LINEAR)],
  ['INVVPID type 0', ({ mmu }) => mmu.invvpid(0, 2, PAGE << 12), ['2/A page']],
  ['INVVPID type 1', ({ mmu }) => mmu.invvpid(1, 2, 0), of(['2/A'], LINEAR)],
  ['INVVPID type 2', ({ mmu }) => mmu.invvpid(2, 0, 0), of(['1/A', '1/B', '2/A'], LINEAR)],
  ['INVVPID type 3', ({ mmu }) => mmu.invvpid(3, 2, 0), of(['2/A'], NOT_GLOBAL)],
  [
    'INVEPT type 1',
    ({ mmu }) => mmu.invept(1, ROOT.A << 12, 0),
    [...of(['0/A', '1/A', '2/A'], LINEAR), ...of(['A'], GUEST)],
  ],
  [
    'INVEPT type 2',
    ({ mmu }) => mmu.invept(2, 0, 0),
    [...of(['0/A', '1/A', '1/B', '2/A'], LINEAR), ...of(['A', 'B'], GUEST)],
  ],
  ['a change of EPT pointer and VPID', (m) => enter(m, '2/B', true), []],
];

/** CD, NW, AM, NE, ET, TS, EM, MP. */
const OTHER_CR0 = 0x6004_003e;

/** The flag was set by a VM entry, which is no event; then the guest clears it. */
function clearSmep(m: TestMachine): void {
  m.S[CR4] = CR4_PGE | CR4_PSE | CR4_SMEP;
  m.mmu.selectContext();
  changeCr4(m, CR4_PGE | CR4_PSE);
}

/** VMFUNC 0. */
function switchEptp(m: TestMachine, root: string): void {
  m.mmu.eptpLow = ROOT[root] << 12;
  m.mmu.eptPointerChanged();
}

function changeCr4(m: TestMachine, cr4: number): void {
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4 });
}

/** From one space to another as VM entry goes. */
function transition(m: TestMachine, from: string, to: string): void {
  enter(m, from, true);
  const [vpid, root] = to.split('/');
  m.mmu.vpid = Number(vpid);
  m.mmu.eptEnabled = root !== '-';
  m.mmu.eptpLow = ROOT[root] << 12;
  m.mmu.vmTransition();
}

describe.each(EVENTS)('%s', (_name, event, dies) => {
  test('kills what the manual lists, and nothing else', () => {
    const m = primed({ kind: 'stalest' }, 16);
    enter(m, '1/A', true);
    event(m);
    expect(killed(m).sort()).toEqual([...dies].sort());
  });

  test.each(['unlimited', 'modelled'] as const)('kills at least that in a cache that is %s', (kind) => {
    const m = primed({ kind }, kind === 'modelled' ? 16 : 3);
    enter(m, '1/A', true);
    event(m);
    expect(killed(m)).toEqual(expect.arrayContaining(dies));
  });

  test('with a seed nothing that the manual kills survives', () => {
    for (let seed = 0; seed < 4; seed++) {
      const m = primed({ kind: 'stalest', seed });
      enter(m, '1/A', true);
      event(m);
      expect(killed(m)).toEqual(expect.arrayContaining(dies));
    }
  });
});

test('an EPT violation kills the combined translation of its address and the guest-physical ones of its page', () => {
  const m = primed({ kind: 'stalest' });
  // guest page 0x50 and the linear page that leads to it lose their right to be written
  for (const root of ['A', 'B']) writeEpt(m, ROOT[root] + 3, OLD, BASE[root] + OLD, 0x31);
  enter(m, '1/A', true);
  m.mmu.invept(1, ROOT.A << 12, 0); // caches anew, read-only
  m.mmu.movToCr3();
  m.memory.write32((BASE.A + 2) * 4096 + PAGE * 4, (OLD << 12) | 0x67);
  m.mmu.read32((PAGE << 12) | 0xff0);
  m.mmu.read32((OTHER << 12) | 0xff0);
  writeTables(m, NEW);
  m.memory.write32((BASE.A + 2) * 4096 + OTHER * 4, (OLD << 12) | 0x67);
  const outcome = outcomeOf(m, () => m.mmu.ramForWrite((PAGE << 12) | 0x123));
  expect(outcome).toEqual({ kind: 'EPT violation', guestPhysical: (OLD << 12) | 0x123, qualification: 0x18a });
  expect(m.mmu.read32((PAGE << 12) | 0xff0)).toBe(NEW); // walked anew
  expect(m.mmu.read32((OTHER << 12) | 0xff0) & 0xff).toBe(NEW + 1); // cached
});

test("an EPT violation by an access to a guest's table leaves the combined translation of the linear address", () => {
  const m = machine(1 << 22, { cache: { kind: 'stalest' } });
  writeTables(m, OLD);
  writeEpt(m, ROOT.A + 3, 2, BASE.A + 2, 0x31); // the page table is read-only in EPT
  const entry = (BASE.A + 2) * 4096 + PAGE * 4;
  m.memory.write32(entry, (OLD << 12) | 0x27); // D is clear
  enter(m, '1/A', true);
  const at = (PAGE << 12) | 0x10;
  expect(m.mmu.ramForRead(at)).toBe(((BASE.A + OLD) << 12) | 0x10);
  const violation = { kind: 'EPT violation', guestPhysical: 0x2000 + PAGE * 4, qualification: 0x8b };
  expect(outcomeOf(m, () => m.mmu.ramForWrite(at))).toEqual(violation);
  m.memory.write32(entry, (NEW << 12) | 0x67);
  expect(m.mmu.fetchPage(at)).toBe(((BASE.A + OLD) << 12) | 0x10); // cached
});

test('an EPT misconfiguration kills nothing', () => {
  const m = primed({ kind: 'stalest' });
  writeEpt(m, ROOT.A + 3, 0x52, BASE.A, 0x32); // W without R
  enter(m, '1/A', false);
  expect(outcomeOf(m, () => m.mmu.ramForRead(0x5_2000)).kind).toBe('EPT misconfiguration');
  expect(killed(m)).toEqual([]);
});

test('an EPT violation with paging off kills the guest-physical translation that caused it', () => {
  const m = machine(1 << 22, { cache: { kind: 'stalest' } });
  writeTables(m, OLD);
  writeEpt(m, ROOT.A + 3, 0x50, BASE.A + OLD, 0x31); // read-only
  enter(m, '1/A', false);
  expect(m.mmu.ramForRead(0x5_0000)).toBe((BASE.A + OLD) << 12);
  writeEpt(m, ROOT.A + 3, 0x50, BASE.A + NEW, 0x37);
  const violation = { kind: 'EPT violation', guestPhysical: 0x5_0004, qualification: 0x18a };
  expect(outcomeOf(m, () => m.mmu.ramForWrite(0x5_0004))).toEqual(violation);
  expect(outcomeOf(m, () => m.mmu.ramForWrite(0x5_0004))).toEqual({
    kind: 'translated',
    physical: ((BASE.A + NEW) << 12) | 4,
  });
});

test('without CR4.PGE a page is not global whatever its entry says', () => {
  const m = primed({ kind: 'stalest' });
  writeTables(m, OLD);
  enter(m, '3/-', true);
  changeCr4(m, CR4_PSE);
  m.mmu.read32((GLOBAL << 12) | 0xff0);
  writeTables(m, NEW);
  m.mmu.movToCr3();
  expect(m.mmu.read32((GLOBAL << 12) | 0xff0)).toBe(NEW + 2);
});

test('draws of old or new depend on the seed, and not on the order of accesses', () => {
  const results = Array.from({ length: 16 }, (_, seed) => {
    const forward = primed({ kind: 'stalest', seed });
    enter(forward, '1/A', true);
    const backward = primed({ kind: 'stalest', seed });
    enter(backward, '1/A', true);
    for (const m of [forward, backward]) m.mmu.invvpid(1, 9, 0); // an event that kills nothing here
    const read = (m: TestMachine, p: number) => m.mmu.read32((p << 12) | 0xff0);
    const a = [PAGE, OTHER, GLOBAL].map((p) => read(forward, p));
    const b = [GLOBAL, OTHER, PAGE].map((p) => read(backward, p)).reverse();
    expect(b).toEqual(a);
    for (
      let k = 0;
      k < 4;
      k++ // drawn once an event; a fetch always asks the TLB
    )
      for (const [i, p] of [PAGE, OTHER, GLOBAL].entries())
        expect(forward.memory.read32((forward.mmu.fetchPage(p << 12) >>> 0) + 0xff0)).toBe(a[i]);
    return a.join();
  });
  expect(new Set(results).size).toBeGreaterThan(2);
});

test('INVLPG kills all pieces of a guest page that EPT maps in smaller pages', () => {
  const m = machine(1 << 23, { cache: { kind: 'stalest' } });
  writeEpt(m, 0x300, 0, 0x301, 7);
  writeEpt(m, 0x301, 0, 0x302, 7);
  writeEpt(m, 0x302, 0, 0x303, 7);
  for (let f = 0; f < 512; f++) writeEpt(m, 0x303, f, f, 0x37);
  m.memory.write32(0x1000, 0xe7); // 4 MiB at 0
  m.mmu.eptEnabled = true;
  m.mmu.eptpLow = 0x300_000;
  setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: CR4_PSE });
  m.memory.write32(0x5000, 1);
  m.memory.write32(0x6000, 2);
  expect([m.mmu.read32(0x5000), m.mmu.read32(0x6000)]).toEqual([1, 2]);
  m.memory.write32(0x1000, 0x40_00e7);
  expect([m.mmu.read32(0x5000), m.mmu.read32(0x6000)]).toEqual([1, 2]);
  m.mmu.invlpg(0x10_0000); // some other address of the same large page
  expect(outcomeOf(m, () => m.mmu.read32(0x5000)).kind).toBe('EPT violation');
  expect(outcomeOf(m, () => m.mmu.read32(0x6000)).kind).toBe('EPT violation');
});

test('a cached entry that forbids an access faults once in the stalest cache, and is looked up anew in the others', () => {
  for (const kind of ['stalest', 'unlimited'] as const) {
    const m = machine(1 << 22, { cache: { kind } });
    m.memory.write32(0x1000, 0x2067);
    m.memory.write32(0x2000 + 4 * 5, 0x5065); // read-only
    setRegime(m, { cr3: 0x1000, paging: true, writeProtect: true, cr4: 0 });
    m.mmu.read32(0x5000);
    m.memory.write32(0x2000 + 4 * 5, 0x5067);
    const first = outcomeOf(m, () => m.mmu.ramForWrite(0x5000));
    expect(first).toEqual(
      kind === 'stalest' ? { kind: 'page fault', errorCode: 3 } : { kind: 'translated', physical: 0x5000 },
    );
    expect(outcomeOf(m, () => m.mmu.ramForWrite(0x5000)).kind).toBe('translated');
  }
});
