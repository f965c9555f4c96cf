import ts from 'typescript';
import { expect, test } from 'vitest';
import { chosen, instrumented } from './instrument.ts';
import { type Mutant, mutantsOf, otherNumber } from './mutants.ts';

/** The mutants of a text, with the checker's knowledge of its types. */
function made(text: string): { source: ts.SourceFile; mutants: Mutant[] } {
  const source = ts.createSourceFile('a.ts', text, ts.ScriptTarget.ES2022, true);
  const host = ts.createCompilerHost({ noLib: true });
  const program = ts.createProgram(
    ['a.ts'],
    { noLib: true, strict: true },
    { ...host, getSourceFile: (name) => (name === 'a.ts' ? source : undefined) },
  );
  return { source, mutants: mutantsOf(source, 'src/a.ts', program.getTypeChecker()) };
}

const changes = (text: string): string[] => made(text).mutants.map((m) => `${m.original} → ${m.instead}`);

test.each([
  ['const x = (a: number, b: number) => { a = a & b; };', ['a = a & b; → ', 'a & b → a | b']],
  [
    'function f(a: number) { if (a < 2) throw 3; }',
    ['a < 2 → true', 'a < 2 → false', 'a < 2 → a <= 2', '2 → 3', 'throw 3; → '],
  ],
  ['const f = (a: boolean) => !a;', ['!a → true', '!a → false', '!a → a']],
  ['function f(a: number) { return a >>> 0; }', ['a >>> 0 → 0', 'a >>> 0 → a']],
  ['const f = (a: string) => a + "x";', []],
  [
    'for (let k: number = 5; k > 1; k--) { break; }',
    ['k > 1 → false', '5 → 6', 'k > 1 → k >= 1', 'k > 1 → k <= 1', '1 → 0', 'k-- → k++', 'break; → '],
  ],
  ['type T = 1; interface I { a: 2 } const o = { 3: a }; declare const a: 4;', []],
])('%s', (text, expected) => {
  expect(changes(text)).toEqual(expected);
});

test.each([
  ['0', '1'],
  ['1', '0'],
  ['12', '13'],
  ['0xff00', '0xfe00'],
  ['0x8000_0000', '0x0'],
  ['0x0', '1'],
  ['1n', '0n'],
  ['0xf0n', '0xe0n'],
  ['1.5', '1.5'],
])('the number %s becomes %s', (text, other) => {
  expect(otherNumber(text)).toBe(other);
});

test('one text holds the sources and each of their mutants', () => {
  const text = `function f(a: number, b: number) {
  let sum = 0;
  for (let k = a; k < b; k++) if (k !== 3) sum += k;
  return sum;
}`;
  const { source, mutants } = made(text);
  const script = ts.transpile(`${instrumented(source, mutants, 10, chosen)}; f(1, 5);`);
  let rounds = 0;
  const run = (mutant: number): unknown =>
    new Function('__mutant', '__round', `return eval(${JSON.stringify(script)})`)(mutant, () => {
      if (++rounds > 100) throw new Error('endless');
    });
  // Each mutant alone, written into the text.
  const plain = ({ start, end, instead }: Mutant): unknown =>
    new Function(`${ts.transpile(text.slice(0, start) + instead + text.slice(end))}; return f(1, 5);`)();
  expect(run(-1)).toBe(1 + 2 + 4);
  expect(mutants.length).toBeGreaterThan(8);
  for (const [n, mutant] of mutants.entries()) {
    rounds = 0;
    if (mutant.instead === 'k--') expect(() => run(10 + n)).toThrow('endless');
    else expect(run(10 + n), mutant.instead).toBe(plain(mutant));
  }
});
