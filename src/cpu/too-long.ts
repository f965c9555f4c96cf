/** Stand-in for bytes that decode to nothing. */

import { blankInstruction, type Instruction } from './instruction.ts';
import { ILLEGAL } from './opcodes/index.ts';
import type { Row } from './rows.ts';

const TOO_LONG: Row = {
  ...ILLEGAL,
  number: ILLEGAL.number + 1,
  mnemonic: '',
  semantics: 'tooLong' as string as Row['semantics'],
};

/** An instruction of more than 15 bytes: raises #GP(0) when it is executed. */
export const tooLongInstruction = (): Instruction => ({ ...blankInstruction(), row: TOO_LONG, length: 15 });
