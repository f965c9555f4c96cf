/** A repeated string instruction that overwrites itself ends there, after the same iteration, wherever turns and budgets end. */
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { keptLine, type Run, runBare, runNested } from './runs.ts';

/** The instruction is to write 40 doublewords; the ninth is the instruction. Behind it: EBX, ECX as bytes to the serial port. */
const program = (instruction: string): Uint8Array =>
  assemble(`
bits 32
org 0x100000
        mov esi, 0x80000000             ; no memory there: ones
        mov eax, 0x43434343             ; INC EBX, four times
        xor ebx, ebx
        mov edx, 0x5000                 ; no device there
        mov edi, here - 32
        mov ecx, 40
        jmp here
        times 64 db 0x90
        align 4
here:   ${instruction}
        times 256 db 0x90
        mov dx, 0x3f8
        mov eax, ebx
        out dx, al
        mov eax, ecx
        out dx, al
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
`).bytes;

/** On the bare machine, some instructions at a time. */
function inPieces(image: Uint8Array, instructions: number): Omit<Run, 'ports'> {
  const line = keptLine();
  const machine = new Machine({ memory: 0x20_0000, contexts: 6, serial: [line] });
  machine.load(image);
  for (;;) {
    const end = machine.run({ maxInstructions: instructions });
    if (end.kind === 'limit' && machine.instructions < 10_000) continue;
    return { output: line.text, end: end.kind, instructions: machine.instructions, time: machine.cpu.now() };
  }
}

describe.each([
  ['REP STOSD', 'rep stosd', 'power-off', '\x04\x1f'],
  ['REP INSD', 'rep insd', 'triple-fault', ''], // FFFFh is undefined
  ['REP MOVSD from where there is no memory', 'rep movsd', 'triple-fault', ''],
])('%s', (_, instruction, end, output) => {
  const image = program(instruction);
  const whole = runBare(image);

  test('on the bare machine', () => {
    expect(whole).toMatchObject({ end, output });
    const { ports, ...rest } = whole;
    for (const n of [1, 2, 5, 13]) expect(inPieces(image, n)).toEqual(rest);
  });

  test.each([1, 3, 10, 17, 1_000_000])('in a VM with turns of %i instructions', (slice) => {
    expect(runNested(image, {}, { slice })).toEqual(whole);
  });
});
