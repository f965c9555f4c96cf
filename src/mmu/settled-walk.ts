/** The common walk of 32-bit tables: down to a 4-KiB page, with every accessed flag set already, and the dirty flag where a write wants
 *  it. It reads two entries and has nothing to write or to remember. Whatever else it meets it leaves to the walker. */
import { ia32 } from './ia32.ts';
import type { Nested } from './nested.ts';
import type { PhysicalMemory } from './physical-memory.ts';

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
    const directory = this.#entry(nested, root, page >>> 10);
    // bit 7 may mean a large page, or nothing
    if ((directory & (P | A | PS)) !== (P | A)) return false;
    const table = this.#entry(nested, directory >>> 12, page & 0x3ff);
    const want = write ? P | A | D : P | A;
    if ((table & want) !== want) return false;
    this.frame = table >>> 12;
    this.rights = ia32.rights[directory & 7] & ia32.rights[table & 7];
    this.global = (table & G) !== 0;
    this.dirty = (table & D) !== 0;
    return true;
  }

  /** An entry of a table in RAM; 0 if it is elsewhere: reading a device twice might be seen. */
  #entry(nested: Nested | null, frame: number, index: number): number {
    const at = nested === null ? frame * 4096 + index * 4 : nested.locate(frame, index * 4, false);
    return at >= 0 && at < this.#memory.bytes ? this.#words[at >>> 2] : 0;
  }
}
