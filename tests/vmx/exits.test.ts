import { describe, expect, test } from 'vitest';
import { CR0, CR4, EAX, EBX, ECX, EDX, EIP, ESI, INTERRUPTIBILITY } from '../../src/base/registers.ts';
import { PRIMARY, SECONDARY, VM_EXIT } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { decodeQualification } from '../../src/vmx/qualification.ts';
import { AT, baseline, control, exitReason, type World } from './support.ts';

const CONTROLS = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const MORE_CONTROLS = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const HLT = 0xf4;

/** Runs code in the guest up to its first exit; returns the basic reason. */
function play(world: World, ...bytes: number[]): number {
  world.code(...bytes, HLT);
  return exitReason(world);
}

const qualification = (world: World) => world.get(F.EXIT_QUALIFICATION);
const text = (world: World) => decodeQualification(world.get(F.EXIT_REASON), qualification(world)).text;

describe('instructions that exit by a control', () => {
  test.each([
    ['HLT', PRIMARY.HLT_EXITING, [0xf4], EXIT.HLT],
    ['INVLPG', PRIMARY.INVLPG_EXITING, [0x0f, 0x01, 0x3e], EXIT.INVLPG],
    ['RDTSC', PRIMARY.RDTSC_EXITING, [0x0f, 0x31], EXIT.RDTSC],
    ['RDPMC', PRIMARY.RDPMC_EXITING, [0x0f, 0x33], EXIT.RDPMC],
    ['PAUSE', PRIMARY.PAUSE_EXITING, [0xf3, 0x90], EXIT.PAUSE],
    ['MOV DR', PRIMARY.MOV_DR_EXITING, [0x0f, 0x23, 0xf8], EXIT.MOV_DR],
    ['MOV to CR3', PRIMARY.CR3_LOAD_EXITING, [0x0f, 0x22, 0xd8], EXIT.CR_ACCESS],
    ['MOV from CR3', PRIMARY.CR3_STORE_EXITING, [0x0f, 0x20, 0xd8], EXIT.CR_ACCESS],
  ])('%s', (_, bit, bytes, reason) => {
    const world = baseline();
    control(world, CONTROLS, bit);
    expect(play(world, ...bytes)).toBe(reason);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(bytes.length);
    expect(world.machine.instructions).toBe(0);
  });

  test.each([
    ['INVLPG', [0x0f, 0x01, 0x3e]],
    ['RDTSC', [0x0f, 0x31]],
    ['PAUSE', [0xf3, 0x90]],
    ['WBINVD', [0x0f, 0x09]],
    ['MOV from CR3', [0x0f, 0x20, 0xd8]],
  ])('%s runs in the guest without it', (_, bytes) => {
    const world = baseline();
    expect(play(world, ...bytes)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + bytes.length);
  });

  test('WBINVD by a secondary control, CPUID and INVD always', () => {
    const world = baseline();
    control(world, MORE_CONTROLS, SECONDARY.WBINVD_EXITING);
    expect(play(world, 0x0f, 0x09)).toBe(EXIT.WBINVD);
    expect(play(baseline(), 0x0f, 0x08)).toBe(EXIT.INVD);
    expect(play(baseline(), 0x0f, 0xa2)).toBe(EXIT.CPUID);
  });

  test('secondary controls count as 0 unless they are activated', () => {
    const world = baseline();
    control(world, MORE_CONTROLS, SECONDARY.WBINVD_EXITING);
    control(world, CONTROLS, PRIMARY.ACTIVATE_SECONDARY_CONTROLS, false);
    expect(play(world, 0x0f, 0x09)).toBe(EXIT.HLT);
  });

  test('INVLPG gives the linear address, MOV DR registers and direction', () => {
    const world = baseline();
    control(world, CONTROLS, PRIMARY.INVLPG_EXITING | PRIMARY.MOV_DR_EXITING);
    world.root.setRegister(ESI, 0x1234_5678);
    play(world, 0x0f, 0x01, 0x3e);
    expect(qualification(world)).toBe(0x1234_5678);
    world.set(F.GUEST_RIP, AT.code);
    world.code(0x0f, 0x21, 0xf3); // mov ebx, dr6
    exitReason(world, false);
    expect(qualification(world)).toBe(6 | 0x10 | (EBX << 8));
    expect(text(world)).toBe('MOV EBX, DR6');
  });

  test('privilege comes before the exit', () => {
    const world = baseline();
    world.set(F.EXCEPTION_BITMAP, 1 << 13);
    ring3(world);
    expect(play(world, HLT)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(0x8000_0b0d);
  });
});

/** Guest state of ring 3. */
function ring3(world: World): void {
  world.set(F.GUEST_CS_SELECTOR, 0x0b);
  world.set(F.GUEST_SS_SELECTOR, 0x13);
  world.set(F.GUEST_CS_ACCESS_RIGHTS, 0xc0fb);
  world.set(F.GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
  for (const field of [F.GUEST_DS_SELECTOR, F.GUEST_ES_SELECTOR, F.GUEST_FS_SELECTOR, F.GUEST_GS_SELECTOR]) {
    world.set(field, 0);
  }
  for (const field of [
    F.GUEST_DS_ACCESS_RIGHTS,
    F.GUEST_ES_ACCESS_RIGHTS,
    F.GUEST_FS_ACCESS_RIGHTS,
    F.GUEST_GS_ACCESS_RIGHTS,
  ]) {
    world.set(field, 0x1_0000);
  }
  world.root.memory.write32(AT.directory, 0x87);
}

describe('control registers', () => {
  test('reads see the shadow in masked bits', () => {
    const world = baseline();
    world.set(F.CR0_GUEST_HOST_MASK, 0x20);
    world.set(F.CR0_READ_SHADOW, 0x8);
    world.set(F.CR4_GUEST_HOST_MASK, 0x2000);
    play(world, 0x0f, 0x20, 0xc0, 0x0f, 0x20, 0xe3, 0x0f, 0x01, 0xe1); // mov eax, cr0; mov ebx, cr4; smsw ecx
    expect(world.root.getRegister(EAX) >>> 0).toBe(0x8001_0011);
    expect(world.root.getRegister(EBX)).toBe(0x10);
    expect(world.root.getRegister(ECX) >>> 0).toBe(0x8001_0011);
  });

  test('a write that agrees with the shadow loads the bits that are not masked', () => {
    const world = baseline();
    world.set(F.CR0_GUEST_HOST_MASK, 0x8000_0021 | 0);
    world.set(F.CR0_READ_SHADOW, 0x1);
    world.root.setRegister(EAX, 0x0001_0019);
    expect(play(world, 0x0f, 0x22, 0xc0)).toBe(EXIT.HLT); // mov cr0, eax
    expect(world.get(F.GUEST_CR0)).toBe(0x8001_0039);
  });

  test('a write that differs from the shadow in a masked bit exits and loads nothing', () => {
    const world = baseline();
    world.set(F.CR4_GUEST_HOST_MASK, 0x2000);
    world.root.setRegister(EBX, 0x2090);
    expect(play(world, 0x0f, 0x22, 0xe3)).toBe(EXIT.CR_ACCESS); // mov cr4, ebx
    expect(qualification(world)).toBe(4 | (EBX << 8));
    expect(text(world)).toBe('MOV CR4, EBX');
    expect(world.get(F.GUEST_CR4)).toBe(0x2010);
  });

  test('a fixed bit that is not masked cannot be cleared by the guest', () => {
    const world = baseline();
    world.set(F.EXCEPTION_BITMAP, 1 << 13);
    world.root.setRegister(EBX, 0x10);
    expect(play(world, 0x0f, 0x22, 0xe3)).toBe(EXIT.EXCEPTION_OR_NMI);
  });

  test('CLTS: exits if host owns TS and shows it set, does nothing if it shows it clear', () => {
    const world = baseline();
    world.set(F.CR0_GUEST_HOST_MASK, 8);
    world.set(F.GUEST_CR0, 0x8001_0039 | 0);
    expect(play(world, 0x0f, 0x06)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_CR0)).toBe(0x8001_0039);
    world.set(F.CR0_READ_SHADOW, 8);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.CR_ACCESS);
    expect(qualification(world)).toBe(0x20);
    world.set(F.CR0_GUEST_HOST_MASK, 0);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_CR0)).toBe(0x8001_0031);
  });

  test('LMSW: sets but never clears PE, exits with its operand', () => {
    const world = baseline();
    world.root.setRegister(EAX, 0x000e);
    expect(play(world, 0x0f, 0x01, 0xf0)).toBe(EXIT.HLT); // lmsw ax
    expect(world.get(F.GUEST_CR0)).toBe(0x8001_003f);
    world.set(F.CR0_GUEST_HOST_MASK, 2);
    world.root.setRegister(EAX, 0xabc3);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.CR_ACCESS);
    expect(qualification(world)).toBe(0xabc3_0030);
    world.root.memory.write16(AT.stack, 0x0002);
    world.root.setRegister(ESI, AT.stack);
    world.code(0x0f, 0x01, 0x36); // lmsw [esi]
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.CR_ACCESS);
    expect(qualification(world)).toBe(0x0002_0070);
    expect(world.get(F.GUEST_LINEAR_ADDRESS)).toBe(AT.stack);
  });

  test('a CR3 target needs no exit', () => {
    const world = baseline();
    control(world, CONTROLS, PRIMARY.CR3_LOAD_EXITING);
    world.set(F.CR3_TARGET_COUNT, 2);
    world.set(F.CR3_TARGET_VALUE_1, AT.directory);
    world.set(F.CR3_TARGET_VALUE_2, AT.directory + 8);
    world.root.setRegister(EDX, AT.directory);
    expect(play(world, 0x0f, 0x22, 0xda)).toBe(EXIT.HLT); // mov cr3, edx
    world.root.setRegister(EDX, AT.directory + 8);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.CR_ACCESS);
    expect(qualification(world)).toBe(3 | (EDX << 8));
  });
});

