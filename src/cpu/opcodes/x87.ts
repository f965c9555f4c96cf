/** x87 opcodes D8 to DF (SDM Vol. 2, Tables ): what exists, not what it does. ringlet has no x87 yet.
 *  With the aliases that the tables leave out and all processors take (D9 D8+i, DC D0+i, DF C0+i …); without FISTTP. */

import { ARITHMETIC_FLAGS } from '../../base/registers.ts';
import type { OperandCode, Row } from '../rows.ts';
import { conditions } from './conditions.ts';
import { type RowFacts, row } from './row.ts';

const x87 = (code: number, mnemonic: string, operands: readonly OperandCode[], facts: RowFacts): Row =>
  row(code, mnemonic, operands, 'unimplemented', { feature: 'x87', ...facts });

/** Mnemonics for ModRM.reg 0 to 7; '' where there is none. */
type Eight = readonly [string, string, string, string, string, string, string, string];

const memory = (code: number, mnemonics: Eight, operands: OperandCode | readonly OperandCode[]): Row[] =>
  mnemonics.flatMap((mnemonic, extension) => {
    const operand = typeof operands === 'string' ? operands : (operands[extension] ?? 'M');
    return mnemonic === '' ? [] : [x87(code, mnemonic, [operand], { extension })];
  });

const register = (code: number, mnemonics: Eight, operands: readonly OperandCode[]): Row[] =>
  mnemonics.flatMap((mnemonic, extension) =>
    mnemonic === '' ? [] : [x87(code, mnemonic, operands, { extension, form: 'register' })],
  );

/** Whole ModRM bytes from `first` on. */
const single = (
  code: number,
  first: number,
  mnemonics: readonly string[],
  operands: readonly OperandCode[] = [],
): Row[] =>
  mnemonics.flatMap((mnemonic, n) =>
    mnemonic === '' ? [] : [x87(code, mnemonic, operands, { extension: ((first + n) >> 3) & 7, form: first + n })],
  );

const REAL: Eight = ['FADD', 'FMUL', 'FCOM', 'FCOMP', 'FSUB', 'FSUBR', 'FDIV', 'FDIVR'];
const INTEGER: Eight = ['FIADD', 'FIMUL', 'FICOM', 'FICOMP', 'FISUB', 'FISUBR', 'FIDIV', 'FIDIVR'];
/** FCOMI and its like set ZF, PF and CF and clear the others. */
const compare = (code: number, mnemonics: readonly [string, string]): Row[] =>
  register(code, ['', '', '', '', '', ...mnemonics, ''], ['ST0', 'STi']).map((r) => ({
    ...r,
    flagsWritten: ARITHMETIC_FLAGS,
  }));
/** FCMOVcc tests B, E, BE, U as Jcc does: conditions 2, 4, 6 and 10. */
const move = (code: number, mnemonics: readonly [string, string, string, string]): Row[] =>
  register(code, [...mnemonics, '', '', '', ''], ['ST0', 'STi']).map((r, n) => ({
    ...r,
    flagsRead: conditions[[2, 4, 6, 10][n] as number]?.flags ?? 0,
  }));

export const x87Rows: readonly Row[] = [
  ...memory(0xd8, REAL, 'Md'),
  ...register(0xd8, ['FADD', 'FMUL', '', '', 'FSUB', 'FSUBR', 'FDIV', 'FDIVR'], ['ST0', 'STi']),
  ...register(0xd8, ['', '', 'FCOM', 'FCOMP', '', '', '', ''], ['STi']),

  ...memory(
    0xd9,
    ['FLD', '', 'FST', 'FSTP', 'FLDENV', 'FLDCW', 'FNSTENV', 'FNSTCW'],
    ['Md', 'M', 'Md', 'Md', 'M', 'Mw', 'M', 'Mw'],
  ),
  ...register(0xd9, ['FLD', 'FXCH', '', 'FSTP', '', '', '', ''], ['STi']),
  ...single(0xd9, 0xd0, ['FNOP']),
  ...single(0xd9, 0xe0, ['FCHS', 'FABS', '', '', 'FTST', 'FXAM', '', '']),
  ...single(0xd9, 0xe8, ['FLD1', 'FLDL2T', 'FLDL2E', 'FLDPI', 'FLDLG2', 'FLDLN2', 'FLDZ', '']),
  ...single(0xd9, 0xf0, ['F2XM1', 'FYL2X', 'FPTAN', 'FPATAN', 'FXTRACT', 'FPREM1', 'FDECSTP', 'FINCSTP']),
  ...single(0xd9, 0xf8, ['FPREM', 'FYL2XP1', 'FSQRT', 'FSINCOS', 'FRNDINT', 'FSCALE', 'FSIN', 'FCOS']),

  ...memory(0xda, INTEGER, 'Md'),
  ...move(0xda, ['FCMOVB', 'FCMOVE', 'FCMOVBE', 'FCMOVU']),
  ...single(0xda, 0xe9, ['FUCOMPP']),

  ...memory(0xdb, ['FILD', '', 'FIST', 'FISTP', '', 'FLD', '', 'FSTP'], ['Md', 'M', 'Md', 'Md', 'M', 'Mt', 'M', 'Mt']),
  ...move(0xdb, ['FCMOVNB', 'FCMOVNE', 'FCMOVNBE', 'FCMOVNU']),
  ...single(0xdb, 0xe0, ['FNENI', 'FNDISI', 'FNCLEX', 'FNINIT', 'FSETPM']),
  ...compare(0xdb, ['FUCOMI', 'FCOMI']),

  ...memory(0xdc, REAL, 'Mq'),
  ...register(0xdc, ['FADD', 'FMUL', '', '', 'FSUBR', 'FSUB', 'FDIVR', 'FDIV'], ['STi', 'ST0']),
  ...register(0xdc, ['', '', 'FCOM', 'FCOMP', '', '', '', ''], ['STi']),

  ...memory(
    0xdd,
    ['FLD', '', 'FST', 'FSTP', 'FRSTOR', '', 'FNSAVE', 'FNSTSW'],
    ['Mq', 'M', 'Mq', 'Mq', 'M', 'M', 'M', 'Mw'],
  ),
  ...register(0xdd, ['FFREE', 'FXCH', 'FST', 'FSTP', 'FUCOM', 'FUCOMP', '', ''], ['STi']),

  ...memory(0xde, INTEGER, 'Mw'),
  ...register(0xde, ['FADDP', 'FMULP', '', '', 'FSUBRP', 'FSUBP', 'FDIVRP', 'FDIVP'], ['STi', 'ST0']),
  ...register(0xde, ['', '', 'FCOMP', '', '', '', '', ''], ['STi']),
  ...single(0xde, 0xd9, ['FCOMPP']),

  ...memory(
    0xdf,
    ['FILD', '', 'FIST', 'FISTP', 'FBLD', 'FILD', 'FBSTP', 'FISTP'],
    ['Mw', 'M', 'Mw', 'Mw', 'Mt', 'Mq', 'Mt', 'Mq'],
  ),
  ...register(0xdf, ['FFREEP', 'FXCH', 'FSTP', 'FSTP', '', '', '', ''], ['STi']),
  ...single(0xdf, 0xe0, ['FNSTSW'], ['AX']),
  ...compare(0xdf, ['FUCOMIP', 'FCOMIP']),
];
