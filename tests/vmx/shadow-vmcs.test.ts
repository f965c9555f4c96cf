/** VMCS shadowing (SDM Vol. 3, "VMCS Types: Ordinary and Shadow", "Changes to Instruction Behavior in VMX Non-Root Operation"). */
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { EBX, FLAG_CF, FLAG_ZF } from '../../src/base/registers.ts';
import { SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, rootMode, type World } from './support.ts';

const CONTROLS = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const READ_BITMAP = 0x1_3000;
const WRITE_BITMAP = 0x1_4000;
const ok = { ok: true };

function makeShadow(world: World): void {
  const { memory } = world.root;
  expect(world.root.vmclear(AT.linked)).toEqual(ok);
  memory.write32(AT.linked, memory.read32(AT.linked) | 0x8000_0000);
}

/** A guest with a linked shadow VMCS in which GUEST_RIP is 1234h. */
function shadowing(source: string): World {
  const world = baseline();
  makeShadow(world);
  expect(world.root.vmptrld(AT.linked)).toEqual(ok);
  world.set(F.GUEST_RIP, 0x1234);
  expect(world.root.vmclear(AT.linked)).toEqual(ok);
  expect(world.root.vmptrld(AT.vmcs)).toEqual(ok);
  world.root.memory.writeBytes(AT.code, assemble(`bits 32\norg ${AT.code}\n${source}`).bytes);
  control(world, CONTROLS, SECONDARY.VMCS_SHADOWING);
  world.set(F.VMREAD_BITMAP_ADDRESS, READ_BITMAP);
  world.set(F.VMWRITE_BITMAP_ADDRESS, WRITE_BITMAP);
  world.set(F.VMCS_LINK_POINTER, AT.linked);
  world.set(F.VMCS_LINK_POINTER + 1, 0);
  return world;
}
const flags = (world: World): number => world.get(F.GUEST_RFLAGS) & (FLAG_CF | FLAG_ZF);

describe('in root operation', () => {
  test('a shadow VMCS can be made current, read and written, but not entered', () => {
    const world = rootMode();
    makeShadow(world);
    expect(world.root.vmptrld(AT.linked)).toEqual(ok);
    world.set(F.GUEST_RIP, 7);
    expect(world.get(F.GUEST_RIP)).toBe(7);
    expect(world.root.vmlaunch()).toEqual({ kind: 'vmfail', error: 0 });
    expect(world.root.vmresume()).toEqual({ kind: 'vmfail', error: 0 });
  });
});

describe('in non-root operation', () => {
  test('VMREAD and VMWRITE reach the linked VMCS', () => {
    const world = shadowing(`
      mov eax, ${F.GUEST_RIP}
      vmread ebx, eax
      mov ecx, 0x5678
      vmwrite eax, ecx
      hlt`);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(0x1234);
    expect(flags(world)).toBe(0);
    expect(world.get(F.GUEST_RIP)).not.toBe(0x5678);
    expect(world.root.vmclear(AT.linked)).toEqual(ok);
    expect(world.root.vmptrld(AT.linked)).toEqual(ok);
    expect(world.get(F.GUEST_RIP)).toBe(0x5678);
  });

  test.each([
    ['VMREAD', 'vmread ebx, eax', READ_BITMAP, EXIT.VMREAD],
    ['VMWRITE', 'vmwrite eax, ebx', WRITE_BITMAP, EXIT.VMWRITE],
  ])(
    '%s exits where its bitmap has a 1, for encodings above 7FFFh, and without the control',
    (_, text, bitmap, reason) => {
      const source = `mov eax, ${F.GUEST_RIP}\n ${text}\n hlt`;
      const marked = shadowing(source);
      marked.root.memory.write8(bitmap + (F.GUEST_RIP >> 3), 1 << (F.GUEST_RIP & 7));
      expect(exitReason(marked)).toBe(reason);
      const high = shadowing(`mov eax, ${0x8000 | F.GUEST_RIP}\n ${text}\n hlt`);
      expect(exitReason(high)).toBe(reason);
      const off = shadowing(source);
      control(off, CONTROLS, SECONDARY.VMCS_SHADOWING, false);
      off.set(F.VMCS_LINK_POINTER, -1);
      off.set(F.VMCS_LINK_POINTER + 1, -1);
      expect(exitReason(off)).toBe(reason);
    },
  );

  test('without a linked VMCS they fail invalidly; for a field that does not exist with error 12', () => {
    const none = shadowing(`mov eax, ${F.GUEST_RIP}\n vmread ebx, eax\n hlt`);
    none.set(F.VMCS_LINK_POINTER, -1);
    none.set(F.VMCS_LINK_POINTER + 1, -1);
    expect(exitReason(none)).toBe(EXIT.HLT);
    expect(flags(none)).toBe(FLAG_CF);
    const unknown = shadowing('mov eax, 0x7ffe\n vmread ebx, eax\n hlt');
    expect(exitReason(unknown)).toBe(EXIT.HLT);
    expect(flags(unknown)).toBe(FLAG_ZF);
    expect(unknown.get(F.VM_INSTRUCTION_ERROR)).toBe(12);
  });

  test('the linked VMCS and its indicator are part of a saved state', () => {
    const world = shadowing(`hlt\n mov eax, ${F.GUEST_RIP}\n vmread ebx, eax\n hlt`);
    expect(exitReason(world)).toBe(EXIT.HLT);
    const state = world.vmx.save();
    expect(state.active.map((vmcs) => vmcs.shadow)).toEqual([false, true]);
    world.vmx.restore(JSON.parse(JSON.stringify(state)));
    world.set(F.GUEST_RIP, world.get(F.GUEST_RIP) + 1);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(0x1234);
  });
});
