import { expect, test } from 'vitest';
import { rows } from '../../src/cpu/opcodes/index.ts';
import { instructionMatrix, opcodeText } from '../../src/cpu/opcodes/matrix.ts';

test('docs/instructions.md says what the rows say (npm run docs writes it)', async () => {
  await expect(instructionMatrix(rows)).toMatchFileSnapshot('../../docs/instructions.md');
});

test.each([
  ['VMXON', 'F3 0F C7 /6'],
  ['VMREAD', 'NP 0F 78'],
  ['INVEPT', '66 0F 38 80'],
  ['VMLAUNCH', 'NP 0F 01 C2'],
  ['BSWAP', '0F C8+r'],
  ['HLT', 'F4'],
])('the opcode of %s is written %s, as in the manual', (mnemonic, text) => {
  expect(rows.filter((row) => row.mnemonic === mnemonic).map(opcodeText)).toEqual([text]);
});
