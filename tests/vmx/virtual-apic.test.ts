/** The virtual APIC. Expected values: SDM Vol. 3, "APIC Virtualization and Virtual Interrupts", and the table of the exit qualification
 *  for APIC-access VM exits. */
import { expect, test } from 'vitest';
import { EAX, EBX } from '../../src/base/registers.ts';
import { PIN_BASED, PRIMARY, SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, gate, type World } from './support.ts';

const VAPIC = 0x2_8000;
/** The APIC-access page is a frame that the guest has in its identity map. */
const APIC = 0x3_8000;
const HLT = 0xf4;
const CPUID = [0x0f, 0xa2];
const REGISTERS = SECONDARY.APIC_REGISTER_VIRTUALIZATION;
const DELIVERY = SECONDARY.VIRTUAL_INTERRUPT_DELIVERY;

function virtualApic(secondary = 0, tprShadow = true): World {
  const world = baseline();
  world.root.memory.fill(VAPIC, 4096, 0);
  world.root.memory.fill(APIC, 4096, 0xee);
  if (tprShadow) control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.USE_TPR_SHADOW);
  const bits = SECONDARY.VIRTUALIZE_APIC_ACCESSES | secondary;
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, bits);
  if (tprShadow) world.set(F.VIRTUAL_APIC_ADDRESS, VAPIC);
  world.set(F.APIC_ACCESS_ADDRESS, APIC);
  return world;
}

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
/** MOV EAX, [APIC + offset] */
const load = (offset: number): number[] => [0xa1, ...dword(APIC + offset)];
/** MOV DWORD [APIC + offset], value */
const store = (offset: number, value: number): number[] => [0xc7, 0x05, ...dword(APIC + offset), ...dword(value)];
const register = (world: World, offset: number): number => world.root.memory.read32(VAPIC + offset) >>> 0;

test('without a TPR shadow every access to the APIC-access page exits', () => {
  for (const [code, kind] of [
    [load(0x80), 0],
    [store(0x80, 1), 1],
    [[0xe9, ...dword(APIC + 0x80 - AT.code - 5)], 2],
    [[0x80, 0x0d, ...dword(APIC + 0x84), 1], 1], // OR BYTE: a read with write intent
  ] as const) {
    const world = virtualApic(0, false);
    world.code(...code);
    expect(exitReason(world)).toBe(EXIT.APIC_ACCESS);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe((kind << 12) | (code[0] === 0x80 ? 0x84 : 0x80));
    expect(world.get(F.GUEST_RIP)).toBe(kind === 2 ? APIC + 0x80 : AT.code);
  }
});

test('an access during the delivery of an event is told as such, with the event', () => {
  const world = virtualApic();
  world.set(F.GUEST_RSP, APIC + 0x8c);
  gate(world, 0x20, AT.code);
  world.code(0xcd, 0x20);
  expect(exitReason(world)).toBe(EXIT.APIC_ACCESS);
  expect(world.get(F.EXIT_QUALIFICATION) >>> 12).toBe(3);
  expect(world.get(F.IDT_VECTORING_INFORMATION)).toBe(0x8000_0420);
  expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(2);
});

/** The guest's tables for its second 4 MiB lie in the APIC-access page; entry 0 of its page table leads to the frame at 3_9000h. */
function tablesInApicPage(flags = 0): World {
  const world = virtualApic(0, false);
  const { memory } = world.root;
  memory.write32(AT.directory + 4, APIC | 0x23);
  memory.write32(APIC, 0x3_9003 | flags);
  memory.write32(APIC + 4, 0x3_9003 | flags);
  return world;
}

test('a page walk over the APIC-access page exits, whatever the instruction wants of the address', () => {
  for (const [code, offset] of [
    [[0xa1, ...dword(0x40_0000)], 0], // MOV EAX, [0x400000]
    [[0xa3, ...dword(0x40_1000)], 4], // MOV [0x401000], EAX
    [[0xe9, ...dword(0x40_1000 - AT.code - 5)], 4],
  ] as const) {
    const world = tablesInApicPage(0x60);
    world.code(...code);
    expect(exitReason(world)).toBe(EXIT.APIC_ACCESS);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(0xf000 | offset);
    expect(world.get(F.GUEST_RIP)).toBe(code[0] === 0xe9 ? 0x40_1000 : AT.code);
    expect(world.root.memory.read32(APIC)).toBe(0x3_9063);
  }
});

