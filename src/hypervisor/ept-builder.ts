/** Builds extended page tables in frames of the hypervisor.
 *  Reference: SDM Vol. 3, "EPT Translation Mechanism", tables "Format of an EPT … Entry". */

import { high32, low32 } from '../base/int.ts';
import type { RootMemory } from '../machine/root-mode.ts';
import { FRAME_BYTES, LARGE_FRAMES } from './frames.ts';

/** Rights of an entry; in a table entry they bound what lies below. */
export const EPT_READ = 1;
export const EPT_WRITE = 2;
export const EPT_EXECUTE = 4;
export const EPT_ALL: number = EPT_READ | EPT_WRITE | EPT_EXECUTE;
const MEMORY_TYPE_WB = 6 << 3;
const LARGE_PAGE = 1 << 7;

// EPT pointer
const POINTER_WB = 6;
const POINTER_WALK_4 = 3 << 3;

/** Low half of an entry that maps a page of 4 KiB, write-back. */
export const leafEntry = (address: number, rights: number): number => low32(address) | rights | MEMORY_TYPE_WB;

const LEVELS = 4;
const ENTRY_BYTES = 8;
const ENTRIES_PER_TABLE = 512;

export class EptBuilder {
  readonly #memory: RootMemory;
  readonly #newFrame: () => number;
  readonly #root: number;
  /** Frames that the tables take. */
  tables = 0;

  /** `newFrame` yields a frame of the hypervisor for each table. */
  constructor(memory: RootMemory, newFrame: () => number) {
    this.#memory = memory;
    this.#newFrame = newFrame;
    this.#root = this.#newTable();
  }

  /** EPT pointer for the VMCS and for INVEPT. */
  get pointer(): number {
    return this.#root | POINTER_WB | POINTER_WALK_4;
  }

  /** Maps one 4-KiB page. Both are page numbers. */
  map(guestFrame: number, hostFrame: number, rights: number = EPT_ALL): void {
    this.#write(this.#entryAt(guestFrame, 1), hostFrame * FRAME_BYTES, rights | MEMORY_TYPE_WB);
  }

  /** Maps 2 MiB at once; both frames on such a boundary, and nothing smaller mapped there before. */
  mapLarge(guestFrame: number, hostFrame: number, rights: number = EPT_ALL): void {
    if (guestFrame % LARGE_FRAMES !== 0 || hostFrame % LARGE_FRAMES !== 0) {
      throw new RangeError(`a 2-MiB page cannot map frame ${guestFrame} to ${hostFrame}: both need a 2-MiB boundary`);
    }
    this.#write(this.#entryAt(guestFrame, 2), hostFrame * FRAME_BYTES, rights | MEMORY_TYPE_WB | LARGE_PAGE);
  }

  /** Makes the page directory that covers `guestFrame`, if there is none. */
  ensureDirectory(guestFrame: number): void {
    this.#entryAt(guestFrame, 2);
  }

  /** Puts a ready-made page table behind 2 MiB. */
  link(guestFrame: number, table: number): void {
    this.#write(this.#entryAt(guestFrame, 2), table, EPT_ALL);
  }

  /** Takes a 4-KiB page away. The caller owes an INVEPT. */
  unmap(guestFrame: number): void {
    this.#write(this.#entryAt(guestFrame, 1), 0, 0);
  }

  /** Host-physical address of the entry for `guestFrame` at `level`, with the tables above it. */
  #entryAt(guestFrame: number, level: number): number {
    let table = this.#root;
    for (let at = LEVELS; ; at--) {
      const index = Math.floor(guestFrame / ENTRIES_PER_TABLE ** (at - 1)) % ENTRIES_PER_TABLE;
      const entry = table + index * ENTRY_BYTES;
      if (at === level) return entry;
      const low = this.#memory.read32(entry);
      if ((low & EPT_ALL) !== 0) {
        if (low & LARGE_PAGE) throw new RangeError(`frame ${guestFrame} lies in a 2-MiB page: split it first`);
        table = (low & ~(FRAME_BYTES - 1)) >>> 0;
      } else {
        table = this.#newTable();
        this.#write(entry, table, EPT_ALL);
      }
    }
  }

  #newTable(): number {
    const table = this.#newFrame() * FRAME_BYTES;
    this.#memory.fill(table, FRAME_BYTES, 0);
    this.tables++;
    return table;
  }

  #write(at: number, address: number, bits: number): void {
    this.#memory.write32(at + 4, high32(address));
    this.#memory.write32(at, low32(address) | bits);
  }
}
