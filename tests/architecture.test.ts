/** The shape of the source tree: which layer imports which, how long files are, what is generated, how large the loop is. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { generatedFiles as cpuFiles } from '../src/cpu/generate/sources.ts';
import { generatedFiles as vmxFiles } from '../src/vmx/generate/sources.ts';

const ROOT = join(import.meta.dirname, '..');

/** Programs that write generated sources: no part of the library. */
const GENERATORS = ['cpu/generate/main.ts', 'vmx/generate/main.ts'];

/** What each layer may import besides itself: layers, or single files of them. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  mmu: ['base'],
  cpu: ['base', 'mmu'],
  asm: ['base', 'cpu'],
  vmx: ['base', 'mmu', 'cpu'],
  devices: ['base', 'mmu'],
  machine: ['base', 'mmu', 'cpu', 'asm', 'vmx', 'devices'],
  // Root-mode software: numbers and formats of the manual, boards and devices, and the door to root mode. No private doors.
  hypervisor: [
    'base',
    'devices',
    'mmu/port-space.ts',
    'mmu/table-format.ts',
    'mmu/ia32.ts',
    'mmu/ept.ts',
    'vmx/fields.ts',
    'vmx/field-table.ts',
    'vmx/controls.ts',
    'vmx/capabilities.ts',
    'vmx/exit-reasons.ts',
    'machine/board.ts',
    'machine/board-devices.ts',
    'machine/decoder.ts',
    'machine/task-state.ts',
    'machine/root-mode.ts',
    'machine/loader/**',
  ],
  // Models and measures: what a machine and the hypervisor on it do, watched from outside.
  bench: ['base', 'mmu', 'cpu', 'asm', 'vmx', 'devices', 'machine', 'hypervisor'],
  snapshot: ['base', 'mmu', 'cpu', 'asm', 'vmx', 'devices', 'machine', 'hypervisor'],
  debug: ['base', 'mmu', 'cpu', 'asm', 'vmx', 'devices', 'machine', 'hypervisor', 'snapshot'],
  // Judges by plain data: types of events and states, and a walker of its own.
  invariants: ['base', 'machine/trace-event.ts'],
};
const LAYERS = [...Object.keys(MAY_IMPORT), 'cli'];

interface Import {
  readonly from: string;
  /** Path below src, or the name of a package. */
  readonly to: string;
  readonly typeOnly: boolean;
}

const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts'))
  .sort();
const textOf = (source: string): string => readFileSync(join(ROOT, 'src', source), 'utf8');
const layerOf = (source: string): string => (source.includes('/') ? source.slice(0, source.indexOf('/')) : '');
const isRelative = (specifier: string): boolean => specifier.startsWith('.');

