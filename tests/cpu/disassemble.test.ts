import { Formatter, FormatterSyntax, MemorySizeOptions } from 'iced-x86';
import { describe, expect, test } from 'vitest';
import { decode } from '../../src/cpu/decode.ts';
import { disassemble, disassembleBytes } from '../../src/cpu/disassemble.ts';
import type { Instruction } from '../../src/cpu/instruction.ts';
import { encodingsOfAllRows, Reference, SLOT } from './iced.ts';

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(hex.split(' ').map((b) => Number.parseInt(b, 16)));
const only = (hex: string, codeSize: 2 | 4, eip = 0x1000): string => {
  const lines = disassembleBytes(bytesOf(hex), eip, codeSize);
  return lines.map((line) => line.text).join('; ');
};

// Left: bytes. Right: what nasm 2.16 reads as the same instruction.
describe('the disassembler writes what NASM reads', () => {
  test.each([
    ['b8 78 56 34 12', 'mov eax, 0x12345678'],
    ['83 c4 f0', 'add esp, -0x10'],
    ['83 00 ff', 'add dword [eax], -0x1'],
    ['66 81 08 00 10', 'or word [eax], 0x1000'],
    ['8b 44 24 08', 'mov eax, [esp+0x8]'],
    ['8b 45 f8', 'mov eax, [ebp-0x8]'],
    ['65 a1 00 00 00 00', 'mov eax, [gs:0x0]'],
    ['8b 04 8d 00 10 00 c0', 'mov eax, [ecx*4+0xc0001000]'],
    ['8d 54 8a 7f', 'lea edx, [edx+ecx*4+0x7f]'],
    ['67 8b 00', 'mov eax, [bx+si]'],
    ['67 8b 1e 34 12', 'mov ebx, [word 0x1234]'],
    ['0f b6 00', 'movzx eax, byte [eax]'],
    ['0f b7 c1', 'movzx eax, cx'],
    ['8e d8', 'mov ds, ax'],
    ['66 8c d8', 'mov ax, ds'],
    ['0f 22 d8', 'mov cr3, eax'],
    ['eb fe', 'jmp 0x1000'],
    ['74 10', 'je 0x1012'],
    ['e8 fb ff ff ff', 'call 0x1000'],
    ['ff 24 85 00 20 00 00', 'jmp dword [eax*4+0x2000]'],
    ['ff 2d 00 20 00 00', 'jmp far [0x2000]'],
    ['ea 00 00 10 00 08 00', 'jmp 0x8:0x100000'],
    ['66 ea 00 10 08 00', 'jmp word 0x8:0x1000'],
    ['f3 a5', 'rep movsd'],
    ['f2 ae', 'repne scasb'],
    ['2e ac', 'cs lodsb'],
    ['67 e2 fd', 'loop 0x1000, cx'],
    ['e3 fe', 'jecxz 0x1000'],
    ['60', 'pusha'],
    ['66 60', 'pushaw'],
    ['cf', 'iret'],
    ['66 68 34 12', 'push word 0x1234'],
    ['6a ff', 'push -0x1'],
    ['f0 0f b1 0b', 'lock cmpxchg [ebx], ecx'],
    ['f0 0f c7 0e', 'lock cmpxchg8b [esi]'],
    ['d1 20', 'shl dword [eax], 1'],
    ['0f a5 d0', 'shld eax, edx, cl'],
    ['0f ba 28 1f', 'bts dword [eax], 0x1f'],
    ['0f 94 c1', 'sete cl'],
    ['0f 4c c1', 'cmovl eax, ecx'],
    ['c8 10 00 01', 'enter 0x10, 0x1'],
    ['cd 80', 'int 0x80'],
    ['ec', 'in al, dx'],
    ['e7 21', 'out 0x21, eax'],
    ['0f 01 15 00 10 00 00', 'lgdt [0x1000]'],
    ['0f 01 c2', 'vmlaunch'],
    ['0f 78 c3', 'vmread ebx, eax'],
    ['66 0f 38 80 03', 'invept eax, [ebx]'],
    ['f3 0f c7 33', 'vmxon [ebx]'],
    ['d9 6c 24 02', 'fldcw word [esp+0x2]'],
    ['de c1', 'faddp st1, st0'],
    ['0f 1f 40 00', 'nop dword [eax]'],
    ['0f 0b', 'ud2'],
    ['0f ff', 'db 0x0f, 0xff'],
    ['81 c0 00', 'db 0x81, 0xc0, 0x00'],
    ['90 f3 90', 'nop; pause'],
  ])('%s in 32-bit code is %s', (hex, text) => {
    expect(only(hex, 4)).toBe(text);
  });

  test.each([
    ['31 c0', 'xor ax, ax'],
    ['66 31 c0', 'xor eax, eax'],
    ['8b 46 fe', 'mov ax, [bp-0x2]'],
    ['66 67 8b 04 24', 'mov eax, [esp]'],
    ['66 ea 00 00 10 00 08 00', 'jmp dword 0x8:0x100000'],
    ['e9 fd ef', 'jmp 0x0'],
    ['66 0f 01 16 00 7c', 'o32 lgdt [0x7c00]'],
    ['f3 66 ab', 'rep stosd'],
    ['66 60', 'pushad'],
    ['26 8a 07', 'mov al, [es:bx]'],
  ])('%s in 16-bit code is %s', (hex, text) => {
    expect(only(hex, 2)).toBe(text);
  });

  test('each line says where its instruction stands', () => {
    const lines = disassembleBytes(bytesOf('90 b8 01 00 00 00 c3'), 0xffff_fffe, 4);
    expect(lines.map((line) => [line.eip, line.bytes.length])).toEqual([
      [0xffff_fffe, 1],
      [0xffff_ffff, 5],
      [4, 1],
    ]);
  });
});

