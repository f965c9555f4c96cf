/** References of a walk of which nothing is cached, accessed and dirty flags set beforehand, for every combination of guest paging and EPT
 *  page size: (n + 1)(m + 1) − 1 for n levels of the guest in memory and m levels of EPT down to its page, n without EPT. Each of the n
 *  entries costs m references to find and one to read, the page m more. The page-directory-pointer entries of PAE paging are registers. */
import { describe, expect, test } from 'vitest';
import { CR0, CR0_PG, CR0_WP, CR3, CR4, CR4_PAE, CR4_PSE, PDPTE } from '../../src/base/registers.ts';
import type { PageWalkStep } from '../../src/mmu/observer.ts';
import { machine, type TestMachine, writeEpt } from './machine.ts';

/** The guest's tables, guest-physical frames; the page is frame 5 however it is mapped. */
const DIRECTORY = 1;
const TABLE = 2;
const PAGE = 5;
const ROOT = 0x300;
const FLAGS = 0x60; // of a guest's entry
const EPT_FLAGS = 0x300;
const EPT_ACCESSED = 0x100;
const ALL = 0x37; // R, W, X, write-back

interface GuestPaging {
  readonly name: string;
  /** Levels in memory. */
  readonly n: number;
  readonly cr4: number;
  readonly linear: number;
  write(m: TestMachine): void;
}

const entry32 = (m: TestMachine, table: number, index: number, value: number): void =>
  m.memory.write32(table * 4096 + 4 * index, value);
const entry64 = (m: TestMachine, table: number, index: number, value: number): void =>
  m.memory.write32(table * 4096 + 8 * index, value);

const GUESTS: readonly GuestPaging[] = [
  { name: 'no paging', n: 0, cr4: 0, linear: PAGE << 12, write: () => {} },
  {
    name: '32-bit paging, 4 KiB',
    n: 2,
    cr4: 0,
    linear: 0xc040_7000,
    write: (m) => {
      entry32(m, DIRECTORY, 0x301, (TABLE << 12) | 7 | FLAGS);
      entry32(m, TABLE, 7, (PAGE << 12) | 7 | FLAGS);
    },
  },
  {
    name: '32-bit paging, 4 MiB',
    n: 1,
    cr4: CR4_PSE,
    linear: 0xc040_0000 | (PAGE << 12),
    write: (m) => entry32(m, DIRECTORY, 0x301, 0x87 | FLAGS),
  },
  {
    name: 'PAE paging, 4 KiB',
    n: 2,
    cr4: CR4_PAE,
    linear: 0xc020_7000,
    write: (m) => {
      m.S[PDPTE + 6] = (DIRECTORY << 12) | 1;
      entry64(m, DIRECTORY, 1, (TABLE << 12) | 7 | FLAGS);
      entry64(m, TABLE, 7, (PAGE << 12) | 7 | FLAGS);
    },
  },
  {
    name: 'PAE paging, 2 MiB',
    n: 1,
    cr4: CR4_PAE,
    linear: 0xc020_0000 | (PAGE << 12),
    write: (m) => {
      m.S[PDPTE + 6] = (DIRECTORY << 12) | 1;
      entry64(m, DIRECTORY, 1, 0x87 | FLAGS);
    },
  },
];

/** EPT that maps low memory to itself: levels down to its page. */
const EPTS: readonly (readonly [name: string, m: number])[] = [
  ['no EPT', 0],
  ['EPT, 4 KiB', 4],
  ['EPT, 2 MiB', 3],
  ['EPT, 1 GiB', 2],
];

function writeTables(m: TestMachine, levels: number): void {
  const leaf = ALL | EPT_FLAGS;
  writeEpt(m, ROOT, 0, ROOT + 1, 7 | EPT_ACCESSED);
  if (levels === 2) writeEpt(m, ROOT + 1, 0, 0, leaf | 0x80);
  else writeEpt(m, ROOT + 1, 0, ROOT + 2, 7 | EPT_ACCESSED);
  if (levels === 3) writeEpt(m, ROOT + 2, 0, 0, leaf | 0x80);
  else writeEpt(m, ROOT + 2, 0, ROOT + 3, 7 | EPT_ACCESSED);
  for (let f = 0; f < 512; f++) writeEpt(m, ROOT + 3, f, f, leaf);
}

