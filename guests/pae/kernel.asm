; pae: a kernel with PAE paging. Its entries have 64 bits: a page can be made one that no code is fetched from, and
; a page of 2 MiB takes the place of a table.
;
;   0010_0000  this kernel          0020_0000  top of its stack
;   0020_0000  interrupt table      0020_1000  tables of pointers A, B and C, 32 bytes each
;   0020_2000  page directories: the kernel's, the hall's, windows A, B and C
;   0020_7000  page tables of the windows A, B and C, and one for a hall page that is splintered
;   0020_b000  the zero frame: all promises point to it until they are written
;   0040_0000  free frames, handed out from here upwards; how many share one is counted in `sharers`
;   0080_0000  frames of 2 MiB
;   4000_0000  the hall: pages of 2 MiB that are promised but not there, the same in every address space
;   8000_0000  nothing, until a pointer is added
;   C000_0000  the window: one megabyte that is promised but not there, in each address space another one
;
; Everything but the kernel's own first 2 MiB is for data alone, where the processor has execute-disable.
; Write protection (CR0.WP) holds in ring 0 too, so the kernel takes the same faults as a process would.
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
POINTERS_A      equ 0x201000
POINTERS_B      equ 0x201020
POINTERS_C      equ 0x201040
KERNEL_PAGES    equ 0x202000
HALL_PAGES      equ 0x203000
DIRECTORY_A     equ 0x204000            ; of the windows; B and C follow
TABLE_A         equ 0x207000
TABLE_SPLIT     equ 0x20a000
ZERO_FRAME      equ 0x20b000
FRAMES          equ 0x400000
FRAME_COUNT     equ 1024
LARGE_FRAMES    equ 0x800000
HALL            equ 0x40000000
HALL_COUNT      equ 3                   ; pages of 2 MiB
NOWHERE         equ 0x80000000
WINDOW          equ 0xc0000000
WINDOW_PAGES    equ 256
PAGE            equ 4096
LARGE_PAGE      equ 0x200000

; table entry, low half
PRESENT         equ 0x001
WRITABLE        equ 0x002
ACCESSED        equ 0x020
DIRTY           equ 0x040
LARGE           equ 0x080               ; in a directory entry: a 2 MiB page
COPY            equ 0x200               ; one of the bits left to software: copy before writing
; high half
NO_EXECUTE      equ 0x80000000
RESERVED        equ 0x40000000

; page fault error code
FAULT_PRESENT   equ 1                   ; the page was there, but did not allow it
FAULT_WRITE     equ 2
FAULT_RESERVED  equ 8
FAULT_FETCH     equ 16

CR0_WP          equ 0x00010000
CR0_PG          equ 0x80000000
CR4_PAE         equ 0x00000020
CPUID_PAE       equ 1 << 6              ; leaf 1, EDX
CPUID_NX        equ 1 << 20             ; leaf 8000_0001h, EDX
IA32_EFER       equ 0xc0000080
EFER_NXE        equ 0x800

start:  mov esp, STACK
        call serial_init
        mov eax, STACK
        call gdt_init
        call idt_init

        mov eax, 1
        cpuid
        test edx, CPUID_PAE
        jnz .pae
        line "no PAE paging"
        jmp power_off
.pae:   mov eax, 0x80000000
        cpuid
        cmp eax, 0x80000001
        jb .features
        mov eax, 0x80000001
        cpuid
        test edx, CPUID_NX
        jz .features
        mov dword [no_execute], NO_EXECUTE
        mov ecx, IA32_EFER
        rdmsr
        or eax, EFER_NXE
        wrmsr
.features:
        say "execute-disable: "
        mov eax, [no_execute]
        call print_yes_no

        mov edi, POINTERS_A             ; tables of pointers, five directories, four tables, the zero frame
        xor eax, eax
        mov ecx, (ZERO_FRAME + PAGE - POINTERS_A) / 4
        cld
        rep stosd
        mov edi, KERNEL_PAGES           ; the first 16 MiB at their own addresses
        mov eax, PRESENT + WRITABLE + LARGE
        xor edx, edx
        mov ecx, 8
