/** The shadow tables: a fixed number of frames, found by (guest frame, role), the least recently used one first to go. */

import type { RootMemory } from '../../machine/root-mode.ts';
import { ENTRIES, ENTRY_BYTES, PAGE_BYTES } from './entries.ts';
import { DIRECT, DIRECTORY, keyOf } from './role.ts';

export class ShadowTable {
  /** Place among all tables. */
  readonly number: number;
  /** Host-physical address. */
  readonly address: number;
  readonly #memory: RootMemory;
  /** Frame of the guest's table; of a direct one the first page that it maps. */
  guestFrame = 0;
  role = 0;
  alive = false;
  /** The guest may write its table freely: what stands here may be older. */
  unsync = false;
  /** Writes of the guest to its table since something was looked up in it. */
  written = 0;
  /** When it was used last. */
  lastUse = 0;
  /** Entries of directories that lead here: number of the directory * ENTRIES + index. */
  readonly parents = new Set<number>();
  /** What each entry stands for, plus 1: of a page table the page of the guest, of a directory the number of the table. 0: nothing. */
  readonly targets = new Int32Array(ENTRIES);

  constructor(number: number, address: number, memory: RootMemory) {
    this.number = number;
    this.address = address;
    this.#memory = memory;
  }

  get isDirectory(): boolean {
    return (this.role & DIRECTORY) !== 0;
  }

  get isDirect(): boolean {
    return (this.role & DIRECT) !== 0;
  }

  read(index: number): number {
    return this.#memory.read32(this.address + index * ENTRY_BYTES);
  }

  write(index: number, entry: number): void {
    this.#memory.write32(this.address + index * ENTRY_BYTES, entry);
  }
}

const NONE: readonly ShadowTable[] = [];

export class ShadowTables {
  readonly all: readonly ShadowTable[];
  readonly #memory: RootMemory;
  readonly #free: ShadowTable[];
  readonly #byKey = new Map<number, ShadowTable>();
  /** By frame of the guest's table. */
  readonly #byFrame = new Map<number, ShadowTable[]>();
  #now = 0;

  /** `addresses` of pages of the host, one a table. */
  constructor(memory: RootMemory, addresses: readonly number[]) {
    this.#memory = memory;
    this.all = addresses.map((address, number) => new ShadowTable(number, address, memory));
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

  /** A new, empty table. There must be a free one. */
  make(guestFrame: number, role: number): ShadowTable {
    const table = this.#free.pop();
    if (table === undefined) throw new RangeError('no free shadow table: room has to be made first');
    this.#memory.fill(table.address, PAGE_BYTES, 0);
    table.guestFrame = guestFrame;
    table.role = role;
    table.alive = true;
    table.unsync = false;
    table.written = 0;
    this.#byKey.set(keyOf(guestFrame, role), table);
    if (!table.isDirect) {
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
    const left = this.on(table.guestFrame).filter((other) => other !== table);
    if (left.length > 0) this.#byFrame.set(table.guestFrame, left);
    else this.#byFrame.delete(table.guestFrame);
    this.#free.push(table);
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
