/** Stand-in for bytes that decode to nothing. */

import { ZERO } from '../base/registers.ts';
import type { Instruction } from './instruction.ts';
import type { Row } from './rows.ts';

const row = (semantics: Row['semantics']): Row => ({
  map: 1,
  opcode: 0,
  extension: -1,
  prefix: 0,
  strictPrefix: false,
  form: 'any',
  mnemonic: '',
  operands: [],
  semantics,
  flagsRead: 0,
  flagsWritten: 0,
  flagsUndefined: 0,
  mayFault: true,
  endsBlock: true,
  privilege: null,
  exits: null,
  lockable: false,
  repeatable: false,
  feature: '',
});

/** An instruction of more than 15 bytes: raises #GP(0) when it is executed. */
export function undefinedInstruction(): Instruction {
  return {
    row: row('undefined'),
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
