; isolate: kernel and user tables: two loads of CR3 around each of 500 services, as a kernel does that hides itself from its users.
%include "paging.inc"

setup:  call new_table
        mov [other], eax
        mov esi, DIRECTORY
        mov edi, eax
        mov ecx, 1024
        rep movsd
        ret
round:  mov ecx, 500
.call:  mov eax, [other]
        mov cr3, eax
        mov ebx, [ARENA]
        mov edx, [ARENA + 0x5000]
        mov eax, DIRECTORY
        mov cr3, eax
        add [ARENA + 0x9000], ebx
        add [ARENA + 0xd000], edx
        loop .call
        ret
fault:  jmp exception.unexpected
        align 4
other:  dd 0
