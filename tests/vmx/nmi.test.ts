/** NMIs and activity states in non-root operation. Expected values: SDM Vol. 3, "Non-Maskable Interrupts", "Changes to Instruction
 *  Behavior in VMX Non-Root Operation" (IRET), "Guest Non-Register State", "Handling Multiple NMIs". */
import { expect, test } from 'vitest';
import { ACTIVITY, INTERRUPTIBILITY } from '../../src/base/registers.ts';
import { PIN_BASED, PRIMARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, CODE, control, exitReason, gate, type World } from './support.ts';

const PIN = F.PIN_BASED_VM_EXECUTION_CONTROLS;
const CPUID = [0x0f, 0xa2];
const IRET = 0xcf;
const NMI_INFO = 0x8000_0202;

/** What the guest's stack holds for an IRET to `eip` in `cs`. */
function frame(world: World, eip: number, cs = CODE): void {
  const { memory } = world.root;
  memory.write32(AT.stack, eip);
  memory.write32(AT.stack + 4, cs);
  memory.write32(AT.stack + 8, 2);
}

test('with NMI exiting an NMI leaves the guest before the next instruction, and the host has NMIs blocked', () => {
  const world = baseline();
  world.code(...CPUID);
  world.machine.nmi();
  expect(exitReason(world)).toBe(EXIT.EXCEPTION_OR_NMI);
  expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(NMI_INFO);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code);
  expect(world.machine.cpu.S[INTERRUPTIBILITY]).toBe(8);
  expect(exitReason(world, false)).toBe(EXIT.CPUID); // it was one NMI
});

test('without NMI exiting the guest handles the NMI, and blocks others until its IRET', () => {
  const world = baseline();
  control(world, PIN, PIN_BASED.NMI_EXITING, false);
  world.code(0x90, ...CPUID);
  gate(world, 2, AT.code + 0x100);
  world.root.memory.writeBytes(AT.code + 0x100, Uint8Array.of(0x43, 0x80, 0xfb, 2, 0x74, 2, ...CPUID, IRET)); // INC EBX; twice: IRET
  world.machine.nmi();
  expect(exitReason(world)).toBe(EXIT.CPUID);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + 0x106);
  expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(8);
  world.machine.nmi();
  world.set(F.GUEST_RIP, AT.code + 0x108);
  expect(exitReason(world, false)).toBe(EXIT.CPUID); // IRET, NMI, handler with EBX = 2, IRET, NOP
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + 1);
  expect(world.root.getRegister(3)).toBe(2);
  expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(0);
});

test('an NMI that exits waits while the guest has NMIs blocked; with virtual NMIs it does not', () => {
  for (const virtual of [false, true]) {
    const world = baseline();
    control(world, PIN, PIN_BASED.VIRTUAL_NMIS, virtual);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, 8);
    world.code(...CPUID);
    world.machine.nmi();
    expect(exitReason(world)).toBe(virtual ? EXIT.EXCEPTION_OR_NMI : EXIT.CPUID);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(8);
  }
});

test.each([
  ['NMIs exit', true, false, 8],
  ['NMIs are virtual', true, true, 0],
  ['NMIs are the guest’s', false, false, 0],
] as const)('IRET and blocking by NMI when %s', (_, exiting, virtual, left) => {
  const world = baseline();
  control(world, PIN, PIN_BASED.NMI_EXITING, exiting);
  control(world, PIN, PIN_BASED.VIRTUAL_NMIS, virtual);
  world.set(F.GUEST_INTERRUPTIBILITY_STATE, 8);
  frame(world, AT.code + 1);
  world.code(IRET, ...CPUID);
  expect(exitReason(world)).toBe(EXIT.CPUID);
  expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(left);
});

