/** Multi-line macros: %macro, their arguments, and what %1, %0, %%label, %00 mean in their bodies. */

import type { Cursor } from './cursor.ts';
import { appendJoined, at, joinable } from './defines.ts';
import { LineError } from './errors.ts';
import type { Frame, RawLine } from './sources.ts';
import { type Token, tokenize, tokenLike } from './tokens.ts';

export interface Macro {
  readonly name: string;
  readonly caseless: boolean;
  readonly least: number;
  /** Infinity for `1-*`. */
  readonly most: number;
  /** The last parameter takes the rest of the line, commas included. */
  readonly greedy: boolean;
  /** Values of the parameters above `least`. */
  readonly defaults: readonly (readonly Token[])[];
  readonly body: RawLine[];
  /** Being expanded: its own name then means the instruction. */
  active: boolean;
}

/** `NAME least[-most][+][.nolist] [defaults]`, what follows %macro. */
export function parseMacroHead(cursor: Cursor, caseless: boolean): Macro {
  if (cursor.peek().kind !== 'word') cursor.fail('expected the name of the macro');
  const name = cursor.next().text;
  const least = parameterCount(cursor);
  let most = least;
  if (cursor.mark('-')) most = cursor.mark('*') ? Number.POSITIVE_INFINITY : parameterCount(cursor);
  if (most < least) cursor.fail('the largest number of parameters is below the smallest');
  const greedy = cursor.mark('+');
  if (cursor.word === '.nolist') cursor.next();
  const defaults = cursor.done ? [] : splitArguments(cursor.rest(), Number.POSITIVE_INFINITY);
  return { name, caseless, least, most, greedy, defaults, body: [], active: false };
}

function parameterCount(cursor: Cursor): number {
  const count = /^(\d+)(\.nolist)?$/.exec(cursor.peek().text)?.[1];
  if (count === undefined || cursor.peek().kind !== 'number') cursor.fail('expected the number of parameters');
  cursor.next();
  return Number(count);
}

const isMark = (token: Token | undefined, text: string): boolean => token?.kind === 'mark' && token.text === text;

/** Splits at commas outside braces, at most into `most` parts; the last part then keeps its commas. */
export function splitArguments(tokens: readonly Token[], most: number): Token[][] {
  if (tokens.length === 0) return [];
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (isMark(token, '{')) depth++;
    else if (isMark(token, '}') && depth > 0) depth--;
    if (depth === 0 && isMark(token, ',') && parts.length < most) parts.push([]);
    else (parts[parts.length - 1] as Token[]).push(token);
  }
  if (depth > 0) throw new LineError((tokens[0] as Token).column, 'expected `}`');
  return parts.map(withoutBraces);
}

function withoutBraces(tokens: Token[]): Token[] {
  if (!isMark(tokens[0], '{') || !isMark(tokens[tokens.length - 1], '}')) return tokens;
  let depth = 0;
  for (let i = 0; i < tokens.length; i++) {
    if (isMark(tokens[i], '{')) depth++;
    else if (isMark(tokens[i], '}') && --depth === 0 && i < tokens.length - 1) return tokens;
  }
  return tokens.slice(1, -1);
}

/** The arguments for a use of `macro`, defaults filled in; null if their number does not fit. */
export function bindArguments(macro: Macro, tokens: readonly Token[]): readonly (readonly Token[])[] | null {
  const args: (readonly Token[])[] = splitArguments(tokens, Number.POSITIVE_INFINITY);
  if (args.length < macro.least || (args.length > macro.most && !macro.greedy)) return null;
  const bound = args.length > macro.most ? splitArguments(tokens, Math.max(macro.most, 1)) : args;
  for (let i = bound.length; i < macro.most && i - macro.least < macro.defaults.length; i++)
    bound.push(macro.defaults[i - macro.least] as readonly Token[]);
  return bound;
}