describe('I/O', () => {
  const port = (world: World, bitmap: number, n: number) =>
    world.root.memory.write8(bitmap + (n >> 3), world.root.memory.read8(bitmap + (n >> 3)) | (1 << (n & 7)));

  test('bitmap A for ports below 8000h, B above, each byte of an access', () => {
    const world = baseline();
    port(world, AT.ioA, 0x61);
    expect(play(world, 0xe5, 0x60)).toBe(EXIT.IO_INSTRUCTION); // in eax, 60h: bytes 60h to 63h
    expect(qualification(world)).toBe(3 | 8 | 0x40 | (0x60 << 16));
    expect(text(world)).toBe('IN 32 bits, port 0060h (immediate)');
    port(world, AT.ioB, 1);
    world.root.setRegister(EDX, 0x8001);
    world.code(0xee, HLT); // out dx, al
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.IO_INSTRUCTION);
    expect(qualification(world)).toBe(0x8001_0000);
    world.code(0xe4, 0x60, HLT); // in al, 60h
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
  });

  test('an access that wraps around the port space always exits', () => {
    const world = baseline();
    world.root.setRegister(EDX, 0xffff);
    expect(play(world, 0x66, 0xed)).toBe(EXIT.IO_INSTRUCTION); // in ax, dx
    expect(qualification(world)).toBe(0xffff_0009);
  });

  test('without bitmaps by the unconditional control, or not at all', () => {
    const world = baseline();
    control(world, CONTROLS, PRIMARY.USE_IO_BITMAPS, false);
    expect(play(world, 0xe6, 0x80)).toBe(EXIT.HLT);
    control(world, CONTROLS, PRIMARY.UNCONDITIONAL_IO_EXITING);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.IO_INSTRUCTION);
  });

  test('string forms: linear address, segment, repeat', () => {
    const world = baseline();
    port(world, AT.ioA, 0x3f8);
    world.root.setRegister(EDX, 0x3f8);
    world.root.setRegister(ECX, 3);
    world.root.setRegister(ESI, AT.stack);
    world.set(F.GUEST_FS_BASE, 0x100);
    expect(play(world, 0xf3, 0x64, 0x6e)).toBe(EXIT.IO_INSTRUCTION); // rep outs dx, byte fs:[esi]
    expect(qualification(world)).toBe(0x10 | 0x20 | (0x3f8 << 16));
    expect(world.get(F.GUEST_LINEAR_ADDRESS)).toBe(AT.stack + 0x100);
    expect(world.get(F.VM_EXIT_INSTRUCTION_INFORMATION)).toBe((1 << 7) | (4 << 15));
    expect(world.root.getRegister(ECX)).toBe(3);
  });
});

