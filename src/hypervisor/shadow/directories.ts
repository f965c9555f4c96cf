/** Entries of roots and directories: which table they lead to. Rights are in the role of the page table, so that the entries on the way
 *  allow everything. Reference: SDM Vol. 3, "PAE Paging". */

import { A, D, G, type GuestEntry, NX, P, PS, RESERVED, RW, US } from '../paging/entry.ts';
import { ABSENT, DIRECTORY_FRAMES, EMPTY, ENTRIES, POINTER_FRAMES, POINTERS } from './entries.ts';
import { inQuadrant } from './geometry.ts';
import { guestEntry } from './guest-entries.ts';
import {
  DIRECT,
  DIRECTORY,
  DIRTY,
  GLOBAL,
  IDENTITY,
  INHERITED,
  INHERITED_DIRECT,
  NO_EXECUTE,
  PAE,
  PSE,
  USER,
  WRITABLE,
} from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** A shadow table by what it is found by. */
export interface TableName {
  readonly guestFrame: number;
  readonly role: number;
}

/** Which table the guest's tables want behind an entry, null for none: the guest's entry is not present, has not been accessed,
 *  or sets reserved bits. */
export function tableFor(s: ShadowState, table: ShadowTable, index: number): TableName | null {
  if (table.isRoot) return directoryFor(s, table, index);
  if (table.isDirect) return { guestFrame: table.guestFrame + index * DIRECTORY_FRAMES, role: IDENTITY };
  return pageTableFor(table.role, index, guestEntry(s, table, index));
}

/** The directory behind an entry of the root in use. PDPTEs hold no rights. */
function directoryFor(s: ShadowState, root: ShadowTable, index: number): TableName | null {
  const { guestFrame, role } = root;
  if (root.isDirect) return { guestFrame: index * POINTER_FRAMES, role: DIRECTORY | DIRECT };
  if ((role & PAE) === 0) return { guestFrame, role: DIRECTORY | (role & (INHERITED | PSE)) | inQuadrant(index) };
  const { pdptes } = s.registers;
  const frame = s.formats.directory(pdptes[2 * index], pdptes[2 * index + 1]);
  return frame < 0 ? null : { guestFrame: frame, role: DIRECTORY | (role & INHERITED) };
}

function pageTableFor(role: number, index: number, { flags, frame }: GuestEntry): TableName | null {
  if ((flags & (P | A | RESERVED)) !== (P | A)) return null;
  const rights =
    ((flags & RW) !== 0 ? WRITABLE : 0) | ((flags & US) !== 0 ? USER : 0) | ((flags & NX) !== 0 ? NO_EXECUTE : 0);
  // Of 32-bit paging each entry stands for two page tables.
  const half = (role & PAE) !== 0 ? 0 : index & 1;
  if ((flags & PS) === 0) return { guestFrame: frame, role: rights | (role & INHERITED) | inQuadrant(half) };
  const ofPage = ((flags & D) !== 0 ? DIRTY : 0) | ((flags & G) !== 0 ? GLOBAL : 0);
  return {
    guestFrame: frame + half * DIRECTORY_FRAMES,
    role: DIRECT | rights | ofPage | (role & INHERITED_DIRECT),
  };
}

/** The shadow table that an entry of a root or a directory leads to. */
export function childOf(s: ShadowState, table: ShadowTable, index: number): ShadowTable | null {
  const target = table.targets[index];
  return target <= 0 ? null : s.tables.all[target - 1];
}

export function link(s: ShadowState, table: ShadowTable, index: number, child: ShadowTable): void {
  table.write(index, table.isRoot ? P : P | RW | US, child.address);
  table.targets[index] = child.number + 1;
  child.parents.add(table.number * ENTRIES + index);
  s.stats.fills++;
}

export function unlink(s: ShadowState, table: ShadowTable, index: number): void {
  const child = childOf(s, table, index);
  if (child === null) return;
  table.write(index, EMPTY);
  table.targets[index] = 0;
  child.parents.delete(table.number * ENTRIES + index);
  s.flush.all();
  s.stats.drops++;
}

/** Unlinks what the guest's entry no longer leads to. */
export function checkLink(s: ShadowState, table: ShadowTable, index: number): void {
  const child = childOf(s, table, index);
  if (child === null || table.isDirect) return;
  const wanted = tableFor(s, table, index);
  if (wanted === null || wanted.guestFrame !== child.guestFrame || wanted.role !== child.role) unlink(s, table, index);
}

/** What a load of the guest's CR3 asks of the root in use: with PAE paging its PDPTE registers may hold something new. */
export function checkRoot(s: ShadowState, root: ShadowTable): void {
  for (let k = 0; k < POINTERS; k++) {
    checkLink(s, root, k);
    const nothing = tableFor(s, root, k) === null ? ABSENT : EMPTY;
    if (root.targets[k] === 0 && root.flags[k] !== nothing) root.write(k, nothing);
  }
}