.map:   mov [edi], eax
        mov [edi + 4], edx
        mov edx, [no_execute]           ; of all but the first
        add edi, 8
        add eax, LARGE_PAGE
        dec ecx
        jnz .map
        mov edi, POINTERS_A
        mov eax, DIRECTORY_A + PRESENT
        mov edx, TABLE_A + PRESENT + WRITABLE
        mov ecx, 3
.space: mov dword [edi], KERNEL_PAGES + PRESENT
        mov dword [edi + 8], HALL_PAGES + PRESENT
        mov [edi + 24], eax
        mov [eax - PRESENT], edx
        add edi, 32
        add eax, PAGE
        add edx, PAGE
        dec ecx
        jnz .space

        mov eax, cr4
        or eax, CR4_PAE
        mov cr4, eax
        mov eax, POINTERS_A
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG + CR0_WP
        mov cr0, eax
        jmp .paging
.paging:
        line "paging is on"

; 1. Reading: the promise is kept with zeroes, and all pages share the same ones. Reading them again costs nothing.
        line "read eight pages, twice"
        xor edx, edx
        mov ebx, 2
.twice: mov ecx, 8
        mov esi, WINDOW
.read:  or edx, [esi + 16]
        add esi, PAGE
        dec ecx
        jnz .read
        dec ebx
        jnz .twice
        say "  all bits together: "
        mov eax, edx
        call print_hex
        call newline
        call report
        mov edi, WINDOW
        call show_entry

; 2. Writing to four of them: each gets a frame of its own.
        line "write four of them"
        mov ecx, 4
        mov edi, WINDOW
.write: mov [edi + 16], edi
        add edi, PAGE
        dec ecx
        jnz .write
        call report
        mov edi, WINDOW
        call show_entry
        mov eax, [WINDOW + PAGE + 16]
        call show_value
        mov eax, [WINDOW + 4 * PAGE + 16]       ; not written: still zero
        call show_value

; 3. A string instruction that runs into the promise three times, and an access that needs two pages.
        line "fill 2.5 pages with one instruction"
        mov edi, WINDOW + 32 * PAGE
        mov eax, 0x01020304
        mov ecx, 2 * PAGE / 4 + PAGE / 8
        rep stosd
        mov eax, edi
        call show_value
        call report
        line "write across a page boundary"
        mov dword [WINDOW + 41 * PAGE - 2], 0xaabbccdd
        mov eax, [WINDOW + 41 * PAGE - 2]
        call show_value
        call report

; 4. The hall: one fault for 2 MiB.
        line "write here and there in the hall"
        mov ecx, 12
        mov edi, HALL + 0x100
.hall:  mov [edi], edi
        add edi, 0x50000
        dec ecx
        jnz .hall
        call report
        mov edi, HALL
        call show_hall
        mov eax, [HALL + 0x100 + 11 * 0x50000]
        call show_value
        mov eax, [LARGE_FRAMES + 0x100 + 0x50000]
        call show_value
        line "read a hall page that nobody has written"
        mov eax, [HALL + 2 * LARGE_PAGE + 0x123000]
        call report
        mov edi, HALL + 2 * LARGE_PAGE
        call show_hall
        mov [edi + 0x1fffff], al
        call show_hall
        call report

; 5. A page of 2 MiB becomes 512 small ones; one of them is read-only then.
        line "splinter the hall's first page"
        mov edi, TABLE_SPLIT
        mov eax, LARGE_FRAMES + PRESENT + WRITABLE
        mov edx, [no_execute]
        mov ecx, 512
.split: mov [edi], eax
        mov [edi + 4], edx
        add edi, 8
        add eax, PAGE
        dec ecx
        jnz .split
        and dword [TABLE_SPLIT + 0x50 * 8], ~WRITABLE
        mov dword [HALL_PAGES], TABLE_SPLIT + PRESENT + WRITABLE
        mov eax, cr3
        mov cr3, eax
        mov eax, [HALL + 0x100 + 0x50000]
        call show_value
        mov dword [HALL + 0x100 + 0xa0000], 0x5911
        mov dword [resume], .refused
        mov dword [HALL + 0x100 + 0x50000], 1
        line "  that worked, which is wrong"
