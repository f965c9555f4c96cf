import { expect, test } from 'vitest';
import { assemble, encode, far, imm, mem, reg, target } from '../../src/asm/index.ts';
import { hexOf } from './nasm.ts';

const bytesOf = (source: string): string => hexOf(assemble(source).bytes);

test('symbols have their addresses, with origin, scopes and sections', () => {
  const { symbols, origin } = assemble(`
    org 0x7c00
    start:  nop
    .loop:  jmp .loop
    other:  nop
    .loop:  jmp .loop
    SIZE    equ $ - start
    section .data
    value:  dd 5
    section .bss
    buffer: resb 4`);
  expect(origin).toBe(0x7c00);
  expect([...symbols]).toEqual([
    ['start', 0x7c00],
    ['start.loop', 0x7c01],
    ['other', 0x7c03],
    ['other.loop', 0x7c04],
    ['SIZE', 6],
    ['value', 0x7c08],
    ['buffer', 0x7c0c],
  ]);
});

test('lines tell what they became, in the file that they stand in', () => {
  const include = (): string => 'inc ax\n';
  const { lines } = assemble('org 100h\nnop\n%include "a.inc"\nx equ 5\ndb 1, 2, 3', { file: 'k.asm', include });
  expect(lines).toEqual([
    { file: 'k.asm', line: 2, address: 0x100, length: 1 },
    { file: 'a.inc', line: 1, address: 0x101, length: 1 },
    { file: 'k.asm', line: 5, address: 0x102, length: 3 },
  ]);
});

test('defines are given as with -D', () => {
  expect(hexOf(assemble('%ifdef A\ndb A, B\n%endif', { defines: { A: 1, B: '2+3' } }).bytes)).toBe('0105');
});

test('%warning does not stop the assembly', () => {
  const { bytes, warnings } = assemble('%warning "careful"\ndb 1', { file: 'k.asm' });
  expect(hexOf(bytes)).toBe('01');
  expect(warnings).toEqual([{ place: { file: 'k.asm', line: 1, column: 1 }, message: 'careful' }]);
});

test('a number that is larger than its place is cut, and there is a warning', () => {
  const { bytes, warnings } = assemble('db 256, -128, 255\nout 0x3f8, al\nmov ax, -32768', { file: 'k.asm' });
  expect(hexOf(bytes)).toBe('0080ff' + 'e6f8' + 'b80080');
  expect(warnings.map(({ place, message }) => `${place.line}: ${message}`)).toEqual([
    '1: a number is larger than its place, its low bits are taken',
    '2: a number is larger than its place, its low bits are taken',
  ]);
});

test('a condition may look at the position', () => {
  expect(bytesOf('times 5 nop\n%if $ - $$ > 4\ndb 0xaa\n%else\ndb 0xbb\n%endif')).toBe('9090909090aa');
});

test('a forward jump is short where it can be', () => {
  expect(bytesOf('bits 32\njmp x\ntimes 127 nop\nx:').slice(0, 4)).toBe('eb7f');
  expect(bytesOf('bits 32\njmp x\ntimes 128 nop\nx:').slice(0, 10)).toBe('e980000000');
});

test('strict keeps the size that is said', () => {
  expect(bytesOf('bits 32\npush strict dword 5')).toBe('6805000000');
  expect(bytesOf('bits 32\npush dword 5')).toBe('6a05');
});

test('a boot sector has 512 bytes and its signature', () => {
  const { bytes } = assemble('org 7c00h\nstart: jmp start\ntimes 510 - ($ - $$) db 0\ndw 0xaa55');
  expect(bytes.length).toBe(512);
  expect(hexOf(bytes.subarray(510))).toBe('55aa');
});

test('the typed layer takes operands that nobody wrote down', () => {
  const code = (mnemonic: string, ...operands: Parameters<typeof encode>[0]['operands']): string =>
    hexOf(encode({ mnemonic, operands, prefixes: [] }, 32));
  expect(code('add', reg('eax'), imm(5))).toBe('83c005');
  expect(code('mov', mem({ base: 'ebp', index: 'esi', scale: 4, displacement: 8 }), reg('cl'))).toBe('884cb508');
  expect(code('inc', mem({ displacement: 0x1000, size: 4, segment: 'fs' }))).toBe('64ff0500100000');
  expect(code('jmp', target(0x10))).toBe('eb0e');
  expect(code('jz', target(0x1000, 'near'))).toBe('0f84fa0f0000');
  expect(code('jmp', far(8, 0x1234))).toBe('ea341200000800');
  expect(hexOf(encode({ mnemonic: 'jmp', operands: [target(0x100)], prefixes: [] }, 16, { at: 0xf0 }))).toBe('eb0e');
  expect(hexOf(encode({ mnemonic: 'movsd', operands: [], prefixes: ['rep'] }, 16))).toBe('f366a5');
});
