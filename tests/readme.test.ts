/** README.md and the other pages tell the truth: their code runs, their lists are complete, their links lead somewhere. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { makeProgram } from '../src/cli/program.ts';
import { processorModels } from '../src/cpu/model.ts';
import { unimplementedFeatures } from '../src/cpu/opcodes/features.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8');
const README = read('README.md');
const PAGES = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`),
  ...readdirSync(join(ROOT, 'guests'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `guests/${name.replaceAll('\\', '/')}`),
  'bench/kernels/README.md',
];

test('the ten lines of the library print what is written beside them', () => {
  const code = /```ts\n([\s\S]*?)```/.exec(README)?.[1] ?? '';
  const promised = [...code.matchAll(/console\.log\(.*\/\/ (.*)/g)].map(([, text]) => text);
  expect(promised.length).toBeGreaterThan(1);
  const folder = mkdtempSync(join(tmpdir(), 'ringlet-readme-'));
  try {
    const file = join(folder, 'readme.mts');
    writeFileSync(file, code.replace("'ringlet'", JSON.stringify(pathToFileURL(join(ROOT, 'src/index.ts')).href)));
    const printed = execFileSync(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, encoding: 'utf8' });
    expect(printed.trim().split('\n')).toEqual(promised);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every command that a page names is a script of the package', () => {
  const { scripts } = JSON.parse(read('package.json'));
  for (const page of PAGES) {
    for (const [, script] of read(page).matchAll(/npm (?:run )?(start|test|(?<=run )[\w:]+)/g))
      expect(Object.keys(scripts), page).toContain(script);
  }
});

test('the table of options is that of the command line', () => {
  const run = makeProgram(() => {}).commands.find((command) => command.name() === 'run');
  const table = README.split('\n').filter((line) => line.startsWith('| `--'));
  const named = table.flatMap((line) => [...(line.split(' | ')[0] ?? '').matchAll(/`(--[\w-]+)/g)].map((m) => m[1]));
  expect(named.sort()).toEqual(run?.options.map((option) => option.long).sort());
  for (const { name } of processorModels) expect(README).toContain(`\`${name}\``);
});

test('what is not implemented is named in the words of the error', () => {
  const list = /asks for one of these stops[^:]*:\n(.*)\./.exec(README)?.[1];
  expect(list?.split(', ')).toEqual(Object.keys(unimplementedFeatures));
});

test('the links of all pages lead somewhere', () => {
  const targets = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target]) => ({ page, target })),
  );
  const isDead = ({ page, target }: (typeof targets)[number]): boolean =>
    !target.startsWith('http') && !existsSync(join(ROOT, dirname(page), target));
  expect(targets.filter(isDead)).toEqual([]);
  expect(targets.length).toBeGreaterThan(10);
});

test('the files that pages name exist', () => {
  const named = PAGES.flatMap((page) =>
    [...read(page).matchAll(/`((?:src|tests|docs|guests|bench)\/[\w./-]+)`/g)].map(([, path]) => ({ page, path })),
  );
  expect(named.filter(({ path }) => !existsSync(join(ROOT, path.replace('NAME', 'hello'))))).toEqual([]);
  expect(named.length).toBeGreaterThan(50);
});
