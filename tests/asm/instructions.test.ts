import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mnemonics } from '../../src/asm/forms.ts';
import { assemble } from '../../src/asm/index.ts';
import { hasNasm, hexOf, nasm } from './nasm.ts';

/** Every mnemonic and operand shape, with the bytes that nasm made of it. */
const list = readFileSync(new URL('./instructions.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' | ') as [string, string, string]);

test('each instruction of the list becomes the bytes beside it', () => {
  expect(list.length).toBeGreaterThan(2000);
  for (const [bits, text, bytes] of list)
    expect(`${text}: ${hexOf(assemble(`bits ${bits}\n${text}`).bytes)}`).toBe(`${text}: ${bytes}`);
});

test('the list has every mnemonic', () => {
  const listed = new Set(list.map(([, text]) => text.split(' ')[0]?.toUpperCase()));
  expect([...mnemonics()].filter((name) => !listed.has(name))).toEqual([]);
});

test.skipIf(!hasNasm)('the nasm that is installed makes the same of the list', () => {
  for (const bits of ['16', '32']) {
    const lines = list.filter(([b]) => b === bits);
    // every instruction in a slot of 16 bytes, so that a difference stays where it is
    const source = lines.map(([, text]) => `${text}\ntimes (16 - ($ - $$) % 16) % 16 db 0`).join('\n');
    const bytes = nasm(`bits ${bits}\n${source}\n`);
    if (typeof bytes === 'string') throw new Error(bytes);
    const differing = lines.filter(
      ([, , expected], n) => hexOf(bytes.subarray(16 * n, 16 * n + expected.length / 2)) !== expected,
    );
    expect(differing).toEqual([]);
  }
});
