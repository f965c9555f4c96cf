/** A walk through the guest's own tables, as its processor would do it.
 *  Reference: SDM Vol. 3, "32-Bit Paging", "Access Rights", "Page-Fault Exceptions". */

import type { GuestPhysical, Linear } from '../../base/address.ts';
import { CR0_WP, CR4_PSE, CR4_SMEP } from '../../base/registers.ts';
import type { GuestMemory } from '../guest-memory.ts';
import {
  A,
  D,
  directoryIndex,
  ENTRY_BYTES,
  ERROR,
  LARGE_RESERVED,
  P,
  PAGE_BYTES,
  PS,
  RW,
  tableIndex,
  US,
} from './entries.ts';
import type { GuestRegisters } from './state.ts';

export interface GuestWalk {
  /** Error code of the guest's #PF; −1: the access is allowed. */
  readonly fault: number;
  readonly directoryEntryAt: GuestPhysical;
  readonly directoryEntry: number;
  /** Of the page table; −1 for a 4-MiB page, which has none. */
  readonly entryAt: GuestPhysical;
  readonly entry: number;
}

/** Walks for an access that has met a #PF with error code `access`: its flags say what the access was.
 *  `isSpared`: SMAP does not forbid it. */
export function walkGuest(
  memory: GuestMemory,
  registers: GuestRegisters,
  linear: Linear,
  access: number,
  isSpared: boolean,
): GuestWalk {
  const directory = (registers.cr3 & ~(PAGE_BYTES - 1)) >>> 0;
  const directoryEntryAt = directory + directoryIndex(linear) * ENTRY_BYTES;
  const directoryEntry = memory.read32(directoryEntryAt);
  const asked = access & (ERROR.WR | ERROR.US | ERROR.ID);
  const result = (fault: number, entryAt = -1, entry = 0): GuestWalk => ({
    fault,
    directoryEntryAt,
    directoryEntry,
    entryAt,
    entry,
  });
  if ((directoryEntry & P) === 0) return result(asked);
  let entryAt = -1;
  let entry = directoryEntry;
  if ((registers.cr4 & CR4_PSE) !== 0 && (directoryEntry & PS) !== 0) {
    if ((directoryEntry & LARGE_RESERVED) !== 0) return result(asked | ERROR.P | ERROR.RSVD);
  } else {
    entryAt = ((directoryEntry & ~(PAGE_BYTES - 1)) >>> 0) + tableIndex(linear) * ENTRY_BYTES;
    entry = memory.read32(entryAt);
    if ((entry & P) === 0) return result(asked, entryAt, entry);
  }
  const rights = directoryEntry & entry;
  const isUser = (access & ERROR.US) !== 0;
  const mayWrite = (rights & RW) !== 0 || (!isUser && (registers.cr0 & CR0_WP) === 0);
  const isFetch = (access & ERROR.ID) !== 0;
  const isGuarded = isFetch ? (registers.cr4 & CR4_SMEP) !== 0 : !isSpared;
  const isForbidden = !isUser && (rights & US) !== 0 && isGuarded;
  const isRefused = isForbidden || (isUser && (rights & US) === 0) || ((access & ERROR.WR) !== 0 && !mayWrite);
  return result(isRefused ? asked | ERROR.P : -1, entryAt, entry);
}

/** Sets the accessed flags that the walk of an allowed access sets, and the dirty flag of a write. */
export function setFlags(memory: GuestMemory, walk: GuestWalk, write: boolean): void {
  const leaf = A | (write ? D : 0);
  const isLarge = walk.entryAt < 0;
  const ofDirectory = isLarge ? leaf : A;
  if ((walk.directoryEntry & ofDirectory) !== ofDirectory)
    memory.write32(walk.directoryEntryAt, walk.directoryEntry | ofDirectory);
  // The table may be the directory itself: what stands there now counts.
  if (!isLarge && (walk.entry & leaf) !== leaf) memory.write32(walk.entryAt, memory.read32(walk.entryAt) | leaf);
}
