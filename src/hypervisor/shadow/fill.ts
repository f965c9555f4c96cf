/** Page faults of a guest under the shadow pager: its own are told apart from those that only the shadow tables caused, and
 *  of these the missing entry is made. */

import type { Linear } from '../../base/address.ts';
import { ERROR, type GuestEntry, PAGE_BYTES, RW } from '../paging/entry.ts';
import { setFlags, walkGuest } from '../paging/walk.ts';
import { learnAbsent } from './absent.ts';
import { childOf, link, tableFor } from './directories.ts';
import { directoryIndex, pointerIndex, tableIndex } from './entries.ts';
import { shadowEntries } from './geometry.ts';
import { guestEntry } from './guest-entries.ts';
import { dropLarge, fillLarge } from './large.ts';
import { leafFor, setLeaf } from './leaves.ts';
import { makeRoom, tableOf, zap } from './room.ts';
import type { ShadowState } from './state.ts';
import { isChild, syncBelow, syncPage, unsyncFrame } from './sync.ts';
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
  readonly entry: GuestEntry;
}

/** Handles a #PF at `linear`. `isSpared`: SMAP does not forbid the supervisor this access to a page of users. */
export function handleFault(s: ShadowState, linear: Linear, errorCode: number, isSpared: boolean): number {
  makeRoom(s, NEEDED); // before anything is looked at: what is looked at must not go away
  const root = rootOf(s);
  const isWrite = (errorCode & ERROR.WR) !== 0;
  if (!root.isDirect) {
    const walk = walkGuest(s.guest, s.formats, s.registers, linear, errorCode, isSpared);
    if (walk.fault >= 0) {
      s.stats.trueFaults++;
      syncPage(s, linear);
      if ((walk.fault & ERROR.P) === 0) learnAbsent(s, linear);
      return walk.fault;
    }
    setFlags(s.guest, walk, isWrite);
  }
  s.stats.hiddenFaults++;
  s.flush.page(linear);
  if (fillLarge(s, directoryOf(s, linear), directoryIndex(linear), isWrite)) return HIDDEN;
  const { table, index, entry } = findPlace(s, linear);
  const page = entry.frame;
  if (s.guest.toHost(page * PAGE_BYTES) < 0) return ABSENT;
  const supervisorWrites = isWrite && (errorCode & ERROR.US) === 0;
  const fill = (): number => {
    const leaf = leafFor(s, table, entry, supervisorWrites);
    setLeaf(s, table, index, leaf, page);
    return leaf;
  };
  const leaf = fill();
  if (!isWrite || (leaf & RW) !== 0) return HIDDEN;
  if (!s.tables.isProtected(page)) return TABLE_WRITE; // CR0.WP = 0 with SMEP or SMAP: one write at a time
  s.stats.tableWrites++;
  if (unsyncFrame(s, page)) {
    fill();
    return HIDDEN;
  }
  return isFlooded(s, page, linear % PAGE_BYTES, table) ? HIDDEN : TABLE_WRITE;
}

/** The entry of a shadow page table for an address that the guest's tables map, with the tables on the way. */
export function findPlace(s: ShadowState, linear: Linear): Place {
  const directory = directoryOf(s, linear);
  dropLarge(s, directory, directoryIndex(linear));
  const table = follow(s, directory, directoryIndex(linear));
  const index = tableIndex(linear);
  return { table, index, entry: guestEntry(s, table, index) };
}

const directoryOf = (s: ShadowState, linear: Linear): ShadowTable => follow(s, rootOf(s), pointerIndex(linear));

/** The table behind an entry, made and linked if it is not there. */
function follow(s: ShadowState, parent: ShadowTable, index: number): ShadowTable {
  const known = childOf(s, parent, index);
  if (known !== null) {
    s.tables.use(known);
    return known;
  }
  const name = tableFor(s, parent, index);
  if (name === null) throw new Error('the walk of the guest and its shadow tables disagree');
  const child = tableOf(s, name.guestFrame, name.role);
  link(s, parent, index, child);
  if (child.isDirectory) syncBelow(s, child);
  return child;
}

/** A table that is written again and again without being used has become something else: the guest may have it as memory.
 *  `inUse` is needed for the write itself. */
function isFlooded(s: ShadowState, guestFrame: number, offset: number, inUse: ShadowTable): boolean {
  if (s.options.flood === 0) return false;
  let flooded = false;
  for (const table of [...s.tables.on(guestFrame)]) {
    const { from, to } = shadowEntries(table.role, offset, offset);
    if (from > to) continue;
    table.written++;
    if (table.written < s.options.flood || table === inUse || isChild(table, s.root)) continue;
    zap(s, table);
    s.stats.zaps++;
    flooded = true;
  }
  return flooded && !s.tables.isProtected(guestFrame);
}

function rootOf(s: ShadowState): ShadowTable {
  if (s.root === null) throw new Error('the shadow pager has no root');
  return s.root;
}
