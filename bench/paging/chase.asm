; chase: pointers through 2,048 pages in a scattered order, in another line of each, 32,768 steps a round.
%include "paging.inc"
PAGES           equ 2048
STEP            equ 1237                ; odd: it reaches all of them
STEPS           equ 32768

setup:  xor ebx, ebx
        mov ecx, PAGES
.link:  lea edx, [ebx + STEP]
        and edx, PAGES - 1
        mov eax, ebx
        call .place
        mov esi, eax
        mov eax, edx
        call .place
        mov [esi], eax
        mov ebx, edx
        loop .link
        mov dword [place], ARENA
        ret
.place: mov edi, eax                    ; EAX = the pointer of page EAX
        and edi, 63
        shl edi, 6
        shl eax, 12
        lea eax, [eax + edi + ARENA]
        ret
round:  mov ecx, STEPS
        mov eax, [place]
.step:  mov eax, [eax]
        dec ecx
        jnz .step
        mov [place], eax
        ret
fault:  jmp exception.unexpected
        align 4
place:  dd 0