test('without EPT a page walk uses the APIC-access page as any other', () => {
  const world = tablesInApicPage();
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.ENABLE_EPT, false);
  world.root.memory.write32(0x3_9000, 0x1234);
  world.code(0xa1, ...dword(0x40_0000), HLT);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EAX)).toBe(0x1234);
});

test('a table of page-directory pointers in the APIC-access page makes MOV to CR3 exit', () => {
  const world = virtualApic(0, false);
  world.set(F.GUEST_CR4, 0x2020);
  world.set(F.GUEST_CR3, AT.directory);
  world.set(F.GUEST_PDPTE0, AT.linked | 1);
  world.root.memory.write32(AT.linked, 0xe3);
  world.root.memory.write32(AT.linked + 4, 0);
  world.root.setRegister(EAX, APIC + 0x40);
  world.code(0x0f, 0x22, 0xd8);
  expect(exitReason(world)).toBe(EXIT.APIC_ACCESS);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(0xf040);
  expect(world.get(F.GUEST_CR3)).toBe(AT.directory);
});

test('with a TPR shadow the TPR is read and written in the virtual-APIC page, other registers exit', () => {
  const world = virtualApic();
  world.root.memory.write32(VAPIC + 0x80, 0x40);
  world.code(...load(0x80), 0x89, 0xc3, ...store(0x80, 0x1234_5671), 0x90, ...load(0x20));
  expect(exitReason(world)).toBe(EXIT.APIC_ACCESS);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(0x20);
  expect(world.root.getRegister(EBX)).toBe(0x40);
  expect(register(world, 0x80)).toBe(0x71); // bytes 3:1 are cleared
  expect(world.root.memory.read32(APIC + 0x80) >>> 0).toBe(0xeeee_eeee);
});

test('what was cached of the page before it became the APIC-access page is not used', () => {
  const world = virtualApic();
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.VIRTUALIZE_APIC_ACCESSES, false);
  world.code(...load(0x80), HLT, ...load(0x80), HLT);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EAX)).toBe(0xeeee_eeee | 0);
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.VIRTUALIZE_APIC_ACCESSES);
  world.set(F.GUEST_RIP, AT.code + 6);
  expect(exitReason(world, false)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EAX)).toBe(0);
});

test('accesses that are not one of the low four bytes of a register exit', () => {
  for (const offset of [0x84, 0x7f, 0x82]) {
    const world = virtualApic(REGISTERS);
    world.code(...load(offset));
    expect(exitReason(world), offset.toString(16)).toBe(EXIT.APIC_ACCESS);
  }
});

test('a TPR below the threshold exits behind the instruction that wrote it', () => {
  const world = virtualApic();
  world.root.memory.write32(VAPIC + 0x80, 0x50);
  world.set(F.TPR_THRESHOLD, 4);
  const first = store(0x80, 0x40);
  const second = store(0x80, 0x3f);
  world.code(0x90, ...first, 0x90, ...second, 0x40, 0x40, HLT);
  expect(exitReason(world)).toBe(EXIT.TPR_BELOW_THRESHOLD);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + 2 + first.length + second.length);
  expect(register(world, 0x80)).toBe(0x3f);
});

test('a TPR below the threshold exits right after VM entry', () => {
  const world = virtualApic();
  world.set(F.TPR_THRESHOLD, 1);
  world.code(...CPUID);
  expect(exitReason(world)).toBe(EXIT.TPR_BELOW_THRESHOLD);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code);
});

test('each instruction that writes counts once, though it starts twice', () => {
  const world = virtualApic();
  const start = world.root.now();
  world.code(...store(0x80, 1), ...store(0x80, 2), HLT);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.now() - start).toBe(2);
});

test('a read-modify-write instruction on the TPR is executed once', () => {
  const world = virtualApic();
  world.root.memory.write32(VAPIC + 0x80, 0x10);
  world.code(0x83, 0x05, ...dword(APIC + 0x80), 0x10, HLT); // ADD DWORD [TPR], 10h
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(register(world, 0x80)).toBe(0x20);
});

