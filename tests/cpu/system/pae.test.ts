/** PAE paging, NX, SMEP and SMAP as instructions see them. What must happen is SDM Vol. 3, "PDPTE Registers" and "Access Rights". */
import { expect, test } from 'vitest';
import {
  CR0,
  CR2,
  CR3,
  CR4,
  EFLAGS,
  LDTR,
  PDPTE,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
} from '../../../src/base/registers.ts';
import { restoreCpu, saveCpu } from '../../../src/cpu/persist.ts';
import { DATA, Processor } from '../processor.ts';

const UD = 6;
const GP = 13;
const PF = 14;
const POINTERS = 0x1_0020;
const DIRECTORY = 0x1_1000;
const TABLE = 0x1_2000;
const OTHER_DIRECTORY = 0x1_3000;
const NX = 0x8000_0000 | 0;

const MOV_CR0_EAX = [0x0f, 0x22, 0xc0];
const MOV_CR3_EAX = [0x0f, 0x22, 0xd8];
const MOV_CR4_EAX = [0x0f, 0x22, 0xe0];
const WRMSR = [0x0f, 0x30];
const STAC = [0x0f, 0x01, 0xcb];
const CLAC = [0x0f, 0x01, 0xca];
const READ = [0xa1, 0x00, 0x80, 0x00, 0x00]; // mov eax, [DATA]
const CALL = [0xe8, 0xfb, 0x4f, 0x00, 0x00]; // call DATA, from CODE
const PAE = 0x20;
const PG_WP = 0x8001_0011 | 0;
const SMEP = 0x10_0000;
const SMAP = 0x20_0000;
const AC = 0x4_0000;

/** A processor in PAE paging: the first 256 KiB at their own addresses, for supervisor use. */
function paged(cr4 = PAE): Processor {
  const p = new Processor();
  p.memory.write32(POINTERS, DIRECTORY | 1);
  p.memory.write32(DIRECTORY, TABLE | 0x67);
  for (let page = 0; page < 64; page++) p.memory.write32(TABLE + 8 * page, (page << 12) | 0x63);
  p.memory.write32(DATA, 0x600d);
  write(p, MOV_CR3_EAX, POINTERS);
  write(p, MOV_CR4_EAX, cr4);
  write(p, MOV_CR0_EAX, PG_WP);
  return p;
}

function write(p: Processor, instruction: readonly number[], value: number): number | null {
  p.set({ eax: value });
  return p.execute1(...instruction);
}

const setNxe = (p: Processor, on: boolean): void => {
  p.set({ ecx: 0xc000_0080 | 0, eax: on ? 0x800 : 0, edx: 0 });
  expect(p.execute1(...WRMSR)).toBeNull();
};

/** Rights of the page of DATA: low bits, and the high word. */
function map(p: Processor, low: number, high = 0): void {
  p.memory.write32(TABLE + 8 * 8, DATA | low);
  p.memory.write32(TABLE + 8 * 8 + 4, high);
  p.cpu.mmu.invlpg(DATA);
}

test('paging by four registers and two levels of tables', () => {
  const p = paged();
  expect(p.execute1(...READ)).toBeNull();
  expect(p.get('eax')).toBe(0x600d);
  p.set({ ebx: 0x4000_0000 });
  expect(p.execute1(0x8b, 0x03)).toBe(PF); // mov eax, [ebx]: no PDPTE 1
  expect([p.errorCode, p.S[CR2]]).toEqual([0, 0x4000_0000]);
});

test('a store to the page-directory-pointer table is not seen before CR3 is loaded', () => {
  const p = paged();
  p.memory.write32(OTHER_DIRECTORY, TABLE | 0x67);
  p.memory.write32(POINTERS + 8, OTHER_DIRECTORY | 1);
  p.set({ ebx: 0x4000_0000 | DATA });
  expect(p.execute1(0x8b, 0x03)).toBe(PF);
  write(p, MOV_CR3_EAX, POINTERS);
  expect(p.execute1(0x8b, 0x03)).toBeNull();
  expect(p.get('eax')).toBe(0x600d);
  p.memory.write32(POINTERS + 8, 0);
  p.cpu.mmu.invlpg(0x4000_0000 | DATA);
  expect(p.execute1(0x8b, 0x03)).toBeNull(); // and INVLPG does not look at it either
});

