/** An audit of the shadow tables: every entry is derived anew from the guest's tables. It shares no code with the pager but the
 *  data that it judges. An entry may allow less than the guest's, never more; a page table that is out of step may be older. */

import { A, D, G, NX, P, PAGE_BYTES, PS, RESERVED, RW, US } from '../paging/entry.ts';
import { ENTRIES, ENTRY_BYTES, MARKER_HIGH, MARKER_LOW, POINTERS } from './entries.ts';
import * as role from './role.ts';
import type { ShadowState } from './state.ts';
import type { ShadowTable } from './tables.ts';

/** An entry of the processor's or the guest's, decoded here. */
interface Decoded {
  readonly low: number;
  readonly high: number;
  readonly flags: number;
  readonly frame: number;
}

const XD = 0x8000_0000 | 0; // of the high word
const FLAGS = P | RW | US | A | D | PS | G;

/** The first entry that is wrong, in words; null if there is none. */
export function audit(s: ShadowState): string | null {
  let leaves = 0;
  for (const table of s.tables.all) {
    if (!table.alive) continue;
    const bytes = table.isRoot ? POINTERS * ENTRY_BYTES : PAGE_BYTES;
    const shadow = words(s.host.readBytes(table.address, bytes));
    const guest = table.hasGuestTable ? guestWords(s, table.guestFrame) : null;
    for (let index = 0; index < (table.isRoot ? POINTERS : ENTRIES); index++) {
      const [low, high] = [shadow[2 * index], shadow[2 * index + 1]];
      if (isUnknown(s, table, index, low, high)) continue;
      const entry = decoded(low, high, XD);
      const wrong = auditEntry(s, table, index, entry, guest);
      if (wrong !== null) return say(table, index, entry, wrong);
      if (table.isLeaf && table.targets[index] !== 0) leaves++;
    }
    const wrong = auditProtection(s, table);
    if (wrong !== null) return `table of frame ${hex(table.guestFrame)}: ${wrong}`;
  }
  return leaves === s.maps.size ? null : `${s.maps.size} reverse maps for ${leaves} entries`;
}

type Words = Int32Array | null;

function auditEntry(s: ShadowState, t: ShadowTable, index: number, shadow: Decoded, guest: Words): string | null {
  if ((shadow.flags & P) === 0) return auditNothing(s, t, index, shadow, guest);
  if (t.isLeaf) return auditLeaf(s, t, index, shadow, guest);
  if (t.isDirectory && (shadow.flags & PS) !== 0) return auditLarge(s, t, index, shadow, guest);
  const child = s.tables.all.find((other) => other.address === shadow.frame * PAGE_BYTES);
  if (!child?.alive || (t.isRoot ? !child.isDirectory : !child.isLeaf)) return 'leads to no table of the next level';
  if (t.targets[index] !== child.number + 1) return 'leads to another table than is recorded';
  if (!child.parents.has(t.number * ENTRIES + index)) return 'is unknown to the table that it leads to';
  return t.isRoot ? auditPointer(s, t, index, shadow, child) : auditLink(s, t, index, child, guest);
}

/** Nothing stands there, and a fault would say so. */
function isUnknown(s: ShadowState, t: ShadowTable, index: number, low: number, high: number): boolean {
  if (t.targets[index] !== 0) return false;
  if (!s.options.bypass) return low === 0 && high === 0;
  if (t.isRoot) return low >>> 0 === s.tables.blank + P && high === 0;
  return low === MARKER_LOW && high === MARKER_HIGH;
}

/** An entry that is not present. With faults that do not exit it says that the guest's is not present either. */
function auditNothing(s: ShadowState, t: ShadowTable, index: number, shadow: Decoded, guest: Words): string | null {
  if (shadow.low !== 0 || shadow.high !== 0) return 'is not present, but not empty';
  if (t.targets[index] !== 0) return 'is empty, but recorded as a way';
  if (t.isRoot) {
    const isTold = t !== s.root || ((t.role & role.PAE) !== 0 && (s.registers.pdptes[2 * index] & P) === 0);
    return isTold ? null : 'hides a directory';
  }
  if (t.unsync) return 'stands for nothing, and the guest may write its table';
  return guest !== null && (guestOf(s, t, index, guest).flags & P) === 0 ? null : 'hides an entry that is present';
}

