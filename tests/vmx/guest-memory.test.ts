/** What hangs on EPT: its accessed and dirty flags, the page-modification log, EPTP switching, virtualization exceptions
 *  (SDM Vol. 3, "Accessed and Dirty Flags for EPT", "Page-Modification Logging", "EPTP Switching", "Virtualization Exceptions"). */
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { EAX, EBX, ECX } from '../../src/base/registers.ts';
import { INTERRUPTION_TYPE, SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, gate, type World } from './support.ts';

const CONTROLS = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const EPTP = AT.pml4 | 0x1e;
const WITH_FLAGS = EPTP | 0x40;
/** Guest-physical pages that the EPT of these tests maps one by one: 2 MiB and up. */
const DATA = 0x20_0000;
const LIST = 0x1_3000;
const LOG = 0x1_4000;
const INFORMATION = 0x1_5000;
const OTHER_PML4 = 0x1_6000;
const OTHER_PDPT = 0x1_7000;
const OTHER_DIRECTORY = 0x1_8000;
const OTHER_TABLE = 0x1_9000;
const RWX_WB = 0x37;

/** The guest's code, assembled; its data pages mapped in 4-KiB pages with these low words. */
function guest(source: string, pages: readonly number[] = [RWX_WB, RWX_WB, RWX_WB, RWX_WB]): World {
  const world = baseline();
  const { memory } = world.root;
  memory.writeBytes(AT.code, assemble(`bits 32\norg ${AT.code}\n${source}`).bytes);
  memory.write32(AT.eptDirectory + 8, AT.eptTable | 7);
  pages.forEach((low, n) => {
    memory.write32(AT.eptTable + 8 * n, (DATA + n * 4096) | low);
  });
  return world;
}
const word = (world: World, at: number): number => world.root.memory.read32(at);
const qualification = (world: World): number => world.get(F.EXIT_QUALIFICATION);

describe('accessed and dirty flags', () => {
  test('a read sets A in every entry that it uses, a write D in the last one too', () => {
    const world = guest(`mov eax, [${DATA}]\n mov [${DATA + 0x1000}], eax\n hlt`);
    world.set(F.EPT_POINTER, WITH_FLAGS);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(word(world, AT.pml4) & 0xfff).toBe(0x107);
    expect(word(world, AT.pdpt) & 0xfff).toBe(0x107);
    expect(word(world, AT.eptDirectory + 8) & 0xfff).toBe(0x107);
    expect(word(world, AT.eptTable) & 0xfff).toBe(0x137);
    expect(word(world, AT.eptTable + 8) & 0xfff).toBe(0x337);
    expect(word(world, AT.eptTable + 16) & 0xfff).toBe(RWX_WB);
    expect(word(world, AT.eptDirectory) & 0xfff).toBe(0x3b7); // the guest's page directory lies here
  });

  test('without them EPT entries are only read', () => {
    const world = guest(`mov [${DATA}], eax\n hlt`);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(word(world, AT.pml4) & 0xfff).toBe(7);
    expect(word(world, AT.eptTable) & 0xfff).toBe(RWX_WB);
  });

  const TABLE = DATA + 0x1000;
  /** A guest whose table for the linear addresses from 4 MiB on lies in the second data page, and who reads through it. */
  function readsThroughTable(tableRights: number, entry: number): World {
    const world = guest('mov eax, [0x400000]\n hlt', [RWX_WB, 0x30 | tableRights]);
    world.root.memory.write32(AT.directory + 4, TABLE | 0x27);
    world.root.memory.write32(TABLE, DATA | entry);
    return world;
  }

  test('flags off: a table that EPT maps read-only can be walked as long as no flag has to be set in it', () => {
    expect(exitReason(readsThroughTable(1, 0x67))).toBe(EXIT.HLT);
    const world = readsThroughTable(1, 0x47);
    expect(exitReason(world)).toBe(EXIT.EPT_VIOLATION);
    expect(qualification(world)).toBe(0x8b); // read and write, EPT allows R, linear address valid, not the final one
    expect(world.get(F.GUEST_PHYSICAL_ADDRESS)).toBe(TABLE);
    expect(world.get(F.GUEST_LINEAR_ADDRESS)).toBe(0x40_0000);
    expect(word(world, TABLE) & 0xfff).toBe(0x47);
  });

  test('flags on: every access to a table of the guest counts as a write, and reports read and write', () => {
    const world = readsThroughTable(1, 0x67);
    world.set(F.EPT_POINTER, WITH_FLAGS);
    expect(exitReason(world)).toBe(EXIT.EPT_VIOLATION);
    expect(qualification(world)).toBe(0x8b);
    const writable = readsThroughTable(3, 0x67);
    writable.set(F.EPT_POINTER, WITH_FLAGS);
    expect(exitReason(writable)).toBe(EXIT.HLT);
    expect(word(writable, AT.eptTable + 8) & 0xfff).toBe(0x333);
  });

  test('a violation tells the rights of the linear address: user or supervisor, writable', () => {
    const world = readsThroughTable(7, 0x61); // a supervisor page, read-only
    world.root.memory.write32(AT.eptTable, 0);
    expect(exitReason(world)).toBe(EXIT.EPT_VIOLATION);
    expect(qualification(world)).toBe(0x181);
    const user = readsThroughTable(7, 0x67);
    user.root.memory.write32(AT.eptTable, 0);
    expect(exitReason(user)).toBe(EXIT.EPT_VIOLATION);
    expect(qualification(user)).toBe(0x781);
  });

  test('a page that may only be executed can be, and not be read', () => {
    const world = guest(`jmp ${DATA}`, [0x34]);
    world.root.memory.writeBytes(DATA, assemble(`bits 32\norg ${DATA}\nmov eax, [${DATA}]\nhlt`).bytes);
    expect(exitReason(world)).toBe(EXIT.EPT_VIOLATION);
    expect(world.get(F.GUEST_RIP)).toBe(DATA);
    expect(qualification(world) & 0x1ff).toBe(0x1a1);
  });

  test('a page of 1 GiB leads to the same memory', () => {
    const world = guest(`mov dword [${DATA}], 0x1234\n hlt`);
    world.root.memory.write32(AT.pdpt, 0xb7);
    world.set(F.EPT_POINTER, WITH_FLAGS);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(word(world, DATA)).toBe(0x1234);
    expect(word(world, AT.pdpt)).toBe(0x3b7);
  });
});

