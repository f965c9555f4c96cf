; ports: OUT and IN to the scratch register of the serial port. Under a hypervisor each one is a VM exit, so this measures I/O exits a second.

%define WORKLOAD "ports"
%ifndef ROUNDS
%define ROUNDS 200000
%endif
%include "common.inc"

SCRATCH         equ COM1 + 7

bench:  push ebx
        push esi
        push edi
        mov dx, SCRATCH
        mov esi, ROUNDS
        xor edi, edi                    ; checksum
.next:  mov eax, esi
        add eax, edi
        out dx, al
        xor eax, eax
        in al, dx
        lea edi, [edi + edi * 2 + 1]
        xor edi, eax
        dec esi
        jnz .next
        mov eax, edi
        pop edi
        pop esi
        pop ebx
        ret
