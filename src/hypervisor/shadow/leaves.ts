/** Entries of shadow page tables: what they may allow, and how they are set and taken out.
 *
 *  The processor runs with CR0.WP = 1, whatever the guest has. An entry exists only where the guest's has been accessed, and
 *  allows writes only where the guest's is dirty: so the first access and the first write of the guest are seen, and set the
 *  flags in its table. Reference: SDM Vol. 3, "Access Rights", "Accessed and Dirty Flags". */

import { A, D, G, type GuestEntry, NX, P, PAGE_BYTES, RESERVED, RW, US } from '../paging/entry.ts';
import { ABSENT, EMPTY, ENTRIES } from './entries.ts';
import { splitAround } from './large.ts';
import { GUARDED, NO_EXECUTE, PGE, USER, WP_CLEAR, WRITABLE } from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** What the shadow of a guest entry may be, EMPTY for nothing. Where the guest's CR0.WP is 0, a page that users may only read is
 *  either readable for users or writable for the supervisor, the latter if `supervisorWrites`; but with SMEP or SMAP only the
 *  former, because the supervisor could do with its own page what it must not do with one of users. */
export function leafFor(s: ShadowState, table: ShadowTable, entry: GuestEntry, supervisorWrites: boolean): number {
  const { flags, frame } = entry;
  if ((flags & (P | A | RESERVED)) !== (P | A)) return EMPTY;
  if (s.guest.toHost(frame * PAGE_BYTES) < 0) return EMPTY;
  const { role } = table;
  let user = (role & USER) !== 0 && (flags & US) !== 0;
  let write = (role & WRITABLE) !== 0 && (flags & RW) !== 0;
  if ((flags & D) === 0 || s.tables.isProtected(frame)) write = false;
  else if (!write && (role & WP_CLEAR) !== 0) {
    if (!user) write = true;
    else if (supervisorWrites && (role & GUARDED) === 0) {
      write = true;
      user = false;
    }
  }
  const global = (role & PGE) !== 0 ? flags & G : 0;
  const noExecute = (role & NO_EXECUTE) !== 0 ? NX : flags & NX;
  return P | (write ? RW : 0) | (user ? US : 0) | global | noExecute;
}

/** Whether an entry is of the kind that only the supervisor can use, so that it can write. */
export const isForSupervisor = (leaf: number): boolean => (leaf & (RW | US)) === RW;

/** The processor caches nothing of an entry that is not there. */
const isNothing = (leaf: number): boolean => leaf === EMPTY || leaf === ABSENT;

/** An entry for the same page forbids nothing that the old one allowed. */
const allowsMore = (leaf: number, old: number): boolean =>
  !isNothing(leaf) && (old & ~leaf & (RW | US | G)) === 0 && (leaf & ~old & NX) === 0;

const placeOf = (table: ShadowTable, index: number): number => table.number * ENTRIES + index;

/** Puts an entry in place for a page of the guest; EMPTY and ABSENT take out what is there. The processor is made to forget what it may
 *  no longer do. */
export function setLeaf(s: ShadowState, table: ShadowTable, index: number, leaf: number, guestFrame: number): void {
  const old = table.flags[index];
  const before = table.targets[index];
  const target = isNothing(leaf) ? 0 : guestFrame + 1;
  if (old === leaf && before === target) return;
  table.write(index, leaf, target === 0 ? 0 : s.guest.toHost(guestFrame * PAGE_BYTES));
  if (!isNothing(old) && !(before === target && allowsMore(leaf, old))) {
    s.flush.all();
    s.stats.drops++;
  }
  if (!isNothing(leaf)) s.stats.fills++;
  if (before === target) return;
  if (before !== 0) s.maps.remove(before - 1, placeOf(table, index));
  if (target !== 0) s.maps.add(guestFrame, placeOf(table, index));
  table.targets[index] = target;
}

/** Takes the right to write a page of the guest out of every entry. */
export function protect(s: ShadowState, guestFrame: number): void {
  splitAround(s, guestFrame);
  for (const place of s.maps.of(guestFrame)) {
    const table = s.tables.all[Math.floor(place / ENTRIES)];
    const index = place % ENTRIES;
    const leaf = table.flags[index];
    if ((leaf & RW) === 0) continue;
    // What only the supervisor could use is built anew by the next fault.
    table.write(index, leaf & ~RW, s.guest.toHost(guestFrame * PAGE_BYTES));
    s.stats.drops++;
    s.flush.all();
  }
}
