/** What the kernel of guest.asm can be told to do, and its images. */
import { readFileSync } from 'node:fs';
import { assemble } from '../../../src/asm/index.ts';

/** Operations by their numbers in guest.asm. */
export const OP = {
  end: 0,
  read: 1,
  write: 2,
  execute: 3,
  user: 4,
  invalidate: 5,
  root: 6,
  whole: 7,
  protect: 8,
  yield: 9,
} as const;
export type Operation = readonly [op: number, a?: number, b?: number, c?: number];

const kernel = assemble(readFileSync(new URL('guest.asm', import.meta.url), 'utf8'));
const ORIGIN = 0x10_0000;
const symbol = (name: string): number => kernel.symbols.get(name) ?? 0;
/** Where the kernel keeps the end of its log. */
export const LOG_END = symbol('at_log');
if (kernel.bytes.length > 0x1_0000) throw new Error('the kernel is too long');

/** A kernel image with this list of operations. */
export function imageOf(program: readonly Operation[], pae: boolean): Uint8Array {
  const words = Int32Array.from(
    [...program, [OP.end] as Operation].flatMap(([op, a = 0, b = 0, c = 0]) => [op, a, b, c]),
  );
  const image = new Uint8Array(kernel.bytes.length + words.byteLength);
  image.set(kernel.bytes);
  image[symbol('pae') - ORIGIN] = pae ? 1 : 0;
  image.set(new Uint8Array(words.buffer), kernel.bytes.length);
  return image;
}

/** A program as text. */
export function listing(program: readonly Operation[]): string {
  const names = Object.keys(OP);
  return program
    .map(([op, ...rest]) => `${names[op]} ${rest.map((n = 0) => (n >>> 0).toString(16)).join(' ')}`)
    .join('\n');
}
