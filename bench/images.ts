/** Images to be raced: the kernels of bench/kernels, or any other that follows their protocol. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { assemble } from '../src/asm/index.ts';

export interface Image {
  readonly name: string;
  /** A multiboot image that says itself where it is to be loaded. */
  readonly file: string;
  /** Rounds it was assembled for; null: it has no such thing. */
  readonly rounds: number | null;
  /** What is known of it (counts.json beside its source), else null. */
  readonly checksum: string | null;
  readonly instructions: number | null;
}

const KERNELS = join(import.meta.dirname, 'kernels');

export interface ImageMaker {
  readonly assemble: typeof assemble;
  /** Factor of the rounds. */
  readonly scale: number;
  /** Folder for what is assembled. */
  readonly scratch: string;
}

/** One of bench/kernels. */
export const kernel = (name: string, maker: ImageMaker): Image => image(join(KERNELS, `${name}.asm`), maker);

/** A source, which is assembled, or an image as it is. */
export function image(path: string, maker: ImageMaker): Image {
  const name = basename(path, extname(path));
  if (extname(path) !== '.asm') return { name, file: path, rounds: null, checksum: null, instructions: null };
  const source = readFileSync(path, 'utf8');
  const usual = /^%define ROUNDS (\d+)/m.exec(source)?.[1];
  const rounds = usual === undefined ? null : Math.max(1, Math.round(Number(usual) * maker.scale));
  const folder = dirname(path);
  const { bytes } = maker.assemble(source, {
    file: path,
    defines: rounds === null ? {} : { ROUNDS: rounds },
    include: (file) => readIfThere(join(folder, file))?.toString('utf8') ?? null,
    includeBinary: (file) => readIfThere(join(folder, file)),
  });
  const file = join(maker.scratch, `${name}-${rounds ?? 'image'}.bin`);
  writeFileSync(file, bytes);
  const known = counts(folder)[`${name}:${rounds}`];
  return { name, file, rounds, checksum: known?.sum ?? null, instructions: known?.insns ?? null };
}

const readIfThere = (path: string): Buffer | null => (existsSync(path) ? readFileSync(path) : null);

function counts(folder: string): Record<string, { readonly insns: number; readonly sum: string }> {
  const text = readIfThere(join(folder, 'counts.json'))?.toString('utf8');
  return text === undefined ? {} : JSON.parse(text);
}
