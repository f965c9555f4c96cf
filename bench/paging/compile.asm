; compile: what a compiler and the shell around it do to memory, twice a round: a program is started (16 pages of text from a file), its heap grows by 32 pages, a symbol
; table in it is searched, files of 8 pages are mapped, read and unmapped, the kernel is called, now and then another process runs; then it ends.
%include "paging.inc"
%include "process.inc"
HEAP            equ WINDOW + 0x20000    ; behind the text
HEAP_PAGES      equ 32
FILE            equ WINDOW + 0x100000
FILE_PAGES      equ 8
FILES           equ 4
LOOKUPS         equ 2000
JOBS            equ 2

setup:  make_frames shell
        make_frames compiler
        mov eax, service
        mov edi, IDT + 0x80 * 8
        mov [edi], ax
        mov word [edi + 2], KERNEL_CODE
        mov word [edi + 4], GATE_USER
        shr eax, 16
        mov [edi + 6], ax
        mov ebp, shell
        call new_space
        mov edi, [shell + SPACE_TABLE]
        mov eax, POOL + PRESENT + WRITABLE + USER
        mov ecx, 16
.map:   stosd
        add eax, PAGE
        loop .map
        ret
service:
        inc dword [calls]
        iret

round:  mov dword [jobs], JOBS
.job:   mov ebp, compiler
        call new_space
        call enter_space
        mov esi, WINDOW                 ; the program is read in as it runs
        mov ecx, TEXT_PAGES
.text:  add eax, [esi]
        add esi, PAGE
        loop .text
        mov dword [files], FILES
        mov edi, HEAP
.file:  mov ecx, HEAP_PAGES / FILES     ; the heap grows
.grow:  mov [edi], ecx
        add edi, PAGE
        loop .grow
        push edi
        mov edi, [compiler + SPACE_TABLE]       ; a file is mapped, …
        add edi, (FILE - WINDOW) / 1024
        mov eax, ARENA + 0x10000 + PRESENT + USER
        mov ecx, FILE_PAGES
.map:   stosd
        add eax, PAGE
        loop .map
        mov esi, FILE                   ; … read, …
        mov ecx, FILE_PAGES * 32
.read:  add eax, [esi]
        add esi, 128
        loop .read
        mov edi, [compiler + SPACE_TABLE]       ; … and unmapped
        add edi, (FILE - WINDOW) / 1024
        xor eax, eax
        mov ecx, FILE_PAGES
        rep stosd
        mov ebp, compiler
        call enter_space
        mov ecx, LOOKUPS                ; symbols are looked up and entered, in the oldest part of the heap
        mov eax, [seed]
.look:  imul eax, eax, 1664525
        add eax, 1013904223
        mov ebx, eax
        shr ebx, 10
        and ebx, HEAP_PAGES / FILES * PAGE - 4
        inc dword [HEAP + ebx]
        dec ecx
        jnz .look
        mov [seed], eax
        mov ecx, 8                      ; the kernel is asked for this and that
.call:  int 0x80
        loop .call
        mov ebp, shell                  ; somebody else runs
        call enter_space
        mov esi, WINDOW
        mov ecx, 16
.shell: inc dword [esi]
        add esi, PAGE
        loop .shell
        mov ebp, compiler
        call enter_space
        pop edi
        dec dword [files]
        jnz .file
        mov ebp, shell
        call enter_space
        mov ebp, compiler
        call end_space
        dec dword [jobs]
        jnz .job
        mov eax, DIRECTORY
        mov cr3, eax
        ret
fault:  jmp space_fault
        align 4
        space shell
        space compiler
jobs:   dd 0
files:  dd 0
calls:  dd 0
seed:   dd 1
