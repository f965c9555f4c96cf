/** Extended page tables (SDM Vol. 3, "EPT Translation Mechanism" and "EPT Misconfigurations"): four levels, pages of 4 KiB,
 *  2 MiB and, where offered, 1 GiB; accessed and dirty flags where the EPT pointer enables them (bit 6). Bit 63, suppress #VE, is read by
 *  whoever asks why a walk failed (nested.ts). */
import { rightsOf, type TableFormat, USER } from './table-format.ts';

const RWX = 0x7;
const PAGE = 0x80; // this entry maps a page
const RESERVED = 0x78; // 6:3 of an entry that points to a table
const RESERVED_2M = 0x001f_f000; // 20:12
const RESERVED_1G = 0x3fff_f000; // 29:12
const ACCESSED = 0x100;
const DIRTY = 0x200;
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
  /** Whether a PDPTE may map a page. @defaultValue false: bit 7 of it is reserved */
  readonly pages1G?: boolean;
  /** Whether violations tell the rights of the linear address (bits 11:9 of the qualification). @defaultValue false */
  readonly advancedInformation?: boolean;
}

/** The format as a processor with these capabilities reads it; `flags`: bit 6 of the EPT pointer. */
export function eptFormat(options: EptOptions, flags = false): TableFormat {
  const frameHigh = 2 ** (options.physicalAddressBits - 32) - 1;
  const pages1G = options.pages1G === true;
  return {
    name: 'EPT',
    levels: 4,
    indexBits: 9,
    entryBytes: 8,
    present: RWX,
    page: [0, 0, PAGE, pages1G ? PAGE : 0, 0],
    reservedTable: [0, 0, RESERVED, RESERVED | PAGE, RESERVED | PAGE],
    reservedPage: [0, 0, RESERVED_2M, RESERVED_1G, 0],
    reservedHigh: 0x000f_ffff & ~frameHigh,
    badRights: WRITE_WITHOUT_READ | (options.executeOnly ? 0 : EXECUTE_ALONE),
    badTypes: BAD_TYPES,
    rights: rightsOf((low) => low | USER),
    executeDisable: 0,
    frameHigh,
    global: 0,
    accessed: flags ? ACCESSED : 0,
    dirty: flags ? DIRTY : 0,
  };
}

/** EPT entries without accessed and dirty flags, and with them. */
export interface EptFormats {
  readonly plain: TableFormat;
  readonly flags: TableFormat;
}

export const eptFormats = (options: EptOptions): EptFormats => ({
  plain: eptFormat(options),
  flags: eptFormat(options, true),
});