test('APIC-register virtualisation: registers are read without an exit, writes exit behind the instruction', () => {
  const world = virtualApic(REGISTERS);
  world.root.memory.write32(VAPIC + 0x20, 0x0700_0000);
  const write = store(0xf0, 0x1ff);
  world.code(...load(0x20), 0x89, 0xc3, ...write, HLT, ...load(0x390));
  expect(exitReason(world)).toBe(EXIT.APIC_WRITE);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(0xf0);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + 7 + write.length);
  expect(world.root.getRegister(EBX)).toBe(0x0700_0000);
  expect(register(world, 0xf0)).toBe(0x1ff);
  world.set(F.GUEST_RIP, AT.code + 8 + write.length);
  expect(exitReason(world, false)).toBe(EXIT.APIC_ACCESS); // the current count
});

test('a write to the high half of the ICR keeps the destination only', () => {
  const world = virtualApic(REGISTERS);
  world.code(...store(0x310, 0x12ff_ffff), HLT);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(register(world, 0x310)).toBe(0x1200_0000);
});

/** Virtual-interrupt delivery with a handler for 51h that counts in EBX. */
function delivering(): World {
  const world = virtualApic(DELIVERY);
  gate(world, 0x51, AT.code + 0x100);
  world.root.memory.writeBytes(AT.code + 0x100, Uint8Array.of(0x43, HLT, ...store(0xb0, 0), HLT));
  world.set(F.GUEST_RFLAGS, 0x202);
  return world;
}

test('a virtual interrupt that is pending is delivered after VM entry, and EOI ends it', () => {
  const world = delivering();
  world.root.memory.write32(VAPIC + 0x220, 1 << 0x11); // IRR: 51h
  world.set(F.GUEST_INTERRUPT_STATUS, 0x51);
  world.code(...CPUID);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EBX)).toBe(1);
  expect(register(world, 0x220)).toBe(0);
  expect(register(world, 0x120)).toBe(1 << 0x11); // ISR
  expect(register(world, 0xa0)).toBe(0x50); // PPR
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0x5100);
  world.set(F.GUEST_RIP, AT.code + 0x102);
  expect(exitReason(world, false)).toBe(EXIT.HLT);
  expect(register(world, 0x120)).toBe(0);
  expect(register(world, 0xa0)).toBe(0);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0);
});

test('an EOI whose vector is in the EOI-exit bitmap exits behind the instruction', () => {
  const world = delivering();
  world.root.memory.write32(VAPIC + 0x120, 1 << 0x11);
  world.set(F.GUEST_INTERRUPT_STATUS, 0x5100);
  world.set(F.EOI_EXIT_BITMAP_1, 1 << 0x11);
  const eoi = store(0xb0, 0);
  world.code(...eoi, HLT);
  expect(exitReason(world)).toBe(EXIT.VIRTUALIZED_EOI);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(0x51);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + eoi.length);
});

test('a virtual interrupt waits for its priority, for IF and for STI, and a lower TPR lets it through', () => {
  const world = delivering();
  world.set(F.GUEST_RFLAGS, 2);
  world.root.memory.write32(VAPIC + 0x220, 1 << 0x11);
  world.root.memory.write32(VAPIC + 0x80, 0x60);
  world.set(F.GUEST_INTERRUPT_STATUS, 0x51);
  const lower = store(0x80, 0x40);
  world.code(0xfb, 0x41, ...lower, 0x41, HLT); // STI, INC ECX, MOV TPR, INC ECX
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EBX)).toBe(1);
  expect(world.root.getRegister(1)).toBe(1);
});

test('a self-IPI requests a virtual interrupt at once; any other command exits', () => {
  const world = delivering();
  const self = store(0x300, 0x4_0051);
  world.code(...self, HLT, ...store(0x300, 0xc_0051));
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EBX)).toBe(1);
  world.set(F.GUEST_RIP, AT.code + self.length + 1);
  expect(exitReason(world, false)).toBe(EXIT.APIC_WRITE);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(0x300);
});

/** MOV ECX, index; MOV EAX, value; XOR EDX, EDX; WRMSR */
const wrmsr = (index: number, value: number): number[] => [
  0xb9,
  ...dword(index),
  0xb8,
  ...dword(value),
  0x31,
  0xd2,
  0x0f,
  0x30,
];
const rdmsr = (index: number): number[] => [0xb9, ...dword(index), 0x0f, 0x32];

