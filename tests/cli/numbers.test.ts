import { expect, test } from 'vitest';
import { parseMemory, parseNumber, parseTlb, parseTrace, splitWords } from '../../src/cli/numbers.ts';

test('numbers are decimal, 0x… or …h, and nothing else', () => {
  expect(['1000', '0x10', '10h', '0ffh', '1_000'].map((text) => parseNumber(text, '--n'))).toEqual([
    1000, 16, 16, 255, 1000,
  ]);
  for (const text of ['', '-1', '1.5', 'ffh', '0x', '1e3', '99999999999999999999'])
    expect(() => parseNumber(text, '--n')).toThrow('--n');
});

test('memory sizes have units, are whole pages, and stay below 2 GiB', () => {
  expect(['4096', '4K', '64M', '1G', '64MiB', '64mb'].map((text) => parseMemory(text))).toEqual([
    4096, 4096, 67108864, 1073741824, 67108864, 67108864,
  ]);
  for (const text of ['0', '1000', '2G', '64X', 'M', '-1M', '1.5M'])
    expect(() => parseMemory(text)).toThrow('--memory');
});

test('translation caches have a kind and a number that belongs to it', () => {
  expect(parseTlb('unlimited')).toEqual({ kind: 'unlimited' });
  expect(parseTlb('modelled')).toEqual({ kind: 'modelled' });
  expect(parseTlb('modelled:64')).toEqual({ kind: 'modelled', entries: 64 });
  expect(parseTlb('stalest:7')).toEqual({ kind: 'stalest', seed: 7 });
  for (const text of ['', 'unlimited:1', 'stalest:x', 'modelled:1:2', 'lru'])
    expect(() => parseTlb(text)).toThrow('--tlb');
});

test('a trace names topics, and a format behind an equals sign', () => {
  expect(parseTrace('exit,irq')).toEqual({ topics: new Set(['exit', 'irq']), jsonl: false });
  expect(parseTrace('walk=jsonl')).toEqual({ topics: new Set(['walk']), jsonl: true });
  expect(() => parseTrace('exits')).toThrow("cannot show 'exits'");
  expect(() => parseTrace('exit=xml')).toThrow('jsonl');
});

test('words are split as a shell splits them', () => {
  expect(splitWords(`a  --append "b c" 'd "e' f\\ g ""`)).toEqual(['a', '--append', 'b c', 'd "e', 'f g', '']);
  expect(() => splitWords('a "b')).toThrow('not closed');
});
