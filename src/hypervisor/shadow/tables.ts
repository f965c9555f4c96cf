/** The shadow tables: a fixed number of frames, found by (guest frame, role), the least recently used one first to go. */

import type { RootMemory } from '../../machine/root-mode.ts';
import { P, PAGE_BYTES } from '../paging/entry.ts';
import {
  ABSENT,
  EMPTY,
  ENTRIES,
  ENTRY_BYTES,
  highWord,
  lowWord,
  MARKER_HIGH,
  MARKER_LOW,
  POINTERS,
} from './entries.ts';
import { DIRECT, DIRECTORY, keyOf, ROOT } from './role.ts';

export class ShadowTable {
  /** Place among all tables. */
  readonly number: number;
  /** Host-physical address. */
  readonly address: number;
  readonly #memory: RootMemory;
  readonly #blank: number;
  /** Frame of the guest's table; of a direct one the first page that it maps; of a root by what it is found. */
  guestFrame = 0;
  role = 0;
  alive = false;
  /** The guest may write its table freely: what stands here may be older. */
  unsync = false;
  /** Entries may stand here as absent, because those of the guest are not present. */
  knowsAbsent = false;
  /** The guest has written its table freely before: knowing what is absent is not worth while. */
  wasUnsync = false;
  /** Writes of the guest to its table since something was looked up in it. */
  written = 0;
  /** When it was used last. */
  lastUse = 0;
  /** Entries of tables above that lead here: number of the table * ENTRIES + index. */
  readonly parents = new Set<number>();
  /** What each entry allows, or EMPTY or ABSENT. */
  readonly flags = new Int32Array(ENTRIES);
  /** What each entry stands for, plus 1: of a page table the page of the guest, otherwise the number of the table. 0: nothing.
   *  Negative: a large page (large.ts). */
  readonly targets = new Int32Array(ENTRIES);

  /** `blank`: address of a directory of markers; 0: there are none, and no page fault goes to the guest without an exit. */
  constructor(number: number, address: number, memory: RootMemory, blank: number) {
    this.number = number;
    this.address = address;
    this.#memory = memory;
    this.#blank = blank;
  }

  get isRoot(): boolean {
    return (this.role & ROOT) !== 0;
  }

  get isDirectory(): boolean {
    return (this.role & DIRECTORY) !== 0;
  }

  /** Its entries map pages. */
  get isLeaf(): boolean {
    return (this.role & (ROOT | DIRECTORY)) === 0;
  }

  get isDirect(): boolean {
    return (this.role & DIRECT) !== 0;
  }

  /** The guest has a table of which this one is the shadow. */
  get hasGuestTable(): boolean {
    return (this.role & (ROOT | DIRECT)) === 0;
  }

  /** Writes an entry. `address`: of the page or table that it leads to. */
  write(index: number, flags: number, address = 0): void {
    this.flags[index] = flags;
    const isMarked = flags === EMPTY && this.#blank !== 0;
    if (flags !== EMPTY && flags !== ABSENT) this.#store(index, lowWord(flags, address), highWord(flags, address));
    else if (!isMarked) this.#store(index, 0, 0);
    else if (this.isRoot) this.#store(index, this.#blank | P, 0);
    else this.#store(index, MARKER_LOW, MARKER_HIGH);
  }

  /** Empties all entries. */
  clear(): void {
    this.flags.fill(EMPTY);
    this.targets.fill(0);
    if (this.isRoot) for (let k = 0; k < POINTERS; k++) this.write(k, EMPTY);
    else if (this.#blank === 0) this.#memory.fill(this.address, PAGE_BYTES, 0);
    else this.#memory.writeBytes(this.address, MARKERS);
  }

  #store(index: number, low: number, high: number): void {
    const at = this.address + index * ENTRY_BYTES;
    this.#memory.write32(at + 4, high);
    this.#memory.write32(at, low);
  }
}

/** A page of markers. */
export const MARKERS: Uint8Array = new Uint8Array(
  Uint32Array.from({ length: PAGE_BYTES / 4 }, (_, i) => (i % 2 === 0 ? MARKER_LOW : MARKER_HIGH)).buffer,
);

const NONE: readonly ShadowTable[] = [];

export class ShadowTables {
  readonly all: readonly ShadowTable[];
  /** Address of the directory of markers, 0: there is none. */
  readonly blank: number;
  readonly #free: ShadowTable[];
  readonly #byKey = new Map<number, ShadowTable>();
  /** By frame of the guest's table. */
  readonly #byFrame = new Map<number, ShadowTable[]>();
  #now = 0;

  /** `addresses` of pages of the host, one a table. `blank`: as for each table. */
  constructor(memory: RootMemory, addresses: readonly number[], blank: number) {
    this.blank = blank;
    if (blank !== 0) memory.writeBytes(blank, MARKERS);
    this.all = addresses.map((address, number) => new ShadowTable(number, address, memory, blank));
    this.#free = [...this.all].reverse();
  }

  get free(): number {
    return this.#free.length;
  }

  find(guestFrame: number, role: number): ShadowTable | undefined {
    return this.#byKey.get(keyOf(guestFrame, role));
  }

  /** The shadow tables of the guest table in this frame. */
  on(guestFrame: number): readonly ShadowTable[] {
    return this.#byFrame.get(guestFrame) ?? NONE;
  }

  /** Writes to this page of the guest have to be seen. */
  isProtected(guestFrame: number): boolean {
    const tables = this.#byFrame.get(guestFrame);
    return tables?.some((table) => !table.unsync) ?? false;
  }

  /** The same for one of `count` pages. */
  isAnyProtected(first: number, count: number): boolean {
    for (const [frame, tables] of this.#byFrame)
      if (frame >= first && frame < first + count && tables.some((table) => !table.unsync)) return true;
    return false;
  }

  /** A new, empty table. There must be a free one. */
  make(guestFrame: number, role: number): ShadowTable {
    const table = this.#free.pop();
    if (table === undefined) throw new RangeError('no free shadow table: room has to be made first');
    table.guestFrame = guestFrame;
    table.role = role;
    table.alive = true;
    table.unsync = false;
    table.knowsAbsent = false;
    table.wasUnsync = false;
    table.written = 0;
    table.clear();
    this.#byKey.set(keyOf(guestFrame, role), table);
    if (table.hasGuestTable) {
      const others = this.#byFrame.get(guestFrame);
      if (others === undefined) this.#byFrame.set(guestFrame, [table]);
      else others.push(table);
    }
    return table;
  }

  /** Gives a table back that nothing leads to and that leads nowhere. */
  release(table: ShadowTable): void {
    table.alive = false;
    table.unsync = false;
    this.#byKey.delete(keyOf(table.guestFrame, table.role));
    this.#free.push(table);
    if (!table.hasGuestTable) return;
    const left = this.on(table.guestFrame).filter((other) => other !== table);
    if (left.length > 0) this.#byFrame.set(table.guestFrame, left);
    else this.#byFrame.delete(table.guestFrame);
  }

  use(table: ShadowTable): void {
    table.lastUse = ++this.#now;
    table.written = 0;
  }

  /** The table that has not been used for the longest time, but for one. */
  oldest(but: ShadowTable | null): ShadowTable | undefined {
    let oldest: ShadowTable | undefined;
    for (const table of this.all) {
      if (!table.alive || table === but) continue;
      if (oldest === undefined || table.lastUse < oldest.lastUse) oldest = table;
    }
    return oldest;
  }
}
