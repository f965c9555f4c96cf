import { expect, test } from 'vitest';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, exitReason } from './support.ts';

test('a guest executes CPUID and leaves with its length and place', () => {
  const world = baseline();
  world.code(0x40, 0x0f, 0xa2); // inc eax; cpuid
  expect(world.vmx.failedChecks()).toEqual([]);
  expect(exitReason(world)).toBe(EXIT.CPUID);
  expect(world.get(F.GUEST_RIP)).toBe(AT.code + 1);
  expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(2);
  expect(world.root.getRegister(0)).toBe(1);
  expect(world.machine.instructions).toBe(1);
});
