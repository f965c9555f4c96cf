/** Entries of shadow page tables: what they may allow, and how they are set and taken out.
 *
 *  The processor runs with CR0.WP = 1, whatever the guest has. An entry exists only where the guest's has been accessed, and
 *  allows writes only where the guest's is dirty: so the first access and the first write of the guest are seen, and set the
 *  flags in its table. Reference: SDM Vol. 3, "Access Rights", "Accessed and Dirty Flags". */

import { A, D, ENTRIES, ENTRY_BYTES, frameOf, G, P, PAGE_BYTES, RW, US } from './entries.ts';
import { DIRTY, GLOBAL, GUARDED, PGE, USER, WP_CLEAR, WRITABLE } from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** Bits that the processor changes in shadow entries by itself. */
export const OWN_FLAGS: number = A | D;

/** The entry of the guest that an entry of a shadow page table stands for. Of a direct table it follows from the role. */
export function guestEntry(s: ShadowState, table: ShadowTable, index: number): number {
  if (!table.isDirect) return s.guest.read32(table.guestFrame * PAGE_BYTES + index * ENTRY_BYTES);
  const { role } = table;
  return (
    ((table.guestFrame + index) << 12) |
    (P | A | RW | US) |
    ((role & DIRTY) !== 0 ? D : 0) |
    ((role & GLOBAL) !== 0 ? G : 0)
  );
}

/** What the shadow of a guest entry may be, 0 for nothing. Where the guest's CR0.WP is 0, a page that users may only read is
 *  either readable for users or writable for the supervisor, the latter if `supervisorWrites`; but with SMEP or SMAP only the
 *  former, because the supervisor could do with its own page what it must not do with one of users. */
export function leafFor(s: ShadowState, table: ShadowTable, entry: number, supervisorWrites: boolean): number {
  if ((entry & P) === 0 || (entry & A) === 0) return 0;
  const host = s.guest.toHost(frameOf(entry) * PAGE_BYTES);
  if (host < 0) return 0;
  const { role } = table;
  let user = (role & USER) !== 0 && (entry & US) !== 0;
  let write = (role & WRITABLE) !== 0 && (entry & RW) !== 0;
  if ((entry & D) === 0 || s.tables.isProtected(frameOf(entry))) write = false;
  else if (!write && (role & WP_CLEAR) !== 0) {
    if (!user) write = true;
    else if (supervisorWrites && (role & GUARDED) === 0) {
      write = true;
      user = false;
    }
  }
  const global = (role & PGE) !== 0 ? entry & G : 0;
  return host | P | (write ? RW : 0) | (user ? US : 0) | global;
}

/** Whether an entry is of the kind that only the supervisor can use, so that it can write. */
export const isForSupervisor = (leaf: number): boolean => (leaf & (RW | US)) === RW;

/** The entry leads to the same page as the old one and forbids nothing that the old one allowed. */
const allowsMore = (leaf: number, old: number): boolean => (leaf ^ old) >>> 12 === 0 && (old & ~leaf & 0xfff) === 0;

const placeOf = (table: ShadowTable, index: number): number => table.number * ENTRIES + index;

/** Puts an entry in place for a page of the guest, 0 takes out what is there. The processor is made to forget what it may no longer do. */
export function setLeaf(s: ShadowState, table: ShadowTable, index: number, leaf: number, guestFrame: number): void {
  const old = table.read(index) & ~OWN_FLAGS;
  if (old === leaf) return;
  table.write(index, leaf);
  if (old !== 0 && !allowsMore(leaf, old)) {
    s.flush.all();
    s.stats.drops++;
  }
  if (leaf !== 0) s.stats.fills++;
  const target = leaf === 0 ? 0 : guestFrame + 1;
  const before = table.targets[index];
  if (before === target) return;
  if (before !== 0) s.maps.remove(before - 1, placeOf(table, index));
  if (target !== 0) s.maps.add(guestFrame, placeOf(table, index));
  table.targets[index] = target;
}

/** Takes the right to write a page of the guest out of every entry. */
export function protect(s: ShadowState, guestFrame: number): void {
  for (const place of s.maps.of(guestFrame)) {
    const table = s.tables.all[Math.floor(place / ENTRIES)];
    const index = place % ENTRIES;
    const leaf = table.read(index) & ~OWN_FLAGS;
    if ((leaf & RW) === 0) continue;
    // What only the supervisor could use is built anew by the next fault.
    table.write(index, leaf & ~RW);
    s.stats.drops++;
    s.flush.all();
  }
}