test.each([
  ['CR0.CD', MOV_CR0_EAX, PG_WP | 0x4000_0000, true],
  ['CR0.NW', MOV_CR0_EAX, PG_WP | 0x6000_0000, true],
  ['CR0.WP', MOV_CR0_EAX, PG_WP & ~0x1_0000, false],
  ['CR0.TS', MOV_CR0_EAX, PG_WP | 8, false],
  ['CR4.PGE', MOV_CR4_EAX, PAE | 0x80, true],
  ['CR4.PSE', MOV_CR4_EAX, PAE | 0x10, true],
  ['CR4.SMEP', MOV_CR4_EAX, PAE | SMEP, true],
  ['CR4.SMAP', MOV_CR4_EAX, PAE | SMAP, false],
  ['CR4.TSD', MOV_CR4_EAX, PAE | 4, false],
])('whether the registers are loaded when %s changes', (_name, instruction, value, loads) => {
  const p = paged();
  p.memory.write32(POINTERS + 24, 0x7000 | 1);
  expect(write(p, instruction, value)).toBeNull();
  expect(p.S[PDPTE + 6]).toBe(loads ? 0x7001 : 0);
});

test.each([
  ['bit 1', 3, 0],
  ['bit 2', 5, 0],
  ['bit 5', 0x21, 0],
  ['bit 8', 0x101, 0],
  ['bit 36', 1, 0x10],
  ['bit 63', 1, NX],
])('an entry with %s set cannot be loaded: #GP(0), and nothing has changed', (_name, low, high) => {
  const p = paged();
  setNxe(p, true);
  const before = [...p.S.subarray(PDPTE, PDPTE + 8)];
  p.memory.write32(POINTERS + 16, low);
  p.memory.write32(POINTERS + 20, high);
  for (const [instruction, value] of [
    [MOV_CR3_EAX, POINTERS],
    [MOV_CR4_EAX, PAE | 0x80],
    [MOV_CR0_EAX, PG_WP | 0x4000_0000],
  ] as const) {
    expect(write(p, instruction, value)).toBe(GP);
    expect(p.errorCode).toBe(0);
  }
  expect([p.S[CR0], p.S[CR3], p.S[CR4]]).toEqual([PG_WP, POINTERS, PAE]);
  expect([...p.S.subarray(PDPTE, PDPTE + 8)]).toEqual(before);
  p.memory.write32(POINTERS + 16, low & ~1);
  expect(write(p, MOV_CR3_EAX, POINTERS)).toBeNull(); // what is not present has no reserved bits
});

test('NX refuses a fetch while NXE is set; without it the bit is reserved', () => {
  const p = paged();
  p.memory.write8(DATA, 0xc3); // ret
  map(p, 0x61, NX);
  setNxe(p, true);
  expect(p.execute1(...READ)).toBeNull();
  expect(p.execute1(...CALL)).toBe(PF);
  expect([p.errorCode, p.S[CR2]]).toEqual([0x11, DATA]);
  map(p, 0x61);
  expect(p.execute1(...CALL)).toBeNull();
  setNxe(p, false);
  map(p, 0x61, NX);
  expect(p.execute1(...CALL)).toBe(PF);
  expect(p.errorCode).toBe(9); // reserved bit; a fetch is not told
});

test('clearing and setting NXE takes effect on a page that is cached', () => {
  const p = paged();
  p.memory.write8(DATA, 0xc3);
  setNxe(p, true);
  map(p, 0x61, NX);
  expect(p.execute1(...READ)).toBeNull(); // cached with NX
  setNxe(p, false);
  expect(p.execute1(...CALL)).toBeNull();
  setNxe(p, true);
  expect(p.execute1(...CALL)).toBe(PF);
});

