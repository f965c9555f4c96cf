; stride: one word of each of PAGES pages in turn, in another line of each, 32,768 accesses a round.
%include "paging.inc"
%ifndef PAGES
%define PAGES 4096
%endif
ACCESSES        equ 32768

setup:  ret
round:  mov ecx, ACCESSES
        xor edx, edx
        xor eax, eax
.touch: mov ebx, edx
        and ebx, 63
        mov esi, edx
        shl ebx, 6
        shl esi, 12
        add eax, [ARENA + ebx + esi]
        inc edx
        cmp edx, PAGES
        jb .next
        xor edx, edx
.next:  dec ecx
        jnz .touch
        ret
fault:  jmp exception.unexpected
