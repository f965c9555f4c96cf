/** Looks at the processor while it runs: where it is, what it executes. Changes nothing. */

import { CPL, CS, EIP, SEG_BASE, SEG_SELECTOR } from '../base/registers.ts';
import type { Cpu } from '../cpu/cpu.ts';
import { decode } from '../cpu/decode.ts';
import { disassemble } from '../cpu/disassemble.ts';

const LONGEST = 15;
const PAGE_MASK = 0xfff;

/** An instruction that is about to be executed. */
export interface Seen {
  readonly cs: number;
  readonly eip: number;
  readonly linear: number;
  readonly cpl: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** The instruction at EIP, as far as its bytes can be read. */
export function look(cpu: Cpu): Seen {
  const { S } = cpu;
  const eip = S[EIP] >>> 0;
  const linear = (eip + S[SEG_BASE + CS]) >>> 0;
  const window = codeBytes(cpu, linear);
  const i = decode(window, 0, window.length, cpu.codeSize);
  const place = { cs: S[SEG_SELECTOR + CS], eip, linear, cpl: S[CPL] };
  if (typeof i === 'string') return { ...place, bytes: window.subarray(0, 1), text: '(cannot be fetched)' };
  const bytes = window.subarray(0, i.length);
  return { ...place, bytes, text: disassemble(i, eip, bytes, cpu.codeSize) };
}

function codeBytes(cpu: Cpu, linear: number): Uint8Array {
  const bytes = new Uint8Array(LONGEST);
  let host = -1;
  for (let k = 0; k < LONGEST; k++) {
    const at = (linear + k) >>> 0;
    if (host < 0 || (at & PAGE_MASK) === 0) {
      const found = cpu.mmu.physicalOf(at | 0, 'fetch');
      if (!found.ok) return bytes.subarray(0, k);
      host = found.hostPhysical;
    }
    bytes[k] = cpu.memory.read8(host++);
  }
  return bytes;
}