.refused:
        mov eax, [TABLE_SPLIT + 0xa0 * 8]
        call show_flags
        mov eax, [TABLE_SPLIT + 0x50 * 8]
        call show_flags
        mov eax, [TABLE_SPLIT]
        call show_flags
        line "join it again"
        mov eax, LARGE_FRAMES + PRESENT + WRITABLE + LARGE
        mov [HALL_PAGES], eax
        mov eax, cr3
        mov cr3, eax
        mov eax, [HALL + 0x100 + 0xa0000]
        call show_value
        mov edi, HALL
        call show_hall
        mov [HALL + 0x100 + 0x50000], edi
        call show_hall
        call report

; 6. Code in pages for data: where the processor has execute-disable, the first fetch faults, and the handler gives in.
        line "run code from the window and from the hall"
        mov edi, WINDOW + 60 * PAGE
        call put_code
        mov eax, 1
        call edi
        call show_value
        call edi
        call show_value
        call show_entry
        mov edi, HALL + 0x80000
        call put_code
        mov eax, 2
        call edi
        call show_value
        say "  pages made executable: "
        mov eax, [made_code]
        cmp dword [no_execute], 0
        jne .counted
        cmp eax, 0
        jne .counted
        line "none, and none had to be"
        jmp .executed
.counted:
        call print_decimal
        call newline
.executed:
        call report

; 7. Accessed and dirty: cleared by software, set by the processor, seen again only after INVLPG.
        line "accessed and dirty bits"
        mov edi, WINDOW + 2 * PAGE
        call show_entry
        and dword [TABLE_A + 2 * 8], ~(ACCESSED + DIRTY)
        invlpg [edi]
        call show_entry
        mov eax, [edi]
        call show_entry
        mov [edi], eax
        call show_entry
        mov edi, HALL + LARGE_PAGE
        and dword [HALL_PAGES + 8], ~(ACCESSED + DIRTY)
        invlpg [edi]
        call show_hall
        mov eax, [edi + 0x12345]
        call show_hall
        mov [edi + 0x54321], eax
        call show_hall
        mov eax, [DIRECTORY_A]
        call show_flags
        call report

; 8. Both halves of an entry at once, and one after the other.
        line "change entries of 64 bits"
        mov esi, TABLE_A + 2 * 8
        mov eax, [esi]
        mov edx, [esi + 4]
        mov ebx, [TABLE_A + 3 * 8]      ; the next page's frame, read-only
        and ebx, ~WRITABLE
        mov ecx, edx
        lock cmpxchg8b [esi]
        mov edi, WINDOW + 2 * PAGE
        invlpg [edi]
        mov eax, [edi + 16]
        call show_value
        mov dword [resume], .kept
        mov dword [edi + 16], 1
        line "  that worked, which is wrong"
.kept:  mov dword [esi], 0              ; not present, then the high half, then the low one
        mov dword [esi + 4], RESERVED
        invlpg [edi]
        mov ebx, [TABLE_A + 1 * 8]
        mov [esi], ebx
        mov dword [resume], .reserved
        mov eax, [edi + 16]
        line "  that worked, which is wrong"
.reserved:
        mov eax, [no_execute]
        mov [esi + 4], eax
        mov eax, [edi + 16]
        call show_value
        call report

; 9. A pointer is added. It counts when CR3 is loaded.
        line "add a pointer"
        mov dword [resume], .nowhere
        mov eax, [NOWHERE + 0x100]
        line "  that worked, which is wrong"
.nowhere:
        mov dword [POINTERS_A + 16], HALL_PAGES + PRESENT
        mov eax, cr3
        mov cr3, eax
        mov eax, [NOWHERE + 0x100]
        call show_value
        mov dword [POINTERS_A + 16], 0
        mov eax, cr3
        mov cr3, eax
        mov dword [resume], .again
        mov eax, [NOWHERE + 0x100]
        line "  that worked, which is wrong"
.again: call report

