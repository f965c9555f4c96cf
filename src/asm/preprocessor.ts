/** The preprocessor: a stack of line sources. `next()` gives the next line that is left to assemble. */

import { type Asked, answer, questionOf } from './conditions.ts';
import { Cursor } from './cursor.ts';
import { Defines } from './defines.ts';
import { applyDefinition, isDefinition } from './definitions.ts';
import { counted, LineError, type Place, type Problems } from './errors.ts';
import { bindArguments, expandParameters, type Macro, parseMacroHead } from './macros.ts';
import { type Condition, type Frame, type Line, linesOf, RawLine, type Source } from './sources.ts';
import { type Token, textOf } from './tokens.ts';

/** What the preprocessor needs from the pass that it runs in. */
export interface Host {
  readonly problems: Problems;
  /** The text of an included file; null: there is none. */
  include(path: string): string | null;
  /** The value of an expression whose symbols must be known. Throws LineError. */
  evaluate(tokens: readonly Token[]): bigint;
  bits(): number;
  /** Whether an instruction or directive has that name. */
  knows(name: string): boolean;
  warn(place: Place, message: string): void;
}

const MOST_LINES = 4_000_000;
const MOST_ROUNDS = 1_000_000n;
const DEEPEST = 128;

/** Directives that stay without effect here. */
const IGNORED = new Set(['pragma', 'line', 'depend', 'clear']);
const LATER: Readonly<Record<string, string>> = {
  push: 'contexts', pop: 'contexts', repl: 'contexts', use: 'packages', arg: '%arg', local: '%local',
  stacksize: '%stacksize', pathsearch: '%pathsearch', rmacro: 'recursive macros', irmacro: 'recursive macros',
}; // biome-ignore format: a table

export class Preprocessor {
  readonly #host: Host;
  readonly #defines: Defines;
  readonly #macros = new Map<string, Macro[]>();
  readonly #stack: Source[] = [];
  readonly #asked: Asked;
  #place: Place;
  #serial = 0;
  #lines = 0;

