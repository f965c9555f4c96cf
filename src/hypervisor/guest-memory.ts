/** A VM's memory: contiguous for the guest from address 0, scattered over frames of the host. */

import type { GuestPhysical, HostPhysical } from '../base/address.ts';
import { InvalidInput } from '../base/errors.ts';
import type { ImageMemory } from '../machine/loader/place.ts';
import type { RootMemory, RootMode } from '../machine/root-mode.ts';
import type { EptBuilder } from './ept-builder.ts';
import { FRAME_BYTES, type FrameAllocator, LARGE_FRAMES } from './frames.ts';

export class GuestMemory implements ImageMemory {
  readonly bytes: number;
  readonly #memory: RootMemory;
  /** Host frame of each guest frame. */
  readonly #frames: Uint32Array;
  /** Told after each write that the hypervisor makes: address inside one page, or a run of pages, and bytes. */
  onWrite: ((address: GuestPhysical, bytes: number) => void) | null = null;
  /** 2-MiB pages among them. */
  get largePages(): number {
    return this.#large.size;
  }
  /** First guest frames of those. */
  readonly #large = new Set<number>();

  /** Takes `bytes` from `frames` for `owner` and maps them in `ept`, if there is one. */
  constructor(
    bytes: number,
    memory: RootMemory,
    frames: FrameAllocator,
    owner: number,
    ept: EptBuilder | null,
    largePages: boolean,
  ) {
    if (!Number.isInteger(bytes) || bytes <= 0 || bytes % FRAME_BYTES !== 0) {
      throw new InvalidInput(`guest memory of ${bytes} bytes: give a multiple of 4 KiB`);
    }
    const pages = bytes / FRAME_BYTES;
    if (pages > frames.free) {
      throw new InvalidInput(
        `${bytes >> 10} KiB of guest memory, but only ${frames.free * (FRAME_BYTES >> 10)} KiB of the machine's are free: give the machine more`,
      );
    }
    this.bytes = bytes;
    this.#memory = memory;
    this.#frames = new Uint32Array(pages);
    for (let page = 0; page < pages; ) {
      const large = largePages && page + LARGE_FRAMES <= pages ? frames.allocateLarge(owner) : -1;
      if (large >= 0) {
        ept?.mapLarge(page, large);
        for (let i = 0; i < LARGE_FRAMES; i++) this.#frames[page + i] = large + i;
        this.#large.add(page);
        page += LARGE_FRAMES;
      } else {
        const end = largePages ? Math.min(pages, page + LARGE_FRAMES) : pages;
        for (; page < end; page++) {
          this.#frames[page] = frames.allocate(owner);
          ept?.map(page, this.#frames[page]);
        }
      }
    }
    for (const frame of this.#frames) memory.fill(frame * FRAME_BYTES, FRAME_BYTES, 0);
  }

  /** Tells whoever judges isolation that these frames are the VM's. */
  declare(root: RootMode, vm: number): void {
    for (const frame of this.#frames) root.own(vm, frame);
  }

  /** Where a guest-physical address lies in the host, −1 if the guest has no memory there. */
  toHost(address: GuestPhysical): HostPhysical {
    if (address < 0 || address >= this.bytes) return -1;
    return this.#frames[Math.floor(address / FRAME_BYTES)] * FRAME_BYTES + (address % FRAME_BYTES);
  }

  /** Where 512 frames of the guest from a 2-MiB boundary on lie in the host, −1 if not side by side on such a boundary. */
  largeHost(guestFrame: number): HostPhysical {
    return this.#large.has(guestFrame) ? this.toHost(guestFrame * FRAME_BYTES) : -1;
  }

  /** The doubleword at an address inside one page; all ones where there is no memory. */
  read32(address: GuestPhysical): number {
    const at = this.toHost(address);
    return at < 0 ? -1 : this.#memory.read32(at) | 0;
  }

  write32(address: GuestPhysical, value: number): void {
    const at = this.toHost(address);
    if (at < 0) return;
    this.#memory.write32(at, value);
    this.onWrite?.(address, 4);
  }

  write16(address: GuestPhysical, value: number): void {
    const at = this.toHost(address);
    if (at < 0) return;
    this.#memory.write16(at, value);
    this.onWrite?.(address, 2);
  }

  read8(address: GuestPhysical): number {
    const at = this.toHost(address);
    return at < 0 ? 0xff : this.#memory.read8(at);
  }

  write8(address: GuestPhysical, value: number): void {
    const at = this.toHost(address);
    if (at < 0) return;
    this.#memory.write8(at, value);
    this.onWrite?.(address, 1);
  }

  /** Bytes from memory that exists. */
  readBytes(address: GuestPhysical, length: number): Uint8Array {
    const out = new Uint8Array(length);
    this.#byPage(address, length, (host, from, count) => out.set(this.#memory.readBytes(host, count), from));
    return out;
  }

  writeBytes(address: GuestPhysical, bytes: Uint8Array): void {
    this.#byPage(address, bytes.length, (host, from, count) =>
      this.#memory.writeBytes(host, bytes.subarray(from, from + count)),
    );
    if (bytes.length > 0) this.onWrite?.(address, bytes.length);
  }

  #byPage(address: number, length: number, access: (host: number, from: number, count: number) => void): void {
    if (address < 0 || address + length > this.bytes)
      throw new RangeError(`guest memory ends before ${address + length}`);
    for (let done = 0; done < length; ) {
      const count = Math.min(length - done, FRAME_BYTES - ((address + done) % FRAME_BYTES));
      access(this.toHost(address + done), done, count);
      done += count;
    }
  }
}