function auditPointer(s: ShadowState, t: ShadowTable, index: number, shadow: Decoded, child: ShadowTable) {
  if ((shadow.low & 0xfff) !== P || shadow.high !== 0) return 'has bits that a PDPTE does not have';
  const inherited = t.role & (role.WP_CLEAR | role.PGE | role.GUARDED | role.PSE | role.PAE | role.NXE);
  let frame = t.guestFrame;
  let wanted = role.DIRECTORY | inherited;
  if (t.isDirect) {
    frame = index * ENTRIES * ENTRIES;
    wanted = role.DIRECTORY | role.DIRECT;
  } else if ((t.role & role.PAE) === 0) wanted |= index << role.QUADRANT_SHIFT;
  else {
    const { pdptes } = s.registers;
    frame = t === s.root ? frameFrom(pdptes[2 * index], pdptes[2 * index + 1]) : child.guestFrame;
    if (t === s.root && (pdptes[2 * index] & P) === 0) return 'stands for a PDPTE that is not present';
  }
  return isThe(child, frame, wanted);
}

function auditLink(s: ShadowState, t: ShadowTable, index: number, child: ShadowTable, guest: Words) {
  if (guest === null) return isThe(child, t.guestFrame + index * ENTRIES, role.IDENTITY);
  const entry = guestOf(s, t, index, guest);
  if ((entry.flags & P) === 0) return 'stands for an entry that is not present';
  if ((entry.flags & A) === 0) return 'stands for an entry that has not been accessed';
  if ((entry.flags & RESERVED) !== 0) return 'stands for an entry with reserved bits';
  let wanted = t.role & (role.WP_CLEAR | role.PGE | role.GUARDED);
  if (entry.flags & RW) wanted |= role.WRITABLE;
  if (entry.flags & US) wanted |= role.USER;
  if (entry.flags & NX) wanted |= role.NO_EXECUTE;
  const isPae = (t.role & role.PAE) !== 0;
  const half = isPae ? 0 : index & 1;
  if ((entry.flags & PS) === 0) {
    wanted |= (t.role & (role.PAE | role.NXE)) | (half << role.QUADRANT_SHIFT);
    return isThe(child, entry.frame, wanted);
  }
  wanted |= role.DIRECT | (entry.flags & D ? role.DIRTY : 0) | (entry.flags & G ? role.GLOBAL : 0);
  const first = entry.frame - (entry.frame % (isPae ? ENTRIES : 2 * ENTRIES));
  return isThe(child, first + half * ENTRIES, wanted);
}

function isThe(child: ShadowTable, frame: number, wanted: number): string | null {
  if (child.guestFrame !== frame)
    return `leads to the table of frame ${hex(child.guestFrame)}, the guest's to ${hex(frame)}`;
  if (child.role !== wanted) return `leads to a table for ${role.roleText(child.role)}, not ${role.roleText(wanted)}`;
  return null;
}

/** A large page: as 512 pages of the guest's large page, none of them with a table. */
function auditLarge(s: ShadowState, t: ShadowTable, index: number, shadow: Decoded, guest: Words) {
  const first = -t.targets[index] - 1;
  if (first < 0) return 'maps a page that is not recorded';
  if (!s.largeMaps.of(first / ENTRIES).has(t.number * ENTRIES + index)) return 'is missing in the reverse map';
  for (let page = 0; page < ENTRIES; page++) {
    if (s.guest.toHost((first + page) * PAGE_BYTES) !== (shadow.frame + page) * PAGE_BYTES)
      return 'maps other pages than are recorded';
    if (shadow.flags & RW && s.tables.on(first + page).some((table) => !table.unsync)) return 'lets a table be written';
  }
  if (guest === null) return first === t.guestFrame + index * ENTRIES ? null : 'is not the identity map';
  const entry = guestOf(s, t, index, guest);
  if ((entry.flags & PS) === 0) return 'stands for a table';
  const isPae = (t.role & role.PAE) !== 0;
  const frame = entry.frame - (entry.frame % (isPae ? ENTRIES : 2 * ENTRIES)) + (isPae ? 0 : (index & 1) * ENTRIES);
  return auditRights(s, t.role | role.USER | role.WRITABLE, shadow, { ...entry, frame }, first);
}

function auditLeaf(s: ShadowState, t: ShadowTable, index: number, shadow: Decoded, guest: Words) {
  const isRecorded = t.targets[index] !== 0;
  const page = t.targets[index] - 1;
  if (isRecorded) {
    if (s.guest.toHost(page * PAGE_BYTES) !== shadow.frame * PAGE_BYTES)
      return 'does not lead to the page that is recorded';
    if (!s.maps.of(page).has(t.number * ENTRIES + index)) return 'is missing in the reverse map';
    if (shadow.flags & RW && s.tables.on(page).some((table) => !table.unsync)) return 'lets a table be written';
  } else if (shadow.flags & RW) return "lets something be written that is not the guest's";
  if (t.unsync) return null;
  return auditRights(s, t.role, shadow, guest === null ? directOf(t, index) : guestOf(s, t, index, guest), page);
}

