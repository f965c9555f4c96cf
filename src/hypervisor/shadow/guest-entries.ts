/** The guest's entries that those of shadow tables stand for. */

import { A, D, G, type GuestEntry, P, PAGE_BYTES, RW, US } from '../paging/entry.ts';
import type { GuestFormat } from '../paging/formats.ts';
import { guestOffset } from './geometry.ts';
import { DIRTY, GLOBAL, NXE, PAE, PSE } from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** The guest's entry behind an entry of a shadow directory or page table. Of a direct page table it follows from the role. */
export function guestEntry(s: ShadowState, table: ShadowTable, index: number): GuestEntry {
  const { role } = table;
  if (table.isDirect) {
    const flags = P | A | RW | US | ((role & DIRTY) !== 0 ? D : 0) | ((role & GLOBAL) !== 0 ? G : 0);
    return { flags, frame: table.guestFrame + index };
  }
  const at = table.guestFrame * PAGE_BYTES + guestOffset(role, index);
  return formatIn(s, role).read(s.guest, at, table.isDirectory ? 2 : 1);
}

const formatIn = (s: ShadowState, role: number): GuestFormat =>
  (role & PAE) !== 0 ? s.formats.pae((role & NXE) !== 0) : s.formats.ia32((role & PSE) !== 0);
