/** Parser: the tokens of one preprocessed line to a statement. */

import { Cursor } from './cursor.ts';
import { LineError } from './errors.ts';
import { type Expression, parseExpression } from './expression.ts';
import { formsOf } from './forms.ts';
import { PREFIXES, type Prefix, SEGMENTS } from './operands.ts';
import { parseOperands, SIZES } from './parse-operands.ts';
import { registers } from './registers.ts';
import type { Action, DataItem, Statement } from './statement.ts';
import { parseNumber } from './strings.ts';
import type { Token } from './tokens.ts';

const DATA: ReadonlyMap<string, number> = new Map([
  ['db', 1],
  ['dw', 2],
  ['dd', 4],
  ['dq', 8],
]);
const RESERVE: ReadonlyMap<string, number> = new Map([
  ['resb', 1],
  ['resw', 2],
  ['resd', 4],
  ['resq', 8],
]);
const PREFIX_NAMES: ReadonlySet<string> = new Set<string>([...PREFIXES, ...SEGMENTS].filter((p) => p !== 'wait'));

/** Keywords of operands: no labels. */
const RESERVED: ReadonlySet<string> = new Set([
  ...SIZES.keys(),
  ...'strict near far short nosplit rel abs seg wrt to'.split(' '),
]);

type Directive = (cursor: Cursor, column: number) => Statement;

const statement = (action: Action, more: Partial<Statement> = {}): Statement => ({
  label: null,
  times: null,
  align: null,
  action,
  ...more,
});
const NOTHING: Action = { kind: 'nothing' };

const operation = (operator: string, left: Expression, right: Expression, column: number): Expression => ({
  kind: 'binary',
  operator,
  left,
  right,
  column,
});

/** Bytes up to the next multiple of `to`: (to − (($ − $$) % to)) % to. */
function padding(to: Expression, column: number): Expression {
  const used = operation('-', { kind: 'here' }, { kind: 'base' }, column);
  return operation('%', operation('-', to, operation('%', used, to, column), column), to, column);
}

function align(cursor: Cursor, column: number, reserve: boolean): Statement {
  const to = parseExpression(cursor);
  const times = padding(to, column);
  if (!cursor.mark(',')) {
    endOfLine(cursor);
    const nop: Action = { kind: 'instruction', mnemonic: 'nop', prefixes: [], operands: [], column };
    return reserve
      ? statement({ kind: 'reserve', size: 1, count: times, column }, { align: to })
      : statement(nop, { times, align: to });
  }
  if (Object.hasOwn(DIRECTIVES, cursor.word)) cursor.fail('expected an instruction or data to fill with');
  const fill = parseStatement(cursor.rest());
  return { ...fill, times: fill.times === null ? times : operation('*', times, fill.times, column), align: to };
}

const DIRECTIVES: Readonly<Record<string, Directive>> = {
  bits(cursor) {
    const bits = parseNumber(cursor.peek().text);
    if (bits !== 16n && bits !== 32n) cursor.fail('expected 16 or 32 (there is no 64-bit code)');
    cursor.next();
    return statement({ kind: 'bits', bits: bits === 16n ? 16 : 32 });
  },
  use16: () => statement({ kind: 'bits', bits: 16 }),
  use32: () => statement({ kind: 'bits', bits: 32 }),
  org: (cursor, column) => statement({ kind: 'org', value: parseExpression(cursor), column }),
  absolute: (cursor, column) => statement({ kind: 'absolute', value: parseExpression(cursor), column }),
  section: parseSection,
  segment: parseSection,
  align: (cursor, column) => align(cursor, column, false),
  alignb: (cursor, column) => align(cursor, column, true),
  struc(cursor, column) {
    const name = nameIn(cursor);
    return statement({ kind: 'struc', name, value: cursor.mark(',') ? parseExpression(cursor) : null, column });
  },
  endstruc: (_, column) => statement({ kind: 'endstruc', column }),
  istruc: (cursor, column) => statement({ kind: 'istruc', name: nameIn(cursor), column }),
  at(cursor, column) {
    const field = cursor.peek().text.startsWith('.') ? cursor.next().text : parseExpression(cursor);
    const more = cursor.mark(',');
    if (more && Object.hasOwn(DIRECTIVES, cursor.word)) cursor.fail('expected data');
    const rest = more ? parseStatement(cursor.rest()) : null;
    return statement({ kind: 'at', field, rest, column });
  },
  iend: (_, column) => statement({ kind: 'iend', column }),
  // they say something about object files, processors or listings, and change nothing here
  global: ignored,
  static: ignored,
  cpu: ignored,
  default: ignored,
  warning: ignored,
  list: ignored,
};