/** A machine with nothing cached in which the guest's page is mapped. */
function cold(
  guest: GuestPaging,
  levels: number,
  flags: boolean,
  kind: 'unlimited' | 'modelled',
  watch?: PageWalkStep[],
) {
  const m = machine(1 << 22, {
    cache: { kind },
    ept: { physicalAddressBits: 36, executeOnly: true, pages1G: true },
    ...(watch ? { observer: { onPageWalkStep: (step) => watch.push(step) } } : {}),
  });
  guest.write(m);
  writeTables(m, levels);
  m.S[CR0] = guest.n === 0 ? 0 : CR0_PG | CR0_WP;
  m.S[CR3] = DIRECTORY << 12;
  m.S[CR4] = guest.cr4;
  Object.assign(m.mmu, { eptEnabled: levels > 0, eptpLow: (ROOT << 12) | 0x1e | (flags ? 0x40 : 0) });
  m.mmu.eptPointerChanged();
  return m;
}

const ACCESSES: readonly (readonly [string, (m: TestMachine, at: number) => unknown])[] = [
  ['read', (m, at) => m.mmu.read32(at)],
  ['write', (m, at) => m.mmu.write32(at, 1)],
  ['fetch', (m, at) => m.mmu.fetchPage(at)],
];

describe.each(GUESTS)('$name', (guest) => {
  test.each(EPTS)('%s', (_, m) => {
    const references = m === 0 ? guest.n : (guest.n + 1) * (m + 1) - 1;
    for (const flags of [false, true])
      for (const kind of ['unlimited', 'modelled'] as const)
        for (const [access, perform] of ACCESSES) {
          const world = cold(guest, m, flags, kind);
          perform(world, guest.linear | 0x10);
          const { walkReferences, accessedDirtyUpdates } = world.mmu.counts;
          expect([access, flags, kind, walkReferences, accessedDirtyUpdates]).toEqual([
            access,
            flags,
            kind,
            references,
            0,
          ]);
        }
  });

  test.each(EPTS)('%s: whoever watches sees each reference', (_, m) => {
    const steps: PageWalkStep[] = [];
    const world = cold(guest, m, true, 'modelled', steps);
    world.mmu.read32(guest.linear);
    expect(steps).toHaveLength(m === 0 ? guest.n : (guest.n + 1) * (m + 1) - 1);
    expect(steps.filter((step) => step.format !== 'EPT')).toHaveLength(guest.n);
  });
});

test('tables and page in EPT pages of different sizes: the sum over the guest levels of m + 1, and m of the page', () => {
  const guest = GUESTS[1] as GuestPaging;
  const world = cold(guest, 4, true, 'modelled');
  // the page lies in a page of 2 MiB, the tables in pages of 4 KiB
  world.memory.write32((TABLE << 12) + 4 * 7, 0x20_0000 | (PAGE << 12) | 7 | FLAGS);
  writeEpt(world, ROOT + 2, 1, 0, ALL | EPT_FLAGS | 0x80);
  world.mmu.read32(guest.linear);
  expect(world.mmu.counts.walkReferences).toBe(2 * (4 + 1) + 3);
});

test.each(EPTS)('a load of the PDPTE registers, %s: their table has to be found once', (_, m) => {
  const world = cold(GUESTS[3] as GuestPaging, m, false, 'modelled');
  world.memory.write32(0x7018, (DIRECTORY << 12) | 1);
  expect(world.mmu.loadPointers(0x7000)).toBe(true);
  expect(world.mmu.counts.walkReferences).toBe(m);
});

test('a flag that the walk has to set is one write more', () => {
  const world = cold(GUESTS[1] as GuestPaging, 0, false, 'modelled');
  world.memory.write32((TABLE << 12) + 4 * 7, (PAGE << 12) | 7);
  world.mmu.write32(GUESTS[1]?.linear as number, 1);
  const { walkReferences, accessedDirtyUpdates } = world.mmu.counts;
  expect([walkReferences, accessedDirtyUpdates]).toEqual([2, 1]);
});
