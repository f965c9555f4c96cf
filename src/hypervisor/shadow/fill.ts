/** Page faults of a guest under the shadow pager: its own are told apart from those that only the shadow tables caused, and
 *  of these the missing entry is made. */

import type { Linear } from '../../base/address.ts';
import { childOf, guestDirectoryEntry, link, tableFor } from './directories.ts';
import { directoryIndex, ERROR, frameOf, PAGE_BYTES, RW, tableIndex } from './entries.ts';
import { setFlags, walkGuest } from './guest-walk.ts';
import { guestEntry, leafFor, setLeaf } from './leaves.ts';
import { makeRoom, tableOf, zap } from './room.ts';
import type { ShadowState } from './state.ts';
import { syncPage, unsyncFrame } from './sync.ts';
import type { ShadowTable } from './tables.ts';

/** What came of a page fault; anything from 0 up is the error code of a #PF of the guest's own. */
export const HIDDEN = -1; // the access will succeed now
export const TABLE_WRITE = -2; // a write, to one of the guest's tables as a rule, that no entry can allow for good
export const ABSENT = -3; // the guest's tables lead to where it has no memory

/** Directories and page tables that one access may need. */
const NEEDED = 2;

/** Where an access found its entry. */
export interface Place {
  readonly table: ShadowTable;
  readonly index: number;
  /** The guest's entry. */
  readonly entry: number;
}

/** Handles a #PF at `linear`. `isSpared`: SMAP does not forbid the supervisor this access to a page of users. */
export function handleFault(s: ShadowState, linear: Linear, errorCode: number, isSpared: boolean): number {
  makeRoom(s, NEEDED); // before anything is looked at: what is looked at must not go away
  const root = rootOf(s);
  const isWrite = (errorCode & ERROR.WR) !== 0;
  if (!root.isDirect) {
    const walk = walkGuest(s.guest, s.registers, linear, errorCode, isSpared);
    if (walk.fault >= 0) {
      s.stats.trueFaults++;
      syncPage(s, linear);
      return walk.fault;
    }
    setFlags(s.guest, walk, isWrite);
  }
  s.stats.hiddenFaults++;
  const { table, index, entry } = findPlace(s, linear);
  const page = frameOf(entry);
  if (s.guest.toHost(page * PAGE_BYTES) < 0) return ABSENT;
  const supervisorWrites = isWrite && (errorCode & ERROR.US) === 0;
  const fill = (): number => {
    const leaf = leafFor(s, table, entry, supervisorWrites);
    setLeaf(s, table, index, leaf, page);
    return leaf;
  };
  s.flush.page(linear);
  const leaf = fill();
  if (!isWrite || (leaf & RW) !== 0) return HIDDEN;
  if (!s.tables.isProtected(page)) return TABLE_WRITE; // CR0.WP = 0 with SMEP or SMAP: one write at a time
  s.stats.tableWrites++;
  if (unsyncFrame(s, page)) {
    fill();
    return HIDDEN;
  }
  return isFlooded(s, page, table) ? HIDDEN : TABLE_WRITE;
}

/** The entry of a shadow page table for an address that the guest's tables map, with the tables on the way. */
export function findPlace(s: ShadowState, linear: Linear): Place {
  const root = rootOf(s);
  const at = directoryIndex(linear);
  let table = childOf(s, root, at);
  if (table === null) {
    const name = tableFor(root, at, root.isDirect ? 0 : guestDirectoryEntry(s, root, at));
    if (name === null) throw new Error('the walk of the guest and its shadow page directory disagree');
    table = tableOf(s, name.guestFrame, name.role);
    link(s, root, at, table);
  } else s.tables.use(table);
  const index = tableIndex(linear);
  return { table, index, entry: guestEntry(s, table, index) };
}

/** A table that is written again and again without being used has become something else: the guest may have it as memory.
 *  `inUse` is needed for the write itself. */
function isFlooded(s: ShadowState, guestFrame: number, inUse: ShadowTable): boolean {
  if (s.options.flood === 0) return false;
  let flooded = false;
  for (const table of [...s.tables.on(guestFrame)]) {
    table.written++;
    if (table.written < s.options.flood || table === s.root || table === inUse) continue;
    zap(s, table);
    s.stats.zaps++;
    flooded = true;
  }
  return flooded && !s.tables.isProtected(guestFrame);
}

function rootOf(s: ShadowState): ShadowTable {
  if (s.root === null) throw new Error('the shadow pager has no page directory');
  return s.root;
}
