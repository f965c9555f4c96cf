; stride: one word of each of PAGES pages in turn, 32,768 accesses a round.
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
        shl ebx, 12
        add eax, [ARENA + ebx]
        inc edx
        cmp edx, PAGES
        jb .next
        xor edx, edx
.next:  dec ecx
        jnz .touch
        ret
fault:  jmp exception.unexpected
