/** Host-physical memory: RAM from address 0 upwards, device registers above it. */
import { fromBase64, toBase64 } from '../base/base64.ts';
import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { Bus, type MemoryRegion } from './bus.ts';

/** Page flags: while the byte of a frame is not zero, every write to it takes the slow path. */
/** Decoded instructions come from this frame. */
export const PAGE_CODE = 1;
/** A debugger watches it. */
export const PAGE_WATCHED = 2;
/** Somebody keeps a copy of what the tables in it say. */
export const PAGE_TRACKED = 4;
/** Its first write is to be logged. */
export const PAGE_LOGGED = 8;

/** RAM as plain data: the frames that are not all zero, each with its bytes in base64. */
export interface PhysicalMemoryState {
  readonly bytes: number;
  readonly frames: readonly (readonly [frame: number, bytes: string])[];
}

export class PhysicalMemory {
  readonly bytes: number;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  /** One byte a frame, PAGE_*. Change it by setPageFlag and clearPageFlag only. */
  readonly pageFlags: Uint8Array;
  /** Called before `length` bytes are written from `at` on, for each frame with PAGE_CODE among them. Whoever listens clears the flag when it has dropped what it decoded. */
  onCodeWrite: ((at: number, length: number) => void) | null = null;
  /** The same for the other flags; `flags` are those of the frame, which the write of [at, at + length) touches. */
  onFlaggedWrite: ((frame: number, flags: number, at: number, length: number) => void) | null = null;
  readonly #bus = new Bus();
  readonly #flagged: ((frame: number) => void)[] = [];

  constructor(bytes: number) {
    if (!(Number.isInteger(bytes) && bytes > 0 && bytes % 4096 === 0 && bytes < 0x8000_0000))
      throw new InvalidInput(`memory size ${bytes}: must be a multiple of 4096, above 0 and below 2 GiB`);
    const buffer = new ArrayBuffer(bytes);
    this.bytes = bytes;
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.pageFlags = new Uint8Array(bytes >>> 12);
  }

  read8(at: number): number {
    return at >= 0 && at < this.bytes ? this.u8[at] : this.#bus.read(at, 1);
  }

