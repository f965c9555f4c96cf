/** INIT signals and start-up IPIs in VMX operation, sent as a local APIC would pass them on. Expected values: SDM Vol. 3, "Other Causes of
 *  VM Exits", "Restrictions on VMX Operation" (INIT is blocked in root operation), "Guest Non-Register State", "Exit Qualification". */
import { describe, expect, test } from 'vitest';
import { ACTIVITY, CR0, CS, EIP, SEG_BASE } from '../../src/base/registers.ts';
import { PIN_BASED, PRIMARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { decodeQualification } from '../../src/vmx/qualification.ts';
import { AT, baseline, control, exitReason, type World } from './support.ts';

const LOOP = [0x40, 0xeb, 0xfd]; // INC EAX, JMP
const WAIT_FOR_SIPI = 3;

function looping(): World {
  const world = baseline();
  world.code(...LOOP);
  return world;
}

describe('INIT', () => {
  test('exits before the next instruction, and changes nothing of the guest', () => {
    const world = looping();
    world.set(F.GUEST_RFLAGS, 0x8d7);
    world.machine.init();
    expect(exitReason(world)).toBe(EXIT.INIT);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(0);
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(0);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(world.get(F.GUEST_RFLAGS)).toBe(0x8d7);
    expect(world.get(F.GUEST_CR0)).toBe(0x8001_0031);
    expect(world.machine.cpu.initPending).toBe(false);
  });

  test.each([1, 2])('exits from activity state %i, which is saved', (state) => {
    const world = looping();
    world.set(F.GUEST_ACTIVITY_STATE, state);
    world.machine.init();
    expect(exitReason(world)).toBe(EXIT.INIT);
    expect(world.get(F.GUEST_ACTIVITY_STATE)).toBe(state);
  });

  test('comes before the monitor trap flag, pending debug exceptions, the preemption timer and an NMI', () => {
    const world = looping();
    control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.MONITOR_TRAP_FLAG);
    control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 0);
    world.set(F.GUEST_RFLAGS, 0x102);
    world.set(F.GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000);
    world.machine.nmi();
    world.machine.init();
    expect(exitReason(world)).toBe(EXIT.INIT);
    expect(world.get(F.GUEST_PENDING_DEBUG_EXCEPTIONS)).toBe(0x4000);
    expect(exitReason(world, false)).not.toBe(EXIT.INIT); // it was one
  });

  test('waits in root operation, and exits from the guest that is entered next', () => {
    const world = looping();
    world.code(0xf4);
    expect(exitReason(world)).toBe(EXIT.HLT);
    world.machine.init();
    expect(world.machine.run({ maxInstructions: 0 }).kind).toBe('limit');
    expect(world.machine.cpu.initPending).toBe(true);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.INIT);
  });

  test('waits in root operation until VMXOFF, and then initialises the processor', () => {
    const world = baseline();
    const { cpu } = world.machine;
    world.machine.init();
    expect(cpu.initDue).toBe(false);
    expect(world.root.vmxoff().ok).toBe(true);
    expect(cpu.initDue).toBe(true);
    world.machine.run({ maxInstructions: 1 });
    expect(cpu.S[CR0]).toBe(0x10); // CD and NW stay as they were
    expect(cpu.initPending).toBe(false);
    expect(cpu.monitor?.inVmxOperation).toBe(false);
  });

  test('is blocked while a guest waits for a start-up IPI', () => {
    const world = looping();
    world.set(F.GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI);
    world.machine.init();
    expect(world.root.vmlaunch()).toEqual({ kind: 'stopped', why: 'halted' });
    expect(world.machine.cpu.initPending).toBe(true);
    world.machine.startUp(0x9a);
    expect(world.root.resumeInterrupted()).toEqual({ kind: 'exit' });
    expect(world.get(F.EXIT_REASON)).toBe(EXIT.SIPI);
    world.set(F.GUEST_ACTIVITY_STATE, 0);
    expect(exitReason(world, false)).toBe(EXIT.INIT);
  });

  test('is part of the saved state while it waits', () => {
    const world = baseline();
    world.machine.init();
    const other = looping();
    other.machine.restore(JSON.parse(JSON.stringify(world.machine.save())));
    expect(exitReason(other)).toBe(EXIT.INIT);
  });
});

describe('a start-up IPI', () => {
  test('exits from wait-for-SIPI with its vector, and changes nothing of the guest', () => {
    const world = looping();
    world.set(F.GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI);
    expect(world.root.vmlaunch()).toEqual({ kind: 'stopped', why: 'halted' });
    world.machine.startUp(0x9a);
    expect(world.root.resumeInterrupted()).toEqual({ kind: 'exit' });
    expect(world.get(F.EXIT_REASON)).toBe(EXIT.SIPI);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(0x9a);
    expect(decodeQualification(EXIT.SIPI, 0x9a).text).toContain('9A');
    expect(world.get(F.GUEST_ACTIVITY_STATE)).toBe(WAIT_FOR_SIPI);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(world.get(F.GUEST_CS_SELECTOR)).toBe(8);
  });

  test.each([0, 1, 2])('is lost in activity state %i', (state) => {
    const world = looping();
    control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 100);
    world.set(F.GUEST_ACTIVITY_STATE, state);
    world.root.maxInstructions = 50;
    world.root.vmlaunch();
    world.machine.startUp(0x9a);
    world.root.maxInstructions = 500;
    expect(world.root.resumeInterrupted()).toEqual({ kind: 'exit' });
    expect(world.get(F.EXIT_REASON)).toBe(EXIT.PREEMPTION_TIMER);
    world.set(F.GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI);
    expect(world.root.vmresume()).toEqual({ kind: 'stopped', why: 'halted' });
  });

  test('is lost in root operation', () => {
    const world = looping();
    world.machine.startUp(0x9a);
    world.set(F.GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI);
    expect(world.root.vmlaunch()).toEqual({ kind: 'stopped', why: 'halted' });
  });

  test('that waits is part of the saved state', () => {
    const world = looping();
    world.set(F.GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI);
    world.root.vmlaunch();
    world.machine.startUp(0x12);
    const other = looping();
    other.machine.restore(JSON.parse(JSON.stringify(world.machine.save())));
    expect(other.root.resumeInterrupted()).toEqual({ kind: 'exit' });
    expect([other.get(F.EXIT_REASON), other.get(F.EXIT_QUALIFICATION)]).toEqual([EXIT.SIPI, 0x12]);
  });
});

test('outside VMX operation a start-up IPI starts a processor that INIT made wait', () => {
  const { machine } = baseline();
  const { cpu } = machine;
  cpu.reset();
  cpu.isBootstrap = false;
  machine.init();
  expect(machine.run({ maxInstructions: 10 })).toEqual({ kind: 'halted' });
  expect(cpu.S[ACTIVITY]).toBe(WAIT_FOR_SIPI);
  machine.memory.writeBytes(0x1_2000, Uint8Array.of(0x90, 0x90));
  machine.startUp(0x12);
  expect(machine.run({ maxInstructions: 2 })).toEqual({ kind: 'limit' });
  expect([cpu.S[EIP], cpu.S[SEG_BASE + CS], cpu.S[ACTIVITY]]).toEqual([2, 0x1_2000, 0]);
});
