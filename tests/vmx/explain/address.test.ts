/** Walks in words, compared with what the memory unit reads and decides: two walkers written apart. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { PageWalkStep } from '../../../src/mmu/observer.ts';
import { explainAddress, type WalkAccess } from '../../../src/vmx/explain/address.ts';
import { explainIoBitmaps, explainMsrBitmap } from '../../../src/vmx/explain/bitmaps.ts';
import { explainVmcs } from '../../../src/vmx/explain/dump.ts';
import { readEntry } from '../../../src/vmx/explain/entries.ts';
import { explainEpt } from '../../../src/vmx/explain/ept.ts';
import { imageOfWords } from '../../../src/vmx/explain/image.ts';
import { guestRegime, walkMemory } from '../../../src/vmx/explain/regime.ts';
import * as F from '../../../src/vmx/fields.ts';
import { AT, baseline, type World, writeBaseline } from '../support.ts';

const TABLE = 0x2_5000;
const PAGE = 0x2_6000;
let world: World;
beforeEach(() => {
  world = baseline();
  writeBaseline(world);
  // linear 0040_0000h: a table of 4-KiB pages
  world.root.memory.write32(AT.directory + 4, TABLE | 7);
  world.root.memory.write32(TABLE, PAGE | 3);
  world.root.memory.write32(TABLE + 4, PAGE | 5);
});

const image = () =>
  imageOfWords(world.vmx.context.words, world.vmx.context.capabilities, world.machine.memory, AT.vmcs);
const memory = () => walkMemory(world.machine.memory);
const explain = (linear: number, access: WalkAccess = 'read', user = false) =>
  explainAddress(memory(), guestRegime(image()), { linear, access, user });

/** MOV EAX, [linear]; HLT. */
function steps(linear: number, write = false): PageWalkStep[] {
  const seen: PageWalkStep[] = [];
  world.code(write ? 0xa3 : 0xa1, linear & 0xff, (linear >> 8) & 0xff, (linear >> 16) & 0xff, linear >>> 24, 0xf4);
  const stop = world.machine.observe({ onPageWalkStep: (step) => seen.push(step) });
  expect(world.root.vmlaunch()).toEqual({ kind: 'exit' });
  stop();
  return seen;
}

test('a walk in two dimensions reads the entries that the memory unit reads, in the same order', () => {
  // accessed flags are set: setting them would be further accesses
  world.root.memory.write32(AT.directory + 4, TABLE | 0x27);
  world.root.memory.write32(TABLE, PAGE | 0x23);
  const explained = explain(0x40_0123);
  expect(explained).toMatchObject({ outcome: 'translated', guestPhysical: PAGE + 0x123, hostPhysical: PAGE + 0x123 });
  const read = explained.entries.map(({ kind, level, at }) => [kind, level, at]);
  // 4-KiB page: two entries of the guest's, an EPT walk of three (2-MiB pages) before each and for the page
  expect(read.map(([kind]) => kind)).toEqual([
    ...Array(3).fill('EPT'),
    '32-bit',
    ...Array(3).fill('EPT'),
    '32-bit',
    ...Array(3).fill('EPT'),
  ]);
  const real = steps(0x40_0123).map(({ format, level, at }) => [
    format.startsWith('EPT') ? 'EPT' : '32-bit',
    level,
    at,
  ]);
  const entries = (list: unknown[][]) => [...new Set(list.map((entry) => entry.join()))];
  for (const entry of entries(read)) expect(entries(real)).toContain(entry);
  expect(world.get(F.EXIT_REASON)).toBe(12);
});

test('the lines say what was read, where, and what it means', () => {
  const { text } = explain(0x40_0123);
  expect(text[0]).toBe('linear 0040_0123h, supervisor read');
  expect(text).toContain('  EPT: guest-physical 0002_3004h (level 2 entry)');
  expect(text).toContain('  32-bit level 2, entry 1 at guest-physical 0002_3004h, host-physical 0002_3004h');
  expect(text).toContain('    0002_5007h: table at 0002_5000h, writable, user');
  expect(text).toContain('    0002_6003h: page of 4 KiB at 0002_6000h, writable, supervisor');
  expect(text.at(-1)).toBe('host-physical 0002_6123h');
});

