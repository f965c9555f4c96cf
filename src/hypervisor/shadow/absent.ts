/** Page faults that go to the guest without an exit ("fault bypass"). A page fault exits only if its error code says that an entry was
 *  present (VMCS fields page-fault error-code mask and match). What the shadow alone lacks is marked: present, with a reserved bit. Where
 *  the guest's own entry is not present, the shadow's may be so, too, and the guest's handler runs at once.
 *
 *  The entry must change in the same moment as the guest's: no processor remembers what is not present. So a table that is written
 *  without exits knows nothing of the kind. Reference: SDM Vol. 3, "Exception Bitmap". */

import type { Linear } from '../../base/address.ts';
import { type GuestEntry, P } from '../paging/entry.ts';
import { childOf } from './directories.ts';
import { ABSENT, directoryIndex, EMPTY, ENTRIES, pointerIndex } from './entries.ts';
import { guestEntry } from './guest-entries.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** The guest has met an entry of its own that is not present: from now on its next ones in the same table do not exit. */
export function learnAbsent(s: ShadowState, linear: Linear): void {
  if (!s.options.bypass || s.root === null) return;
  const directory = childOf(s, s.root, pointerIndex(linear));
  if (directory === null) return;
  const table = childOf(s, directory, directoryIndex(linear)) ?? directory;
  if (table.isDirect || table.knowsAbsent || table.unsync || table.wasUnsync) return;
  table.knowsAbsent = true;
  for (let index = 0; index < ENTRIES; index++)
    if (table.flags[index] === EMPTY && nothingFor(table, guestEntry(s, table, index)) === ABSENT)
      table.write(index, ABSENT);
}

/** What an entry that allows nothing is: whether a fault there is known to be the guest's own. */
export const nothingFor = (table: ShadowTable, entry: GuestEntry): number =>
  table.knowsAbsent && (entry.flags & P) === 0 ? ABSENT : EMPTY;

/** The guest may write the table without exits from now on. */
export function forgetAbsent(table: ShadowTable): void {
  table.wasUnsync = true;
  if (!table.knowsAbsent) return;
  table.knowsAbsent = false;
  for (let index = 0; index < ENTRIES; index++) if (table.flags[index] === ABSENT) table.write(index, EMPTY);
}
