import { describe, expect, test } from 'vitest';
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
      const showsFeatures = leaf === 1 || leaf === 7 || leaf === 0x4000_0000 || leaf > 0x8000_0008;
      expect(ecx).toBe(showsFeatures ? (bare as number) & ~0x20 : bare);
      if (showsFeatures) expect((bare as number) & 0x20).toBe(0x20);
    },
  );
});
