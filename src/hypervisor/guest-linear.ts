/** A guest's linear memory as the hypervisor reaches it on the guest's behalf: through the guest's own page tables, with the
 *  guest's own faults. */

import type { GuestPhysical, Linear } from '../base/address.ts';
import { CR0_PG, CR4_SMAP, FLAG_AC } from '../base/registers.ts';
import { ERROR, PAGE_BYTES } from './paging/entry.ts';
import type { PagingRegisters } from './paging/registers.ts';
import { setFlags, walkGuest } from './paging/walk.ts';
import type { Vm } from './vm.ts';

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

/** What reaches memory: the instruction, with the rights of the ring that it is executed in; or the processor itself, for descriptors and
 *  task states, whose accesses are the supervisor's whatever the ring ("implicit supervisor-mode accesses"). */
export type Reacher = 'instruction' | 'processor';

/** One instruction's view of linear memory: control registers and privilege are read once. */
export class GuestLinear {
  readonly #vm: Vm;
  readonly #registers: PagingRegisters;
  readonly #user: boolean;
  /** SMAP does not forbid the supervisor pages of users. */
  readonly #isSpared: boolean;
  /** Breakpoints on data are about what instructions access. */
  readonly #isDebugged: boolean;
  #watched: readonly GuestPhysical[] = [];
  /** One of the watched bytes was written. */
  wroteWatched = false;

  constructor(vm: Vm, reacher: Reacher = 'instruction') {
    const { vcpu } = vm;
    this.#vm = vm;
    this.#registers = vcpu.pagingRegisters();
    const isInstruction = reacher === 'instruction';
    this.#isDebugged = isInstruction;
    this.#user = isInstruction && vcpu.cpl === 3;
    this.#isSpared = (this.#registers.cr4 & CR4_SMAP) === 0 || (isInstruction && (vcpu.eflags & FLAG_AC) !== 0);
  }

  /** Bytes of code; as many of `most` as can be reached without a fault, at least one. */
  fetch(linear: Linear, most: number): Uint8Array {
    const bytes = new Uint8Array(most);
    let page = -1;
    for (let i = 0; i < most; i++) {
      const at = (linear + i) >>> 0;
      try {
        if (page < 0 || at % PAGE_BYTES === 0) page = this.#reach(at, ERROR.ID) - (at % PAGE_BYTES);
      } catch (error) {
        if (!(error instanceof GuestPageFault) || i === 0) throw error;
        return bytes.subarray(0, i);
      }
      bytes[i] = this.#vm.memory.read8(page + (at % PAGE_BYTES));
    }
    return bytes;
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
    const { memory } = this.#vm;
    const places = this.#places(linear, size, toWrite);
    if (places.some((at) => at >= memory.bytes)) this.#vm.stats.floats++;
    if (this.#isDebugged) this.#vm.vcpu.debug.noteAccess(linear >>> 0, size, toWrite);
    if (size === 4 && isOnePage(linear, size)) return memory.read32(places[0]);
    return places.reduce((value, at, i) => value | (memory.read8(at) << (8 * i)), 0);
  }

  /** Writes all bytes, or none when one of them faults. */
  write(linear: Linear, size: number, value: number): void {
    const { memory } = this.#vm;
    const places = this.#places(linear, size, true);
    if (places.some((at) => at >= memory.bytes)) this.#vm.stats.floats++;
    if (this.#isDebugged) this.#vm.vcpu.debug.noteAccess(linear >>> 0, size, true);
    this.wroteWatched ||= places.some((at) => this.#watched.includes(at));
    if (size === 4 && isOnePage(linear, size)) memory.write32(places[0], value);
    else if (size === 2 && isOnePage(linear, size)) memory.write16(places[0], value & 0xffff);
    else
      places.forEach((at, i) => {
        memory.write8(at, (value >>> (8 * i)) & 0xff);
      });
  }

  /** Walks the guest's tables as its processor would, accessed and dirty flags included. */
  translate(linear: Linear, write: boolean): GuestPhysical {
    return this.#reach(linear, write ? ERROR.WR : 0);
  }

  /** Where each byte is. */
  #places(linear: Linear, size: number, write: boolean): GuestPhysical[] {
    const places: GuestPhysical[] = [];
    for (let i = 0; i < size; i++) {
      const at = (linear + i) >>> 0;
      places.push(i > 0 && at % PAGE_BYTES !== 0 ? places[i - 1] + 1 : this.translate(at, write));
    }
    return places;
  }

  #reach(linear: Linear, access: number): GuestPhysical {
    const registers = this.#registers;
    if ((registers.cr0 & CR0_PG) === 0) return linear as number;
    const { memory, formats } = this.#vm;
    const asked = access | (this.#user ? ERROR.US : 0);
    const walk = walkGuest(memory, formats, registers, linear, asked, this.#isSpared);
    if (walk.fault >= 0) throw new GuestPageFault(linear, walk.fault);
    setFlags(memory, walk, (access & ERROR.WR) !== 0);
    return walk.frame * PAGE_BYTES + (linear % PAGE_BYTES);
  }
}

const isOnePage = (linear: Linear, size: number): boolean => (linear % PAGE_BYTES) + size <= PAGE_BYTES;
