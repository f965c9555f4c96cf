/** Disassembler: NASM syntax, from the rows alone.
 *
 *  What it prints NASM takes back, though perhaps with a shorter encoding. Prefixes without effect are not shown, nor are
 *  those that the operands tell of. */

import { ZERO } from '../base/registers.ts';
import { decode } from './decode.ts';
import type { Instruction } from './instruction.ts';
import type { OperandCode } from './rows.ts';

const BYTE_REGISTERS = ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'];
const WORD_REGISTERS = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const KEYWORDS: Readonly<Record<number, string>> = { 1: 'byte', 2: 'word', 4: 'dword', 8: 'qword', 10: 'tword' };

/** One line of a listing. */
export interface Line {
  readonly eip: number;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** One instruction as NASM would have it written. `eip`: where it stands. `bytes`: its bytes, shown if it is undefined.
 *  `codeSize`: of the segment it is read in; only what differs from it needs saying. */
export function disassemble(i: Instruction, eip: number, bytes?: Uint8Array, codeSize: 2 | 4 = 4): string {
  const { row } = i;
  if (row.mnemonic === 'UD') return bytes === undefined ? '(undefined)' : data(bytes);
  const operands = row.operands.map((code, n) => operand(i, code, n, eip, codeSize)).filter((text) => text !== '');
  if (row.semantics.startsWith('loop') && i.addressSize !== codeSize) operands.push(i.addressSize === 2 ? 'cx' : 'ecx');
  const words = [...prefixes(i, codeSize), mnemonic(i, codeSize), operands.join(', ')];
  return words.filter((word) => word !== '').join(' ');
}

/** Every instruction of `bytes`, the first of which stands at `eip`. What is cut off at the end is shown as data. */
export function disassembleBytes(bytes: Uint8Array, eip: number, codeSize: 2 | 4): readonly Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length; ) {
    const i = decode(bytes, at, bytes.length, codeSize);
    const length = typeof i === 'string' ? Math.min(bytes.length - at, 15) : i.length;
    const own = bytes.subarray(at, at + length);
    const here = (eip + at) >>> 0;
    lines.push({
      eip: here,
      bytes: own,
      text: typeof i === 'string' ? data(own) : disassemble(i, here, own, codeSize),
    });
    at += length;
  }
  return lines;
}

const data = (bytes: Uint8Array): string =>
  `db ${Array.from(bytes, (b) => `0x${b.toString(16).padStart(2, '0')}`).join(', ')}`;
