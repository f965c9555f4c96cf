/** The questions that %if and %elif can ask. */

import { Cursor } from './cursor.ts';
import { splitArguments } from './macros.ts';
import { parseNumber } from './strings.ts';
import { type Token, textOf } from './tokens.ts';

/** What the questions are asked of. */
export interface Asked {
  readonly expand: (tokens: readonly Token[]) => readonly Token[];
  readonly evaluate: (tokens: readonly Token[]) => bigint;
  readonly isDefined: (name: string) => boolean;
  readonly hasMacro: (name: string, parameters: number | null) => boolean;
}

const NAMES = ['', 'def', 'macro', 'idn', 'idni', 'num', 'id', 'str', 'token', 'empty'] as const;
type Question = (typeof NAMES)[number];

/** The question behind `if…` or `elif…` (ifndef, elifnidn …), null if there is none of that name. */
export function questionOf(directive: string): { question: Question; negated: boolean } | null {
  const rest = /^(?:el)?if(.*)$/.exec(directive)?.[1];
  if (rest === undefined) return null;
  const plain = NAMES.find((name) => name === rest);
  if (plain !== undefined) return { question: plain, negated: false };
  const negated = rest.startsWith('n') ? NAMES.find((name) => name === rest.slice(1)) : undefined;
  return negated === undefined ? null : { question: negated, negated: true };
}

export function answer(question: Question, cursor: Cursor, asked: Asked): boolean {
  switch (question) {
    case '':
      if (cursor.done) cursor.fail('expected an expression behind %if');
      return asked.evaluate(asked.expand(cursor.rest())) !== 0n;
    case 'def':
      return names(cursor).some(asked.isDefined);
    case 'macro': {
      const name = cursor.peek().kind === 'word' ? cursor.next().text : cursor.fail('expected the name of a macro');
      const count = cursor.done ? null : Number(parseNumber(cursor.next().text) ?? -1n);
      return asked.hasMacro(name, count);
    }
    case 'idn':
    case 'idni': {
      const column = cursor.column;
      const sides = splitArguments(asked.expand(cursor.rest()), 2);
      if (sides.length !== 2)
        new Cursor([], column).fail(`%if${question} compares two texts with a comma between them`);
      const [a, b] = sides.map((side) => side.map((t) => t.value ?? t.text).join('\0')) as [string, string];
      return question === 'idn' ? a === b : a.toLowerCase() === b.toLowerCase();
    }
    case 'empty':
      return asked.expand(cursor.rest()).length === 0;
    default:
      return isKind(question, asked.expand(cursor.rest()));
  }
}

function names(cursor: Cursor): string[] {
  const found: string[] = [];
  while (!cursor.done) {
    if (cursor.peek().kind !== 'word') cursor.fail('expected a name');
    found.push(cursor.next().text);
    cursor.mark(',');
  }
  if (found.length === 0) cursor.fail('expected a name');
  return found;
}

function isKind(question: 'num' | 'id' | 'str' | 'token', tokens: readonly Token[]): boolean {
  if (question === 'token') return tokens.length === 1 || (tokens.length === 2 && /^-\d/.test(textOf(tokens)));
  const first = tokens[0];
  if (first === undefined) return false;
  if (question === 'id') return tokens.length === 1 && first.kind === 'word';
  if (question === 'str') return tokens.length === 1 && first.kind === 'string';
  const rest = first.kind === 'mark' && '+-'.includes(first.text) ? tokens.slice(1) : tokens;
  return rest.length === 1 && rest[0]?.kind === 'number' && parseNumber((rest[0] as Token).text) !== null;
}
