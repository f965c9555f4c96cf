import { expect, test } from 'vitest';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, exitReason, type World } from './support.ts';

const HLT = 0xf4;
const TSC = 0x10;
const MICROCODE = 0x8b;
const FEATURE_CONTROL = 0x3a;

/** Writes entries of an MSR area. */
function area(
  world: World,
  at: number,
  ...entries: readonly (readonly [index: number, lo: number, hi?: number])[]
): void {
  entries.forEach(([index, lo, hi = 0], n) => {
    world.root.memory.write32(at + 16 * n, index);
    world.root.memory.write32(at + 16 * n + 4, 0);
    world.root.memory.write32(at + 16 * n + 8, lo);
    world.root.memory.write32(at + 16 * n + 12, hi);
  });
}

function worldWith(address: number, count: number, entries: number): World {
  const world = baseline();
  world.code(0x90, HLT);
  world.set(address, AT.msrArea);
  world.set(count, entries);
  return world;
}

test('VM entry loads MSRs', () => {
  const world = worldWith(F.VM_ENTRY_MSR_LOAD_ADDRESS, F.VM_ENTRY_MSR_LOAD_COUNT, 1);
  area(world, AT.msrArea, [TSC, 5000]);
  expect(exitReason(world)).toBe(12);
  expect(world.root.rdmsr(TSC)).toEqual({ lo: 5001, hi: 0 });
});

test.each([
  ['IA32_FS_BASE', 0xc000_0100, 0, 'msr-load.base'],
  ['an x2APIC register', 0x808, 0, 'msr-load.x2apic'],
  ['IA32_SMM_MONITOR_CTL', 0x9b, 0, 'msr-load.smm'],
  ['IA32_BIOS_SIGN_ID', 0x8b, 0, 'msr-load.microcode'],
  ['an MSR that does not exist', 0x1234, 0, 'msr-load.wrmsr'],
  ['a read-only MSR', 0x480, 0, 'msr-load.wrmsr'],
  ['a value that WRMSR refuses', FEATURE_CONTROL, 0, 'msr-load.wrmsr'],
])('an entry for %s ends the VM entry with reason 34 and its number', (_, index, value, rule) => {
  const world = worldWith(F.VM_ENTRY_MSR_LOAD_ADDRESS, F.VM_ENTRY_MSR_LOAD_COUNT, 3);
  area(world, AT.msrArea, [TSC, 100], [index, value], [TSC, 7]);
  expect(exitReason(world)).toBe(0x8000_0022);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(2);
  expect(world.vmx.context.lastEntryFailure?.rows[0]?.id).toBe(rule);
  expect(world.root.rdmsr(TSC)).toEqual({ lo: 100, hi: 0 });
  expect(world.get(F.GUEST_RIP)).toBe(AT.code);
  expect(world.root.vmresume()).toEqual({ kind: 'vmfail', error: 5 });
});

test('reserved bits of an entry must be 0', () => {
  const world = worldWith(F.VM_ENTRY_MSR_LOAD_ADDRESS, F.VM_ENTRY_MSR_LOAD_COUNT, 1);
  area(world, AT.msrArea, [TSC, 1]);
  world.root.memory.write32(AT.msrArea + 4, 1);
  expect(exitReason(world)).toBe(0x8000_0022);
  expect(world.vmx.context.lastEntryFailure?.rows[0]?.id).toBe('msr-load.reserved');
});

test('more entries than the processor promises to handle are refused, however many', () => {
  const world = worldWith(F.VM_ENTRY_MSR_LOAD_ADDRESS, F.VM_ENTRY_MSR_LOAD_COUNT, 100_000);
  world.set(F.VM_ENTRY_MSR_LOAD_ADDRESS, 0x10_0000);
  for (let n = 0; n < 600; n++) area(world, 0x10_0000 + 16 * n, [TSC, n]);
  expect(exitReason(world)).toBe(0x8000_0022);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(513);
});

test('VM exit stores guest MSRs and loads host MSRs, in this order', () => {
  const world = worldWith(F.VM_EXIT_MSR_STORE_ADDRESS, F.VM_EXIT_MSR_STORE_COUNT, 2);
  world.set(F.VM_EXIT_MSR_LOAD_ADDRESS, AT.msrArea + 0x100);
  world.set(F.VM_EXIT_MSR_LOAD_COUNT, 1);
  area(world, AT.msrArea, [TSC, 0], [MICROCODE, 0xffff]);
  area(world, AT.msrArea + 0x100, [TSC, 900_000]);
  expect(exitReason(world)).toBe(12);
  expect(world.root.memory.read32(AT.msrArea + 8)).toBe(1);
  expect(world.root.memory.read32(AT.msrArea + 24)).toBe(0);
  expect(world.root.rdmsr(TSC)).toEqual({ lo: 900_000, hi: 0 });
});

test.each([
  ['storing', F.VM_EXIT_MSR_STORE_ADDRESS, F.VM_EXIT_MSR_STORE_COUNT, 1],
  ['loading', F.VM_EXIT_MSR_LOAD_ADDRESS, F.VM_EXIT_MSR_LOAD_COUNT, 4],
])('a failure in %s on VM exit is an abort, told in the region', (_, address, count, indicator) => {
  const world = worldWith(address, count, 1);
  area(world, AT.msrArea, [0x1234, 0]);
  expect(world.root.vmlaunch()).toEqual({ kind: 'abort', indicator });
  expect(world.root.memory.read32(AT.vmcs + 4)).toBe(indicator);
  expect(world.machine.registers.activity).toBe(2);
});

test('after a late entry failure host MSRs are loaded, but no guest MSR is stored', () => {
  const world = worldWith(F.VM_EXIT_MSR_STORE_ADDRESS, F.VM_EXIT_MSR_STORE_COUNT, 1);
  world.set(F.VM_EXIT_MSR_LOAD_ADDRESS, AT.msrArea + 0x100);
  world.set(F.VM_EXIT_MSR_LOAD_COUNT, 1);
  area(world, AT.msrArea, [TSC, 0x77]);
  area(world, AT.msrArea + 0x100, [TSC, 4000]);
  world.set(F.GUEST_RFLAGS, 0);
  expect(exitReason(world)).toBe(0x8000_0021);
  expect(world.root.memory.read32(AT.msrArea + 8)).toBe(0x77);
  expect(world.root.rdmsr(TSC)).toEqual({ lo: 4000, hi: 0 });
});
