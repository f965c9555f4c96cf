/** Table entries in words, by the manual's formats (SDM Vol. 3, "32-Bit Paging", "PAE Paging", "EPT Translation Mechanism"). Written apart
 *  from the memory unit's formats: this is the second opinion that tests compare it with. */
import { hex, type U64 } from '../../base/int.ts';
import { hex64 } from './format.ts';

/** Kinds of tables. `pdpte`: one of PAE paging's four. */
export type TableKind = '32-bit' | 'PAE' | 'EPT';

/** What an entry of some table says. */
export interface EntryMeaning {
  readonly present: boolean;
  /** It maps a page; else it names a table. */
  readonly leaf: boolean;
  /** Physical address of the page or table. A number: addresses have at most 52 bits. */
  readonly address: number;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly user: boolean;
  /** Why the entry is reserved (page tables) or misconfigured (EPT); '' if it is neither. */
  readonly fault: string;
  /** All of it in a few words. */
  readonly text: string;
}

/** What decides how entries are read. */
export interface EntryRules {
  readonly physicalAddressBits: number;
  /** CR4.PSE; PAE paging does not need it. */
  readonly pse?: boolean;
  /** IA32_EFER.NXE. */
  readonly nxe?: boolean;
  readonly executeOnly?: boolean;
  readonly pages1g?: boolean;
  /** EPTP bit 6. */
  readonly eptAccessedDirty?: boolean;
}

const KIB4 = 4096;
const MEMORY_TYPES: Readonly<Record<number, string>> = { 0: 'UC', 1: 'WC', 4: 'WT', 5: 'WP', 6: 'WB' };

/** Bytes that an entry of this level maps if it maps a page. */
export function pageBytes(kind: TableKind, level: number): number {
  return KIB4 * 2 ** ((kind === '32-bit' ? 10 : 9) * (level - 1));
}

const addressOf = ({ lo, hi }: U64, lowest: number): number =>
  (hi & 0xf_ffff) * 0x1_0000_0000 + Math.floor((lo >>> 0) / lowest) * lowest;

/** Are bits of the entry at and above the physical-address width set, up to `top`? */
function beyondWidth({ hi }: U64, bits: number, top: number): boolean {
  if (bits - 32 >= 31) return false;
  const upper = Math.floor((hi >>> 0) / 2 ** (bits - 32));
  return upper % 2 ** (top + 1 - bits) !== 0;
}

/** Reads an entry. Level 1 is the last one; for PAE paging level 3 is a PDPTE. */
export function readEntry(kind: TableKind, level: number, entry: U64, rules: EntryRules): EntryMeaning {
  return kind === 'EPT' ? readEpt(level, entry, rules) : readPaging(kind, level, entry, rules);
}

function readPaging(kind: '32-bit' | 'PAE', level: number, entry: U64, rules: EntryRules): EntryMeaning {
  const { lo, hi } = entry;
  const value = kind === '32-bit' ? hex(lo) : hex64(entry);
  const none = { readable: false, writable: false, executable: false, user: false };
  if ((lo & 1) === 0)
    return { present: false, leaf: false, address: 0, ...none, fault: '', text: `${value}: not present` };
  const isPdpte = kind === 'PAE' && level === 3;
  const leaf = level === 1 || (level === 2 && (lo & 0x80) !== 0 && (kind === 'PAE' || rules.pse === true));
  const size = leaf ? pageBytes(kind, level) : KIB4;
  const address = addressOf(kind === '32-bit' ? { lo, hi: 0 } : entry, size);
  const faults: string[] = [];
  if (kind === 'PAE') {
    if (beyondWidth(entry, rules.physicalAddressBits, 62))
      faults.push(`bits 62:${rules.physicalAddressBits} must be 0`);
    if (hi < 0 && (isPdpte || rules.nxe !== true)) faults.push('bit 63 must be 0');
    if (isPdpte && (lo & 0x1e6) !== 0) faults.push('bits 2:1 and 8:5 must be 0');
    if (leaf && level === 2 && (lo & 0x1f_e000) !== 0) faults.push('bits 20:13 must be 0');
  } else if (leaf && level === 2 && (lo & 0x3f_e000) !== 0) faults.push('bits 21:13 must be 0');
  const executable = !(kind === 'PAE' && hi < 0 && rules.nxe === true);
  const writable = isPdpte || (lo & 2) !== 0;
  const user = isPdpte || (lo & 4) !== 0;
  const flags = isPdpte
    ? ''
    : `, ${writable ? 'writable' : 'read-only'}, ${user ? 'user' : 'supervisor'}${executable ? '' : ', no execution'}${(lo & 0x20) !== 0 ? ', accessed' : ''}${leaf && (lo & 0x40) !== 0 ? ', dirty' : ''}${leaf && (lo & 0x100) !== 0 ? ', global' : ''}`;
  const what = leaf ? `page of ${sizeText(size)} at` : 'table at';
  const fault = faults.join('; ');
  const text = `${value}: ${what} ${hex(address)}${flags}${fault === '' ? '' : `; reserved: ${fault}`}`;
  return { present: true, leaf, address, readable: true, writable, executable, user, fault, text };
}

