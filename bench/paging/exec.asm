; exec: a process of 32 pages forks four times; each child writes 4 pages, executes another program (16 pages of text from a file, 8 of data), and ends.
%include "paging.inc"
%include "process.inc"
PARENT_PAGES    equ 32
WRITTEN         equ 4
DATA_PAGES      equ 8
CHILDREN        equ 4

setup:  make_frames parent
        make_frames child
        mov ebp, parent
        call new_space
        mov edi, [parent + SPACE_TABLE]
        mov eax, POOL + PRESENT + WRITABLE + USER
        mov ecx, PARENT_PAGES
.map:   stosd
        add eax, PAGE
        loop .map
        ret
round:  mov dword [children], CHILDREN
.fork:  mov ebp, child
        call new_space
        mov ebp, parent
        mov ebx, child
        mov ecx, PARENT_PAGES
        call share_pages
        call enter_space                ; the parent's rights have shrunk
        mov ebp, child
        call enter_space
        mov esi, WINDOW
        mov ecx, WRITTEN
.write: inc dword [esi]
        add esi, PAGE
        loop .write
        call end_space                  ; exec: nothing of the old program stays
        call enter_space
        mov edx, 3
.run:   mov esi, WINDOW
        xor eax, eax
        mov ecx, TEXT_PAGES
.text:  add eax, [esi]
        add esi, PAGE
        loop .text
        mov ecx, DATA_PAGES
.data:  add [esi], eax
        add esi, PAGE
        loop .data
        dec edx
        jnz .run
        mov ebp, parent                 ; exit and wait
        call enter_space
        mov ebp, child
        call end_space
        mov edi, [parent + SPACE_TABLE]
        mov ecx, PARENT_PAGES
.give:  or dword [edi], WRITABLE        ; nobody shares them any more
        add edi, 4
        loop .give
        mov ebp, parent
        call enter_space
        dec dword [children]
        jnz .fork
        mov eax, DIRECTORY
        mov cr3, eax
        ret
fault:  jmp space_fault
        align 4
        space parent
        space child
children:       dd 0
