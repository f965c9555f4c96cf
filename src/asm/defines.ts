/** Single-line macros: %define and its relatives. */

import { counted, LineError } from './errors.ts';
import { type Token, tokenize, tokenLike } from './tokens.ts';

export interface Define {
  readonly name: string;
  /** null: used without parentheses. */
  readonly parameters: readonly string[] | null;
  readonly body: readonly Token[];
}

/** Answers for names whose meaning changes from line to line (__LINE__, __FILE__, __BITS__); null: not such a name. */
export type Changing = (name: string) => Token['text'] | null;

/** More tokens than this on one line mean that macros breed without end. */
const MOST_TOKENS = 100_000;
/** Macros in macros, deeper than anybody writes. */
const DEEPEST = 200;

export class Defines {
  readonly #exact = new Map<string, Define[]>();
  readonly #caseless = new Map<string, Define[]>();
  readonly #changing: Changing;
  #budget = 0;

  constructor(changing: Changing) {
    this.#changing = changing;
  }

  define(define: Define, caseless: boolean): void {
    const [table, key] = caseless ? [this.#caseless, define.name.toLowerCase()] : ([this.#exact, define.name] as const);
    const arity = define.parameters?.length ?? -1;
    // a plain name replaces all; forms with different numbers of parameters live side by side
    const others = (table.get(key) ?? []).filter((d) => arity >= 0 && (d.parameters?.length ?? -1) !== arity);
    table.set(key, [...others, define]);
  }

  undefine(name: string): void {
    this.#exact.delete(name);
    this.#caseless.delete(name.toLowerCase());
  }

  isDefined(name: string): boolean {
    return this.#find(name).length > 0 || this.#changing(name) !== null;
  }

  #find(name: string): readonly Define[] {
    return this.#exact.get(name) ?? this.#caseless.get(name.toLowerCase()) ?? [];
  }

  /** All macros in `tokens` replaced, %[…] evaluated, %+ pasted. */
  expand(tokens: readonly Token[]): readonly Token[] {
    this.#budget = MOST_TOKENS;
    return this.#expand(tokens, []);
  }

