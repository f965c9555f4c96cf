/** Random instructions: an opcode row and three random numbers become bytes that the decoder takes for that row. */
import { decode } from '../../src/cpu/decode.ts';
import { ONE_BYTE_CELLS, THREE_BYTE_CELLS, TWO_BYTE_CELLS } from '../../src/cpu/decode-tables.ts';
import { rows } from '../../src/cpu/opcodes/index.ts';
import type { Row } from '../../src/cpu/rows.ts';
import { CODE_BYTES, type Mode } from './modes.ts';

/** A row by its number, and where its operands come from. */
export type Piece = readonly [row: number, a: number, b: number, c: number];

const EBX = 3;
const EBP = 5;
const ESI = 6;
const EDI = 7;
const POINTERS = [EBX, EBP, ESI, EDI, EBX, ESI, EDI, EBX];
const SEGMENT_PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
/** In the kernel's tables, and some that are not. */
const SELECTORS = [0x23, 0x1b, 0x53, 0x4b, 0x43, 0x10, 0x08, 0x07, 0x0f, 0x60, 0x63, 0x68, 0x6b, 0x73, 0x79, 0x99, 0x83, 0x8b, 0x28, 0x90, 0x58, 0, 3, 0xa0]; // biome-ignore format: a list
const PORTS = [0x80, 0x40, 0x42, 0x61, 0x20, 0x21, 0x70, 0xa1, 0x43, 0x41, 0x4d, 0xe9];
const NUMBERS = [
  0, 1, 2, 4, 8, 31, 32, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, -0x8000_0000, -1, -2, -128,
];

const pick = <T>(list: readonly T[], n: number): T => list[(n >>> 0) % list.length] as T;

/** Bytes of an instruction in a segment of `mode`. */
export function encodePiece([number, a, b, c]: Piece, mode: Mode): number[] {
  const row = rows[number % rows.length] as Row;
  const bytes: number[] = [];
  const wide = (((a >>> 3) & 15) === 0) !== mode.wide; // operand size
  const addressWide = (((a >>> 7) & 15) === 0) !== mode.wide;
  if (row.prefix !== 0x66 && wide !== mode.wide) bytes.push(0x66);
  if (addressWide !== mode.wide) bytes.push(0x67);
  if (row.lockable ? ((a >>> 11) & 3) === 0 : ((a >>> 11) & 63) === 0) bytes.push(0xf0);
  if (((a >>> 17) & 15) === 0) bytes.push(pick(SEGMENT_PREFIXES, c >>> 3));
  if (row.prefix !== 0) bytes.push(row.prefix);
  else if (row.repeatable && (a & 2) === 0) bytes.push((a & 1) === 0 ? 0xf3 : 0xf2);
  const long = row.map === 1 ? [] : row.map === 2 ? [0x0f] : [0x0f, 0x38];
  const inOpcode = row.operands.some((o) => o.startsWith('Z'));
  bytes.push(...long, inOpcode ? row.opcode | register((a >>> 21) & 7, b) : row.opcode);
  const cells = row.map === 1 ? ONE_BYTE_CELLS : row.map === 2 ? TWO_BYTE_CELLS : THREE_BYTE_CELLS;
  if (cells[row.opcode]?.modrm) bytes.push(...modrm(row, a, b, mode, addressWide));
  bytes.push(...immediate(row, b, c, mode));
  const buffer = new Uint8Array(32).fill(0x90);
  buffer.set(bytes.slice(0, 32));
  const decoded = decode(buffer, 0, 32, mode.wide ? 4 : 2);
  return typeof decoded === 'string' ? bytes.slice(0, 15) : [...buffer.subarray(0, decoded.length)];
}

/** ESP is hardly ever what an instruction writes: most programs would end there. */
const register = (r: number, b: number): number => (r === 4 && (b & 0x1f00) !== 0 ? 0 : r);

function modrm(row: Row, a: number, b: number, mode: Mode, wide: boolean): number[] {
  if (typeof row.form === 'number') return [row.form];
  const reg = row.extension >= 0 ? row.extension : register((a >>> 21) & 7, b);
  const inRegister = row.form === 'register' || (row.form === 'any' && ((a >>> 24) & 3) === 0);
  if (inRegister) return [0xc0 | (reg << 3) | register((a >>> 26) & 7, b >>> 8)];
  const kind = (a >>> 26) & 31;
  const near = (b >>> 16) & 0x7c;
  const base = pick(POINTERS, a >>> 24);
  const head = reg << 3;
  const full = (n: number): number[] => (wide ? [n, n >>> 8, n >>> 16, n >>> 24] : [n, n >>> 8]).map((x) => x & 0xff);
  const direct = head | (wide ? 5 : 6);
  if (kind < 2) return [direct, ...full(b)]; // anywhere
  if (kind < 7) return [direct, ...full(mode.dataBase + (b % 8 === 0 ? 0x7000 : 0) + ((b >>> 3) % (CODE_BYTES >>> 3)))]; // code
  if (kind < 12) return [direct, ...full(mode.dataBase + 0x4000 + ((b >>> 3) % 0x6000))];
  if (!wide) return [0x40 | head | ((a >>> 24) & 7), near];
  if (kind < 15) return [0x40 | head | 4, 0x24, near]; // [esp + n]
  if (kind < 18) return [0x44 | head, ((b & 3) << 6) | (1 << 3) | base, near]; // [base + ecx * scale + n]
  if (kind < 20) return [0x80 | head | base, ...full((b & 0xfff) - 0x800)];
  return [0x40 | head | base, near];
}

function immediate(row: Row, b: number, c: number, mode: Mode): number[] {
  const little = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
  const io = row.semantics === 'in' || row.semantics === 'out';
  if (io) return [pick(PORTS, c), 0, 0, 0];
  if (row.semantics === 'intN') return [pick([0x80, 0x81, 3, 4, 0x82, 0x83, 0x84, c & 0xff], c >>> 8), 0, 0, 0];
  if (row.operands.includes('Ap')) {
    const selector = pick(SELECTORS, c);
    const offset = mode.wide ? little(mode.codeBase + ((b >>> 0) % CODE_BYTES)) : little(b % CODE_BYTES).slice(0, 2);
    return [...offset, selector, 0];
  }
  if (row.operands.includes('Jb')) return [(c >>> 8) % 4 === 0 ? c & 0x7f : c & 0x1f, 0];
  if (row.operands.includes('Jz')) return little((c >>> 8) % 4 === 0 ? (c % 0x400) - 0x200 : (c % 8) * 32);
  if (row.operands.some((o) => o.startsWith('O'))) {
    const at = mode.dataBase + ((c & 7) === 0 ? (b >>> 3) % 0x2000 : 0x4000 + ((b >>> 3) % 0x6000));
    return little((c & 0xff) === 8 ? b : at);
  }
  switch ((c >>> 2) & 3) {
    case 0:
      return little(pick(NUMBERS, c >>> 4));
    case 1:
      return [pick(SELECTORS, c >>> 4), 0, 0, 0];
    case 2:
      return little(mode.dataBase + 0x4000 + ((c >>> 4) % 0x4000));
    default:
      return little(c ^ b);
  }
}
