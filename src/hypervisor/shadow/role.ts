/** The role of a shadow table: everything besides the guest's table itself that its entries depend on. The same frame of the
 *  guest in two roles has two shadow tables. */

/** Has four entries, which lead to page directories. It stands for no table of the guest: with PAE paging for what the guest's PDPTE
 *  registers hold, otherwise for its one page directory. Found by the guest's CR3. */
export const ROOT = 0x1;
/** Shadows a page directory; if neither of the two, a page table. */
export const DIRECTORY = 0x2;
/** Stands for no table of the guest: part of a large page, or of the identity map while the guest's paging is off. */
export const DIRECT = 0x4;
/** What the entries on the way to the table allow: writes, user-mode accesses, but not execution. */
export const WRITABLE = 0x8;
export const USER = 0x10;
export const NO_EXECUTE = 0x20;
/** Of a large page: its dirty and its global flag. */
export const DIRTY = 0x40;
export const GLOBAL = 0x80;
/** The guest's CR0.WP is 0: its supervisor writes where only reading is allowed. */
export const WP_CLEAR = 0x100;
/** The guest's CR4.PSE is 1: its page directory may map 4-MiB pages. */
export const PSE = 0x200;
/** The guest's CR4.PGE is 1: its global pages are global. */
export const PGE = 0x400;
/** The guest's CR4.SMEP or SMAP is 1: what is a page of users matters for the supervisor, too. */
export const GUARDED = 0x800;
/** The guest's table has the format of PAE paging, with execute-disable bits. */
export const PAE = 0x1000;
export const NXE = 0x2000;
/** Tables of 32-bit paging have twice as many entries, and those of their directories stand for twice as much: which half of a page
 *  table this is the shadow of, which quarter of a page directory. */
export const QUADRANT = 0xc000;
export const QUADRANT_SHIFT = 14;

/** What a table has from the one above it. */
export const INHERITED: number = WP_CLEAR | PGE | GUARDED | PAE | NXE;
/** The same where there is no table of the guest, so that its format does not matter. */
export const INHERITED_DIRECT: number = WP_CLEAR | PGE | GUARDED;

/** The identity map. */
export const PAGING_OFF: number = ROOT | DIRECT;
/** Page tables of the identity map. */
export const IDENTITY: number = DIRECT | WRITABLE | USER | DIRTY;

/** Which shadow table: a number of the guest's and a role in one. */
export const keyOf = (guestFrame: number, role: number): number => guestFrame * 0x1_0000 + role;

const NAMES: readonly (readonly [number, string])[] = [
  [ROOT, 'root'],
  [DIRECTORY, 'directory'],
  [DIRECT, 'direct'],
  [WRITABLE, 'W'],
  [USER, 'U'],
  [NO_EXECUTE, 'NX'],
  [DIRTY, 'D'],
  [GLOBAL, 'G'],
  [WP_CLEAR, 'WP=0'],
  [PSE, 'PSE'],
  [PGE, 'PGE'],
  [GUARDED, 'SMEP or SMAP'],
  [PAE, 'PAE'],
  [NXE, 'NXE'],
];

/** A role in words, for reports. */
export function roleText(role: number): string {
  const names = NAMES.filter(([bit]) => (role & bit) !== 0).map(([, name]) => name);
  const quadrant = (role & QUADRANT) >> QUADRANT_SHIFT;
  if (quadrant !== 0) names.push(`quadrant ${quadrant}`);
  return names.join(' ') || 'none';
}
