/** Parser of operands. */

import type { Cursor } from './cursor.ts';
import { type Expression, parseExpression } from './expression.ts';
import type { Prefix, Size } from './operands.ts';
import { type Register, registers } from './registers.ts';
import type { OperandSyntax } from './statement.ts';

/** Bytes of the size keywords. */
export const SIZES: ReadonlyMap<string, Size> = new Map([
  ['byte', 1],
  ['word', 2],
  ['dword', 4],
  ['long', 4],
  ['qword', 8],
  ['tword', 10],
  ['oword', 16],
]);

interface Said {
  size: Size;
  strict: boolean;
  distance: 'short' | 'near' | 'far' | null;
}

/** Size and distance keywords in front of an operand; the first size counts. */
function keywords(cursor: Cursor, said: Said): void {
  for (;;) {
    const word = cursor.word;
    const size = SIZES.get(word);
    if (size !== undefined) said.size ||= size;
    else if (word === 'strict') said.strict = true;
    else if (word === 'short' || word === 'near' || word === 'far') said.distance = word;
    else return;
    cursor.next();
  }
}

function segmentIn(cursor: Cursor): Register | null {
  const found = registers.get(cursor.word);
  const colon = cursor.peek(1);
  if (found?.class !== 'segment' || colon.kind !== 'mark' || colon.text !== ':') return null;
  cursor.next();
  cursor.next();
  return found;
}

/** Parses `[…]`; a16 and a32 in it join the prefixes. */
function memory(cursor: Cursor, said: Said, outside: Register | null, prefixes: Prefix[]): OperandSyntax {
  const column = cursor.column;
  let displacementSize: Size = 0;
  let nosplit = false;
  let segment = outside;
  cursor.expectMark('[', 'to open the memory operand');
  for (;;) {
    const word = cursor.word;
    const size = SIZES.get(word);
    if (size === 1 || size === 2 || size === 4) displacementSize = size;
    else if (size !== undefined) cursor.fail('expected byte, word or dword for the displacement');
    else if (word === 'nosplit') nosplit = true;
    else if (word === 'a16' || word === 'a32') prefixes.push(word);
    else if (word !== 'abs') {
      const found: Register | null = segmentIn(cursor);
      if (found === null) break;
      if (segment !== null && segment !== found) cursor.fail('the operand has two segments');
      segment = found;
      continue;
    }
    cursor.next();
  }
  if (cursor.word === 'rel') cursor.fail('rel is for 64-bit code');
  const expression = parseExpression(cursor);
  cursor.expectMark(']', 'to close the memory operand');
  const distance = said.distance === 'short' ? null : said.distance;
  return { kind: 'memory', expression, segment, size: said.size, displacementSize, nosplit, distance, column };
}

function operand(cursor: Cursor, prefixes: Prefix[]): OperandSyntax {
  const said: Said = { size: 0, strict: false, distance: null };
  const column = cursor.column;
  keywords(cursor, said);
  const segment = segmentIn(cursor);
  if (segment !== null || cursor.isMark('[')) return memory(cursor, said, segment, prefixes);
  const expression: Expression = parseExpression(cursor);
  if (cursor.mark(':')) {
    const inner: Said = { ...said };
    keywords(cursor, inner);
    return { kind: 'far', selector: expression, offset: parseExpression(cursor), size: inner.size, column };
  }
  return { kind: 'value', expression, column, ...said };
}

/** The operands up to the end of the line. */
export function parseOperands(cursor: Cursor, prefixes: Prefix[]): OperandSyntax[] {
  const operands: OperandSyntax[] = [];
  if (cursor.done) return operands;
  do operands.push(operand(cursor, prefixes));
  while (cursor.mark(','));
  if (!cursor.done) cursor.fail('expected a comma or the end of the line');
  return operands;
}
