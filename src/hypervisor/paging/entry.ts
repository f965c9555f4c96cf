/** Entries of a guest's tables in a form that does not depend on the tables' format: what they allow, and the frame they lead to.
 *  Reference: SDM Vol. 3, "32-Bit Paging", "PAE Paging". */

export const P = 0x1;
export const RW = 0x2;
export const US = 0x4;
export const A = 0x20;
export const D = 0x40;
/** The entry of a directory that maps a large page; nowhere else. */
export const PS = 0x80;
export const G = 0x100;
/** XD of PAE paging, if IA32_EFER.NXE gives it its meaning. */
export const NX = 0x1000;
/** One of the entry's reserved bits is set. */
export const RESERVED = 0x2000;

/** Bits that both formats have in the same place. */
export const COMMON: number = P | RW | US | A | D | PS | G;

export interface GuestEntry {
  readonly flags: number;
  /** Of the table or page; of a large page the first one. */
  readonly frame: number;
}

export const PAGE_BYTES = 4096;

/** Error code of #PF. */
export const ERROR = { P: 0x1, WR: 0x2, US: 0x4, RSVD: 0x8, ID: 0x10 } as const;
