/** Addresses where a guest has no memory, for accesses that cannot be emulated one by one: page tables, descriptor tables and
 *  stacks that a guest puts there. Reads find a page of ones. For a write, scratch memory appears for exactly one instruction.
 *
 *  The pages and tables for it are the same for all VMs; none of them holds anything between two instructions. */

import type { GuestPhysical } from '../base/address.ts';
import type { RootMode } from '../machine/root-mode.ts';
import { EPT_READ, EPT_WRITE, type EptBuilder, leafEntry } from './ept-builder.ts';
import { FRAME_BYTES, LARGE_FRAMES } from './frames.ts';

/** Guest-physical addresses have 32 bits: so many GiB. */
const GIBIBYTES = 4;
const FRAMES_PER_GIBIBYTE = 0x4_0000;
const SINGLE_CONTEXT = 1;

/** Frames and tables that float, made once by the hypervisor. Host-physical addresses. */
export interface FloatFrames {
  readonly onesTable: number;
  readonly ones: number;
  readonly scratchTable: number;
  readonly scratch: number;
}

/** `newPage` yields a page of the hypervisor. */
export function makeFloatFrames(root: RootMode, newPage: () => number): FloatFrames {
  const frames = { onesTable: newPage(), ones: newPage(), scratchTable: newPage(), scratch: newPage() };
  root.memory.fill(frames.ones, FRAME_BYTES, 0xff);
  root.memory.fill(frames.scratch, FRAME_BYTES, 0xff);
  for (let i = 0; i < LARGE_FRAMES; i++) {
    root.memory.write32(frames.onesTable + i * 8, leafEntry(frames.ones, EPT_READ));
    root.memory.write32(frames.onesTable + i * 8 + 4, 0);
    root.memory.write32(frames.scratchTable + i * 8, leafEntry(frames.scratch, EPT_READ | EPT_WRITE));
    root.memory.write32(frames.scratchTable + i * 8 + 4, 0);
  }
  return frames;
}

export class FloatMemory {
  readonly #root: RootMode;
  readonly #ept: EptBuilder;
  readonly #frames: FloatFrames;
  readonly #memoryBytes: number;
  /** Whose it is, as root mode names VMs. */
  #vm = 0;
  /** Addresses with scratch memory until the instruction is over. */
  readonly #scratch: GuestPhysical[] = [];

  constructor(root: RootMode, ept: EptBuilder, frames: FloatFrames, memoryBytes: number) {
    this.#root = root;
    this.#ept = ept;
    this.#frames = frames;
    this.#memoryBytes = memoryBytes;
    // All tables that may ever be needed, now: a guest cannot use up the hypervisor's memory later.
    for (let g = 0; g < GIBIBYTES; g++) ept.ensureDirectory(g * FRAMES_PER_GIBIBYTE);
  }

  /** Tells whoever judges isolation what this VM may reach besides its own memory: the ones, and scratch memory while it steps. */
  declare(vm: number): void {
    this.#vm = vm;
    this.#root.share(vm, this.#frames.ones / FRAME_BYTES, 1, EPT_READ);
  }

  /** The guest executes one instruction with scratch memory. */
  get isStepping(): boolean {
    return this.#scratch.length > 0;
  }

  /** Lets reads of this page succeed from now on. */
  allowReads(address: GuestPhysical): void {
    this.#map(address, this.#frames.onesTable, this.#frames.ones, EPT_READ);
  }

  /** Lets accesses to this page succeed until `endStep`. */
  allowStep(address: GuestPhysical): void {
    this.#scratch.push(address);
    this.#root.share(this.#vm, this.#frames.scratch / FRAME_BYTES, 1, EPT_READ | EPT_WRITE);
    this.#map(address, this.#frames.scratchTable, this.#frames.scratch, EPT_READ | EPT_WRITE);
  }

  /** The instruction is over: what it wrote is gone. */
  endStep(): void {
    for (const address of this.#scratch) this.allowReads(address);
    this.#scratch.length = 0;
    this.#root.release(this.#vm, this.#frames.scratch / FRAME_BYTES);
    this.#root.memory.fill(this.#frames.scratch, FRAME_BYTES, 0xff);
    this.#root.invept(SINGLE_CONTEXT, this.#ept.pointer, 0);
  }

  #map(address: GuestPhysical, table: number, page: number, rights: number): void {
    const frame = Math.floor(address / FRAME_BYTES);
    const first = frame - (frame % LARGE_FRAMES);
    const sharesTableWithMemory = first * FRAME_BYTES < this.#memoryBytes;
    if (sharesTableWithMemory) this.#ept.map(frame, page / FRAME_BYTES, rights);
    else this.#ept.link(first, table);
  }
}
