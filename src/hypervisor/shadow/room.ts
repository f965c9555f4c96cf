/** Making and giving up shadow tables. */

import { childOf, unlink } from './directories.ts';
import { EMPTY, ENTRIES } from './entries.ts';
import { dropLarge } from './large.ts';
import { protect, setLeaf } from './leaves.ts';
import type { ShadowState } from './state.ts';
import { syncFrame } from './sync.ts';
import type { ShadowTable } from './tables.ts';

/** Frees tables until there are `wanted`. The root that the processor uses stays. */
export function makeRoom(s: ShadowState, wanted: number): void {
  while (s.tables.free < wanted) {
    const table = s.tables.oldest(s.root);
    if (table === undefined) return;
    zap(s, table);
    s.stats.evictions++;
  }
}

/** The shadow table of that name, made if it does not exist. What the guest may do to its own table is settled before. */
export function tableOf(s: ShadowState, guestFrame: number, role: number): ShadowTable {
  let table = s.tables.find(guestFrame, role);
  if (table?.unsync) {
    // Only tables that are in use may be out of step: a new use begins with what the guest's table holds now.
    syncFrame(s, guestFrame);
  } else if (table === undefined) {
    const isNewsFor = s.tables.on(guestFrame);
    table = s.tables.make(guestFrame, role);
    s.stats.made++;
    if (table.hasGuestTable) {
      if (isNewsFor.some((other) => other.unsync)) syncFrame(s, guestFrame);
      protect(s, guestFrame);
    }
  }
  s.tables.use(table);
  return table;
}

/** Gives a table up. The guest's becomes ordinary memory if there is no other shadow of it. */
export function zap(s: ShadowState, table: ShadowTable): void {
  if (table === s.root) throw new RangeError('the root in use cannot be given up');
  for (const place of [...table.parents]) unlink(s, s.tables.all[Math.floor(place / ENTRIES)], place % ENTRIES);
  for (let index = 0; index < ENTRIES; index++) {
    if (table.targets[index] === 0) continue;
    if (table.isLeaf) setLeaf(s, table, index, EMPTY, 0);
    else if (table.targets[index] < 0) dropLarge(s, table, index);
    else unlink(s, table, index);
  }
  s.tables.release(table);
  s.flush.all();
}

/** Gives a root up, and the directories that nothing else leads to. */
export function zapRoot(s: ShadowState, root: ShadowTable): void {
  const directories = [0, 1, 2, 3].map((k) => childOf(s, root, k));
  zap(s, root);
  for (const directory of directories) if (directory?.alive && directory.parents.size === 0) zap(s, directory);
}

/** Gives every table up. */
export function zapAll(s: ShadowState): void {
  s.root = null;
  for (const table of s.tables.all) if (table.alive) zap(s, table);
}
