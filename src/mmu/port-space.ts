/** I/O port space: 65,536 byte ports, disjoint intervals of them given to devices (SDM Vol. 1, "I/O Port Addressing").
 *  What belongs to nobody floats: reads all ones, writes are dropped, and both are counted. */

import { InvalidInput } from '../base/errors.ts';
import { hex } from '../base/int.ts';

export type AccessSize = 1 | 2 | 4;

/** Registers in I/O port space, addressed by their offset from where the device was put. */
export interface PortTarget {
  /** The widest access that the device takes whole; wider ones reach it in pieces, lowest port first. Default 1. */
  readonly widestAccess?: AccessSize;
  read(offset: number, size: AccessSize): number;
  write(offset: number, value: number, size: AccessSize): void;
}

interface Interval {
  readonly start: number;
  readonly length: number;
  readonly target: PortTarget;
}

const PORTS = 0x1_0000;
const MAX_INTERVALS = 255;

export class PortSpace {
  /** For each port the number of its interval, plus one; 0: nobody's. */
  readonly #owner = new Uint8Array(PORTS);
  readonly #intervals: Interval[] = [];
  /** Accesses that reached no device. */
  floats = 0;
  /** Is told of each access; the value is what was read or is written, unsigned. */
  onAccess: ((port: number, size: AccessSize, value: number, input: boolean) => void) | null = null;

  /** Gives ports `start` to `start + length − 1` to a device. Throws InvalidInput if one of them is taken. */
  add(start: number, length: number, target: PortTarget): void {
    if (!Number.isInteger(start) || !Number.isInteger(length) || start < 0 || length < 1 || start + length > PORTS) {
      throw new InvalidInput(`ports ${hex(start, 4)} + ${length} do not lie in port space: choose 0 to FFFFh`);
    }
    for (let port = start; port < start + length; port++) {
      if (this.#owner[port] !== 0) {
        throw new InvalidInput(`port ${hex(port, 4)} is taken twice: move one of the two devices`);
      }
    }
    if (this.#intervals.length === MAX_INTERVALS) throw new InvalidInput(`more than ${MAX_INTERVALS} port intervals`);
    this.#intervals.push({ start, length, target });
    this.#owner.fill(this.#intervals.length, start, start + length);
  }

  /** What IN returns, unsigned. */
  read(port: number, size: AccessSize): number {
    const value = this.#read(port, size);
    this.onAccess?.(port, size, value, true);
    return value;
  }

  write(port: number, value: number, size: AccessSize): void {
    const cut = (size === 4 ? value : value & ((1 << (size * 8)) - 1)) >>> 0;
    this.onAccess?.(port, size, cut, false);
    this.#write(port, cut, size);
  }

  #read(port: number, size: AccessSize): number {
    const whole = this.#takes(port, size);
    if (whole !== null) {
      return (whole.target.read(port - whole.start, size) & (size === 4 ? -1 : (1 << (size * 8)) - 1)) >>> 0;
    }
    if (this.#isFloating(port, size)) {
      this.floats++;
      return size === 4 ? 0xffff_ffff : (1 << (size * 8)) - 1;
    }
    const half: AccessSize = size === 4 ? 2 : 1;
    const low = this.#read(port, half);
    return (low | (this.#read((port + half) & 0xffff, half) << (half * 8))) >>> 0;
  }

  #write(port: number, value: number, size: AccessSize): void {
    const whole = this.#takes(port, size);
    if (whole !== null) {
      whole.target.write(port - whole.start, (size === 4 ? value : value & ((1 << (size * 8)) - 1)) >>> 0, size);
      return;
    }
    if (this.#isFloating(port, size)) {
      this.floats++;
      return;
    }
    const half: AccessSize = size === 4 ? 2 : 1;
    this.#write(port, value, half);
    this.#write((port + half) & 0xffff, value >>> (half * 8), half);
  }

  /** The interval that serves an access in one piece. */
  #takes(port: number, size: AccessSize): Interval | null {
    const number = this.#owner[port];
    if (number === 0) return null;
    const interval = this.#intervals[number - 1];
    const fits = port + size <= interval.start + interval.length && size <= (interval.target.widestAccess ?? 1);
    return fits ? interval : null;
  }

  #isFloating(port: number, size: AccessSize): boolean {
    for (let i = 0; i < size; i++) if (this.#owner[(port + i) & 0xffff] !== 0) return false;
    return true;
  }
}