describe('MSR bitmaps', () => {
  test('four of them: read and write, low and high', () => {
    const world = baseline();
    const msr = (index: number) => world.root.setRegister(ECX, index | 0);
    world.root.memory.write8(AT.msrBitmap + (0x10 >> 3), 1 << (0x10 & 7));
    msr(0x10);
    expect(play(world, 0x0f, 0x32)).toBe(EXIT.RDMSR);
    world.code(0x0f, 0x30, HLT);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.HLT); // writing is not in its bitmap
    world.root.memory.write8(AT.msrBitmap + 0xc00 + (0x81 >> 3), 1 << (0x81 & 7));
    msr(0xc000_0081);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.WRMSR);
    msr(0x2000); // in neither range
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.WRMSR);
  });

  test('without bitmaps every access exits', () => {
    const world = baseline();
    control(world, CONTROLS, PRIMARY.USE_MSR_BITMAPS, false);
    world.root.setRegister(ECX, 0x10);
    expect(play(world, 0x0f, 0x32)).toBe(EXIT.RDMSR);
  });
});

test('TSC offsetting shifts what RDTSC shows, also backwards', () => {
  const world = baseline();
  world.set(F.TSC_OFFSET, 1000);
  play(world, 0x90, 0x90, 0x0f, 0x31); // nop; nop; rdtsc
  expect(world.root.getRegister(EAX)).toBe(1002);
  world.set(F.TSC_OFFSET, -100);
  world.set(F.TSC_OFFSET + 1, -1);
  world.set(F.GUEST_RIP, AT.code);
  exitReason(world, false);
  expect(world.root.getRegister(EAX)).toBe(world.machine.instructions - 1 - 100);
  expect(world.root.getRegister(EDX)).toBe(-1);
});

