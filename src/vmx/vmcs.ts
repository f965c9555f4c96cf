/** VMCS regions (SDM Vol. 3, "Virtual-Machine Control Structures", "Software Use of Virtual-Machine Control Structures").
 *
 *  A VMCS that has been made current is active: the processor holds it, and software must not look at or write its region. Here the
 *  values move into an Int32Array and the region is filled with POISON; VMCLEAR writes them back. Where each value stands in a
 *  region is nobody's business but the processor's, so the places are permuted by a seed. */
import type { Unvalidated } from '../base/errors.ts';
import { boolean, dword, int32, list } from '../base/validate.ts';
import { ALL_GROUPS } from './checks/index.ts';
import { FIELD_WORDS, WORD_MASK } from './field-table.ts';

/** What the store needs of host-physical memory. */
export interface RegionMemory {
  read32(at: number): number;
  write32(at: number, value: number): void;
}

/** What software finds in the region of an active VMCS, from byte 8 on. */
export const POISON = 0x0bad_c0de;

/** Offsets in a region. */
const ABORT_INDICATOR = 4;
const DATA = 8;

/** Values of the launch-state slot. Anything else, as in a region that was never cleared, is not launched. */
const CLEAR = 0;
const LAUNCHED = 0x6c61_756e;

/** An active VMCS. */
export class Vmcs {
  /** Physical address of its region. */
  readonly address: number;
  /** All fields, by the words of field-table.ts. */
  readonly words = new Int32Array(FIELD_WORDS);
  launched = false;
  /** Bit 31 of the region's first word: no VM entry, only VMREAD and VMWRITE. */
  shadow = false;
  /** Groups of entry checks that have to be looked at since something they read has changed. */
  unchecked: number = ALL_GROUPS;

  constructor(address: number) {
    this.address = address;
  }
}

/** All active VMCSs of one processor. */
export class VmcsStore {
  readonly #memory: RegionMemory;
  readonly #regionBytes: number;
  /** Byte offset in a region of each word; the last one is the launch state. */
  readonly #places: Int32Array;
  readonly #active = new Map<number, Vmcs>();

  constructor(memory: RegionMemory, regionBytes: number, seed: number) {
    this.#memory = memory;
    this.#regionBytes = regionBytes;
    this.#places = permutedPlaces((regionBytes - DATA) / 4, seed);
  }

  /** The active VMCS of that address, or undefined. */
  active(address: number): Vmcs | undefined {
    return this.#active.get(address);
  }

  /** Makes the VMCS active: takes its values out of memory, unless it is active already. */
  activate(address: number): Vmcs {
    const present = this.#active.get(address);
    if (present !== undefined) return present;
    const vmcs = new Vmcs(address);
    vmcs.shadow = this.#memory.read32(address) < 0;
    for (let word = 0; word < FIELD_WORDS; word++) {
      vmcs.words[word] = this.#memory.read32(address + this.#places[word]) & WORD_MASK[word];
    }
    vmcs.launched = this.#memory.read32(address + this.#places[FIELD_WORDS]) === LAUNCHED;
    for (let at = DATA; at < this.#regionBytes; at += 4) this.#memory.write32(address + at, POISON);
    this.#active.set(address, vmcs);
    return vmcs;
  }

  /** VMCLEAR: values go to memory, the launch state becomes clear. */
  clear(address: number): void {
    const vmcs = this.#active.get(address);
    if (vmcs !== undefined) {
      for (let word = 0; word < FIELD_WORDS; word++) {
        this.#memory.write32(address + this.#places[word], vmcs.words[word]);
      }
      this.#active.delete(address);
    }
    this.#memory.write32(address + this.#places[FIELD_WORDS], CLEAR);
  }

  /** VMXOFF: what was not cleared before is lost. */
  drop(): void {
    this.#active.clear();
  }

  /** Writes the VMX-abort indicator. */
  abort(address: number, indicator: number): void {
    this.#memory.write32(address + ABORT_INDICATOR, indicator);
  }

  save(): VmcsState[] {
    return [...this.#active.values()].map((vmcs) => ({
      address: vmcs.address,
      words: Array.from(vmcs.words),
      launched: vmcs.launched,
      shadow: vmcs.shadow,
    }));
  }

  restore(states: readonly VmcsState[]): void {
    this.#active.clear();
    for (const state of states) {
      const vmcs = new Vmcs(state.address);
      vmcs.words.set(state.words);
      vmcs.launched = state.launched;
      vmcs.shadow = state.shadow;
      this.#active.set(vmcs.address, vmcs);
    }
  }
}

export interface VmcsState {
  readonly address: number;
  readonly words: readonly number[];
  readonly launched: boolean;
  readonly shadow: boolean;
}

/** Checks a saved VMCS. */
export function validateVmcs(value: Unvalidated<VmcsState>, field: string): VmcsState {
  const words = list(value.words, `${field}.words`, FIELD_WORDS, FIELD_WORDS, int32);
  return {
    address: dword(value.address, `${field}.address`),
    words: words.map((word, i) => word & WORD_MASK[i]),
    launched: boolean(value.launched, `${field}.launched`),
    shadow: boolean(value.shadow, `${field}.shadow`),
  };
}

/** A place for every word and the launch state, in an order that follows from the seed (Fisher-Yates over a xorshift generator). */
function permutedPlaces(slots: number, seed: number): Int32Array {
  const places = Int32Array.from({ length: slots }, (_, slot) => DATA + 4 * slot);
  let state = (seed ^ 0x9e37_79b9) | 1;
  for (let i = slots - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [places[i], places[j]] = [places[j], places[i]];
  }
  return places.subarray(0, FIELD_WORDS + 1);
}
