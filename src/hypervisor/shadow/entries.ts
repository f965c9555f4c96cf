/** Entries of shadow tables. They have the format of PAE paging whatever the guest's have: every processor with VMX knows it, it has an
 *  execute-disable bit for guests that have one, and a bit that is reserved in every entry.
 *  Reference: SDM Vol. 3, "PAE Paging", "Page-Fault Exceptions". */

import { high32 } from '../../base/int.ts';
import { G, NX, P, PS, RW, US } from '../paging/entry.ts';

/** Entries of a table. */
export const ENTRIES = 512;
export const ENTRY_BYTES = 8;
/** Of the page-directory-pointer table. */
export const POINTERS = 4;
/** 4-KiB pages that an entry of a directory stands for, and one of the page-directory-pointer table. */
export const DIRECTORY_FRAMES = 512;
export const POINTER_FRAMES: number = 512 * 512;

/** What an entry is, besides the flags of an entry that allows something: nothing stands here yet, and a #PF is the pager's business … */
export const EMPTY = 0;
/** … or the guest's own entry is not present, and a #PF the guest's. */
export const ABSENT = 0x8000;

export const pointerIndex = (linear: number): number => linear >>> 30;
export const directoryIndex = (linear: number): number => (linear >>> 21) & 511;
export const tableIndex = (linear: number): number => (linear >>> 12) & 511;

/** Words of an entry that is present as far as bit 0 goes, and faults with RSVD in its error code: bit 62 is reserved for ever. */
export const MARKER_LOW: number = P;
export const MARKER_HIGH = 0x4000_0000;

const XD = 0x8000_0000 | 0; // of the high word
const LOW_FLAGS = P | RW | US | PS | G;

export const lowWord = (flags: number, address: number): number => (address | (flags & LOW_FLAGS)) >>> 0;
export const highWord = (flags: number, address: number): number =>
  (high32(address) | ((flags & NX) !== 0 ? XD : 0)) >>> 0;