const OPPOSITE: Readonly<Record<string, string>> = {
  a: 'na', ae: 'nae', b: 'nb', be: 'nbe', c: 'nc', e: 'ne', g: 'ng', ge: 'nge', l: 'nl', le: 'nle', o: 'no', p: 'np',
  s: 'ns', z: 'nz', na: 'a', nae: 'ae', nb: 'b', nbe: 'be', nc: 'c', ne: 'e', ng: 'g', nge: 'ge', nl: 'l', nle: 'le',
  no: 'o', np: 'p', ns: 's', nz: 'z', pe: 'po', po: 'pe',
}; // biome-ignore format: a table

/** Parameter `n` (from 1), after %rotate. */
function parameter(frame: Frame, n: number): readonly Token[] {
  const count = frame.args.length;
  return n > count ? [] : (frame.args[(n - 1 + frame.rotation) % count] as readonly Token[]);
}

function conditionCode(frame: Frame, token: Token, n: number, opposite: boolean): Token[] {
  const code = parameter(frame, n)[0]?.text.toLowerCase() ?? '';
  const other = OPPOSITE[code];
  if (other === undefined) throw new LineError(token.column, `parameter ${n} is not a condition code: \`${code}\``);
  return [tokenLike(token, 'word', opposite ? other : code)];
}

/** What a %token of a macro body stands for; null: it is not a parameter. */
function meaning(frame: Frame, token: Token): readonly Token[] | null {
  const text = token.text.startsWith('%{') ? `%${token.text.slice(2, -1)}` : token.text;
  if (text.startsWith('%%') && text.length > 2)
    return [tokenLike(token, 'word', `..@${frame.serial}.${text.slice(2)}`)];
  if (text === '%00') return at(token, frame.label);
  if (text === '%0') return [tokenLike(token, 'number', String(frame.args.length))];
  const range = /^%(-?\d+):(-?\d+)$/.exec(text);
  if (range !== null) return parameterRange(frame, token, Number(range[1]), Number(range[2]));
  const single = /^%([-+]?)(\d+)$/.exec(text);
  if (single === null) return null;
  const n = Number(single[2]);
  if (single[1] === '') return at(token, parameter(frame, n));
  return conditionCode(frame, token, n, single[1] === '-');
}

function parameterRange(frame: Frame, token: Token, from: number, to: number): Token[] {
  const count = frame.args.length;
  const first = from < 0 ? count + from + 1 : from;
  const last = to < 0 ? count + to + 1 : to;
  const out: Token[] = [];
  const step = first <= last ? 1 : -1;
  for (let n = first; n !== last + step; n += step) {
    if (n < 1 || n > count) throw new LineError(token.column, `there is no parameter ${n}`);
    if (out.length > 0) out.push(tokenLike(token, 'mark', ','));
    out.push(...at(token, parameter(frame, n)));
  }
  return out;
}

/** The tokens of a body's line with the frame's parameters in them. */
export function expandParameters(tokens: readonly Token[], frame: Frame | null): readonly Token[] {
  if (!tokens.some((t) => t.kind === 'preprocessor')) return tokens;
  const out: Token[] = [];
  let joins = false; // the previous token was a parameter
  for (const token of tokens) {
    const isIndirect = token.kind === 'preprocessor' && token.text.startsWith('%[');
    if (isIndirect && frame !== null) {
      const inner = expandParameters(tokenize(token.text.slice(2, -1)), frame);
      const text = inner.reduce((all, t) => all + (t.space ? ' ' : '') + t.text, '');
      out.push({ ...token, text: `%[${text}]` });
      joins = false;
      continue;
    }
    const replaced = token.kind === 'preprocessor' && frame !== null ? meaning(frame, token) : null;
    if (replaced === null) {
      if (joins && !token.space && joinable(out[out.length - 1], token)) appendJoined(out, [token]);
      else out.push(token);
      joins = false;
    } else {
      appendJoined(out, replaced);
      joins = true;
    }
  }
  return out;
}
