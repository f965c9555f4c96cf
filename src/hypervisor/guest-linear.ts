/** A guest's linear memory as the hypervisor reaches it on the guest's behalf: through the guest's own page tables, with the
 *  guest's own faults. Reference: SDM Vol. 3, "32-Bit Paging".
 *
 *  Left out: PAE paging. */

import type { GuestPhysical, Linear } from '../base/address.ts';
import { CR0_PG, CR0_WP, CR4_PAE, CR4_PSE } from '../base/registers.ts';
import type { Vm } from './vm.ts';

// Entry bits
const P = 0x1;
const RW = 0x2;
const US = 0x4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const LARGE_RESERVED = 0x3f_e000; // bits 21:13 of a 4-MiB page's entry, without PSE-36

// Error code of #PF
const ERROR_P = 0x1;
const ERROR_WR = 0x2;
const ERROR_US = 0x4;
const ERROR_RSVD = 0x8;

/** The access would have faulted in the guest: #PF with this code, at this address. Thrown, and caught by the emulation. */
export class GuestPageFault extends Error {
  readonly linear: Linear;
  readonly errorCode: number;

  constructor(linear: Linear, errorCode: number) {
    super('page fault in the guest');
    this.linear = linear;
    this.errorCode = errorCode;
  }
}

/** Something in the guest's state that the hypervisor cannot emulate. Thrown, and caught by the emulation. */
export class CannotEmulate extends Error {}

/** One instruction's view of linear memory: control registers and privilege are read once. */
export class GuestLinear {
  readonly #vm: Vm;
  readonly #paging: boolean;
  readonly #writeProtect: boolean;
  readonly #largePages: boolean;
  readonly #directory: number;
  readonly #user: boolean;
  #watched: readonly GuestPhysical[] = [];
  /** One of the watched bytes was written. */
  wroteWatched = false;

  /** `user`: accesses have the rights of ring 3, as those of instructions have there. */
  constructor(vm: Vm, user: boolean = vm.vcpu.cpl === 3) {
    const { vcpu } = vm;
    const cr0 = vcpu.cr0;
    const cr4 = vcpu.cr4;
    this.#vm = vm;
    this.#paging = (cr0 & CR0_PG) !== 0;
    this.#writeProtect = (cr0 & CR0_WP) !== 0;
    this.#largePages = (cr4 & CR4_PSE) !== 0;
    this.#directory = (vcpu.cr3 & ~0xfff) >>> 0;
    this.#user = user;
    if (this.#paging && cr4 & CR4_PAE) throw new CannotEmulate('PAE paging');
  }

  /** Bytes of code; as many of `most` as can be reached without a fault, at least one. */
  fetch(linear: Linear, most: number): Uint8Array {
    const bytes: number[] = [];
    try {
      for (let i = 0; i < most; i++) bytes.push(this.#vm.memory.read8(this.translate((linear + i) >>> 0, false)));
    } catch (error) {
      if (!(error instanceof GuestPageFault) || bytes.length === 0) throw error;
    }
    return Uint8Array.from(bytes);
  }

  /** Watches the bytes of the instruction that is executed: what has overwritten itself must be fetched anew. */
  watch(linear: Linear, length: number): void {
    try {
      this.#watched = Array.from({ length }, (_, i) => this.translate((linear + i) >>> 0, false));
    } catch (error) {
      if (!(error instanceof GuestPageFault)) throw error; // it runs by a cached translation: no table leads to it any more
    }
  }

  /** Little-endian value of 1, 2 or 4 bytes. With `toWrite` faults and flags are those of a write. */
  read(linear: Linear, size: number, toWrite = false): number {
    if (toWrite) for (let i = 0; i < size; i++) this.translate((linear + i) >>> 0, true);
    let value = 0;
    let isOutside = false;
    for (let i = 0; i < size; i++) {
      const at = this.translate((linear + i) >>> 0, false);
      isOutside ||= at >= this.#vm.memory.bytes;
      value |= this.#vm.memory.read8(at) << (8 * i);
    }
    if (isOutside) this.#vm.stats.floats++;
    return value;
  }

  /** Writes all bytes, or none when one of them faults. */
  write(linear: Linear, size: number, value: number): void {
    const places = Array.from({ length: size }, (_, i) => this.translate((linear + i) >>> 0, true));
    if (places.some((at) => at >= this.#vm.memory.bytes)) this.#vm.stats.floats++;
    this.wroteWatched ||= places.some((at) => this.#watched.includes(at));
    const { memory } = this.#vm;
    const isOnePage = (linear & 0xfff) + size <= 0x1000;
    if (isOnePage && size === 4) memory.write32(places[0], value);
    else if (isOnePage && size === 2) memory.write16(places[0], value & 0xffff);
    else
      places.forEach((at, i) => {
        memory.write8(at, (value >>> (8 * i)) & 0xff);
      });
  }

  /** Walks the guest's tables as its processor would, accessed and dirty flags included. */
  translate(linear: Linear, write: boolean): GuestPhysical {
    if (!this.#paging) return linear as number;
    const memory = this.#vm.memory;
    const access = (write ? ERROR_WR : 0) | (this.#user ? ERROR_US : 0);
    const fault = (code: number): never => {
      throw new GuestPageFault(linear, access | code);
    };

    const pdeAt = this.#directory + ((linear >>> 22) << 2);
    const pde = memory.read32(pdeAt);
    if (!(pde & P)) return fault(0);
    const isLarge = this.#largePages && (pde & PS) !== 0;
    const pteAt = ((pde & ~0xfff) >>> 0) + (((linear >>> 12) & 0x3ff) << 2);
    const pte = isLarge ? pde : memory.read32(pteAt);
    if (!(pte & P)) return fault(0);
    if (isLarge && pde & LARGE_RESERVED) return fault(ERROR_P | ERROR_RSVD);

    const rights = pde & pte;
    const mayWrite = (rights & RW) !== 0 || (!this.#user && !this.#writeProtect);
    if ((this.#user && !(rights & US)) || (write && !mayWrite)) return fault(ERROR_P);

    const leafFlags = A | (write ? D : 0);
    if (isLarge) {
      if ((pde & leafFlags) !== leafFlags) memory.write32(pdeAt, pde | leafFlags);
      return ((pde & 0xffc0_0000) | (linear & 0x003f_ffff)) >>> 0;
    }
    if (!(pde & A)) memory.write32(pdeAt, pde | A);
    if ((pte & leafFlags) !== leafFlags) memory.write32(pteAt, pte | leafFlags);
    return ((pte & ~0xfff) | (linear & 0xfff)) >>> 0;
  }
}
