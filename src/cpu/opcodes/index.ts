/** All opcode rows: the one table that decoder, disassembler, assembler, code generator and support matrix read. */

import type { Row } from '../rows.ts';
import { groups } from './groups.ts';
import { oneByte } from './one-byte.ts';
import { row } from './row.ts';
import { threeByte, twoByte } from './two-byte.ts';
import { x87Rows } from './x87.ts';

/** In the manual's order: maps, then groups, then x87. */
export const rows: readonly Row[] = [...oneByte, ...twoByte, ...threeByte, ...groups, ...x87Rows].map((r, number) => ({
  ...r,
  number,
}));

/** What every byte sequence without a row of its own decodes to, and every illegal use of one that has (LOCK, MOV CS). */
export const ILLEGAL: Row = { ...row(0, 'UD', [], 'undefined'), opcode: -1, number: rows.length };

export { semantics } from './semantics.ts';
