/** What answers on the memory bus outside RAM: memory-mapped device registers. */
import { InvalidInput } from '../base/errors.ts';
import { hex } from '../base/int.ts';

/** Device registers at `start` … `start + length − 1`. Offsets count from `start`; sizes in bytes. An access that lies wholly inside
 *  the region arrives as it was made, whatever its alignment; one that crosses an end arrives byte by byte. */
export interface MemoryRegion {
  readonly start: number;
  readonly length: number;
  read(offset: number, size: 1 | 2 | 4): number;
  write(offset: number, size: 1 | 2 | 4, value: number): void;
}

/** The regions of one board. Where there is none the bus floats: reads give all ones, writes are dropped; both are counted. */
export class Bus {
  #regions: MemoryRegion[] = [];
  /** Accesses that nobody answered. */
  floats = 0;

  /** Adds a region; two regions may not overlap. */
  map(region: MemoryRegion): void {
    const end = region.start + region.length;
    if (
      !(
        Number.isSafeInteger(region.start) &&
        region.start >= 0 &&
        Number.isSafeInteger(region.length) &&
        region.length > 0
      )
    )
      throw new InvalidInput(
        `memory region: start ${region.start} and length ${region.length} must be whole, length above 0`,
      );
    for (const other of this.#regions)
      if (region.start < other.start + other.length && other.start < end)
        throw new InvalidInput(
          `memory region at ${hex(region.start)} overlaps the one at ${hex(other.start)}; move one of them`,
        );
    this.#regions.push(region);
  }

  read(at: number, size: 1 | 2 | 4): number {
    const region = this.#find(at, size);
    if (region === undefined) {
      this.floats++;
      return size === 4 ? -1 : size === 2 ? 0xffff : 0xff;
    }
    const value = region.read(at - region.start, size);
    return size === 4 ? value | 0 : size === 2 ? value & 0xffff : value & 0xff;
  }

  write(at: number, size: 1 | 2 | 4, value: number): void {
    const region = this.#find(at, size);
    if (region === undefined) this.floats++;
    else region.write(at - region.start, size, value);
  }

  /** True if the access lies wholly inside one region, or touches none: it can be made in one piece. */
  whole(at: number, size: number): boolean {
    return (
      this.#find(at, size) !== undefined || !this.#regions.some((r) => at < r.start + r.length && r.start < at + size)
    );
  }

  #find(at: number, size: number): MemoryRegion | undefined {
    for (const r of this.#regions) if (at >= r.start && at + size <= r.start + r.length) return r;
    return undefined;
  }
}
