/** From bytes to what the interpreter runs: decoding, and building blocks. */

import { decode } from '../../src/cpu/decode.ts';
import type { Instruction } from '../../src/cpu/instruction.ts';
import { BLOCK_LIMIT } from '../../src/cpu/records.ts';
import { Machine } from '../../src/machine/machine.ts';
import type { Body } from '../harness.ts';
import { assembleKernel } from './sources.ts';

const MEMORY = 8 << 20;
const PAGE = 4096;
const SLOT = 0;
const PASSES = 8;

interface Program {
  readonly machine: Machine;
  /** Offsets in its first page at which blocks begin, and how many instructions these have together. */
  readonly starts: readonly number[];
  readonly instructions: number;
  readonly base: number;
}

/** A kernel in memory, its code cut into blocks one behind the other. */
function program(name: string): Program {
  const { bytes, lines, symbols } = assembleKernel(name);
  const base = 0x10_0000;
  const from = (symbols.get('bench') as number) - base;
  const end = Math.min(bytes.length, PAGE);
  const machine = new Machine({ memory: MEMORY });
  machine.load(bytes);
  const isCode = new Set(lines.map(({ address }) => address - base));
  const starts: number[] = [];
  let instructions = 0;
  for (let at = from, inBlock = 0; at < end; ) {
    const i = isCode.has(at) ? decode(bytes, at, end, 4) : 'truncated';
    if (typeof i === 'string') break;
    if (inBlock === 0) starts.push(at);
    instructions++;
    inBlock = i.row.endsBlock || inBlock + 1 === BLOCK_LIMIT ? 0 : inBlock + 1;
    at += i.length;
  }
  return { machine, starts, instructions, base };
}

export function codeBodies(): Body[] {
  const { machine, starts, instructions, base } = program('bytes');
  const { cpu } = machine;
  const bytes = machine.memory.readBytes(base, PAGE);
  const first = starts[0] as number;
  return [
    {
      name: 'decode',
      unit: 'instructions',
      units: instructions * PASSES,
      run: () => {
        let sum = 0;
        for (let pass = 0; pass < PASSES; pass++) {
          let at = first;
          for (let n = 0; n < instructions; n++) at += (decode(bytes, at, PAGE, 4) as Instruction).length;
          sum += at;
        }
        return sum;
      },
    },
    {
      name: 'build blocks',
      unit: 'instructions',
      units: instructions,
      against: 'decode',
      run: () => {
        const mode = cpu.code.mode();
        cpu.code.clear();
        cpu.code.fetch(base, SLOT, mode);
        let record = 0;
        for (const start of starts) record += cpu.code.build(base + start, SLOT, mode);
        return record;
      },
    },
  ];
}
