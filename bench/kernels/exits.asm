; exits: CPUID, again and again. Under a hypervisor each one is a VM exit, so this measures exits a second.

%define WORKLOAD "exits"
%ifndef ROUNDS
%define ROUNDS 500000
%endif
%include "common.inc"

bench:  push ebx
        push esi
        push edi
        mov esi, ROUNDS
        xor edi, edi                    ; checksum: what CPUID says differs between machines, so it does not count
.next:  xor eax, eax
        cpuid
        lea edi, [edi + edi * 2 + 1]
        xor edi, esi
        dec esi
        jnz .next
        mov eax, edi
        pop edi
        pop esi
        pop ebx
        ret
