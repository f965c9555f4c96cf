/** Opcode extensions: ModRM.reg chooses the row (SDM Vol. 2, Table A-6), groups in its order. */

import type { OperandCode, Row } from '../rows.ts';
import { type RowFacts, row } from './row.ts';
import type { Semantics } from './semantics.ts';

type Member = readonly [mnemonic: string, operation: Semantics] | null;

/** The same instructions under several opcodes and operand forms. */
const group = (members: readonly Member[], forms: readonly (readonly [number, readonly OperandCode[]])[]): Row[] =>
  forms.flatMap(([code, operands]) =>
    members.flatMap((m, extension) => (m === null ? [] : [row(code, m[0], operands, m[1], { extension })])),
  );

const group1 = group(
  [
    ['ADD', 'add'],
    ['OR', 'or'],
    ['ADC', 'adc'],
    ['SBB', 'sbb'],
    ['AND', 'and'],
    ['SUB', 'sub'],
    ['XOR', 'xor'],
    ['CMP', 'cmp'],
  ],
  [
    [0x80, ['Eb', 'Ib']],
    [0x81, ['Ev', 'Iz']],
    [0x82, ['Eb', 'Ib']], // the same as 80
    [0x83, ['Ev', 'sIb']],
  ],
);

const group1A = [row(0x8f, 'POP', ['Ev'], 'pop', { extension: 0 })];

const group2 = group(
  [
    ['ROL', 'rol'],
    ['ROR', 'ror'],
    ['RCL', 'rcl'],
    ['RCR', 'rcr'],
    ['SHL', 'shl'],
    ['SHR', 'shr'],
    ['SAL', 'shl'], // not in the manual's map; every processor takes it for SHL
    ['SAR', 'sar'],
  ],
  [
    [0xc0, ['Eb', 'Ib']],
    [0xc1, ['Ev', 'Ib']],
    [0xd0, ['Eb', '1']],
    [0xd1, ['Ev', '1']],
    [0xd2, ['Eb', 'CL']],
    [0xd3, ['Ev', 'CL']],
  ],
);

const unary: readonly Member[] = [
  null,
  null,
  ['NOT', 'not'],
  ['NEG', 'neg'],
  ['MUL', 'mul'],
  ['IMUL', 'imul'],
  ['DIV', 'div'],
  ['IDIV', 'idiv'],
];
const group3 = [
  ...group(
    [
      ['TEST', 'test'],
      ['TEST', 'test'],
    ],
    [[0xf6, ['Eb', 'Ib']]],
  ),
  ...group(unary, [[0xf6, ['Eb']]]),
  ...group(
    [
      ['TEST', 'test'],
      ['TEST', 'test'],
    ],
    [[0xf7, ['Ev', 'Iz']]],
  ),
  ...group(unary, [[0xf7, ['Ev']]]),
];

const step: readonly Member[] = [
  ['INC', 'inc'],
  ['DEC', 'dec'],
];
const group4 = group(step, [[0xfe, ['Eb']]]);

const group5 = [
  ...group(step, [[0xff, ['Ev']]]),
  row(0xff, 'CALL', ['Ev'], 'callIndirect', { extension: 2 }),
  row(0xff, 'CALL', ['Mp'], 'callFar', { extension: 3 }),
  row(0xff, 'JMP', ['Ev'], 'jmpIndirect', { extension: 4 }),
  row(0xff, 'JMP', ['Mp'], 'jmpFar', { extension: 5 }),
  row(0xff, 'PUSH', ['Ev'], 'push', { extension: 6 }),
];

const LDTR_TR = { exits: 'LDTR_TR' } as const;
const group6 = [
  row(0x0f_00, 'SLDT', ['Rv/Mw'], 'sldt', { extension: 0, ...LDTR_TR, privilege: 'protected' }),
  row(0x0f_00, 'STR', ['Rv/Mw'], 'str', { extension: 1, ...LDTR_TR, privilege: 'protected' }),
  row(0x0f_00, 'LLDT', ['Ew'], 'lldt', { extension: 2, ...LDTR_TR, privilege: 'protected cpl0' }),
  row(0x0f_00, 'LTR', ['Ew'], 'ltr', { extension: 3, ...LDTR_TR, privilege: 'protected cpl0' }),
  row(0x0f_00, 'VERR', ['Ew'], 'verr', { extension: 4, privilege: 'protected' }),
  row(0x0f_00, 'VERW', ['Ew'], 'verw', { extension: 5, privilege: 'protected' }),
];