describe('EPT', () => {
  /** Replaces the first 2 MiB of the identity by a table of pages, all allowed. */
  function splinter(world: World): void {
    for (let n = 0; n < 512; n++) world.root.memory.write32(AT.eptTable + 8 * n, (n << 12) | 0x37);
    world.root.memory.write32(AT.eptDirectory, AT.eptTable | 7);
  }
  const entry = (world: World, address: number, low: number) =>
    world.root.memory.write32(AT.eptTable + 8 * (address >> 12), low);

  test('a violation tells access, rights, addresses, and that the instruction can be tried again', () => {
    const world = baseline();
    splinter(world);
    entry(world, AT.stack, AT.stack | 0x35); // R-X
    world.root.setRegister(ESI, AT.stack + 0x10);
    expect(play(world, 0x40, 0x89, 0x06)).toBe(EXIT.EPT_VIOLATION); // inc eax; mov [esi], eax
    expect(qualification(world)).toBe(2 | (5 << 3) | 0x80 | 0x100 | 0x400);
    expect(text(world)).toBe('write, EPT allows R-X, final address of a supervisor page, writable');
    expect(world.get(F.GUEST_PHYSICAL_ADDRESS)).toBe(AT.stack + 0x10);
    expect(world.get(F.GUEST_LINEAR_ADDRESS)).toBe(AT.stack + 0x10);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 1);
    expect(world.get(F.GUEST_RFLAGS) & 0x1_0000).toBe(0x1_0000); // RF
    expect(world.machine.instructions).toBe(1);
    entry(world, AT.stack, AT.stack | 0x37);
    world.root.invept(1, AT.pml4 | 0x1e, 0);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.root.memory.read32(AT.stack + 0x10)).toBe(1);
  });

  test('a guest page table out of reach: linear address valid, but not the final one', () => {
    const world = baseline();
    splinter(world);
    entry(world, AT.directory, 0);
    expect(play(world, 0x90)).toBe(EXIT.EPT_VIOLATION);
    expect(qualification(world)).toBe(1 | 0x80);
    expect(world.get(F.GUEST_PHYSICAL_ADDRESS)).toBe(AT.directory);
    expect(world.get(F.GUEST_LINEAR_ADDRESS)).toBe(AT.code);
  });

  test('a misconfiguration has no qualification but the address', () => {
    const world = baseline();
    splinter(world);
    entry(world, AT.stack, AT.stack | 0x36); // W without R
    world.root.setRegister(ESI, AT.stack + 0x10);
    expect(play(world, 0x8b, 0x06)).toBe(EXIT.EPT_MISCONFIGURATION);
    expect(world.get(F.GUEST_PHYSICAL_ADDRESS)).toBe(AT.stack + 0x10);
  });
});

