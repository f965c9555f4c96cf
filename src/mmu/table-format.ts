/** A page-table format as data: masks that say what the bits of an entry mean, so that the one walker can walk it.
 *  Page numbers and frame numbers stand for addresses: they fit 28 bits (40-bit physical addresses), so all of this is small integers. */

/** Rights, ANDed over all levels of a walk. */
export const READ = 1;
export const WRITE = 2;
export const EXECUTE = 4;
/** Reachable from CPL 3. Formats without such a bit give it always. */
export const USER = 8;
export const ALL_RIGHTS = READ | WRITE | EXECUTE | USER;

/** Lists are indexed by level, from `levels` (the root) down to 1; element 0 is not used. Masks are of the entry's low word unless
 *  they are named after the high one; formats of 4-byte entries have no high word. */
export interface TableFormat {
  readonly name: string;
  readonly levels: number;
  /** Bits of the page number that index one table. */
  readonly indexBits: number;
  readonly entryBytes: 4 | 8;
  /** An entry with none of these bits set is not present, and nothing else of it counts. */
  readonly present: number;
  /** A present entry with one of these bits set maps a page, not a table. At level 1 every entry does. */
  readonly page: readonly number[];
  /** Reserved bits of entries that point to tables, and of those that map pages. A reserved bit that is set makes the walk end:
   *  #PF with RSVD in IA-32 tables, a misconfiguration in EPT. So does … */
  readonly reservedTable: readonly number[];
  readonly reservedPage: readonly number[];
  readonly reservedHigh: number;
  /** … a combination of bits 2:0 or, where a page is mapped, of bits 5:3 (its memory type) that is named here: one bit each. */
  readonly badRights: number;
  readonly badTypes: number;
  /** Rights for each combination of bits 2:0. */
  readonly rights: readonly number[];
  /** Bit of the high word that takes the right to execute away; 0 if there is none. */
  readonly executeDisable: number;
  /** Bits of the high word that belong to the frame number. */
  readonly frameHigh: number;
  /** Global page; accessed and dirty flag. 0 if the format has none. */
  readonly global: number;
  readonly accessed: number;
  readonly dirty: number;
}

/** A list of rights for the eight combinations of bits 2:0. */
export const rightsOf = (of: (bits: number) => number): readonly number[] => [0, 1, 2, 3, 4, 5, 6, 7].map(of);
