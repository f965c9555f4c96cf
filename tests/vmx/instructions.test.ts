import { describe, expect, test } from 'vitest';
import {
  ACTIVITY,
  CR2,
  CR4,
  EAX,
  EBX,
  ECX,
  EFLAGS,
  EIP,
  ESI,
  EVENTS,
  INTERRUPTIBILITY,
} from '../../src/base/registers.ts';
import { eptModel } from '../../src/cpu/model.ts';
import { run } from '../../src/cpu/run.ts';
import { defaultVmxOptions, EPT_CAP, VPID_CAP, vmxCapabilities } from '../../src/vmx/capabilities.ts';
import { PIN_BASED, SECONDARY } from '../../src/vmx/controls.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, rootMode, type World, withoutEpt } from './support.ts';

const ok = { ok: true };
const fails = (error: number) => ({ ok: false, error });

describe('VMXON', () => {
  test('in root operation fails with 15 if there is a current VMCS, invalidly if not', () => {
    const { root } = rootMode();
    expect(root.vmxon(AT.vmxon)).toEqual(fails(15));
    expect(root.vmclear(AT.vmcs)).toEqual(ok);
    expect(root.vmxon(AT.vmxon)).toEqual(fails(0));
  });

  test('refuses a misaligned pointer, one above 4 GiB, and a wrong revision', () => {
    const { root } = rootMode();
    root.vmxoff();
    expect(root.vmxon(AT.vmxon + 8)).toEqual(fails(0));
    expect(root.vmxon(AT.vmxon + 0x1_0000_0000)).toEqual(fails(0));
    root.memory.write32(AT.vmxon, (root.memory.read32(AT.vmxon) | 0x8000_0000) >>> 0);
    expect(root.vmxon(AT.vmxon)).toEqual(fails(0));
  });

  test('needs CR4.VMXE, the fixed bits of CR0, and a locked IA32_FEATURE_CONTROL', () => {
    const { root, vmx } = rootMode();
    root.vmxoff();
    vmx.context.featureControl = 0;
    expect(() => root.vmxon(AT.vmxon)).toThrow(/exception 13.*FEATURE_CONTROL/);
    expect(root.wrmsr(0x3a, 5, 0)).toBe(true);
    expect(root.wrmsr(0x3a, 1, 0)).toBe('gp'); // locked
    root.setControlRegister(0, 0x8001_0011 | 0); // NE off
    expect(() => root.vmxon(AT.vmxon)).toThrow(/exception 13/);
    root.setControlRegister(0, 0x8001_0031 | 0);
    root.setControlRegister(4, 0x10);
    expect(() => root.vmxon(AT.vmxon)).toThrow(/exception 6/);
  });

  test('fixes CR4.VMXE and CR0.NE while in VMX operation', () => {
    const { root } = rootMode();
    expect(() => root.setControlRegister(4, 0x10)).toThrow(/exception 13.*VMXE/);
    expect(() => root.setControlRegister(0, 0x8001_0011 | 0)).toThrow(/exception 13/);
  });
});

describe('VMCS pointers', () => {
  test('VMCLEAR tells a bad address (2) from the VMXON pointer (3)', () => {
    const { root } = rootMode();
    expect(root.vmclear(AT.vmcs + 4)).toEqual(fails(2));
    expect(root.vmclear(AT.vmcs + 0x1_0000_0000)).toEqual(fails(2));
    expect(root.vmclear(AT.vmxon)).toEqual(fails(3));
  });

  test('VMPTRLD tells bad address (9), VMXON pointer (10) and wrong revision (11) apart', () => {
    const { root } = rootMode();
    expect(root.vmptrld(AT.vmcs | 1)).toEqual(fails(9));
    expect(root.vmptrld(AT.vmxon)).toEqual(fails(10));
    expect(root.vmptrld(AT.stack)).toEqual(fails(11));
  });

  test('VMPTRLD refuses a shadow VMCS where there is no VMCS shadowing', () => {
    const secondary = defaultVmxOptions.secondary & ~SECONDARY.VMCS_SHADOWING;
    const { root } = rootMode({ vmx: { capabilities: vmxCapabilities({ ...defaultVmxOptions, secondary }) } });
    root.memory.write32(AT.otherVmcs, root.memory.read32(AT.otherVmcs) | 0x8000_0000);
    expect(root.vmptrld(AT.otherVmcs)).toEqual(fails(11));
  });

  test('VMPTRST gives the current VMCS, all ones without one', () => {
    const { root } = rootMode();
    expect(root.vmptrst()).toBe(AT.vmcs);
    expect(root.vmclear(AT.otherVmcs)).toEqual(ok);
    expect(root.vmptrst()).toBe(AT.vmcs);
    expect(root.vmclear(AT.vmcs)).toEqual(ok);
    expect(root.vmptrst()).toBe(-1);
  });

  test('without a current VMCS everything that needs one fails invalidly', () => {
    const { root } = rootMode();
    root.vmclear(AT.vmcs);
    expect(root.vmread(F.GUEST_RIP)).toEqual(fails(0));
    expect(root.vmwrite(F.GUEST_RIP, 1)).toEqual(fails(0));
    expect(root.vmlaunch()).toEqual({ kind: 'vmfail', error: 0 });
    expect(root.vmptrld(AT.stack)).toEqual(fails(0));
  });
});

