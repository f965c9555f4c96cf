/** Extended page tables (SDM Vol. 3, "EPT Translation Mechanism" and "EPT Misconfigurations"): four levels, pages of 4 KiB and 2 MiB.
 *
 *  Left out, as the capability MSR does not offer it: pages of 1 GiB (bit 7 of a PDPTE is reserved), accessed and dirty flags. */
import {
  ALL_RIGHTS,
  ENTRY_ABSENT,
  ENTRY_LEAF,
  ENTRY_RESERVED,
  ENTRY_TABLE,
  type TableFormat,
  USER,
} from './table-format.ts';

const RWX = 0x7;
const PAGE = 0x80; // this entry maps a page (levels 3 and 2)
const TABLE_RESERVED = 0x78; // 6:3, and bit 7 where no page of this size is offered
const RESERVED_2M = 0x001f_f000; // 20:12
/** Memory types UC, WC, WT, WP, WB: one bit each. */
const MEMORY_TYPES = (1 << 0) | (1 << 1) | (1 << 4) | (1 << 5) | (1 << 6);

export interface EptOptions {
  /** MAXPHYADDR, 32 to 40. */
  readonly physicalAddressBits: number;
  /** Whether a page may be executable without being readable. */
  readonly executeOnly: boolean;
}

/** The format as a processor with these capabilities reads it. */
export function eptFormat(options: EptOptions): TableFormat {
  const frameHigh = (2 ** (options.physicalAddressBits - 32) - 1) | 0;
  const reservedHigh = 0x000f_ffff & ~frameHigh;
  /** Combinations of RWX that are misconfigured: W without R, X alone unless offered. */
  const badRights = (1 << 0b010) | (1 << 0b110) | (options.executeOnly ? 0 : 1 << 0b100);
  return {
    name: 'EPT',
    levels: 4,
    indexBits: 9,
    entryBytes: 8,
    accessed: 0,
    dirty: 0,
    classify(low, high, level) {
      if ((low & RWX) === 0) return ENTRY_ABSENT;
      if (((badRights >>> (low & RWX)) & 1) !== 0 || (high & reservedHigh) !== 0) return ENTRY_RESERVED;
      if (level === 1 || (level === 2 && (low & PAGE) !== 0)) {
        if (((MEMORY_TYPES >>> ((low >>> 3) & 7)) & 1) === 0) return ENTRY_RESERVED;
        return level === 2 && (low & RESERVED_2M) !== 0 ? ENTRY_RESERVED : ENTRY_LEAF;
      }
      return (low & (TABLE_RESERVED | (level > 2 ? PAGE : 0))) !== 0 ? ENTRY_RESERVED : ENTRY_TABLE;
    },
    rights: (low) => (low & RWX) | (ALL_RIGHTS & USER),
    frame: (low, high) => (low >>> 12) | ((high & frameHigh) << 20),
    global: () => false,
  };
}
