/** Virtual-8086 mode in VMX non-root operation (SDM Vol. 3, "Checks on Guest Segment Registers", "Saving Guest State"). */
import { describe, expect, test } from 'vitest';
import { PRIMARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, CODE, control, DATA, exitReason, gate, type World } from './support.ts';

const VM = 0x2_0000;
const APART = 2;
const SELECTOR = AT.code >> 4;
const HLT = 0xf4;
const HANDLER = AT.code + 0x800;

/** The world with a guest at 2000:0000 in virtual-8086 mode, whose handlers of #GP and INT 21h halt. */
function virtual8086(flags: number, ...bytes: number[]): World {
  const world = baseline();
  const { memory } = world.root;
  world.set(F.GUEST_RFLAGS, VM | flags);
  for (let n = 0; n < 6; n++) {
    world.set(F.GUEST_ES_SELECTOR + APART * n, SELECTOR);
    world.set(F.GUEST_ES_BASE + APART * n, AT.code);
    world.set(F.GUEST_ES_LIMIT + APART * n, 0xffff);
    world.set(F.GUEST_ES_ACCESS_RIGHTS + APART * n, 0xf3);
  }
  world.set(F.GUEST_RIP, 0);
  world.set(F.GUEST_RSP, 0xff0);
  memory.write32(AT.directory, 0x87); // for ring 3, too
  memory.write32(AT.tss + 4, AT.stack);
  memory.write32(AT.tss + 8, DATA);
  gate(world, 13, HANDLER);
  gate(world, 0x21, HANDLER);
  memory.writeBytes(HANDLER, Uint8Array.of(HLT));
  world.code(...bytes);
  return world;
}

const frame = (world: World, count: number): number[] =>
  Array.from({ length: count }, (_, n) => world.root.memory.read32(world.get(F.GUEST_RSP) + 4 * n) >>> 0);

describe('a guest in virtual-8086 mode', () => {
  test('is entered, exits and is entered again with RFLAGS.VM', () => {
    const world = virtual8086(2, 0x0f, 0xa2, 0x0f, 0xa2); // CPUID twice
    expect(exitReason(world)).toBe(EXIT.CPUID);
    expect(world.get(F.GUEST_RFLAGS)).toBe(VM | 2);
    expect([F.GUEST_CS_SELECTOR, F.GUEST_CS_BASE, F.GUEST_CS_LIMIT, F.GUEST_CS_ACCESS_RIGHTS].map(world.get)).toEqual([
      SELECTOR,
      AT.code,
      0xffff,
      0xf3,
    ]);
    world.set(F.GUEST_RIP, 2);
    expect(exitReason(world, false)).toBe(EXIT.CPUID);
    expect(world.get(F.GUEST_RIP)).toBe(2);
  });

  test('runs at CPL 3: HLT leads to its handler in ring 0', () => {
    const world = virtual8086(2, HLT);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_RIP)).toBe(HANDLER);
    expect(world.get(F.GUEST_RFLAGS)).toBe(2);
    expect(world.get(F.GUEST_CS_SELECTOR)).toBe(CODE);
    expect(frame(world, 10)).toEqual([0, 0, SELECTOR, VM | 0x1_0002, 0xff0, ...Array(5).fill(SELECTOR)]);
    for (const n of [0, 3, 4, 5]) expect(world.get(F.GUEST_ES_ACCESS_RIGHTS + APART * n)).toBe(0x1_0000);
  });

  test('comes back by IRETD of its own monitor', () => {
    const world = virtual8086(2, HLT, 0x0f, 0xa2);
    // ADD ESP, 4; INC DWORD [ESP]; IRETD
    world.root.memory.writeBytes(HANDLER, Uint8Array.of(0x83, 0xc4, 0x04, 0xff, 0x04, 0x24, 0xcf));
    expect(exitReason(world)).toBe(EXIT.CPUID);
    expect([world.get(F.GUEST_RIP), world.get(F.GUEST_RFLAGS) & VM]).toEqual([1, VM]);
  });

  test('gets an external interrupt injected, with nine doublewords', () => {
    const world = virtual8086(0x202, 0x90);
    world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, 0x8000_0021);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_RIP)).toBe(HANDLER);
    expect(frame(world, 9)).toEqual([0, SELECTOR, VM | 0x202, 0xff0, ...Array(5).fill(SELECTOR)]);
  });

  test('asks the bit map of its TSS before the bitmaps of the VMCS', () => {
    const world = virtual8086(0x3002, 0xe4, 0x60);
    control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.USE_IO_BITMAPS, false);
    control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.UNCONDITIONAL_IO_EXITING);
    world.root.memory.write32(AT.tss + 0x64, 0x68 << 16); // beyond the limit: no port is permitted
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_RIP)).toBe(HANDLER);
  });

  test('exits by VMCALL; VMLAUNCH is undefined', () => {
    expect(exitReason(virtual8086(2, 0x0f, 0x01, 0xc1))).toBe(EXIT.VMCALL);
    const world = virtual8086(2, 0x0f, 0x01, 0xc2);
    gate(world, 6, HANDLER);
    expect(exitReason(world)).toBe(EXIT.HLT);
  });
});
