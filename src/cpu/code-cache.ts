/** Decoded code: records per physical page and flavour, found by offset in the page.
 *
 *  Lifetime: a page's records live until bytes under them change (then the blocks concerned go stale, record by record) or
 *  the arena is full (then everything goes). Links join blocks of one page only, so they need no check of translations. */

import { CONTEXT, CS, EIP, SEG_LIMIT, SS_, START_EIP } from '../base/registers.ts';
import { GP, UD } from '../base/signal.ts';
import { PAGE_CODE } from '../mmu/physical-memory.ts';
import { BlockBuilder } from './block-builder.ts';
import { COLD_FORMS } from './cold.generated.ts';
import { ARENA_WORDS, RECORDS_AT, RECORDS_END, TABLES_AT } from './core-words.ts';
import type { Cpu } from './cpu.ts';
import { decode } from './decode.ts';
import { HOT_FORMS } from './forms.generated.ts';
import { coldName } from './generate/operands.ts';
import { handlers } from './handlers.ts';
import { blankInstruction, type Instruction } from './instruction.ts';
import { currentMode, MODE_CODE32, MODE_FLAT, MODES } from './mode.ts';
import { FIRST_HOT, MOVED, STALE } from './records.ts';
import type { Handler, Row } from './rows.ts';
import { checkPrivilege } from './system/privilege.ts';

const FETCH_SLOTS = 256;
/** No block needs more. */
const BLOCK_WORDS = 1024;

/** The decoded form of one physical page under one flavour. */
export interface CodePage {
  frame: number;
  mode: number;
  /** Record of the block that starts at each offset, 0 if none. */
  readonly entries: Int32Array;
  /** Four numbers for each block: bytes [start, end) of the page were decoded into records [first, last). */
  readonly blocks: number[];
}

/** Numbers of a block in `CodePage.blocks`. */
const START = 0;
const BLOCK_END = 1;
const FIRST = 2;
const LAST = 3;
const BLOCK_NUMBERS = 4;

const NO_ENTRIES = new Int32Array(4096);

/** How a record of the loop runs out of line: its instruction and, if a Jcc is fused to it, that. */
interface SlowForm {
  readonly run: Handler<Cpu>;
  readonly i: Instruction;
  readonly jcc: { readonly run: Handler<Cpu>; readonly i: Instruction } | null;
  /** Words of the record, 0 if it ends its block. */
  readonly words: number;
}

/** The handler of a row, behind the privilege check that the row demands. */
function handlerOf(row: Row): Handler<Cpu> {
  const handler = handlers[row.semantics];
  if (handler === undefined) throw new Error(`no handler ${row.semantics}`);
  if (row.privilege === null) return handler;
  return (cpu, i) => {
    checkPrivilege(cpu, row);
    handler(cpu, i);
  };
}

/** MOV SS and POP SS block interrupts. */
const loadsSs = (row: Row, i: Instruction): boolean =>
  row.operands[0] === 'SS' || (row.semantics === 'movToSegment' && i.reg === SS_);

export class CodeCache {
  readonly words: Int32Array;
  /** Beside each record's first word: offset from the page's start << 6 | index in its block. */
  readonly places: Int32Array;
  /** Instructions of out-of-line records, so many of them in use; the objects are used again after `clear`. */
  readonly instructions: Instruction[] = [];
  used = 0;
  /** Rows whose semantics are out-of-line forms or handlers get a number at first use. */
  readonly cold: Handler<Cpu>[] = [];
  readonly handlers: Handler<Cpu>[] = [];
  readonly #numbers = new Map<string, number>();
  /** What numberOf said, by row and what else it depends on: number << 1 | cold. */
  readonly #numbered: (number | undefined)[] = [];

  /** Fetch translations in use: tag = linear page | context << 20 | flavour << 24, −1 none. */
  readonly tags = new Int32Array(FETCH_SLOTS).fill(-1);
  readonly entries: Int32Array[] = new Array(FETCH_SLOTS).fill(NO_ENTRIES);
  readonly #pages: (CodePage | null)[] = new Array(FETCH_SLOTS).fill(null);
  generation = -1;
  /** Writes so far that changed decoded bytes. */
  rewrites = 0;

