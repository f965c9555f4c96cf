/** Two-byte opcode map, escape 0F (SDM Vol. 2, Table A-3), in its order, as far as a Pentium Pro with VMX knows it;
 *  and the two lines of the map behind 0F 38 (Table A-4). Groups stand in groups.ts.
 *
 *  Left out because such a processor lacks them, and so #UD: SYSCALL, MONITOR, MWAIT, MMX, SSE, FXSAVE, RDRAND and younger ones.
 *  RSM is #UD because there is no system-management mode. */

import type { Row } from '../rows.ts';
import { conditions } from './conditions.ts';
import { type RowFacts, row } from './row.ts';

const CPL0 = { privilege: 'cpl0' } as const;
const CR: RowFacts = { ...CPL0, exits: 'CR' };
const DR: RowFacts = { privilege: 'late cpl0', exits: 'DR' };
const VMX: RowFacts = { exits: 'VMX', strictPrefix: true };

export const twoByte: readonly Row[] = [
  // 00: group 6, 01: group 7
  row(0x0f_02, 'LAR', ['Gv', 'Ew'], 'lar', { privilege: 'protected' }),
  row(0x0f_03, 'LSL', ['Gv', 'Ew'], 'lsl', { privilege: 'protected' }),
  row(0x0f_06, 'CLTS', [], 'clts', CR),
  row(0x0f_08, 'INVD', [], 'invd', { ...CPL0, exits: 'INVD' }),
  row(0x0f_09, 'WBINVD', [], 'wbinvd', { ...CPL0, exits: 'WBINVD' }),
  row(0x0f_0b, 'UD2', [], 'undefined'),
  row(0x0f_0d, 'HINT_NOP', ['Ev'], 'nop'), // PREFETCHW on younger processors
  // 18: group 16, prefetch hints on younger processors
  ...[0x0f_18, 0x0f_19, 0x0f_1a, 0x0f_1b, 0x0f_1c, 0x0f_1d, 0x0f_1e].map((code) =>
    row(code, 'HINT_NOP', ['Ev'], 'nop'),
  ),
  row(0x0f_1f, 'NOP', ['Ev'], 'nop', { extension: 0 }),
  ...[1, 2, 3, 4, 5, 6, 7].map((extension) => row(0x0f_1f, 'HINT_NOP', ['Ev'], 'nop', { extension })),

  row(0x0f_20, 'MOV', ['Rd', 'Cd'], 'movFromCr', CR),
  row(0x0f_21, 'MOV', ['Rd', 'Dd'], 'movFromDr', DR),
  row(0x0f_22, 'MOV', ['Cd', 'Rd'], 'movToCr', CR),
  row(0x0f_23, 'MOV', ['Dd', 'Rd'], 'movToDr', DR),
  row(0x0f_30, 'WRMSR', [], 'wrmsr', { ...CPL0, exits: 'WRMSR' }),
  row(0x0f_31, 'RDTSC', [], 'rdtsc', { exits: 'RDTSC' }),
  row(0x0f_32, 'RDMSR', [], 'rdmsr', { ...CPL0, exits: 'RDMSR' }),
  row(0x0f_33, 'RDPMC', [], 'rdpmc', { exits: 'RDPMC' }),
  row(0x0f_34, 'SYSENTER', [], 'sysenter'),
  row(0x0f_35, 'SYSEXIT', [], 'sysexit'),

  ...conditions.map((cc, n) => row(0x0f_40 + n, `CMOV${cc.name}`, ['Gv', 'Ev'], 'cmovcc', { flagsRead: cc.flags })),
  row(0x0f_78, 'VMREAD', ['Ed', 'Gd'], 'vmx', VMX),
  row(0x0f_79, 'VMWRITE', ['Gd', 'Ed'], 'vmx', VMX),

  ...conditions.map((cc, n) => row(0x0f_80 + n, `J${cc.name}`, ['Jz'], 'jcc', { flagsRead: cc.flags })),
  ...conditions.map((cc, n) => row(0x0f_90 + n, `SET${cc.name}`, ['Eb'], 'setcc', { flagsRead: cc.flags })),

  row(0x0f_a0, 'PUSH', ['FS'], 'pushSegment'),
  row(0x0f_a1, 'POP', ['FS'], 'popSegment'),
  row(0x0f_a2, 'CPUID', [], 'cpuid', { exits: 'CPUID', mayFault: false }),
  row(0x0f_a3, 'BT', ['Ev', 'Gv'], 'bt'),
  row(0x0f_a4, 'SHLD', ['Ev', 'Gv', 'Ib'], 'shld'),
  row(0x0f_a5, 'SHLD', ['Ev', 'Gv', 'CL'], 'shld'),
  row(0x0f_a8, 'PUSH', ['GS'], 'pushSegment'),
  row(0x0f_a9, 'POP', ['GS'], 'popSegment'),
  row(0x0f_ab, 'BTS', ['Ev', 'Gv'], 'bts'),
  row(0x0f_ac, 'SHRD', ['Ev', 'Gv', 'Ib'], 'shrd'),
  row(0x0f_ad, 'SHRD', ['Ev', 'Gv', 'CL'], 'shrd'),
  row(0x0f_af, 'IMUL', ['Gv', 'Ev'], 'imul2'),

  row(0x0f_b0, 'CMPXCHG', ['Eb', 'Gb'], 'cmpxchg'),
  row(0x0f_b1, 'CMPXCHG', ['Ev', 'Gv'], 'cmpxchg'),
  row(0x0f_b2, 'LSS', ['Gv', 'Mp'], 'loadFarPointer'),
  row(0x0f_b3, 'BTR', ['Ev', 'Gv'], 'btr'),
  row(0x0f_b4, 'LFS', ['Gv', 'Mp'], 'loadFarPointer'),
  row(0x0f_b5, 'LGS', ['Gv', 'Mp'], 'loadFarPointer'),
  row(0x0f_b6, 'MOVZX', ['Gv', 'Eb'], 'movzx'),
  row(0x0f_b7, 'MOVZX', ['Gv', 'Ew'], 'movzx'),
  // BA: group 8
  row(0x0f_bb, 'BTC', ['Ev', 'Gv'], 'btc'),
  row(0x0f_bc, 'BSF', ['Gv', 'Ev'], 'bsf'), // with F3 too: TZCNT is younger
  row(0x0f_bd, 'BSR', ['Gv', 'Ev'], 'bsr'), // with F3 too: LZCNT is younger
  row(0x0f_be, 'MOVSX', ['Gv', 'Eb'], 'movsx'),
  row(0x0f_bf, 'MOVSX', ['Gv', 'Ew'], 'movsx'),
  row(0x0f_c0, 'XADD', ['Eb', 'Gb'], 'xadd'),
  row(0x0f_c1, 'XADD', ['Ev', 'Gv'], 'xadd'),
  // C7: group 9
  row(0x0f_c8, 'BSWAP', ['Zv'], 'bswap'),
];

export const threeByte: readonly Row[] = [
  row(0x0f38_80, 'INVEPT', ['Gd', 'Mdq'], 'vmx', { ...VMX, prefix: 0x66 }),
  row(0x0f38_81, 'INVVPID', ['Gd', 'Mdq'], 'vmx', { ...VMX, prefix: 0x66 }),
];