  #expand(tokens: readonly Token[], active: readonly string[]): readonly Token[] {
    if (!tokens.some((t) => t.kind === 'preprocessor' || (t.kind === 'word' && this.isDefined(t.text)))) return tokens;
    if (active.length > DEEPEST) throw new LineError(tokens[0]?.column ?? 0, 'macros are nested too deeply');
    const out: Token[] = [];
    for (let i = 0; i < tokens.length; ) i = this.#expandOne(tokens, i, active, out);
    return out.some((t) => t.kind === 'preprocessor' && t.text === '%+') ? this.#expand(paste(out), active) : out;
  }

  /** Expands the token at `i` into `out`; returns the index behind what it took. */
  #expandOne(tokens: readonly Token[], i: number, active: readonly string[], out: Token[]): number {
    const token = tokens[i] as Token;
    if (token.kind === 'preprocessor' && token.text.startsWith('%[')) {
      const inner = this.#expand(tokenize(token.text.slice(2, -1), token.column + 2), [...active, '%[']);
      appendJoined(out, at(token, inner));
      const next = tokens[i + 1];
      if (next === undefined || next.space || !joinable(out[out.length - 1], next)) return i + 1;
      appendJoined(out, [next]);
      return i + 2;
    }
    if (token.kind !== 'word' || active.includes(token.text)) {
      out.push(token);
      return i + 1;
    }
    const changing = this.#changing(token.text);
    if (changing !== null) {
      out.push(...at(token, tokenize(changing)));
      return i + 1;
    }
    const found = this.#find(token.text);
    const plain = found.find((d) => d.parameters === null);
    if (plain !== undefined) {
      this.#emit(token, plain, [], active, out);
      return i + 1;
    }
    const open = tokens[i + 1];
    if (found.length === 0 || open === undefined || open.kind !== 'mark' || open.text !== '(') {
      out.push(token);
      return i + 1;
    }
    const { args, end } = callArguments(tokens, i + 1);
    const define = found.find(
      (d) =>
        d.parameters?.length === args.length ||
        (d.parameters?.length === 0 && args.length === 1 && args[0]?.length === 0),
    );
    if (define === undefined)
      throw new LineError(
        token.column,
        `\`${token.text}\` takes ${counted(
          found.map((d) => d.parameters?.length ?? 0),
          'parameter',
        )}, found ${args.length}`,
      );
    // arguments are expanded with the body: the macro's own name in them is left alone
    this.#emit(token, define, args, active, out);
    return end;
  }

  #emit(
    token: Token,
    define: Define,
    args: readonly (readonly Token[])[],
    active: readonly string[],
    out: Token[],
  ): void {
    const body: Token[] = [];
    for (const t of define.body) {
      const parameter = t.kind === 'word' ? (define.parameters?.indexOf(t.text) ?? -1) : -1;
      if (parameter >= 0) body.push(...at(t, args[parameter] ?? []));
      else if (t.kind === 'preprocessor' && (t.text === '%?' || t.text === '%??'))
        body.push(tokenLike(t, 'word', t.text === '%?' ? token.text : define.name));
      else body.push(t);
    }
    this.#budget -= body.length + 1;
    if (this.#budget < 0) throw new LineError(token.column, `\`${token.text}\` expands to too much`);
    out.push(...at(token, this.#expand(body, [...active, token.text])));
  }
}

/** `tokens` as if they stood where `place` stands. */
export function at(place: Token, tokens: readonly Token[]): Token[] {
  return tokens.map((t, i) => ({ ...t, column: place.column, space: i === 0 ? place.space : t.space }));
}

/** Arguments of a use in parentheses; `open` is the index of the `(`. Braces protect commas. */
function callArguments(tokens: readonly Token[], open: number): { args: Token[][]; end: number } {
  const args: Token[][] = [[]];
  let depth = 0;
  let braces = 0;
  for (let i = open; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    const mark = token.kind === 'mark' ? token.text : '';
    if (mark === '{' && braces++ === 0) continue;
    if (mark === '}' && braces > 0 && --braces === 0) continue;
    if (braces === 0) {
      if (mark === '(' && depth++ === 0) continue;
      if (mark === ')' && --depth === 0) return { args, end: i + 1 };
      if (mark === ',' && depth === 1) {
        args.push([]);
        continue;
      }
    }
    (args[args.length - 1] as Token[]).push(token);
  }
  throw new LineError((tokens[open] as Token).column, 'expected `)` to close the macro’s parameters');
}

/** Whether two tokens without space between them make one. */
export function joinable(a: Token | undefined, b: Token): boolean {
  return a !== undefined && (a.kind === 'word' || a.kind === 'number') && (b.kind === 'word' || b.kind === 'number');
}

/** Appends `tokens`; the first of them melts with the last of `out` when no space is between them. */
export function appendJoined(out: Token[], tokens: readonly Token[]): void {
  const first = tokens[0];
  const last = out[out.length - 1];
  if (first === undefined) return;
  if (first.space || !joinable(last, first)) {
    out.push(...tokens);
    return;
  }
  out.pop();
  out.push(...at(last as Token, tokenize((last as Token).text + first.text)), ...tokens.slice(1));
}

/** Carries out `a %+ b`. */
function paste(tokens: readonly Token[]): Token[] {
  const out: Token[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as Token;
    if (token.kind !== 'preprocessor' || token.text !== '%+') {
      out.push(token);
      continue;
    }
    const left = out.pop();
    const right = tokens[++i];
    if (left === undefined || right === undefined)
      throw new LineError(token.column, '`%+` needs something on both sides');
    out.push(...at(left, tokenize(left.text + right.text)));
  }
  return out;
}
