/** One-byte opcode map (SDM Vol. 2, Table A-2), in its order. Groups stand in groups.ts, x87 in x87.ts. */

import type { OperandCode, Row } from '../rows.ts';
import { conditions } from './conditions.ts';
import { type RowFacts, row } from './row.ts';
import type { Semantics } from './semantics.ts';

const IO: RowFacts = { exits: 'IO' };
const IOPL: RowFacts = { privilege: 'iopl' };

/** The six forms of a two-operand arithmetic instruction that begin each line of the upper left quarter. */
const arithmetic = (code: number, mnemonic: string, operation: Semantics): Row[] => [
  row(code + 0, mnemonic, ['Eb', 'Gb'], operation),
  row(code + 1, mnemonic, ['Ev', 'Gv'], operation),
  row(code + 2, mnemonic, ['Gb', 'Eb'], operation),
  row(code + 3, mnemonic, ['Gv', 'Ev'], operation),
  row(code + 4, mnemonic, ['AL', 'Ib'], operation),
  row(code + 5, mnemonic, ['rAX', 'Iz'], operation),
];
const segmentStack = (code: number, segment: OperandCode): Row[] => [
  row(code, 'PUSH', [segment], 'pushSegment'),
  row(code + 1, 'POP', [segment], 'popSegment'),
];

