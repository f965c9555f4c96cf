import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { unimplementedFeatures } from '../../src/cpu/opcodes/features.ts';
import { rows } from '../../src/cpu/opcodes/index.ts';

const known = Object.keys(unimplementedFeatures);

test('what is left out of the processor is exactly this', () => {
  expect(known).toEqual(['alignment check', 'x87']);
});

test('of these the rows name those that are instructions', () => {
  const named = new Set(rows.map((row) => row.feature).filter((feature) => feature !== ''));
  expect([...named].sort()).toEqual(['x87']);
});

test('the processor stops at nothing else', () => {
  const root = new URL('../../src/', import.meta.url);
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const thrown = files.flatMap((name) => {
    const source = readFileSync(new URL(name, root), 'utf8');
    return [...source.matchAll(/new Unimplemented\(\s*(['"`])(.*?)\1/g)].map((match) => match[2] as string);
  });
  expect(thrown.filter((feature) => !known.includes(feature))).toEqual([]);
});
