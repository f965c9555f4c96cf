/** The common walk of 32-bit and of PAE tables: down to a 4-KiB page, with every accessed flag set already, and the dirty flag where a write wants
 *  it. It reads two entries and has nothing to write or to remember. Whatever else it meets it leaves to the walker. */
import { ia32 } from './ia32.ts';
import type { Nested } from './nested.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { EXECUTE, type TableFormat } from './table-format.ts';

const P = 0x1;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;

export class SettledWalk {
  /** What the last walk found: 4-KiB frame, rights, flags of the leaf. */
  frame = 0;
  rights = 0;
  global = false;
  dirty = false;
  readonly #memory: PhysicalMemory;
  readonly #words: Int32Array;

  constructor(memory: PhysicalMemory) {
    this.#memory = memory;
    this.#words = memory.i32;
  }

  /** Walks from the directory in frame `root`, through EPT if there is `nested`. False if this walk is none of these: then nothing has
   *  changed but the count of references, and what EPT keeps of the tables. */
  walk(nested: Nested | null, root: number, page: number, write: boolean): boolean {
    const d = this.#entry(nested, root, (page >>> 10) * 4);
    const directory = d < 0 ? 0 : this.#words[d];
    // bit 7 may mean a large page, or nothing
    if ((directory & (P | A | PS)) !== (P | A)) return false;
    const t = this.#entry(nested, directory >>> 12, (page & 0x3ff) * 4);
    const table = t < 0 ? 0 : this.#words[t];
    const want = write ? P | A | D : P | A;
    if ((table & want) !== want) return false;
    this.frame = table >>> 12;
    this.rights = ia32.rights[directory & 7] & ia32.rights[table & 7];
    this.global = (table & G) !== 0;
    this.dirty = (table & D) !== 0;
    return true;
  }

  /** The same with PAE tables, from the page directory that a PDPTE register names. */
  walkPae(nested: Nested | null, format: TableFormat, root: number, page: number, write: boolean): boolean {
    const words = this.#words;
    const { executeDisable, frameHigh, reservedHigh, rights } = format;
    const d = this.#entry(nested, root, ((page >>> 9) & 0x1ff) * 8);
    if (d < 0) return false;
    const directory = words[d];
    const directoryHigh = words[d + 1];
    if ((directory & (P | A | PS)) !== (P | A) || (directoryHigh & reservedHigh) !== 0) return false;
    const frame = (directory >>> 12) | ((directoryHigh & frameHigh) << 20);
    const t = this.#entry(nested, frame, (page & 0x1ff) * 8);
    if (t < 0) return false;
    const table = words[t];
    const tableHigh = words[t + 1];
    const want = write ? P | A | D : P | A;
    if ((table & want) !== want || (tableHigh & reservedHigh) !== 0) return false;
    this.frame = (table >>> 12) | ((tableHigh & frameHigh) << 20);
    this.rights = rights[directory & 7] & rights[table & 7];
    if (((directoryHigh | tableHigh) & executeDisable) !== 0) this.rights &= ~EXECUTE;
    this.global = (table & G) !== 0;
    this.dirty = (table & D) !== 0;
    return true;
  }

  /** Index of the word where an entry of a table in RAM begins; −1 if it is elsewhere: reading a device twice might be seen. */
  #entry(nested: Nested | null, frame: number, offset: number): number {
    const at = nested === null ? frame * 4096 + offset : nested.locate(frame, offset, false);
    return at >= 0 && at < this.#memory.bytes ? at >>> 2 : -1;
  }
}