function ignored(cursor: Cursor): Statement {
  cursor.rest();
  return statement(NOTHING);
}

function nameIn(cursor: Cursor): string {
  if (cursor.peek().kind !== 'word') cursor.fail('expected a name');
  return cursor.next().text;
}

function parseSection(cursor: Cursor, column: number): Statement {
  const name = nameIn(cursor);
  let alignment: Expression | null = null;
  let nobits = name === '.bss';
  while (!cursor.done) {
    const word = cursor.word;
    const column = cursor.column;
    cursor.next();
    if (word === 'align' && cursor.mark('=')) alignment = parseExpression(cursor);
    else if (word === 'nobits' || word === 'progbits') {
      if ((word === 'nobits') !== (name === '.bss'))
        throw new LineError(column, 'only .bss is a section without bytes, and it is one always');
      nobits = word === 'nobits';
    } else throw new LineError(column, 'expected align=NUMBER; other attributes of sections are not supported');
  }
  return statement({ kind: 'section', name, align: alignment, nobits, column });
}

const isKnown = (name: string): boolean =>
  name in DIRECTIVES ||
  DATA.has(name) ||
  RESERVE.has(name) ||
  name === 'incbin' ||
  name === 'equ' ||
  formsOf(name) !== undefined;

/** Whether a line may begin with that name as an instruction, directive or prefix. */
export const isKeyword = (name: string): boolean => {
  const lower = name.toLowerCase();
  return isKnown(lower) || PREFIX_NAMES.has(lower) || lower === 'times';
};

/** Parses one line. Throws LineError. */
export function parseStatement(tokens: readonly Token[]): Statement {
  const cursor = new Cursor(tokens);
  if (cursor.isMark('[')) return bracketed(cursor);
  let label: Statement['label'] = null;
  const first = cursor.peek();
  if (first.kind !== 'word') cursor.fail('expected a label, an instruction or a directive');
  const colon = cursor.peek(1);
  const hasColon = colon.kind === 'mark' && colon.text === ':' && tokens.length > 1;
  const isPrefix = PREFIX_NAMES.has(first.text.toLowerCase());
  if ((hasColon && !(isPrefix && registers.has(first.text.toLowerCase()))) || !isKeyword(first.text)) {
    cursor.next();
    cursor.mark(':');
    const name = first.text.startsWith('$') ? first.text.slice(1) : first.text;
    if (RESERVED.has(first.text.toLowerCase()) || registers.has(first.text.toLowerCase()))
      throw new LineError(
        first.column,
        `expected an instruction, \`${first.text}\` is no label (but $${first.text} is)`,
      );
    label = { name, column: first.column };
    if (cursor.done && !hasColon)
      throw new LineError(first.column, `\`${first.text}\` is no instruction; a label alone on its line needs a colon`);
    const second = cursor.peek();
    if (!hasColon && second.kind === 'word' && !isKeyword(second.text))
      throw new LineError(first.column, `neither \`${first.text}\` nor \`${second.text}\` is an instruction`);
  }
  if (cursor.done) return statement(NOTHING, { label });
  const times = takeTimes(cursor);
  const rest = body(cursor);
  const repeat = times !== null && rest.times !== null ? operation('*', times, rest.times, 0) : (times ?? rest.times);
  return { ...rest, label, times: repeat };
}

