/** Shows the loop every one of its forms before it is compiled.
 *
 *  A JavaScript engine compiles the loop for what it has seen; each form that first appears later throws the compiled code
 *  away. So a scratch processor executes each form a few times, with small and overflowing values, memory that the fast
 *  tables reach and memory that they do not. Nothing of it can be seen by guests. */

import {
  ACTIVITY,
  CS,
  EBP,
  EBX,
  EDI,
  EFLAGS,
  EIP,
  ESI,
  ESP,
  EVENTS,
  FLAG_A,
  FLAG_KIND,
  FLAG_R,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
} from '../base/registers.ts';
import { PhysicalMemory } from '../mmu/physical-memory.ts';
import { PortSpace } from '../mmu/port-space.ts';
import { RECORDS_END } from './core-words.ts';
import { Cpu } from './cpu.ts';
import { KIND_SUB, STEP_DEC } from './flags.ts';
import { HOT_FORMS } from './forms.generated.ts';
import { interpret } from './interpreter.generated.ts';
import { plainModel } from './model.ts';
import { FIRST_HOT } from './records.ts';

const BYTES = 0x1_0000;
const DATA = 0x2000;
const STACK = 0x3000;
const CODE = 0x4000;
/** Where every branch of the training leads: a HLT. */
const STOP = 0x100;
const HLT = 0xf4;
/** Where a loop without end stands. */
const SPIN = 0x200;

/** Registers a, b, and what memory is addressed through: base, index, displacement. */
const PASSES: readonly (readonly [a: number, b: number, base: number, displacement: number])[] = [
  [1, 2, DATA, 0],
  [2, 1, DATA, 4],
  [5, 5, DATA, 1],
  [7, 7, DATA, 0],
  [-1, -1, 0x7fff_f000, 0x7fff_0001],
  [0x7fff_ffff, 0x7fff_ffff, 0x7fff_f000, 0x7fff_0001],
  [-0x8000_0000, 0x7fff_ffff, DATA, 0],
  [0x7fff_ffff, -0x8000_0000, DATA, 3],
];

function scratch(): Cpu {
  const memory = new PhysicalMemory(BYTES);
  const cpu = new Cpu({
    memory,
    ports: new PortSpace(),
    model: plainModel,
    interruptController: { acknowledge: () => 0 },
    contexts: 3,
    codeRoom: 1500, // little enough to run full now and then
  });
  const S = cpu.S;
  for (let segment = 0; segment < 6; segment++) {
    S[SEG_BASE + segment] = 0;
    S[SEG_LIMIT + segment] = -1;
    S[SEG_ACCESS + segment] = segment === 1 ? 0xc09b : 0xc093;
  }
  cpu.segmentsChanged();
  return cpu;
}

/** Runs from `eip`, `n` instructions at most, and forgets how it ended. */
function go(cpu: Cpu, eip: number, n: number): void {
  cpu.S[EIP] = eip;
  cpu.S[EVENTS] = 0;
  cpu.S[ACTIVITY] = 0;
  interpret(cpu, n, 64, 0);
}

/** Writes a record of form `number` whose branches lead to `stop`; returns its words. */
function writeRecord(
  words: Int32Array,
  at: number,
  number: number,
  stop: number,
  displacement: number,
  immediate: number,
): number {
  const [name, size] = HOT_FORMS[number - FIRST_HOT] as readonly [string, number];
  const parts = name.split('_');
  words[at] = number;
  let k = at + 1;
  let registers = 0;
  for (const part of parts.slice(1)) {
    switch (part[0]) {
      case 'r':
        words[k++] = registers++ === 0 ? 0 : EBX;
        break;
      case 'h':
        words[k++] = registers++ === 0 ? 0 : EBX << 2;
        break;
      case 'q':
        words[k++] = registers++ === 0 ? 0 : EBX << 1;
        break;
      case 'i':
        words[k++] = /^(sh|sa|ro)/.test(name) ? 3 : part === 'i1' ? immediate & 0xff : immediate;
        break;
      case 'b':
        words[k++] = ESI;
        words[k++] = displacement;
        break;
      case 'x':
        words[k++] = ESI;
        words[k++] = EDI;
        words[k++] = 2;
        words[k++] = displacement;
    }
  }
  k = at + size;
  // Condition code, cost, links: a cost of 1, and every link to the stop.
  if (parts[0] === 'setcc' || parts[0] === 'cmovcc' || parts[0] === 'jcc') words[k++] = 4;
  words[k] = 1;
  words[k + 1] = stop;
  words[k + 2] = parts[0] === 'callNear' ? STOP : stop;
  if (parts[0] === 'setcc' || parts[0] === 'cmovcc') return k - at;
  return /^(j|call|ret)|_j.$/.test(name) ? k + 3 - at : size;
}

