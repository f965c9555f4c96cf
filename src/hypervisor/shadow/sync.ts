/** Shadow tables and the tables of the guest that they stand for, kept equal.
 *
 *  A guest may count on a changed entry only after it has flushed. So a page table, though not a page directory, may go out of
 *  step ("unsync") and be written without exits, until the guest executes INVLPG, loads CR3 or changes the paging mode.
 *  Reference: SDM Vol. 3, "Recommended Invalidation", "Optional Invalidation". */

import type { Linear } from '../../base/address.ts';
import { forgetAbsent, nothingFor } from './absent.ts';
import { checkLink, childOf } from './directories.ts';
import { ABSENT, directoryIndex, EMPTY, ENTRIES, pointerIndex, tableIndex } from './entries.ts';
import { shadowEntries } from './geometry.ts';
import { guestEntry } from './guest-entries.ts';
import { checkLarge } from './large.ts';
import { isForSupervisor, leafFor, protect, setLeaf } from './leaves.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** Brings one entry of a page table up to date. What was not there appears only with `fill`. */
export function syncLeaf(s: ShadowState, table: ShadowTable, index: number, fill: boolean): void {
  const old = table.flags[index];
  if (old === EMPTY && !fill && !table.knowsAbsent) return;
  const entry = guestEntry(s, table, index);
  const wasThere = old !== EMPTY && old !== ABSENT;
  const leaf = wasThere || fill ? leafFor(s, table, entry, isForSupervisor(old)) : EMPTY;
  setLeaf(s, table, index, leaf === EMPTY ? nothingFor(table, entry) : leaf, entry.frame);
}

/** The same for a directory; what was not there does not appear. */
function syncLink(s: ShadowState, table: ShadowTable, index: number): void {
  checkLink(s, table, index);
  checkLarge(s, table, index);
  if (table.targets[index] !== 0 || !table.knowsAbsent) return;
  const nothing = nothingFor(table, guestEntry(s, table, index));
  if (table.flags[index] !== nothing) table.write(index, nothing);
}

/** Brings a whole table up to date, and from now on sees each write to the guest's. */
export function syncTable(s: ShadowState, table: ShadowTable): void {
  s.stats.syncs++;
  if (table.unsync) {
    table.unsync = false;
    protect(s, table.guestFrame);
  }
  for (let index = 0; index < ENTRIES; index++) {
    if (table.isDirectory) syncLink(s, table, index);
    else syncLeaf(s, table, index, false);
  }
}

/** The entry for a linear address is as in the guest's table again, and the processor looks it up anew: INVLPG asks for that, and so does
 *  a page fault of the guest (SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches"). */
export function syncPage(s: ShadowState, linear: Linear): void {
  s.flush.page(linear);
  const directory = s.root === null ? null : childOf(s, s.root, pointerIndex(linear));
  const table = directory === null ? null : childOf(s, directory, directoryIndex(linear));
  if (table?.unsync) syncLeaf(s, table, tableIndex(linear), false);
}

/** Every table of one frame of the guest. */
export function syncFrame(s: ShadowState, guestFrame: number): void {
  for (const table of s.tables.on(guestFrame)) syncTable(s, table);
}

/** What a load of CR3 brings up to date: the page tables that the page directory leads to. Others wait until theirs is loaded. */
export function syncRoot(s: ShadowState, root: ShadowTable): void {
  for (const table of s.tables.all) {
    if (!table.alive || !table.unsync) continue;
    const isBelow = [...table.parents].some((place) => isChild(s.tables.all[Math.floor(place / ENTRIES)], root));
    if (isBelow) syncTable(s, table);
  }
}

/** A directory comes into use that was not below the root when CR3 was loaded: what it leads to has waited for that. */
export function syncBelow(s: ShadowState, directory: ShadowTable): void {
  for (let index = 0; index < ENTRIES; index++) {
    const table = childOf(s, directory, index);
    if (table?.unsync) syncTable(s, table);
  }
}

/** `root` leads to `table` directly. */
export function isChild(table: ShadowTable, root: ShadowTable | null): boolean {
  for (const place of table.parents) if (Math.floor(place / ENTRIES) === root?.number) return true;
  return false;
}

/** Lets the guest write one of its tables without exits. False: it is used as a page directory, too, or must not be. */
export function unsyncFrame(s: ShadowState, guestFrame: number): boolean {
  if (!s.options.unsync) return false;
  const tables = s.tables.on(guestFrame);
  if (tables.some((table) => table.isDirectory)) return false;
  for (const table of tables) {
    table.unsync = true;
    forgetAbsent(table);
  }
  s.stats.unsyncs++;
  return true;
}

/** Bytes `first` to `last` of a page of the guest were written, by an emulated instruction, by the setting of a flag, or by a device. */
export function noteWrite(s: ShadowState, guestFrame: number, first: number, last: number): void {
  for (const table of s.tables.on(guestFrame)) {
    const { from, to } = shadowEntries(table.role, first, last);
    for (let index = from; index <= to; index++) {
      if (table.isDirectory) syncLink(s, table, index);
      else syncLeaf(s, table, index, s.options.prefetch);
    }
  }
}