describe('VMREAD and VMWRITE', () => {
  test('know no field that the processor lacks (12), and write no read-only field (13) unless IA32_VMX_MISC says so', () => {
    const { root } = rootMode();
    expect(root.vmread(0x4c02)).toEqual(fails(12));
    expect(root.vmwrite(0x0801, 1)).toEqual(fails(12)); // a 16-bit field has no high half
    expect(root.vmread(0x202c)).toEqual(fails(12)); // XSS-exiting bitmap
    expect(root.vmread(0xffff_ffff)).toEqual(fails(12));
    expect(root.vmwrite(F.EXIT_REASON, 1)).toEqual({ ok: true });
    expect(root.vmread(F.EXIT_REASON)).toBe(1);
    const older = rootMode({ processor: eptModel }).root;
    expect(older.vmwrite(F.EXIT_REASON, 1)).toEqual(fails(13));
    expect(older.vmread(F.VM_INSTRUCTION_ERROR)).toBe(13);
  });

  test('a field comes and goes with the control that uses it', () => {
    const capabilities = vmxCapabilities({ ...defaultVmxOptions, secondary: SECONDARY.ENABLE_EPT });
    const { root } = rootMode({ vmx: { capabilities } });
    expect(root.vmread(F.EPT_POINTER)).toBe(0);
    expect(root.vmread(F.VIRTUAL_PROCESSOR_IDENTIFIER)).toEqual(fails(12));
  });

  test('the full encoding of a 64-bit field clears the high half, the high encoding leaves the low one', () => {
    const { root } = rootMode();
    root.vmwrite(F.TSC_OFFSET + 1, -1);
    root.vmwrite(F.TSC_OFFSET, 5);
    expect(root.vmread(F.TSC_OFFSET + 1)).toBe(0);
    root.vmwrite(F.TSC_OFFSET + 1, 7);
    expect(root.vmread(F.TSC_OFFSET)).toBe(5);
    expect(root.vmread(F.TSC_OFFSET + 1)).toBe(7);
  });

  test('a 16-bit field keeps 16 bits', () => {
    const { root } = rootMode();
    root.vmwrite(F.GUEST_CS_SELECTOR, 0x1_2345);
    expect(root.vmread(F.GUEST_CS_SELECTOR)).toBe(0x2345);
  });
});

describe('VMLAUNCH and VMRESUME', () => {
  test('look at MOV SS blocking (26) before the launch state (4, 5)', () => {
    const world = baseline();
    world.code(0xf4);
    expect(world.root.vmresume()).toEqual({ kind: 'vmfail', error: 5 });
    expect(world.root.vmlaunch()).toEqual({ kind: 'exit' });
    expect(world.root.vmlaunch()).toEqual({ kind: 'vmfail', error: 4 });
    world.machine.cpu.S[INTERRUPTIBILITY] = 2; // blocking by MOV SS
    expect(world.root.vmlaunch()).toEqual({ kind: 'vmfail', error: 26 });
    world.machine.cpu.S[INTERRUPTIBILITY] = 0;
    expect(world.root.vmresume()).toEqual({ kind: 'exit' });
    world.root.vmclear(AT.vmcs);
    world.root.vmptrld(AT.vmcs);
    expect(world.root.vmresume()).toEqual({ kind: 'vmfail', error: 5 });
  });

  test('a failed entry leaves the launch state clear', () => {
    const world = baseline();
    world.code(0xf4);
    world.set(F.GUEST_RFLAGS, 0);
    expect(world.root.vmlaunch()).toEqual({ kind: 'exit' });
    expect(world.get(F.EXIT_REASON)).toBe(0x8000_0021);
    expect(world.root.vmresume()).toEqual({ kind: 'vmfail', error: 5 });
  });
});

