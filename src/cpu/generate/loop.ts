/** The interpreter's loop around the generated cases. */

import { ARENA_WORDS, TABLES_AT } from '../core-words.ts';
import { FIRST_HOT } from '../records.ts';
import { hotForms } from './forms.ts';
import { hotCase, hotName, LOAD_FLAGS, STORE_FLAGS, TEMPORARIES } from './hot.ts';

export function loopSource(): string {
  const cases = hotForms
    .map((form, k) => `        case ${FIRST_HOT + k}: { // ${hotName(form)}\n${indent(hotCase(form))}\n        }`)
    .join('\n');
  return `import type { Cpu } from './cpu.ts';
import { carry, condition, setCarryOverflow, settleFlags } from './flags.ts';
import { mulHighUnsigned } from './arithmetic.ts';
import { SIGNAL_EXITED } from '../base/signal.ts';

/** Runs decoded blocks until \`n\` instructions are used up, an event wants attention, or the signal was thrown.
 *
 *  \`n\`: instructions to run, less \`headroom\` (a block is not interrupted: it may overshoot by up to headroom).
 *  \`single\`: mode bit for blocks of one instruction, or 0. Leaves EIP and x.remaining exact in every case.
 *  Returns true when the signal holds an event that has to be delivered.
 *
 *  Locals: S the core's words (core-words.ts), register file first, S8 S16 views of it; p the record, its place ${ARENA_WORDS} words
 *  above it: offset from P << 6 | index in its block; B fast tables of the context in force; M M8 M16 memory; m the slow memory path;
 *  fk fa fr fs lazy flags (flags.ts), in S whenever anybody else runs;
 *  P the page (EIP − offset in page), E entries of that page; n budget. */
export function interpret(x: Cpu, budget: number, headroom: number, single: number): boolean {
  const S = x.core, S8 = x.S8, S16 = x.S16, m = x.mmu, M = x.memory.i32, M8 = x.memory.u8, M16 = x.memory.u16;
  const code = x.code, tags = code.tags, entries = code.entries;
  let n = budget | 0, p = -1, P = 0, E = entries[0] as Int32Array, B = 0;
  let eip = 0;
  let fk = S[10], fa = S[11], fr = S[12], fs = S[20]; // lazy flags; fk −1: they stand in S
  let a = 0, e = 0, w = 0, ${Array.from({ length: TEMPORARIES }, (_, k) => `t${k} = 0`).join(', ')};
  try {
    run: for (;;) {
      p = -1;
      B = (S[15] + ${TABLES_AT}) | 0;
      eip = S[9];
      const mode = (S[21] >= 0 ? S[21] : code.mode()) | single;
      const linear = (eip + S[41]) | 0;
      if ((mode & 2) === 0 && code.isTight(eip, linear)) { // one instruction, held against the limit
        S[19] = eip;
        x.remaining = n + headroom;
        x.retires = 1;
        ${STORE_FLAGS} fk = -1;
        code.crossing(x, linear, mode);
        n = (x.remaining - headroom - x.retires) | 0;
        ${LOAD_FLAGS}
        p = -1;
        if ((S[16] | (S[17] & 3)) !== 0 || n < 0) break run;
        continue run;
      }
      const slot = ((linear >>> 12) + (S[15] >>> 17)) & 255; // apart for the contexts of one page
      if (m.fetchGeneration !== code.generation) code.forgetFetches();
      if (tags[slot] !== ((linear >>> 12) | (S[15] >>> 1) | (mode << 24))) code.fetch(linear, slot, mode);
      E = entries[slot] as Int32Array;
      P = (eip - (linear & 4095)) | 0;
      p = E[linear & 4095];
      if (p === 0) {
        p = -1;
        p = code.build(linear, slot, mode) | 0;
        E = entries[slot] as Int32Array; // another page object, if room had to be made
      }
      for (;;) {
        switch (S[p]) {
        case 0: { // the record's bytes have changed, or never were decoded
          S[9] = (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0; n = (n - (S[p + ${ARENA_WORDS}] & 63)) | 0;
          const q = code.renew(p, S[9] + S[41] | 0, slot, mode) | 0;
          if (q > 0) { p = q; continue; }
          p = -1; continue run;
        }
        case 1: { // decoded anew elsewhere
          const q = S[p + 1];
          if (S[q] === 1) S[p + 1] = S[q + 1]; // and again since: halve the way
          n = (n - (S[p + ${ARENA_WORDS}] & 63)) | 0; p = q; continue;
        }
        case 2: { // link inside the page, not made yet
          const q = code.link(p, P + S[41] | 0, slot, mode) | 0;
          if (q > 0) { p = q; continue; }
        } // no room: through the dispatcher, which makes some
        case 3: { // out of the page
          S[9] = (P + S[p + 2]) | 0; p = -1; continue run;
        }
        case 4: { // end of a block without a branch
          n = (n - S[p + 1]) | 0; p = S[p + 2]; if (n < 0) break run; continue;
        }
        case 5: { // out of line
          x.remaining = n + headroom - (S[p + ${ARENA_WORDS}] & 63);
          ${STORE_FLAGS} fk = -1;
          code.cold[S[p + 1]](x, code.instructions[S[p + 2]]); p = (p + 3) | 0;
          ${LOAD_FLAGS}
          if (S[21] >= 0) continue;
          S[9] = (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0; n = (n - (S[p + ${ARENA_WORDS}] & 63)) | 0; // another flavour from here on
          p = -1; if (n < 0) break run; continue run;
        }
        case 6: { // handler: the block goes on if the instruction behind it is next and nothing that the block rests on has changed
          const i = code.instructions[S[p + 2]];
          S[19] = (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0;
          const next = S[19] + i.length;
          S[9] = next;
          x.remaining = n + headroom - (S[p + ${ARENA_WORDS}] & 63);
          x.retires = 1;
          ${STORE_FLAGS} fk = -1;
          code.handlers[S[p + 1]](x, i);
          n = (x.remaining - headroom - x.retires) | 0;
          ${LOAD_FLAGS}
          if ((S[16] | (S[17] & 3)) !== 0 || n < 0) { p = -1; break run; }
          if (S[9] === next && (S[21] | single) === mode && S[15] + ${TABLES_AT} === B && m.fetchGeneration === code.generation) { p = (p + 3) | 0; continue; }
          p = -1;
          continue run;
        }
        case 7: { // handler that transfers control: ends the block
          const i = code.instructions[S[p + 2]];
          S[19] = (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0;
          S[9] = S[19] + i.length;
          x.remaining = n + headroom - (S[p + ${ARENA_WORDS}] & 63);
          x.retires = 1;
          ${STORE_FLAGS} fk = -1;
          code.handlers[S[p + 1]](x, i);
          n = (x.remaining - headroom - x.retires) | 0;
          ${LOAD_FLAGS}
          p = -1;
          if ((S[16] | (S[17] & 3)) !== 0 || n < 0) break run;
          continue run;
        }
        case 8: { // crosses a page: fetched and decoded at each execution
          S[19] = (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0;
          S[9] = S[19];
          x.remaining = n + headroom - (S[p + ${ARENA_WORDS}] & 63);
          x.retires = 1;
          ${STORE_FLAGS} fk = -1;
          code.crossing(x, S[19] + S[41] | 0, mode);
          n = (x.remaining - headroom - x.retires) | 0;
          ${LOAD_FLAGS}
          p = -1;
          if ((S[16] | (S[17] & 3)) !== 0 || n < 0) break run;
          continue run;
        }
${cases}
        default:
          throw new Error(\`no record \${S[p]} at \${p}\`);
        }
        // A memory access that the fast tables do not serve: fill the slot and try again, or run out of line.
        if ((w & 2) === 0 && (S[B + (w << 20) + (a >>> 12)] & 1) !== 0 && (w === 0 ? m.ramForRead(a) : m.ramForWrite(a)) >= 0) continue;
        S[19] = (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0;
        x.remaining = n + headroom - (S[p + ${ARENA_WORDS}] & 63);
        ${STORE_FLAGS} fk = -1;
        const q = code.runSlowly(x, p, slot) | 0;
        ${LOAD_FLAGS}
        if (q < 0) { n = (n - (S[p + ${ARENA_WORDS}] & 63) + q) | 0; p = -1; if (S[16] === 0 && n >= 0) continue run; break run; }
        p = q;
        if (S[16] !== 0) { n = (n - (S[p + ${ARENA_WORDS}] & 63)) | 0; break run; }
      }
    }
    // A link stands for its target, any other record for its own place.
    if (p >= 0) S[9] = (P + (S[p] === 2 || S[p] === 3 ? S[p + 2] : S[p + ${ARENA_WORDS}] >> 6)) | 0;
    ${STORE_FLAGS}
    x.remaining = n + headroom;
    return false;
  } catch (thrown) {
    // Precise: what the block did up to here counts, the instruction that threw does not.
    const exited = thrown === x.signal && x.signal.kind === SIGNAL_EXITED;
    // What ran out of line has the flags already and keeps its own account: finished iterations of a repeated instruction count.
    if (fk >= 0) {
      ${STORE_FLAGS}
      x.remaining = n + headroom - (p >= 0 ? S[p + ${ARENA_WORDS}] & 63 : 0);
    }
    if (!exited) S[9] = p >= 0 ? (P + (S[p + ${ARENA_WORDS}] >> 6)) | 0 : eip;
    if (thrown !== x.signal) throw thrown;
    return !exited;
  }
}
`;
}

const indent = (text: string): string =>
  text
    .split('\n')
    .map((line) => `          ${line}`)
    .join('\n');
