/** Who owns which 4-KiB frame of the machine's memory. Every frame belongs to the hypervisor, to one VM, or is free. */

import { InvalidInput } from '../base/errors.ts';

export const FRAME_BYTES = 4096;
/** Frames in a 2-MiB page. */
export const LARGE_FRAMES = 512;

/** Owners. VMs are VM_OWNER + their number. */
export const FREE = 0;
export const HYPERVISOR = 1;
export const VM_OWNER = 2;

/** Hands out frames in an order that a seed scatters over memory, so that software which takes guest-physical for
 *  host-physical addresses, or neighbours for contiguous, fails at once. */
export class FrameAllocator {
  readonly #owner: Uint16Array;
  /** Free frames in the order they will be handed out, taken from the end; may name frames that a block has taken since. */
  readonly #order: Uint32Array;
  #left: number;
  #free: number;

  /** `seed` 0 hands frames out in ascending order. Frame 0 stays with the hypervisor: address 0 is nobody's. */
  constructor(memoryBytes: number, seed: number) {
    const frames = Math.floor(memoryBytes / FRAME_BYTES);
    this.#owner = new Uint16Array(frames);
    this.#owner[0] = HYPERVISOR;
    this.#order = Uint32Array.from({ length: frames - 1 }, (_, i) => frames - 1 - i);
    this.#left = frames - 1;
    this.#free = frames - 1;
    if (seed !== 0) shuffle(this.#order, seed);
  }

  get frames(): number {
    return this.#owner.length;
  }

  get free(): number {
    return this.#free;
  }

  ownerOf(frame: number): number {
    return this.#owner[frame];
  }

  /** One frame for `owner`. Throws InvalidInput when memory is used up. */
  allocate(owner: number): number {
    while (this.#left > 0) {
      const frame = this.#order[--this.#left];
      if (this.#owner[frame] !== FREE) continue;
      this.#owner[frame] = owner;
      this.#free--;
      return frame;
    }
    throw new InvalidInput('the machine has no free frame left: give it more memory, or fewer or smaller VMs');
  }

  /** 512 neighbouring frames on a 2-MiB boundary: the first of them, or −1 if there are none. */
  allocateLarge(owner: number): number {
    for (let first = 0; first + LARGE_FRAMES <= this.frames; first += LARGE_FRAMES) {
      if (this.#owner.subarray(first, first + LARGE_FRAMES).some((o) => o !== FREE)) continue;
      this.#owner.fill(owner, first, first + LARGE_FRAMES);
      this.#free -= LARGE_FRAMES;
      return first;
    }
    return -1;
  }

  /** Gives some frames back. */
  releaseFrames(frames: readonly number[]): void {
    this.#left = this.#compact();
    for (const frame of frames) {
      if (this.#owner[frame] === FREE) continue;
      this.#owner[frame] = FREE;
      this.#order[this.#left++] = frame;
      this.#free++;
    }
  }

  /** Gives everything of `owner` back; the frames are handed out again first. */
  release(owner: number): number {
    this.#left = this.#compact();
    let returned = 0;
    this.#owner.forEach((o, frame) => {
      if (o !== owner) return;
      this.#owner[frame] = FREE;
      this.#order[this.#left++] = frame;
      returned++;
    });
    this.#free += returned;
    return returned;
  }

  /** Drops frames from the order that blocks have taken, which makes room for all that can come back. */
  #compact(): number {
    const kept = this.#order.subarray(0, this.#left).filter((frame) => this.#owner[frame] === FREE);
    this.#order.set(kept);
    return kept.length;
  }
}

/** Fisher and Yates' shuffle with xorshift32: the same seed, the same order, everywhere. */
function shuffle(order: Uint32Array, seed: number): void {
  let x = seed | 0 || 1;
  for (let i = order.length - 1; i > 0; i--) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    const j = (x >>> 0) % (i + 1);
    const t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
}
