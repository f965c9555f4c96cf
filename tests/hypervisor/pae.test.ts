/** A guest that turns PAE paging on, in its VM: tables of its own, NX by IA32_EFER, and CR0.NE written in the same move as CR0.PG, which
 *  makes the hypervisor load the PDPTE registers. */
import { expect, test } from 'vitest';
import { program, runBare, runNested } from './worlds.ts';

test('PAE paging with NX is the same in a VM as on the bare machine', () => {
  const image = program(`
        mov edi, 0x200000
        mov ecx, 0x1000
        xor eax, eax
        cld
        rep stosd
        mov dword [0x200000], 0x201001
        mov dword [0x201000], 0x000083
        mov dword [0x201008], 0x200083
        mov dword [0x201010], 0x000083      ; 40_0000h: the first 2 MiB again, not to be executed
        mov dword [0x201014], 0x80000000
        mov ecx, 0xc0000080
        mov eax, 0x800
        xor edx, edx
        wrmsr
        mov eax, 0x200000
        mov cr3, eax
        mov eax, 0x20
        mov cr4, eax
        mov eax, 0x80010031
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        call print_hex
        mov eax, [0x100000]
        sub eax, [0x500000]
        call print_hex
        mov eax, [0x201000]
        call print_hex
        call off
timer:  iretd`);
  const bare = runBare(image);
  expect(bare.output.split('\n').slice(0, 3)).toEqual(['00000800', '00000000', '000000E3']);
  expect(runNested(image).output).toBe(bare.output);
});
