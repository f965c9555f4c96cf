/** PAE paging (SDM Vol. 3, "PAE Paging"): entries of 64 bits in two levels of tables, pages of 4 KiB and 2 MiB. Above them stand the
 *  four PDPTE registers, which are loaded from memory at the moments that "PDPTE Registers" names, and at no others.
 *
 *  PAT is taken as offered, as in ia32.ts: bit 7 of a PTE and bit 12 of a 2-MiB entry are never reserved. */
import { PDPTE } from '../base/registers.ts';
import { EXECUTE, READ, rightsOf, type TableFormat, USER, WRITE } from './table-format.ts';

const P = 0x1;
const RW = 0x2;
const US = 0x4;
const A = 0x20;
const D = 0x40;
const PS = 0x80; // page directory only; CR4.PSE does not matter
const G = 0x100;
const RESERVED_2M = 0x001f_e000; // 20:13
const XD = 0x8000_0000 | 0; // of the high word
/** Reserved in a present PDPTE: 2:1 and 8:5 of the low word. */
const RESERVED_PDPTE = 0x1e6;

/** The format for addresses of so many bits; without IA32_EFER.NXE bit 63 of an entry is reserved. */
export const paeFormat = (physicalAddressBits: number, nxe: boolean): TableFormat => ({
  name: nxe ? 'PAE with NX' : 'PAE',
  levels: 2,
  indexBits: 9,
  entryBytes: 8,
  present: P,
  page: [0, 0, PS],
  reservedTable: [0, 0, 0],
  reservedPage: [0, 0, RESERVED_2M],
  reservedHigh: nxe ? ~addressBits(physicalAddressBits) & ~XD : ~addressBits(physicalAddressBits),
  badRights: 0,
  badTypes: 0,
  rights: rightsOf((low) => READ | EXECUTE | ((low & RW) !== 0 ? WRITE : 0) | ((low & US) !== 0 ? USER : 0)),
  executeDisable: nxe ? XD : 0,
  frameHigh: addressBits(physicalAddressBits),
  global: G,
  accessed: A,
  dirty: D,
});

/** Bits of the high word that are address bits. */
const addressBits = (physicalAddressBits: number): number => 2 ** (physicalAddressBits - 32) - 1;

/** Whether a PDPTE may be loaded into its register. */
export const pdpteHolds = (low: number, high: number, physicalAddressBits: number): boolean =>
  (low & P) === 0 || ((low & RESERVED_PDPTE) === 0 && (high & ~addressBits(physicalAddressBits)) === 0);

/** Level of PDPTEs, above the tables that walks read. */
export const PDPTE_LEVEL = 3;

/** Frame of the page directory for a page number, by the PDPTE registers; −1 if there is none. */
export function pageDirectory(S: Int32Array, page: number): number {
  const k = PDPTE + ((page >>> 18) << 1);
  const low = S[k];
  return (low & P) === 0 ? -1 : (low >>> 12) | (S[k + 1] << 20);
}

/** Where the page-directory-pointer table stands: CR3[31:5], as a bus address. */
export const pointerTable = (cr3: number): number => (cr3 & ~31) >>> 0;