function takeTimes(cursor: Cursor): Expression | null {
  if (cursor.word !== 'times') return null;
  cursor.next();
  return parseExpression(cursor);
}

/** What follows label and TIMES. */
function body(cursor: Cursor): Statement {
  const prefixes: Prefix[] = [];
  let times: Expression | null = null;
  while (PREFIX_NAMES.has(cursor.word)) {
    prefixes.push(cursor.next().text.toLowerCase() as Prefix);
    times ??= takeTimes(cursor);
  }
  const { column } = cursor;
  const token = cursor.peek();
  const name = cursor.word;
  const plain = (action: Action): Statement => {
    endOfLine(cursor);
    if (prefixes.length > 0) throw new LineError(column, `\`${name}\` takes no prefix`);
    return statement(action, { times });
  };
  if (cursor.done && prefixes.length === 0) cursor.fail('expected an instruction');
  if (cursor.done) return statement({ kind: 'instruction', mnemonic: '', prefixes, operands: [], column }, { times });
  if (token.kind !== 'word') cursor.fail('expected an instruction');
  cursor.next();
  const size = DATA.get(name);
  if (size !== undefined) return plain({ kind: 'data', size, items: dataItems(cursor) });
  const unit = RESERVE.get(name);
  if (unit !== undefined) return plain({ kind: 'reserve', size: unit, count: parseExpression(cursor), column });
  if (name === 'equ') return plain({ kind: 'equ', value: parseExpression(cursor), column });
  if (name === 'incbin') return plain(incbin(cursor, column));
  const directive = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
  if (directive !== undefined) {
    const parsed = directive(cursor, column);
    endOfLine(cursor);
    return parsed;
  }
  if (formsOf(name) === undefined) throw new LineError(column, `there is no instruction \`${token.text}\``);
  const operands = parseOperands(cursor, prefixes);
  return statement({ kind: 'instruction', mnemonic: name, prefixes, operands, column }, { times });
}

function endOfLine(cursor: Cursor): void {
  if (!cursor.done) cursor.fail('expected the end of the line');
}

/** [bits 32], [org 7C00h] … */
function bracketed(cursor: Cursor): Statement {
  cursor.next();
  const { tokens } = cursor;
  const last = tokens[tokens.length - 1] as Token;
  if (last.text !== ']' || last.kind !== 'mark')
    throw new LineError(last.column, 'expected `]` to close the directive');
  const inner = new Cursor(tokens.slice(1, -1));
  const name = inner.word;
  const column = inner.column;
  inner.next();
  const directive = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
  if (directive === undefined) throw new LineError(column, `there is no directive [${name}]`);
  const parsed = directive(inner, column);
  endOfLine(inner);
  return parsed;
}

function dataItems(cursor: Cursor): DataItem[] {
  const items: DataItem[] = [];
  while (!cursor.done) {
    items.push(dataItem(cursor));
    if (!cursor.mark(',')) break;
  }
  return items;
}

function dataItem(cursor: Cursor): DataItem {
  const token = cursor.peek();
  const after = cursor.peek(1);
  const alone = cursor.tokens[cursor.tokens.length - 1] === token || (after.kind === 'mark' && after.text === ',');
  if (token.kind === 'string' && alone) {
    cursor.next();
    return { kind: 'string', value: token.value as string };
  }
  if (token.kind === 'word' && token.text === '?' && alone) {
    cursor.next();
    return { kind: 'reserve' };
  }
  return { kind: 'number', column: token.column, expression: parseExpression(cursor) };
}

function incbin(cursor: Cursor, column: number): Action {
  const path = cursor.peek().value;
  if (path === undefined) cursor.fail('expected the path of a file in quotes');
  cursor.next();
  const skip = cursor.mark(',') ? parseExpression(cursor) : null;
  const length = skip !== null && cursor.mark(',') ? parseExpression(cursor) : null;
  return { kind: 'incbin', path, skip, length, column };
}
