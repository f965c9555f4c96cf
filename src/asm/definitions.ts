/** %define, %assign and the directives on strings: all of them give a name a text. */

import type { Asked } from './conditions.ts';
import type { Cursor } from './cursor.ts';
import type { Defines } from './defines.ts';
import { splitArguments } from './macros.ts';
import { type Token, textOf, tokenize } from './tokens.ts';

const NAMES = /^(i?(x?define|assign|defstr|deftok)|undef|strlen|strcat|substr)$/;

export const isDefinition = (directive: string): boolean => NAMES.test(directive);

/** Carries out one of the directives; `cursor` stands behind it. */
export function applyDefinition(directive: string, cursor: Cursor, defines: Defines, asked: Asked): void {
  const caseless = directive.startsWith('i');
  const kind = caseless ? directive.slice(1) : directive;
  const nameToken = cursor.peek();
  if (nameToken.kind !== 'word') cursor.fail(`expected a name behind %${directive}`);
  const name = cursor.next().text;
  if (kind === 'undef') defines.undefine(name);
  else if (kind === 'define' || kind === 'xdefine') {
    // a parameter list begins without space
    const list = cursor.isMark('(') && !cursor.peek().space ? parameterList(cursor) : null;
    const body = trim(cursor.rest());
    const expanded = kind === 'xdefine' ? asked.expand(body) : body;
    defines.define({ name, parameters: list, body: expanded }, caseless);
  } else {
    const operands = asked.expand(cursor.rest());
    defines.define({ name, parameters: null, body: tokenize(textFor(kind, operands, cursor, asked)) }, caseless);
  }
}

function parameterList(cursor: Cursor): string[] {
  const names: string[] = [];
  cursor.next();
  while (!cursor.isMark(')')) {
    if (cursor.peek().kind !== 'word') cursor.fail('expected the name of a parameter');
    names.push(cursor.next().text);
    if (!cursor.isMark(')')) cursor.expectMark(',', 'between parameters');
  }
  cursor.next();
  return names;
}

const trim = (tokens: readonly Token[]): readonly Token[] =>
  tokens.map((t, i) => (i === 0 ? { ...t, space: false } : t));

/** The text that the other directives make. */
function textFor(kind: string, tokens: readonly Token[], cursor: Cursor, asked: Asked): string {
  const stringAt = (index: number): string => tokens[index]?.value ?? cursor.fail('expected a string');
  switch (kind) {
    case 'assign':
      if (tokens.length === 0) cursor.fail('expected an expression');
      return String(asked.evaluate(tokens));
    case 'defstr':
      return quote(textOf(tokens));
    case 'deftok':
      return stringAt(0);
    case 'strlen':
      return String(stringAt(0).length);
    case 'strcat':
      return quote(
        tokens
          .filter((t) => t.kind !== 'mark' || t.text !== ',')
          .map((t) => t.value ?? '')
          .join(''),
      );
    default: {
      const [start, count] = splitArguments(tokens.slice(tokens[1]?.text === ',' ? 2 : 1), 2);
      const from = start === undefined ? cursor.fail('expected a position') : Number(asked.evaluate(start));
      const length = count === undefined ? 1 : Number(asked.evaluate(count));
      const text = stringAt(0);
      return quote(text.slice(from - 1, length < 0 ? text.length + length + 1 : from - 1 + length));
    }
  }
}

/** A string token for bytes, whatever they are. */
function quote(bytes: string): string {
  if (!/[^\x20-\x7e]/.test(bytes)) {
    if (!bytes.includes("'")) return `'${bytes}'`;
    if (!bytes.includes('"')) return `"${bytes}"`;
  }
  let text = '';
  for (const c of bytes) text += /[\x20-\x7e]/.test(c) && !/[`\\]/.test(c) ? c : octal(c.charCodeAt(0));
  return `\`${text}\``;
}

const octal = (code: number): string => `\\${code.toString(8).padStart(3, '0')}`;
