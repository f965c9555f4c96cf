import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { program, runBare, runNested } from './worlds.ts';

/** Prints EFLAGS as the handler of vector 6 finds them, for each instruction that is not there. */
const undefinedInstructions = (instruction: string): Uint8Array =>
  program(`
        call setup
        mov eax, undefined
        mov [idt + 6 * 8], ax
        mov word [idt + 6 * 8 + 2], 8
        mov word [idt + 6 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 6 * 8 + 6], ax
        ${instruction}
undefined:
        mov eax, [esp + 8]
        call print_hex
        call off
timer:  iretd`);

describe('what a hypervisor could leave behind in its guest', () => {
  test.each(['ud2', 'vmcall', 'vmptrst [0x90000]'])(
    'the handler of an undefined instruction finds RF set, as that of every fault: %s',
    (instruction) => {
      const image = undefinedInstructions(instruction);
      const nested = runNested(image);
      expect(nested.output).toMatch(/^0001[0-9A-F]{4}\n$/);
      expect(nested.output).toBe(runBare(image).output);
    },
  );

  test.each([1, 0, 7, 0x4000_0000, 0x8000_0000, 0x8000_0009, 0xffff_ffff])(
    'no leaf of CPUID tells of VMX: %i',
    (leaf) => {
      const image = program(`
        mov eax, 0
        cpuid
        mov eax, ${leaf}
        mov ecx, 0
        cpuid
        mov eax, ecx
        call print_hex
        mov eax, edx
        call print_hex
        call off
timer:  iretd`);
      const [ecx] = runNested(image)
        .output.split('\n')
        .map((line) => Number.parseInt(line, 16));
      const [bare] = runBare(image)
        .output.split('\n')
        .map((line) => Number.parseInt(line, 16));
      const showsFeatures = leaf === 1; // those that do not exist yield the highest one, performance monitoring
      expect(ecx).toBe(showsFeatures ? (bare as number) & ~0x20 : bare);
      if (showsFeatures) expect((bare as number) & 0x20).toBe(0x20);
    },
  );

  const stringIo = (segment: string, instruction: string): Uint8Array =>
    program(`
        call setup
        mov eax, protection
        mov [idt + 13 * 8], ax
        mov word [idt + 13 * 8 + 2], 8
        mov word [idt + 13 * 8 + 4], 0x8e00
        mov [idt + 12 * 8], ax
        mov word [idt + 12 * 8 + 2], 8
        mov word [idt + 12 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 13 * 8 + 6], ax
        mov [idt + 12 * 8 + 6], ax
        lgdt [more]
        cld
        mov ecx, 8
        mov esi, 0x1ffc
        mov edi, 0x1ffc
        mov ebp, 0x1ffc
        mov dx, 0x3f8
        mov ax, ${segment}
        mov ds, ax
        mov es, ax
        ${instruction}
        mov edi, 0
protection:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov eax, ecx
        shl eax, 16
        mov ax, si
        add eax, edi
        call print_hex
        call off
more:   dw 0x2f
        dd large
align 8
large:  dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
        dq 0x0040920000001ffe                   ; 18 ends in the middle of a doubleword
        dq 0x00c0960000000001                   ; 20 expand-down: from 2000h on
        dq 0x00cf90000000ffff                   ; 28 read-only
timer:  iretd`);

  test.each(['0', '0x18', '0x20', '0x28', '0x10'])('string I/O heeds the segment: selector %s', (segment) => {
    for (const instruction of [
      'rep outsb',
      'rep outsd',
      'outsw',
      'rep insb',
      'insd',
      'a16 rep outsb',
      'es rep outsb',
    ]) {
      const image = stringIo(segment, instruction);
      const nested = runNested(image);
      expect(nested.end, instruction).toBe('power-off');
      expect(nested.output, instruction).toBe(runBare(image).output);
    }
  });

  test('exceptions have no error code in real-address mode', () => {
    const image = assemble(`
bits 16
org 0x7c00
        xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7000
        mov word [13 * 4], protection
        mov word [13 * 4 + 2], ax
        mov ecx, 0x12345
        rdmsr
        hlt
protection:
        mov al, 'A'
        cmp sp, 0x7000 - 6
        je .right
        inc ax
.right: mov dx, 0x3f8
        out dx, al
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
`).bytes;
    const { vm, ...nested } = runNested(image, { real: true });
    expect(nested.output).toBe('A');
    expect(nested).toEqual(runBare(image, { real: true }));
  });

  test('interrupts among accesses that were tried twice find RF clear', () => {
    const image = program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 1
        out 0x40, al
        mov al, 0
        out 0x40, al
        sti
.again: cmpxchg [0x93000000], ecx
        bts [0x93000000], ecx
        cmp dword [ticks], 30
        jb .again
        cli
        mov eax, [flags]
        call print_hex
        call off
timer:  push eax
        mov eax, [esp + 12]
        or [flags], eax
        inc dword [ticks]
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
ticks:  dd 0
flags:  dd 0`);
    const { vm, ...nested } = runNested(image);
    expect(nested.output).toMatch(/^0000/);
    expect(nested).toEqual(runBare(image));
  });

  test.each(['push byte -25', 'push dword -25', 'o16 push byte 5', 'push word [digits]', 'push ebx'])(
    'a stack where there is no memory moves as elsewhere: %s',
    (instruction) => {
      const image = program(`
        call setup
        mov esp, 0x94000001
        ${instruction}
        mov eax, esp
        mov esp, 0x90000
        call print_hex
        call off
timer:  iretd`);
      const { vm, ...nested } = runNested(image);
      expect(nested).toEqual(runBare(image));
    },
  );
});
