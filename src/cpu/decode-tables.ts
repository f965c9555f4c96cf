/** The rows, laid out for the decoder: an opcode byte leads to its forms without a search. */

import { ILLEGAL, rows } from './opcodes/index.ts';
import type { OperandCode, Row } from './rows.ts';

/** Bytes after ModRM, and what becomes of them. */
export const NO_IMMEDIATE = 0;
export const BYTE = 1;
export const SIGNED_BYTE = 2;
export const WORD = 3;
export const FULL = 4; // operand size
export const WORD_AND_BYTE = 5;
export const FAR_POINTER = 6;
export const OFFSET = 7; // address size
export const SHORT_BRANCH = 8;
export const NEAR_BRANCH = 9;

const IMMEDIATES: Partial<Record<OperandCode, number>> = {
  Ib: BYTE,
  sIb: SIGNED_BYTE,
  Iw: WORD,
  Iv: FULL,
  Iz: FULL,
  Ap: FAR_POINTER,
  Ob: OFFSET,
  Ov: OFFSET,
  Jb: SHORT_BRANCH,
  Jz: NEAR_BRANCH,
};

/** A row with what the decoder wants to know of it. */
export interface Form {
  readonly row: Row;
  readonly immediate: number;
  /** No prefix is part of the opcode, and none forbidden. */
  readonly anyPrefix: boolean;
  /** ModRM.mod is not looked at: the rm operand is a register always (MOV CR, MOV DR). */
  readonly alwaysRegister: boolean;
  /** Bit n: ModRM.reg = n names a register that the instruction may use. */
  readonly regs: number;
  /** The row to try when the prefixes do not suit this one. */
  readonly next: Form | null;
}

/** An opcode: #UD if there are no forms; else those for all ModRM bytes, or for each. */
export interface Cell {
  readonly modrm: boolean;
  readonly any: Form | null;
  readonly byModrm: readonly (Form | null)[] | null;
}

const MODRM = /^(?:[EGMRSCD][bwdvqtpas]|M$|Mdq|Rv\/Mw|STi)/;

/** Whether a ModRM byte follows the opcode. */
export const hasModrm = (row: Row): boolean => row.extension >= 0 || row.operands.some((o) => MODRM.test(o));

/** ModRM.reg where it names a control, debug or segment register: CR0, 2, 3, 4; not CS as a destination. */
function legalRegs(row: Row): number {
  if (row.operands.includes('Cd')) return 0b0001_1101;
  if (row.operands[0] === 'Sw') return 0b0011_1101;
  if (row.operands[1] === 'Sw') return 0b0011_1111;
  return 0xff;
}

function immediateOf(row: Row): number {
  const kinds = row.operands.flatMap((o) => IMMEDIATES[o] ?? []);
  return kinds.length === 2 ? WORD_AND_BYTE : (kinds[0] ?? NO_IMMEDIATE);
}

const formOf = (row: Row, next: Form | null): Form => ({
  row,
  immediate: immediateOf(row),
  anyPrefix: row.prefix === 0 && !row.strictPrefix,
  alwaysRegister: row.operands.includes('Rd'),
  regs: legalRegs(row),
  next,
});

/** Whether a row that starts with this opcode accepts the ModRM byte. */
export function takesModrm(row: Row, modrm: number): boolean {
  if (row.extension >= 0 && row.extension !== ((modrm >> 3) & 7)) return false;
  if (row.form === 'any') return true;
  return typeof row.form === 'number' ? row.form === modrm : (row.form === 'register') === modrm >= 0xc0;
}

/** Rows with a mandatory prefix are tried first. */
const chain = (candidates: readonly Row[]): Form | null =>
  [...candidates].sort((a, b) => a.prefix - b.prefix).reduce<Form | null>((next, row) => formOf(row, next), null);

function cellOf(candidates: readonly Row[]): Cell {
  const modrm = candidates.some(hasModrm);
  if (!modrm || candidates.every((row) => row.extension < 0 && row.form === 'any'))
    return { modrm, any: chain(candidates), byModrm: null };
  const byModrm = Array.from({ length: 256 }, (_, byte) => chain(candidates.filter((row) => takesModrm(row, byte))));
  return { modrm, any: null, byModrm };
}

/** The rows of a Z operand cover eight opcodes, less those with a row of their own. */
export function coversOpcode(row: Row, map: number, opcode: number): boolean {
  if (row.map !== map) return false;
  if (row.opcode === opcode)
    return !inRegister(row) || !rows.some((r) => r !== row && r.map === map && r.opcode === opcode);
  return inRegister(row) && row.opcode === (opcode & 0xf8);
}
const inRegister = (row: Row): boolean => row.operands.some((o) => o.startsWith('Z'));

const cells = (map: number): readonly Cell[] =>
  Array.from({ length: 256 }, (_, opcode) => cellOf(rows.filter((row) => coversOpcode(row, map, opcode))));

export const ONE_BYTE_CELLS: readonly Cell[] = cells(1);
export const TWO_BYTE_CELLS: readonly Cell[] = cells(2);
export const THREE_BYTE_CELLS: readonly Cell[] = cells(3);
export const ILLEGAL_FORM: Form = formOf(ILLEGAL, null);