/** The x2APIC of a guest whose MSR accesses do not exit. */
function x2apic(secondary: number): World {
  const world = virtualApic(secondary | SECONDARY.VIRTUALIZE_X2APIC_MODE);
  const field = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
  control(world, field, SECONDARY.VIRTUALIZE_APIC_ACCESSES, false);
  world.set(F.EXCEPTION_BITMAP, 1 << 13);
  return world;
}

test('x2APIC mode: the TPR by MSR, with reserved bits, and its threshold', () => {
  const world = x2apic(0);
  world.root.memory.write32(VAPIC + 0x80, 0x50);
  world.set(F.TPR_THRESHOLD, 3);
  const first = [...rdmsr(0x808), 0x89, 0xc3, ...wrmsr(0x808, 0x20)];
  world.code(...first, HLT, ...wrmsr(0x808, 0x100));
  expect(exitReason(world)).toBe(EXIT.TPR_BELOW_THRESHOLD);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + first.length);
  expect(world.root.getRegister(EBX)).toBe(0x50);
  world.set(F.TPR_THRESHOLD, 0);
  world.set(F.GUEST_RIP, AT.code + first.length + 1);
  expect(exitReason(world, false)).toBe(EXIT.EXCEPTION_OR_NMI);
  world.code(...rdmsr(0x802)); // no other register is virtualised
  world.set(F.GUEST_RIP, AT.code);
  expect(exitReason(world, false)).toBe(EXIT.EXCEPTION_OR_NMI);
});

test('x2APIC mode: self-IPI and EOI by MSR deliver and end a virtual interrupt; a vector below 16 exits', () => {
  const world = x2apic(DELIVERY | REGISTERS);
  gate(world, 0x51, AT.code + 0x100);
  world.root.memory.writeBytes(AT.code + 0x100, Uint8Array.of(0x43, HLT, ...wrmsr(0x80b, 0), ...rdmsr(0x812), HLT));
  world.set(F.GUEST_RFLAGS, 0x202);
  world.code(...wrmsr(0x83f, 0x51), HLT, ...wrmsr(0x83f, 0xf));
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EBX)).toBe(1);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0x5100);
  world.set(F.GUEST_RIP, AT.code + 0x102);
  expect(exitReason(world, false)).toBe(EXIT.HLT);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0);
  expect(world.root.getRegister(EAX)).toBe(0); // ISR
  world.set(F.GUEST_RIP, AT.code + 15);
  expect(exitReason(world, false)).toBe(EXIT.APIC_WRITE);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(0x3f0);
});

test('a virtual interrupt ends HLT, and interrupt-window exiting keeps it from being recognised', () => {
  for (const window of [false, true]) {
    const world = delivering();
    control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.INTERRUPT_WINDOW_EXITING, window);
    world.root.memory.write32(VAPIC + 0x220, 1 << 0x11);
    world.set(F.GUEST_INTERRUPT_STATUS, 0x51);
    world.set(F.GUEST_ACTIVITY_STATE, 1);
    expect(exitReason(world)).toBe(window ? EXIT.INTERRUPT_WINDOW : EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(window ? 0 : 1);
  }
});

test('a write that is still to be followed up, and a recognised interrupt, are part of the saved state', () => {
  const world = delivering();
  world.root.memory.write32(VAPIC + 0x220, 1 << 0x11);
  world.set(F.GUEST_INTERRUPT_STATUS, 0x51);
  world.set(F.GUEST_RFLAGS, 2);
  world.code(0x90, 0x90, 0x90, 0xfb, 0x90, 0x90);
  control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.EXTERNAL_INTERRUPT_EXITING);
  world.root.maxInstructions = world.machine.instructions + 2;
  expect(world.root.vmlaunch()).toEqual({ kind: 'budget' });
  const saved = JSON.parse(JSON.stringify(world.machine.save()));
  expect(saved.vmx).toMatchObject({ virtualInterrupt: true, apicWrite: -1 });
  const other = delivering();
  other.machine.restore(saved);
  expect(other.root.resumeInterrupted()).toEqual({ kind: 'exit' });
  expect(other.root.getRegister(EBX)).toBe(1);
});
