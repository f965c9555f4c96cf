/** Expressions: syntax. Operators and their precedence are C's, with NASM's unsigned / % and signed // %%. */

import type { Cursor } from './cursor.ts';
import { LineError } from './errors.ts';
import { type Register, registers } from './registers.ts';
import { characterConstant, parseNumber } from './strings.ts';

export type Expression =
  | { readonly kind: 'number'; readonly value: bigint }
  | { readonly kind: 'register'; readonly register: Register }
  | { readonly kind: 'symbol'; readonly name: string; readonly column: number }
  | { readonly kind: 'here' } // $
  | { readonly kind: 'base' } // $$
  | { readonly kind: 'unary'; readonly operator: string; readonly of: Expression; readonly column: number }
  | {
      readonly kind: 'binary';
      readonly operator: string;
      readonly left: Expression;
      readonly right: Expression;
      readonly column: number;
    }
  | {
      readonly kind: 'choice';
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
      readonly column: number;
    };

/** Weakest first. All are left-associative. */
const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['^^'],
  ['&&'],
  ['=', '==', '!=', '<>', '<', '<=', '>', '>='],
  ['|'],
  ['^'],
  ['&'],
  ['<<', '>>', '<<<', '>>>'],
  ['+', '-'],
  ['*', '/', '//', '%', '%%'],
];
const LEVEL = new Map(LEVELS.flatMap((operators, level) => operators.map((o): [string, number] => [o, level])));

/** Nesting and length beyond this are refused: the source is not trusted with our stack. */
const DEEPEST = 200;
const LONGEST = 2000;

/** Parses one expression; stops at the first token that cannot belong to it. */
export function parseExpression(cursor: Cursor, depth = 0): Expression {
  if (depth > DEEPEST) cursor.fail('the expression is nested too deeply');
  const condition = binary(cursor, 0, depth);
  const column = cursor.column;
  if (cursor.peek().kind !== 'word' || cursor.peek().text !== '?') return condition;
  cursor.next();
  const yes = parseExpression(cursor, depth + 1);
  cursor.expectMark(':', 'between the two values of `?`');
  return { kind: 'choice', condition, yes, no: parseExpression(cursor, depth + 1), column };
}

function binary(cursor: Cursor, level: number, depth: number): Expression {
  let left = unary(cursor, depth);
  for (let operators = 0; ; operators++) {
    if (operators > LONGEST) cursor.fail('the expression is too long');
    const token = cursor.peek();
    const itsLevel = token.kind === 'mark' && !cursor.done ? LEVEL.get(token.text) : undefined;
    if (itsLevel === undefined || itsLevel < level) return left;
    cursor.next();
    const right = binary(cursor, itsLevel + 1, depth + 1);
    left = { kind: 'binary', operator: token.text, left, right, column: token.column };
  }
}

function unary(cursor: Cursor, depth: number): Expression {
  if (depth > DEEPEST) cursor.fail('the expression is nested too deeply');
  const token = cursor.peek();
  if (token.kind === 'mark' && !cursor.done && '-+~!'.includes(token.text) && token.text.length === 1) {
    cursor.next();
    const of = unary(cursor, depth + 1);
    return token.text === '+' ? of : { kind: 'unary', operator: token.text, of, column: token.column };
  }
  return primary(cursor, depth);
}

function primary(cursor: Cursor, depth: number): Expression {
  if (cursor.done) cursor.fail('expected an expression');
  const token = cursor.next();
  switch (token.kind) {
    case 'number': {
      const value = parseNumber(token.text);
      if (value !== null) return { kind: 'number', value };
      throw new LineError(
        token.column,
        /^[\d_]*[.eE]|\./.test(token.text)
          ? `floating point is not supported: \`${token.text}\``
          : `\`${token.text}\` is not a number (hexadecimal is written 0x1F or 1Fh, binary 101b, octal 17o)`,
      );
    }
    case 'string':
      return { kind: 'number', value: characterConstant(token.value as string) };
    case 'word': {
      if (token.text.startsWith('$')) return { kind: 'symbol', name: token.text.slice(1), column: token.column };
      if (token.text.toLowerCase() === 'seg' || token.text.toLowerCase() === 'wrt')
        throw new LineError(token.column, `\`${token.text}\` has no meaning in a flat binary`);
      const register = registers.get(token.text.toLowerCase());
      return register === undefined
        ? { kind: 'symbol', name: token.text, column: token.column }
        : { kind: 'register', register };
    }
    case 'mark':
      if (token.text === '(') {
        const inner = parseExpression(cursor, depth + 1);
        cursor.expectMark(')', 'to close the parenthesis');
        return inner;
      }
      if (token.text === '$') return { kind: 'here' };
      if (token.text === '$$') return { kind: 'base' };
      break;
    case 'preprocessor':
      throw new LineError(token.column, `\`${token.text}\` has no meaning here`);
  }
  throw new LineError(token.column, `expected an expression, found \`${token.text}\``);
}
