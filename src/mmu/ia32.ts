/** 32-bit paging (SDM Vol. 3, "32-Bit Paging"): two levels, pages of 4 KiB and, with CR4.PSE, of 4 MiB.
 *
 *  Left out: PSE-36 (the processor does not offer it, so bits 21:13 of a 4-MiB entry are reserved). PAT is taken as offered:
 *  bit 7 of a PTE and bit 12 of a 4-MiB entry select a memory type, which means nothing here, and are never reserved. */
import { EXECUTE, READ, rightsOf, type TableFormat, USER, WRITE } from './table-format.ts';

const P = 0x1;
const RW = 0x2;
const US = 0x4;
const A = 0x20;
const D = 0x40;
const PS = 0x80; // page directory only
const G = 0x100;
const RESERVED_4M = 0x003f_e000; // 21:13

/** CR4.PSE = 0: bit 7 of a page-directory entry is ignored. */
export const ia32: TableFormat = {
  name: 'IA-32',
  levels: 2,
  indexBits: 10,
  entryBytes: 4,
  present: P,
  page: [0, 0, 0],
  reservedTable: [0, 0, 0],
  reservedPage: [0, 0, RESERVED_4M],
  reservedHigh: 0,
  badRights: 0,
  badTypes: 0,
  rights: rightsOf((low) => READ | EXECUTE | ((low & RW) !== 0 ? WRITE : 0) | ((low & US) !== 0 ? USER : 0)),
  executeDisable: 0,
  frameHigh: 0,
  global: G,
  accessed: A,
  dirty: D,
};

/** CR4.PSE = 1. */
export const ia32Pse: TableFormat = { ...ia32, name: 'IA-32 with PSE', page: [0, 0, PS] };
