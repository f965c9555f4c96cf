; fault: 256 pages are touched for the first time; the handler maps each one; then all are unmapped, page by page.
%include "paging.inc"
COUNT           equ 256

setup:  mov ebx, WINDOW
        mov edx, DIRECTORY
        call add_table
        mov [table], eax
        ret
round:  mov esi, WINDOW
        mov ecx, COUNT
.touch: inc dword [esi]
        add esi, PAGE
        loop .touch
        mov edi, [table]
        mov esi, WINDOW
        mov ecx, COUNT
.unmap: mov dword [edi], 0
        invlpg [esi]
        add edi, 4
        add esi, PAGE
        loop .unmap
        ret
fault:  mov eax, cr2
        sub eax, WINDOW
        shr eax, 12
        mov edi, [table]
        mov ecx, eax
        shl ecx, 12
        add ecx, POOL + PRESENT + WRITABLE
        mov [edi + eax * 4], ecx
        ret
        align 4
table:  dd 0
