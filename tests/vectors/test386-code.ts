/** The code that test386.asm runs for each shape of line, encoded by hand, and the flags that it prints. */
import { EAX, EDX } from '../../src/base/registers.ts';
import { ALL_FLAGS, FLAGS } from './flags.ts';
import type { Line } from './test386.ts';

/** Address of the memory operand. */
export const DATA = 0x5000;

const { CF, PF, AF, ZF, SF, OF } = FLAGS;

const ALU = ['ADD', 'OR', 'ADC', 'SBB', 'AND', 'SUB', 'XOR', 'CMP'];
const GROUP_3 = ['TEST', '', 'NOT', 'NEG', 'MUL', 'IMUL', 'DIV', 'IDIV'];
const SHIFTS = ['ROL', 'ROR', 'RCL', 'RCR', 'SAL', 'SHR', '', 'SAR'];
const LOGIC = ['OR', 'AND', 'XOR', 'CMP', 'TEST', 'NOT'];
const DECIMAL: Record<string, number[]> = {
  DAA: [0x27],
  DAS: [0x2f],
  AAA: [0x37],
  AAS: [0x3f],
  AAM: [0xd4, 10],
  AAD: [0xd5, 10],
};
const STC = 0xf9;
/** ModRM: register direct, reg = EDX, rm = EAX; and the other way round. */
const EAX_EDX = 0xd0;
const EDX_TO_EAX = 0xc2;

/** The bytes for a line. Some shapes appear twice in the file, the second half with other operands. */
export function encode(l: Line, secondHalf: boolean): number[] {
  if (l.opcode === '') return DECIMAL[l.mnemonic];
  const prefix = l.width === 'W' ? [0x66] : [];
  const width = { B: 0, W: 1, D: 2 }[l.width];
  const op = Number.parseInt(l.opcode.slice(-2), 16);
  const constant = constants(l.mnemonic)[width];
  const immediate = littleEndian(constant, 1 << width);
  const data = littleEndian(DATA, 4);

  if (l.opcode === '0FAF') return [...prefix, 0x0f, op, EDX_TO_EAX];
  if (l.opcode.length === 4) return doubleShift(l, op, prefix);
  if (SHIFTS.includes(l.mnemonic)) return shift(l, op, prefix);
  if (op < 0x40) {
    if ((op & 7) < 2) return [...prefix, op, EAX_EDX];
    if ((op & 7) < 4) return [...prefix, op, 0x05, ...data]; // EAX, [data]
    return [...prefix, op, ...immediate];
  }
  if (op < 0x50) {
    const exchange = [...prefix, 0x90 | (op & 7)]; // xchg eax, r
    return [...exchange, ...prefix, op, ...exchange];
  }
  switch (op) {
    case 0x69:
      return [...prefix, op, 0xc0, ...littleEndian(width === 1 ? 0x777 : 0x77_7777, 1 << width)];
    case 0x6b:
      return [...prefix, op, EDX_TO_EAX, secondHalf ? 0x89 : 0x77];
    case 0x80:
    case 0x81:
      return [...prefix, op, 0xc0 | (ALU.indexOf(l.mnemonic) << 3) | EDX, ...immediate];
    case 0x83:
      return [...prefix, op, 0xc0 | (ALU.indexOf(l.mnemonic) << 3) | EAX, LOGIC.includes(l.mnemonic) ? 0xaa : 0xff];
    case 0x84:
    case 0x85:
      return [...prefix, op, EAX_EDX];
    case 0x98:
      return l.mnemonic === 'CBW' ? [0x66, op] : [op];
    case 0x99:
      return l.mnemonic === 'CWD' ? [0x66, op] : [op];
    case 0xa8:
    case 0xa9:
      return [...prefix, op, ...immediate];
    case 0xf6:
    case 0xf7:
      return groupThree(l, op, prefix, immediate, secondHalf);
    case 0xfe:
    case 0xff: {
      // through memory: mov [data], eax; inc [data]; mov eax, [data]
      const modrm = l.mnemonic === 'INC' ? 0x05 : 0x0d;
      const w = op & 1;
      return [...prefix, 0xa2 | w, ...data, ...prefix, op, modrm, ...data, ...prefix, 0xa0 | w, ...data];
    }
    default:
      throw new Error(`no encoding for ${l.text}`);
  }
}

function constants(mnemonic: string): [number, number, number] {
  if (LOGIC.includes(mnemonic)) return [0xaa, 0xaaaa, 0xaaaa_aaaa];
  return mnemonic === 'SUB' || mnemonic === 'SBB' ? [0xff, 0x8000, 0x8000_0000] : [0xff, 0x8002, 0x8000_0002];
}

function groupThree(l: Line, op: number, prefix: number[], immediate: number[], secondHalf: boolean): number[] {
  const extension = GROUP_3.indexOf(l.mnemonic);
  if (extension === 0) return [...prefix, op, 0xc0 | EDX, ...immediate];
  const onEax = extension < 4 || (extension >= 6 && secondHalf);
  return [...prefix, op, 0xc0 | (extension << 3) | (onEax ? EAX : EDX)];
}

/** The program sets CF before every shift, and shifts by 1, by 7, or by DL. */
function shift(l: Line, op: number, prefix: number[]): number[] {
  const code = [...prefix, op, 0xc0 | (SHIFTS.indexOf(l.mnemonic) << 3)];
  if (op >= 0xd2) return [STC, 0x86, 0xca, ...code, 0x86, 0xca]; // between xchg cl, dl
  return op < 0xd0 ? [STC, ...code, 7] : [STC, ...code];
}

/** SHLD, SHRD: by 8 or 16, or by DL. */
function doubleShift(l: Line, op: number, prefix: number[]): number[] {
  const code = [...prefix, 0x0f, op, EAX_EDX];
  if ((op & 1) === 1) return [STC, 0x88, 0xd1, ...code]; // after mov cl, dl
  return [STC, ...code, l.width === 'W' ? 8 : 16];
}

/** Flags that the program prints, by its kinds of instructions: the others are 0 in the file. */
export function printedFlags(l: Line): number {
  if (l.opcode === '')
    return { AAA: CF | AF, AAS: CF | AF, AAM: SF | ZF | PF, AAD: SF | ZF | PF }[l.mnemonic] ?? ALL_FLAGS & ~OF;
  if (LOGIC.includes(l.mnemonic)) return ALL_FLAGS & ~AF;
  if (l.mnemonic === 'MUL' || l.mnemonic === 'IMUL') return CF | OF;
  if (l.mnemonic === 'DIV' || l.mnemonic === 'IDIV') return 0;
  if (l.opcode.length === 4) return CF | PF | ZF | SF;
  if (!SHIFTS.includes(l.mnemonic)) return ALL_FLAGS;
  const withOverflow = l.opcode.startsWith('D') ? Number.parseInt(l.opcode, 16) < 0xd2 : l.mnemonic.startsWith('R');
  return CF | PF | ZF | SF | (withOverflow ? OF : 0);
}

const littleEndian = (value: number, bytes: number): number[] =>
  [value, value >> 8, value >> 16, value >> 24].slice(0, bytes).map((b) => b & 0xff);
