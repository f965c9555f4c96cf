/** Forms: the ways to encode a mnemonic, read from the opcode rows, in the order in which they are tried.
 *  The first that fits is taken; the order is NASM's, so the encodings are NASM's. */

import { conditionAliases } from '../cpu/opcodes/conditions.ts';
import { rows } from '../cpu/opcodes/index.ts';
import type { Row } from '../cpu/rows.ts';
import { type Draft, draftsOf, shape } from './drafts.ts';
import type { Slot, Width } from './slots.ts';

export interface Form {
  readonly row: Row;
  readonly slots: readonly Slot[];
  /** Operand size that the form has whatever the code size is; 0: none, or the code's. */
  readonly operandSize: 0 | 2 | 4;
  readonly addressSize: 0 | 2 | 4;
  /** A jump that is taken only if its target is near enough. */
  readonly relaxed: boolean;
  /** Byte behind the opcode where an operand may be left out (AAM, AAD). */
  readonly tail: number;
  readonly rank: number;
}

function isSized(row: Row): boolean {
  if (/^(J|LOOP)/.test(row.mnemonic) || ['Ap', 'Mp', 'Sw Ew'].includes(shape(row))) return false;
  if (/Indirect|callNear|jmpNear/.test(row.semantics)) return false;
  return row.mnemonic.includes('/') || row.operands.some((o) => /[vz]|^.AX|^sIb/.test(o));
}

/** Rows that exist for the decoder only: a second encoding of something, or a name that NASM has not. */
function isForeign(row: Row): boolean {
  return (
    (row.feature === 'x87' && row.mnemonic !== 'FWAIT') ||
    row.mnemonic === 'HINT_NOP' ||
    row.mnemonic === 'SAL' || // assembles as SHL
    (row.map === 1 && row.opcode === 0x82) ||
    (row.semantics === 'test' && row.extension === 1)
  );
}

const table = new Map<string, Form[]>();

function addForm(name: string, row: Row, draft: Draft, operandSize: 0 | Width, addressSize: 0 | Width = 0): void {
  const form: Form = {
    row,
    slots: draft.slots,
    rank: draft.rank,
    operandSize: draft.operandSize ?? operandSize,
    addressSize: draft.addressSize ?? addressSize,
    relaxed: draft.relaxed ?? false,
    tail: draft.tail ?? -1,
  };
  const forms = table.get(name);
  if (forms === undefined) table.set(name, [form]);
  else forms.push(form);
}

for (const row of rows) {
  if (isForeign(row)) continue;
  const [first, second] = row.mnemonic.split('/') as [string, string?];
  for (const width of isSized(row) ? ([2, 4] as const) : ([4] as const)) {
    const operandSize = isSized(row) ? width : 0;
    for (const draft of draftsOf(row, width)) {
      if (second === undefined) addForm(first, row, draft, operandSize);
      else if (first === 'JCXZ') {
        addForm(first, row, draft, 0, 2);
        addForm(second, row, draft, 0, 4);
      } else if (second === `${first}D`) {
        // PUSHA is of the code's size, PUSHAW and PUSHAD say theirs
        if (width === 2) addForm(first, row, draft, 0);
        addForm(width === 2 ? `${first}W` : second, row, draft, width);
      } else addForm(width === 2 ? first : second, row, draft, width);
    }
  }
}

/** Other names. */
const ALIASES: Readonly<Record<string, string>> = {
  SAL: 'SHL', RETN: 'RET', XLATB: 'XLAT', LOOPZ: 'LOOPE', LOOPNZ: 'LOOPNE', WAIT: 'FWAIT',
  INT03: 'INT3', INT01: 'INT1', ICEBP: 'INT1', UD2A: 'UD2',
}; // biome-ignore format: a table

for (const [alias, name] of Object.entries(ALIASES)) {
  const forms = table.get(name);
  if (forms !== undefined) table.set(alias, forms);
}
for (const [alias, condition] of Object.entries(conditionAliases))
  for (const stem of ['J', 'SET', 'CMOV']) table.set(stem + alias, table.get(stem + condition) as Form[]);
for (const [suffix, width] of [
  ['W', 2],
  ['D', 4],
] as const)
  table.set(
    `RETF${suffix}`,
    (table.get('RETF') as Form[]).map((form) => ({ ...form, operandSize: width })),
  );

for (const forms of table.values()) forms.sort((a, b) => a.rank - b.rank);

const lowerCase: ReadonlyMap<string, Form[]> = new Map([...table].map(([name, forms]) => [name.toLowerCase(), forms]));

/** The forms of a mnemonic in the order in which they are tried; undefined: there is no such instruction. */
export const formsOf = (mnemonic: string): readonly Form[] | undefined =>
  lowerCase.get(mnemonic) ?? table.get(mnemonic.toUpperCase());

/** Every mnemonic that can be assembled, in upper case. */
export const mnemonics = (): IterableIterator<string> => table.keys();
