; pages: a kernel that gives memory out only when it is touched, and copies it only when it is changed.
;
;   0010_0000  this kernel          0020_0000  top of its stack
;   0020_0000  interrupt table      0020_1000  page directories A and B
;   0020_3000  page tables: A's and B's window, and 0040_0000-007f_ffff
;   0020_6000  the zero frame: all promises point to it until they are written
;   0040_0000  free frames, handed out from here upwards; how many share one is counted in `sharers`
;   C000_0000  the window: one megabyte that is promised but not there
;   C010_0000  behind the window: nothing is promised
;
; The kernel itself lies in one 4 MiB page. Write protection (CR0.WP) holds in ring 0 too, so the kernel takes
; the same faults as a process would.
;
; Expected output: expected.txt

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"

STACK           equ 0x200000
IDT             equ 0x200000
DIRECTORY_A     equ 0x201000
DIRECTORY_B     equ 0x202000
TABLE_A         equ 0x203000
TABLE_B         equ 0x204000
TABLE_FRAMES    equ 0x205000
ZERO_FRAME      equ 0x206000
FRAMES          equ 0x400000
FRAME_COUNT     equ 1024
WINDOW          equ 0xc0000000
WINDOW_PAGES    equ 256
PAGE            equ 4096

; page table entry
PRESENT         equ 0x001
WRITABLE        equ 0x002
ACCESSED        equ 0x020
DIRTY           equ 0x040
LARGE           equ 0x080               ; in a directory entry: a 4 MiB page
COPY            equ 0x200               ; one of the bits left to software: copy before writing

; page fault error code
FAULT_PRESENT   equ 1                   ; the page was there, but did not allow it
FAULT_WRITE     equ 2

CR0_WP          equ 0x00010000
CR0_PG          equ 0x80000000
CR4_PSE         equ 0x00000010

start:  mov esp, STACK
        call serial_init
        mov eax, STACK
        call gdt_init
        call idt_init

        mov edi, DIRECTORY_A            ; two directories, three tables, the zero frame
        xor eax, eax
        mov ecx, 6 * PAGE / 4
        cld
        rep stosd
        mov edi, TABLE_FRAMES           ; frames at their own addresses
        mov eax, FRAMES + PRESENT + WRITABLE
        mov ecx, FRAME_COUNT
.map:   stosd
        add eax, PAGE
        dec ecx
        jnz .map
        mov edi, DIRECTORY_A
        mov edx, TABLE_A
        call fill_directory
        mov edi, DIRECTORY_B
        mov edx, TABLE_B
        call fill_directory

        mov eax, cr4
        or eax, CR4_PSE
        mov cr4, eax
        mov eax, DIRECTORY_A
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG + CR0_WP
        mov cr0, eax
        jmp .paging
.paging:
        line "paging is on"

; 1. Reading: the promise is kept with zeroes, and all pages share the same ones.
        line "read eight pages"
        xor edx, edx
        mov ecx, 8
        mov esi, WINDOW
.read:  or edx, [esi + 16]
        add esi, PAGE
        dec ecx
        jnz .read
        say "  all bits together: "
        mov eax, edx
        call print_hex
        call newline
        call report
        mov eax, WINDOW
        call show_entry

; 2. Reading them again costs nothing.
        line "read them again"
        mov ecx, 8
        mov esi, WINDOW
.again: mov eax, [esi]
        add esi, PAGE
        dec ecx
        jnz .again
        call report

; 3. Writing to four of them: each gets a frame of its own.
        line "write four of them"
        mov ecx, 4
        mov edi, WINDOW
.write: mov [edi + 16], edi
        add edi, PAGE
        dec ecx
        jnz .write
        call report
        mov eax, WINDOW
        call show_entry
        mov eax, [WINDOW + PAGE + 16]
        call show_value
        mov eax, [WINDOW + 4 * PAGE + 16]       ; not written: still zero
        call show_value

; 4. Writing to a page that nobody has touched: one fault is enough.
        line "write an untouched page"
        mov dword [WINDOW + 16 * PAGE], 0x600d
        call report

; 5. A string instruction that runs into the promise three times, and is taken up where it stopped.
        line "fill 2.5 pages with one instruction"
        mov edi, WINDOW + 32 * PAGE
        mov eax, 0x01020304
        mov ecx, 2 * PAGE / 4 + PAGE / 8
        rep stosd
        say "  ECX "
        mov eax, ecx
        call print_hex
        say " EDI "
        mov eax, edi
        call print_hex
        call newline
        call report
        say "  sum of the three pages: "
        mov esi, WINDOW + 32 * PAGE
        mov ecx, 3 * PAGE / 4
        xor edx, edx
.sum:   lodsd
        add edx, eax
        dec ecx
        jnz .sum
        mov eax, edx
        call print_hex
        call newline

