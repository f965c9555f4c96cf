/** Turns bytes into records: decodes from an offset of a page to the end of the block. */

import type { CodeCache, CodePage } from './code-cache.ts';
import type { Cpu } from './cpu.ts';
import { decode } from './decode.ts';
import type { Instruction } from './instruction.ts';
import { MODE_CODE32, MODE_FLAT, MODE_SINGLE } from './mode.ts';
import { countIsPlain, type HotPlan, hidesFlags, hotPlan, writeOperands } from './plan.ts';
import { BLOCK_LIMIT, COLD, CROSSING, END, HANDLER, LINK, OUTSIDE, TRANSFER } from './records.ts';
import { tooLongInstruction } from './too-long.ts';

const JCC = 'jcc';

interface Decoded {
  readonly i: Instruction;
  readonly offset: number;
  readonly plan: HotPlan | null;
}

export class BlockBuilder {
  /** First free word after the last block. */
  next = 0;
  readonly #cache: CodeCache;
  readonly #words: Int32Array;
  readonly #places: Int32Array;

  constructor(cache: CodeCache, words: Int32Array, places: Int32Array) {
    this.#cache = cache;
    this.#words = words;
    this.#places = places;
  }

  /** Decodes the block at `offset` of `page` into records from `at` on; returns the offset behind its last byte. */
  build(cpu: Cpu, page: CodePage, offset: number, at: number): number {
    const list = this.#decode(cpu, page, offset);
    return this.#emit(page, list, offset, at);
  }

  #decode(cpu: Cpu, page: CodePage, start: number): Decoded[] {
    const size = (page.mode & MODE_CODE32) !== 0 ? 4 : 2;
    const flat = (page.mode & (MODE_FLAT | MODE_CODE32)) === (MODE_FLAT | MODE_CODE32);
    const limit = (page.mode & MODE_SINGLE) !== 0 ? 1 : BLOCK_LIMIT;
    const base = page.frame << 12;
    const list: Decoded[] = [];
    for (let offset = start; list.length < limit && offset < 4096; ) {
      const decoded = decode(cpu.memory.u8, base + offset, base + 4096, size);
      if (decoded === 'truncated') break;
      const i = decoded === 'tooLong' ? tooLongInstruction() : decoded;
      const plan = flat && countIsPlain(i) ? hotPlan(i) : null;
      list.push({ i, offset, plan });
      offset += i.length;
      if (i.row.endsBlock) break;
    }
    return list;
  }

  #emit(page: CodePage, list: readonly Decoded[], start: number, first: number): number {
    const words = this.#words;
    let at = first;
    let end = start;
    let closed = false;
    // Instructions are counted from the start of the block, or from the last handler: it keeps the account up to itself.
    let from = 0;
    const single = (page.mode & MODE_SINGLE) !== 0;
    for (let k = 0; k < list.length && !closed; k++) {
      const { i, offset, plan } = list[k] as Decoded;
      this.#places[at] = (offset << 6) | (k - from);
      end = offset + i.length;
      if (plan === null) {
        at = this.#outOfLine(i, at);
        if (words[at - 3] !== COLD) from = k + 1;
        closed = i.row.endsBlock;
        continue;
      }
      const following = list[k + 1];
      if (!single && following?.i.row.semantics === JCC && following.plan !== null) {
        const number = plan.fused[following.i.opcode & 15] as number;
        if (number >= 0) {
          words[at] = number;
          writeOperands(plan, i, words, at + 1);
          at += plan.words;
          end = following.offset + following.i.length;
          at = this.#branch(at, k + 2 - from, end + following.i.immediate, end);
          closed = true;
          continue;
        }
      }
      const unseen = plan.unseen >= 0 && following !== undefined && following.plan !== null && hidesFlags(following.i);
      words[at] = unseen ? plan.unseen : plan.number;
      writeOperands(plan, i, words, at + 1);
      at = this.#tail(i, at + plan.words, k + 1 - from, end);
      closed = i.row.endsBlock;
    }
    if (!closed) {
      this.#places[at] = (end << 6) | (list.length - from);
      if (list.length > 0) {
        words[at] = END;
        words[at + 1] = list.length - from;
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

  #outOfLine(i: Instruction, at: number): number {
    const { cold, number } = this.#cache.numberOf(i.row, i);
    this.#words[at] = cold ? COLD : i.row.endsBlock ? TRANSFER : HANDLER;
    this.#words[at + 1] = number;
    this.#words[at + 2] = this.#cache.instructions.push(i) - 1;
    return at + 3;
  }

  /** Words behind the operands: condition code, cost, links, return offset, as the semantics want them (generate/hot.ts). */
  #tail(i: Instruction, start: number, cost: number, end: number): number {
    const words = this.#words;
    let at = start;
    switch (i.row.semantics) {
      case 'setcc':
      case 'cmovcc':
        words[at++] = i.opcode & 15;
        return at;
      case JCC:
        words[at++] = i.opcode & 15;
        return this.#branch(at, cost, end + i.immediate, end);
      case 'jmpNear':
        words[at] = cost;
        words[at + 1] = at + 2;
        return this.#link(at + 2, at + 1, end + i.immediate);
      case 'callNear':
        words[at] = cost;
        words[at + 1] = at + 3;
        words[at + 2] = end;
        return this.#link(at + 3, at + 1, end + i.immediate);
      case 'callIndirect':
        words[at++] = cost;
        words[at++] = end;
        return at;
      case 'jmpIndirect':
      case 'retNear':
      case 'retNearImmediate':
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
