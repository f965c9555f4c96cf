/** Entries of shadow page directories: which shadow page table they lead to. Rights are in the role of the table, so that the
 *  entry of the directory allows everything. Reference: SDM Vol. 3, "32-Bit Paging". */

import {
  A,
  D,
  ENTRIES,
  ENTRY_BYTES,
  frameOf,
  G,
  LARGE_FRAMES,
  LARGE_RESERVED,
  largeFrameOf,
  P,
  PAGE_BYTES,
  PS,
  RW,
  US,
} from './entries.ts';
import { DIRECT, DIRTY, GLOBAL, GUARDED, IDENTITY, PGE, PSE, USER, WP_CLEAR, WRITABLE } from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** A shadow table by what it is found by. */
export interface TableName {
  readonly guestFrame: number;
  readonly role: number;
}

/** The guest's entry that an entry of a shadow page directory stands for. */
export const guestDirectoryEntry = (s: ShadowState, directory: ShadowTable, index: number): number =>
  s.guest.read32(directory.guestFrame * PAGE_BYTES + index * ENTRY_BYTES);

/** Which page table an entry of the guest's page directory leads to, null if to none: it is not present, has not been accessed,
 *  or sets reserved bits. */
export function tableFor(directory: ShadowTable, index: number, entry: number): TableName | null {
  if (directory.isDirect) return { guestFrame: index * LARGE_FRAMES, role: IDENTITY };
  if ((entry & P) === 0 || (entry & A) === 0) return null;
  const rights =
    ((entry & RW) !== 0 ? WRITABLE : 0) |
    ((entry & US) !== 0 ? USER : 0) |
    (directory.role & (WP_CLEAR | PGE | GUARDED));
  if ((directory.role & PSE) === 0 || (entry & PS) === 0) return { guestFrame: frameOf(entry), role: rights };
  if ((entry & LARGE_RESERVED) !== 0) return null;
  const flags = ((entry & D) !== 0 ? DIRTY : 0) | ((entry & G) !== 0 ? GLOBAL : 0);
  return { guestFrame: largeFrameOf(entry), role: rights | flags | DIRECT };
}

/** The shadow table that an entry of a shadow directory leads to. */
export function childOf(s: ShadowState, directory: ShadowTable, index: number): ShadowTable | null {
  const target = directory.targets[index];
  return target === 0 ? null : s.tables.all[target - 1];
}

export function link(s: ShadowState, directory: ShadowTable, index: number, child: ShadowTable): void {
  directory.write(index, child.address | P | RW | US);
  directory.targets[index] = child.number + 1;
  child.parents.add(directory.number * ENTRIES + index);
  s.stats.fills++;
}

export function unlink(s: ShadowState, directory: ShadowTable, index: number): void {
  const child = childOf(s, directory, index);
  if (child === null) return;
  directory.write(index, 0);
  directory.targets[index] = 0;
  child.parents.delete(directory.number * ENTRIES + index);
  s.flush.all();
  s.stats.drops++;
}

/** Unlinks what the guest's entry no longer leads to. */
export function checkLink(s: ShadowState, directory: ShadowTable, index: number): void {
  const child = childOf(s, directory, index);
  if (child === null || directory.isDirect) return;
  const wanted = tableFor(directory, index, guestDirectoryEntry(s, directory, index));
  if (wanted === null || wanted.guestFrame !== child.guestFrame || wanted.role !== child.role)
    unlink(s, directory, index);
}