test('SMEP refuses the supervisor a fetch from a user page', () => {
  const p = paged();
  p.memory.write8(DATA, 0xc3);
  map(p, 0x65);
  expect(p.execute1(...CALL)).toBeNull();
  expect(write(p, MOV_CR4_EAX, PAE | SMEP)).toBeNull();
  expect(p.execute1(...CALL)).toBe(PF);
  expect(p.errorCode).toBe(0x11);
  expect(write(p, MOV_CR4_EAX, PAE)).toBeNull();
  expect(p.execute1(...CALL)).toBeNull();
});

test('SMAP refuses the supervisor data of user pages while AC is clear', () => {
  const p = paged(PAE | SMAP);
  map(p, 0x67);
  expect(p.execute1(...READ)).toBe(PF);
  expect(p.errorCode).toBe(1);
  expect(p.execute1(...STAC, ...READ)).toBeNull();
  expect(p.get('eax')).toBe(0x600d);
  p.cpu.setFlags(2);
  expect(p.execute1(...STAC, ...READ, ...CLAC, ...READ)).toBe(PF);
  p.cpu.setFlags(2);
  expect(p.execute1(0x68, 0x02, 0, 4, 0, 0x9d, ...READ)).toBeNull(); // push AC; popfd
  p.cpu.setFlags(2);
  expect(p.execute1(0xc7, 0x05, 0, 0x80, 0, 0, 1, 0, 0, 0)).toBe(PF); // mov dword [DATA], 1
  expect(p.errorCode).toBe(3);
  expect(write(p, MOV_CR4_EAX, PAE)).toBeNull();
  expect(p.execute1(...READ)).toBeNull();
});

test('AC does not help implicit accesses: descriptors are read as the supervisor they belong to', () => {
  const p = paged(PAE | SMAP);
  map(p, 0x67);
  // a local descriptor table in the user page: entry 2 is the data segment
  for (const k of [0x10, 0x14]) p.memory.write32(DATA + k, p.memory.read32(0x1000 + k));
  p.S[SEG_BASE + LDTR] = DATA;
  p.S[SEG_LIMIT + LDTR] = 0x1f;
  p.S[SEG_ACCESS + LDTR] = 0x82;
  const LOAD_DS = [0xb8, 0x14, 0, 0, 0, 0x8e, 0xd8]; // mov eax, 14h; mov ds, eax
  expect(p.execute1(...STAC, ...READ, ...LOAD_DS)).toBe(PF);
  expect([p.errorCode, p.S[CR2]]).toEqual([1, DATA + 0x10]);
  expect(write(p, MOV_CR4_EAX, PAE)).toBeNull();
  expect(p.execute1(...LOAD_DS)).toBeNull();
});

test('CLAC and STAC are undefined in ring 3', () => {
  for (const instruction of [CLAC, STAC]) {
    const p = new Processor();
    p.enterRing3();
    expect(p.execute1(...instruction)).toBe(UD);
  }
  const p = new Processor();
  p.execute1(...STAC);
  expect(p.S[EFLAGS] & AC).toBe(AC);
  p.execute1(...CLAC);
  expect(p.S[EFLAGS] & AC).toBe(0);
});

test('PDPTE registers and IA32_EFER are saved, and refused with bits that they cannot have', () => {
  const p = paged();
  setNxe(p, true);
  const state = saveCpu(p.cpu);
  const q = new Processor();
  restoreCpu(q.cpu, state);
  expect(saveCpu(q.cpu)).toEqual(state);
  expect(q.S[PDPTE]).toBe(DIRECTORY | 1);
  expect(() => restoreCpu(q.cpu, { ...state, efer: 0x801 })).toThrow('cpu.efer');
  expect(() => restoreCpu(q.cpu, { ...state, pdptes: [1, 0x10, 0, 0, 0, 0, 0, 0] })).toThrow('cpu.pdptes[0]');
  expect(() => restoreCpu(q.cpu, { ...state, pdptes: [1] })).toThrow('cpu.pdptes');
});
