/** A walk through the guest's own tables, as its processor would do it.
 *  Reference: SDM Vol. 3, "32-Bit Paging", "PAE Paging", "Access Rights", "Page-Fault Exceptions". */

import type { GuestPhysical, Linear } from '../../base/address.ts';
import { CR0_WP, CR4_SMEP } from '../../base/registers.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { A, D, ERROR, type GuestEntry, NX, P, PAGE_BYTES, PS, RESERVED, RW, US } from './entry.ts';
import type { GuestFormat, GuestFormats } from './formats.ts';
import { formatOf, type PagingRegisters, tellsFetches } from './registers.ts';

export interface GuestWalk {
  /** Error code of the guest's #PF; −1: the access is allowed. */
  readonly fault: number;
  /** The page. */
  readonly frame: number;
  /** −1: no PDPTE register leads to a directory. */
  readonly directoryEntryAt: GuestPhysical;
  readonly directoryEntry: GuestEntry;
  /** Of the page table; −1 for a large page, which has none. */
  readonly entryAt: GuestPhysical;
  /** The last entry that was read. */
  readonly entry: GuestEntry;
}

/** Walks for an access that bits 4:1 of `access` describe, in the form of an error code. `isSpared`: SMAP does not forbid it. */
export function walkGuest(
  memory: GuestMemory,
  formats: GuestFormats,
  registers: PagingRegisters,
  linear: Linear,
  access: number,
  isSpared: boolean,
): GuestWalk {
  const format = formatOf(formats, registers);
  const { indexBits, entryBytes } = format;
  const told = tellsFetches(registers) ? ERROR.WR | ERROR.US | ERROR.ID : ERROR.WR | ERROR.US;
  const asked = access & told;
  const top = topOf(format, formats, registers, linear);
  if (top < 0) return nowhere(asked);

  const page = linear >>> 12;
  const inTable = (1 << indexBits) - 1;
  const directoryEntryAt = top * PAGE_BYTES + ((page >>> indexBits) & inTable) * entryBytes;
  const directoryEntry = format.read(memory, directoryEntryAt, 2);
  const isTable = (directoryEntry.flags & (P | RESERVED | PS)) === P;
  const entryAt = isTable ? directoryEntry.frame * PAGE_BYTES + (page & inTable) * entryBytes : -1;
  const entry = isTable ? format.read(memory, entryAt, 1) : directoryEntry;
  const result = (fault: number): GuestWalk => ({
    fault,
    frame: isTable ? entry.frame : entry.frame + (page & inTable),
    directoryEntryAt,
    directoryEntry,
    entryAt,
    entry,
  });
  if ((entry.flags & P) === 0) return result(asked);
  if ((entry.flags & RESERVED) !== 0) return result(asked | ERROR.P | ERROR.RSVD);
  const rights = directoryEntry.flags & entry.flags;
  const isNeverCode = ((directoryEntry.flags | entry.flags) & NX) !== 0;
  return result(allows(registers, access, rights, isNeverCode, isSpared) ? -1 : asked | ERROR.P);
}

/** Frame of the directory, −1 if no PDPTE register leads to one. */
function topOf(format: GuestFormat, formats: GuestFormats, r: PagingRegisters, linear: Linear): number {
  const k = (linear >>> 30) << 1;
  return format.isPae ? formats.directory(r.pdptes[k], r.pdptes[k + 1]) : r.cr3 >>> 12;
}

const NOTHING: GuestEntry = { flags: 0, frame: -1 };
const nowhere = (fault: number): GuestWalk => ({
  fault,
  frame: -1,
  directoryEntryAt: -1,
  directoryEntry: NOTHING,
  entryAt: -1,
  entry: NOTHING,
});

function allows(r: PagingRegisters, access: number, rights: number, isNeverCode: boolean, isSpared: boolean): boolean {
  const isUser = (access & ERROR.US) !== 0;
  const mayWrite = (rights & RW) !== 0 || (!isUser && (r.cr0 & CR0_WP) === 0);
  const isFetch = (access & ERROR.ID) !== 0;
  const isGuarded = isFetch ? (r.cr4 & CR4_SMEP) !== 0 : !isSpared;
  if (isFetch && isNeverCode) return false;
  if (!isUser && (rights & US) !== 0 && isGuarded) return false;
  if (isUser && (rights & US) === 0) return false;
  return (access & ERROR.WR) === 0 || mayWrite;
}

/** Sets the accessed flags that the walk of an allowed access sets, and the dirty flag of a write. */
export function setFlags(memory: GuestMemory, walk: GuestWalk, write: boolean): void {
  const leaf = A | (write ? D : 0);
  const isLarge = walk.entryAt < 0;
  const { flags } = walk.directoryEntry;
  const ofDirectory = isLarge ? leaf : A;
  if ((flags & ofDirectory) !== ofDirectory) set(memory, walk.directoryEntryAt, ofDirectory);
  if (!isLarge && (walk.entry.flags & leaf) !== leaf) set(memory, walk.entryAt, leaf);
}

/** In both formats the flags are in the low word. The table may be the directory itself: what stands there now counts. */
const set = (memory: GuestMemory, at: GuestPhysical, flags: number): void =>
  memory.write32(at, memory.read32(at) | flags);
