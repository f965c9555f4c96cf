/** A guest that enters and leaves its kernel by SYSENTER and SYSEXIT, in VMs of its own registers. */
import { expect, test } from 'vitest';
import { program, runBare, runNested, world } from './worlds.ts';

/** Ring 3 counts by system calls; `own` is added each time. */
const calls = (own: number): Uint8Array =>
  program(`
        lgdt [table]
        jmp 8:.flat
.flat:  mov ax, 16
        mov ss, ax
        mov ds, ax
        mov es, ax
        mov ecx, 0x174
        mov eax, 8
        xor edx, edx
        wrmsr
        inc ecx
        mov eax, 0x8f000 - ${own * 16}
        wrmsr
        inc ecx
        mov eax, kernel
        wrmsr
        xor esi, esi
        mov ecx, 0x8e000
        mov edx, user
        sysexit
user:   mov edi, 100
.more:  mov ecx, esp
        mov edx, .back
        sysenter
.back:  dec edi
        jnz .more
        ud2                             ; no IDT: the end
kernel: add esi, ${own}
        cmp edi, 1
        jne .leave
        mov eax, esp
        call print_hex
        mov eax, esi
        call print_hex
        mov ax, cs
        shl eax, 16
        mov ax, ss
        call print_hex
        jmp off
.leave: sysexit
timer:
align 8
entries: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
table:  dw 39
        dd entries
`);

test.each(['nested', 'shadow'] as const)('system calls in a VM are those of the bare machine (%s paging)', (paging) => {
  const { vm, ...outcome } = runNested(calls(3), { paging });
  expect(outcome.output).toBe('0008EFD0\n0000012C\n00080010\n');
  expect(outcome).toEqual(runBare(calls(3)));
});

test('each VM has its own registers for them', () => {
  const { hypervisor, add, outcome } = world({ slice: 37 });
  const vms = [1, 2, 3].map((own) => add(calls(own)));
  hypervisor.run();
  expect(vms.map(outcome)).toEqual([1, 2, 3].map((own) => runBare(calls(own))));
});
