/** Stand-in for bytes that decode to nothing. */

import { ZERO } from '../base/registers.ts';
import type { Instruction } from './instruction.ts';
import { ILLEGAL } from './opcodes/index.ts';
import type { Row } from './rows.ts';

/** An instruction of more than 15 bytes: raises #GP(0) when it is executed. */
export function tooLongInstruction(): Instruction {
  return {
    row: { ...ILLEGAL, mnemonic: '', semantics: 'tooLong' as string as Row['semantics'] },
    length: 15,
    operandSize: 4,
    addressSize: 4,
    segment: 3,
    segmentOverride: false,
    lock: false,
    rep: 0,
    opcode: 0,
    modrm: 0,
    mod: 0,
    reg: 0,
    rm: 0,
    memory: false,
    base: ZERO,
    index: ZERO,
    scale: 0,
    displacement: 0,
    immediate: 0,
    immediate2: 0,
  };
}