/** A few instructions that make links, change their own code, run out of line and in a handler, and leave the page. */
const PROGRAM = [
  0xb9, 70, 0, 0, 0, // mov ecx, 70: the budget allows less, just as much, and more
  0xbf, 0, 0x28, 0, 0, // mov edi, DATA + 800h
  0xf3, 0xaa, // rep stosb
  0xb9, 3, 0, 0, 0, // mov ecx, 3
  0x66, 0x83, 0xc0, 1, // add ax, 1 (out of line)
  0xc6, 0x05, 0x21, 0x40, 0, 0, 0x90, // mov byte [CODE + 21h], nop
  0x49, // dec ecx
  0x75, 0xf2, // jnz to the add
  0x90, 0x90, 0x90,
  0xfa, // cli (a handler)
  0xe9, 0xf0, 0x0f, 0, 0, // jmp to the next page
]; // biome-ignore format: one instruction a line

function runProgram(cpu: Cpu): void {
  for (const n of [0, 1, 2, 5, 9, 1000]) {
    go(cpu, CODE, n);
    cpu.code.generation--; // as after a translation was dropped
  }
  go(cpu, CODE + 0xffb, 10); // its last instruction crosses into the next page
  for (const limit of [CODE + 0x1fff, CODE + 0x20]) {
    cpu.S[SEG_LIMIT + CS] = limit;
    cpu.segmentsChanged();
    go(cpu, CODE, 100);
  }
  cpu.S[SEG_LIMIT + CS] = -1;
  cpu.segmentsChanged();
}

let trained = false;

/** Does the above once in the life of the process. */
export function trainInterpreter(): void {
  if (trained) return;
  trained = true;
  const cpu = scratch();
  const { memory, S } = cpu;
  memory.u8.fill(HLT, 0, DATA);
  memory.u8.set(PROGRAM, CODE);
  memory.u8.fill(HLT, CODE + 0x1000, CODE + 0x2000);
  memory.u8.set([0x48, 0xeb, 0xfd], SPIN); // dec eax; jmp to it
  // The engine takes no notes before so many bytes of a function were executed.
  for (let n = 0; n < 150; n++) go(cpu, STOP, 100);
  cpu.code.clear();
  const { words, places, tags, entries } = cpu.code;
  const record = RECORDS_END - 64;
  // All forms in each pass, not all passes of each form: the engine may begin to compile before the training is over.
  for (const [a, b, base, displacement] of PASSES) {
    runProgram(cpu);
    cpu.code.forgetFetches();
    go(cpu, STOP, 100);
    go(cpu, 0, 100);
    const page = entries[tags.findIndex((tag) => tag >= 0)] as Int32Array;
    const stop = page[STOP] as number;
    for (let number = FIRST_HOT; number < FIRST_HOT + HOT_FORMS.length; number++) {
      const [name] = HOT_FORMS[number - FIRST_HOT] as readonly [string, number];
      const size = writeRecord(words, record, number, stop, displacement, /_[bx]\d_i/.test(name) ? a : b);
      words.set(words.subarray(stop, stop + 3), record + size);
      places[record] = 0;
      places[record + size] = 1;
      page[0] = record;
      S.fill(0, 0, 8);
      S[0] = a;
      S[EBX] = b;
      S[ESI] = base;
      S[EDI] = /_d\d/.test(name) ? base : base >>> 4; // an element's address, or an index
      S[ESP] = base === DATA ? STACK + (displacement & 3) : base;
      S[EBP] = S[ESP] as number;
      // Flags that stand in EFLAGS, and such as have to be worked out: after CMP, after DEC.
      S[FLAG_KIND] = a === b ? 0 : KIND_SUB + 2 + (a < b ? 0 : STEP_DEC + 0x200);
      S[FLAG_A] = a;
      S[FLAG_R] = b;
      if (name.includes('Indirect')) S[0] = STOP;
      S[EFLAGS] = a === b ? 0x42 : 2;
      memory.write32(DATA, b);
      memory.write32(DATA + 4, b);
      memory.write32(STACK, STOP);
      go(cpu, 0, a === 1 || a === 5 ? 0 : 100);
    }
  }
  // Hot it is when enough of it has run; and the engine begins to compile at the next call, which in a guest may be far away.
  cpu.code.clear();
  for (let n = 0; n < 20; n++) go(cpu, SPIN, 2000);
}
