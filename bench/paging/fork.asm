; fork: an address space of 128 pages is copied with everything read-only on both sides; the child writes 32 pages, each of which is copied
; by the fault handler; then it is given up and the parent gets its rights back.
%include "paging.inc"
COUNT           equ 128
WRITTEN         equ 32
COPIES          equ POOL + COUNT * PAGE

setup:  mov ebx, WINDOW
        mov edx, DIRECTORY
        call add_table
        mov [parent], eax
        mov edi, eax
        mov eax, POOL + PRESENT + WRITABLE
        mov ecx, COUNT
.map:   stosd
        add eax, PAGE
        loop .map
        call new_table
        mov [child_directory], eax
        mov esi, DIRECTORY
        mov edi, eax
        mov ecx, 1024
        rep movsd
        mov ebx, WINDOW
        mov edx, [child_directory]
        call add_table
        mov [child], eax
        ret
round:  mov esi, [parent]
        mov edi, [child]
        mov ecx, COUNT
.copy:  and dword [esi], ~WRITABLE
        lodsd
        stosd
        loop .copy
        mov dword [copies], COPIES
        mov eax, [child_directory]
        mov cr3, eax
        mov esi, WINDOW
        mov ecx, WRITTEN
.write: inc dword [esi]
        add esi, PAGE * 4
        loop .write
        mov eax, DIRECTORY              ; the child ends
        mov cr3, eax
        mov edi, [child]
        xor eax, eax
        mov ecx, COUNT
        rep stosd
        mov edi, [parent]
        mov ecx, COUNT
.give:  or dword [edi], WRITABLE
        add edi, 4
        loop .give
        mov eax, cr3
        mov cr3, eax
        ret
fault:  mov eax, cr2
        mov esi, eax
        and esi, ~(PAGE - 1)
        sub eax, WINDOW
        shr eax, 12
        mov edx, [child]
        mov edi, [copies]
        add dword [copies], PAGE
        lea ecx, [edi + PRESENT + WRITABLE]
        push ecx
        push esi
        mov ecx, PAGE / 4
        rep movsd
        pop esi
        pop dword [edx + eax * 4]
        invlpg [esi]
        ret
        align 4
parent: dd 0
child:  dd 0
child_directory: dd 0
copies: dd 0
