import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { runs } from '../effort.ts';
import { everyForm, Random, sample } from './generator.ts';
import { hasNasm, hexOf, nasm } from './nasm.ts';
import { randomBatch } from './programs.ts';

/** More with RINGLET_PROGRAMS=2000; another RINGLET_SEED gives others. */
const PROGRAMS = runs(1000);
const SEED = Number(process.env.RINGLET_SEED ?? 1);
const BATCH = 20;

const root = fileURLToPath(new URL('../../', import.meta.url));

function finder(folders: readonly string[]): (path: string) => string | null {
  return (path) => folders.map((folder) => join(folder, path)).find((file) => existsSync(file)) ?? null;
}

/** Assembles a file as the command line would. */
function assembleFile(file: string, folders: readonly string[] = [], defines: Record<string, string> = {}): Uint8Array {
  const find = finder([dirname(file), ...folders]);
  const read = (path: string): Buffer | null => {
    const found = find(path);
    return found === null ? null : readFileSync(found);
  };
  return assemble(readFileSync(file, 'utf8'), {
    file: basename(file),
    defines,
    include: (path) => read(path)?.toString('utf8') ?? null,
    includeBinary: read,
  }).bytes;
}

/** Where two images differ first, with what is there; '' if they are the same. */
function difference(mine: Uint8Array, theirs: Uint8Array): string {
  let at = 0;
  while (at < mine.length && at < theirs.length && mine[at] === theirs[at]) at++;
  if (at === mine.length && at === theirs.length) return '';
  const near = (bytes: Uint8Array): string => hexOf(bytes.subarray(Math.max(0, at - 4), at + 12));
  return `at ${at} (lengths ${mine.length} and ${theirs.length}): ${near(mine)}, nasm ${near(theirs)}`;
}

describe('sources that use the language', () => {
  const folder = join(root, 'tests/asm/sources');
  const expected = new Map(
    readFileSync(join(folder, 'expected.txt'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
  for (const [name, bytes] of expected)
    test(`${name} becomes what nasm makes of it`, () => {
      expect(hexOf(assembleFile(join(folder, name)))).toBe(bytes);
    });
});

describe('guest kernels', () => {
  const folder = join(root, 'guests');
  const sums = existsSync(join(folder, 'SHA256SUMS')) ? readFileSync(join(folder, 'SHA256SUMS'), 'utf8') : '';
  const kernels = existsSync(folder)
    ? readdirSync(folder).filter((name) => existsSync(join(folder, name, 'kernel.asm')))
    : [];
  for (const name of kernels) {
    const sum = new RegExp(`^(\\w{64}) .*\\b${name}\\.bin$`, 'm').exec(sums)?.[1];
    test.skipIf(sum === undefined)(`${name} has the sum of nasm’s image`, () => {
      const bytes = assembleFile(join(folder, name, 'kernel.asm'), [join(folder, 'include')]);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sum);
    });
  }
});

describe.skipIf(!hasNasm)('beside nasm', () => {
  test(`${PROGRAMS} random programs are the same, byte for byte`, () => {
    let bytes = 0;
    for (let n = 0; n * BATCH < PROGRAMS; n++) {
      const seed = SEED * 100_003 + n;
      const source = randomBatch(new Random(seed), Math.min(BATCH, PROGRAMS - n * BATCH));
      const theirs = nasm(source);
      if (typeof theirs === 'string') throw new Error(`batch ${seed}: nasm says ${theirs}`);
      expect(difference(assemble(source).bytes, theirs), `batch ${seed}`).toBe('');
      bytes += theirs.length;
    }
    expect(bytes).toBeGreaterThan(PROGRAMS * 40);
  });

  for (const bits of [16, 32] as const)
    test(`every form with random operands is the same, ${bits} bits`, () => {
      const r = new Random(SEED * 7 + bits);
      const lines = everyForm().flatMap(({ name, form }) =>
        Array.from({ length: 5 }, () => sample(r, bits, name, form).text.replace('($$+', '($+')),
      );
      // every instruction in a slot of 16 bytes, so that a difference stays where it is
      const pad = 'times (16 - ($ - $$) % 16) % 16 db 0';
      const source = `bits ${bits}\n${lines.map((line) => `${line}\n${pad}`).join('\n')}\n`;
      const theirs = nasm(source);
      if (typeof theirs === 'string') throw new Error(theirs);
      const mine = assemble(source).bytes;
      const slot = (image: Uint8Array, n: number): string => hexOf(image.subarray(16 * n, 16 * n + 16));
      const differing = lines.flatMap((line, n) =>
        slot(mine, n) === slot(theirs, n) ? [] : [`${line}: ${slot(mine, n)}, nasm ${slot(theirs, n)}`],
      );
      expect(differing).toEqual([]);
    });

  for (const file of existsSync(join(root, 'bench'))
    ? readdirSync(join(root, 'bench'), { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.asm'))
    : [])
    test(`bench/${file} is the same`, () => {
      const path = join(root, 'bench', file);
      const defines = { ROUNDS: '1000' };
      const theirs = nasm(readFileSync(path, 'utf8'), defines, {}, [dirname(path)]);
      if (typeof theirs === 'string') return;
      expect(difference(assembleFile(path, [], defines), theirs)).toBe('');
    });
});
