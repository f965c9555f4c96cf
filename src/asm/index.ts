/** Assembler: a subset of the NASM language, byte for byte as `nasm -f bin` (docs/assembler.md says what belongs to it).
 *  It reads the same opcode rows as the decoder. */

import { Cursor } from './cursor.ts';
import { type Place, type Problem, Problems } from './errors.ts';
import { parseExpression } from './expression.ts';
import { isKeyword, parseStatement } from './parser.ts';
import { Pass, type PassOptions } from './pass.ts';
import { type Host, Preprocessor } from './preprocessor.ts';
import { numberOf } from './resolve.ts';
import { Sections } from './sections.ts';
import type { Statement } from './statement.ts';
import { Symbols } from './symbols.ts';
import type { Token } from './tokens.ts';
import { evaluate } from './value.ts';

export interface AssembleOptions {
  /** Name of the source in messages. @defaultValue `source.asm` */
  readonly file?: string;
  /** As `-DNAME=TEXT`. */
  readonly defines?: Readonly<Record<string, string | number>>;
  /** Finds the text of `%include "path"`; null: there is no such file. */
  readonly include?: (path: string) => string | null;
  /** Finds the bytes of `incbin "path"`. */
  readonly includeBinary?: (path: string) => Uint8Array | null;
  /** Bytes that the program may have. @defaultValue 64 MiB */
  readonly limit?: number;
}

/** What a line of source became. */
export interface AssembledLine {
  readonly file: string;
  readonly line: number;
  readonly address: number;
  readonly length: number;
}

export interface Assembled {
  readonly bytes: Uint8Array;
  /** The address of the first byte. */
  readonly origin: number;
  /** Labels by their whole name (`start`, `start.loop`) with their addresses, and EQU constants. */
  readonly symbols: Map<string, number>;
  /** In the order of assembly; only lines that have bytes. */
  readonly lines: readonly AssembledLine[];
  /** From %warning, and numbers that are larger than their place. */
  readonly warnings: readonly Problem[];
}

interface Parsed {
  statement: Statement;
  readonly place: Place;
}

/** After so many passes there is no hope that label addresses settle. */
const MOST_PASSES = 500;

class Assembly {
  readonly #problems = new Problems();
  readonly #warnings: Problem[] = [];
  readonly #sections = new Sections();
  readonly #symbols = new Symbols();
  readonly #source: string;
  readonly #options: AssembleOptions;
  readonly #passOptions: PassOptions;
  #place: Place;
  readonly #texts = new Map<string, string | null>();
  #recorded: Parsed[] | null = null;
  /** The preprocessor asked for an address, so its output may differ from pass to pass. */
  #positionUsed = false;
  /** The preprocessor stumbled, so lines are missing. */
  #incomplete = false;