describe('what an exit leaves behind', () => {
  test('host state is loaded as the manual says', () => {
    const world = baseline();
    world.set(F.HOST_FS_SELECTOR, 0x10);
    world.set(F.HOST_FS_BASE, 0x1234);
    play(world);
    const r = world.machine.registers;
    expect(r.cs).toEqual({ selector: 8, base: 0, limit: 0xffff_ffff, access: 0xc09b });
    expect(r.fs).toEqual({ selector: 0x10, base: 0x1234, limit: 0xffff_ffff, access: 0xc093 });
    expect(r.gs.access & 0x1_0000).toBe(0x1_0000);
    expect(r.tr).toEqual({ selector: 0x18, base: AT.hostTss, limit: 0x67, access: 0x8b });
    expect(r.ldtr.access & 0x1_0000).toBe(0x1_0000);
    expect(r.gdtr).toEqual({ base: AT.hostGdt, limit: 0xffff });
    expect(r.idtr).toEqual({ base: AT.hostIdt, limit: 0xffff });
    expect(r.eflags).toBe(2);
    expect([r.esp, r.eip]).toEqual([AT.hostStack, world.root.gate]);
    expect(world.machine.cpu.S[CR0] >>> 0).toBe(0x8001_0031);
    expect(world.machine.cpu.S[CR4]).toBe(0x2010);
  });

  test('CR0.NW, CD and ET stay as they are, over entry and exit', () => {
    const world = baseline();
    world.set(F.GUEST_CR0, 0xe001_0021 | 0);
    play(world, 0x0f, 0x20, 0xc0);
    expect(world.root.getRegister(EAX) >>> 0).toBe(0x8001_0031);
  });

  test('blocking by STI is saved and gone in the host', () => {
    const world = baseline();
    expect(play(world, 0xfb, 0x0f, 0xa2)).toBe(EXIT.CPUID); // sti; cpuid
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(1);
    expect(world.machine.cpu.S[INTERRUPTIBILITY]).toBe(0);
    expect(world.machine.cpu.S[EIP]).toBe(world.root.gate);
  });

  test('debug controls are saved only if asked for', () => {
    const world = baseline();
    world.set(F.GUEST_DR7, 0x700);
    play(world);
    expect(world.get(F.GUEST_DR7)).toBe(0x700);
    control(world, F.VM_EXIT_CONTROLS, VM_EXIT.SAVE_DEBUG_CONTROLS, false);
    world.set(F.GUEST_DR7, 0x500);
    world.set(F.GUEST_RIP, AT.code);
    world.set(F.VM_ENTRY_CONTROLS, 0x11fb);
    exitReason(world, false);
    expect(world.get(F.GUEST_DR7)).toBe(0x500);
    expect(world.machine.cpu.S[77]).toBe(0x400);
  });

  test('exits are counted by reason', () => {
    const world = baseline();
    play(world);
    exitReason(world, false);
    expect(world.vmx.context.exits[EXIT.HLT]).toBe(2);
    expect(world.vmx.context.entries).toBe(2);
  });
});
