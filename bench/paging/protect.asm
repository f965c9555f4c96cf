; protect: page-table modification: 256 pages lose and get back the right to be written, with INVLPG and an access each time.
%include "paging.inc"
COUNT           equ 256

setup:  mov ebx, WINDOW
        mov edx, DIRECTORY
        call add_table
        mov [table], eax
        mov edi, eax
        mov eax, POOL + PRESENT + WRITABLE
        mov ecx, COUNT
.map:   stosd
        add eax, PAGE
        loop .map
        ret
round:  mov edi, [table]
        mov esi, WINDOW
        mov ecx, COUNT
.page:  and dword [edi], ~WRITABLE
        invlpg [esi]
        mov eax, [esi]
        or dword [edi], WRITABLE
        invlpg [esi]
        mov [esi], eax
        add edi, 4
        add esi, PAGE
        loop .page
        ret
fault:  jmp exception.unexpected
        align 4
table:  dd 0