  constructor(source: string, options: AssembleOptions) {
    this.#source = source;
    this.#place = { file: options.file ?? 'source.asm', line: 1, column: 1 };
    this.#options = options;
    const binaries = new Map<string, Uint8Array | null>();
    this.#passOptions = {
      constants: new Map(),
      warn: (message) => this.#warn(this.#place, message),
      limit: options.limit ?? 64 * 1024 * 1024,
      includeBinary: (path) => remember(binaries, path, options.includeBinary),
    };
  }

  #warn(place: Place, message: string): void {
    const last = this.#warnings[this.#warnings.length - 1];
    if (last?.place !== place || last.message !== message) this.#warnings.push({ place, message });
  }

  run(): Assembled {
    this.#pass(false);
    // with errors in the source, one more pass finds what is wrong beside them
    for (let passes = 1; !this.#problems.any; passes++) {
      this.#pass(false);
      if (this.#symbols.changes === 0) break;
      if (passes > MOST_PASSES) {
        const place = { file: this.#file, line: 1, column: 1 };
        this.#problems.fatal(place, `label addresses do not settle within ${MOST_PASSES} passes`);
      }
    }
    const last = this.#pass(true);
    if (this.#problems.any) throw this.#problems.error;
    return this.#result(last);
  }

  get #file(): string {
    return this.#options.file ?? 'source.asm';
  }

  #pass(final: boolean): Pass {
    // where lines could not be read, symbols may be missing that are there
    const pass = new Pass(this.#sections, this.#symbols, this.#passOptions, final, this.#incomplete);
    for (const parsed of this.#recorded ?? this.#parse(pass)) {
      const { statement, place } = parsed;
      const before = this.#problems.list.length;
      this.#place = place;
      this.#problems.during(place, () => pass.take(statement, place));
      // one complaint a line is enough; its label stays
      if (this.#problems.list.length > before)
        parsed.statement = { ...statement, times: null, action: { kind: 'nothing' } };
    }
    return pass;
  }

  /** Statements as the preprocessor yields them. They are kept for later passes unless the preprocessor asked for an address. */
  *#parse(pass: Pass): Generator<Parsed> {
    const host: Host = {
      problems: this.#problems,
      include: (path) => remember(this.#texts, path, this.#options.include),
      evaluate: (tokens) => this.#evaluateNow(pass, tokens),
      bits: () => {
        usesPosition = true;
        return pass.bits;
      },
      knows: isKeyword,
      warn: (place, message) => this.#warn(place, message),
    };
    let usesPosition = false;
    this.#warnings.length = 0;
    const defines = Object.fromEntries(Object.entries(this.#options.defines ?? {}).map(([k, v]) => [k, String(v)]));
    const preprocessor = new Preprocessor(this.#file, this.#source, defines, host);
    const recorded: Parsed[] = [];
    for (;;) {
      const before = this.#problems.list.length;
      const line = preprocessor.next();
      if (this.#problems.list.length > before) this.#incomplete = true;
      if (line === null) break;
      const { place, tokens } = line;
      if (tokens.length === 0) continue;
      const statement = this.#problems.during(place, () => parseStatement(tokens));
      if (statement === undefined) this.#symbols.lost.add((tokens[0] as Token).text);
      else {
        const parsed = { statement, place };
        recorded.push(parsed);
        yield parsed;
      }
    }
    if (!usesPosition && !this.#positionUsed) this.#recorded = recorded;
  }

  #evaluateNow(pass: Pass, tokens: readonly Token[]): bigint {
    const cursor = new Cursor(tokens);
    const column = cursor.column;
    const expression = parseExpression(cursor);
    if (!cursor.done) cursor.fail('expected the end of the expression');
    pass.usedPosition = false;
    pass.critical = true;
    const value = numberOf(evaluate(expression, pass), column, 'the expression');
    if (pass.usedPosition) this.#positionUsed = true;
    return value ?? 0n;
  }

  #result(pass: Pass): Assembled {
    const bytes = this.#sections.link(pass.origin ?? 0);
    const startOf = (section: number | null): number => (section === null ? 0 : this.#sections.at(section).start);
    const symbols = new Map<string, number>();
    for (const [name, { section, offset }] of this.#symbols.entries())
      symbols.set(name, Number(offset) + startOf(section));
    const lines = pass.lines.map(({ place, section, offset, length }) => ({
      file: place.file,
      line: place.line,
      address: startOf(section) + offset,
      length,
    }));
    return { bytes, origin: startOf(0), symbols, lines, warnings: [...this.#warnings] };
  }
}

function remember<T>(known: Map<string, T | null>, path: string, find?: (path: string) => T | null): T | null {
  const found = known.get(path);
  if (found !== undefined) return found;
  const fresh = find?.(path) ?? null;
  known.set(path, fresh);
  return fresh;
}

/** Assembles a source text. Throws AssemblyError, which lists every problem with file, line and column. */
export function assemble(source: string, options: AssembleOptions = {}): Assembled {
  return new Assembly(source, options).run();
}

export { encode } from './encode.ts';
export { AssemblyError, describeProblem, type Place, type Problem } from './errors.ts';
export { type AssemblyInstruction, far, imm, mem, type Operand, reg, target } from './operands.ts';