const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;
const signed = (n: number): string => (n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`);

/** Operations whose operand size neither the mnemonic nor an operand shows. */
const SILENT_SIZE = new Set(
  `loop loope loopne jcxz retNear retNearImmediate retFar retFarImmediate leave enter pushSegment popSegment
   lgdt lidt sgdt sidt`.split(/\s+/),
);

function prefixes(i: Instruction, codeSize: 2 | 4): string[] {
  const { row } = i;
  const words: string[] = [];
  const implicitMemory = row.repeatable || row.semantics === 'xlat';
  if (i.lock) words.push('lock');
  if (implicitMemory && i.addressSize !== codeSize) words.push(i.addressSize === 2 ? 'a16' : 'a32');
  if (implicitMemory && i.segmentOverride && readsSource(i)) words.push(SEGMENTS[i.segment] as string);
  if (row.repeatable && i.rep !== 0) {
    const compares = row.semantics === 'cmps' || row.semantics === 'scas';
    words.push(i.rep === 0xf2 ? 'repne' : compares ? 'repe' : 'rep');
  }
  const silent =
    SILENT_SIZE.has(row.semantics) ||
    (row.feature === 'x87' && row.operands[0] === 'M') ||
    row.operands[0] === 'Mp' ||
    isShort(i);
  if (silent && i.operandSize !== codeSize) words.push(i.operandSize === 2 ? 'o16' : 'o32');
  return words;
}

/** JMP and Jcc with a byte of displacement. */
const isShort = (i: Instruction): boolean => i.row.operands[0] === 'Jb' && /^j(mpNear|cc)$/.test(i.row.semantics);

/** A string instruction that reads DS:ESI, where an override counts; XLAT. */
const readsSource = (i: Instruction): boolean =>
  i.row.semantics === 'xlat' || i.row.operands.some((o) => o.startsWith('X')) || i.row.semantics === 'lods';

function mnemonic(i: Instruction, codeSize: 2 | 4): string {
  const { row } = i;
  if (row.mnemonic === 'HINT_NOP') return i.opcode < 0x18 ? 'hint_nop' : `hint_nop${(i.opcode - 0x18) * 8 + i.reg}`;
  if (row.mnemonic === 'XLAT') return 'xlatb';
  if (row.operands[0] === 'Mp') return `${row.mnemonic.toLowerCase()} far`;
  const [narrow, wide] = row.mnemonic.toLowerCase().split('/') as [string, string?];
  if (wide === undefined) return narrow;
  if (row.semantics === 'jcxz') return i.addressSize === 2 ? narrow : wide;
  // PUSHA, PUSHF, IRET: NASM's plain name means the size of the code segment.
  if (wide === `${narrow}d`) return i.operandSize === codeSize ? narrow : i.operandSize === 2 ? `${narrow}w` : wide;
  return i.operandSize === 2 ? narrow : wide;
}

function operand(i: Instruction, code: OperandCode, n: number, eip: number, codeSize: 2 | 4): string {
  switch (code) {
    case 'Gb':
      return register(1, i.reg);
    case 'Gw':
    case 'Gd':
    case 'Gv':
      return register(sizeOf(i, code), i.reg);
    case 'Rd':
      return register(4, i.rm);
    case 'Zb':
      return register(1, i.opcode & 7);
    case 'Zv':
      return register(i.operandSize, i.opcode & 7);
    case 'Sw':
      return SEGMENTS[i.reg] as string;
    case 'Cd':
      return `cr${i.reg}`;
    case 'Dd':
      return `dr${i.reg}`;
    case 'rAX':
    case 'eAX':
      return i.row.repeatable ? '' : register(i.operandSize, 0);
    case 'ST0':
      return 'st0';
    case 'STi':
      return `st${i.rm}`;
    case 'sIb':
      return pushed(i, codeSize) + signed((i.immediate << 24) >> 24);
    case 'Ib':
    case 'Iw':
    case 'Iv':
    case 'Iz':
      return pushed(i, codeSize) + hex(n > 0 && i.row.semantics === 'enter' ? i.immediate2 : i.immediate);
    case 'Jb':
    case 'Jz':
      return distance(i, codeSize) + hex((eip + i.length + i.immediate) & (i.operandSize === 2 ? 0xffff : -1));
    case 'Ap':
      return `${distance(i, codeSize)}${hex(i.immediate2)}:${hex(i.immediate)}`;
    case '1':
      return '1';
  }
  if (/^[XY]/.test(code)) return '';
  if (/^[EMO][a-z]|^M$|^Rv/.test(code))
    return i.memory ? keyword(i, code) + memory(i, codeSize) : register(sizeOf(i, code), i.rm);
  // What is left are registers by name; those of a string instruction go without saying.
  return i.row.repeatable ? '' : code.toLowerCase();
}

/** How NASM is told of a branch whose size is not that of the code segment. */
function distance(i: Instruction, codeSize: 2 | 4): string {
  if (i.operandSize === codeSize) return '';
  if (i.row.operands[0] === 'Jb') return isShort(i) ? 'short ' : '';
  return `${i.row.semantics === 'jcc' ? 'near ' : ''}${KEYWORDS[i.operandSize]} `;
}

/** PUSH of an immediate: nothing else tells how much goes on the stack. */
const pushed = (i: Instruction, codeSize: 2 | 4): string =>
  i.row.semantics === 'push' && i.operandSize !== codeSize ? `${KEYWORDS[i.operandSize]} ` : '';

function register(size: number, n: number): string {
  const name = (size === 1 ? BYTE_REGISTERS : WORD_REGISTERS)[n] as string;
  return size === 4 ? `e${name}` : name;
}

/** Bytes of an operand, 0 where the instruction itself says how many. */
function sizeOf(i: Instruction, code: OperandCode): number {
  if (code === 'AL' || /^[EGOZ]b$/.test(code)) return 1;
  if (/^([EG]w|Mw|Sw|AX)$/.test(code)) return 2;
  if (/^([EG]d|Md|Rd)$/.test(code)) return 4;
  if (/^([EGOZ]v|rAX|eAX)$/.test(code)) return i.operandSize;
  if (code === 'Rv/Mw') return i.memory ? 2 : i.operandSize;
  if (code === 'Mq') return i.row.feature === 'x87' ? 8 : 0;
  return code === 'Mt' ? 10 : 0;
}

/** The size of a memory operand, unless a register tells it. */
function keyword(i: Instruction, code: OperandCode): string {
  const size = sizeOf(i, code);
  const extends_ = i.row.semantics === 'movzx' || i.row.semantics === 'movsx';
  const told = i.row.operands.some((o) => o !== code && /^(G.|AL|.AX|Sw)$/.test(o) && sizeOf(i, o) === size);
  return size === 0 || (told && !extends_) ? '' : `${KEYWORDS[size]} `;
}

/** Displacements further below zero than this are addresses. */
const FAR = 0x100_0000;

function memory(i: Instruction, codeSize: 2 | 4): string {
  const segment = i.segmentOverride && i.row.semantics !== 'lea' ? `${SEGMENTS[i.segment]}:` : '';
  const parts: string[] = [];
  if (i.base !== ZERO) parts.push(register(i.addressSize, i.base));
  if (i.index !== ZERO)
    parts.push(register(i.addressSize, i.index) + (i.addressSize === 4 && scaled(i) ? `*${1 << i.scale}` : ''));
  if (parts.length === 0) {
    const size = i.addressSize === codeSize ? '' : i.addressSize === 2 ? 'word ' : 'dword ';
    return `[${size}${segment}${hex(i.addressSize === 2 ? i.displacement & 0xffff : i.displacement)}]`;
  }
  const { displacement } = i;
  const tail =
    displacement === 0 ? '' : displacement < 0 && displacement > -FAR ? signed(displacement) : `+${hex(displacement)}`;
  return `[${segment}${parts.join('+')}${tail}]`;
}

/** An index without a base needs its scale, even 1: else it would be a base. */
const scaled = (i: Instruction): boolean => i.scale !== 0 || i.base === ZERO;
