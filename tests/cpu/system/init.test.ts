/** INIT outside VMX operation. Expected values: SDM Vol. 3, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
import { expect, test } from 'vitest';
import type { CpuState } from '../../../src/cpu/persist.ts';
import { Machine } from '../../../src/machine/machine.ts';

test('INIT gives registers their values, and leaves MSRs, memory and the clock alone', () => {
  const machine = new Machine({ memory: 0x10_0000, contexts: 4 });
  const { cpu } = machine;
  machine.load(Uint8Array.of(0x90, 0xf4), { load: 0x1000 });
  machine.run({ maxInstructions: 100 });
  const before = machine.save().cpu;
  cpu.msrs.set(0x277, { lo: 0x0101_0101, hi: 0x0101_0101 });
  const time = cpu.now();
  machine.init();
  const seen: CpuState[] = [];
  machine.observe({ onInstruction: () => void seen.push(machine.save().cpu) });
  machine.run({ maxInstructions: 1 });
  const after = seen[0] as CpuState;
  expect(before.cr0 & 0x6000_0001).toBe(1);
  expect(after.cr0).toBe(0x10);
  expect(after.cs).toEqual({ selector: 0xf000, base: 0xffff_0000, limit: 0xffff, access: 0x93 });
  expect(after.ds).toEqual({ selector: 0, base: 0, limit: 0xffff, access: 0x93 });
  expect(after.ldtr).toEqual({ selector: 0, base: 0, limit: 0xffff, access: 0x82 });
  expect([after.gdtr, after.idtr]).toEqual([
    { base: 0, limit: 0xffff },
    { base: 0, limit: 0xffff },
  ]);
  expect([after.edx, after.ebx, after.cr3, after.cr4, after.dr6, after.dr7]).toEqual([
    cpu.model.signature,
    0,
    0,
    0,
    0xffff_0ff0,
    0x400,
  ]);
  expect(cpu.msrs.get(0x277)?.lo).toBe(0x0101_0101);
  expect(machine.memory.read8(0x1001)).toBe(0xf4);
  expect(cpu.now()).toBeGreaterThanOrEqual(time);
});