/** `page`: −1 if it is not the guest's. */
function auditRights(s: ShadowState, r: number, shadow: Decoded, entry: Decoded, page: number) {
  if ((entry.flags & P) === 0) return 'stands for an entry that is not present';
  if ((entry.flags & A) === 0) return 'stands for an entry that has not been accessed';
  if ((entry.flags & RESERVED) !== 0) return 'stands for an entry with reserved bits';
  if (page >= 0 && entry.frame !== page) return `leads to page ${hex(page)}, the guest's to ${hex(entry.frame)}`;
  if (page < 0 && s.guest.toHost(entry.frame * PAGE_BYTES) >= 0) return 'hides memory';
  const forUsers = (entry.flags & US) !== 0 && (r & role.USER) !== 0;
  const forWrites = (entry.flags & RW) !== 0 && (r & role.WRITABLE) !== 0;
  const forFetches = (entry.flags & NX) === 0 && (r & role.NO_EXECUTE) === 0;
  if (shadow.flags & US && !forUsers) return 'lets users in';
  if ((shadow.flags & NX) === 0 && !forFetches) return 'allows execution';
  if (shadow.flags & RW && (entry.flags & D) === 0) return 'allows writes before the first one has been seen';
  const onlySupervisor = (r & role.WP_CLEAR) !== 0 && (shadow.flags & US) === 0 && !(forUsers && r & role.GUARDED);
  if (shadow.flags & RW && !forWrites && !onlySupervisor) return 'allows writes that the guest forbids';
  if (shadow.flags & G && ((entry.flags & G) === 0 || (r & role.PGE) === 0)) return 'is global';
  return null;
}

/** The table is found by its frame, so that writes to it are noticed. */
function auditProtection(s: ShadowState, table: ShadowTable): string | null {
  if (s.tables.find(table.guestFrame, table.role) !== table) return 'is not found by its name';
  if (table.hasGuestTable && !s.tables.on(table.guestFrame).includes(table)) return 'is not found by its frame';
  if (table.unsync && !table.isLeaf) return 'is no page table, but out of step';
  return null;
}

/** The guest's entry behind entry `index`. */
function guestOf(s: ShadowState, t: ShadowTable, index: number, guest: Int32Array): Decoded {
  const quadrant = (t.role & role.QUADRANT) >> role.QUADRANT_SHIFT;
  if ((t.role & role.PAE) !== 0) {
    const [low, high] = [guest[2 * index], guest[2 * index + 1]];
    const isLarge = t.isDirectory && (low & PS) !== 0;
    const nxe = (t.role & role.NXE) !== 0;
    const reservedHigh = ~(2 ** (s.formats.physicalAddressBits - 32) - 1) & (nxe ? ~XD : -1);
    const isReserved = (high & reservedHigh) !== 0 || (isLarge && (low & 0x1f_e000) !== 0);
    return decoded(low, high, nxe ? XD : 0, isReserved ? RESERVED : 0);
  }
  const low = t.isDirectory ? guest[quadrant * 256 + (index >> 1)] : guest[quadrant * ENTRIES + index];
  const isLarge = t.isDirectory && (t.role & role.PSE) !== 0 && (low & PS) !== 0;
  const without = t.isDirectory && !isLarge ? low & ~PS : low;
  return decoded(without, 0, 0, isLarge && (low & 0x3f_e000) !== 0 ? RESERVED : 0);
}

function directOf(t: ShadowTable, index: number): Decoded {
  const flags = P | A | RW | US | (t.role & role.DIRTY ? D : 0) | (t.role & role.GLOBAL ? G : 0);
  return { low: flags, high: 0, flags, frame: t.guestFrame + index };
}

const frameFrom = (low: number, high: number): number => (low >>> 12) + (high & ~XD) * 0x10_0000;

const decoded = (low: number, high: number, noExecute: number, more = 0): Decoded => ({
  low,
  high,
  flags: (low & FLAGS) | ((high & noExecute) !== 0 ? NX : 0) | more,
  frame: frameFrom(low, high),
});

const words = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.slice().buffer);

function guestWords(s: ShadowState, frame: number): Int32Array {
  const at = frame * PAGE_BYTES;
  if (s.guest.toHost(at) >= 0) return words(s.guest.readBytes(at, PAGE_BYTES));
  return new Int32Array((PAGE_BYTES / ENTRY_BYTES) * 2).fill(-1);
}

const hex = (n: number): string => `${n.toString(16).toUpperCase()}h`;

function say(t: ShadowTable, index: number, entry: Decoded, what: string): string {
  const kind = t.isRoot ? 'root' : t.isDirectory ? 'directory' : 'table';
  const bits = `${hex(entry.high >>> 0)}_${hex(entry.low >>> 0)}`;
  return `entry ${index} (${bits}) of the shadow ${kind} for frame ${hex(t.guestFrame)}, role ${role.roleText(t.role)}: ${what}`;
}
