/** The package as its users get it: packed, unpacked elsewhere, imported, type-checked, run. */

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

let folder: string;
/** Where the consumer's package manager would have put ringlet. */
let installed: string;

const node = (script: string, ...words: string[]): string =>
  execFileSync(process.execPath, [script, ...words], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringlet-package-'));
  // Built and packed aside: other tests may be using dist.
  const stage = join(folder, 'stage');
  mkdirSync(stage);
  for (const name of ['package.json', 'LICENSE', 'README.md', ...MANIFEST.files])
    if (!/^!|^dist$/.test(name)) cpSync(join(ROOT, name), join(stage, name), { recursive: true });
  const tsup = join(ROOT, 'node_modules/tsup/dist/cli-default.js');
  execFileSync(process.execPath, [tsup, '--out-dir', join(stage, 'dist')], { cwd: ROOT, stdio: 'pipe' });
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--ignore-scripts', '--offline', '--json', '--pack-destination', folder], {
      cwd: stage,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    }),
  );
  installed = join(folder, 'node_modules/ringlet');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, packed.filename), '--strip-components=1', '-C', installed]);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CONSUMER = `
import { assemble, EXIT, Hypervisor, InvalidInput, Machine, RootModePort, type StopReason } from 'ringlet';
import { loadKernel } from 'ringlet/node';

const machine = new Machine({ memory: 1 << 21, translationCache: { kind: 'stalest', seed: 3 } });
machine.load(assemble('bits 32\\norg 0x100000\\nmov eax, 42\\nhlt').bytes);
const end: StopReason = machine.run({ maxInstructions: 100 });

const hypervisor = new Hypervisor(new RootModePort(new Machine()));
let text = '';
const serial = [{ transmit: (byte: number) => { text += String.fromCharCode(byte); } }];
const hello = loadKernel('hello');
const vm = hypervisor.createVm({ memory: 1 << 24, image: hello.bytes, serial });
hypervisor.run();

let refused = false;
try { machine.load(new Uint8Array(0)); } catch (error) { refused = error instanceof InvalidInput; }
console.log(JSON.stringify([end, machine.registers.eax, text, vm.stats.exits(EXIT.IO_INSTRUCTION) > 0, refused]));
`;

test('the packed package has no problem that publint knows', async () => {
  const { messages } = await publint({ pkgDir: installed, level: 'suggestion', pack: false });
  expect(messages).toEqual([]);
});

test('it needs nothing but itself', () => {
  expect(MANIFEST.dependencies ?? {}).toEqual({});
  expect(readFileSync(join(installed, 'dist/index.js'), 'utf8')).not.toMatch(/\bfrom ?["']node:/);
  for (const target of Object.values(MANIFEST.exports as Record<string, string | Record<string, string>>).flatMap(
    (e) => (typeof e === 'string' ? e : Object.values(e)),
  ))
    expect(existsSync(join(installed, target)), target).toBe(true);
});

test('a module that imports it compiles without a complaint, and runs', () => {
  writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2022',
        lib: ['ES2022', 'DOM'],
        module: 'NodeNext',
        strict: true,
        exactOptionalPropertyTypes: true,
        types: [],
      },
      files: ['consumer.ts'],
    }),
  );
  node(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder);
  expect(JSON.parse(node('consumer.js'))).toEqual([{ kind: 'halted' }, 42, 'hello from ring 0\n', true, true]);
});

test('its command boots a guest that comes with it', () => {
  const command = join(installed, MANIFEST.bin.ringlet);
  expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  expect(node(command, 'run', 'hello')).toBe('hello from ring 0\n');
  expect(node(command, '--version').trim()).toBe(MANIFEST.version);
});

test('its command finds the workloads of its benchmark', () => {
  const command = join(installed, MANIFEST.bin.ringlet);
  const charts = join(folder, 'charts');
  const options = ['--only', 'syscall', '--rounds', '1', '--seeds', '1', '--charts', charts];
  expect(node(command, 'bench', 'paging', ...options)).toMatch(/\| syscall 4M +\| nested 2M +\|/);
  expect(readFileSync(join(charts, 'slowdown-2013-4K.svg'), 'utf8')).toMatch(/^<svg /);
});
