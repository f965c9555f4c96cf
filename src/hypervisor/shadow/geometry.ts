/** Which entries of the guest's table an entry of a shadow table stands for, and the other way round. With PAE paging they are the same.
 *  Tables of 32-bit paging have 1,024 entries: a page table has two shadow tables, one for each half; a page directory four, and in these
 *  two entries stand for one of the guest's. */

import { ENTRIES } from './entries.ts';
import { DIRECTORY, PAE, QUADRANT, QUADRANT_SHIFT } from './role.ts';

const IA32_BYTES = 4;
const PAE_BYTES = 8;
/** Entries of a page directory that one of its four shadow tables stands for. */
const QUARTER = 256;

export const quadrantOf = (role: number): number => (role & QUADRANT) >> QUADRANT_SHIFT;
export const inQuadrant = (quadrant: number): number => quadrant << QUADRANT_SHIFT;

/** Where in the guest's table the entry lies, in bytes, that entry `index` of a shadow table stands for. */
export function guestOffset(role: number, index: number): number {
  if ((role & PAE) !== 0) return index * PAE_BYTES;
  if ((role & DIRECTORY) !== 0) return (quadrantOf(role) * QUARTER + (index >> 1)) * IA32_BYTES;
  return (quadrantOf(role) * ENTRIES + index) * IA32_BYTES;
}

/** The entries of a shadow table that stand for bytes `first` to `last` of the guest's, from … to; none if `from` is the greater one. */
export function shadowEntries(role: number, first: number, last: number): { from: number; to: number } {
  if ((role & PAE) !== 0) return { from: Math.floor(first / PAE_BYTES), to: Math.floor(last / PAE_BYTES) };
  const isDirectory = (role & DIRECTORY) !== 0;
  const skipped = quadrantOf(role) * (isDirectory ? QUARTER : ENTRIES);
  const from = Math.floor(first / IA32_BYTES) - skipped;
  const to = Math.floor(last / IA32_BYTES) - skipped;
  return isDirectory ? within(2 * from, 2 * to + 1) : within(from, to);
}

const within = (from: number, to: number): { from: number; to: number } => ({
  from: Math.max(from, 0),
  to: Math.min(to, ENTRIES - 1),
});
