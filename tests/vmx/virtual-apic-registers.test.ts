/** Which registers of the APIC-access page a guest reads and writes without leaving, for every combination of controls
 *  (SDM Vol. 3, "Virtualizing Reads from the APIC-Access Page", "Virtualizing Writes to the APIC-Access Page", "APIC-Write VM Exits"). */
import { expect, test } from 'vitest';
import { EAX } from '../../src/base/registers.ts';
import { PRIMARY, SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, gate, type World } from './support.ts';

const VAPIC = 0x2_8000;
const APIC = 0x3_8000;
const HLT = 0xf4;
const REGISTERS = SECONDARY.APIC_REGISTER_VIRTUALIZATION;
const DELIVERY = SECONDARY.VIRTUAL_INTERRUPT_DELIVERY;

const TPR = 0x80;
const EOI = 0xb0;
const ICR_LOW = 0x300;
const ICR_HIGH = 0x310;

/** Local-vector table: timer, thermal, performance counters, LINT0, LINT1, error. */
const LVT = [0x320, 0x330, 0x340, 0x350, 0x360, 0x370];
/** ID, TPR, EOI, LDR, DFR, SVR, ESR, ICR, LVT, initial count, divide configuration. */
const BOTH = [0x20, TPR, EOI, 0xd0, 0xe0, 0xf0, 0x280, ICR_LOW, ICR_HIGH, ...LVT, 0x380, 0x3e0];
/** Version; eight registers each of ISR, TMR and IRR. */
const READ_ONLY = [0x30, ...Array.from({ length: 24 }, (_, n) => 0x100 + 16 * n)];

const readable = (secondary: number): number[] => ((secondary & REGISTERS) !== 0 ? [...BOTH, ...READ_ONLY] : [TPR]);
function writable(secondary: number): number[] {
  if ((secondary & REGISTERS) !== 0) return BOTH;
  return (secondary & DELIVERY) !== 0 ? [TPR, EOI, ICR_LOW] : [TPR];
}

function guest(secondary: number): World {
  const world = baseline();
  world.root.memory.fill(VAPIC, 4096, 0);
  control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.USE_TPR_SHADOW);
  const field = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
  control(world, field, SECONDARY.VIRTUALIZE_APIC_ACCESSES | secondary);
  world.set(F.VIRTUAL_APIC_ADDRESS, VAPIC);
  world.set(F.APIC_ACCESS_ADDRESS, APIC);
  return world;
}

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);

/** Runs code, with HLT behind it, from the start. */
function reason(world: World, launch: boolean, ...code: number[]): number {
  world.code(...code, HLT);
  world.root.invept(2, 0, 0);
  world.set(F.GUEST_RIP, AT.code);
  return exitReason(world, launch);
}

const OFFSETS = Array.from({ length: 64 }, (_, n) => 16 * n);
const COMBINATIONS = [
  ['TPR shadow', 0],
  ['register virtualisation', REGISTERS],
  ['virtual-interrupt delivery', DELIVERY],
  ['both', REGISTERS | DELIVERY],
] as const;

test.each(COMBINATIONS)('registers that are read from the virtual-APIC page: %s', (_, secondary) => {
  const world = guest(secondary);
  const found = OFFSETS.filter((offset, n) => {
    world.root.memory.write32(VAPIC + offset, 0x1234_0000 + offset);
    const exit = reason(world, n === 0, 0xa1, ...dword(APIC + offset)); // mov eax, [offset]
    world.root.memory.write32(VAPIC + offset, 0);
    if (exit === EXIT.HLT) expect(world.root.getRegister(EAX)).toBe(0x1234_0000 + offset);
    else expect([exit, world.get(F.EXIT_QUALIFICATION)]).toEqual([EXIT.APIC_ACCESS, offset]);
    return exit === EXIT.HLT;
  });
  expect(found).toEqual(readable(secondary).sort((a, b) => a - b));
});

