/** The role of a shadow table: everything besides the guest's table itself that its entries depend on. The same frame of the
 *  guest in two roles has two shadow tables. */

/** Shadows a page directory; otherwise a page table. */
export const DIRECTORY = 0x1;
/** Stands for no table of the guest: part of a 4-MiB page, or of the identity map while the guest's paging is off. */
export const DIRECT = 0x2;
/** What the entries on the way to the table allow: writes, user-mode accesses. */
export const WRITABLE = 0x4;
export const USER = 0x8;
/** Of a 4-MiB page: its dirty and its global flag. */
export const DIRTY = 0x10;
export const GLOBAL = 0x20;
/** The guest's CR0.WP is 0: its supervisor writes where only reading is allowed. */
export const WP_CLEAR = 0x40;
/** The guest's CR4.PSE is 1: its page directory may map 4-MiB pages. */
export const PSE = 0x80;
/** The guest's CR4.PGE is 1: its global pages are global. */
export const PGE = 0x100;
/** The guest's CR4.SMEP or SMAP is 1: what is a page of users matters for the supervisor, too. */
export const GUARDED = 0x200;

/** The identity map. */
export const PAGING_OFF: number = DIRECTORY | DIRECT;
/** Page tables of the identity map. */
export const IDENTITY: number = DIRECT | WRITABLE | USER | DIRTY;

/** Which shadow table: a frame of the guest and a role in one number. */
export const keyOf = (guestFrame: number, role: number): number => guestFrame * 0x400 + role;

const NAMES: readonly (readonly [number, string])[] = [
  [DIRECTORY, 'directory'],
  [DIRECT, 'direct'],
  [WRITABLE, 'W'],
  [USER, 'U'],
  [DIRTY, 'D'],
  [GLOBAL, 'G'],
  [WP_CLEAR, 'WP=0'],
  [PSE, 'PSE'],
  [PGE, 'PGE'],
  [GUARDED, 'SMEP or SMAP'],
];

/** A role in words, for reports. */
export const roleText = (role: number): string =>
  NAMES.filter(([bit]) => (role & bit) !== 0)
    .map(([, name]) => name)
    .join(' ') || 'none';