describe('the page-modification log', () => {
  function logged(source: string, index: number): World {
    const world = guest(source);
    world.set(F.EPT_POINTER, WITH_FLAGS);
    control(world, CONTROLS, SECONDARY.ENABLE_PML);
    world.set(F.PML_ADDRESS, LOG);
    world.set(F.PML_INDEX, index);
    return world;
  }
  const writes = [0, 1, 0, 2].map((n) => `mov [${DATA + n * 4096 + 8}], eax`).join('\n');

  test('names each page once, from its end, when its D is set; tables of the guest too', () => {
    const world = logged(`${writes}\n hlt`, 511);
    expect(exitReason(world)).toBe(EXIT.HLT);
    const entries = [511, 510, 509, 508].map((n) => word(world, LOG + 8 * n));
    expect(entries).toEqual([AT.directory, DATA, DATA + 0x1000, DATA + 0x2000]);
    expect(world.get(F.PML_INDEX)).toBe(507);
  });

  test('exits before the write when it is full, and goes on after the index is set back', () => {
    const world = logged(`mov eax, 7\n${writes}\n hlt`, 1);
    expect(exitReason(world)).toBe(EXIT.PML_FULL);
    expect(qualification(world)).toBe(0);
    expect(world.get(F.PML_INDEX)).toBe(0xffff);
    expect(word(world, AT.eptTable + 8) & 0x200).toBe(0);
    expect(word(world, DATA + 0x1008)).toBe(0);
    world.set(F.PML_INDEX, 511);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(word(world, LOG + 8 * 511)).toBe(DATA + 0x1000);
    expect(word(world, DATA + 0x1008)).toBe(7);
  });

  test('goes on in a restored machine', () => {
    const world = logged(`hlt\n${writes}\n hlt`, 511);
    expect(exitReason(world)).toBe(EXIT.HLT);
    const state = world.vmx.save();
    world.vmx.restore(state);
    world.set(F.GUEST_RIP, world.get(F.GUEST_RIP) + 1);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.get(F.PML_INDEX)).toBe(507);
  });
});

