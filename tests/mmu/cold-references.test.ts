/** References of a walk of which nothing is cached, accessed and dirty flags set beforehand: n levels of the guest and m of EPT make nm + n + m, for every combination of
 *  guest paging and EPT page size. The PDPTEs of PAE paging are in registers. */
import { describe, expect, test } from 'vitest';
import { CR4_PAE, CR4_PSE } from '../../src/base/registers.ts';
import { machine, setCpl, setRegime, type TestMachine, writeEpt } from './machine.ts';

const PAGE_FLAGS = 0xe3; // present, writable, accessed, dirty, page size
const TABLE_FLAGS = 0x63;
const LINEAR = 0x8123;

interface Paging {
  readonly n: number;
  readonly cr4: number;
  readonly tables: (m: TestMachine) => void;
}

const entry = (m: TestMachine, frame: number, index: number, bytes: number, value: number): void => {
  m.memory.write32(frame * 4096 + index * bytes, value);
  if (bytes === 8) m.memory.write32(frame * 4096 + index * bytes + 4, 0);
};

/** Tables from frame 1 on; linear and guest-physical addresses are the same. */
const PAGING: Readonly<Record<string, Paging | null>> = {
  'paging off': null,
  '32-bit paging, 4-MiB page': { n: 1, cr4: CR4_PSE, tables: (m) => entry(m, 1, 0, 4, PAGE_FLAGS) },
  '32-bit paging, 4-KiB page': {
    ...{ n: 2, cr4: 0 },
    tables: (m) => {
      entry(m, 1, 0, 4, (2 << 12) | TABLE_FLAGS);
      entry(m, 2, 8, 4, (8 << 12) | TABLE_FLAGS);
    },
  },
  'PAE paging, 2-MiB page': {
    ...{ n: 1, cr4: CR4_PAE },
    tables: (m) => {
      entry(m, 1, 0, 8, (2 << 12) | 1);
      entry(m, 2, 0, 8, PAGE_FLAGS);
    },
  },
  'PAE paging, 4-KiB page': {
    ...{ n: 2, cr4: CR4_PAE },
    tables: (m) => {
      entry(m, 1, 0, 8, (2 << 12) | 1);
      entry(m, 2, 0, 8, (3 << 12) | TABLE_FLAGS);
      entry(m, 3, 8, 8, (8 << 12) | TABLE_FLAGS);
    },
  },
};

const RWX = 7;
const WRITE_BACK = 0x30;
const LARGE = 0x80;
const PML4 = 32;

/** Levels to the leaf; the first 2 MiB are where the guest thinks they are. */
const EPT: Readonly<Record<string, { readonly m: number; readonly tables: (m: TestMachine) => void }>> = {
  'no EPT': { m: 0, tables: () => {} },
  'EPT pages of 4 KiB': {
    m: 4,
    tables: (m) => {
      writeEpt(m, PML4, 0, PML4 + 1, RWX);
      writeEpt(m, PML4 + 1, 0, PML4 + 2, RWX);
      writeEpt(m, PML4 + 2, 0, PML4 + 3, RWX);
      for (let page = 0; page < 512; page++) writeEpt(m, PML4 + 3, page, page, RWX | WRITE_BACK);
    },
  },
  'EPT pages of 2 MiB': {
    m: 3,
    tables: (m) => {
      writeEpt(m, PML4, 0, PML4 + 1, RWX);
      writeEpt(m, PML4 + 1, 0, PML4 + 2, RWX);
      writeEpt(m, PML4 + 2, 0, 0, RWX | WRITE_BACK | LARGE);
    },
  },
  'EPT pages of 1 GiB': {
    m: 2,
    tables: (m) => {
      writeEpt(m, PML4, 0, PML4 + 1, RWX);
      writeEpt(m, PML4 + 1, 0, 0, RWX | WRITE_BACK | LARGE);
    },
  },
};

describe.each(Object.entries(PAGING))('%s', (_, paging) => {
  // watched walks go the long way, others the short one: both count
  test.each(Object.entries(EPT).flatMap(([name, ept]) => [[name, false, ept] as const, [name, true, ept] as const]))(
    '%s, watched: %s',
    (_name, watched, ept) => {
      let seen = 0;
      const m = machine(1 << 22, {
        cache: { kind: 'modelled' },
        ept: { physicalAddressBits: 36, executeOnly: false, pages1G: true },
        ...(watched ? { observer: { onPageWalkStep: () => seen++ } } : {}),
      });
      ept.tables(m);
      paging?.tables(m);
      m.mmu.eptEnabled = ept.m > 0;
      m.mmu.eptpLow = (PML4 << 12) | 0x1e;
      m.mmu.eptPointerChanged();
      setCpl(m, 0);
      setRegime(m, { cr3: 1 << 12, paging: paging !== null, writeProtect: true, cr4: paging?.cr4 ?? 0 });
      if (((paging?.cr4 ?? 0) & CR4_PAE) !== 0) m.mmu.loadPointers(1 << 12);
      const before = m.mmu.counts.walkReferences;
      seen = 0;
      m.mmu.read8(LINEAR);
      const n = paging?.n ?? 0;
      const references = n * ept.m + n + ept.m;
      expect(m.mmu.counts.walkReferences - before).toBe(references);
      if (watched) expect(seen).toBe(references);
      m.mmu.write8(LINEAR, 1);
      expect(m.mmu.counts.accessedDirtyUpdates).toBe(0);
    },
  );
});