describe('INVEPT and INVVPID', () => {
  const eptp = AT.pml4 | 0x1e;
  test.each([
    [1, eptp, 0, ok],
    [2, 0, 0, ok],
    [0, eptp, 0, fails(28)],
    [3, eptp, 0, fails(28)],
    [-1, eptp, 0, fails(28)],
    [1, AT.pml4 | 0x1c, 0, fails(28)], // memory type
    [1, eptp, 0x10, fails(28)], // beyond the physical-address width
    [1, AT.pml4 | 0x16, 0, fails(28)], // length of walks
    [1, AT.pml4 | 0x9e, 0, fails(28)], // reserved bits
    [1, AT.pml4 | 0x81e, 0, fails(28)],
    [1, AT.pml4 | 0x18, 0, ok], // uncacheable
    [1, AT.pml4 | 0x5e, 0, ok], // with accessed and dirty flags
  ])('INVEPT type %i of %i:%i', (type, lo, hi, expected) => {
    expect(rootMode().root.invept(type, lo, hi)).toEqual(expected);
  });

  test.each([
    ['uncacheable tables', EPT_CAP.MEMORY_TYPE_UC, 1, AT.pml4 | 0x18, eptp],
    ['write-back tables', EPT_CAP.MEMORY_TYPE_WB, 1, eptp, AT.pml4 | 0x18],
    ['accessed and dirty flags', EPT_CAP.ACCESSED_DIRTY, 1, AT.pml4 | 0x5e, eptp],
    ['INVEPT of a single context', EPT_CAP.INVEPT_SINGLE_CONTEXT, 1, eptp, null],
    ['INVEPT of all contexts', EPT_CAP.INVEPT_ALL_CONTEXT, 2, 0, null],
  ])('without %s INVEPT fails', (_, lacks, type, refused, accepted) => {
    const { root } = rootMode({ vmx: { capabilities: withoutEpt(lacks) } });
    expect(root.invept(type, refused, 0)).toEqual(fails(28));
    if (accepted !== null) expect(root.invept(type, accepted, 0)).toEqual(ok);
  });

  test.each([
    [0, VPID_CAP.INDIVIDUAL_ADDRESS],
    [1, VPID_CAP.SINGLE_CONTEXT],
    [2, VPID_CAP.ALL_CONTEXT],
    [3, VPID_CAP.SINGLE_CONTEXT_RETAINING_GLOBALS],
  ])('a processor without INVVPID type %i fails it alone', (lacking, lacks) => {
    const { lo, hi } = defaultVmxOptions.eptVpid;
    const capabilities = vmxCapabilities({ ...defaultVmxOptions, eptVpid: { lo, hi: hi & ~lacks } });
    const { root } = rootMode({ vmx: { capabilities } });
    for (const type of [0, 1, 2, 3]) expect(root.invvpid(type, 1, 0)).toEqual(type === lacking ? fails(28) : ok);
  });

  test.each([
    [0, 1, ok],
    [1, 1, ok],
    [2, 0, ok],
    [3, 1, ok],
    [0, 0, fails(28)],
    [1, 0, fails(28)],
    [3, 0, fails(28)],
    [4, 1, fails(28)],
    [1, 0x1_0001, fails(28)], // reserved bits
  ])('INVVPID type %i of VPID %i', (type, vpid, expected) => {
    expect(rootMode().root.invvpid(type, vpid, 0x1000)).toEqual(expected);
  });
});

/** Runs machine code in root operation at 2_0000h until EIP is behind it. */
function execute(world: World, ...bytes: number[]): void {
  world.code(...bytes);
  const { cpu } = world.machine;
  cpu.S[EIP] = AT.code;
  for (let n = 0; n < 20 && cpu.S[EIP] !== AT.code + bytes.length; n++) run(cpu, 1);
}

const FLAGS = 0x8d5;
const CF = 1;
const ZF = 0x40;

