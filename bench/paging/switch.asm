; switch: SPACES address spaces in turn, 256 switches a round; each one touches 16 pages of its own.
%include "paging.inc"
%ifndef SPACES
%define SPACES 8
%endif
COUNT           equ 16
SWITCHES        equ 256

setup:  mov ebp, spaces
        mov esi, POOL
.space: call new_table                  ; a directory: the kernel's part is that of the first
        mov [ebp], eax
        mov edx, eax
        push esi
        mov esi, DIRECTORY
        mov edi, edx
        mov ecx, 16
        rep movsd
        pop esi
        mov ebx, WINDOW
        call add_table
        mov edi, eax
        mov ecx, COUNT
.page:  lea eax, [esi + PRESENT + WRITABLE]
        stosd
        add esi, PAGE
        loop .page
        add ebp, 4
        cmp ebp, spaces + SPACES * 4
        jb .space
        ret
round:  xor ebx, ebx
        mov edx, SWITCHES
.next:  mov eax, [spaces + ebx * 4]
        mov cr3, eax
        mov esi, WINDOW
        mov ecx, COUNT
.touch: inc dword [esi]
        add esi, PAGE
        loop .touch
        inc ebx
        and ebx, SPACES - 1
        dec edx
        jnz .next
        mov eax, DIRECTORY
        mov cr3, eax
        ret
fault:  jmp exception.unexpected
        align 4
spaces: times SPACES dd 0
