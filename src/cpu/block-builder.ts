/** Turns bytes into records: decodes from an offset of a page to the end of the block. */

import type { CodeCache, CodePage } from './code-cache.ts';
import type { Cpu } from './cpu.ts';
import { decodeInto, TOO_LONG, TRUNCATED } from './decode.ts';
import { blankInstruction, type Instruction } from './instruction.ts';
import { MODE_CODE32, MODE_FLAT, MODE_SINGLE } from './mode.ts';
import {
  type HotPlan,
  hotPlan,
  TAIL_CALL,
  TAIL_CALL_INDIRECT,
  TAIL_CONDITION,
  TAIL_COST,
  TAIL_JCC,
  TAIL_JMP,
  writeOperands,
} from './plan.ts';
import { BLOCK_LIMIT, COLD, CROSSING, END, HANDLER, LINK, OUTSIDE, TRANSFER } from './records.ts';
import { tooLongInstruction } from './too-long.ts';

export class BlockBuilder {
  /** First free word after the last block. */
  next = 0;
  readonly #cache: CodeCache;
  readonly #words: Int32Array;
  readonly #places: Int32Array;
  /** The block being built: instructions, their offsets in the page, their forms in the loop. The objects are used again. */
  readonly #instructions: Instruction[] = Array.from({ length: BLOCK_LIMIT }, blankInstruction);
  readonly #offsets = new Int32Array(BLOCK_LIMIT);
  readonly #plans: (HotPlan | null)[] = new Array(BLOCK_LIMIT).fill(null);

  constructor(cache: CodeCache, words: Int32Array, places: Int32Array) {
    this.#cache = cache;
    this.#words = words;
    this.#places = places;
  }

  /** Decodes the block at `offset` of `page` into records from `at` on; returns the offset behind its last byte. */
  build(cpu: Cpu, page: CodePage, offset: number, at: number): number {
    const count = this.#decode(cpu, page, offset);
    return this.#emit((page.mode & MODE_SINGLE) !== 0, count, offset, at);
  }

  /** Returns the number of instructions. */
  #decode(cpu: Cpu, page: CodePage, start: number): number {
    const size = (page.mode & MODE_CODE32) !== 0 ? 4 : 2;
    const flat = (page.mode & (MODE_FLAT | MODE_CODE32)) === (MODE_FLAT | MODE_CODE32);
    const limit = (page.mode & MODE_SINGLE) !== 0 ? 1 : BLOCK_LIMIT;
    const base = page.frame << 12;
    const bytes = cpu.memory.u8;
    let count = 0;
    for (let offset = start; count < limit && offset < 4096; ) {
      const i = this.#instructions[count] as Instruction;
      const length = decodeInto(i, bytes, base + offset, base + 4096, size);
      if (length === TRUNCATED) break;
      if (length === TOO_LONG) Object.assign(i, tooLongInstruction());
      this.#offsets[count] = offset;
      this.#plans[count++] = flat ? hotPlan(i) : null;
      offset += i.length;
      if (i.row.endsBlock) break;
    }
    return count;
  }

  #emit(single: boolean, count: number, start: number, first: number): number {
    const words = this.#words;
    let at = first;
    let end = start;
    let closed = false;
    // Instructions are counted from the start of the block, or from the last handler: it keeps the account up to itself.
    let from = 0;
    for (let k = 0; k < count && !closed; k++) {
      const i = this.#instructions[k] as Instruction;
      const plan = this.#plans[k] as HotPlan | null;
      const offset = this.#offsets[k] as number;
      this.#places[at] = (offset << 6) | (k - from);
      end = offset + i.length;
      if (plan === null) {
        closed = i.row.endsBlock;
        at = this.#outOfLine(k, at);
        if (words[at - 3] !== COLD) from = k + 1;
        continue;
      }
      const next = k + 1 < count && !single ? (this.#plans[k + 1] as HotPlan | null) : null;
      if (next !== null && next.tail === TAIL_JCC && plan.fused !== null) {
        const following = this.#instructions[k + 1] as Instruction;
        const number = plan.fused[following.opcode & 15] as number;
        if (number >= 0) {
          words[at] = number;
          writeOperands(plan.slots, i, words, at + 1);
          at += plan.words;
          end += following.length;
          at = this.#branch(at, k + 2 - from, end + following.immediate, end);
          closed = true;
          continue;
        }
      }
      words[at] = plan.unseen >= 0 && next?.hides === true ? plan.unseen : plan.number;
      writeOperands(plan.slots, i, words, at + 1);
      at += plan.words;
      if (plan.tail !== 0) at = this.#tail(plan.tail, i, at, k + 1 - from, end);
      closed = plan.endsBlock;
    }
    if (!closed) {
      this.#places[at] = (end << 6) | (count - from);
      if (count > 0) {
        words[at] = END;
        words[at + 1] = count - from;
        words[at + 2] = at + 3;
        at = this.#link(at + 3, at + 2, end);
      } else {
        words[at] = CROSSING;
        at += 3;
        end = 4096;
      }
    }
    this.next = at;
    return end;
  }

  /** A record that names its instruction: the object is given away. */
  #outOfLine(k: number, at: number): number {
    const i = this.#instructions[k] as Instruction;
    const { cold, number } = this.#cache.numberOf(i.row, i);
    this.#words[at] = cold ? COLD : i.row.endsBlock ? TRANSFER : HANDLER;
    this.#words[at + 1] = number;
    this.#words[at + 2] = this.#cache.used;
    this.#instructions[k] = this.#cache.exchange(i);
    return at + 3;
  }

  /** Words behind the operands: condition code, cost, links, return offset, as the semantics want them (generate/hot.ts). */
  #tail(tail: number, i: Instruction, start: number, cost: number, end: number): number {
    const words = this.#words;
    let at = start;
    switch (tail) {
      case TAIL_CONDITION:
        words[at++] = i.opcode & 15;
        return at;
      case TAIL_JCC:
        words[at++] = i.opcode & 15;
        return this.#branch(at, cost, end + i.immediate, end);
      case TAIL_JMP:
        words[at] = cost;
        words[at + 1] = at + 2;
        return this.#link(at + 2, at + 1, end + i.immediate);
      case TAIL_CALL:
        words[at] = cost;
        words[at + 1] = at + 3;
        words[at + 2] = end;
        return this.#link(at + 3, at + 1, end + i.immediate);
      case TAIL_CALL_INDIRECT:
        words[at++] = cost;
        words[at++] = end;
        return at;
      case TAIL_COST:
        words[at++] = cost;
        return at;
      default:
        return at;
    }
  }

  /** Cost, link of the target, link of the next instruction; then the two link records. */
  #branch(at: number, cost: number, target: number, next: number): number {
    const words = this.#words;
    words[at] = cost;
    words[at + 1] = at + 3;
    words[at + 2] = this.#link(at + 3, at + 1, target);
    return this.#link(words[at + 2] as number, at + 2, next);
  }

  /** A link record at `at` for `target` (offset from the page's start), reached through the word at `patch`. */
  #link(at: number, patch: number, target: number): number {
    const words = this.#words;
    words[at] = target >= 0 && target < 4096 ? LINK : OUTSIDE;
    words[at + 1] = patch;
    words[at + 2] = target | 0;
    this.#places[at] = target << 6;
    return at + 3;
  }
}
