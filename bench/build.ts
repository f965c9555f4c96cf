/** Makes sure that what is measured is what users get: the built package, and beside it, built alike, the programs of bench/. */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Options } from 'tsup';
import packageConfig from '../tsup.config.ts';

const ROOT = join(import.meta.dirname, '..');
const PACKAGE = join(ROOT, 'dist', 'index.js');
const PROGRAMS = join(ROOT, 'dist', 'bench');

/** Programs of bench/ that run in processes of their own, by name. */
const SOURCES = {
  driver: 'bench/driver.ts',
  'v86-driver': 'bench/rivals/v86-driver.ts',
  micro: 'bench/micro/main.ts',
} as const;

/** Where a built program is. */
export const program = (name: keyof typeof SOURCES): string => join(PROGRAMS, `${name}.js`);

type Ringlet = typeof import('../src/index.ts');

/** Builds what is older than its sources; the package as a library. */
export async function builtPackage(tell: (line: string) => void): Promise<Ringlet> {
  const changed = newest(join(ROOT, 'src'), join(ROOT, 'tsup.config.ts'), join(ROOT, 'package.json'));
  if (timeOf(PACKAGE) < changed) {
    tell('building dist/ …');
    execFileSync('npm', ['run', 'build', '--silent'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const names = Object.keys(SOURCES) as (keyof typeof SOURCES)[];
  const oldest = Math.min(...names.map((name) => timeOf(program(name))));
  if (oldest < Math.max(timeOf(PACKAGE), newest(join(ROOT, 'bench')))) {
    tell('building dist/bench/ …');
    await buildPrograms();
  }
  return (await import(pathToFileURL(PACKAGE).href)) as Ringlet;
}

/** With the options of the package, because the loop's speed depends on them. */
async function buildPrograms(): Promise<void> {
  const { format, target, esbuildOptions } = packageConfig as Options;
  await build({
    ...{ format, target, esbuildOptions },
    config: false,
    entry: SOURCES,
    outDir: PROGRAMS,
    external: ['benchmark'],
    splitting: false,
    sourcemap: true,
    clean: true,
    silent: true,
  } as Options);
}

const timeOf = (path: string): number => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Time of the last change of a TypeScript source below these places. */
function newest(...places: readonly string[]): number {
  return Math.max(
    ...places.flatMap((place) => {
      if (!statSync(place).isDirectory()) return [timeOf(place)];
      const files = readdirSync(place, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
      return files.map((name) => timeOf(join(place, name)));
    }),
  );
}
