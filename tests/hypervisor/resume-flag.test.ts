/** RF in what an interrupt pushes: 1 between two iterations of a repeated instruction, 0 between two instructions, whoever carries the
 *  instruction out (SDM Vol. 3, "Instruction-Breakpoint Exception Condition"; Vol. 1, "System Flags and IOPL Field"). */
import { expect, test } from 'vitest';
import type { VmState } from '../../src/hypervisor/persist.ts';
import { program, runBare, runNested, world } from './worlds.ts';

/** Runs `body` with the timer on; prints how many interrupts pushed RF = 1, and how many 0. */
const counting = (body: string): Uint8Array =>
  program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 3                   ; 3 pulses of 838 instructions
        out 0x40, al
        mov al, 0
        out 0x40, al
        cld
        mov edx, 0x80
        mov esi, 0x80000
        mov edi, 0x200000
        mov ecx, 40000
        sti
${body}
        cli
        mov eax, [ones]
        call print_hex
        mov eax, [zeros]
        call print_hex
        jmp off
timer:  push eax
        test dword [esp + 12], 0x10000
        jz .zero
        inc dword [ones]
        jmp .done
.zero:  inc dword [zeros]
.done:  mov al, 0x20
        out 0x20, al
        pop eax
        iretd
ones:   dd 0
zeros:  dd 0
`);

test.each([
  ['REP MOVSB in memory', 'rep movsb', true],
  ['REP INSB, which exits', 'rep insb', true],
  ['REP OUTSB, which exits', 'rep outsb', true],
  ['REP LODSB where there is no memory', 'mov esi, 0xc0000000\n rep lodsb', true],
  ['REP STOSB where there is no memory', 'mov edi, 0xc0000000\n rep stosb', true],
  ['a loop of instructions', 'again: inc eax\n loop again', false],
  ['a loop of instructions that exit', 'again: in al, 0x80\n loop again', false],
  ['a loop of reads where there is no memory', 'again: mov al, [0xc0000000]\n loop again', false],
])('%s', (_, body, isRepeated) => {
  const image = counting(body);
  const { vm, ...nested } = runNested(image, { paging: 'nested' });
  const [ones, zeros] = nested.output.split('\n').map((line) => Number.parseInt(line, 16));
  expect(isRepeated ? ones : zeros).toBeGreaterThan(10);
  expect(isRepeated ? zeros : ones).toBeLessThanOrEqual(1); // one may come when the body is over
  expect(nested).toEqual(runBare(image));
  const { vm: _shadowed, ...shadow } = runNested(image, { paging: 'shadow' });
  expect(shadow).toEqual(nested);
});

test('a VM that is saved between two iterations goes on between them', () => {
  const image = counting('rep insb');
  const whole = runBare(image);
  let state: unknown = null;
  let output = '';
  for (let k = 0; k < 6; k++) {
    const { hypervisor, add, outcome } = world();
    const vm = add(image);
    if (state !== null) hypervisor.restore(vm, state as VmState);
    // up to the very instruction at which an interrupt falls due
    hypervisor.run(k < 5 ? { maxInstructions: k === 0 ? 3 * 838 * 4 : 3 * 838 } : {});
    state = JSON.parse(JSON.stringify(hypervisor.save(vm)));
    output += outcome(vm).output;
  }
  expect(output).toBe(whole.output);
});

test('a single step stops behind each iteration that the hypervisor carries out', () => {
  const image = program(`
        call setup
        mov eax, trap
        mov [idt + 8], ax
        mov word [idt + 8 + 2], 8
        mov word [idt + 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 8 + 6], ax
        mov esi, 0xc0000000
        mov ecx, 20
        cld
        pushfd
        or dword [esp], 0x100
        popfd
        rep lodsb
        pushfd
        and dword [esp], ~0x100
        popfd
        mov eax, [traps]
        call print_hex
        jmp off
trap:   inc dword [traps]
timer:  iretd
traps:  dd 0
`);
  const { vm, ...nested } = runNested(image);
  expect(nested.output).toBe('00000017\n'); // 20 iterations, PUSHFD, AND, POPFD
  expect(nested).toEqual(runBare(image));
});