; 10. Two more address spaces take over the window as it is. Nothing is copied until one of them writes.
        line "clone the window, twice"
        mov [WINDOW + 24], eax          ; page 0 is in use: its translation is at hand, and allows writing
        mov edi, TABLE_A + PAGE
        call clone
        mov edi, TABLE_A + 2 * PAGE
        call clone
        call report
        say "  frames with more than one owner: "
        call count_shared
        line "each writes to page 0, and again"
        mov ebx, POINTERS_A
.each:  mov cr3, ebx
        mov [WINDOW + 16], ebx
        mov [WINDOW + 20], ebx
        call report
        add ebx, 32
        cmp ebx, POINTERS_C
        jbe .each
        line "each reads it, and the hall"
        mov ebx, POINTERS_A
.look:  mov cr3, ebx
        mov eax, [WINDOW + 16]
        call show_value
        mov eax, [HALL + 0x100 + ebx - POINTERS_A]
        mov [HALL + 0x120 + ebx - POINTERS_A], ebx
        call show_value
        add ebx, 32
        cmp ebx, POINTERS_C
        jbe .look
        line "C writes to page 1, runs code, and touches what is new"
        mov dword [WINDOW + PAGE + 16], 0xc1
        mov edi, WINDOW + 60 * PAGE
        mov eax, 3
        call edi
        call show_value
        mov dword [WINDOW + 200 * PAGE], 7
        call report
        mov eax, POINTERS_B
        mov cr3, eax
        line "B reads both"
        mov eax, [WINDOW + PAGE + 16]
        call show_value
        mov eax, [WINDOW + 200 * PAGE]
        call show_value
        call report
        say "  frames with more than one owner: "
        call count_shared

; 11. Many rounds through the address spaces.
        line "go round them 20 times"
        mov ecx, 20
.round: mov ebx, POINTERS_A
.turn:  mov cr3, ebx
        inc dword [WINDOW + 40]
        mov eax, ecx
        shl eax, 12
        mov [WINDOW + eax + 100 * PAGE], ebx
        add ebx, 32
        cmp ebx, POINTERS_C
        jbe .turn
        dec ecx
        jnz .round
        mov eax, [WINDOW + 40]
        call show_value
        call report
        mov eax, POINTERS_A
        mov cr3, eax

; 12. Behind the window nothing is promised.
        line "read behind the window"
        mov dword [resume], .behind
        mov eax, [WINDOW + WINDOW_PAGES * PAGE]
        line "  that worked, which is wrong"
.behind:
        line "write behind the hall"
        mov dword [resume], .hall_end
        mov dword [HALL + HALL_COUNT * LARGE_PAGE], 1
        line "  that worked, which is wrong"
.hall_end:
        line "a reserved bit in a page of 2 MiB"
        or dword [HALL_PAGES + 16], 0x2000
        mov eax, cr3
        mov cr3, eax
        mov dword [resume], .large
        mov eax, [HALL + 2 * LARGE_PAGE]
        line "  that worked, which is wrong"
.large: call report

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
        mov edx, [ebp + FRAME_ERROR]
        test edx, FAULT_RESERVED
        jnz .not_promised
        mov esi, ebx
        sub esi, HALL
        shr esi, 21                     ; page of the hall
        cmp esi, HALL_COUNT
        jb .hall
        mov esi, ebx
        sub esi, WINDOW
        shr esi, 12                     ; page of the window
        cmp esi, WINDOW_PAGES
        jae .not_promised
        mov edi, cr3                    ; EDI = the entry, in the table of the address space in use
        sub edi, POINTERS_A
        shl edi, 12 - 5
        lea edi, [edi + TABLE_A + esi * 8]
        test edx, FAULT_FETCH
        jnz .fetch
        test edx, FAULT_PRESENT
        jnz .present
        mov eax, [no_execute]
        mov [edi + 4], eax
        test edx, FAULT_WRITE
        jnz .fresh

        inc dword [zero_maps]           ; a read: show the zero frame, and promise a copy
        mov dword [edi], ZERO_FRAME + PRESENT + COPY
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
        mov [edi], eax
        ret

.present:
        mov eax, [edi]
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
        push edi
        push eax
        mov esi, ecx
        mov edi, eax
        mov ecx, PAGE / 4
        rep movsd
        pop eax
        pop edi
        jmp .own
