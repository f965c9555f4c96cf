/** PDPTE registers at VM entries and exits, and in the guest. Expected values: SDM Vol. 3, "Checks on Guest Page-Directory-Pointer-Table
 *  Entries", "Loading Page-Directory-Pointer-Table Entries", "Saving Non-Register State", "Checking and Loading Host
 *  Page-Directory-Pointer-Table Entries", "VMX Aborts", "PDPTE Registers". */
import { beforeEach, describe, expect, test } from 'vitest';
import { EAX, EBX, ECX, PDPTE } from '../../src/base/registers.ts';
import { PRIMARY, SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, type World } from './support.ts';

const SECONDARY_CONTROLS = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const PRIMARY_CONTROLS = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const HLT = 0xf4;
const CPUID = [0x0f, 0xa2];
/** Two page-directory-pointer tables of the guest, and two page directories: of the first and of the second 2 MiB of memory. */
const FIRST_TABLE = 0x2_6020; // 32-byte aligned is enough
const SECOND_TABLE = 0x2_7000;
const LOW = 0x2_8000;
const HIGH = 0x2_9000;
/** The host's, for when it uses PAE paging as well. */
const HOST_TABLE = 0x2_a000;
/** What stands at a place in the first 2 MiB, and 2 MiB above it. */
const PLACE = 0x3_8000;
const IN_LOW = 0x1111;
const IN_HIGH = 0x2222;
/** That place in the second GiB, where PDPTE1 decides. */
const SEEN = 0x4000_0000 + PLACE;
const CR4_PAE_VMXE = 0x2020;
const FAILED = 0x8000_0021;

let world: World;
const write = (at: number, value: number): void => world.root.memory.write32(at, value);
const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** MOV EAX, [SEEN] */
const LOOK = [0xa1, ...dword(SEEN)];
const MOV_CR3_ECX = [0x0f, 0x22, 0xd9];
const MOV_CR4_ECX = [0x0f, 0x22, 0xe1];
const MOV_CR0_ECX = [0x0f, 0x22, 0xc1];
/** MOV DWORD [at], value */
const store = (at: number, value: number): number[] => [0xc7, 0x05, ...dword(at), ...dword(value)];
const pdptes = (): number[] => [0, 1, 2, 3].map((n) => world.get(F.GUEST_PDPTE0 + 2 * n));

function setPdptes(...entries: readonly number[]): void {
  entries.forEach((entry, n) => {
    world.set(F.GUEST_PDPTE0 + 2 * n, entry);
  });
}

/** A guest with PAE paging. In memory the first table leads to LOW, the second one's PDPTE1 to HIGH. */
beforeEach(() => {
  world = baseline({ contexts: 4 });
  for (const [table, second] of [
    [FIRST_TABLE, LOW],
    [SECOND_TABLE, HIGH],
  ] as const) {
    write(table, LOW | 1);
    write(table + 8, second | 1);
    for (const at of [16, 20, 24, 28, 4, 12]) write(table + at, 0);
  }
  write(LOW, 0xe3);
  write(LOW + 4, 0);
  write(HIGH, 0x20_00e3);
  write(HIGH + 4, 0);
  write(PLACE, IN_LOW);
  write(0x20_0000 + PLACE, IN_HIGH);
  world.set(F.GUEST_CR4, CR4_PAE_VMXE);
  world.set(F.GUEST_CR3, FIRST_TABLE);
  setPdptes(LOW | 1, LOW | 1, 0, 0);
});

function withoutEpt(): void {
  control(world, SECONDARY_CONTROLS, SECONDARY.ENABLE_EPT, false);
}