describe('VMFUNC', () => {
  const SWITCH = 'xor eax, eax\n mov ecx, 1\n vmfunc\n';
  function switching(source: string): World {
    const world = guest(source);
    const { memory } = world.root;
    // other tables: the first data page leads to the second frame
    memory.write32(OTHER_PML4, OTHER_PDPT | 7);
    memory.write32(OTHER_PDPT, OTHER_DIRECTORY | 7);
    memory.write32(OTHER_DIRECTORY, 0xb7);
    memory.write32(OTHER_DIRECTORY + 8, OTHER_TABLE | 7);
    memory.write32(OTHER_TABLE, (DATA + 0x1000) | RWX_WB);
    memory.write32(LIST, EPTP);
    memory.write32(LIST + 8, OTHER_PML4 | 0x1e);
    memory.write32(LIST + 16, OTHER_PML4 | 0x1d); // no such memory type
    memory.write32(DATA, 0xaaaa);
    memory.write32(DATA + 0x1000, 0xbbbb);
    control(world, CONTROLS, SECONDARY.ENABLE_VM_FUNCTIONS);
    world.set(F.VM_FUNCTION_CONTROLS, 1);
    world.set(F.EPTP_LIST_ADDRESS, LIST);
    return world;
  }

  test('function 0 puts other tables into force, and the first ones again, without an exit or a flush', () => {
    const look = `mov ebx, [${DATA}]\n`;
    const world = switching(`${look} ${SWITCH} mov edx, [${DATA}]\n xor ecx, ecx\n vmfunc\n mov esi, [${DATA}]\n hlt`);
    const before = { ...world.machine.cpu.mmu.counts.flushes };
    expect(exitReason(world)).toBe(EXIT.HLT);
    const registers = [EBX, 2, 6].map((r) => world.root.getRegister(r));
    expect(registers).toEqual([0xaaaa, 0xbbbb, 0xaaaa]);
    expect(world.get(F.EPT_POINTER)).toBe(EPTP);
    const { flushes } = world.machine.cpu.mmu.counts;
    expect({ ...flushes, vmTransition: 0 }).toEqual({ ...before, vmTransition: 0 });
  });

  test.each([
    ['a function that is not enabled', 1, 1],
    ['an index beyond the list', 0, 512],
    ['a pointer with which VM entry would fail', 0, 2],
  ])('%s exits', (_, leaf, index) => {
    const world = switching('vmfunc\n hlt');
    world.root.setRegister(EAX, leaf);
    world.root.setRegister(ECX, index);
    expect(exitReason(world)).toBe(EXIT.VMFUNC);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(3);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(world.get(F.EPT_POINTER)).toBe(EPTP);
  });

  test.each([
    ['there are 64 functions', 64, true],
    ['VM functions are not enabled', 0, false],
  ])('#UD: %s', (_, leaf, enabled) => {
    const world = switching('vmfunc\n hlt');
    control(world, CONTROLS, SECONDARY.ENABLE_VM_FUNCTIONS, enabled);
    world.set(F.EXCEPTION_BITMAP, 1 << 6);
    world.root.setRegister(EAX, leaf);
    expect(exitReason(world)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION) & 0xff).toBe(6);
  });
});

describe('virtualization exceptions', () => {
  const HANDLER = AT.code + 0x100;
  function excepting(entryHigh = 0): World {
    const world = guest(`mov eax, [${DATA + 0x1234}]\n hlt\n times 0x100-($-$$) nop\n cpuid`, [RWX_WB, 0]);
    world.root.memory.write32(AT.eptTable + 12, entryHigh);
    gate(world, 20, HANDLER);
    control(world, CONTROLS, SECONDARY.EPT_VIOLATION_VE);
    world.set(F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, INFORMATION);
    world.set(F.EPTP_INDEX, 5);
    return world;
  }
  const SUPPRESS = 0x8000_0000;

  test('a violation becomes vector 20, and the information area says what it was', () => {
    const world = excepting();
    expect(exitReason(world)).toBe(EXIT.CPUID);
    expect(world.get(F.GUEST_RIP)).toBe(HANDLER);
    const words = [0, 4, 8, 12, 16, 20, 24, 28, 32].map((offset) => word(world, INFORMATION + offset) >>> 0);
    expect(words).toEqual([48, 0xffff_ffff, 0x581, 0, DATA + 0x1234, 0, DATA + 0x1234, 0, 5]);
    expect(word(world, world.get(F.GUEST_RSP))).toBe(AT.code); // a fault: the instruction itself
  });

  test('not with bit 63 of the entry, not while the area is in use, not without protection', () => {
    expect(exitReason(excepting(SUPPRESS))).toBe(EXIT.EPT_VIOLATION);
    const busy = excepting();
    busy.root.memory.write32(INFORMATION + 4, 1);
    expect(exitReason(busy)).toBe(EXIT.EPT_VIOLATION);
    expect(word(busy, INFORMATION)).toBe(0);
    const real = excepting();
    control(real, CONTROLS, SECONDARY.UNRESTRICTED_GUEST);
    real.set(F.GUEST_CR0, 0x30);
    expect(exitReason(real)).toBe(EXIT.EPT_VIOLATION);
  });

  test('not while an event is delivered', () => {
    const world = excepting();
    world.set(F.GUEST_IDTR_BASE, DATA + 0x1000);
    world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, 0x8000_0000 | (INTERRUPTION_TYPE.HARDWARE_EXCEPTION << 8) | 6);
    expect(exitReason(world)).toBe(EXIT.EPT_VIOLATION);
    expect(world.get(F.IDT_VECTORING_INFORMATION) & 0xff).toBe(6);
  });

  test('the exception bitmap applies to them', () => {
    const world = excepting();
    world.set(F.EXCEPTION_BITMAP, 1 << 20);
    expect(exitReason(world)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(0x8000_0314);
    expect(word(world, INFORMATION + 4)).toBe(-1);
  });

  test('bit 63 of the entry that maps the page decides for a right that is missing', () => {
    for (const [high, reason] of [
      [0, EXIT.CPUID],
      [SUPPRESS, EXIT.EPT_VIOLATION],
    ]) {
      const world = excepting(high);
      world.root.memory.write32(AT.eptTable + 8, (DATA + 0x1000) | 0x34); // execute-only
      expect(exitReason(world)).toBe(reason);
    }
  });
});
