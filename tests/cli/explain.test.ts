/** `ringlet explain` as a user calls it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseMoment } from '../../src/cli/explain-run.ts';
import { folder, ringlet } from './support.ts';

test('a hypervisor in machine code: its first entry that fails, with the rule and the nearest valid state', async () => {
  const { status, stdout } = await ringlet(['explain', 'vmlaunch']);
  expect(status).toBe(0);
  expect(stdout).toContain('execution.cr3-targets   (SDM Vol. 3, "VM-Execution Control Fields")');
  expect(stdout).toContain('CR3_TARGET_COUNT = 0000_00C8h: must not exceed 4');
  expect(stdout).toMatch(/nearest state .*\n {2}CR3_TARGET_COUNT: 0000_00C8h → 0000_000[04]h/);
});

test('an exit, the walk of an address, and dumps', async () => {
  const words = ['explain', 'vmlaunch', '--at', 'exit:ept_violation', '--linear', '7004h', '--access', 'write'];
  const { status, stdout } = await ringlet([...words, '--dump', 'all']);
  expect(status).toBe(0);
  expect(stdout).toContain('VM exit, reason 48: EPT violation');
  expect(stdout).toContain('EPT violation: guest-physical 0000_7004h, level 1: -W- is wanted');
  expect(stdout).toContain('0000_A000h–0000_AFFFh misconfigured: writable but not readable');
  expect(stdout).toContain('Guest-state area');
});

test('a VMCS in JSON, and the answer in JSON', async () => {
  const path = join(folder(), 'vmcs.json');
  writeFileSync(path, JSON.stringify({ partial: true, GUEST_RFLAGS: '0x2', '0x4822': '89h' }));
  const { status, stdout } = await ringlet(['explain', path, '--json']);
  expect(status).toBe(0);
  const { entry } = JSON.parse(stdout);
  expect(entry.rows.map((row: { id: string }) => row.id)).toEqual(['guest.tr.type']);
  expect(entry.nearest).toMatchObject([{ name: 'GUEST_TR_ACCESS_RIGHTS', to: { lo: 0x8b } }]);
});

test('a kernel log on stdin', async () => {
  const log =
    '[ 1.0] *** Guest State ***\n[ 1.0] CR0: actual=0x0000000080000011, shadow=0x0, gh_mask=0\n[ 1.0] RFLAGS=0x00000000  DR7 = 0x400\n';
  const { status, stdout } = await ringlet(['explain', '-'], log);
  expect([status, stdout]).toEqual([0, expect.stringContaining('guest.rflags.bit-1')]);
});

test('if the moment does not come, the status is 120 and a line says what came', async () => {
  const { status, stdout, stderr } = await ringlet(['explain', 'hello']);
  expect([status, stdout]).toEqual([120, '']);
  expect(stderr).toContain('no VM entry that failed within 210 instructions; 0 entries, 0 exits');
});

describe('wrong usage', () => {
  test.each([
    [['explain', 'vmlaunch', '--at', 'noon'], "--at 'noon' is unknown"],
    [['explain', 'vmlaunch', '--dump', 'x'], "--dump 'x' is unknown"],
    [['explain', 'vmlaunch', '--access', 'x'], "--access 'x' is unknown"],
    [['explain', 'vmlaunch', '--from', 'x'], "--from 'x' is unknown"],
    [['explain', 'no-such-thing'], 'neither a file nor a guest'],
  ])('%j', async (words, message) => {
    const { status, stderr } = await ringlet(words);
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test('reasons by name and number', () => {
    expect(parseMoment('exit:48', 2)).toEqual({ kind: 'exit', reason: 48, number: 2 });
    expect(parseMoment('exit:cpuid', 1)).toEqual({ kind: 'exit', reason: 10, number: 1 });
    expect(() => parseMoment('exit:NOON', 1)).toThrow('no such exit reason');
  });
});
