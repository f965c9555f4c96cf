/** Builds opcode rows: what the operands and the operation say already need not be said again. */

import { FLAG_OF } from '../../base/registers.ts';
import type { OperandCode, Row } from '../rows.ts';
import { type Semantics, type SemanticsFacts, semantics } from './semantics.ts';

/** What a line of the opcode map may add to its operation. */
export type RowFacts = Partial<
  Pick<
    Row,
    | 'extension'
    | 'prefix'
    | 'strictPrefix'
    | 'form'
    | 'flagsRead'
    | 'flagsWritten'
    | 'flagsUndefined'
    | 'mayFault'
    | 'privilege'
    | 'exits'
    | 'feature'
  >
>;

/** One line of the opcode map. `code` is the opcode with its escape bytes: 0x88, 0x0f_af, 0x0f38_80. */
export function row(
  code: number,
  mnemonic: string,
  operands: readonly OperandCode[],
  operation: Semantics,
  facts: RowFacts = {},
): Row {
  const known: SemanticsFacts = semantics[operation];
  const emitted = known.by === 'emitter';
  const faults = facts.mayFault ?? known.faults ?? !(emitted || known.by === 'integer');
  const flags = flagsOf(known, operands);
  return {
    number: -1,
    map: code > 0xffff ? 3 : code > 0xff ? 2 : 1,
    opcode: code & 0xff,
    extension: -1,
    prefix: 0,
    strictPrefix: false,
    form: operands.some((o) => o.startsWith('M')) ? 'memory' : 'any',
    mnemonic,
    operands,
    semantics: operation,
    flagsRead: flags.read,
    flagsWritten: flags.written,
    flagsUndefined: flags.undefined,
    mayFault: faults || (!known.addressOnly && operands.some((o) => /^[EMO]|^Rv\/Mw/.test(o))),
    registerFormMayFault: faults,
    quiet: known.quiet === true || known.by === 'integer',
    endsBlock: known.branch === true || known.by === 'vmx' || known.by === 'undefined' || known.by === 'unimplemented',
    privilege: null,
    exits: null,
    lockable: known.lockable === true && /^[EM]/.test(operands[0] ?? ''),
    repeatable: known.by === 'string',
    feature: '',
    ...facts,
  };
}

function flagsOf(known: SemanticsFacts, operands: readonly OperandCode[]) {
  const { read = 0, written = 0, undefined: lost = 0, counted = false } = known;
  if (!counted) return { read, written, undefined: lost };
  const byOne = operands[1] === '1';
  return byOne ? { read, written, undefined: lost & ~FLAG_OF } : { read: read | written, written, undefined: lost };
}
