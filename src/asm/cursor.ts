/** Reading position in the tokens of one line. */

import { LineError } from './errors.ts';
import type { Token } from './tokens.ts';

const END: Token = { kind: 'mark', text: '', column: 0, space: true };

export class Cursor {
  readonly tokens: readonly Token[];
  #at: number;

  constructor(tokens: readonly Token[], at = 0) {
    this.tokens = tokens;
    this.#at = at;
  }

  /** The token `ahead` of the current one; an empty mark behind the last. */
  peek(ahead = 0): Token {
    return this.tokens[this.#at + ahead] ?? END;
  }

  next(): Token {
    const token = this.peek();
    if (this.#at < this.tokens.length) this.#at++;
    return token;
  }

  get done(): boolean {
    return this.#at >= this.tokens.length;
  }

  /** Column of the current token, or just behind the last. */
  get column(): number {
    if (!this.done) return this.peek().column;
    const last = this.tokens[this.tokens.length - 1];
    return last === undefined ? 1 : last.column + last.text.length;
  }

  /** The rest, as tokens; the cursor is at the end then. */
  rest(): readonly Token[] {
    const rest = this.tokens.slice(this.#at);
    this.#at = this.tokens.length;
    return rest;
  }

  isMark(text: string): boolean {
    const token = this.peek();
    return token.kind === 'mark' && token.text === text && !this.done;
  }

  /** Takes the mark if it is next. */
  mark(text: string): boolean {
    if (!this.isMark(text)) return false;
    this.#at++;
    return true;
  }

  /** The lower-case text of a word that is next, else ''. */
  get word(): string {
    const token = this.peek();
    return token.kind === 'word' ? token.text.toLowerCase() : '';
  }

  expectMark(text: string, where: string): void {
    if (!this.mark(text)) this.fail(`expected \`${text}\` ${where}`);
  }

  /** Complains at the current token; says what stands there. */
  fail(message: string): never {
    const found = this.done ? 'the line ends' : `found \`${this.peek().text}\``;
    throw new LineError(this.column, `${message}, ${found}`);
  }
}