/** Text without what the two write differently on purpose: sizes, prefixes without effect, signs, implied operands. */
function plain(text: string, i: Instruction): string {
  const implicit = i.row.repeatable || i.row.semantics === 'xlat';
  const unsigned = (n: string, size: number): string => ((1n << BigInt(8 * size)) - BigInt(`0x${n}`)).toString(16);
  return text
    .replace(
      /\b(xacquire|xrelease|bnd|notrack|h?n?t|o16|o32|byte|word|dword|qword|tword|oword|short|near|far|to) /g,
      '',
    )
    .replace(implicit ? /(?!)/ : /^((rep|repe|repne|[c-gs]s) )+/, '')
    .replace(/[ds]s:/, '')
    .replace(/^wait/, 'fwait')
    .replace(/^(retf?)[wd]\b/, '$1')
    .replace(/^(lock )?xchg (.*), (.*)/, (_, lock = '', ...two) => `${lock}xchg ${two.slice(0, 2).sort()}`)
    .replace(/^(nop .*), .*/, '$1') // 0F 1F is a reserved NOP to iced, with two operands
    .replace(/^(fsetpm|fnsetpm)/, 'fsetpm')
    .replace(/^fstpnce/, 'fstp')
    .replace(/^(f\w+) [^[]*$/, '$1') // iced leaves out st0, and st1 where it is the default
    .replace(/^(l[as][rl] \w+|mov [d-gs]s), e/, '$1, ') // a word is read, whatever the register is called
    .replace(/-0x([0-9a-f]+)\]/, (_, n) => `+0x${unsigned(n, i.addressSize)}]`)
    .replace(/([ ,])-0x([0-9a-f]+)/, (_, before, n) => `${before}0x${unsigned(n, i.operandSize)}`)
    .replace(/^imul (\w+), \1, /, 'imul $1, ')
    .replace(/^(aa[md]) 0xa$/, '$1')
    .replace(/\b0x/g, '');
}

test.each([2, 4] as const)('text agrees with the NASM formatter of iced-x86 (code size %i)', (codeSize) => {
  const formatter = new Formatter(FormatterSyntax.Nasm);
  Object.assign(formatter, {
    hexPrefix: '0x',
    hexSuffix: '',
    uppercaseHex: false,
    smallHexNumbersInDecimal: false,
    leadingZeros: false,
    branchLeadingZeros: false,
    displacementLeadingZeros: false,
    addLeadingZeroToHexNumbers: false,
    signedMemoryDisplacements: false,
    spaceAfterOperandSeparator: true,
    showBranchSize: false,
    memorySizeOptions: MemorySizeOptions.Always,
  });
  const bytes = encodingsOfAllRows(0x7ead, [[], [0x66], [0x67], [0x2e], [0x64, 0xf3], [0xf0]]);
  const reference = new Reference(bytes, codeSize);
  const differences = new Map<string, string>();
  let compared = 0;
  for (let start = 0; start < bytes.length; start += SLOT) {
    if (reference.lengthAt(start) === 0) continue;
    const i = decode(bytes, start, start + SLOT, codeSize) as Instruction;
    const theirs = formatter.format(reference.instruction);
    if (i.row.mnemonic === 'NOP' && theirs.startsWith('xchg')) continue; // 66 90
    if (i.row.mnemonic === 'HINT_NOP') continue; // iced: reservednop; NASM: hint_nop0 to hint_nop63
    const ours = disassemble(i, 0, undefined, codeSize);
    if (plain(ours, i) !== plain(theirs, i))
      differences.set(`${i.row.mnemonic} ${i.row.operands}`, `${ours} | ${theirs}`);
    compared++;
  }
  formatter.free();
  reference.free();
  expect([...differences.values()]).toEqual([]);
  expect(compared).toBeGreaterThan(100_000);
});
