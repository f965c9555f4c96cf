; mix: one word of each of 4,096 pages in turn, 32,768 accesses a round; after each EVERY of them the page that comes next loses and gets back the right to be written.
%include "paging.inc"
%ifndef EVERY
%define EVERY 512
%endif
PAGES           equ 4096
ACCESSES        equ 32768

; Pages of the guest's own must be small for this: ARENA gets tables of its own.
setup:  mov edx, DIRECTORY
        mov ebx, ARENA
        mov ebp, ARENA + PRESENT + WRITABLE
.table: call add_table
        mov edi, eax
        mov ecx, ebx
        shr ecx, 20
        mov [tables - ARENA / 0x100000 + ecx], eax
        mov ecx, 1024
        mov eax, ebp
.page:  stosd
        add eax, PAGE
        loop .page
        mov ebp, eax
        add ebx, 0x400000
        cmp ebx, ARENA + PAGES * PAGE
        jb .table
        mov eax, cr3
        mov cr3, eax
        ret
round:  mov ecx, ACCESSES
        xor edx, edx
        mov ebp, EVERY
.touch: mov ebx, edx
        and ebx, 63
        mov esi, edx
        shl ebx, 6
        shl esi, 12
        add eax, [ARENA + ebx + esi]
        inc edx
        and edx, PAGES - 1
        dec ebp
        jz .write
.next:  dec ecx
        jnz .touch
        ret
.write: mov ebp, EVERY
        mov edi, edx
        shr edi, 10
        mov edi, [tables + edi * 4]
        mov esi, edx
        and esi, 0x3ff
        lea edi, [edi + esi * 4]
        mov esi, edx
        shl esi, 12
        and dword [edi], ~WRITABLE
        invlpg [ARENA + esi]
        or dword [edi], WRITABLE
        invlpg [ARENA + esi]
        jmp .next
fault:  jmp exception.unexpected
        align 4
tables: times PAGES / 1024 dd 0
