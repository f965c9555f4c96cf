/** A flat processor that runs assembled code up to its HLT and notes every event: its vector, the label (or offset) of the
 *  instruction that it belongs to or returns to, DR6 where it is a debug exception, and the EFLAGS.RF that is pushed. */

import { assemble } from '../../../src/asm/index.ts';
import { CPL, DEBUG_B, DEBUG_BD, DEBUG_BS, DEBUG_BT, DR6, EIP, ESP, IDTR_BASE } from '../../../src/base/registers.ts';
import { CODE, Processor, STACK } from '../processor.ts';

export class Debuggee extends Processor {
  symbols = new Map<string, number>();

  /** Assembles `source` at CODE. The label db, where there is one, handles debug exceptions; int3 vector 3, int80 vector 16. */
  assemble(source: string): void {
    const program = assemble(`bits 32\norg ${CODE}\n${source}\nend: hlt\n`);
    this.symbols = program.symbols;
    for (const [k, byte] of program.bytes.entries()) this.memory.write8(CODE + k, byte);
    this.S[EIP] = CODE;
    const idt = this.S[IDTR_BASE];
    for (const [label, vector] of Object.entries({ db: 1, bp: 3, vector16: 16, gp: 13, pf: 14 })) {
      const at = this.symbols.get(label);
      if (at !== undefined) this.memory.write32(idt + 8 * vector, (8 << 16) | at);
    }
  }

  /** The name of an address: a label, or label+distance. */
  name(address: number): string {
    let best = '';
    let from = -1;
    for (const [label, at] of this.symbols) if (at <= address && at > from) [best, from] = [label, at];
    return address === from ? best : `${best}+${address - from}`;
  }

  /** Runs to the last HLT; each event as 'vector@label', with what DR6 says after a debug exception, and 'rf' if RF is pushed. */
  trace(source: string, between: () => void = () => {}): string[] {
    this.assemble(source);
    const { S, cpu, memory } = this;
    const events: string[] = [];
    // What is to be read off the stack when the delivery is over: EIP is pushed there, EFLAGS 8 above it.
    let asked: { vector: number; eip: number; frame: number; dr6: number } | null = null;
    const note = (): void => {
      if (asked === null) return;
      const { vector, eip, frame } = asked;
      const returns = memory.read32(frame);
      const flags = memory.read32(frame + 8);
      const place = returns === eip ? this.name(eip) : `${this.name(eip)}>${this.name(returns)}`;
      const words = [`${vector}@${place}`];
      if (vector === 1) words.push(dr6(asked.dr6));
      if (flags & 0x1_0000) words.push('rf');
      events.push(words.join(' '));
      asked = null;
    };
    cpu.observer = {
      onEvent: (event) => {
        note();
        const frame = S[CPL] === 0 ? S[ESP] - 12 : STACK - 0x800 - 20;
        asked = { vector: event.vector, eip: S[EIP], frame, dr6: S[DR6] };
      },
    };
    for (let k = 0; k < 1000; k++) {
      const end = this.run(1);
      note();
      if (end === 'halted') break;
      between();
    }
    cpu.observer = null;
    return events;
  }
}

const BITS: readonly (readonly [string, number])[] = [
  ['B0', 1],
  ['B1', 2],
  ['B2', 4],
  ['B3', 8],
  ['BD', DEBUG_BD],
  ['BS', DEBUG_BS],
  ['BT', DEBUG_BT],
];

/** DR6 in words; its fixed bits must be as they always are. */
export function dr6(value: number): string {
  if ((value & ~(DEBUG_B | DEBUG_BD | DEBUG_BS | DEBUG_BT)) >>> 0 !== 0xffff_0ff0) return `DR6=${value.toString(16)}`;
  return BITS.filter(([, bit]) => value & bit)
    .map(([name]) => name)
    .join('+');
}

/** A handler of debug exceptions that clears DR6 and goes on, with RF set so that breakpoints on instructions do not hit twice. */
export const HANDLER = `
db: push eax
    xor eax, eax
    mov dr6, eax
    or dword [esp + 12], 10000h
    pop eax
    iretd
`;
