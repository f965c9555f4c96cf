/** The formats of a guest's tables: 32-bit paging and PAE paging, both with a directory and page tables.
 *  Reference: SDM Vol. 3, "32-Bit Paging", "PAE Paging". */

import type { GuestPhysical } from '../../base/address.ts';
import { COMMON, type GuestEntry, NX, P, PS, RESERVED } from './entry.ts';

/** Memory as tables are read from it. */
export interface TableMemory {
  read32(address: GuestPhysical): number;
}

export interface GuestFormat {
  readonly isPae: boolean;
  readonly entryBytes: 4 | 8;
  /** Bits of a page number that index one table. 2 to their power: the 4-KiB pages of a large page. */
  readonly indexBits: 10 | 9;
  /** The entry at an address; level 2 is the directory. */
  read(memory: TableMemory, at: GuestPhysical, level: 1 | 2): GuestEntry;
}

/** Bits 21:13 of the entry of a 4-MiB page, without PSE-36. */
const RESERVED_4M = 0x3f_e000;
/** Bits 20:13 of the entry of a 2-MiB page. */
const RESERVED_2M = 0x1f_e000;
const XD = 0x8000_0000 | 0; // of the high word
/** Frame number from the high word. */
const HIGH_FRAMES = 0x10_0000;

/** `pse`: directories may map 4-MiB pages. */
const ia32 = (pse: boolean): GuestFormat => ({
  isPae: false,
  entryBytes: 4,
  indexBits: 10,
  read(memory, at, level) {
    const low = memory.read32(at);
    const isLarge = pse && level === 2 && (low & PS) !== 0;
    const flags = low & (isLarge ? COMMON : COMMON & ~PS);
    if (!isLarge) return { flags, frame: low >>> 12 };
    return { flags: (low & RESERVED_4M) === 0 ? flags : flags | RESERVED, frame: (low >>> 22) << 10 };
  },
});

/** `addressBits`: those of the high word that belong to the address. */
const pae = (addressBits: number, nxe: boolean): GuestFormat => ({
  isPae: true,
  entryBytes: 8,
  indexBits: 9,
  read(memory, at, level) {
    const low = memory.read32(at);
    const high = memory.read32(at + 4);
    const isLarge = level === 2 && (low & PS) !== 0;
    const reservedHigh = nxe ? ~addressBits & ~XD : ~addressBits;
    const isReserved = (high & reservedHigh) !== 0 || (isLarge && (low & RESERVED_2M) !== 0);
    const flags =
      (low & (isLarge ? COMMON : COMMON & ~PS)) | (nxe && (high & XD) !== 0 ? NX : 0) | (isReserved ? RESERVED : 0);
    const frame = isLarge ? (low >>> 21) << 9 : low >>> 12;
    return { flags, frame: frame + (high & addressBits) * HIGH_FRAMES };
  },
});

/** Reserved in a present PDPTE: bits 2:1 and 8:5 of the low word. */
const RESERVED_PDPTE = 0x1e6;

/** The formats that a processor with so many physical-address bits knows. */
export class GuestFormats {
  /** MAXPHYADDR. */
  readonly physicalAddressBits: number;
  readonly #addressBits: number;
  readonly #ia32: readonly GuestFormat[] = [ia32(false), ia32(true)];
  readonly #pae: readonly GuestFormat[];

  constructor(physicalAddressBits: number) {
    this.physicalAddressBits = physicalAddressBits;
    this.#addressBits = 2 ** (physicalAddressBits - 32) - 1;
    this.#pae = [pae(this.#addressBits, false), pae(this.#addressBits, true)];
  }

  ia32(pse: boolean): GuestFormat {
    return this.#ia32[Number(pse)];
  }

  pae(nxe: boolean): GuestFormat {
    return this.#pae[Number(nxe)];
  }

  /** Whether a PDPTE may be loaded into its register. */
  holds(low: number, high: number): boolean {
    return (low & P) === 0 || ((low & RESERVED_PDPTE) === 0 && (high & ~this.#addressBits) === 0);
  }

  /** Frame of the directory that a PDPTE leads to, −1 if to none. */
  directory(low: number, high: number): number {
    return (low & P) === 0 ? -1 : (low >>> 12) + (high & this.#addressBits) * HIGH_FRAMES;
  }
}