; 6. One access that needs two pages, and one instruction that needs two: two faults each, and the instruction happens once.
        line "write across a page boundary"
        mov dword [WINDOW + 41 * PAGE - 2], 0xaabbccdd
        call report
        line "copy from one page to another"
        mov esi, WINDOW + 50 * PAGE
        mov edi, WINDOW + 51 * PAGE
        movsd
        call report
        line "add to a page of zeroes"
        cmp dword [WINDOW + 60 * PAGE], 0
        add dword [WINDOW + 60 * PAGE], 5
        adc dword [WINDOW + 60 * PAGE], 2       ; no fault any more
        call report
        mov eax, [WINDOW + 60 * PAGE]
        call show_value

; 7. Stack instructions with an operand in the window: the fault comes in the middle, the stack pointer moves once.
        line "push from the window, pop into it"
        mov ebx, esp
        push dword [WINDOW + 72 * PAGE]
        push dword 0x5eed
        pop dword [WINDOW + 73 * PAGE]
        pop edx
        sub ebx, esp
        mov eax, edx
        call show_value
        mov eax, [WINDOW + 73 * PAGE]
        call show_value
        mov eax, ebx                            ; 0: nothing left on the stack, nothing missing
        call show_value
        call report

; 8. Accessed and dirty: cleared by software, set by the processor, seen again only after INVLPG.
        line "accessed and dirty bits"
        mov edi, WINDOW + 16 * PAGE
        call show_entry_edi
        and dword [TABLE_A + 16 * 4], ~(ACCESSED + DIRTY)
        invlpg [edi]
        call show_entry_edi
        mov eax, [edi]
        call show_entry_edi
        mov [edi], eax
        call show_entry_edi
        say "  the 4 MiB page of the kernel: "
        mov eax, [DIRECTORY_A]
        and eax, ~(ACCESSED + DIRTY)
        mov [DIRECTORY_A], eax
        mov eax, cr3
        mov cr3, eax
        inc dword [scratch]
        mov eax, [DIRECTORY_A]
        call print_hex
        call newline
        call report

; 9. A second address space takes over the window as it is. Nothing is copied until one of the two writes.
        line "clone the window"
        mov [WINDOW + 24], eax          ; page 0 is in use: its translation is at hand, and allows writing
        call clone
        call report
        say "  frames with two owners: "
        call count_shared
        call newline
        line "A writes to page 0, and again"
        mov dword [WINDOW + 16], 0xa
        mov dword [WINDOW + 20], 0xa
        call report
        mov eax, DIRECTORY_B
        mov cr3, eax
        line "B reads page 0, and writes it"
        mov eax, [WINDOW + 16]
        call show_value
        mov dword [WINDOW + 16], 0xb            ; the last owner need not copy
        mov eax, [WINDOW + 16]
        call show_value
        call report
        line "B writes to page 1"
        mov dword [WINDOW + PAGE + 16], 0xb1
        mov eax, [WINDOW + PAGE + 16]
        call show_value
        call report
        mov eax, DIRECTORY_A
        mov cr3, eax
        line "A reads both"
        mov eax, [WINDOW + 16]
        call show_value
        mov eax, [WINDOW + PAGE + 16]
        call show_value
        call report
        say "  frames with two owners: "
        call count_shared
        call newline

; 10. Behind the window nothing is promised.
        line "read behind the window"
        mov dword [resume], .behind
        mov eax, [WINDOW + WINDOW_PAGES * PAGE]
        line "  that worked, which is wrong"
.behind:
        line "write where there is no page table"
        mov dword [resume], .nothing
        mov dword [0xf0000000], 1
        line "  that worked, which is wrong"
.nothing:
        call report

        say "faults in all: "
        mov eax, [all_faults]
        call print_decimal
        call newline
        jmp power_off

; ---- page faults ----

; Called by `event`, EBP = frame. Whatever the fault was, the instruction is tried again, unless nothing was promised.
exception:
        cmp dword [ebp + FRAME_VECTOR], 14
        jne .unexpected
        inc dword [all_faults]
        mov ebx, cr2
        mov esi, ebx
        sub esi, WINDOW
        shr esi, 12                     ; page of the window
        cmp esi, WINDOW_PAGES
        jae .not_promised
        mov edx, [ebp + FRAME_ERROR]
        mov eax, cr3                    ; EDI = table of the address space in use
        mov edi, TABLE_A
        cmp eax, DIRECTORY_A
        je .table
        mov edi, TABLE_B
.table: test edx, FAULT_PRESENT
        jnz .present
        test edx, FAULT_WRITE
        jnz .fresh

        inc dword [zero_maps]           ; a read: show the zero frame, and promise a copy
        mov dword [edi + esi * 4], ZERO_FRAME + PRESENT + COPY
        ret
.fresh: inc dword [fresh_frames]        ; a write to a promise: a frame of zeroes
        call take_frame
        push edi
        push eax
        mov edi, eax
        xor eax, eax
        mov ecx, PAGE / 4
        rep stosd
        pop eax
        pop edi
        add eax, PRESENT + WRITABLE
        mov [edi + esi * 4], eax
        ret