describe('as machine code', () => {
  test('success clears the arithmetic flags, VMfailInvalid sets CF alone, VMfailValid ZF alone', () => {
    const world = rootMode();
    const { cpu } = world.machine;
    cpu.setFlags(2 | FLAGS);
    cpu.S[EAX] = F.GUEST_RIP;
    execute(world, 0x0f, 0x78, 0xc3); // vmread ebx, eax
    expect(cpu.getFlags() & FLAGS).toBe(0);
    cpu.S[EAX] = 0x4c02;
    execute(world, 0x0f, 0x78, 0xc3);
    expect(cpu.getFlags() & FLAGS).toBe(ZF);
    world.root.vmclear(AT.vmcs);
    execute(world, 0x0f, 0x78, 0xc3);
    expect(cpu.getFlags() & FLAGS).toBe(CF);
  });

  test('VMWRITE and VMREAD move values between registers, memory and fields', () => {
    const world = rootMode();
    const { cpu } = world.machine;
    cpu.S[EAX] = F.GUEST_RIP;
    cpu.S[EBX] = 0x1234_5678;
    cpu.S[ESI] = AT.stack;
    execute(world, 0x0f, 0x79, 0xc3); // vmwrite eax, ebx
    expect(world.get(F.GUEST_RIP)).toBe(0x1234_5678);
    execute(world, 0x0f, 0x78, 0x06); // vmread [esi], eax
    expect(world.root.memory.read32(AT.stack)).toBe(0x1234_5678);
    expect(cpu.now()).toBe(2);
  });

  test('VMPTRLD, VMPTRST and VMCLEAR take their pointer from memory', () => {
    const world = rootMode();
    const { cpu } = world.machine;
    cpu.S[ESI] = AT.stack;
    world.root.memory.write32(AT.stack, AT.otherVmcs);
    execute(world, 0x66, 0x0f, 0xc7, 0x36); // vmclear [esi]
    execute(world, 0x0f, 0xc7, 0x36); // vmptrld [esi]
    expect(world.root.vmptrst()).toBe(AT.otherVmcs);
    world.root.memory.write32(AT.stack + 0x14, -1);
    execute(world, 0x0f, 0xc7, 0x7e, 0x10); // vmptrst [esi+10h]
    expect(world.root.memory.read32(AT.stack + 0x10)).toBe(AT.otherVmcs);
    expect(world.root.memory.read32(AT.stack + 0x14)).toBe(0);
  });

  test('VMCALL in root operation fails with 1', () => {
    const world = rootMode();
    execute(world, 0x0f, 0x01, 0xc1);
    expect(world.machine.cpu.getFlags() & FLAGS).toBe(ZF);
    expect(world.get(F.VM_INSTRUCTION_ERROR)).toBe(1);
  });

  test('outside VMX operation all but VMXON are undefined, and VMXON needs CR4.VMXE', () => {
    const world = rootMode();
    world.root.vmxoff();
    const { cpu } = world.machine;
    const wake = () => {
      cpu.S[ACTIVITY] = 0;
      cpu.S[EVENTS] = 0;
    };
    for (const bytes of [
      [0x0f, 0x78, 0xc3],
      [0x0f, 0x01, 0xc2],
      [0x0f, 0x01, 0xc4],
      [0x0f, 0x01, 0xc1],
    ]) {
      wake();
      execute(world, ...bytes);
      expect(cpu.S[ACTIVITY]).toBe(2); // the host has no IDT: #UD, then shutdown
    }
    wake();
    cpu.S[CR4] &= ~0x2000;
    cpu.S[ESI] = AT.stack;
    execute(world, 0xf3, 0x0f, 0xc7, 0x36);
    expect(cpu.S[ACTIVITY]).toBe(2);
  });

  test('an assembled hypervisor enters a guest and gets control back at HOST_RIP', () => {
    const world = baseline();
    const { cpu } = world.machine;
    world.vmx.context.onExit = null;
    const host = AT.stack + 0x1000;
    world.root.memory.writeBytes(host, Uint8Array.from([0x41, 0xf4])); // inc ecx; hlt
    world.set(F.HOST_RIP, host);
    const guest = AT.stack + 0x2000;
    world.root.memory.writeBytes(guest, Uint8Array.from([0x43, 0x0f, 0xa2])); // inc ebx; cpuid
    world.set(F.GUEST_RIP, guest);
    cpu.S[EBX] = 0;
    cpu.S[ECX] = 0;
    world.code(0x0f, 0x01, 0xc2); // vmlaunch
    cpu.S[EIP] = AT.code;
    expect(run(cpu, 100)).toBe('halted');
    expect([cpu.S[EBX], cpu.S[ECX], cpu.S[EIP]]).toEqual([1, 1, host + 2]);
    expect(cpu.now()).toBe(4); // vmlaunch, inc ebx, inc ecx, hlt; CPUID did not retire
    expect(cpu.S[EFLAGS] & 0xffff_ff2a).toBe(2);
  });

  test('the preemption timer cuts a run in which an assembled hypervisor enters', () => {
    const world = baseline();
    const { cpu } = world.machine;
    world.vmx.context.onExit = null;
    control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 500);
    const host = AT.stack + 0x1000;
    world.root.memory.writeBytes(host, Uint8Array.from([0xf4]));
    world.set(F.HOST_RIP, host);
    const guest = AT.stack + 0x2000;
    world.root.memory.writeBytes(guest, Uint8Array.from([0x43, 0xeb, 0xfd])); // inc ebx; jmp to itself
    world.set(F.GUEST_RIP, guest);
    world.code(0x0f, 0x01, 0xc2); // vmlaunch
    cpu.S[EBX] = 0;
    cpu.S[EIP] = AT.code;
    expect(world.machine.run()).toEqual({ kind: 'halted' });
    expect(world.get(F.EXIT_REASON)).toBe(52);
    expect(cpu.S[EBX]).toBe(250);
    expect(world.machine.instructions).toBe(502);
  });

  test('fault on an operand leaves flags and VMCS alone', () => {
    const world = rootMode();
    const { cpu } = world.machine;
    cpu.S[EAX] = F.GUEST_RIP;
    cpu.S[ESI] = 0x80_0000; // not mapped
    cpu.setFlags(2 | FLAGS);
    world.code(0x0f, 0x79, 0x06); // vmwrite eax, [esi]
    cpu.S[EIP] = AT.code;
    run(cpu, 1);
    expect(cpu.S[CR2] >>> 0).toBe(0x80_0000);
    expect(cpu.getFlags() & FLAGS).toBe(FLAGS);
    expect(world.get(F.GUEST_RIP)).toBe(0);
  });
});