.reuse: inc dword [reuses]              ; nobody else has it any more
.own:   add eax, PRESENT + WRITABLE
        mov [edi], eax
        invlpg [ebx]
        ret

; A hall page: ESI = its number. The entry is in the directory.
.hall:  lea edi, [HALL_PAGES + esi * 8]
        test edx, FAULT_FETCH
        jnz .fetch
        test edx, FAULT_PRESENT
        jnz .not_promised
        inc dword [large_frames]
        mov eax, [no_execute]
        mov [edi + 4], eax
        shl esi, 21
        lea eax, [esi + LARGE_FRAMES + PRESENT + WRITABLE + LARGE]
        mov [edi], eax
        ret

; A page of data is to be executed: EDI = its entry.
.fetch: test dword [edi + 4], NO_EXECUTE
        jz .not_promised
        inc dword [made_code]
        and dword [edi + 4], ~NO_EXECUTE
        invlpg [ebx]
        ret

.not_promised:
        test edx, FAULT_RESERVED
        jnz .reserved
        say "  page fault at "
        mov eax, ebx
        call print_hex
        say ", error code "
        mov eax, edx
        call print_hex
        call newline
        jmp .give_up
.reserved:
        say "  reserved bit on the way to "
        mov eax, ebx
        call print_hex
        call newline
.give_up:
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

; Out: EAX = a frame with one owner. There are more than this kernel can use up. Changes ECX.
take_frame:
        mov ecx, [next_frame]
        inc dword [next_frame]
        mov byte [sharers + ecx], 1
        mov eax, ecx
        shl eax, 12
        add eax, FRAMES
        ret

; The space with table EDI gets all pages of A's window; both may only read them from now on.
clone:  xor esi, esi
.page:  mov eax, [TABLE_A + esi * 8]
        test eax, PRESENT
        jz .next
        and eax, ~(WRITABLE + ACCESSED + DIRTY)
        or eax, COPY
        mov [TABLE_A + esi * 8], eax
        mov edx, [TABLE_A + esi * 8 + 4]
        mov [edi + esi * 8 + 4], edx
        mov [edi + esi * 8], eax
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

; Writes a function to EDI that adds 0x10 to EAX.
put_code:
        mov dword [edi], 0xc310c083     ; ADD EAX, 10h; RET
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
        say ", large "
        mov eax, [large_frames]
        call print_decimal
        call newline
        xor eax, eax
        mov [zero_maps], eax
        mov [fresh_frames], eax
        mov [copies], eax
        mov [reuses], eax
        mov [large_frames], eax
        pop eax
        ret

; EAX = a value.
show_value:
        say "  value "
        call print_hex
        call newline
        ret

; EDI = an address in A's window, or in the hall: prints the flags of its entry.
show_entry:
        push eax
        mov eax, edi
        sub eax, WINDOW
        shr eax, 12
        mov eax, [TABLE_A + eax * 8]
        call show_flags
        pop eax
        ret
show_hall:
        push eax
        mov eax, edi
        sub eax, HALL
        shr eax, 21
        mov eax, [HALL_PAGES + eax * 8]
        call show_flags
        pop eax
        ret

; EAX = the low half of an entry.
show_flags:
        say "  entry:"
        test eax, LARGE
        jz .small
        say " large"
.small: test eax, WRITABLE
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
        ret

count_shared:
        xor eax, eax
        xor ecx, ecx
.frame: cmp byte [sharers + ecx], 2
        jb .next
        inc eax
.next:  inc ecx
        cmp ecx, FRAME_COUNT
        jb .frame
        call print_decimal
        call newline
        ret

        align 4
no_execute:   dd 0                      ; high half of an entry for data
resume:       dd power_off              ; where to go on after a fault that nothing was promised for
next_frame:   dd 0
all_faults:   dd 0
made_code:    dd 0
zero_maps:    dd 0                      ; since the last report
fresh_frames: dd 0
copies:       dd 0
reuses:       dd 0
large_frames: dd 0
sharers:      times FRAME_COUNT db 0