describe('at VM entry', () => {
  test('with EPT they come from the VMCS, whatever stands in memory', () => {
    setPdptes(LOW | 1, HIGH | 1, 0, 0);
    world.code(...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EAX)).toBe(IN_HIGH);
  });

  test('without EPT they come from memory, whatever the VMCS says', () => {
    withoutEpt();
    setPdptes(LOW | 1, HIGH | 1, 0x1e7, 0);
    world.code(...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EAX)).toBe(IN_LOW);
  });

  test('without PAE paging nobody looks at them', () => {
    world.set(F.GUEST_CR4, 0x2010);
    world.set(F.GUEST_CR3, AT.directory);
    setPdptes(-1, -1, -1, -1);
    world.code(HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
  });

  const RESERVED = [
    ['bit 1', 2, 0],
    ['bit 2', 4, 0],
    ['bit 5', 0x20, 0],
    ['bit 6', 0x40, 0],
    ['bit 7', 0x80, 0],
    ['bit 8', 0x100, 0],
    ['an address bit that the processor does not have', 0, 0x10],
    ['bit 63', 0, 0x8000_0000],
  ] as const;

  test.each(RESERVED)('%s in a present entry fails the entry with qualification 2, with EPT', (_, lo, hi) => {
    for (let n = 0; n < 4; n++) {
      setPdptes(LOW | 1, LOW | 1, 0, 0);
      world.set(F.GUEST_PDPTE0 + 2 * n, LOW | 1 | lo);
      world.set(F.GUEST_PDPTE0 + 2 * n + 1, hi);
      expect(exitReason(world)).toBe(FAILED);
      expect(world.get(F.EXIT_QUALIFICATION)).toBe(2);
      expect(world.root.explainEntry().join()).toContain(`guest.pdpte${n}.reserved`);
    }
  });

  test.each(RESERVED)('%s in a present entry in memory does so without EPT', (_, lo, hi) => {
    withoutEpt();
    for (let n = 0; n < 4; n++) {
      const before = world.root.memory.read32(FIRST_TABLE + 8 * n);
      write(FIRST_TABLE + 8 * n, LOW | 1 | lo);
      write(FIRST_TABLE + 8 * n + 4, hi);
      expect(exitReason(world)).toBe(FAILED);
      expect(world.get(F.EXIT_QUALIFICATION)).toBe(2);
      expect(world.root.explainEntry().join()).toContain(`guest.pdpte${n}.memory`);
      write(FIRST_TABLE + 8 * n, before);
      write(FIRST_TABLE + 8 * n + 4, 0);
    }
  });

  test('an entry that is not present may hold anything; an access through it is a page fault', () => {
    setPdptes(LOW | 1, ~1, ~1, ~1);
    for (const n of [1, 2, 3]) world.set(F.GUEST_PDPTE0 + 2 * n + 1, -1);
    world.set(F.EXCEPTION_BITMAP, 1 << 14);
    world.code(...LOOK);
    expect(exitReason(world)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(world.get(F.VM_EXIT_INTERRUPTION_ERROR_CODE)).toBe(0);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(SEEN);
    expect(pdptes()).toEqual([LOW | 1, 0xffff_fffe, 0xffff_fffe, 0xffff_fffe]);
  });
});