const GDTR_IDTR = { exits: 'GDTR_IDTR' } as const;
const CPL0 = { privilege: 'cpl0' } as const;
const VMX: RowFacts = { exits: 'VMX', strictPrefix: true };
const group7 = [
  row(0x0f_01, 'SGDT', ['Ms'], 'sgdt', { extension: 0, ...GDTR_IDTR }),
  row(0x0f_01, 'VMCALL', [], 'vmx', { extension: 0, ...VMX, form: 0xc1 }),
  row(0x0f_01, 'VMLAUNCH', [], 'vmx', { extension: 0, ...VMX, form: 0xc2 }),
  row(0x0f_01, 'VMRESUME', [], 'vmx', { extension: 0, ...VMX, form: 0xc3 }),
  row(0x0f_01, 'VMXOFF', [], 'vmx', { extension: 0, ...VMX, form: 0xc4 }),
  row(0x0f_01, 'CLAC', [], 'clac', { extension: 1, strictPrefix: true, form: 0xca }),
  row(0x0f_01, 'STAC', [], 'stac', { extension: 1, strictPrefix: true, form: 0xcb }),
  row(0x0f_01, 'SIDT', ['Ms'], 'sidt', { extension: 1, ...GDTR_IDTR }),
  row(0x0f_01, 'VMFUNC', [], 'vmx', { extension: 2, ...VMX, form: 0xd4 }),
  row(0x0f_01, 'LGDT', ['Ms'], 'lgdt', { extension: 2, ...GDTR_IDTR, ...CPL0 }),
  row(0x0f_01, 'LIDT', ['Ms'], 'lidt', { extension: 3, ...GDTR_IDTR, ...CPL0 }),
  row(0x0f_01, 'SMSW', ['Rv/Mw'], 'smsw', { extension: 4, exits: 'CR' }),
  row(0x0f_01, 'LMSW', ['Ew'], 'lmsw', { extension: 6, exits: 'CR', ...CPL0 }),
  row(0x0f_01, 'RDTSCP', [], 'rdtscp', { extension: 7, exits: 'RDTSCP', form: 0xf9 }),
  row(0x0f_01, 'INVLPG', ['M'], 'invlpg', { extension: 7, exits: 'INVLPG', ...CPL0 }),
];

const group8 = group(
  [null, null, null, null, ['BT', 'bt'], ['BTS', 'bts'], ['BTR', 'btr'], ['BTC', 'btc']],
  [[0x0f_ba, ['Ev', 'Ib']]],
);

const group9 = [
  row(0x0f_c7, 'CMPXCHG8B', ['Mq'], 'cmpxchg8b', { extension: 1 }),
  row(0x0f_c7, 'VMPTRLD', ['Mq'], 'vmx', { extension: 6, ...VMX }),
  row(0x0f_c7, 'VMCLEAR', ['Mq'], 'vmx', { extension: 6, ...VMX, prefix: 0x66 }),
  row(0x0f_c7, 'VMXON', ['Mq'], 'vmx', { extension: 6, ...VMX, prefix: 0xf3 }),
  row(0x0f_c7, 'VMPTRST', ['Mq'], 'vmx', { extension: 7, ...VMX }),
];

const group11 = group(
  [['MOV', 'mov']],
  [
    [0xc6, ['Eb', 'Ib']],
    [0xc7, ['Ev', 'Iz']],
  ],
);

// Group 10 is UD1, group 16 stands in two-byte.ts; 12 to 15 and 17 are MMX and younger.
export const groups: readonly Row[] = [
  ...group1,
  ...group1A,
  ...group2,
  ...group3,
  ...group4,
  ...group5,
  ...group6,
  ...group7,
  ...group8,
  ...group9,
  ...group11,
];
