; remap: a kernel that changes its page tables under translations that are in use, and tells which of them it still sees.
;
;   0010_0000  this kernel, in a 4 MiB page     0030_0000  page directory, page table
;   0040_0000  64 frames that hold the letter o
;   0060_0000  64 frames that hold the letter n
;   C000_0000  64 pages: first o, then n
;
; Prints one letter a page, in the order of the pages: o for a page that still leads to its old frame, n for the new one.
;
;   FLUSH      what comes after the change: 0 nothing, 1 INVLPG for each page, 2 a reload of CR3
;   GLOBAL     1: the pages are global (CR4.PGE is on)
;   BACKWARDS  1: the pages are looked at from the last to the first
;   EVENTS     so many times, before looking, a translation that nobody needs is thrown away with INVLPG

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"

DIRECTORY       equ 0x300000
TABLE           equ 0x301000
SEEN            equ 0x302000
OLD             equ 0x400000
NEW             equ 0x600000
WINDOW          equ 0xc0000000
PAGES           equ 64
PAGE            equ 4096

PRESENT         equ 0x001
WRITABLE        equ 0x002
LARGE           equ 0x080
GLOBAL_PAGE     equ 0x100
CR4_PSE         equ 0x010
CR4_PGE         equ 0x080
CR0_PG          equ 0x80000000

%if GLOBAL
PAGE_FLAGS      equ PRESENT + WRITABLE + GLOBAL_PAGE
%else
PAGE_FLAGS      equ PRESENT + WRITABLE
%endif

start:  mov esp, 0x200000
        call serial_init

        cld
        mov ebx, PAGES - 1
.frame: mov eax, ebx
        shl eax, 12
        mov byte [OLD + eax], 'o'
        mov byte [NEW + eax], 'n'
        dec ebx
        jns .frame

        mov edi, DIRECTORY
        xor eax, eax
        mov ecx, PAGE / 4
        rep stosd
        mov dword [DIRECTORY], PRESENT + WRITABLE + LARGE
        mov dword [DIRECTORY + (WINDOW >> 22) * 4], TABLE + PRESENT + WRITABLE
        mov eax, OLD + PAGE_FLAGS
        call map
        mov eax, cr4
        or eax, CR4_PSE + CR4_PGE
        mov cr4, eax
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax

        call look                       ; now every translation is in use
        mov eax, NEW + PAGE_FLAGS
        call map
%if FLUSH = 1
        mov esi, WINDOW
        mov ecx, PAGES
.flush: invlpg [esi]
        add esi, PAGE
        dec ecx
        jnz .flush
%elif FLUSH = 2
        mov eax, cr3
        mov cr3, eax
%endif
        mov ecx, EVENTS
        jecxz .look
.event: invlpg [WINDOW + PAGES * PAGE]
        loop .event
.look:  call look

        mov esi, SEEN
        mov ecx, PAGES
.print: lodsb
        call putc
        loop .print
        call newline
        jmp power_off

; The pages lead to the frames from EAX on, with the flags in its low bits. Changes EAX, ECX and EDI.
map:    mov edi, TABLE
        mov ecx, PAGES
.next:  stosd
        add eax, PAGE
        loop .next
        ret

; Reads every page once. Changes AL, EBX and ECX.
look:
%if BACKWARDS
        mov ebx, PAGES - 1
%else
        xor ebx, ebx
%endif
        mov ecx, PAGES
.next:  mov eax, ebx
        shl eax, 12
        mov al, [WINDOW + eax]
        mov [SEEN + ebx], al
%if BACKWARDS
        dec ebx
%else
        inc ebx
%endif
        loop .next
        ret
