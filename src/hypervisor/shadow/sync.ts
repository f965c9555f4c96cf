/** Shadow tables and the tables of the guest that they stand for, kept equal.
 *
 *  A guest may count on a changed entry only after it has flushed. So a page table, though not a page directory, may go out of
 *  step ("unsync") and be written without exits, until the guest executes INVLPG, loads CR3 or changes the paging mode.
 *  Reference: SDM Vol. 3, "Recommended Invalidation", "Optional Invalidation". */

import type { Linear } from '../../base/address.ts';
import { checkLink, childOf } from './directories.ts';
import { directoryIndex, ENTRIES, frameOf, tableIndex } from './entries.ts';
import { guestEntry, isForSupervisor, leafFor, protect, setLeaf } from './leaves.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** Brings one entry of a page table up to date. What was not there appears only with `fill`. */
export function syncLeaf(s: ShadowState, table: ShadowTable, index: number, fill: boolean): void {
  const old = table.read(index);
  if (old === 0 && !fill) return;
  const entry = guestEntry(s, table, index);
  const leaf = leafFor(s, table, entry, isForSupervisor(old));
  setLeaf(s, table, index, leaf, frameOf(entry));
}

/** Brings a whole table up to date, and from now on sees each write to the guest's. */
export function syncTable(s: ShadowState, table: ShadowTable): void {
  s.stats.syncs++;
  if (table.unsync) {
    table.unsync = false;
    protect(s, table.guestFrame);
  }
  for (let index = 0; index < ENTRIES; index++) {
    if (table.isDirectory) checkLink(s, table, index);
    else syncLeaf(s, table, index, false);
  }
}

/** The entry for a linear address is as in the guest's table again, and the processor looks it up anew: INVLPG asks for that, and so does
 *  a page fault of the guest (SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches"). */
export function syncPage(s: ShadowState, linear: Linear): void {
  s.flush.page(linear);
  const table = s.root === null ? null : childOf(s, s.root, directoryIndex(linear));
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
    for (const place of table.parents) {
      if (Math.floor(place / ENTRIES) !== root.number) continue;
      syncTable(s, table);
      break;
    }
  }
}

/** Lets the guest write one of its tables without exits. False: it is used as a page directory, too, or must not be. */
export function unsyncFrame(s: ShadowState, guestFrame: number): boolean {
  if (!s.options.unsync) return false;
  const tables = s.tables.on(guestFrame);
  if (tables.some((table) => table.isDirectory)) return false;
  for (const table of tables) table.unsync = true;
  s.stats.unsyncs++;
  return true;
}

/** The guest's memory was written, by an emulated instruction, by the setting of a flag, or by a device. */
export function noteWrite(s: ShadowState, guestFrame: number, first: number, last: number): void {
  for (const table of s.tables.on(guestFrame)) {
    for (let index = first; index <= last; index++) {
      if (table.isDirectory) checkLink(s, table, index);
      else syncLeaf(s, table, index, s.options.prefetch);
    }
  }
}