test.each(COMBINATIONS)('registers that are written in the virtual-APIC page, and what follows: %s', (_, secondary) => {
  const world = guest(secondary);
  for (const [n, offset] of OFFSETS.entries()) {
    const exit = reason(world, n === 0, 0xc7, 0x05, ...dword(APIC + offset), 0, 0, 0, 0); // mov dword [offset], 0
    const goesOn = offset === TPR || offset === ICR_HIGH || (offset === EOI && (secondary & DELIVERY) !== 0);
    const virtual = goesOn ? EXIT.HLT : EXIT.APIC_WRITE;
    const expected = writable(secondary).includes(offset) ? virtual : EXIT.APIC_ACCESS;
    expect(exit, `offset ${offset.toString(16)}h`).toBe(expected);
    if (exit !== EXIT.HLT) {
      const kind = exit === EXIT.APIC_ACCESS ? 0x1000 : 0;
      expect(world.get(F.EXIT_QUALIFICATION)).toBe(offset | kind);
    }
  }
});

/** Virtual-interrupt delivery; the handlers of 41h and 61h count in the low and the next byte of EBX, and halt. */
function handlers(): World {
  const world = guest(DELIVERY);
  gate(world, 0x41, AT.code + 0x100);
  gate(world, 0x61, AT.code + 0x110);
  world.root.memory.writeBytes(AT.code + 0x100, Uint8Array.of(0xfe, 0xc3, HLT)); // inc bl
  world.root.memory.writeBytes(AT.code + 0x110, Uint8Array.of(0xfe, 0xc7, HLT)); // inc bh
  world.set(F.GUEST_RFLAGS, 0x202);
  return world;
}
const bitOf = (vector: number): readonly [offset: number, bit: number] => [(vector >> 5) << 4, 1 << (vector & 31)];
const register = (world: World, base: number, vector: number): number =>
  world.root.memory.read32(VAPIC + base + bitOf(vector)[0]);

test('of two virtual interrupts that are requested the higher is delivered, the other becomes RVI', () => {
  const world = handlers();
  for (const vector of [0x41, 0x61]) world.root.memory.write32(VAPIC + 0x200 + bitOf(vector)[0], bitOf(vector)[1]);
  world.set(F.GUEST_INTERRUPT_STATUS, 0x61);
  world.code(HLT);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(3)).toBe(0x100);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0x6141);
  expect(register(world, 0x200, 0x61)).toBe(0);
  expect(register(world, 0x200, 0x41)).toBe(2);
});

test('EOI ends the highest interrupt in service, and the next one in service becomes SVI', () => {
  const world = handlers();
  for (const vector of [0x41, 0x61]) world.root.memory.write32(VAPIC + 0x100 + bitOf(vector)[0], bitOf(vector)[1]);
  world.set(F.GUEST_INTERRUPT_STATUS, 0x6100);
  expect(reason(world, true, 0xc7, 0x05, ...dword(APIC + EOI), 0, 0, 0, 0)).toBe(EXIT.HLT);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0x4100);
  expect(register(world, 0x100, 0x61)).toBe(0);
  expect(register(world, 0x100, 0x41)).toBe(2);
  expect(world.root.memory.read32(VAPIC + 0xa0)).toBe(0x40); // PPR
});

test('a self-IPI that cannot be delivered yet is requested: IRR and RVI', () => {
  const world = handlers();
  world.set(F.GUEST_RFLAGS, 2);
  const ipi = [0xc7, 0x05, ...dword(APIC + ICR_LOW), ...dword(0x4_0061)];
  expect(reason(world, true, ...ipi)).toBe(EXIT.HLT);
  expect(register(world, 0x200, 0x61)).toBe(2);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0x61);
  // a lower one leaves RVI as it is
  const lower = [0xc7, 0x05, ...dword(APIC + ICR_LOW), ...dword(0x4_0041)];
  expect(reason(world, false, ...lower)).toBe(EXIT.HLT);
  expect(register(world, 0x200, 0x41)).toBe(2);
  expect(world.get(F.GUEST_INTERRUPT_STATUS)).toBe(0x61);
});

test('MSRs below and above those of an x2APIC are no registers of it', () => {
  const world = guest(SECONDARY.VIRTUALIZE_X2APIC_MODE | REGISTERS);
  const field = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
  control(world, field, SECONDARY.VIRTUALIZE_APIC_ACCESSES, false);
  world.set(F.EXCEPTION_BITMAP, 1 << 13);
  for (const [n, index] of [0x7ff, 0x900].entries()) {
    expect(reason(world, n === 0, 0xb9, ...dword(index), 0x0f, 0x32), index.toString(16)).toBe(EXIT.EXCEPTION_OR_NMI);
  }
  for (const index of [0x800, 0x8ff]) expect(reason(world, false, 0xb9, ...dword(index), 0x0f, 0x32)).toBe(EXIT.HLT);
});
