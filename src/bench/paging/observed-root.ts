/** The root-mode port with an ear at it: each reference of the hypervisor and each of its operations is counted, and references are told with their addresses. */

import type { Machine } from '../../machine/machine.ts';
import { CountedMemory } from '../../machine/root-memory.ts';
import type { Reached, VmxResult } from '../../machine/root-mode.ts';
import { RootModePort } from '../../machine/root-mode-port.ts';

/** What the hypervisor did besides references to memory. */
export interface RootOperations {
  /** VMREADs of fields not yet read since the last exit, and VMWRITEs: what has been read once is kept, as hypervisors do that have to pay for it. */
  vmcsAccesses: number;
  /** INVVPID and INVEPT. */
  flushes: number;
  /** VMLAUNCH and VMRESUME. */
  entries: number;
}

/** Called with the host-physical address of a word that the hypervisor reads or writes. */
export type OnReference = (at: number) => void;

class ObservedMemory extends CountedMemory {
  onReference: OnReference | null = null;

  override read8(at: number): number {
    this.onReference?.(at);
    return super.read8(at);
  }

  override read16(at: number): number {
    this.onReference?.(at);
    return super.read16(at);
  }

  override read32(at: number): number {
    this.onReference?.(at);
    return super.read32(at);
  }

  override write8(at: number, value: number): void {
    this.onReference?.(at);
    super.write8(at, value);
  }

  override write16(at: number, value: number): void {
    this.onReference?.(at);
    super.write16(at, value);
  }

  override write32(at: number, value: number): void {
    this.onReference?.(at);
    super.write32(at, value);
  }

  override readBytes(at: number, length: number): Uint8Array {
    this.#tell(at, length);
    return super.readBytes(at, length);
  }

  override writeBytes(at: number, bytes: Uint8Array): void {
    this.#tell(at, bytes.length);
    super.writeBytes(at, bytes);
  }

  override fill(at: number, length: number, value: number): void {
    this.#tell(at, length);
    super.fill(at, length, value);
  }

  /** Word by word, as they are counted. */
  #tell(at: number, length: number): void {
    if (this.onReference === null || length <= 0) return;
    for (let word = at - (at % 4); word < at + length; word += 4) this.onReference(word);
  }
}

export class ObservedRoot extends RootModePort {
  override readonly memory: ObservedMemory;
  readonly operations: RootOperations = { vmcsAccesses: 0, flushes: 0, entries: 0 };
  /** Virtual time of the machine at the last entry. */
  enteredAt = 0;
  readonly #read = new Set<number>();

  constructor(machine: Machine) {
    super(machine);
    this.memory = new ObservedMemory(machine.memory);
  }

  override vmread(field: number): number | VmxResult {
    if (!this.#read.has(field)) {
      this.#read.add(field);
      this.operations.vmcsAccesses++;
    }
    return super.vmread(field);
  }

  override vmwrite(field: number, value: number): VmxResult {
    this.operations.vmcsAccesses++;
    return super.vmwrite(field, value);
  }

  override invept(type: number, eptpLow: number, eptpHigh: number): VmxResult {
    this.operations.flushes++;
    return super.invept(type, eptpLow, eptpHigh);
  }

  override invvpid(type: number, vpid: number, linear: number): VmxResult {
    this.operations.flushes++;
    return super.invvpid(type, vpid, linear);
  }

  override vmlaunch(): Reached {
    this.#entering();
    return super.vmlaunch();
  }

  override vmresume(): Reached {
    this.#entering();
    return super.vmresume();
  }

  #entering(): void {
    this.operations.entries++;
    this.#read.clear();
    this.enteredAt = this.now();
  }
}