export const oneByte: readonly Row[] = [
  ...arithmetic(0x00, 'ADD', 'add'),
  ...segmentStack(0x06, 'ES'),
  ...arithmetic(0x08, 'OR', 'or'),
  row(0x0e, 'PUSH', ['CS'], 'pushSegment'),
  ...arithmetic(0x10, 'ADC', 'adc'),
  ...segmentStack(0x16, 'SS'),
  ...arithmetic(0x18, 'SBB', 'sbb'),
  ...segmentStack(0x1e, 'DS'),
  ...arithmetic(0x20, 'AND', 'and'),
  row(0x27, 'DAA', [], 'daa'),
  ...arithmetic(0x28, 'SUB', 'sub'),
  row(0x2f, 'DAS', [], 'das'),
  ...arithmetic(0x30, 'XOR', 'xor'),
  row(0x37, 'AAA', [], 'aaa'),
  ...arithmetic(0x38, 'CMP', 'cmp'),
  row(0x3f, 'AAS', [], 'aas'),

  row(0x40, 'INC', ['Zv'], 'inc'),
  row(0x48, 'DEC', ['Zv'], 'dec'),
  row(0x50, 'PUSH', ['Zv'], 'push'),
  row(0x58, 'POP', ['Zv'], 'pop'),
  row(0x60, 'PUSHA/PUSHAD', [], 'pusha'),
  row(0x61, 'POPA/POPAD', [], 'popa'),
  row(0x62, 'BOUND', ['Gv', 'Ma'], 'bound'),
  row(0x63, 'ARPL', ['Ew', 'Gw'], 'arpl', { privilege: 'protected' }),
  row(0x68, 'PUSH', ['Iz'], 'push'),
  row(0x69, 'IMUL', ['Gv', 'Ev', 'Iz'], 'imul3'),
  row(0x6a, 'PUSH', ['sIb'], 'push'),
  row(0x6b, 'IMUL', ['Gv', 'Ev', 'sIb'], 'imul3'),
  row(0x6c, 'INSB', ['Yb', 'DX'], 'ins', IO),
  row(0x6d, 'INSW/INSD', ['Yz', 'DX'], 'ins', IO),
  row(0x6e, 'OUTSB', ['DX', 'Xb'], 'outs', IO),
  row(0x6f, 'OUTSW/OUTSD', ['DX', 'Xz'], 'outs', IO),
  ...conditions.map((cc, n) => row(0x70 + n, `J${cc.name}`, ['Jb'], 'jcc', { flagsRead: cc.flags })),

  // 80 to 83: group 1
  row(0x84, 'TEST', ['Eb', 'Gb'], 'test'),
  row(0x85, 'TEST', ['Ev', 'Gv'], 'test'),
  row(0x86, 'XCHG', ['Eb', 'Gb'], 'xchg'),
  row(0x87, 'XCHG', ['Ev', 'Gv'], 'xchg'),
  row(0x88, 'MOV', ['Eb', 'Gb'], 'mov'),
  row(0x89, 'MOV', ['Ev', 'Gv'], 'mov'),
  row(0x8a, 'MOV', ['Gb', 'Eb'], 'mov'),
  row(0x8b, 'MOV', ['Gv', 'Ev'], 'mov'),
  row(0x8c, 'MOV', ['Rv/Mw', 'Sw'], 'movFromSegment'),
  row(0x8d, 'LEA', ['Gv', 'M'], 'lea'),
  row(0x8e, 'MOV', ['Sw', 'Ew'], 'movToSegment'),
  // 8F: group 1A
  row(0x90, 'NOP', [], 'nop'),
  row(0x90, 'PAUSE', [], 'pause', { prefix: 0xf3, exits: 'PAUSE', mayFault: false }),
  row(0x90, 'XCHG', ['Zv', 'rAX'], 'xchg'),
  row(0x98, 'CBW/CWDE', [], 'cbw'),
  row(0x99, 'CWD/CDQ', [], 'cwd'),
  row(0x9a, 'CALL', ['Ap'], 'callFar'),
  row(0x9b, 'FWAIT', [], 'unimplemented', { feature: 'x87' }),
  row(0x9c, 'PUSHF/PUSHFD', [], 'pushf'),
  row(0x9d, 'POPF/POPFD', [], 'popf'),
  row(0x9e, 'SAHF', [], 'sahf'),
  row(0x9f, 'LAHF', [], 'lahf'),

  row(0xa0, 'MOV', ['AL', 'Ob'], 'mov'),
  row(0xa1, 'MOV', ['rAX', 'Ov'], 'mov'),
  row(0xa2, 'MOV', ['Ob', 'AL'], 'mov'),
  row(0xa3, 'MOV', ['Ov', 'rAX'], 'mov'),
  row(0xa4, 'MOVSB', ['Yb', 'Xb'], 'movs'),
  row(0xa5, 'MOVSW/MOVSD', ['Yv', 'Xv'], 'movs'),
  row(0xa6, 'CMPSB', ['Xb', 'Yb'], 'cmps'),
  row(0xa7, 'CMPSW/CMPSD', ['Xv', 'Yv'], 'cmps'),
  row(0xa8, 'TEST', ['AL', 'Ib'], 'test'),
  row(0xa9, 'TEST', ['rAX', 'Iz'], 'test'),
  row(0xaa, 'STOSB', ['Yb', 'AL'], 'stos'),
  row(0xab, 'STOSW/STOSD', ['Yv', 'rAX'], 'stos'),
  row(0xac, 'LODSB', ['AL', 'Xb'], 'lods'),
  row(0xad, 'LODSW/LODSD', ['rAX', 'Xv'], 'lods'),
  row(0xae, 'SCASB', ['AL', 'Yb'], 'scas'),
  row(0xaf, 'SCASW/SCASD', ['rAX', 'Yv'], 'scas'),
  row(0xb0, 'MOV', ['Zb', 'Ib'], 'mov'),
  row(0xb8, 'MOV', ['Zv', 'Iv'], 'mov'),

  // C0, C1: group 2
  row(0xc2, 'RET', ['Iw'], 'retNearImmediate'),
  row(0xc3, 'RET', [], 'retNear'),
  row(0xc4, 'LES', ['Gv', 'Mp'], 'loadFarPointer'),
  row(0xc5, 'LDS', ['Gv', 'Mp'], 'loadFarPointer'),
  // C6, C7: group 11
  row(0xc8, 'ENTER', ['Iw', 'Ib'], 'enter'),
  row(0xc9, 'LEAVE', [], 'leave'),
  row(0xca, 'RETF', ['Iw'], 'retFarImmediate'),
  row(0xcb, 'RETF', [], 'retFar'),
  row(0xcc, 'INT3', [], 'int3'),
  row(0xcd, 'INT', ['Ib'], 'intN'),
  row(0xce, 'INTO', [], 'into'),
  row(0xcf, 'IRET/IRETD', [], 'iret'),
  // D0 to D3: group 2
  row(0xd4, 'AAM', ['Ib'], 'aam'),
  row(0xd5, 'AAD', ['Ib'], 'aad'),
  row(0xd6, 'SALC', [], 'salc'),
  row(0xd7, 'XLAT', [], 'xlat'),
  // D8 to DF: x87

  row(0xe0, 'LOOPNE', ['Jb'], 'loopne'),
  row(0xe1, 'LOOPE', ['Jb'], 'loope'),
  row(0xe2, 'LOOP', ['Jb'], 'loop'),
  row(0xe3, 'JCXZ/JECXZ', ['Jb'], 'jcxz'),
  row(0xe4, 'IN', ['AL', 'Ib'], 'in', IO),
  row(0xe5, 'IN', ['eAX', 'Ib'], 'in', IO),
  row(0xe6, 'OUT', ['Ib', 'AL'], 'out', IO),
  row(0xe7, 'OUT', ['Ib', 'eAX'], 'out', IO),
  row(0xe8, 'CALL', ['Jz'], 'callNear'),
  row(0xe9, 'JMP', ['Jz'], 'jmpNear'),
  row(0xea, 'JMP', ['Ap'], 'jmpFar'),
  row(0xeb, 'JMP', ['Jb'], 'jmpNear'),
  row(0xec, 'IN', ['AL', 'DX'], 'in', IO),
  row(0xed, 'IN', ['eAX', 'DX'], 'in', IO),
  row(0xee, 'OUT', ['DX', 'AL'], 'out', IO),
  row(0xef, 'OUT', ['DX', 'eAX'], 'out', IO),
  row(0xf1, 'INT1', [], 'int1'),
  row(0xf4, 'HLT', [], 'hlt', { privilege: 'cpl0', exits: 'HLT' }),
  row(0xf5, 'CMC', [], 'cmc'),
  // F6, F7: group 3
  row(0xf8, 'CLC', [], 'clc'),
  row(0xf9, 'STC', [], 'stc'),
  row(0xfa, 'CLI', [], 'cli', IOPL),
  row(0xfb, 'STI', [], 'sti', IOPL),
  row(0xfc, 'CLD', [], 'cld'),
  row(0xfd, 'STD', [], 'std'),
  // FE: group 4, FF: group 5
];
