/** What a device sees of the world, and what the world sees of a device. Devices import nothing of processors or of VMX. */
export type { AlarmHandle, Clock } from '../base/clock.ts';
export type { AccessSize, PortTarget as PortDevice } from '../mmu/port-space.ts';

/** A wire into an interrupt controller. */
export interface InterruptLine {
  /** Level of the wire; edges are the controller's matter. */
  set(level: boolean): void;
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
