/** One pass over the statements: sizes everything, defines labels; the last pass keeps the bytes. */

import { type Encoded, encodeAt, exceeds, type Fixup } from './encode.ts';
import { LineError, type Place } from './errors.ts';
import type { Expression } from './expression.ts';
import { numberOf, quantityOf, resolveOperand } from './resolve.ts';
import type { Section, Sections } from './sections.ts';
import type { Action, DataItem, Statement } from './statement.ts';
import type { Symbols } from './symbols.ts';
import { evaluate, type Surroundings, type SymbolValue, type Value } from './value.ts';

/** Where the bytes of a line are. */
export interface PlacedLine {
  readonly place: Place;
  readonly section: number;
  readonly offset: number;
  readonly length: number;
}

/** What statements became that do not depend on labels or on where they are: the same in every pass. */
export type Constants = Map<Action, { readonly bits: 16 | 32; readonly encoded: Encoded }>;

export interface PassOptions {
  readonly constants: Constants;
  /** Bytes that the program may have. */
  readonly limit: number;
  readonly warn: (message: string) => void;
  readonly includeBinary: (path: string) => Uint8Array | null;
}

type Actions = { [K in Action['kind']]: (action: Extract<Action, { kind: K }>, statement: Statement) => void };

/** Repeats instructions whose length depends on where they are, so they are taken one by one. */
const MOVES = /^(j|call|loop)/;
const MOST_JUMPS = 100_000;

export class Pass implements Surroundings {
  readonly #sections: Sections;
  readonly #symbols: Symbols;
  readonly #options: PassOptions;
  readonly #final: boolean;
  readonly #forgiving: boolean;
  readonly lines: PlacedLine[] = [];
  bits: 16 | 32 = 16;
  origin: number | null = null;
  critical = false;
  /** Set when an expression used a label or `$`. */
  usedPosition = false;
  #section = 0;
  /** Where the statement begins: `$` is that, wherever in the line it is written. */
  #start = 0;
  /** Inside absolute or struc: labels count from here, nothing is put out. */
  #absolute: { section: number | null; offset: number } | null = null;
  #struc: string | null = null;
  #istruc: { name: string; start: SymbolValue } | null = null;

  constructor(sections: Sections, symbols: Symbols, options: PassOptions, final: boolean, forgiving: boolean) {
    this.#sections = sections;
    this.#symbols = symbols;
    this.#options = options;
    this.#final = final;
    this.#forgiving = forgiving;
    sections.reset();
    symbols.beginPass();
  }

  lookup(name: string): SymbolValue | null {
    this.usedPosition = true;
    return this.#symbols.lookup(name);
  }

  here(): { section: number | null; offset: number } {
    this.usedPosition = true;
    return this.#absolute ?? { section: this.#section, offset: this.#start };
  }