/** Without template literals: the generator's hold import lines, too. */
const codeOf = (source: string): string => textOf(source).replace(/`[^`]*`/g, '');

const imports: readonly Import[] = sources.flatMap((from) =>
  [...codeOf(from).matchAll(/^(?:import|export)\b(\s+type\b)?(?:[^;'"]*?\bfrom)?\s*['"]([^'"]+)['"]/gm)].map(
    ([, type, specifier]) => ({
      from,
      to: isRelative(specifier) ? posix.join(posix.dirname(from), specifier) : specifier,
      typeOnly: type !== undefined,
    }),
  ),
);

const covers = (allowed: string, path: string): boolean =>
  allowed.endsWith('.ts') ? path === allowed : path.startsWith(`${allowed.replace('/**', '')}/`);

test('every import goes to a file that exists, and all of them are seen', () => {
  const inside = imports.filter(({ to }) => to.endsWith('.ts'));
  expect(inside.filter(({ to }) => !sources.includes(to))).toEqual([]);
  expect(inside.length).toBeGreaterThan(sources.length);
});

test('imports point one way', () => {
  const wrong = imports.filter(({ from, to }) => {
    const allowed = MAY_IMPORT[layerOf(from)];
    if (allowed === undefined || !to.endsWith('.ts') || layerOf(to) === layerOf(from)) return false;
    return !allowed.some((a) => covers(a, to));
  });
  expect(wrong.map(({ from, to }) => `src/${from} must not import src/${to}`)).toEqual([]);
});

test('every folder of src is a layer', () => {
  expect([...new Set(sources.map(layerOf))].filter((layer) => layer !== '' && !LAYERS.includes(layer))).toEqual([]);
});

test('core layers use neither packages nor Node', () => {
  const wrong = imports.filter(
    ({ from, to }) => MAY_IMPORT[layerOf(from)] && !to.endsWith('.ts') && !GENERATORS.includes(from),
  );
  expect(wrong.map(({ from, to }) => `src/${from} imports ${to}`)).toEqual([]);
});

test('the linter forbids the same imports', () => {
  const { overrides } = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'));
  const forbidden = Object.entries(MAY_IMPORT).map(([layer, allowed]) => ({
    includes: [
      `src/${layer}/**`,
      ...GENERATORS.filter((file) => file.startsWith(`${layer}/`)).map((file) => `!src/${file}`),
    ],
    group: [
      ...LAYERS.filter((other) => other !== layer && !allowed.includes(other)).map((other) => `**/${other}/**`),
      ...allowed.filter((a) => a.includes('/')).map((file) => `!**/${file}`),
      'node:*',
    ],
  }));
  const configured = overrides.map((override: never) => {
    const { includes, linter } = override as { includes: string[]; linter: { rules: { style: never } } };
    const { noRestrictedImports } = linter.rules.style as {
      noRestrictedImports: { options: { patterns: { group: string[] }[] } };
    };
    return { includes, group: noRestrictedImports.options.patterns[0].group };
  });
  expect(configured).toEqual(forbidden);
});

test('no file imports itself, by whatever way', () => {
  const next = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports) {
    if (typeOnly) continue;
    next.set(from, [...(next.get(from) ?? []), to]);
  }
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (source: string, path: readonly string[]): void => {
    const start = path.indexOf(source);
    if (start >= 0) cycles.push([...path.slice(start), source].join(' → '));
    if (start >= 0 || done.has(source)) return;
    for (const to of next.get(source) ?? []) visit(to, [...path, source]);
    done.add(source);
  };
  for (const source of sources) visit(source, []);
  expect(cycles).toEqual([]);
});

test('files are short: half of them up to 120 lines, nine in ten up to 400, none above 600', () => {
  const lengths = sources
    .filter((source) => !source.endsWith('.generated.ts') && !source.startsWith('cpu/opcodes/'))
    .map((source) => ({ source, lines: textOf(source).split('\n').length - 1 }))
    .sort((a, b) => a.lines - b.lines);
  const linesAt = (share: number): number => lengths[Math.ceil(share * lengths.length) - 1].lines;
  expect(linesAt(0.5)).toBeLessThanOrEqual(120);
  expect(linesAt(0.9)).toBeLessThanOrEqual(400);
  expect(lengths.filter(({ lines }) => lines > 600)).toEqual([]);
});

test.each([
  ...[...cpuFiles()].map(([name, text]) => [`cpu/${name}`, text] as const),
  ...[...vmxFiles()].map(([name, text]) => [`vmx/${name}`, text] as const),
])('src/%s is what `npm run generate` writes', (name, text) => {
  expect(textOf(name) === text, `src/${name} is out of date: npm run generate`).toBe(true);
});

test('the interpreter loop is small enough to be optimised', async () => {
  // V8 leaves functions alone whose bytecode is longer (max_optimized_bytecode_size).
  const LIMIT = 61_440;
  const folder = mkdtempSync(join(tmpdir(), 'ringlet-'));
  try {
    const outfile = join(folder, 'loop.mjs');
    await build({
      stdin: {
        contents:
          "import { Machine } from './src/index.ts'; new Machine({ memory: 4096 }).run({ maxInstructions: 1 });",
        resolveDir: ROOT,
      },
      bundle: true,
      format: 'esm',
      minifySyntax: true,
      outfile,
    });
    const printed = execFileSync(process.execPath, ['--print-bytecode', '--print-bytecode-filter=interpret', outfile], {
      encoding: 'latin1',
      maxBuffer: 1 << 28,
    });
    const bytes = Number(/function: interpret \([^\n]*\nBytecode length: (\d+)/.exec(printed)?.[1]);
    expect(bytes, `the loop has ${bytes} bytes of bytecode`).toBeGreaterThan(10_000);
    expect(bytes, `the loop has ${bytes} bytes of bytecode, the limit is ${LIMIT}`).toBeLessThan(LIMIT);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
