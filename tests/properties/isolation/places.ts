/** Where the kernel of guest.asm has things, for each of its two kinds of tables (SDM Vol. 3, "32-Bit Paging", "PAE Paging"). */

export const ORIGIN = 0x10_0000;
export const LOG = 0x13_0000;
export const MEMORY_BYTES = 0x20_0000;
/** Frames 0 to 7, and those of the large page. */
export const frameAt = (frame: number): number => (frame < 8 ? 0x12_0000 + frame * 4096 : (frame - 8) * 4096);
export const TABLES: readonly number[] = [0x11_2000, 0x11_3000, 0x11_4000, 0x11_5000];
/** A table that is used for entries that appear, and only so. */
export const SPARE = 0x11_a000;
/** What the entry of the large page at 0 is at first: accessed, dirty. */
const KERNEL = 0xe3;

export interface Places {
  readonly pae: boolean;
  readonly bytes: number;
  readonly frameAt: (frame: number) => number;
  /** Page tables; their entries have so many bytes. */
  readonly tables: readonly number[];
  readonly entryBytes: number;
  /** Values of CR3. */
  readonly roots: readonly number[];
  /** For each root, where its entries for the two groups of pages are in its directories. */
  readonly directoryEntries: readonly (readonly number[])[];
  /** For each root, its PDPTE for the second group of pages, and the page directory that this names at first. */
  readonly pointers: readonly (readonly [at: number, directory: number])[];
  /** Linear pages that programs use: two groups of four. */
  readonly pages: readonly number[];
  /** Entries of the kernel's own page. */
  readonly kernelEntries: readonly number[];
  /** Words of tables that programs edit. */
  readonly words: readonly number[];
  /** What is in tables when a program begins, where it is not 0. */
  readonly initial: readonly (readonly [at: number, value: number])[];
}

const common = { bytes: MEMORY_BYTES, frameAt, tables: TABLES };
const pagesFrom = (...groups: number[]): number[] => groups.flatMap((at) => [0, 1, 2, 3].map((k) => at + 0x1000 * k));

const DIRECTORIES = [0x11_0000, 0x11_1000] as const;
const IA32: Places = {
  ...common,
  pae: false,
  entryBytes: 4,
  roots: DIRECTORIES,
  directoryEntries: DIRECTORIES.map((at) => [at + 4, at + 8]),
  pointers: [],
  pages: pagesFrom(0x40_0000, 0x80_0000),
  kernelEntries: DIRECTORIES,
  words: [
    ...DIRECTORIES.flatMap((at) => [at + 4, at + 8]),
    ...[...TABLES, SPARE].flatMap((at) => [0, 4, 8, 12].map((k) => at + k)),
  ],
  initial: DIRECTORIES.map((at) => [at, KERNEL] as const),
};

/** Page-directory-pointer tables, and the directories of their second entries. */
const POINTERS = [0x11_7000, 0x11_7020] as const;
const SECOND = [0x11_8000, 0x11_9000] as const;
const PAE: Places = {
  ...common,
  pae: true,
  entryBytes: 8,
  roots: POINTERS,
  directoryEntries: DIRECTORIES.map((at, n) => [at + 8, SECOND[n]]),
  pointers: POINTERS.map((at, n) => [at + 8, SECOND[n]] as const),
  pages: pagesFrom(0x20_0000, 0x4000_0000),
  kernelEntries: DIRECTORIES,
  words: [
    ...DIRECTORIES.flatMap((at, n) => [at + 8, at + 12, SECOND[n], SECOND[n] + 4]),
    ...POINTERS.map((at) => at + 8),
    ...[...TABLES, SPARE].flatMap((at) => [0, 4, 8, 12, 16, 20, 24, 28].map((k) => at + k)),
  ],
  initial: DIRECTORIES.flatMap((at, n) => [
    [at, KERNEL] as const,
    [POINTERS[n], at | 1] as const,
    [POINTERS[n] + 8, SECOND[n] | 1] as const,
  ]),
};

export const placesOf = (pae: boolean): Places => (pae ? PAE : IA32);

/** Where entry k of a table is. */
export const entryAt = (p: Places, table: number, k: number): number => table + k * p.entryBytes;
/** Page k of group g. */
export const pageOf = (p: Places, g: number, k: number): number => p.pages[4 * g + k];
