/** Extended page tables (SDM Vol. 3, "EPT Translation Mechanism" and "EPT Misconfigurations"): four levels, pages of 4 KiB and 2 MiB.
 *
 *  Left out, as the capability MSR does not offer it: pages of 1 GiB (bit 7 of a PDPTE is reserved), accessed and dirty flags. */
import { rightsOf, type TableFormat, USER } from './table-format.ts';

const RWX = 0x7;
const PAGE = 0x80; // this entry maps a page
const RESERVED = 0x78; // 6:3 of an entry that points to a table
const RESERVED_2M = 0x001f_f000; // 20:12
/** Combinations of RWX that are misconfigured: W without R; X alone unless offered. */
const WRITE_WITHOUT_READ = (1 << 0b010) | (1 << 0b110);
const EXECUTE_ALONE = 1 << 0b100;
/** Memory types that do not exist. */
const BAD_TYPES = (1 << 2) | (1 << 3) | (1 << 7);

export interface EptOptions {
  /** MAXPHYADDR, 32 to 40. */
  readonly physicalAddressBits: number;
  /** Whether a page may be executable without being readable. */
  readonly executeOnly: boolean;
}

/** The format as a processor with these capabilities reads it. */
export function eptFormat(options: EptOptions): TableFormat {
  const frameHigh = 2 ** (options.physicalAddressBits - 32) - 1;
  return {
    name: 'EPT',
    levels: 4,
    indexBits: 9,
    entryBytes: 8,
    present: RWX,
    page: [0, 0, PAGE, 0, 0],
    reservedTable: [0, 0, RESERVED, RESERVED | PAGE, RESERVED | PAGE],
    reservedPage: [0, 0, RESERVED_2M, 0, 0],
    reservedHigh: 0x000f_ffff & ~frameHigh,
    badRights: WRITE_WITHOUT_READ | (options.executeOnly ? 0 : EXECUTE_ALONE),
    badTypes: BAD_TYPES,
    rights: rightsOf((low) => low | USER),
    executeDisable: 0,
    frameHigh,
    global: 0,
    accessed: 0,
    dirty: 0,
  };
}