.present:
        mov eax, [edi + esi * 4]
        test eax, COPY
        jz .not_promised
        and eax, ~(PAGE - 1)
        cmp eax, ZERO_FRAME
        je .copy
        mov ecx, eax
        sub ecx, FRAMES
        shr ecx, 12
        cmp byte [sharers + ecx], 1
        je .reuse
        dec byte [sharers + ecx]
.copy:  inc dword [copies]              ; somebody else has it too
        push eax
        call take_frame
        pop ecx
        push esi
        push edi
        push eax
        mov esi, ecx
        mov edi, eax
        mov ecx, PAGE / 4
        rep movsd
        pop eax
        pop edi
        pop esi
        jmp .own
.reuse: inc dword [reuses]              ; nobody else has it any more
.own:   add eax, PRESENT + WRITABLE
        mov [edi + esi * 4], eax
        invlpg [ebx]
        ret

.not_promised:
        say "  page fault at "
        mov eax, ebx
        call print_hex
        say ", error code "
        mov eax, [ebp + FRAME_ERROR]
        call print_hex
        call newline
        mov eax, [resume]
        mov dword [resume], power_off
        mov [ebp + FRAME_EIP], eax
        ret

.unexpected:
        say "unexpected vector "
        mov eax, [ebp + FRAME_VECTOR]
        call print_decimal
        call newline
        jmp power_off

; ---- address spaces ----

; Directory EDI: the kernel's 4 MiB page, the frames, table EDX for the window.
fill_directory:
        mov dword [edi], PRESENT + WRITABLE + LARGE
        mov dword [edi + 4], TABLE_FRAMES + PRESENT + WRITABLE
        add edx, PRESENT + WRITABLE
        mov [edi + (WINDOW >> 22) * 4], edx
        ret

; Out: EAX = a frame with one owner. There are more than this kernel can use up. Changes ECX.
take_frame:
        mov ecx, [next_frame]
        inc dword [next_frame]
        mov byte [sharers + ecx], 1
        mov eax, ecx
        shl eax, 12
        add eax, FRAMES
        ret

; B gets all pages of A's window; both may only read them from now on.
clone:  xor esi, esi
.page:  mov eax, [TABLE_A + esi * 4]
        test eax, PRESENT
        jz .next
        and eax, ~(WRITABLE + ACCESSED + DIRTY)
        or eax, COPY
        mov [TABLE_A + esi * 4], eax
        mov [TABLE_B + esi * 4], eax
        and eax, ~(PAGE - 1)
        cmp eax, ZERO_FRAME
        je .next
        sub eax, FRAMES
        shr eax, 12
        inc byte [sharers + eax]
.next:  inc esi
        cmp esi, WINDOW_PAGES
        jb .page
        mov eax, cr3                    ; A's translations still allow writing: drop them
        mov cr3, eax
        ret

; ---- telling ----

; What page faults did since the last report.
report: push eax
        say "  zero frame shown "
        mov eax, [zero_maps]
        call print_decimal
        say ", fresh "
        mov eax, [fresh_frames]
        call print_decimal
        say ", copied "
        mov eax, [copies]
        call print_decimal
        say ", reused "
        mov eax, [reuses]
        call print_decimal
        call newline
        xor eax, eax
        mov [zero_maps], eax
        mov [fresh_frames], eax
        mov [copies], eax
        mov [reuses], eax
        pop eax
        ret

; EAX = a value.
show_value:
        say "  value "
        call print_hex
        call newline
        ret

; EDI or EAX = an address in A's window: prints its entry without the frame number.
show_entry_edi:
        mov eax, edi
show_entry:
        push eax
        say "  entry:"
        sub eax, WINDOW
        shr eax, 12
        mov eax, [TABLE_A + eax * 4]
        test eax, WRITABLE
        jz .read_only
        say " writable"
.read_only:
        test eax, ACCESSED
        jz .not_accessed
        say " accessed"
.not_accessed:
        test eax, DIRTY
        jz .clean
        say " dirty"
.clean: test eax, COPY
        jz .own
        say " copy-on-write"
.own:   call newline
        pop eax
        ret

count_shared:
        xor eax, eax
        xor ecx, ecx
.frame: cmp byte [sharers + ecx], 2
        jne .next
        inc eax
.next:  inc ecx
        cmp ecx, FRAME_COUNT
        jb .frame
        call print_decimal
        ret

        align 4
resume:       dd power_off              ; where to go on after a fault that nothing was promised for
next_frame:   dd 0
all_faults:   dd 0
zero_maps:    dd 0                      ; since the last report
fresh_frames: dd 0
copies:       dd 0
reuses:       dd 0
scratch:      dd 0
sharers:      times FRAME_COUNT db 0
