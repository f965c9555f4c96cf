/** Writes that the hypervisor does not emulate: the processor executes the instruction itself, with the page writable for exactly
 *  that long. Afterwards the tables that lay there are compared with their shadows. The same way pages appear, for one
 *  instruction, where the guest has no memory. */

import type { Linear } from '../../base/address.ts';
import { FRAME_BYTES } from '../frames.ts';
import { NX, P, RW, US } from '../paging/entry.ts';
import { EMPTY } from './entries.ts';
import { findPlace } from './fill.ts';
import { guestEntry } from './guest-entries.ts';
import { leafFor, setLeaf } from './leaves.ts';
import { NO_EXECUTE, USER } from './role.ts';
import type { ShadowState } from './state.ts';
import { syncFrame } from './sync.ts';
import type { ShadowTable } from './tables.ts';

/** Pages of the host for where there is no memory: one that reads as ones, and one to write to. Host-physical addresses. */
export interface StandIns {
  readonly ones: number;
  readonly scratch: number;
  /** Tells whoever judges isolation that the VM may write the latter, or no longer. */
  lend(isLent: boolean): void;
}

export class Step {
  readonly #state: ShadowState;
  readonly #standIns: StandIns;
  /** Entries that allow more than they should. */
  readonly #places: { readonly table: ShadowTable; readonly index: number }[] = [];
  /** Pages with tables that may be written. */
  readonly #frames = new Set<number>();
  #usedScratch = false;

  constructor(state: ShadowState, standIns: StandIns) {
    this.#state = state;
    this.#standIns = standIns;
  }

  /** The guest may execute one instruction only. */
  get isActive(): boolean {
    return this.#places.length > 0;
  }

  /** Makes a page writable that holds a table. */
  allowWrite(linear: Linear): void {
    const s = this.#state;
    const { table, index, entry } = findPlace(s, linear);
    setLeaf(s, table, index, leafFor(s, table, entry, false) | RW, entry.frame);
    this.#places.push({ table, index });
    this.#frames.add(entry.frame);
    s.flush.page(linear);
    s.stats.steps++;
  }

  /** Lets reads find ones where there is no memory, until the guest's entry changes. */
  allowReads(linear: Linear): void {
    this.#standIn(linear, this.#standIns.ones, P);
  }

  /** Lets writes go nowhere. */
  allowScratch(linear: Linear): void {
    this.#places.push(this.#standIn(linear, this.#standIns.scratch, P | RW));
    if (!this.#usedScratch) this.#standIns.lend(true);
    this.#usedScratch = true;
    this.#state.stats.steps++;
  }

  /** The instruction is over. */
  end(): void {
    const s = this.#state;
    for (const { table, index } of this.#places) if (table.alive) setLeaf(s, table, index, EMPTY, 0);
    this.#places.length = 0;
    for (const frame of this.#frames) syncFrame(s, frame);
    this.#frames.clear();
    if (this.#usedScratch) {
      s.host.fill(this.#standIns.scratch, FRAME_BYTES, 0xff);
      this.#standIns.lend(false);
    }
    this.#usedScratch = false;
    s.flush.all();
  }

  #standIn(linear: Linear, page: number, rights: number): { table: ShadowTable; index: number } {
    const s = this.#state;
    const { table, index } = findPlace(s, linear);
    setLeaf(s, table, index, EMPTY, 0);
    const { flags } = guestEntry(s, table, index);
    const isForUsers = (table.role & USER) !== 0 && (flags & US) !== 0;
    const noExecute = (table.role & NO_EXECUTE) !== 0 ? NX : flags & NX;
    table.write(index, rights | (isForUsers ? US : 0) | noExecute, page);
    s.flush.page(linear);
    return { table, index };
  }
}