function readEpt(level: number, entry: U64, rules: EntryRules): EntryMeaning {
  const { lo } = entry;
  const rights = lo & 7;
  const readable = (rights & 1) !== 0;
  const writable = (rights & 2) !== 0;
  const executable = (rights & 4) !== 0;
  const shared = { readable, writable, executable, user: true };
  const value = hex64(entry);
  if (rights === 0)
    return {
      present: false,
      leaf: false,
      address: 0,
      ...shared,
      fault: '',
      text: `${value}: not present (no R, W, X)`,
    };
  const large = (lo & 0x80) !== 0;
  const leaf = level === 1 || (large && (level === 2 || (level === 3 && rules.pages1g === true)));
  const size = leaf ? pageBytes('EPT', level) : KIB4;
  const address = addressOf(entry, size);
  const faults: string[] = [];
  if (writable && !readable) faults.push('writable but not readable');
  if (rights === 4 && rules.executeOnly !== true) faults.push('execute-only pages are not offered');
  if (beyondWidth(entry, rules.physicalAddressBits, 51)) faults.push(`bits 51:${rules.physicalAddressBits} must be 0`);
  if (leaf) {
    const type = (lo >>> 3) & 7;
    if (MEMORY_TYPES[type] === undefined) faults.push(`memory type ${type} is reserved`);
    const low = size / KIB4 - 1;
    if (low > 0 && (Math.floor((lo >>> 0) / KIB4) & low) !== 0) faults.push('address bits within the page must be 0');
  } else if ((lo & 0x78) !== 0 || large) faults.push('bits 7:3 of an entry that names a table must be 0');
  const type = leaf ? `, ${MEMORY_TYPES[(lo >>> 3) & 7] ?? 'reserved type'}` : '';
  const used =
    rules.eptAccessedDirty === true
      ? `${(lo & 0x100) !== 0 ? ', accessed' : ''}${leaf && (lo & 0x200) !== 0 ? ', dirty' : ''}`
      : '';
  const what = leaf ? `page of ${sizeText(size)} at` : 'table at';
  const fault = faults.join('; ');
  const text = `${value}: ${what} ${hex(address)}, ${rightsText(rights)}${type}${used}${fault === '' ? '' : `; misconfigured: ${fault}`}`;
  return { present: true, leaf, address, ...shared, fault, text };
}

/** `RW-`. */
export const rightsText = (rights: number): string =>
  `${(rights & 1) !== 0 ? 'R' : '-'}${(rights & 2) !== 0 ? 'W' : '-'}${(rights & 4) !== 0 ? 'X' : '-'}`;

/** `4 KiB`, `2 MiB`, `1 GiB`. */
export function sizeText(bytes: number): string {
  if (bytes >= 2 ** 30) return `${bytes / 2 ** 30} GiB`;
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 1024} KiB`;
}
