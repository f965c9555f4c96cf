/** 32-bit paging (SDM Vol. 3, "32-Bit Paging"): two levels, pages of 4 KiB and, with CR4.PSE, of 4 MiB.
 *
 *  Left out: PSE-36 (the processor does not offer it, so bits 21:13 of a 4-MiB entry are reserved). PAT is taken as offered:
 *  bit 7 of a PTE and bit 12 of a 4-MiB entry select a memory type, which means nothing here, and are never reserved. */
import {
  ENTRY_ABSENT,
  ENTRY_LEAF,
  ENTRY_RESERVED,
  ENTRY_TABLE,
  EXECUTE,
  READ,
  type TableFormat,
  USER,
  WRITE,
} from './table-format.ts';

const P = 0x1;
const RW = 0x2;
const US = 0x4;
const A = 0x20;
const D = 0x40;
const PS = 0x80; // page directory only
const G = 0x100;
const RESERVED_4M = 0x003f_e000; // 21:13

const format = (name: string, pse: boolean): TableFormat => ({
  name,
  levels: 2,
  indexBits: 10,
  entryBytes: 4,
  accessed: A,
  dirty: D,
  classify(low, _high, level) {
    if ((low & P) === 0) return ENTRY_ABSENT;
    if (level === 1) return ENTRY_LEAF;
    if (!pse || (low & PS) === 0) return ENTRY_TABLE;
    return (low & RESERVED_4M) !== 0 ? ENTRY_RESERVED : ENTRY_LEAF;
  },
  rights: (low) => READ | EXECUTE | ((low & RW) !== 0 ? WRITE : 0) | ((low & US) !== 0 ? USER : 0),
  frame: (low, _high, level) => (pse && level === 2 && (low & PS) !== 0 ? (low >>> 22) << 10 : low >>> 12),
  global: (low) => (low & G) !== 0,
});

/** CR4.PSE = 0: bit 7 of a page-directory entry is ignored. */
export const ia32 = format('IA-32', false);
/** CR4.PSE = 1. */
export const ia32Pse = format('IA-32 with PSE', true);