describe('where a walk stops', () => {
  test('EPT violations: address and qualification are those of the exit', () => {
    world.root.memory.write32(AT.eptDirectory, AT.eptTable | 7);
    for (let page = 0; page < 512; page++) world.root.memory.write32(AT.eptTable + 8 * page, (page << 12) | 0x37);
    for (const [page, entry, write] of [
      [PAGE, 0, false],
      [PAGE, PAGE | 0x31, true],
      [TABLE, 0, false],
    ] as const) {
      world.root.memory.write32(AT.eptTable + 8 * (page >> 12), entry);
      const explained = explain(0x40_0010, write ? 'write' : 'read');
      expect(explained.outcome).toBe('EPT violation');
      world.root.invept(2, 0, 0);
      steps(0x40_0010, write);
      expect(world.get(F.EXIT_REASON)).toBe(48);
      expect(explained.guestPhysical).toBe(world.get(F.GUEST_PHYSICAL_ADDRESS));
      expect(explained.code).toBe(world.get(F.EXIT_QUALIFICATION));
      world.root.memory.write32(AT.eptTable + 8 * (page >> 12), page | 0x37);
      world.root.vmclear(AT.vmcs);
      world.root.vmptrld(AT.vmcs);
      writeBaseline(world);
    }
  });

  test('a misconfiguration says which bits', () => {
    world.root.memory.write32(AT.eptDirectory, 0xb6);
    expect(explain(0x40_0000)).toMatchObject({
      outcome: 'EPT misconfiguration',
      why: 'guest-physical 0002_3004h, level 2: writable but not readable',
    });
  });

  test('page faults have the error code that the guest would get', () => {
    expect(explain(0x80_0000, 'write')).toMatchObject({ outcome: 'page fault', code: 2 });
    expect(explain(0x40_0000, 'read', true)).toMatchObject({ outcome: 'page fault', code: 5 });
    expect(explain(0x40_1000, 'write')).toMatchObject({ outcome: 'page fault', code: 3 });
    expect(explain(0x40_1000, 'read', true).outcome).toBe('translated');
    world.root.memory.write32(AT.directory + 8, 0x2083);
    expect(explain(0x80_0000)).toMatchObject({ outcome: 'page fault', code: 9 });
  });

  test('SMEP and SMAP are named, where they stop a supervisor and where EFLAGS.AC lifts SMAP', () => {
    world.set(F.GUEST_CR4, 0x30_2010);
    const smap = explain(0x40_1000);
    expect(smap).toMatchObject({
      outcome: 'page fault',
      code: 1,
      why: 'a user page, CR4.SMAP is 1 and EFLAGS.AC is 0',
    });
    expect(smap.text).toContain('  CR4.SMAP is 1, EFLAGS.AC is 0: no access to user pages');
    const smep = explain(0x40_1000, 'fetch');
    expect(smep).toMatchObject({ outcome: 'page fault', code: 17, why: 'a user page, and CR4.SMEP is 1' });
    expect(smep.text).toContain('  CR4.SMEP is 1: no execution from user pages');
    expect(explain(0x40_0000).outcome).toBe('translated'); // a supervisor page
    expect(explain(0x40_1000, 'read', true).outcome).toBe('translated');
    world.set(F.GUEST_RFLAGS, 0x4_0002);
    const lifted = explain(0x40_1000);
    expect(lifted.outcome).toBe('translated');
    expect(lifted.text).toContain('  CR4.SMAP is 1, EFLAGS.AC is 1 and lets it through');
  });

  test('tables outside memory', () => {
    world.set(F.EPT_POINTER, 0x7fff_f01e);
    expect(explain(0).outcome).toBe('no memory');
  });
});

test('without paging and EPT an address is what it is', () => {
  const regime = { cr0: 0x31, cr3: 0, cr4: 0, eptp: null, physicalAddressBits: 36 };
  expect(explainAddress(memory(), regime, { linear: 0x1234 })).toMatchObject({ hostPhysical: 0x1234, entries: [] });
});

test('PAE paging: four registers, three levels, no execution', () => {
  const put = (at: number, lo: number, hi = 0) => {
    world.root.memory.write32(at, lo);
    world.root.memory.write32(at + 4, hi);
  };
  put(0x4_0000, 0x4_1001);
  put(0x4_1000, 0x4_2007);
  put(0x4_1008, 0x20_0083);
  put(0x4_2008, 0x4_3003, 0x8000_0000);
  const regime = { cr0: 0x8000_0031 | 0, cr3: 0x4_0000, cr4: 0x20, eptp: null, physicalAddressBits: 36, nxe: true };
  const at = (linear: number, access: WalkAccess = 'read') => explainAddress(memory(), regime, { linear, access });
  expect(at(0x1234).hostPhysical).toBe(0x4_3234);
  expect(at(0x1234, 'fetch')).toMatchObject({ outcome: 'page fault', code: 17 });
  expect(at(0x20_1234).hostPhysical).toBe(0x20_1234);
  expect(at(0x4000_0000)).toMatchObject({ outcome: 'page fault', code: 0 });
  put(0x4_0008, 0x4_1003);
  expect(at(0x4000_0000)).toMatchObject({ outcome: 'page fault', code: 9 });
});

