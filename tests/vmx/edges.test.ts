/** Edges that the ordinary cases of the other files do not come to: the last port, masks beside shadows, rings, reserved words. */
import { expect, test } from 'vitest';
import { EBX, EDX } from '../../src/base/registers.ts';
import { SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, type World } from './support.ts';

const HLT = 0xf4;
const NOP = 0x90;
const TF = 0x102;
const BS = 0x4000;
const BY_MOV_SS = 2;
const INVALID_GUEST_STATE = 0x8000_0021;

/** The guest in ring 3; its pages are user pages. */
function ring3(world: World): void {
  world.root.memory.write32(AT.directory, 0x87);
  world.set(F.GUEST_CS_SELECTOR, 0x0b);
  world.set(F.GUEST_CS_ACCESS_RIGHTS, 0xc0fb);
  world.set(F.GUEST_SS_SELECTOR, 0x13);
  world.set(F.GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
}

test('OUT to port FFFFh is a matter of its bit in bitmap B; one byte more wraps around and exits', () => {
  for (const [code, bit, reason] of [
    [[0xee], 0, EXIT.HLT], // out dx, al
    [[0xee], 0x80, EXIT.IO_INSTRUCTION],
    [[0x66, 0xef], 0, EXIT.IO_INSTRUCTION], // out dx, ax
  ] as const) {
    const world = baseline();
    world.root.memory.write8(AT.ioB + 0xfff, bit);
    world.root.setRegister(EDX, 0xffff);
    world.code(...code, HLT);
    expect(exitReason(world)).toBe(reason);
  }
});

test('MOV to CR4 that agrees with the shadow in masked bits loads the others, and leaves the masked ones', () => {
  const world = baseline();
  world.set(F.CR4_GUEST_HOST_MASK, 0x2010); // VMXE and PSE are 1
  world.set(F.CR4_READ_SHADOW, 0x10);
  world.root.setRegister(EBX, 0x90); // PGE
  world.code(0x0f, 0x22, 0xe3, HLT); // mov cr4, ebx
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.get(F.GUEST_CR4)).toBe(0x2090);
});

test('PAUSE in ring 3 is never one of a loop', () => {
  const world = baseline();
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.PAUSE_LOOP_EXITING);
  world.set(F.PLE_GAP, 100);
  world.set(F.PLE_WINDOW, 40);
  ring3(world);
  world.code(0xf3, NOP, 0xeb, 0xfc);
  world.root.maxInstructions = world.machine.instructions + 1000;
  expect(world.root.vmlaunch()).toEqual({ kind: 'budget' });
});

test('an entry of the MSR-store area with reserved bits is a failure: abort 1, and the processor stands still', () => {
  const world = baseline();
  world.set(F.VM_EXIT_MSR_STORE_ADDRESS, AT.msrArea);
  world.set(F.VM_EXIT_MSR_STORE_COUNT, 1);
  world.root.memory.write32(AT.msrArea, 0x10); // IA32_TIME_STAMP_COUNTER
  world.root.memory.write32(AT.msrArea + 4, 1);
  world.code(HLT);
  expect(world.root.vmlaunch()).toEqual({ kind: 'abort', indicator: 1 });
  const { instructions } = world.machine;
  world.machine.run({ maxInstructions: 100 });
  expect(world.machine.instructions).toBe(instructions);
});

test('conforming code may have the DPL of SS, or a lower one', () => {
  for (const [csDpl, ssDpl, reason] of [
    [0, 0, EXIT.HLT],
    [3, 3, EXIT.EXCEPTION_OR_NMI],
    [0, 3, EXIT.EXCEPTION_OR_NMI],
    [3, 0, INVALID_GUEST_STATE],
  ] as const) {
    const world = baseline();
    if (ssDpl === 3) ring3(world);
    world.set(F.GUEST_CS_ACCESS_RIGHTS, 0xc09f | (csDpl << 5));
    world.set(F.EXCEPTION_BITMAP, 1 << 13); // HLT in ring 3
    world.code(HLT);
    expect(exitReason(world) >>> 0, `${csDpl} and ${ssDpl}`).toBe(reason);
  }
});

test('BS has to be pending while MOV SS blocks and TF is set, unless IA32_DEBUGCTL.BTF is', () => {
  for (const [debugctl, pending, good] of [
    [0, BS, true],
    [0, 0, false],
    [2, BS, false],
    [2, 0, true],
  ] as const) {
    const world = baseline();
    world.set(F.EXCEPTION_BITMAP, 2);
    world.set(F.GUEST_RFLAGS, TF);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, BY_MOV_SS);
    world.set(F.GUEST_IA32_DEBUGCTL, debugctl);
    world.set(F.GUEST_PENDING_DEBUG_EXCEPTIONS, pending);
    world.code(NOP, NOP, HLT);
    const failed = exitReason(world) >>> 0 === INVALID_GUEST_STATE;
    expect(failed, `IA32_DEBUGCTL ${debugctl}, pending ${pending.toString(16)}h`).toBe(!good);
  }
});

test('IA32_FEATURE_CONTROL of a saved state has no bits but the lock and VMX', () => {
  const world = baseline();
  const state = JSON.parse(JSON.stringify(world.vmx.save()));
  for (const featureControl of [0, 5]) expect(() => world.vmx.restore({ ...state, featureControl })).not.toThrow();
  expect(() => world.vmx.restore({ ...state, featureControl: 6 })).toThrow('vmx.featureControl');
});

test('after VMXOFF no VMCS is current or active, and the state can be restored', () => {
  const world = baseline();
  world.root.vmxoff();
  const state = JSON.parse(JSON.stringify(world.vmx.save()));
  expect(state).toMatchObject({ current: -1, vmxonPointer: -1, active: [] });
  const other = baseline();
  other.vmx.restore(state);
  expect(other.vmx.save()).toEqual(state);
});
