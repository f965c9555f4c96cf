/** The one array that the interpreter's loop works on. Register file, decoded code and fast tables stand in it side by side: each access
 *  through another array would cost the loop a check of that array, and its compilation a place to leave it at.
 *
 *  From 0: the register file (base/registers.ts). From RECORDS_AT: records (records.ts), with the place of each record ARENA_WORDS
 *  above it. From TABLES_AT: the fast tables (mmu/fast-tables.ts). */

import { REGISTER_FILE_WORDS } from '../base/registers.ts';
import { fastTableWords } from '../mmu/fast-tables.ts';

export const RECORDS_AT = REGISTER_FILE_WORDS;
/** Words of records. One takes three or four. */
export const ARENA_WORDS = 1 << 21;
/** Records end here, places begin. */
export const RECORDS_END = RECORDS_AT + ARENA_WORDS;
export const TABLES_AT = RECORDS_END + ARENA_WORDS;

/** The array of a processor with so many fast contexts. */
export const coreWords = (contexts: number): Int32Array => new Int32Array(TABLES_AT + fastTableWords(contexts));
