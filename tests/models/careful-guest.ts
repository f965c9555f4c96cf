/** What a program of tests/properties/isolation has to see if it flushes as the manual asks for: a processor without any cache, by the
 *  reference walker. Memory outside tables, frames and the log is not looked at. */
import { ReferenceMmu } from './paging.ts';

const FRAMES = 12;
const END = 0;

export interface CarefulOutcome {
  readonly log: number[];
  /** Words of the tables at the end. */
  readonly entries: number[];
  /** The second word of each frame at the end. */
  readonly contents: number[];
}

interface Places {
  readonly pae: boolean;
  readonly frameAt: (frame: number) => number;
  readonly roots: readonly number[];
  readonly words: readonly number[];
  readonly initial: readonly (readonly [at: number, value: number])[];
  readonly bytes: number;
}

/** Runs a list of operations. */
export function carefulOutcome(program: readonly (readonly (number | undefined)[])[], places: Places): CarefulOutcome {
  const ram = new Uint8Array(places.bytes);
  const words = new DataView(ram.buffer);
  const mmu = new ReferenceMmu(ram);
  const log: number[] = [];
  for (let f = 0; f < FRAMES; f++) words.setUint32(places.frameAt(f), 0xf000_0000 + f, true);
  for (const [at, value] of places.initial) words.setUint32(at, value, true);
  let cr3 = places.roots[0];
  let writeProtect = true;
  /** The four PDPTE registers: they change when they are loaded, and not with memory. */
  const loaded = (): bigint[] => [0, 1, 2, 3].map((n) => words.getBigUint64(cr3 + 8 * n, true));
  let pointers = places.pae ? loaded() : [];

  /** The physical address, or −1 after a fault that has been logged. */
  const translated = (linear: number, kind: 'read' | 'write' | 'fetch', user: boolean): number => {
    const pae = places.pae ? { pointers, noExecute: true } : undefined;
    const regime = { paging: true, writeProtect, pageSizeExtensions: true, cr3, eptp: null, pae };
    const outcome = mmu.access(regime, { linear, kind, user });
    if (outcome.kind === 'translated') return outcome.physical;
    if (outcome.kind !== 'page fault') throw new Error(outcome.kind);
    log.push((0xfa00_0000 | outcome.errorCode) >>> 0, linear);
    return -1;
  };
  const access = (n: number, linear: number, value: number, user: boolean): void => {
    const at = translated(n === 2 ? linear + 16 : linear, n === 2 ? 'fetch' : n === 1 ? 'write' : 'read', user);
    if (at < 0) return;
    if (n === 1) words.setUint32(at, value, true);
    if (n === 2) log.push(words.getUint32(at - 16, true));
    else if (n === 0) log.push(words.getUint32(at, true));
    else log.push(value >>> 0);
  };

  for (const [op, a = 0, b = 0, c = 0] of program) {
    if (op === END) break;
    if (op === 1) access(0, a, 0, false);
    if (op === 2) access(1, a, b, false);
    if (op === 3) access(2, a, 0, false);
    if (op === 4) access(c, a, b, true);
    if (op === 6) cr3 = a;
    if (places.pae && (op === 6 || op === 7)) pointers = loaded(); // CR3, CR4.PGE
    if (op === 8) writeProtect = a !== 0;
  }
  return {
    log,
    entries: places.words.map((at) => words.getUint32(at, true)),
    contents: Array.from({ length: FRAMES }, (_, f) => words.getUint32(places.frameAt(f) + 4, true)),
  };
}
