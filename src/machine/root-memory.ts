/** Host-physical memory as root-mode software reaches it: the processor's own writes, counted. */
import { InvalidInput } from '../base/errors.ts';
import type { PhysicalMemory } from '../mmu/physical-memory.ts';
import type { RootMemory } from './root-mode.ts';

export class CountedMemory implements RootMemory {
  references = 0;
  readonly #memory: PhysicalMemory;

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#memory.bytes;
  }

  read8(at: number): number {
    this.references++;
    return this.#memory.read8(at);
  }

  read16(at: number): number {
    this.references++;
    return this.#memory.read16(at);
  }

  read32(at: number): number {
    this.references++;
    return this.#memory.read32(at);
  }

  write8(at: number, value: number): void {
    this.references++;
    this.#memory.write8(at, value);
  }

  write16(at: number, value: number): void {
    this.references++;
    this.#memory.write16(at, value);
  }

  write32(at: number, value: number): void {
    this.references++;
    this.#memory.write32(at, value);
  }

  readBytes(at: number, length: number): Uint8Array {
    this.#count(at, length);
    return this.#memory.readBytes(at, length);
  }

  writeBytes(at: number, bytes: Uint8Array): void {
    this.#count(at, bytes.length);
    this.#memory.writeBytes(at, bytes);
  }

  fill(at: number, length: number, value: number): void {
    this.#count(at, length);
    this.#memory.writeBytes(at, new Uint8Array(length).fill(value));
  }

  /** One reference for each aligned group of 4 bytes that is touched. */
  #count(at: number, length: number): void {
    if (!(Number.isInteger(length) && length >= 0)) throw new InvalidInput(`length ${length}: must be a whole number`);
    if (length > 0) this.references += Math.floor((at + length - 1) / 4) - Math.floor(at / 4) + 1;
  }
}
