/** Which of VMX's instructions and transitions kill cached translations, and which kill nothing (SDM Vol. 3, "Operations that Invalidate
 *  Cached Mappings", "Operations that Need Not Invalidate Cached Mappings"). What each event kills: tests/mmu/invalidation.test.ts. */
import { expect, test } from 'vitest';
import { SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, type World } from './support.ts';

const CPUID = [0x0f, 0xa2];

/** Events while something happens, by name; those without any left out. */
function eventsOf(world: World, happens: () => unknown): Record<string, number> {
  const { flushes } = world.machine.cpu.mmu.counts;
  const before = { ...flushes };
  happens();
  return Object.fromEntries(
    Object.entries(flushes)
      .map(([name, n]) => [name, n - (before as Record<string, number>)[name]] as const)
      .filter(([, n]) => n > 0),
  );
}

function guest(vpid: boolean): World {
  const world = baseline();
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.ENABLE_VPID, vpid);
  world.set(F.VIRTUAL_PROCESSOR_IDENTIFIER, 5);
  world.code(...CPUID);
  return world;
}

test.each([
  ['VMCLEAR', (w: World) => w.root.vmclear(AT.otherVmcs)],
  ['VMCLEAR of the current VMCS', (w: World) => w.root.vmclear(AT.vmcs)],
  ['VMPTRLD', (w: World) => w.root.vmptrld(AT.otherVmcs)],
  ['VMWRITE of the EPT pointer', (w: World) => w.root.vmwrite(F.EPT_POINTER, AT.pdpt | 0x5e)],
  ['VMWRITE of the VPID', (w: World) => w.root.vmwrite(F.VIRTUAL_PROCESSOR_IDENTIFIER, 6)],
  [
    'VMWRITE of CR3 and CR4 of the guest',
    (w: World) => [w.root.vmwrite(F.GUEST_CR3, 0), w.root.vmwrite(F.GUEST_CR4, 0)],
  ],
  ['VMXOFF and VMXON', (w: World) => [w.root.vmxoff(), w.root.vmxon(AT.vmxon)]],
])('%s kills nothing', (_, instruction) => {
  const world = guest(true);
  expect(exitReason(world)).toBe(EXIT.CPUID);
  expect(eventsOf(world, () => instruction(world))).toEqual({});
});

test('VM entry and VM exit kill nothing if VPIDs are on', () => {
  const world = guest(true);
  expect(eventsOf(world, () => exitReason(world))).toEqual({});
  expect(eventsOf(world, () => exitReason(world, false))).toEqual({});
});

test('a VM entry with another VPID, EPT pointer, CR0, CR3 and CR4 kills nothing', () => {
  const world = guest(true);
  exitReason(world);
  world.set(F.VIRTUAL_PROCESSOR_IDENTIFIER, 6);
  world.set(F.GUEST_CR4, world.get(F.GUEST_CR4) | 0x80);
  world.set(F.GUEST_CR0, world.get(F.GUEST_CR0) ^ 0x1_0000);
  expect(eventsOf(world, () => exitReason(world, false))).toEqual({});
});

test('without VPIDs a VM entry kills what VPID 0 has, and so does a VM exit', () => {
  const world = guest(false);
  expect(eventsOf(world, () => exitReason(world))).toEqual({ vmTransition: 2 });
});

test('a VM entry that fails late loads host state: that is a transition, too, without VPIDs', () => {
  for (const vpid of [false, true]) {
    const world = guest(vpid);
    world.set(F.GUEST_RFLAGS, 0);
    expect(eventsOf(world, () => exitReason(world))).toEqual(vpid ? {} : { vmTransition: 1 });
  }
});
