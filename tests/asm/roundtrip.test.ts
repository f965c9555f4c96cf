import { describe, expect, test } from 'vitest';
import { formsOf } from '../../src/asm/forms.ts';
import { assemble, encode } from '../../src/asm/index.ts';
import type { AssemblyInstruction, MemoryOperand, Operand } from '../../src/asm/operands.ts';
import { ZERO } from '../../src/base/registers.ts';
import { decode } from '../../src/cpu/decode.ts';
import type { Instruction } from '../../src/cpu/instruction.ts';
import { type Bits, everyForm, isMemory, Random, sample } from './generator.ts';
import { hexOf } from './nasm.ts';

const SAMPLES = 8;

/** The sum that an address is: registers with factors, and a number of that many bits. */
function sumOf(terms: readonly (readonly [number, number])[], displacement: number, bytes: number): string {
  const sum = new Map<number, number>();
  for (const [register, factor] of terms) sum.set(register, (sum.get(register) ?? 0) + factor);
  const registers = [...sum].sort((a, b) => a[0] - b[0]).map(([r, f]) => `${f}*r${r}`);
  return `[${[...registers, BigInt.asUintN(8 * bytes, BigInt(displacement))].join('+')}]`;
}

function writtenAddress(m: MemoryOperand, bytes: number): string {
  const terms: [number, number][] = [];
  if (m.base !== null) terms.push([m.base.number, 1]);
  if (m.index !== null) terms.push([m.index.number, m.scale]);
  return sumOf(terms, Number(m.displacement.number), bytes);
}

function decodedAddress(i: Instruction): string {
  const terms: [number, number][] = [];
  if (i.base !== ZERO) terms.push([i.base, 1]);
  if (i.index !== ZERO) terms.push([i.index, 1 << i.scale]);
  return sumOf(terms, i.displacement, i.addressSize);
}

const low = (n: bigint | number, bytes: number): string => `#${BigInt.asUintN(8 * bytes, BigInt(n))}`;

/** What an operand code of the decoded row stands for in `i`, in words that `written` uses too. */
function decodedOperand(i: Instruction, code: string, bits: Bits): string[] {
  const width = code.endsWith('b') ? 1 : code.endsWith('w') ? 2 : i.operandSize;
  const memory = `${decodedAddress(i)}`;
  if (/^[EMR]/.test(code)) return [i.memory ? memory : `r${i.rm}`];
  if (/^[GCDS][bwvd]$/.test(code)) return [`r${i.reg}`];
  if (code.startsWith('Z')) return [`r${i.opcode & 7}`];
  if (i.row.mnemonic === 'ENTER' && code === 'Ib') return [low(i.immediate2, 1)];
  if (code === 'sIb') return [low(i.immediate, i.operandSize)];
  if (/^I/.test(code)) return [low(i.immediate, width)];
  if (code.startsWith('O')) return [memory];
  if (code.startsWith('J')) return [low(i.length + i.immediate, bits / 8)];
  if (code === 'Ap') return [`${low(i.immediate2, 2)}:${low(i.immediate, i.operandSize)}`];
  return [];
}

function writtenOperand(o: Operand, i: Instruction, code: string, bits: Bits): string {
  switch (o.kind) {
    case 'register':
      return `r${o.register.number}`;
    case 'memory':
      return writtenAddress(o, i.addressSize);
    case 'far':
      return `${low(o.selector.number, 2)}:${low(o.offset.number, i.operandSize)}`;
    case 'immediate': {
      const width = code.endsWith('w') ? 2 : code === 'Ib' ? 1 : code.startsWith('J') ? bits / 8 : i.operandSize;
      return low(o.value.number, width);
    }
  }
}

/** A displacement that is said to be a byte is cut to one, as nasm does. */
const isCut = (o: Operand): boolean =>
  isMemory(o) && o.displacementSize === 1 && BigInt.asIntN(8, o.displacement.number) !== o.displacement.number;

function check(typed: AssemblyInstruction, bits: Bits, text: string): void {
  const bytes = encode(typed, bits);
  expect(hexOf(assemble(`bits ${bits}\n${text}`).bytes), text).toBe(hexOf(bytes));
  const i = decode(bytes, 0, bytes.length, bits === 16 ? 2 : 4);
  if (typeof i === 'string') throw new Error(`${text}: ${hexOf(bytes)} is ${i}`);
  // MOV CS is an encoding, but no instruction
  if (i.row.mnemonic === 'UD' && /^mov cs/i.test(text)) return;
  expect(i.length, text).toBe(bytes.length);
  // 90 is NOP, whatever it was written as
  if (i.row.mnemonic === 'NOP' && typed.mnemonic === 'XCHG') return;
  expect(
    (formsOf(typed.mnemonic) ?? []).map((f) => f.row),
    `${text}: ${i.row.mnemonic}`,
  ).toContain(i.row);
  const codes = i.row.operands.filter(
    (code) => /^([EMRGCDSZIJOA][bwvdzpasq]|Rv\/Mw|Mdq|M|sIb)/.test(code) && !/^[XY]/.test(code),
  );
  let operands = typed.operands.filter((o, n) => o.kind !== 'register' || !isImplied(i, typed, n));
  if (i.row.mnemonic === 'IMUL' && i.row.operands.length === 3 && operands.length === 2)
    operands = [operands[0] as Operand, ...operands];
  if (codes.length !== operands.length) return;
  // XCHG and TEST may be encoded the other way round
  const decoded = codes.flatMap((code) => decodedOperand(i, code, bits));
  const written = operands.map((o, n) => writtenOperand(o, i, codes[n] as string, bits));
  const swaps = /^(XCHG|TEST)$/.test(i.row.mnemonic);
  expect(swaps ? decoded.sort() : decoded, text).toEqual(swaps ? written.sort() : written);
}

/** A register that the opcode implies has no field to compare. */
const isImplied = (i: Instruction, typed: AssemblyInstruction, n: number): boolean => {
  const o = typed.operands[n];
  return (
    o?.kind === 'register' &&
    i.row.operands.some((code) => new RegExp(`^(${code.replace(/^[re](?=AX$)/, 'e?')})$`, 'i').test(o.register.name)) &&
    !/^[EGMRCDSZ][bwvd]/.test(i.row.operands[n] ?? '')
  );
};

describe('what is encoded is what the decoder reads', () => {
  for (const bits of [16, 32] as const)
    test(`every form, ${bits} bits`, () => {
      const r = new Random(bits);
      let checked = 0;
      for (const { name, form } of everyForm())
        for (let n = 0; n < SAMPLES; n++) {
          const { typed, text } = sample(r, bits, name, form);
          if (typed === null || typed.operands.some(isCut)) continue;
          check(typed, bits, text);
          checked++;
        }
      expect(checked).toBeGreaterThan(4000);
    });
});