test('entries with reserved bits', () => {
  const rules = { physicalAddressBits: 36, executeOnly: false };
  const fault = (kind: '32-bit' | 'PAE' | 'EPT', level: number, lo: number, hi = 0) =>
    readEntry(kind, level, { lo, hi }, rules).fault;
  expect(fault('PAE', 2, 0x1007, 0x10)).toBe('bits 62:36 must be 0');
  expect(fault('PAE', 1, 0x1007, 0x8000_0000 | 0)).toBe('bit 63 must be 0');
  expect(fault('PAE', 1, 0x1007, 0xf)).toBe('');
  expect(fault('EPT', 1, 0x1037, 0xffff_0000 | 0)).toBe('bits 51:36 must be 0');
  expect(fault('EPT', 1, 0x1037, 0xfff0_0000 | 0)).toBe('');
  expect(fault('EPT', 1, 0x1034)).toBe('execute-only pages are not offered');
  expect(fault('EPT', 1, 0x1017)).toBe('memory type 2 is reserved');
  expect(fault('EPT', 3, 0x1087)).toBe('bits 7:3 of an entry that names a table must be 0');
  expect(fault('EPT', 2, 0x20_10b7)).toBe('address bits within the page must be 0');
});

test('an EPT in ranges', () => {
  const { ranges, misconfigured, text } = explainEpt(
    memory(),
    { lo: AT.pml4 | 0x1e, hi: 0 },
    { physicalAddressBits: 36 },
  );
  expect(ranges).toEqual([
    { first: 0, last: 0x3f_ffff, hostPhysical: 0, rights: 7, memoryType: 6, pageBytes: 0x20_0000 },
  ]);
  expect(misconfigured).toEqual([]);
  expect(text[1]).toBe('  0000_0000h–003F_FFFFh → 0000_0000h  RWX WB, pages of 2 MiB');
  // a table that contains itself ends all the same
  world.root.memory.write32(AT.pml4 + 8, AT.pml4 | 7);
  world.root.memory.write32(AT.pml4 + 16, 6);
  expect(
    explainEpt(memory(), { lo: AT.pml4 | 0x1e, hi: 0 }, { physicalAddressBits: 36 }).misconfigured.length,
  ).toBeGreaterThan(0);
});

test('bitmaps in ranges', () => {
  world.root.memory.fill(AT.ioA, 0x3000, 0);
  world.root.memory.write8(AT.ioA + 0x7f, 0xff); // 3F8h to 3FFh
  world.root.memory.write8(AT.ioA + 0xfff, 0x80); // 7FFFh
  world.root.memory.write8(AT.ioB, 1); // 8000h
  expect(explainIoBitmaps(memory(), AT.ioA, AT.ioB).text).toEqual([
    'I/O bitmaps: accesses to these ports exit',
    '  03F8h–03FFh',
    '  7FFFh–8000h',
  ]);
  world.root.memory.write8(AT.msrBitmap + 2, 1); // read of 10h
  world.root.memory.write8(AT.msrBitmap + 3072 + 16, 1); // write of C000_0080h
  expect(explainMsrBitmap(memory(), AT.msrBitmap)).toMatchObject({
    read: [{ first: 0x10, last: 0x10 }],
    write: [{ first: 0xc000_0080, last: 0xc000_0080 }],
  });
});

test('a VMCS in words', () => {
  const { text } = explainVmcs(image());
  const lineOf = (name: string) => text.find((line) => line.trimStart().startsWith(`${name} `));
  expect(lineOf('GUEST_CS_ACCESS_RIGHTS')).toMatch(
    /0000_C09Bh {2}code, readable, accessed, DPL 0, 32-bit, 4-KiB units$/,
  );
  expect(lineOf('GUEST_LDTR_ACCESS_RIGHTS')).toMatch(/unusable$/);
  expect(lineOf('GUEST_CR0')).toMatch(/8001_0031h {2}PE ET NE WP PG$/);
  expect(lineOf('PIN_BASED_VM_EXECUTION_CONTROLS')).toContain('EXTERNAL_INTERRUPT_EXITING NMI_EXITING');
  expect(lineOf('VMCS_LINK_POINTER')).toContain('FFFF_FFFF_FFFF_FFFFh');
});
