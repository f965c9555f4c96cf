/** The page docs/instructions.md, written from the rows: every instruction, and what is left out. */

import {
  FLAG_AC,
  FLAG_AF,
  FLAG_CF,
  FLAG_DF,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_OF,
  FLAG_PF,
  FLAG_RF,
  FLAG_SF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  FLAG_ZF,
} from '../../base/registers.ts';
import type { FlagSet, Row } from '../rows.ts';
import { unimplementedFeatures } from './features.ts';

const FLAG_LETTERS: readonly (readonly [FlagSet, string])[] = [
  [FLAG_OF, 'O'],
  [FLAG_SF, 'S'],
  [FLAG_ZF, 'Z'],
  [FLAG_AF, 'A'],
  [FLAG_PF, 'P'],
  [FLAG_CF, 'C'],
  [FLAG_DF, 'D'],
  [FLAG_IF, 'I'],
];
const OTHERS = FLAG_TF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;

/** Small letters: left undefined. A plus: system flags too. */
function flagText(written: FlagSet, lost: FlagSet): string {
  const letters = FLAG_LETTERS.map(([bit, letter]) =>
    lost & bit ? letter.toLowerCase() : written & bit ? letter : '',
  );
  return letters.join('') + (written & OTHERS ? '+' : '');
}

const byte = (n: number): string => n.toString(16).toUpperCase().padStart(2, '0');

/** An opcode as the manual's instruction pages write it: `66 0F C7 /6`. */
export function opcodeText(row: Row): string {
  const prefix = row.prefix === 0 ? (row.strictPrefix ? 'NP ' : '') : `${byte(row.prefix)} `;
  const opcode = ['', '', '0F ', '0F 38 '][row.map] + byte(row.opcode);
  const inOpcode = row.operands.some((o) => o.startsWith('Z')) ? '+r' : '';
  if (typeof row.form === 'number') return `${prefix}${opcode} ${byte(row.form)}`;
  return `${prefix}${opcode}${inOpcode}${row.extension < 0 ? '' : ` /${row.extension}`}`;
}

/** Instructions that differ in their condition only are one. */
const nameOf = (row: Row): string =>
  /^(jcc|setcc|cmovcc)$/.test(row.semantics) ? row.mnemonic.replace(/^(J|SET|CMOV).*/, '$1cc') : row.mnemonic;

const PRIVILEGE = {
  cpl0: 'CPL 0',
  iopl: 'CPL ≤ IOPL',
  'late cpl0': 'CPL 0, looked at after leaving the VM',
  protected: 'protected mode',
  'protected cpl0': 'protected mode, CPL 0',
} as const;

function notes(row: Row): string {
  const said = [
    row.repeatable ? 'REP' : '',
    row.privilege === null ? '' : PRIVILEGE[row.privilege],
    row.exits === null ? '' : `may leave a VM (${row.exits})`,
    row.semantics === 'undefined' ? '#UD on purpose' : '',
    row.feature === '' ? '' : `**not implemented** (${row.feature})`,
  ];
  return said.filter((note) => note !== '').join('; ');
}

/** Rows that are alike but for opcode and operands make one line; in alphabetical order, as in SDM Vol. 2. */
function table(rows: readonly Row[]): string[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const key = [nameOf(row), flagText(row.flagsWritten, row.flagsUndefined), notes(row)].join(' | ');
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const lines = [...groups].map(([key, alike]) => {
    const [name, flags, note] = key.split(' | ') as [string, string, string];
    const encodings = shortened(alike).map(
      (row) => `\`${[opcodeText(row), row.operands.join(',')].join(' ').trim()}\``,
    );
    const lock = alike.some((row) => row.lockable) ? 'LOCK' : '';
    return `| ${name} | ${encodings.join(' ')} | ${flags} | ${[lock, note].filter((n) => n !== '').join('; ')} |`;
  });
  return ['| Instruction | Encodings | Flags | |', '|---|---|---|---|', ...lines.sort()];
}

/** Of sixteen conditions and of seven extensions of a reserved NOP the first will do. */
const shortened = (alike: readonly Row[]): readonly Row[] =>
  alike.filter((row, n) => {
    const before = alike[n - 1];
    if (before === undefined || before.operands[0] !== row.operands[0]) return true;
    return row.mnemonic === 'HINT_NOP' ? before.opcode !== row.opcode : nameOf(row) === row.mnemonic;
  });

/** The whole page. */
export function instructionMatrix(rows: readonly Row[]): string {
  const x87 = rows.filter((row) => row.feature === 'x87');
  const features = Object.entries(unimplementedFeatures).map(([feature, asked]) => `| ${feature} | ${asked} |`);
  return [
    '# Instructions',
    '',
    'Written by `instructionMatrix` from the opcode rows in `src/cpu/opcodes`; a test compares the two.',
    '',
    'The processor knows the integer instructions of a Pentium Pro, SYSENTER and SYSEXIT, and VMX. Everything else is an undefined',
    'opcode, as it would be there: MMX, SSE, SYSCALL and whatever came later; MONITOR and MWAIT, because a processor that',
    'waits for a write would have to be told of writes by everything that can write (CPUID does not show them, and VMX does not',
    'offer their exits); RSM, because there is no system-management mode.',
    '',
    '## Not implemented',
    '',
    'A Pentium Pro has these, ringlet does not. A guest that asks for one stops with `Unimplemented`, which names it.',
    '',
    '| Feature | Asked for by |',
    '|---|---|',
    ...features,
    '',
    '## Integer, system and VMX instructions',
    '',
    'Operands are in the codes of SDM Vol. 2, Appendix A. Flags: those that may change, in small letters if they are left',
    'undefined (O overflow, S sign, Z zero, A auxiliary carry, P parity, C carry, D direction, I interrupt enable, + others).',
    'LOCK: allowed with a memory destination. VMX instructions check mode and privilege by themselves, after leaving the VM.',
    '',
    ...table(rows.filter((row) => row.feature !== 'x87')),
    '',
    '## x87 instructions',
    '',
    'Decoded, not implemented:',
    `${[...new Set(x87.map((row) => row.mnemonic))].sort().join(', ')}.`,
    '',
  ].join('\n');
}