describe('in the guest', () => {
  test('MOV to CR3 loads them, and the exit saves them', () => {
    world.root.setRegister(ECX, SECOND_TABLE);
    world.code(...MOV_CR3_ECX, ...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EAX)).toBe(IN_HIGH);
    expect(pdptes()).toEqual([LOW | 1, HIGH | 1, 0, 0]);
    expect(world.get(F.GUEST_CR3)).toBe(SECOND_TABLE);
  });

  test('a store to the table is not seen until they are loaded again', () => {
    world.code(...store(FIRST_TABLE + 8, HIGH | 1), ...LOOK, 0x89, 0xc3, ...MOV_CR3_ECX, ...LOOK, HLT); // MOV EBX, EAX
    world.root.setRegister(ECX, FIRST_TABLE);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(IN_LOW);
    expect(world.root.getRegister(EAX)).toBe(IN_HIGH);
  });

  test('nor does a VM exit and entry see it, with EPT', () => {
    world.code(...store(FIRST_TABLE + 8, HIGH | 1), ...CPUID, ...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.CPUID);
    expect(pdptes()).toEqual([LOW | 1, LOW | 1, 0, 0]);
    world.set(F.GUEST_RIP, world.get(F.GUEST_RIP) + 2);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EAX)).toBe(IN_LOW);
  });

  test.each([
    ['CR4.PGE', MOV_CR4_ECX, CR4_PAE_VMXE | 0x80, true],
    ['CR4.PSE', MOV_CR4_ECX, CR4_PAE_VMXE | 0x10, true],
    ['CR4.SMEP', MOV_CR4_ECX, CR4_PAE_VMXE | 0x10_0000, true],
    ['CR4.DE, which has to do with nothing of it', MOV_CR4_ECX, CR4_PAE_VMXE | 8, false],
    ['CR0.CD', MOV_CR0_ECX, 0xc001_0031 | 0, true],
    ['CR0.TS, which has to do with nothing of it', MOV_CR0_ECX, 0x8001_0039 | 0, false],
  ])('a change of %s', (_, instruction, value, loads) => {
    write(FIRST_TABLE + 8, HIGH | 1);
    world.root.setRegister(ECX, value);
    world.code(...instruction, ...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EAX)).toBe(loads ? IN_HIGH : IN_LOW);
    expect(pdptes()[1]).toBe((loads ? HIGH : LOW) | 1);
  });

  test('a reserved bit in the table makes MOV to CR3 a #GP(0), and nothing is loaded', () => {
    write(SECOND_TABLE + 24, 3);
    world.set(F.EXCEPTION_BITMAP, 1 << 13);
    world.root.setRegister(ECX, SECOND_TABLE);
    world.code(...MOV_CR3_ECX);
    expect(exitReason(world)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(0x8000_0b0d);
    expect(world.get(F.VM_EXIT_INTERRUPTION_ERROR_CODE)).toBe(0);
    expect(world.get(F.GUEST_CR3)).toBe(FIRST_TABLE);
    expect(pdptes()).toEqual([LOW | 1, LOW | 1, 0, 0]);
  });

  test('where EPT forbids to read the table, MOV to CR3 is a violation without a linear address', () => {
    for (let at = 0; at < 0x20_0000; at += 4096) write(AT.eptTable + 8 * (at >> 12), at | 0x37);
    write(AT.eptTable + 8 * (SECOND_TABLE >> 12), 0);
    write(AT.eptDirectory, AT.eptTable | 7);
    world.root.setRegister(ECX, SECOND_TABLE);
    world.code(...MOV_CR3_ECX, ...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.EPT_VIOLATION);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(1);
    expect(world.get(F.GUEST_PHYSICAL_ADDRESS)).toBe(SECOND_TABLE);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(pdptes()).toEqual([LOW | 1, LOW | 1, 0, 0]);
    write(AT.eptTable + 8 * (SECOND_TABLE >> 12), SECOND_TABLE | 0x31); // reading is enough
    world.root.invept(2, 0, 0);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EAX)).toBe(IN_HIGH);
  });

  test('with accessed and dirty flags in EPT, too, the load is a read', () => {
    for (let at = 0; at < 0x20_0000; at += 4096) write(AT.eptTable + 8 * (at >> 12), at | 0x337);
    write(AT.eptTable + 8 * (SECOND_TABLE >> 12), SECOND_TABLE | 0x131); // neither writable nor dirty
    write(AT.eptDirectory, AT.eptTable | 0x107);
    world.set(F.EPT_POINTER, AT.pml4 | 0x5e);
    world.root.setRegister(ECX, SECOND_TABLE);
    world.code(...MOV_CR3_ECX, HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.memory.read32(AT.eptTable + 8 * (SECOND_TABLE >> 12))).toBe(SECOND_TABLE | 0x131);
  });

  test('the monitor trap flag exits behind the MOV to CR3, with the new ones saved', () => {
    control(world, PRIMARY_CONTROLS, PRIMARY.MONITOR_TRAP_FLAG);
    world.root.setRegister(ECX, SECOND_TABLE);
    world.code(...MOV_CR3_ECX, ...LOOK, HLT);
    expect(exitReason(world)).toBe(EXIT.MONITOR_TRAP_FLAG);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 3);
    expect(pdptes()).toEqual([LOW | 1, HIGH | 1, 0, 0]);
    expect(exitReason(world, false)).toBe(EXIT.MONITOR_TRAP_FLAG);
    expect(world.root.getRegister(EAX)).toBe(IN_HIGH);
  });
});

describe('of the host', () => {
  beforeEach(() => {
    for (let k = 0; k < 8; k++) write(HOST_TABLE + 4 * k, 0);
    write(HOST_TABLE, LOW | 1);
    write(HOST_TABLE + 24, HIGH | 1);
    world.set(F.HOST_CR4, CR4_PAE_VMXE);
    world.set(F.HOST_CR3, HOST_TABLE);
    world.code(HLT);
  });
  const own = (): number[] => [0, 2, 4, 6].map((k) => world.machine.cpu.S[PDPTE + k] as number);

  test('an exit loads them, and does not save the guest ones over them', () => {
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(own()).toEqual([LOW | 1, 0, 0, HIGH | 1]);
    expect(pdptes()).toEqual([LOW | 1, LOW | 1, 0, 0]);
  });

  test('so does an entry that fails late', () => {
    setPdptes(3, 0, 0, 0);
    expect(exitReason(world)).toBe(FAILED);
    expect(own()).toEqual([LOW | 1, 0, 0, HIGH | 1]);
  });

  test.each([
    ['bit 1', 3, 0],
    ['bit 8', 0x101, 0],
    ['an address beyond the width', 1, 0x10],
  ])('%s set in one of them is VMX abort 2', (_, lo, hi) => {
    write(HOST_TABLE + 16, lo);
    write(HOST_TABLE + 20, hi);
    expect(world.root.vmlaunch()).toEqual({ kind: 'abort', indicator: 2 });
    expect(world.root.memory.read32(AT.vmcs + 4)).toBe(2);
  });

  test('without PAE paging in the host nothing of it counts', () => {
    write(HOST_TABLE + 16, 3);
    world.set(F.HOST_CR4, 0x2010);
    world.set(F.HOST_CR3, AT.hostDirectory);
    expect(exitReason(world)).toBe(EXIT.HLT);
  });
});
