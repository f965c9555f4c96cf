import { describe, expect, test } from 'vitest';
import { AssemblyError, assemble, encode, imm, reg } from '../../src/asm/index.ts';
import { InvalidInput } from '../../src/base/errors.ts';

/** The first complaint about a source, as `line:column: message`. */
function complaints(source: string, include: Record<string, string> = {}): string[] {
  try {
    assemble(source, { file: 'a.asm', include: (path) => include[path] ?? null });
  } catch (error) {
    if (error instanceof AssemblyError) return error.message.split('\n').map((line) => line.replace(/^a\.asm:/, ''));
    throw error;
  }
  return [];
}

const TABLE: readonly [what: string, source: string, complaint: string][] = [
  ['an unknown symbol', 'nop\n  mov eax, nosuch', '2:12: `nosuch` is not defined here'],
  ['an unknown instruction', 'movaps xmm0, xmm1', '1:1: neither `movaps` nor `xmm0` is an instruction'],
  ['an unknown instruction behind a label', 'x: frob eax', '1:4: there is no instruction `frob`'],
  ['a lone word', 'emms', '1:1: `emms` is no instruction; a label alone on its line needs a colon'],
  ['a register as a label', 'eax: nop', '1:1: expected an instruction, `eax` is no label (but $eax is)'],
  ['a label that is defined twice', 'x: nop\nx: nop', '2:1: `x` is defined twice'],
  ['a constant that is defined twice', 'x equ 1\nx equ 2', '2:1: `x` is defined twice'],
  ['a missing operand', 'mov eax,', '1:9: expected an expression, the line ends'],
  ['too many operands', 'mov ax, bx, cx', '1:1: `mov`: expected 2 operands, found 3'],
  ['no operands', 'push', '1:1: `push`: expected 1 operand, found none'],
  ['operands that do not fit', 'lea eax, ebx', '1:1: `lea` does not take such operands'],
  ['a missing size', 'mov [bx], 5', '1:1: the size of the operand is not known: say byte, word or dword'],
  ['sizes that differ', 'mov dword [bx], word 4', '1:1: the sizes of the operands differ'],
  ['too many registers', 'mov eax, [eax+ebx+ecx]', '1:10: an address has at most two registers, one of them scaled'],
  ['a wrong 16-bit address', 'mov ax, [bx+cx]', '1:1: [bx+cx] is no 16-bit address; it can be made of bx or bp, and si or di'],
  ['a wrong factor', 'bits 32\njmp [eax*7]', '2:1: eax*7 cannot be encoded in this address'],
  ['esp as an index', 'bits 32\nmov eax, [esp*2]', '2:1: esp cannot be an index'],
  ['16 and 32 bits in one address', 'a16 mov ax, [eax]', '1:5: the address mixes 16-bit and 32-bit parts'],
  ['a short jump too far', 'jmp short x\ntimes 200 nop\nx:', '1:1: the target of the short jump is 198 bytes away'],
  ['an open bracket', 'mov eax, [1+2', '1:14: expected `]` to close the memory operand, the line ends'],
  ['an open parenthesis', 'db (1+2', '1:8: expected `)` to close the parenthesis, the line ends'],
  ['an open string', 'db "abc', '1:4: the string is not closed, expected "'],
  ['a bad number', 'db 12ab', '1:4: `12ab` is not a number (hexadecimal is written 0x1F or 1Fh, binary 101b, octal 17o)'],
  ['floating point', 'dd 1.5', '1:4: floating point is not supported: `1.5`'],
  ['two numbers in a row', 'db 1 2', '1:6: expected the end of the line, found `2`'],
  ['an operator on a label', 'x: dw x & 1', '1:9: `&` works on numbers only; the value of a label is known when everything is placed (label - $$ is a number)'],
  ['twice a label', 'x: dd x*2', '1:7: the value is neither a number nor one label plus a number'],
  ['division by zero', 'db 1 / 0', '1:6: division by zero'],
  ['a negative TIMES', 'times -1 nop', '1:1: cannot do it -1 times'],
  ['a TIMES that looks ahead', 'times x nop\nx:', '1:1: the number of times must be known here: it uses a label that is defined further down'],
  ['64-bit code', 'bits 64', '1:6: expected 16 or 32 (there is no 64-bit code), found `64`'],
  ['two origins', 'org 5\norg 6', '2:1: the origin was given already'],
  ['a section attribute', 'section .foo start=5', '1:14: expected align=NUMBER; other attributes of sections are not supported'],
  ['bytes in .bss', 'section .bss\ndb 1', '2:1: there are no bytes in .bss: use resb, resw, resd'],
  ['an odd alignment', 'align 3', '1:1: the alignment 3 is no power of two'],
  ['values that never settle', 'x equ y\ny equ x+1', '1:1: label addresses do not settle within 500 passes'],
  ['a missing %endif', 'nop\n%if 1\nnop', '2:1: expected %endif for this %if before the file ends'],
  ['a missing %if', '%endif', '1:1: %endif without %if'],
  ['a second %else', '%if 0\n%else\n%else\n%endif', '3:1: %else behind %else'],
  ['a missing %endmacro', '%macro a 1\nnop', '1:1: expected %endmacro'],
  ['a wrong number of parameters', '%macro a 1-2\nnop\n%endmacro\na', '4:1: macro `a` takes 1 to 2 parameters'],
  ['a wrong number of parameters in parentheses', '%define a(x) x\ndb a(1,2)', '2:4: `a` takes 1 parameter, found 2'],
  ['%error', '  %error "too big"', '1:3: too big'],
  ['an unknown directive', '%foo', '1:1: there is no directive %foo'],
  ['an endless %rep', '%rep 99999999\nnop\n%endrep', '1:1: %rep 99999999: at most 1000000 are possible'],
  ['a missing file', '%include "no.inc"', '1:10: cannot find the file "no.inc"'],
  ['a missing binary', 'incbin "no.bin"', '1:1: cannot find the file "no.bin"'],
  ['contexts', '%push x', '1:1: contexts are not supported (%push)'],
  ['too large a program', 'resb 1 << 40', '1:1: the program is larger than 67108864 bytes'],
]; // biome-ignore format: a table