  read16(at: number): number {
    if (at >= 0 && at <= this.bytes - 2)
      return (at & 1) === 0 ? this.u16[at >>> 1] : this.u8[at] | (this.u8[at + 1] << 8);
    if (at >= this.bytes && this.#bus.whole(at, 2)) return this.#bus.read(at, 2);
    return this.read8(at) | (this.read8(at + 1) << 8);
  }

  read32(at: number): number {
    if (at >= 0 && at <= this.bytes - 4) {
      if ((at & 3) === 0) return this.i32[at >>> 2];
      const u8 = this.u8;
      return u8[at] | (u8[at + 1] << 8) | (u8[at + 2] << 16) | (u8[at + 3] << 24);
    }
    if (at >= this.bytes && this.#bus.whole(at, 4)) return this.#bus.read(at, 4);
    return this.read8(at) | (this.read8(at + 1) << 8) | (this.read8(at + 2) << 16) | (this.read8(at + 3) << 24);
  }

  write8(at: number, v: number): void {
    if (at >= 0 && at < this.bytes) {
      if (this.pageFlags[at >>> 12] !== 0) this.#beforeWrite(at >>> 12, at, 1);
      this.u8[at] = v;
    } else this.#bus.write(at, 1, v & 0xff);
  }

  write16(at: number, v: number): void {
    if (at >= 0 && at <= this.bytes - 2) {
      this.#check(at, 2);
      if ((at & 1) === 0) this.u16[at >>> 1] = v;
      else {
        this.u8[at] = v;
        this.u8[at + 1] = v >>> 8;
      }
    } else if (at >= this.bytes && this.#bus.whole(at, 2)) this.#bus.write(at, 2, v & 0xffff);
    else for (let k = 0; k < 2; k++) this.write8(at + k, v >>> (8 * k));
  }

  write32(at: number, v: number): void {
    if (at >= 0 && at <= this.bytes - 4) {
      this.#check(at, 4);
      if ((at & 3) === 0) this.i32[at >>> 2] = v;
      else {
        const u8 = this.u8;
        u8[at] = v;
        u8[at + 1] = v >>> 8;
        u8[at + 2] = v >>> 16;
        u8[at + 3] = v >>> 24;
      }
    } else if (at >= this.bytes && this.#bus.whole(at, 4)) this.#bus.write(at, 4, v);
    else for (let k = 0; k < 4; k++) this.write8(at + k, v >>> (8 * k));
  }

  /** A copy of `length` bytes. */
  readBytes(at: number, length: number): Uint8Array {
    if (at >= 0 && at + length <= this.bytes) return this.u8.slice(at, at + length);
    return Uint8Array.from({ length }, (_, k) => this.read8(at + k));
  }

  /** The write of loaders, bus masters and root-mode software: what was decoded from these frames goes, as with a processor's write. */
  writeBytes(at: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (at >= 0 && at + bytes.length <= this.bytes) {
      for (let frame = at >>> 12; frame <= (at + bytes.length - 1) >>> 12; frame++)
        if (this.pageFlags[frame] !== 0) this.#beforeWrite(frame, at, bytes.length);
      this.u8.set(bytes, at);
    } else for (let k = 0; k < bytes.length; k++) this.write8(at + k, bytes[k]);
  }

  /** 32 bits of RAM without waking a device: all ones elsewhere. For debugging walks. */
  peek32(at: number): number {
    return at >= 0 && at <= this.bytes - 4 ? this.read32(at) : -1;
  }

  /** Puts device registers on the bus, above RAM. */
  map(region: MemoryRegion): void {
    if (region.start < this.bytes)
      throw new InvalidInput(
        `memory region at ${region.start.toString(16)}h overlaps RAM; it must start at ${this.bytes.toString(16)}h or above`,
      );
    this.#bus.map(region);
  }

  /** Accesses outside RAM that nobody answered. */
  get floats(): number {
    return this.#bus.floats;
  }

  /** From now on writes to the frame take the slow path, in every context of every processor. */
  setPageFlag(frame: number, flag: number): void {
    const before = this.pageFlags[frame];
    if (before === undefined) return;
    this.pageFlags[frame] = before | flag;
    if (before === 0) for (const kill of this.#flagged) kill(frame);
  }

  clearPageFlag(frame: number, flag: number): void {
    const before = this.pageFlags[frame];
    if (before !== undefined) this.pageFlags[frame] = before & ~flag;
  }

  /** `kill(frame)` is called when a frame gets its first flag: whoever writes past this class has to stop doing so. */
  onPageFlagged(kill: (frame: number) => void): void {
    this.#flagged.push(kill);
  }

  save(): PhysicalMemoryState {
    const frames: [number, string][] = [];
    for (let frame = 0; frame < this.bytes >>> 12; frame++)
      if (this.i32.subarray(frame << 10, (frame + 1) << 10).some((word) => word !== 0))
        frames.push([frame, toBase64(this.u8.subarray(frame << 12, (frame + 1) << 12))]);
    return { bytes: this.bytes, frames };
  }

  /** Takes the contents over. Page flags are not part of it: their owners set them anew; what was decoded is dropped. */
  restore(state: Unvalidated<PhysicalMemoryState>): void {
    if (state.bytes !== this.bytes)
      throw new InvalidInput(`memory: state has ${state.bytes} bytes, machine has ${this.bytes}`);
    if (!Array.isArray(state.frames)) throw new InvalidInput('memory: frames must be a list');
    const contents = new Map<number, Uint8Array>();
    for (const item of state.frames as unknown[]) {
      const [frame, text] = Array.isArray(item) && item.length === 2 ? (item as unknown[]) : [];
      if (
        typeof frame !== 'number' ||
        !Number.isInteger(frame) ||
        frame < 0 ||
        frame >= this.bytes >>> 12 ||
        contents.has(frame)
      )
        throw new InvalidInput(`memory: frame ${String(frame)} is not a frame of this machine, or is there twice`);
      const bytes = typeof text === 'string' ? fromBase64(text) : null;
      if (bytes?.length !== 4096) throw new InvalidInput(`memory: frame ${frame} must be 4096 bytes in base64`);
      contents.set(frame, bytes);
    }
    for (let frame = 0; frame < this.bytes >>> 12; frame++) {
      if (this.pageFlags[frame] !== 0) this.#beforeWrite(frame, frame << 12, 4096);
      this.pageFlags[frame] = 0;
    }
    this.u8.fill(0);
    for (const [frame, bytes] of contents) this.u8.set(bytes, frame << 12);
  }

  #check(at: number, size: number): void {
    const frame = at >>> 12;
    if (this.pageFlags[frame] !== 0) this.#beforeWrite(frame, at, size);
    const last = (at + size - 1) >>> 12;
    if (last !== frame && this.pageFlags[last] !== 0) this.#beforeWrite(last, at, size);
  }

  /** A write of [at, at + length) touches the flagged `frame`. */
  #beforeWrite(frame: number, at: number, length: number): void {
    const flags = this.pageFlags[frame];
    const start = Math.max(at, frame * 4096);
    const here = Math.min(at + length, (frame + 1) * 4096) - start;
    if ((flags & PAGE_CODE) !== 0) this.onCodeWrite?.(start, here);
    if ((flags & ~PAGE_CODE) !== 0) this.onFlaggedWrite?.(frame, flags, start, here);
  }
}