  readonly #byFrame = new Map<number, CodePage>();
  /** Pages that were forgotten, to be used again. */
  readonly #freePages: CodePage[] = [];
  /** For each frame that holds code: one bit a byte, set where a block was decoded. */
  readonly #covered = new Map<number, Int32Array>();
  /** Records that had to run out of line: number in #slowForms by place, 0 none. Places are not used twice before `clear`. */
  readonly #slow = new Int32Array(RECORDS_END);
  readonly #slowForms: SlowForm[] = [];
  readonly #builder: BlockBuilder;
  readonly #cpu: Cpu;
  #next = RECORDS_AT;
  readonly #end: number;

  /** `room`: words of records to keep at most, at most ARENA_WORDS. */
  constructor(cpu: Cpu, room: number = ARENA_WORDS) {
    this.#cpu = cpu;
    this.#end = RECORDS_AT + room;
    this.words = cpu.core;
    this.places = cpu.core.subarray(ARENA_WORDS, TABLES_AT);
    this.#builder = new BlockBuilder(this, this.words, this.places);
    cpu.memory.onCodeWrite = (at, length) => this.written(at, length);
  }

  /** Flavour in force, computed anew after a segment register changed. */
  mode(): number {
    return currentMode(this.#cpu.S);
  }

  /** Outside flat mode: whether the limit of CS lies inside the page, so that each instruction has to be held against it. #GP(0)
   *  when EIP lies beyond. */
  isTight(eip: number, linear: number): boolean {
    const limit = this.#cpu.S[SEG_LIMIT + CS] >>> 0;
    if (eip >>> 0 > limit) this.#cpu.raise(GP, 0, 'EIP lies beyond the limit of CS');
    return (eip >>> 0) - (linear & 4095) + 4095 > limit;
  }

  forgetFetches(): void {
    this.tags.fill(-1);
    this.generation = this.#cpu.mmu.fetchGeneration;
  }

  /** Looks up the page of a linear address for fetching and enters it in `slot`. May throw the signal. */
  fetch(linear: number, slot: number, mode: number): void {
    const { mmu, S } = this.#cpu;
    const physical = mmu.fetchPage(linear);
    if (physical < 0) this.#cpu.raise(UD, -1, 'no memory to fetch from');
    const frame = physical >>> 12;
    const key = frame * MODES + mode;
    let page = this.#byFrame.get(key);
    if (page === undefined) {
      page = this.#freePages.pop() ?? { frame, mode, entries: new Int32Array(4096), blocks: [] };
      page.frame = frame;
      page.mode = mode;
      this.#byFrame.set(key, page);
    }
    if (mmu.fetchGeneration !== this.generation) this.forgetFetches();
    this.tags[slot] = (linear >>> 12) | (S[CONTEXT] >>> 1) | (mode << 24);
    this.entries[slot] = page.entries;
    this.#pages[slot] = page;
  }

  /** Decodes the block at `linear` of the page in `slot`; returns its record. May throw the signal. */
  build(linear: number, slot: number, mode: number): number {
    if (this.#next + BLOCK_WORDS > this.#end) {
      this.clear();
      this.fetch(linear, slot, mode);
    }
    const page = this.#pages[slot] as CodePage;
    const { memory } = this.#cpu;
    if (((memory.pageFlags[page.frame] as number) & PAGE_CODE) === 0) memory.setPageFlag(page.frame, PAGE_CODE);
    const offset = linear & 4095;
    const first = this.#next;
    const end = this.#builder.build(this.#cpu, page, offset, first);
    this.#next = this.#builder.next;
    page.entries[offset] = first;
    page.blocks.push(offset, end, first, this.#next);
    this.#cover(page.frame, offset, end);
    return first;
  }

  /** Resolves a link record inside the page: patches the word that led to it. −1 when the arena is full. */
  link(at: number, pageLinear: number, slot: number, mode: number): number {
    const offset = this.words[at + 2];
    const known = (this.#pages[slot] as CodePage).entries[offset];
    if (known === 0 && this.#next + BLOCK_WORDS > this.#end) return -1;
    const record = known !== 0 ? known : this.build(pageLinear + offset, slot, mode);
    this.words[this.words[at + 1]] = record;
    return record;
  }

  /** Replaces a stale record by what its bytes are now. −1 when the arena is full. */
  renew(at: number, linear: number, slot: number, mode: number): number {
    const page = this.#pages[slot] as CodePage;
    if (this.#next + BLOCK_WORDS > this.#end) return -1;
    const known = page.entries[linear & 4095];
    const record = known !== 0 ? known : this.build(linear, slot, mode);
    this.words[at] = MOVED;
    this.words[at + 1] = record;
    // What led to the stale record has been accounted for already; from now on MOVED does it.
    return record;
  }

  /** Bytes are about to be written to a frame that holds code. */
  written(at: number, length: number): void {
    for (let from = at; from < at + length; ) {
      const frame = from >>> 12;
      const to = Math.min(at + length, (frame + 1) * 4096);
      const covered = this.#covered.get(frame);
      if (covered !== undefined) this.#invalidate(frame, covered, from & 4095, to - frame * 4096);
      from = to;
    }
  }

  #invalidate(frame: number, covered: Int32Array, start: number, end: number): void {
    let hit = false;
    for (let k = start; k < end && !hit; k++) hit = ((covered[k >> 5] as number) & (1 << k)) !== 0;
    if (!hit) return;
    this.rewrites++;
    for (let mode = 0; mode < MODES; mode++) {
      const page = this.#byFrame.get(frame * MODES + mode);
      if (page === undefined) continue;
      const { blocks } = page;
      let kept = 0;
      for (let k = 0; k < blocks.length; k += BLOCK_NUMBERS) {
        if ((blocks[k + START] as number) >= end || (blocks[k + BLOCK_END] as number) <= start) {
          for (let n = 0; n < BLOCK_NUMBERS; n++) blocks[kept++] = blocks[k + n] as number;
        } else this.#stale(page, k);
      }
      blocks.length = kept;
    }
    covered.fill(0);
    let left = 0;
    for (let mode = 0; mode < MODES; mode++) {
      const blocks = this.#byFrame.get(frame * MODES + mode)?.blocks ?? [];
      for (let k = 0; k < blocks.length; k += BLOCK_NUMBERS) {
        this.#cover(frame, blocks[k + START] as number, blocks[k + BLOCK_END] as number);
        left++;
      }
    }
    if (left === 0) this.#cpu.memory.clearPageFlag(frame, PAGE_CODE);
  }

  /** Every word of the block becomes STALE, so every record in it does; links to it find out when they get there. */
  #stale({ entries, blocks }: CodePage, block: number): void {
    const start = blocks[block + START] as number;
    const first = blocks[block + FIRST] as number;
    this.words.fill(STALE, first, blocks[block + LAST]);
    if (entries[start] === first) entries[start] = 0;
  }

  #cover(frame: number, start: number, end: number): void {
    let covered = this.#covered.get(frame);
    if (covered === undefined) {
      covered = new Int32Array(4096 / 32);
      this.#covered.set(frame, covered);
    }
    for (let k = start; k < end; ) {
      const to = Math.min((k | 31) + 1, end);
      covered[k >> 5] = (covered[k >> 5] as number) | ((-1 >>> (32 - (to - k))) << k);
      k = to;
    }
  }

  /** Forgets all decoded code. Not to be called from inside a block. */
  clear(): void {
    for (const page of this.#byFrame.values()) {
      page.entries.fill(0);
      page.blocks.length = 0;
      this.#freePages.push(page);
    }
    this.#pages.fill(null);
    this.#byFrame.clear();
    this.#covered.clear();
    this.#slow.fill(0);
    this.#slowForms.length = 0;
    this.used = 0;
    this.#next = RECORDS_AT;
    this.forgetFetches();
  }

  /** Keeps an instruction for a record, under the number that `used` had; returns an object that nobody uses. */
  exchange(i: Instruction): Instruction {
    const free = this.instructions[this.used];
    this.instructions[this.used++] = i;
    return free ?? blankInstruction();
  }

  /** Number of an out-of-line form or handler for a row; adds it at first use. */
  numberOf(row: Row, i: Instruction): { cold: boolean; number: number } {
    const packed = this.#packedNumber(row, i);
    return { cold: (packed & 1) !== 0, number: packed >> 1 };
  }

  #packedNumber(row: Row, i: Instruction): number {
    const key = (row.number << 3) | (i.operandSize & 4) | (i.memory ? 2 : 0) | (i.reg === SS_ ? 1 : 0);
    const known = this.#numbered[key];
    if (known !== undefined) return known;
    const memory = i.memory && row.operands.some((o) => o.startsWith('E') || o.startsWith('M'));
    const name = coldName(row.semantics, row.operands, i.operandSize, memory);
    const form = COLD_FORMS[name];
    const cold = form !== undefined ? !row.endsBlock : row.quiet && !loadsSs(row, i);
    const shared = form !== undefined ? name : `${row.semantics} ${row.privilege} ${cold}`;
    const list = cold ? this.cold : this.handlers;
    let number = this.#numbers.get(shared);
    if (number === undefined) {
      number = list.push(form ?? handlerOf(row)) - 1;
      this.#numbers.set(shared, number);
    }
    while (this.#numbered.length <= key) this.#numbered.push(undefined);
    const packed = (number << 1) | (cold ? 1 : 0);
    this.#numbered[key] = packed;
    return packed;
  }

  /** Runs the record at `at` (of the page in `slot`) out of line. Returns the next record, or, where it ended its block, minus the
   *  number of instructions it stands for; then EIP says how to go on. */
  runSlowly(cpu: Cpu, at: number, slot: number): number {
    const form =
      this.#slow[at] !== 0 ? (this.#slowForms[this.#slow[at] - 1] as SlowForm) : this.#slowForm(cpu, at, slot);
    const { S } = cpu;
    S[EIP] = (S[START_EIP] + form.i.length) | 0;
    form.run(cpu, form.i);
    if (form.words !== 0) return at + form.words;
    if (form.jcc === null) return -1;
    S[EIP] = (S[EIP] + form.jcc.i.length) | 0;
    form.jcc.run(cpu, form.jcc.i);
    return -2;
  }

  #slowForm(cpu: Cpu, at: number, slot: number): SlowForm {
    const { frame, mode } = this.#pages[slot] as CodePage;
    const [name, words] = HOT_FORMS[this.words[at] - FIRST_HOT] as readonly [string, number];
    const decodeAt = (offset: number): { run: Handler<Cpu>; i: Instruction } => {
      const place = frame * 4096 + offset;
      const i = decode(cpu.memory.u8, place, (frame + 1) * 4096, (mode & MODE_CODE32) !== 0 ? 4 : 2) as Instruction;
      const { cold, number } = this.numberOf(i.row, i);
      return { run: (cold ? this.cold : this.handlers)[number] as Handler<Cpu>, i };
    };
    const offset = this.places[at] >> 6;
    const first = decodeAt(offset);
    const jcc = /_j[0-9a-f]$/.test(name) ? decodeAt(offset + first.i.length) : null;
    const { run, i } = first;
    const form = { run, i, jcc, words: jcc !== null || i.row.endsBlock ? 0 : words };
    this.#slow[at] = this.#slowForms.push(form);
    return form;
  }

  /** An instruction that crosses into the next page, or might run over the limit of CS: fetched at each execution, nothing is kept. */
  crossing(cpu: Cpu, linear: number, mode: number): void {
    const size = (mode & MODE_CODE32) !== 0 ? 4 : 2;
    const bytes = new Uint8Array(16);
    const here = Math.min(4096 - (linear & 4095), 16);
    const first = cpu.mmu.fetchPage(linear);
    if (first < 0) cpu.raise(UD, -1, 'no memory to fetch from');
    bytes.set(cpu.memory.u8.subarray(first, first + here));
    const i = this.#decodeAcross(cpu, bytes, linear, here, size);
    const last = (cpu.S[EIP] >>> 0) + i.length - 1;
    if ((mode & MODE_FLAT) === 0 && last > cpu.S[SEG_LIMIT + CS] >>> 0)
      cpu.raise(GP, 0, 'the instruction runs over the limit of CS');
    cpu.S[EIP] = (cpu.S[EIP] + i.length) | 0;
    const { cold, number } = this.numberOf(i.row, i);
    (cold ? this.cold : this.handlers)[number]?.(cpu, i);
  }

  #decodeAcross(cpu: Cpu, bytes: Uint8Array, linear: number, here: number, size: 2 | 4): Instruction {
    const alone = decode(bytes, 0, here, size);
    if (typeof alone === 'object') return alone;
    if (alone === 'tooLong') cpu.raise(GP, 0, 'instruction longer than 15 bytes');
    const second = cpu.mmu.fetchPage((linear + here) | 0);
    if (second < 0) cpu.raise(UD, -1, 'no memory to fetch from');
    bytes.set(cpu.memory.u8.subarray(second, second + 16 - here), here);
    const i = decode(bytes, 0, 16, size);
    if (typeof i !== 'object') cpu.raise(GP, 0, 'instruction longer than 15 bytes');
    return i;
  }
}