test('VMX instructions leave non-root operation with displacement and operand description', () => {
  const world = baseline();
  const cases: readonly [number[], number, number, number][] = [
    [[0x0f, 0x01, 0xc1], 18, 0, 0], // vmcall
    [[0x66, 0x0f, 0xc7, 0x76, 0x10], 19, 0x10, 0x0341_8080 | (1 << 22)], // vmclear [esi+10h]
    [[0x0f, 0x01, 0xc2], 20, 0, 0],
    [[0x0f, 0xc7, 0x36], 21, 0, 0x0341_8080 | (1 << 22)],
    [[0x0f, 0xc7, 0x3e], 22, 0, 0x0341_8080 | (1 << 22)],
    [[0x0f, 0x78, 0xd8], 23, 0, 0x3000_0400], // vmread eax, ebx
    [[0x0f, 0x01, 0xc3], 24, 0, 0],
    [[0x0f, 0x79, 0xd8], 25, 0, 0x3000_0400], // vmwrite ebx, eax
    [[0x0f, 0x01, 0xc4], 26, 0, 0],
    [[0xf3, 0x0f, 0xc7, 0x36], 27, 0, 0x0341_8080 | (1 << 22)],
    [[0x66, 0x0f, 0x38, 0x80, 0x0c, 0x9e], 50, 0, 0x1300_0000 | (6 << 23) | (3 << 18) | (3 << 15) | 0x82],
    [[0x66, 0x0f, 0x38, 0x81, 0x0e], 53, 0, 0x1341_8080 | (1 << 22)],
  ];
  control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0);
  let launch = true;
  for (const [bytes, reason, qualification, info] of cases) {
    world.code(...bytes);
    world.set(F.GUEST_RIP, AT.code);
    expect(launch ? world.root.vmlaunch() : world.root.vmresume()).toEqual({ kind: 'exit' });
    launch = false;
    expect(world.get(F.EXIT_REASON)).toBe(reason);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(qualification);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(bytes.length);
    const mask = reason === 50 || reason === 53 ? 0xffff_ff83 : 0xffff_ffff;
    expect([reason, (world.get(F.VM_EXIT_INSTRUCTION_INFORMATION) & mask) >>> 0]).toEqual([
      reason,
      (info & mask) >>> 0,
    ]);
  }
});