describe('each mistake is named with its line and column', () => {
  for (const [what, source, complaint] of TABLE)
    test(what, () => {
      expect(complaints(source)[0]).toBe(complaint);
    });
});

test('several mistakes are reported at once, in order, each once', () => {
  expect(complaints('mov eax, first\nbad bad\nx: push\nthere: jmp there\nmov ebx, second')).toEqual([
    '1:10: `first` is not defined here',
    '2:1: neither `bad` nor `bad` is an instruction',
    '3:4: `push`: expected 1 operand, found none',
    '5:10: `second` is not defined here',
  ]);
});

test('a line that cannot be read does not make its label unknown', () => {
  expect(complaints('here db 1 2\njmp here')).toEqual(['1:11: expected the end of the line, found `2`']);
});

test('a mistake in a macro is told with the way there', () => {
  expect(complaints('%macro m 1\n mov eax, %1\n%endmacro\n\n  m qq\n')).toEqual([
    '2:11: `qq` is not defined here',
    '  in macro m, used at a.asm:5:1',
  ]);
});

test('a mistake in an included file carries its name', () => {
  expect(complaints('%include "b.inc"', { 'b.inc': '\nmov' })).toEqual([
    'b.inc:2:1: `mov`: expected 2 operands, found none',
  ]);
});

test('a file that includes itself ends', () => {
  expect(complaints('%include "b.inc"', { 'b.inc': '%include "b.inc"' })[0]).toContain('nested too deeply');
});

test('macros that breed without end are stopped', () => {
  const doubling = Array.from({ length: 60 }, (_, n) => `%define a${n + 1} a${n}, a${n}`).join('\n');
  expect(complaints(`%define a0 1\n${doubling}\ndb a60`)[0]).toContain('expands to too much');
});

test('an error is an InvalidInput with a list of problems', () => {
  let caught: unknown;
  try {
    assemble('nop\n bad bad', { file: 'k.asm' });
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(InvalidInput);
  expect((caught as AssemblyError).problems).toEqual([
    { place: { file: 'k.asm', line: 2, column: 2 }, message: 'neither `bad` nor `bad` is an instruction' },
  ]);
});

test('the typed layer says what is wrong', () => {
  expect(() => encode({ mnemonic: 'MOV', operands: [reg('eax'), reg('bx')], prefixes: [] }, 32)).toThrow(InvalidInput);
  expect(() => encode({ mnemonic: 'FROB', operands: [imm(1)], prefixes: [] }, 32)).toThrow(
    'there is no instruction `FROB`',
  );
});
