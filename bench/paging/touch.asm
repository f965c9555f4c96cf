; touch: words of PAGES pages in random order, 16,384 accesses a round.
%include "paging.inc"
%ifndef PAGES
%define PAGES 4096
%endif
ACCESSES        equ 16384

setup:  mov edi, ARENA
        mov ecx, PAGES
.page:  add edx, [edi]
        add edi, PAGE
        loop .page
        ret
round:  mov ecx, ACCESSES
        mov eax, [seed]
.next:  imul eax, eax, 1664525
        add eax, 1013904223
        mov ebx, eax
        shr ebx, 8
        and ebx, PAGES * PAGE - 4
        add edx, [ARENA + ebx]
        dec ecx
        jnz .next
        mov [seed], eax
        ret
fault:  jmp exception.unexpected
        align 4
seed:   dd 1
