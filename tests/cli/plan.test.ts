import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { hostMemory } from '../../src/cli/nested.ts';
import { planRun, readConfig } from '../../src/cli/plan.ts';
import { normalise, parseVm, planCommand } from '../../src/cli/program.ts';
import { VERSION } from '../../src/cli/version.ts';
import { folder, kernel, POWER_OFF } from './support.ts';

test('the version is that of the package', () => {
  expect(VERSION).toBe(manifest.version);
});

test('a VM is an image and its options', () => {
  expect(parseVm('a.asm --memory 16M --append "x y" --real')).toEqual({
    image: 'a.asm',
    options: { memory: '16M', append: 'x y', real: true },
  });
  expect(() => parseVm('a.asm --mode bare')).toThrow("unknown option '--mode'");
  expect(() => parseVm('--memory 1M')).toThrow('image');
  expect(() => parseVm('a.asm b.asm')).toThrow('too many arguments');
});

test('defaults are a nested run with 64 MiB', () => {
  const plan = planCommand('hello', {});
  expect(plan).toMatchObject({ mode: 'nested', tlb: { kind: 'unlimited' }, maxInstructions: Number.POSITIVE_INFINITY });
  expect(plan.vms.map(({ name, memory }) => ({ name, memory }))).toEqual([{ name: 'hello', memory: 64 << 20 }]);
});

test('two VMs of one kernel have different names', () => {
  expect(planCommand(undefined, { vm: ['hello', 'hello', 'pages --name p'] }).vms.map((vm) => vm.name)).toEqual([
    'hello#0',
    'hello#1',
    'p',
  ]);
});

test.each<[string, Parameters<typeof planCommand>, string]>([
  ['no image', [undefined, {}], 'needs an IMAGE'],
  ['image and VMs', ['hello', { vm: ['hello'] }], 'exclude each other'],
  ['an option of a VM beside --vm', [undefined, { vm: ['hello'], memory: '1M' }], 'inside the quotes'],
  ['another mode', ['hello', { mode: 'fast' }], "'fast'"],
  ['several kernels on the bare machine', [undefined, { vm: ['hello', 'pages'], mode: 'bare' }], 'runs one'],
  ['VMs on a processor without VMX', ['hello', { cpu: 'p6' }], 'has no VMX'],
  ['an unknown processor', ['hello', { cpu: '486' }], "'486'"],
  ['record and replay', ['hello', { record: 'a', replay: 'b' }], 'exclude each other'],
  ['an unknown report', ['hello', { report: 'walks' }], '--report flushes'],
  ['an unknown format', ['hello', { stats: 'xml' }], '--stats=json'],
  ['an unknown guest', ['hallo', {}], 'guests are: '],
  ['no such file', ['./hallo', {}], 'there is no such file'],
  ['a folder', ['guests', {}], 'is a directory'],
  ['text', ['package.json', {}], 'is text'],
  ['too much memory in all', [undefined, { vm: ['hello --memory 1500M', 'pages --memory 1500M'] }], 'more than 2 GiB'],
])('%s: one line says what to change', (_name, words, message) => {
  expect(() => planCommand(...words)).toThrow(message);
  try {
    planCommand(...words);
  } catch (error) {
    expect((error as Error).name).toBe('InvalidInput');
    expect((error as Error).message).not.toContain('\n');
  }
});

test('a host has room for its guests and for their page tables, below 2 GiB', () => {
  expect(hostMemory([64 << 20])).toBeGreaterThan((64 << 20) + (64 << 20) / 512);
  expect(hostMemory([4096]) % 4096).toBe(0);
  expect(() => hostMemory([2047 << 20])).toThrow('less --memory');
});

test('a JSON file says the same as the command line, which goes before it', () => {
  const path = join(folder(), 'run.json');
  writeFileSync(
    path,
    '{ "maxInstructions": 10, "cpu": "p6-vmx", "vms": [{ "image": "hello", "memory": "4M", "name": "h" }] }',
  );
  expect(planCommand(undefined, { config: path, maxInstructions: '20' })).toMatchObject({
    maxInstructions: 20,
    vms: [{ name: 'h', memory: 4 << 20 }],
  });
});

test.each([
  ['{', 'is not JSON'],
  ['[]', 'run.json'],
  ['{ "vms": [] }', 'vms'],
  ['{ "vms": [{}] }', 'image'],
  ['{ "vms": [{ "image": "hello", "ram": "4M" }] }', "'ram' is unknown"],
  ['{ "vms": [{ "image": "hello", "real": "yes" }] }', 'real'],
  ['{ "mode": true, "vms": [{ "image": "hello" }] }', 'mode'],
])('a JSON file with %s is refused', (text, message) => {
  const path = join(folder(), 'run.json');
  writeFileSync(path, text);
  expect(() => readConfig(path)).toThrow(message);
});

test('source is assembled with includes from beside it and from the include folder', () => {
  const where = folder();
  mkdirSync(join(where, 'include'));
  writeFileSync(join(where, 'include', 'off.inc'), POWER_OFF);
  const plan = planRun([{ image: kernel('with', '%include "off.inc"', where), options: {} }], { mode: 'bare' });
  expect(plan.vms[0].symbols.nameOf(0x100020)).toBe('start');
  expect(() => planRun([{ image: kernel('without', '%include "on.inc"', where), options: {} }], {})).toThrow('on.inc');
});

test('--stats does not swallow the image', () => {
  expect(normalise(['run', '--stats', 'hello', '--stats=json'])).toEqual([
    'run',
    '--stats=text',
    'hello',
    '--stats=json',
  ]);
});
