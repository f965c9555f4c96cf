/** What a device sees of the world, and what the world sees of a device. Devices import nothing of processors or of VMX. */
export type { AlarmHandle, Clock } from '../base/clock.ts';

/** A wire into an interrupt controller. */
export interface InterruptLine {
  /** Level of the wire; edges are the controller's matter. */
  set(level: boolean): void;
}

/** Registers in I/O port space, addressed by their offset from where the device was put. Sizes in bytes: 1, 2 or 4.
 *  A device that only has byte registers gets wider accesses split by the port space. */
export interface PortDevice {
  read(offset: number, size: 1 | 2 | 4): number;
  write(offset: number, value: number, size: 1 | 2 | 4): void;
}

/** Memory as a bus master sees it. The device cannot tell whether a translation stands in between. */
export interface DmaMemory {
  /** Bytes from `address`; null when the access was blocked. */
  read(address: number, length: number): Uint8Array | null;
  /** False when the access was blocked; then nothing was written. */
  write(address: number, bytes: Uint8Array): boolean;
}

/** Where a serial port's bytes go. Bytes from outside come in through the device's `receive`. */
export interface SerialLine {
  transmit(byte: number): void;
}
