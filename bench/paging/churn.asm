; churn: 64 pages are mapped at once, written, and unmapped again with one reload of CR3: mmap and munmap.
%include "paging.inc"
COUNT           equ 64

setup:  mov ebx, WINDOW
        mov edx, DIRECTORY
        call add_table
        mov [table], eax
        ret
round:  mov ebp, 8
.again: mov edi, [table]
        mov eax, POOL + PRESENT + WRITABLE
        mov ecx, COUNT
.map:   stosd
        add eax, PAGE
        loop .map
        mov esi, WINDOW
        mov ecx, COUNT
.write: mov [esi], ecx
        add esi, PAGE
        loop .write
        mov edi, [table]
        xor eax, eax
        mov ecx, COUNT
        rep stosd
        mov eax, cr3
        mov cr3, eax
        dec ebp
        jnz .again
        ret
fault:  jmp exception.unexpected
        align 4
table:  dd 0
