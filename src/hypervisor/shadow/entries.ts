/** Entries of the guest's tables and of the shadow tables: both have the format of 32-bit paging.
 *  Reference: SDM Vol. 3, "32-Bit Paging", "Page-Fault Exceptions". */

export const P = 0x1;
export const RW = 0x2;
export const US = 0x4;
export const A = 0x20;
export const D = 0x40;
export const PS = 0x80;
export const G = 0x100;
/** Bits 21:13 of the entry of a 4-MiB page, without PSE-36. */
export const LARGE_RESERVED = 0x003f_e000;

/** Entries of a table. */
export const ENTRIES = 1024;
export const ENTRY_BYTES = 4;
export const PAGE_BYTES = 4096;
/** 4-KiB pages in a 4-MiB page. */
export const LARGE_FRAMES = 1024;

/** Page number in an entry. */
export const frameOf = (entry: number): number => entry >>> 12;
/** First page number in the entry of a 4-MiB page. */
export const largeFrameOf = (entry: number): number => (entry >>> 22) << 10;
export const directoryIndex = (linear: number): number => linear >>> 22;
export const tableIndex = (linear: number): number => (linear >>> 12) & 0x3ff;

/** Error code of #PF. */
export const ERROR = { P: 0x1, WR: 0x2, US: 0x4, RSVD: 0x8, ID: 0x10 } as const;