  constructor(file: string, source: string, defines: Readonly<Record<string, string>>, host: Host) {
    this.#host = host;
    this.#place = { file, line: 0, column: 1 };
    this.#defines = new Defines((name) => this.#changing(name));
    this.#asked = {
      expand: (tokens) => this.#defines.expand(tokens),
      evaluate: (tokens) => this.#host.evaluate(tokens),
      isDefined: (name) => this.#defines.isDefined(name),
      hasMacro: (name, count) => this.#hasMacro(name, count),
    };
    const given = Object.entries({ __NASM_MAJOR__: '2', __NASM_MINOR__: '16', __OUTPUT_FORMAT__: 'bin', ...defines });
    for (const [name, value] of given) {
      const line = new RawLine(value, { file: `-D${name}`, line: 1, column: 1 });
      const body = host.problems.during(line.place, () => line.tokens) ?? [];
      this.#defines.define({ name, parameters: null, body }, false);
    }
    this.#enter('file', linesOf(file, source), 1, null);
  }

  /** The next line, null behind the last. Problems go to the host. */
  next(): Line | null {
    for (;;) {
      const source = this.#stack[this.#stack.length - 1];
      if (source === undefined) return null;
      const raw = source.lines[source.at++];
      if (raw === undefined) {
        this.#endOfSource(source);
        continue;
      }
      if (++this.#lines > MOST_LINES) this.#host.problems.fatal(raw.place, `more than ${MOST_LINES} lines`);
      this.#place = source.frame === null ? raw.place : { ...raw.place, from: fromOf(source.frame) };
      const tokens = this.#host.problems.during(this.#place, () => this.#take(raw, source));
      if (tokens !== undefined && tokens !== null) return { tokens, place: this.#place };
    }
  }

  #enter(kind: Source['kind'], lines: readonly RawLine[], rounds: number, frame: Frame | null, leave = () => {}): void {
    if (this.#stack.length >= DEEPEST) this.#host.problems.fatal(this.#place, 'files or macros are nested too deeply');
    const conditions = kind === 'file' ? [] : this.#conditions;
    this.#stack.push({ kind, lines, at: 0, rounds, frame, conditions, openBefore: conditions.length, leave });
  }

  #endOfSource(source: Source): void {
    if (--source.rounds > 0) {
      source.at = 0;
      return;
    }
    this.#stack.pop();
    source.leave();
    const open = source.kind === 'file' ? source.conditions.pop() : undefined;
    if (open !== undefined) this.#host.problems.add(open.place, 'expected %endif for this %if before the file ends');
  }

  get #conditions(): Condition[] {
    return (this.#stack[this.#stack.length - 1] as Source).conditions;
  }

  get #live(): boolean {
    const conditions = this.#conditions;
    return conditions.length === 0 || (conditions[conditions.length - 1] as Condition).state === 'on';
  }

  /** One line: its tokens if it is to be assembled, null if it was for the preprocessor. */
  #take(raw: RawLine, source: Source): readonly Token[] | null {
    if (!this.#live) {
      if (/^(el)?if|^else$|^endif$/.test(raw.directive)) this.#condition(raw, source);
      return null;
    }
    const tokens = expandParameters(raw.tokens, source.frame);
    const first = tokens[0];
    if (first === undefined) return null;
    if (first.kind === 'preprocessor' && /^%[A-Za-z]/.test(first.text)) {
      this.#directive(first.text.slice(1).toLowerCase(), new Cursor(tokens, 1), raw, source, first);
      return null;
    }
    const expanded = this.#defines.expand(tokens);
    const stray = expanded.find((t) => t.kind === 'preprocessor');
    if (stray !== undefined) throw new LineError(stray.column, `\`${stray.text}\` has no meaning here`);
    return this.#useMacro(expanded) ? null : expanded;
  }

  #directive(name: string, cursor: Cursor, raw: RawLine, source: Source, first: Token): void {
    if (questionOf(name) !== null || name === 'else' || name === 'endif') this.#condition(raw, source);
    else if (isDefinition(name)) applyDefinition(name, cursor, this.#defines, this.#asked);
    else if (name === 'macro' || name === 'imacro') this.#defineMacro(cursor, name === 'imacro', source);
    else if (name === 'unmacro' || name === 'unimacro') this.#macros.delete(cursor.next().text.toLowerCase());
    else if (name === 'rep') this.#repeat(cursor, source);
    else if (name === 'exitrep') this.#exit('rep', first);
    else if (name === 'exitmacro') this.#exit('macro', first);
    else if (name === 'rotate') this.#rotate(cursor, source);
    else if (name === 'include') this.#include(cursor);
    else if (name === 'error' || name === 'fatal' || name === 'warning') this.#message(name, cursor, first);
    else if (LATER[name] !== undefined)
      throw new LineError(first.column, `${LATER[name]} are not supported (%${name})`);
    else if (name === 'endmacro' || name === 'endrep')
      throw new LineError(first.column, `%${name} without %${name.slice(3)}`);
    else if (!IGNORED.has(name)) throw new LineError(first.column, `there is no directive %${name}`);
  }

  #message(name: string, cursor: Cursor, first: Token): void {
    const tokens = this.#defines.expand(cursor.rest());
    const text = tokens.length === 1 ? (tokens[0]?.value ?? textOf(tokens)) : textOf(tokens);
    if (name === 'warning') {
      this.#host.warn(this.#place, text);
      return;
    }
    if (name === 'fatal') this.#host.problems.fatal({ ...this.#place, column: first.column }, text);
    throw new LineError(first.column, text);
  }

  #condition(raw: RawLine, source: Source): void {
    const conditions = this.#conditions;
    const directive = raw.directive;
    const current = conditions[conditions.length - 1];
    const cursor = (): Cursor => new Cursor(expandParameters(raw.tokens, source.frame), 1);
    if (directive.startsWith('if')) {
      // pushed before it is answered: an %if that fails still has its %endif
      const condition: Condition = { state: this.#live ? 'done' : 'never', sawElse: false, place: this.#place };
      conditions.push(condition);
      if (condition.state === 'done') condition.state = this.#ask(directive, cursor()) ? 'on' : 'waiting';
      return;
    }
    if (current === undefined) throw new LineError(0, `%${directive} without %if`);
    if (directive === 'endif') {
      conditions.pop();
      return;
    }
    if (current.sawElse) throw new LineError(0, `%${directive} behind %else`);
    if (directive === 'else') current.sawElse = true;
    if (current.state === 'on') current.state = 'done';
    else if (current.state === 'waiting') {
      current.state = 'done';
      current.state = directive === 'else' || this.#ask(directive, cursor()) ? 'on' : 'waiting';
    }
  }

  #ask(directive: string, cursor: Cursor): boolean {
    const asked = questionOf(directive);
    if (asked === null) throw new LineError(0, `%${directive} is not supported`);
    return answer(asked.question, cursor, this.#asked) !== asked.negated;
  }

  /** Lines up to the matching end, which is taken too. */
  #body(source: Source, begin: RegExp, end: string): RawLine[] {
    const from = source.at;
    for (let depth = 1; source.at < source.lines.length; ) {
      const line = source.lines[source.at++] as RawLine;
      if (begin.test(line.directive)) depth++;
      else if (line.directive === end && --depth === 0) return source.lines.slice(from, source.at - 1);
    }
    throw new LineError(0, `expected %${end}`);
  }

  #defineMacro(cursor: Cursor, caseless: boolean, source: Source): void {
    const body = this.#body(source, /^i?macro$/, 'endmacro');
    const macro = parseMacroHead(cursor, caseless);
    macro.body.push(...body);
    const key = macro.name.toLowerCase();
    const others = (this.#macros.get(key) ?? []).filter(
      (m) => m.name !== macro.name || m.most < macro.least || m.least > macro.most,
    );
    this.#macros.set(key, [...others, macro]);
  }

  #macrosNamed(name: string): readonly Macro[] {
    return (this.#macros.get(name.toLowerCase()) ?? []).filter((m) => m.caseless || m.name === name);
  }

  #hasMacro(name: string, count: number | null): boolean {
    return this.#macrosNamed(name).some((m) => count === null || (count >= m.least && (count <= m.most || m.greedy)));
  }

  /** Begins the expansion if the line uses a macro, with or without a label in front. */
  #useMacro(tokens: readonly Token[]): boolean {
    let at = 0;
    if (this.#macrosNamed(tokens[0]?.text ?? '').length === 0 || tokens[0]?.kind !== 'word') {
      at = tokens[1]?.kind === 'mark' && tokens[1].text === ':' ? 2 : 1;
      if (tokens[0]?.kind !== 'word' || tokens[at]?.kind !== 'word') return false;
      if (at === 1 && this.#host.knows(tokens[0].text)) return false;
    }
    const name = tokens[at] as Token;
    const named = this.#macrosNamed(name.text).filter((m) => !m.active);
    if (named.length === 0) return false;
    for (const macro of named) {
      const args = bindArguments(macro, tokens.slice(at + 1));
      if (args !== null) {
        this.#expandMacro(macro, args, tokens.slice(0, at === 0 ? 0 : 1));
        return true;
      }
    }
    if (this.#host.knows(name.text)) return false;
    const takes = named.map((m) => (m.least === m.most ? `${m.least}` : `${m.least} to ${m.most}`));
    throw new LineError(name.column, `macro \`${name.text}\` takes ${counted(takes, 'parameter')}`);
  }

  #expandMacro(macro: Macro, args: readonly (readonly Token[])[], label: readonly Token[]): void {
    const frame: Frame = { name: macro.name, args, rotation: 0, serial: ++this.#serial, label, place: this.#place };
    const usesLabel = macro.body.some((line) => line.text.includes('%00'));
    macro.active = true;
    this.#enter('macro', macro.body, 1, frame, () => {
      macro.active = false;
    });
    const first = label[0];
    if (first !== undefined && !usesLabel) {
      const text = `${first.text}:`;
      this.#enter('rep', [new RawLine(text, this.#place)], 1, null);
    }
  }

  #repeat(cursor: Cursor, source: Source): void {
    const body = this.#body(source, /^rep$/, 'endrep');
    if (cursor.done) cursor.fail('expected how often to repeat');
    const rounds = this.#host.evaluate(this.#defines.expand(cursor.rest()));
    if (rounds > MOST_ROUNDS) throw new LineError(0, `%rep ${rounds}: at most ${MOST_ROUNDS} are possible`);
    if (rounds > 0n && body.length > 0) this.#enter('rep', body, Number(rounds), source.frame);
  }

  /** Leaves the innermost %rep or macro. */
  #exit(kind: 'rep' | 'macro', first: Token): void {
    const kinds = this.#stack.map((s) => s.kind);
    const index = kinds.lastIndexOf(kind);
    if (index < kinds.lastIndexOf('file')) throw new LineError(first.column, `${first.text} outside %${kind}`);
    const { conditions, openBefore } = this.#stack[index] as Source;
    conditions.length = openBefore;
    for (const source of this.#stack.splice(index).reverse()) source.leave();
  }

  #rotate(cursor: Cursor, source: Source): void {
    const { frame } = source;
    if (frame === null) cursor.fail('%rotate outside a macro');
    const by = Number(this.#host.evaluate(this.#defines.expand(cursor.rest())));
    const count = frame.args.length;
    if (count > 0) frame.rotation = (((frame.rotation + by) % count) + count) % count;
  }

  #include(cursor: Cursor): void {
    const tokens = this.#defines.expand(cursor.rest());
    const path = tokens[0]?.value;
    if (path === undefined || tokens.length !== 1) cursor.fail('expected the path of a file in quotes');
    const text = this.#host.include(path);
    if (text === null) throw new LineError(tokens[0]?.column ?? 0, `cannot find the file "${path}"`);
    this.#enter('file', linesOf(path, text), 1, null);
  }

  #changing(name: string): string | null {
    if (!name.startsWith('__')) return null;
    if (name === '__LINE__' || name === '__?LINE?__') return String(this.#outermost().line);
    if (name === '__FILE__' || name === '__?FILE?__') return `"${this.#outermost().file}"`;
    return name === '__BITS__' || name === '__?BITS?__' ? String(this.#host.bits()) : null;
  }

  /** The place in the file, behind all macros. */
  #outermost(): Place {
    let place = this.#place;
    while (place.from !== undefined) place = place.from.place;
    return place;
  }
}

const fromOf = (frame: Frame) => ({ macro: frame.name, place: frame.place });
