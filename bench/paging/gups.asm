; gups: random words of 32 MiB are updated, 32,768 a round.
%include "paging.inc"
UPDATES         equ 32768

setup:  mov edi, ARENA
        mov ecx, 32 * 256
.page:  mov [edi], ecx
        add edi, PAGE
        loop .page
        ret
round:  mov ecx, UPDATES
        mov eax, [seed]
.next:  imul eax, eax, 1664525
        add eax, 1013904223
        mov ebx, eax
        shr ebx, 7
        and ebx, 0x1fffffc
        xor [ARENA + ebx], eax
        dec ecx
        jnz .next
        mov [seed], eax
        ret
fault:  jmp exception.unexpected
        align 4
seed:   dd 1
