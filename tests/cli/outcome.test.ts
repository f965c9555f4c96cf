import { expect, test } from 'vitest';
import { statusOf } from '../../src/cli/outcome.ts';
import type { Outcome, SessionVm } from '../../src/cli/session.ts';

const vms = (...outcomes: Outcome[]): SessionVm[] => outcomes.map((outcome) => ({ outcome }) as SessionVm);
const registers = {} as never;

test('a VM that the hypervisor stopped is status 118', () => {
  expect(statusOf('ended', vms({ kind: 'vm-stopped', message: '', registers }), false)).toBe(118);
});

test('the value of the debug exit is doubled and made odd, in eight bits', () => {
  const statuses = [0, 1, 0x10, 0x7f, 0xff].map((value) =>
    statusOf('ended', vms({ kind: 'debug-exit', value }), false),
  );
  expect(statuses).toEqual([1, 3, 33, 255, 255]);
});

test('of several VMs the first that ended badly decides, and only then one that still runs', () => {
  const good: Outcome = { kind: 'power-off' };
  const running: Outcome = { kind: 'running' };
  const fault: Outcome = { kind: 'triple-fault', registers };
  expect(statusOf('ended', vms(good, { kind: 'halted' }), false)).toBe(0);
  expect(statusOf('ended', vms(running, good, fault), false)).toBe(126);
  expect(statusOf('limit', vms(good, running), false)).toBe(124);
  expect(statusOf('ended', vms({ kind: 'debug-exit', value: 3 }, fault), false)).toBe(7);
});

test('what the run was to show goes before what became of the guests', () => {
  const fault: Outcome = { kind: 'triple-fault', registers };
  expect(statusOf('seen', vms(fault), true)).toBe(0);
  expect(statusOf('ended', vms(fault), true)).toBe(120);
  expect(statusOf('interrupted', vms(fault), true)).toBe(130);
});
