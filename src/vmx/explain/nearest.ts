/** The nearest state in which all entry checks hold: a small change of fields, found row by row.
 *
 *  For the first row that fails, values that make it hold are tried in each of its fields, and each of them is then brought back
 *  towards the present value bit by bit as far as it helps. The best few states go on to the next row. What comes out is a
 *  change of which no single bit can be left out; that no other change is smaller is likely, not proved. */

import type { VmxCapabilities } from '../capabilities.ts';
import type { EntryCheck, EntryView } from '../checks/check.ts';
import { FIELDS, type Field, fieldOf } from '../field-table.ts';
import * as F from '../fields.ts';
import type { VmcsImage } from './image.ts';

/** A field that gets another value; halves of 64-bit fields together. */
export interface FieldChange {
  readonly name: string;
  readonly encoding: number;
  readonly from: { readonly lo: number; readonly hi: number };
  readonly to: { readonly lo: number; readonly hi: number };
}

/** States that go on to the next row. */
const BEAM = 6;
/** More rows than this are not repaired one after the other. */
const MOST_STEPS = 40;
/** Changing a further field weighs as much as so many bits; changing one that the row names second, too. */
const FIELD_WEIGHT = 3;

interface State {
  readonly words: Int32Array;
  readonly failing: number;
  readonly cost: number;
}

/** Changes that make all rows hold, least first by field; null if none were found. */
export function nearestValid(image: VmcsImage, rows: readonly EntryCheck[]): FieldChange[] | null {
  const view = image.view();
  const failing = (words: Int32Array): EntryCheck[] => {
    view.words = words;
    return rows.filter((row) => !row.holds(view));
  };
  let beam: State[] = [{ words: image.words, failing: failing(image.words).length, cost: 0 }];
  for (let step = 0; step < MOST_STEPS; step++) {
    const done = beam.filter((state) => state.failing === 0);
    if (done.length > 0) return changesOf(image, done.reduce((a, b) => (b.cost < a.cost ? b : a)).words);
    const next = new Map<string, State>();
    for (const state of beam) {
      const [row] = failing(state.words);
      if (row === undefined) continue;
      for (const words of repairs(image, view, row, state.words)) {
        const left = failing(words).length;
        const cost = costOf(image, words, row);
        const key = words.join();
        if ((next.get(key)?.cost ?? Number.POSITIVE_INFINITY) > cost) next.set(key, { words, failing: left, cost });
      }
    }
    beam = [...next.values()].sort((a, b) => a.failing * 8 + a.cost - (b.failing * 8 + b.cost)).slice(0, BEAM);
    if (beam.length === 0) return null;
  }
  return null;
}

function* repairs(image: VmcsImage, view: EntryView, row: EntryCheck, words: Int32Array): Generator<Int32Array> {
  const holds = (tried: Int32Array): boolean => {
    view.words = tried;
    return row.holds(view);
  };
  for (const encoding of row.fields) {
    const field = fieldOf(encoding);
    if (field === undefined) continue;
    for (const halves of candidates(field, words, image.capabilities)) {
      const tried = words.slice();
      tried[field.word] = halves.lo & (field.width === 16 ? 0xffff : -1);
      if (field.width === 64) tried[field.word + 1] = halves.hi;
      if (!holds(tried)) continue;
      for (const word of field.width === 64 ? [field.word, field.word + 1] : [field.word]) {
        for (let bit = 0; bit < 32; bit++) {
          if ((((tried[word] ^ words[word]) >>> bit) & 1) === 0) continue;
          tried[word] ^= 1 << bit;
          if (!holds(tried)) tried[word] ^= 1 << bit;
        }
      }
      yield tried;
    }
  }
}

/** Access rights and the like that valid states have. */
const COMMON = [0, 1, 2, 4, 8, 10, 0x10, 0xffff, -1, 0x1_0000, 0x82, 0x8b, 0x93, 0x9b, 0xf3, 0xc093, 0xc09b, 0x67];

/** Values worth trying in a field. */
function* candidates(field: Field, words: Int32Array, c: VmxCapabilities): Generator<{ lo: number; hi: number }> {
  const lo = words[field.word];
  const hi = field.width === 64 ? words[field.word + 1] : 0;
  for (let bit = 0; bit < 32; bit++) yield { lo: lo ^ (1 << bit), hi };
  for (const value of COMMON) yield { lo: value, hi: value === -1 ? -1 : 0 };
  for (const mask of [0x7, 0xf, 0xfff, 0xf80, 0xffff_0000]) yield { lo: lo & ~mask, hi };
  if (field.width === 64) yield { lo, hi: 0 };
  for (let k = 0; k < 16; k++) yield { lo: (lo & ~15) | k, hi }; // type of a segment, RPL
  for (let k = 0; k < 8; k++) yield { lo: (lo & ~0x700) | (k << 8), hi }; // type of an event
  for (let k = 0; k < 4; k++) yield { lo: (lo & ~0x60) | (k << 5), hi }; // DPL
  for (const k of [0, 6]) yield { lo: (lo & ~7) | k, hi }; // memory type of an EPT pointer …
  yield { lo: (lo & ~0x3f) | 0x1e, hi }; // … and its walk length
  for (const word of [c.pinBased, c.primary, c.secondary, c.exit, c.entry])
    yield { lo: (lo | word.allowed0) & word.allowed1, hi };
  yield { lo: (lo | c.cr0Fixed0) & c.cr0Fixed1, hi };
  yield { lo: (lo | c.cr4Fixed0) & c.cr4Fixed1, hi };
  yield { lo: lo & c.debugctl, hi: 0 };
  yield { lo: c.cr3Targets, hi };
  yield* related(field, words);
}

/** What virtual-8086 mode ties together: bases and selectors. */
function* related(field: Field, words: Int32Array): Generator<{ lo: number; hi: number }> {
  const word = (encoding: number): number => words[fieldOf(encoding)?.word ?? 0];
  for (let s = 0; s < 6; s++) {
    if (field.encoding === F.GUEST_ES_BASE + 2 * s) yield { lo: word(F.GUEST_ES_SELECTOR + 2 * s) << 4, hi: 0 };
    if (field.encoding === F.GUEST_ES_SELECTOR + 2 * s) yield { lo: word(F.GUEST_ES_BASE + 2 * s) >>> 4, hi: 0 };
  }
}

function bits(difference: number): number {
  let count = 0;
  for (let rest = difference; rest !== 0; rest &= rest - 1) count++;
  return count;
}

function costOf(image: VmcsImage, words: Int32Array, row: EntryCheck): number {
  let cost = 0;
  for (const field of FIELDS) {
    let changed = bits(words[field.word] ^ image.words[field.word]);
    if (field.width === 64) changed += bits(words[field.word + 1] ^ image.words[field.word + 1]);
    if (changed === 0) continue;
    const isFirst = row.fields[0] === field.encoding;
    cost += Math.min(changed, 8) + FIELD_WEIGHT + (row.fields.includes(field.encoding) && !isFirst ? FIELD_WEIGHT : 0);
  }
  return cost;
}

function changesOf(image: VmcsImage, words: Int32Array): FieldChange[] {
  const halves = (of: Int32Array, field: Field) => ({
    lo: of[field.word] >>> 0,
    hi: field.width === 64 ? of[field.word + 1] >>> 0 : 0,
  });
  return FIELDS.flatMap((field) => {
    const from = halves(image.words, field);
    const to = halves(words, field);
    if (from.lo === to.lo && from.hi === to.hi) return [];
    return [{ name: field.name, encoding: field.encoding, from, to }];
  });
}
