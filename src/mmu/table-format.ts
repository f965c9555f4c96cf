/** What a page-table format has to say so that the one walker can walk it. Page numbers and frame numbers instead of addresses:
 *  they fit 28 bits (40-bit physical addresses), so everything here is a small integer. */

/** Rights, ANDed over all levels of a walk. */
export const READ = 1;
export const WRITE = 2;
export const EXECUTE = 4;
/** Reachable from CPL 3. Formats without such a bit set it. */
export const USER = 8;
export const ALL_RIGHTS = READ | WRITE | EXECUTE | USER;

/** What an entry is. */
export const ENTRY_ABSENT = 0;
export const ENTRY_TABLE = 1;
export const ENTRY_LEAF = 2;
/** A reserved bit is set: #PF with RSVD in IA-32 tables, a misconfiguration in EPT. */
export const ENTRY_RESERVED = 3;

export interface TableFormat {
  readonly name: string;
  /** Levels are numbered from `levels` (the root) down to 1. */
  readonly levels: number;
  /** Bits of the page number that index one table. */
  readonly indexBits: number;
  readonly entryBytes: 4 | 8;
  /** Accessed and dirty flag (low word); 0 if the format has none. */
  readonly accessed: number;
  readonly dirty: number;
  /** ENTRY_* of the entry with these halves at this level. `high` is 0 in formats of 4-byte entries. */
  classify(low: number, high: number, level: number): number;
  /** Rights of a present entry. */
  rights(low: number): number;
  /** Frame of the table below, or first frame of the page. */
  frame(low: number, high: number, level: number): number;
  /** Whether a leaf is for a global page. */
  global(low: number): boolean;
}
