/** Lexer of the NASM dialect. One line of text becomes tokens; preprocessor and parser both work on them. */

import { LineError } from './errors.ts';
import { unescapeString, utf8Bytes } from './strings.ts';

/** word: identifier or keyword · number, string: constants · mark: operator or punctuation · preprocessor: starts with % */
export type TokenKind = 'word' | 'number' | 'string' | 'mark' | 'preprocessor';

export interface Token {
  readonly kind: TokenKind;
  /** As written; a string with its quotes. */
  readonly text: string;
  /** Where it stands in its line, from 1. */
  readonly column: number;
  /** White space stood before it. */
  readonly space: boolean;
  /** A string's bytes, one character each. */
  readonly value?: string;
}

const SPACE = /[ \t\r\f\v]/;
const WORD = /[A-Za-z_.?@\u0080-\uffff][\w.?@$#~\u0080-\uffff]*/y;
const NUMBER = /(?:\$\d|\d)(?:[eE][+-](?=\d)|[\w$.])*/y;
const MARK = /\$\$|<<<|>>>|<<|>>|\/\/|%%|==|!=|<>|<=|>=|&&|\|\||\^\^|[^\w\s]/y;
/** %directive or %name · %1 · %-1 %+1 %*1 · %%local · %? %?? · %+ · %$local · %!environment */
const PREPROCESSOR = /%(?:\$*[A-Za-z_.][\w.@$#~?]*|[-+*]?\d+|%[A-Za-z_.@][\w.@$#~?]*|\?\??|\+|!\w*|\$+\w*|00)/y;

function take(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? null;
}

/** End of the quoted string that starts at `at`, behind its closing quote. */
function endOfString(text: string, at: number): number {
  const quote = text[at];
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === quote) return i + 1;
    if (quote === '`' && text[i] === '\\') i++;
  }
  throw new LineError(at + 1, `the string is not closed, expected ${quote}`);
}

/** End of the `%{…}` or `%[…]` that starts at `at`. */
function endOfGroup(text: string, at: number): number {
  const open = text[at + 1];
  const close = open === '{' ? '}' : ']';
  let depth = 0;
  for (let i = at + 1; i < text.length; i++) {
    const c = text[i] as string;
    if (c === '"' || c === "'" || c === '`') i = endOfString(text, i) - 1;
    else if (c === open) depth++;
    else if (c === close && --depth === 0) return i + 1;
  }
  throw new LineError(at + 1, `expected ${close} to close %${open}`);
}

function oneToken(text: string, at: number): { kind: TokenKind; end: number } {
  const c = text[at] as string;
  if (c === '"' || c === "'" || c === '`') return { kind: 'string', end: endOfString(text, at) };
  if (c === '%') {
    const next = text[at + 1];
    if (next === '{' || next === '[') return { kind: 'preprocessor', end: endOfGroup(text, at) };
    const word = take(PREPROCESSOR, text, at);
    if (word !== null) return { kind: 'preprocessor', end: at + word.length };
  }
  const number = take(NUMBER, text, at);
  if (number !== null) return { kind: 'number', end: at + number.length };
  // $name is the symbol `name` even where `name` is a keyword
  const word = take(WORD, text, c === '$' ? at + 1 : at);
  if (word !== null) return { kind: 'word', end: at + word.length + (c === '$' ? 1 : 0) };
  const mark = take(MARK, text, at);
  if (mark !== null) return { kind: 'mark', end: at + mark.length };
  throw new LineError(at + 1, `unexpected character ${JSON.stringify(c)}`);
}

/** Tokens of one line, without its comment. */
export function tokenize(text: string, firstColumn = 1): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    const start = at;
    while (at < text.length && SPACE.test(text[at] as string)) at++;
    if (at >= text.length || text[at] === ';') return tokens;
    const { kind, end } = oneToken(text, at);
    const token = { kind, text: text.slice(at, end), column: firstColumn + at, space: at > start };
    tokens.push(kind === 'string' ? { ...token, value: stringValue(token.text) } : token);
    at = end;
  }
}

function stringValue(quoted: string): string {
  const inner = quoted.slice(1, -1);
  return quoted[0] === '`' ? unescapeString(inner) : utf8Bytes(inner);
}

/** The text of tokens, with single spaces where space stood. */
export function textOf(tokens: readonly Token[]): string {
  let text = '';
  for (const token of tokens) text += token.space && text !== '' ? ` ${token.text}` : token.text;
  return text;
}

/** A token that stands where `at` stands. */
export function tokenLike(at: Token, kind: TokenKind, text: string, value?: string): Token {
  const token = { kind, text, column: at.column, space: at.space };
  return value === undefined ? token : { ...token, value };
}
