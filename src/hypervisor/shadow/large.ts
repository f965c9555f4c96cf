/** Large pages of the guest that stay large: an entry of a shadow directory maps 2 MiB where the host's frames lie side by side, and no
 *  table of the guest lies among them. Everything else is mapped by a direct page table. */

import { G, NX, P, PS, RW, US } from '../paging/entry.ts';
import { type TableName, tableFor } from './directories.ts';
import { DIRECTORY_FRAMES, EMPTY, ENTRIES } from './entries.ts';
import { DIRECT, DIRTY, GLOBAL, NO_EXECUTE, PGE, USER, WP_CLEAR, WRITABLE } from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** Number of the 2 MiB in which a frame of the guest lies. */
const blockOf = (guestFrame: number): number => Math.floor(guestFrame / DIRECTORY_FRAMES);

/** Whether an entry of a directory maps a page. What it stands for is the negative of its first frame, minus 1. */
const isLarge = (table: ShadowTable, index: number): boolean => table.targets[index] < 0;

/** What the entry for the pages of this direct table may be instead, EMPTY if there has to be the table. Where CR0.WP is 0, and the
 *  supervisor may write what users may only read, pages have two kinds of entries: these are left to page tables. */
function largeLeafFor(s: ShadowState, { guestFrame, role }: TableName): number {
  const user = (role & USER) !== 0;
  if ((role & DIRECT) === 0 || s.guest.largeHost(guestFrame) < 0) return EMPTY;
  if ((role & WP_CLEAR) !== 0 && (role & WRITABLE) === 0) return EMPTY;
  if (s.tables.isAnyProtected(guestFrame, DIRECTORY_FRAMES)) return EMPTY;
  const write = (role & WRITABLE) !== 0 && (role & DIRTY) !== 0;
  const global = (role & PGE) !== 0 && (role & GLOBAL) !== 0;
  const noExecute = (role & NO_EXECUTE) !== 0;
  return P | PS | (write ? RW : 0) | (user ? US : 0) | (global ? G : 0) | (noExecute ? NX : 0);
}

/** Maps what an entry of a directory without a page table stands for at once, if that can be. False: it needs the table. */
export function fillLarge(s: ShadowState, directory: ShadowTable, index: number, isWrite: boolean): boolean {
  if (directory.targets[index] > 0) return false;
  const name = tableFor(s, directory, index);
  const leaf = name === null ? EMPTY : largeLeafFor(s, name);
  if (isLarge(directory, index)) {
    if (leaf === directory.flags[index] && (!isWrite || (leaf & RW) !== 0)) return true;
    dropLarge(s, directory, index);
  }
  if (name === null || leaf === EMPTY || (isWrite && (leaf & RW) === 0)) return false;
  directory.write(index, leaf, s.guest.largeHost(name.guestFrame));
  directory.targets[index] = -name.guestFrame - 1;
  s.largeMaps.add(blockOf(name.guestFrame), directory.number * ENTRIES + index);
  s.stats.fills++;
  s.stats.largeFills++;
  return true;
}

/** Takes the entry out, if it maps a page. */
export function dropLarge(s: ShadowState, directory: ShadowTable, index: number): void {
  if (!isLarge(directory, index)) return;
  s.largeMaps.remove(blockOf(-directory.targets[index] - 1), directory.number * ENTRIES + index);
  directory.write(index, EMPTY);
  directory.targets[index] = 0;
  s.flush.all();
  s.stats.drops++;
}

/** Takes the entry out, if it maps a page and is no longer what the guest's tables ask for. */
export function checkLarge(s: ShadowState, directory: ShadowTable, index: number): void {
  if (!isLarge(directory, index)) return;
  const name = tableFor(s, directory, index);
  const frame = -directory.targets[index] - 1;
  const isRight = name?.guestFrame === frame && largeLeafFor(s, name) === directory.flags[index];
  if (!isRight) dropLarge(s, directory, index);
}

/** A table of the guest lies in this frame now: no large page with it may be written. */
export function splitAround(s: ShadowState, guestFrame: number): void {
  for (const place of [...s.largeMaps.of(blockOf(guestFrame))]) {
    const directory = s.tables.all[Math.floor(place / ENTRIES)];
    if ((directory.flags[place % ENTRIES] & RW) !== 0) dropLarge(s, directory, place % ENTRIES);
  }
}