  get #current(): Section {
    return this.#sections.at(this.#section);
  }

  /** Takes one statement. Throws LineError. */
  take(statement: Statement, place: Place): void {
    this.#take(statement, place);
    this.#start = this.#current.length;
  }

  #take(statement: Statement, place: Place): void {
    const { label, action } = statement;
    this.#start = this.#current.length;
    this.critical = this.#final && !this.#forgiving;
    if (label !== null && action.kind !== 'equ')
      this.#symbols.define(label.name, this.#hereValue(), true, label.column);
    if (statement.align !== null) this.#alignSection(statement.align, place.column);
    const { length: offset } = this.#current;
    const section = this.#section;
    (this.#actions[action.kind] as (a: Action, s: Statement) => void)(action, statement);
    if (this.#final && this.#section === section && this.#current.length > offset)
      this.lines.push({ place, section, offset, length: this.#current.length - offset });
  }

  #hereValue(): SymbolValue {
    const { section, offset } = this.here();
    return { section, offset: BigInt(offset) };
  }

  /** The value of an expression whose symbols must all be known in this pass. */
  #now(expression: Expression, column: number, what: string): bigint {
    const before = this.critical;
    this.critical = true;
    const value = this.#value(expression);
    this.critical = before;
    return numberOf(value, column, what) ?? 0n;
  }

  #value(expression: Expression): Value {
    return evaluate(expression, this);
  }

  #times({ times }: Statement): number {
    if (times === null) return 1;
    const count = numberOf(this.#value(times), 0, 'the number of times');
    if (count === null)
      throw new LineError(0, 'the number of times must be known here: it uses a label that is defined further down');
    if (count < 0n && this.#final) throw new LineError(0, `cannot do it ${count} times`);
    if (count > BigInt(this.#options.limit)) this.#tooLarge();
    return Math.max(0, Number(count));
  }

  #tooLarge(): never {
    throw new LineError(0, `the program is larger than ${this.#options.limit} bytes`);
  }

  #room(count: number): void {
    if (this.#sections.size + count > this.#options.limit) this.#tooLarge();
  }

  #alignSection(to: Expression, column: number): void {
    const align = Number(this.#now(to, column, 'the alignment'));
    if (align < 1 || !Number.isInteger(Math.log2(align)))
      throw new LineError(column, `the alignment ${align} is no power of two`);
    if (this.#absolute === null) this.#current.align = Math.max(this.#current.align, align);
  }

  readonly #actions: Actions = {
    nothing: () => {},
    instruction: (action, statement) => this.#instruction(action, statement),
    data: (action, statement) => {
      const { size, items } = action;
      const count = this.#times(statement);
      if (count === 0) return;
      this.#mayWrite();
      const once = this.#constant(action) ?? this.#remember(action, () => this.#data(items, size));
      this.#room(once.bytes.length * count);
      for (let n = 0; n < count; n++) this.#put(once);
    },
    reserve: ({ size, count, column }, statement) => {
      const times = this.#times(statement);
      const units = numberOf(this.#value(count), column, 'the number of units') ?? 0n;
      if (units < 0n && this.#final) throw new LineError(column, `cannot reserve ${units} units`);
      const bytes = Number(units) * size * times;
      if (bytes > 0) this.#reserve(bytes);
    },
    incbin: (action, statement) => this.#incbin(action, statement),
    equ: ({ value, column }, { label }) => {
      if (label === null) throw new LineError(column, 'EQU needs a name in front of it');
      const found = quantityOf(this.#value(value), null);
      if (found === null) throw new LineError(column, 'the value is neither a number nor one label plus a number');
      this.#symbols.define(label.name, { section: found.plus, offset: found.number }, false, label.column);
    },
    bits: ({ bits }) => {
      this.bits = bits;
    },
    org: ({ value, column }) => {
      if (this.origin !== null) throw new LineError(column, 'the origin was given already');
      this.origin = Number(this.#now(value, column, 'the origin'));
    },
    section: ({ name, align, nobits, column }) => {
      this.#absolute = null;
      this.#section = this.#sections.indexOf(name, nobits);
      if (align !== null) this.#alignSection(align, column);
    },
    absolute: ({ value, column }) => {
      this.#absolute = this.#address(value, column);
    },
    struc: ({ name, value, column }) => {
      this.#struc = name;
      this.#absolute = value === null ? { section: null, offset: 0 } : this.#address(value, column);
      this.#symbols.define(name, this.#hereValue(), true, column);
    },
    endstruc: ({ column }) => {
      if (this.#struc === null) throw new LineError(column, 'endstruc without struc');
      const start = this.#symbols.lookup(this.#struc)?.offset ?? 0n;
      const size = this.#hereValue().offset - start;
      this.#symbols.define(`${this.#struc}_size`, { section: null, offset: size }, false, column);
      this.#struc = null;
      this.#absolute = null;
    },
    istruc: ({ name }) => {
      this.#istruc = { name, start: this.#hereValue() };
    },
    at: ({ field, rest, column }, statement) => {
      if (this.#istruc === null) throw new LineError(column, '`at` belongs between istruc and iend');
      const { name } = this.#istruc;
      const place =
        typeof field === 'string'
          ? this.#known(name + field, column)
          : (numberOf(this.#value(field), column, 'the field') ?? 0n);
      this.#fillTo(place - this.#known(name, column), column);
      if (rest !== null) this.take(rest, { file: '', line: 0, column: statement.label?.column ?? column });
    },
    iend: ({ column }) => {
      if (this.#istruc === null) throw new LineError(column, 'iend without istruc');
      this.#fillTo(this.#known(`${this.#istruc.name}_size`, column), column);
      this.#istruc = null;
    },
  };

  #known(name: string, column: number): bigint {
    const found = this.lookup(name);
    if (found === null) throw new LineError(column, `\`${name}\` is not defined here`);
    return found.offset;
  }

  /** Zeros up to `offset` of the structure that is being filled. */
  #fillTo(offset: bigint, column: number): void {
    const start = this.#istruc?.start.offset ?? 0n;
    const missing = Number(offset - (this.#hereValue().offset - start));
    if (missing < 0) throw new LineError(column, 'the structure is filled beyond this field already');
    this.#mayWrite();
    this.#room(missing);
    this.#current.append(new Uint8Array(missing));
  }

  #address(value: Expression, column: number): { section: number | null; offset: number } {
    const found = quantityOf(this.#value(value), null);
    if (found === null || found.unknown) throw new LineError(column, 'the address must be known here');
    return { section: found.plus, offset: Number(found.number) };
  }

  #mayWrite(): void {
    if (this.#absolute !== null)
      throw new LineError(0, 'nothing can be put out here: it is an absolute area or a structure');
    if (this.#current.nobits) throw new LineError(0, 'there are no bytes in .bss: use resb, resw, resd');
  }

  #reserve(bytes: number): void {
    if (this.#absolute !== null) {
      this.#absolute = { ...this.#absolute, offset: this.#absolute.offset + bytes };
      return;
    }
    if (this.#current.nobits) {
      if (this.#current.length + bytes > 0xffff_ffff) this.#tooLarge();
    } else this.#room(bytes);
    this.#current.extend(bytes);
  }

  /** Appends bytes; in the last pass with what is still to be added to them. */
  #put({ bytes, fixups, cut }: Encoded): void {
    const section = this.#current;
    if (this.#final && cut) this.#options.warn('a number is larger than its place, its low bits are taken');
    if (this.#final && fixups.length > 0) this.#sections.fix(section, section.length, fixups);
    section.append(bytes);
  }

  #data(items: readonly DataItem[], size: number): Encoded {
    const bytes: number[] = [];
    const fixups: Fixup[] = [];
    let cut = false;
    for (const item of items) {
      const from = bytes.length;
      if (item.kind === 'number') {
        const found = quantityOf(this.#value(item.expression), this.#section);
        if (found === null)
          throw new LineError(item.column, 'the value is neither a number nor one label plus a number');
        const { number, plus, minus } = found;
        if (plus !== minus) fixups.push({ at: from, size, plus, minus });
        if (plus === null && exceeds(number, size)) cut = true;
        for (let i = 0; i < size; i++) bytes.push(Number((number >> BigInt(8 * i)) & 0xffn));
      } else if (item.kind === 'string') for (const c of item.value) bytes.push(c.charCodeAt(0));
      else bytes.push(0);
      while ((bytes.length - from) % size !== 0) bytes.push(0);
    }
    return { bytes, fixups, cut };
  }

  #incbin({ path, skip, length, column }: Extract<Action, { kind: 'incbin' }>, statement: Statement): void {
    const count = this.#times(statement);
    this.#mayWrite();
    const whole = this.#options.includeBinary(path);
    if (whole === null) throw new LineError(column, `cannot find the file "${path}"`);
    const from = skip === null ? 0 : Number(this.#now(skip, column, 'the number of bytes to skip'));
    const most = length === null ? whole.length : Number(this.#now(length, column, 'the length'));
    const part = whole.subarray(Math.max(0, from), Math.max(0, from) + Math.max(0, most));
    this.#room(part.length * count);
    for (let n = 0; n < count; n++) this.#current.append(part);
  }

  #instruction(action: Extract<Action, { kind: 'instruction' }>, statement: Statement): void {
    const count = this.#times(statement);
    if (count === 0) return;
    this.#mayWrite();
    const constant = this.#constant(action);
    if (constant !== null) {
      this.#room(constant.bytes.length * count);
      for (let n = 0; n < count; n++) this.#put(constant);
      return;
    }
    const { mnemonic, prefixes } = action;
    const moves = MOVES.test(mnemonic);
    if (moves && count > MOST_JUMPS) throw new LineError(0, `at most ${MOST_JUMPS} jumps can be made by TIMES`);
    const section = this.#section;
    this.usedPosition = moves;
    const operands = action.operands.map((o) => resolveOperand(o, this, section));
    const instruction = { mnemonic, prefixes, operands };
    for (let n = 0; n < count; n++) {
      const encoded = encodeAt(instruction, { bits: this.bits, section, offset: this.#current.length });
      if (typeof encoded === 'string') {
        if (this.#final) throw new LineError(action.column, encoded);
        return;
      }
      this.#room(encoded.bytes.length);
      this.#put(encoded);
      if (!this.usedPosition) this.#options.constants.set(action, { bits: this.bits, encoded });
    }
  }

  #constant(action: Action): Encoded | null {
    const found = this.#options.constants.get(action);
    return found !== undefined && found.bits === this.bits ? found.encoded : null;
  }

  #remember(action: Action, make: () => Encoded): Encoded {
    this.usedPosition = false;
    const encoded = make();
    if (!this.usedPosition) this.#options.constants.set(action, { bits: this.bits, encoded });
    return encoded;
  }
}
