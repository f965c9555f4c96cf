; page-rights: every combination of the bits of a page-directory entry and a page-table entry of a guest, against reads and writes, user and
; supervisor mode, CR0.WP: page fault or not, the error code, the accessed and dirty flags. Once without EPT, once with it.
; Manual: Vol. 3, "Access Rights"; "Page-Fault Exceptions"; "Accessed and Dirty Flags".

%define SUBJECT "page-rights"
%include "suite.inc"
%include "ept.inc"

USER            equ 4
ACCESSED        equ 0x20
DIRTY           equ 0x40
BY_TABLE        equ 0x2000000           ; where the page is seen
SEEN_AT         equ BY_TABLE + 8
PDE             equ DIRECTORY + 4 * (BY_TABLE >> 22)
TABLE           equ 0x220000
PAGE_FAULT      equ 14
; the case in force: bits of EBP
IS_WRITE        equ 2                   ; as in the error code
IS_USER         equ 4
HAS_WP          equ 8

subject:
        set EXCEPTION_BITMAP, 1 << PAGE_FAULT
        or dword [DIRECTORY], USER      ; the guest's code and stack can be used in ring 3
        mov eax, cr3
        mov cr3, eax
        mov esi, names
        call all_cases
        mov eax, PROC2_EPT
        call allowed_secondary
        jz .ept
        line "SKIP no EPT"
        ret
.ept:   call ept_on
        mov esi, names_with_ept
all_cases:
        mov dword [case], 0
.case:  mov eax, [case]
        shr eax, 1
        mov eax, [esi + eax * 4]
        mov [name], eax
        push esi
        call one_case
        pop esi
        add dword [case], IS_WRITE
        cmp dword [case], 16
        jb .case
        ret

; All 64 pairs of entries; one result.
one_case:
        call prepare
        mov dword [pde], 0
.pde:   mov dword [pte], 0
.pte:   call one_pair
        jnz .wrong
        inc dword [pte]
        cmp dword [pte], 8
        jb .pte
        inc dword [pde]
        cmp dword [pde], 8
        jb .pde
        jmp passed
.wrong: call failed
        say "  PDE "
        mov eax, [pde]
        call print_decimal
        say " PTE "
        mov eax, [pte]
        call print_decimal
        say ": seen "
        mov eax, [seen]
        call print_hex
        say ", wanted "
        mov eax, [expected]
        call print_hex
        call newline
        ret

; Mode and CR0.WP of the guest. Changes EAX, ECX, EBX.
prepare:
        mov eax, guest_reads
        test dword [case], IS_WRITE
        jz .code
        mov eax, guest_writes
.code:  mov [code], eax
        turn_off GUEST_CR0, CR0_WP
        test dword [case], HAS_WP
        jz .wp
        turn_on GUEST_CR0, CR0_WP
.wp:    set GUEST_SELECTOR + 2, KERNEL_CODE
        set GUEST_SELECTOR + 4, KERNEL_DATA
        set GUEST_RIGHTS + 2, 0xc09b
        set GUEST_RIGHTS + 4, 0xc093
        test dword [case], IS_USER
        jz .end
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
.end:   ret

; ZF set if the guest fared as it should. What is compared: FFh, or the error code; flags of PTE and PDE above it.
one_pair:
        mov eax, [pte]
        or eax, PLAYGROUND
        mov [TABLE], eax
        mov eax, [pde]
        or eax, TABLE
        mov [PDE], eax
        call flush
        mov ecx, [code]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        set GUEST_EFLAGS, 2
        call enter
        mov dword [seen], 0xff          ; no fault
        get EXIT_REASON
        cmp eax, 18
        je .flags
        mov dword [seen], 0xfe          ; something else
        cmp eax, 0
        jne .flags
        get EXIT_QUALIFICATION
        cmp eax, SEEN_AT
        jne .flags
        get EXIT_ERROR_CODE
        mov [seen], eax
.flags: mov eax, [TABLE]
        and eax, ACCESSED + DIRTY
        shl eax, 4
        or [seen], eax
        mov eax, [PDE]
        and eax, ACCESSED
        shl eax, 8
        or [seen], eax
        call model
        mov eax, [seen]
        cmp eax, [expected]
        ret

; What the manual says. The accessed flag of a page-directory entry whose page table leads to a fault may be set or not: taken from what
; was seen.
model:  mov ebx, [case]
        and ebx, IS_WRITE + IS_USER     ; the error code so far
        mov eax, [pde]
        and eax, [pte]
        mov edx, eax                    ; rights of both
        test eax, PRESENT
        jz .fault
        or ebx, PRESENT
        test dword [case], IS_USER
        jz .supervisor
        test edx, USER
        jz .fault
        test dword [case], IS_WRITE
        jz .granted
        test edx, WRITABLE
        jz .fault
        jmp .granted
.supervisor:
        test dword [case], IS_WRITE
        jz .granted
        test dword [case], HAS_WP
        jz .granted
        test edx, WRITABLE
        jz .fault
.granted:
        mov ebx, 0xff + (ACCESSED << 4) + (ACCESSED << 8)
        test dword [case], IS_WRITE
        jz .end
        or ebx, DIRTY << 4
.end:   mov [expected], ebx
        ret
.fault: test dword [pde], PRESENT
        jz .end
        mov eax, [seen]
        and eax, ACCESSED << 8
        or ebx, eax
        jmp .end

; No translation of the guest is cached: without VPID none is in any case.
flush:  mov eax, [type]
        test eax, eax
        jz .end
        call forget
.end:   ret

        align 4
case:           dd 0
pde:            dd 0
pte:            dd 0
code:           dd 0
seen:           dd 0
%macro case_names 1
        dd %%a, %%b, %%c, %%d, %%e, %%f, %%g, %%h
        section .names
%%a:    db %1, "supervisor, read, WP = 0", 0
%%b:    db %1, "supervisor, write, WP = 0", 0
%%c:    db %1, "user, read, WP = 0", 0
%%d:    db %1, "user, write, WP = 0", 0
%%e:    db %1, "supervisor, read, WP = 1", 0
%%f:    db %1, "supervisor, write, WP = 1", 0
%%g:    db %1, "user, read, WP = 1", 0
%%h:    db %1, "user, write, WP = 1", 0
        section .text
%endmacro
        align 4
names:  case_names ""
names_with_ept:
        case_names "EPT: "
guest_reads:
        mov eax, [SEEN_AT]
        vmcall
guest_writes:
        mov [SEEN_AT], eax
        vmcall