test('an injected virtual NMI blocks virtual NMIs, and the NMI window opens with the IRET', () => {
  const world = baseline();
  control(world, PIN, PIN_BASED.VIRTUAL_NMIS);
  control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.NMI_WINDOW_EXITING);
  world.code(0x90);
  gate(world, 2, AT.code + 0x100);
  world.root.memory.writeBytes(AT.code + 0x100, Uint8Array.of(0x43, IRET));
  world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, NMI_INFO | 0);
  expect(exitReason(world)).toBe(EXIT.NMI_WINDOW);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code);
  expect(world.root.getRegister(3)).toBe(1);
});

test.each([
  ['an intercepted fault', (world: World) => frame(world, AT.code, 0x40)],
  [
    'an EPT violation on the stack',
    (world: World) => {
      world.root.memory.write32(AT.directory + 4, 0x40_0083);
      world.set(F.GUEST_RSP, 0x40_0000);
    },
  ],
])('an IRET that unblocks NMIs and ends in %s says so in bit 12', (_, spoil) => {
  for (const [bits, blocked] of [
    [PIN_BASED.VIRTUAL_NMIS, 8],
    [0, 8],
    [PIN_BASED.VIRTUAL_NMIS, 0],
  ] as const) {
    const world = baseline();
    control(world, PIN, bits);
    world.set(F.EXCEPTION_BITMAP, 1 << 13);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, blocked);
    spoil(world);
    world.code(IRET);
    const reason = exitReason(world);
    const field = reason === EXIT.EPT_VIOLATION ? F.EXIT_QUALIFICATION : F.VM_EXIT_INTERRUPTION_INFORMATION;
    const unblocked = bits !== 0 && blocked !== 0;
    expect((world.get(field) >>> 12) & 1).toBe(unblocked ? 1 : 0);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(unblocked || blocked === 0 ? 0 : 8);
  }
});

test('an NMI exits from HLT and from shutdown, but not from wait-for-SIPI; the activity state is saved as it was', () => {
  for (const state of [1, 2, 3]) {
    const world = baseline();
    control(world, PIN, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 1000);
    world.set(F.GUEST_ACTIVITY_STATE, state);
    world.machine.nmi();
    const reached = world.root.vmlaunch();
    if (state === 3) expect(reached).toEqual({ kind: 'stopped', why: 'halted' });
    else {
      expect(reached).toEqual({ kind: 'exit' });
      expect(world.get(F.EXIT_REASON)).toBe(EXIT.EXCEPTION_OR_NMI);
      expect(world.get(F.GUEST_ACTIVITY_STATE)).toBe(state);
    }
  }
});

test('the preemption timer runs in HLT and in shutdown, interrupts end the first only', () => {
  for (const state of [1, 2]) {
    const world = baseline();
    control(world, PIN, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 1000);
    world.set(F.GUEST_ACTIVITY_STATE, state);
    world.set(F.GUEST_RFLAGS, 0x202);
    const start = world.root.now();
    expect(exitReason(world)).toBe(EXIT.PREEMPTION_TIMER);
    expect(world.root.now() - start).toBe(1000);
    world.machine.cpu.setInterruptLine(true);
    expect(exitReason(world, false)).toBe(state === 1 ? EXIT.EXTERNAL_INTERRUPT : EXIT.PREEMPTION_TIMER);
  }
});

test('an NMI that waits is part of the saved state', () => {
  const world = baseline();
  world.code(...CPUID);
  world.machine.nmi();
  const saved = JSON.parse(JSON.stringify(world.machine.save()));
  const other = baseline();
  other.machine.restore(saved);
  expect(exitReason(other)).toBe(EXIT.EXCEPTION_OR_NMI);
});

test('reset takes the processor out of VMX operation', () => {
  const world = baseline();
  world.code(0xeb, 0xfe);
  world.root.maxInstructions = world.machine.instructions + 10;
  world.root.vmlaunch();
  world.machine.cpu.reset();
  expect(world.vmx.inVmxOperation).toBe(false);
  expect(world.vmx.nonRoot).toBe(false);
  expect(world.vmx.save().active).toEqual([]);
  expect(world.machine.cpu.mmu.eptEnabled).toBe(false);
  expect(world.machine.cpu.S[ACTIVITY]).toBe(0);
});
