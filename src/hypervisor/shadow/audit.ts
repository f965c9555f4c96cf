/** An audit of the shadow tables: every entry is derived anew from the guest's tables. It shares no code with the pager but the
 *  data that it judges. An entry may allow less than the guest's, never more; a page table that is out of step may be older. */

import { A, D, ENTRIES, ENTRY_BYTES, frameOf, G, LARGE_RESERVED, P, PAGE_BYTES, PS, RW, US } from './entries.ts';
import * as role from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** The first entry that is wrong, in words; null if there is none. */
export function audit(s: ShadowState): string | null {
  let leaves = 0;
  for (const table of s.tables.all) {
    if (!table.alive) continue;
    const shadow = words(s.host.readBytes(table.address, PAGE_BYTES));
    const guest = table.isDirect ? null : guestWords(s, table.guestFrame);
    for (let index = 0; index < ENTRIES; index++) {
      if ((shadow[index] & P) === 0) {
        if (shadow[index] !== 0) return say(table, index, shadow[index], 'is not present, but not empty');
        continue;
      }
      const wrong = table.isDirectory
        ? auditLink(s, table, index, shadow[index], guest)
        : auditLeaf(s, table, index, shadow[index], guest);
      if (wrong !== null) return say(table, index, shadow[index], wrong);
      if (!table.isDirectory && table.targets[index] !== 0) leaves++;
    }
    const wrong = auditProtection(s, table);
    if (wrong !== null) return `table of frame ${hex(table.guestFrame)}: ${wrong}`;
  }
  return leaves === s.maps.size ? null : `${s.maps.size} reverse maps for ${leaves} entries`;
}

function auditLink(s: ShadowState, t: ShadowTable, index: number, shadow: number, guest: Int32Array | null) {
  const child = s.tables.all.find((other) => other.address === (shadow & ~0xfff) >>> 0);
  if (!child?.alive || child.isDirectory) return 'leads to no page table';
  if (t.targets[index] !== child.number + 1) return 'leads to another table than is recorded';
  if (!child.parents.has(t.number * ENTRIES + index)) return 'is unknown to the table that it leads to';
  if (guest === null) {
    return child.guestFrame === index * ENTRIES && child.role === role.IDENTITY ? null : 'is not the identity map';
  }
  const entry = guest[index];
  if ((entry & P) === 0) return 'stands for an entry that is not present';
  if ((entry & A) === 0) return 'stands for an entry that has not been accessed';
  let wanted = t.role & (role.WP_CLEAR | role.PGE | role.GUARDED);
  if (entry & RW) wanted |= role.WRITABLE;
  if (entry & US) wanted |= role.USER;
  let frame = entry >>> 12;
  if (t.role & role.PSE && entry & PS) {
    if (entry & LARGE_RESERVED) return 'stands for an entry with reserved bits';
    wanted |= role.DIRECT | (entry & D ? role.DIRTY : 0) | (entry & G ? role.GLOBAL : 0);
    frame &= ~(ENTRIES - 1);
  }
  if (child.guestFrame !== frame)
    return `leads to the table of frame ${hex(child.guestFrame)}, the guest's to ${hex(frame)}`;
  if (child.role !== wanted) return `leads to a table for ${role.roleText(child.role)}, not ${role.roleText(wanted)}`;
  return null;
}

function auditLeaf(s: ShadowState, t: ShadowTable, index: number, shadow: number, guest: Int32Array | null) {
  const isRecorded = t.targets[index] !== 0;
  const page = t.targets[index] - 1;
  if (isRecorded) {
    if (s.guest.toHost(page * PAGE_BYTES) !== (shadow & ~0xfff) >>> 0)
      return 'does not lead to the page that is recorded';
    if (!s.maps.of(page).has(t.number * ENTRIES + index)) return 'is missing in the reverse map';
    if (shadow & RW && s.tables.on(page).some((table) => !table.unsync)) return 'lets a table be written';
  } else if (shadow & RW) return "lets something be written that is not the guest's";
  if (t.unsync) return null;
  const { role: r } = t;
  let entry = guest === null ? ((t.guestFrame + index) << 12) | P | A | RW | US : guest[index];
  if (guest === null) entry |= (r & role.DIRTY ? D : 0) | (r & role.GLOBAL ? G : 0);
  if ((entry & P) === 0) return 'stands for an entry that is not present';
  if ((entry & A) === 0) return 'stands for an entry that has not been accessed';
  if (isRecorded && frameOf(entry) !== page) return `leads to page ${hex(page)}, the guest's to ${hex(frameOf(entry))}`;
  if (!isRecorded && s.guest.toHost(frameOf(entry) * PAGE_BYTES) >= 0) return 'hides memory';
  const forUsers = (entry & US) !== 0 && (r & role.USER) !== 0;
  const forWrites = (entry & RW) !== 0 && (r & role.WRITABLE) !== 0;
  if (shadow & US && !forUsers) return 'lets users in';
  if (shadow & RW && (entry & D) === 0) return 'allows writes before the first one has been seen';
  const onlySupervisor = (r & role.WP_CLEAR) !== 0 && (shadow & US) === 0 && !(forUsers && r & role.GUARDED);
  if (shadow & RW && !forWrites && !onlySupervisor) return 'allows writes that the guest forbids';
  if (shadow & G && ((entry & G) === 0 || (r & role.PGE) === 0)) return 'is global';
  return null;
}

/** The table is found by its frame, so that writes to it are noticed. */
function auditProtection(s: ShadowState, table: ShadowTable): string | null {
  if (s.tables.find(table.guestFrame, table.role) !== table) return 'is not found by its name';
  if (!table.isDirect && !s.tables.on(table.guestFrame).includes(table)) return 'is not found by its frame';
  if (table.unsync && table.isDirectory) return 'is a directory, but out of step';
  return null;
}

const words = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.slice().buffer);

function guestWords(s: ShadowState, frame: number): Int32Array {
  const at = frame * PAGE_BYTES;
  if (s.guest.toHost(at) >= 0) return words(s.guest.readBytes(at, PAGE_BYTES));
  return new Int32Array(PAGE_BYTES / ENTRY_BYTES).fill(-1);
}

const hex = (n: number): string => `${n.toString(16).toUpperCase()}h`;

const say = (t: ShadowTable, index: number, entry: number, what: string): string =>
  `entry ${index} (${hex(entry >>> 0)}) of the shadow ${t.isDirectory ? 'directory' : 'table'} for frame ${hex(t.guestFrame)}, role ${role.roleText(t.role)}: ${what}`;
