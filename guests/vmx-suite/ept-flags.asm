; ept-flags: all rights of EPT entries against all accesses, rights of several levels, large pages, accessed and dirty flags, page tables of
; the guest.
; Manual: Vol. 3, "EPT Translation Mechanism", "EPT Misconfigurations", "EPT Violations", "Accessed and Dirty Flags for EPT"; "Exit
; Qualification for EPT Violations".

%define SUBJECT "ept-flags"
%include "suite.inc"
%include "ept.inc"

CAP_EXECUTE_ONLY equ 1
CAP_2M          equ 1 << 16
CAP_1G          equ 1 << 17
VIOLATION       equ 48
MISCONFIGURATION equ 49
VICTIM          equ PLAYGROUND
ENTRY           equ EPT_ENTRY(VICTIM)
DISTANT         equ 0x800000            ; in a large page of EPT
DISTANT_ENTRY   equ EPT_LEVEL_2 + (DISTANT >> 21) * 8
GUEST_TABLE     equ 0x220000            ; page table of the guest, for C0_0000h …
BY_TABLE        equ 0xc00000
FLAGS           equ EPT_ACCESSED + EPT_DIRTY
ROW             equ 12

%macro flags_of 2                       ; entry, accessed and dirty flags that it must have
        mov eax, [%1]
        and eax, FLAGS
        mov dword [expected], %2
        call compare
%endmacro
%macro code_at 1                        ; guest code; the flags of the guest as they were
        set GUEST_EFLAGS, 2
        guest_at %1
%endmacro

subject:
        needs_secondary PROC2_EPT, "SKIP no EPT"
        call ept_on
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov [capabilities], eax
        mov byte [VICTIM], 0xc3         ; RET
        mov byte [DISTANT], 0xc3
        or dword [DIRECTORY], 0x60
        mov edi, GUEST_TABLE
        mov ecx, PAGE / 4
        xor eax, eax
        rep stosd
        mov dword [DIRECTORY + 4 * (BY_TABLE >> 22)], GUEST_TABLE + PRESENT + WRITABLE
        mov dword [GUEST_TABLE], VICTIM + PRESENT + WRITABLE

; ---- rights of one entry ----

        mov esi, matrix
.row:   mov eax, [esi]
        mov [name], eax
        call one_right
        add esi, ROW
        cmp esi, matrix_end
        jb .row
        mov eax, [type]
        or eax, VICTIM + EPT_ALL
        mov [ENTRY], eax

; ---- rights of several levels ----

        test_name "a right that the entry above does not give: a write"
        and dword [EPT_LEVEL_2 + 8], ~WRITE
        call forget
        code_at guest_writes
        check_exit VIOLATION
        test_name "the qualification has what all levels give"
        check_masked EXIT_QUALIFICATION, 0x3f, WRITE + ((READ + FETCH) << 3)
        or dword [EPT_LEVEL_2 + 8], WRITE
        test_name "a right that the entry above does not give: a fetch"
        and dword [EPT_LEVEL_3], ~FETCH
        call forget
        code_at guest_fetches
        check_exit VIOLATION
        test_name "RIP is the first instruction: nothing can be executed"
        check_field GUEST_EIP, guest_fetches
        or dword [EPT_LEVEL_3], FETCH
        test_name "an entry above that gives nothing"
        push dword [EPT_LEVEL_4]
        mov dword [EPT_LEVEL_4], 0
        call forget
        code_at guest_reads
        check_exit VIOLATION
        check_masked EXIT_QUALIFICATION, 7 << 3, 0
        pop dword [EPT_LEVEL_4]
        test_name "bit 7 of an entry of level 4 is reserved"
        or dword [EPT_LEVEL_4], LARGE
        call forget
        code_at guest_reads
        check_exit MISCONFIGURATION
        and dword [EPT_LEVEL_4], ~LARGE
        test_name "bit 6 of an entry that leads to a table is reserved"
        or dword [EPT_LEVEL_2 + 8], 0x40
        call forget
        code_at guest_reads
        check_exit MISCONFIGURATION
        and dword [EPT_LEVEL_2 + 8], ~0x40
        test_name "bits 11:10 and 62:52 are ignored"
        or dword [ENTRY], 3 << 10
        or dword [ENTRY + 4], 0x3ff << 20
        call forget
        code_at guest_reads
        check_exit 18
        and dword [ENTRY], ~(3 << 10)
        mov dword [ENTRY + 4], 0
        test_name "bit 6 of the last entry is not reserved"
        or dword [ENTRY], 0x40
        call forget
        code_at guest_reads
        check_exit 18
        and dword [ENTRY], ~0x40

; ---- large pages ----

        test_name "a page of 2 MiB without the right to write"
        push dword [DISTANT_ENTRY]
        and dword [DISTANT_ENTRY], ~WRITE
        call forget
        code_at guest_writes_far
        check_exit VIOLATION
        test_name "its address to the byte"
        check_field GUEST_PHYSICAL_ADDRESS, DISTANT + 0x1234
        test_name "bits 20:12 of its entry are reserved"
        pop dword [DISTANT_ENTRY]
        or dword [DISTANT_ENTRY], 1 << 12
        call forget
        code_at guest_reads_far
        check_exit MISCONFIGURATION
        and dword [DISTANT_ENTRY], ~(1 << 12)
        test_name "a page of 1 GiB"
        test dword [capabilities], CAP_1G
        jz .no_1g
        push dword [EPT_LEVEL_3]
        mov eax, [type]
        or eax, LARGE + EPT_ALL
        mov [EPT_LEVEL_3], eax
        mov dword [VICTIM + 8], 0x600d
        call forget
        code_at guest_reads
        check_exit 18
        check_equal [guest_ebx], 0x600d
        test_name "bits 29:12 of its entry are reserved"
        or dword [EPT_LEVEL_3], 1 << 29
        call forget
        code_at guest_reads
        check_exit MISCONFIGURATION
        pop dword [EPT_LEVEL_3]
        jmp .tables
.no_1g: or dword [EPT_LEVEL_3], LARGE
        call forget
        code_at guest_reads
        check_exit MISCONFIGURATION
        and dword [EPT_LEVEL_3], ~LARGE

; ---- page tables of the guest, without flags ----

.tables:
        test_name "a page table that can be read, flags set already"
        mov dword [GUEST_TABLE], VICTIM + PRESENT + WRITABLE + 0x60
        or dword [DIRECTORY + 4 * (BY_TABLE >> 22)], 0x20
        call table_read_only
        code_at guest_reads_by_table
        check_exit 18
        test_name "no flag of EPT was touched"
        flags_of EPT_ENTRY(VICTIM), 0
        test_name "a page table that can only be executed, or that is not there: a read"
        mov dword [EPT_ENTRY(GUEST_TABLE)], 0
        call forget
        code_at guest_writes_by_table
        check_exit VIOLATION
        check_masked EXIT_QUALIFICATION, READ + WRITE + LINEAR_VALID + FINAL, READ + LINEAR_VALID
        test_name "the linear address is that of the access"
        check_field 0x640a, BY_TABLE + 8
        test_name "the guest-physical one that of the entry"
        check_field GUEST_PHYSICAL_ADDRESS, GUEST_TABLE
        test_name "a guest entry that is not present is seen by a read alone"
        mov dword [GUEST_TABLE], 0
        call table_read_only
        set EXCEPTION_BITMAP, 1 << 14
        code_at guest_reads_by_table
        check_exit 0
        set EXCEPTION_BITMAP, 0
        mov dword [GUEST_TABLE], VICTIM + PRESENT + WRITABLE
        mov eax, [type]
        or eax, GUEST_TABLE + EPT_ALL
        mov [EPT_ENTRY(GUEST_TABLE)], eax

; ---- accessed and dirty flags ----

        call has_ept_flags
        jnz .flags
        line "SKIP no accessed and dirty flags for EPT"
        ret
.flags: test_name "without the bit in the pointer no flags are set"
        call clean_all
        code_at guest_writes
        check_exit 18
        flags_of ENTRY, 0
        turn_on EPT_POINTER, EPTP_FLAGS
        test_name "a read sets the accessed flag"
        call clean_all
        code_at guest_reads
        check_exit 18
        flags_of ENTRY, EPT_ACCESSED
        test_name "of each level"
        flags_of EPT_LEVEL_2 + 8, EPT_ACCESSED
        flags_of EPT_LEVEL_3, EPT_ACCESSED
        flags_of EPT_LEVEL_4, EPT_ACCESSED
        test_name "of what was used only"
        flags_of ENTRY + 8, 0
        test_name "the guest's page directory is accessed and dirty"
        flags_of EPT_ENTRY(DIRECTORY), FLAGS
        test_name "a write sets the dirty flag of the last level"
        call clean_all
        code_at guest_writes
        check_exit 18
        flags_of ENTRY, FLAGS
        test_name "and not those above"
        flags_of EPT_LEVEL_2 + 8, EPT_ACCESSED
        test_name "a fetch sets the accessed flag"
        call clean_all
        code_at guest_fetches
        check_exit 18
        flags_of ENTRY, EPT_ACCESSED
        test_name "a page of 2 MiB has both"
        call clean_all
        code_at guest_writes_far
        check_exit 18
        flags_of DISTANT_ENTRY, FLAGS
        test_name "an access that EPT forbids sets no dirty flag"
        call clean_all
        and dword [ENTRY], ~WRITE
        call forget
        code_at guest_writes
        check_exit VIOLATION
        mov eax, [ENTRY]
        and eax, EPT_DIRTY
        mov dword [expected], 0
        call compare
        or dword [ENTRY], WRITE
        test_name "an access that the guest's tables forbid sets no flag of the page"
        call clean_all
        set EXCEPTION_BITMAP, 1 << 14
        and dword [GUEST_TABLE], ~PRESENT
        code_at guest_reads_by_table
        check_exit 0
        flags_of ENTRY, 0
        test_name "but those of the table"
        flags_of EPT_ENTRY(GUEST_TABLE), FLAGS
        set EXCEPTION_BITMAP, 0
        or dword [GUEST_TABLE], PRESENT + 0x60
        test_name "a page table that can only be read violates, even if nothing is to be written"
        call table_read_only
        code_at guest_reads_by_table
        check_exit VIOLATION
        test_name "as a read and a write, not the final access"
        check_masked EXIT_QUALIFICATION, READ + WRITE + FETCH + LINEAR_VALID + FINAL, READ + WRITE + LINEAR_VALID
        test_name "with the rights of the table's page"
        check_masked EXIT_QUALIFICATION, 7 << 3, READ << 3
        ret

; The entry of the guest's table in EPT gives the right to read. Changes EAX.
table_read_only:
        mov eax, [type]
        or eax, GUEST_TABLE + READ
        mov [EPT_ENTRY(GUEST_TABLE)], eax
        jmp forget
; No entry has flags, and no translation is cached. Changes EAX, ECX, EDI.
clean_all:
        mov edi, EPT_LEVEL_4
        mov ecx, (TABLES_END - EPT_LEVEL_4) / 8
.next:  and dword [edi], ~FLAGS
        add edi, 8
        loop .next
        jmp forget

; ESI = row: name, rights, access. Reason and, for violations, the lower bits of the qualification.
one_right:
        mov eax, [esi + 4]
        or eax, [type]
        or eax, VICTIM
        mov [ENTRY], eax
        call forget
        set GUEST_EFLAGS, 2
        mov ecx, guest_reads
        cmp dword [esi + 8], READ
        je .go
        mov ecx, guest_writes
        cmp dword [esi + 8], WRITE
        je .go
        mov ecx, guest_fetches
.go:    mov eax, GUEST_EIP
        vmwrite eax, ecx
        set GUEST_ESP, GUEST_STACK
        call enter
        mov dword [expected], MISCONFIGURATION
        mov eax, [esi + 4]
        and eax, READ + WRITE
        cmp eax, WRITE
        je .reason
        cmp dword [esi + 4], FETCH
        jne .legal
        test dword [capabilities], CAP_EXECUTE_ONLY
        jz .reason
.legal: mov dword [expected], 18
        mov eax, [esi + 4]
        test eax, [esi + 8]
        jnz .reason
        mov dword [expected], VIOLATION
        get EXIT_REASON
        cmp eax, VIOLATION
        jne compare
        mov eax, [esi + 4]
        shl eax, 3
        or eax, [esi + 8]
        or eax, LINEAR_VALID + FINAL
        mov [expected], eax
        get EXIT_QUALIFICATION
        and eax, BITS_OF_ALL & ~0x40
        jmp compare
.reason:
        get EXIT_REASON
        jmp compare

%macro rights 2                         ; text, bits: three rows
        dd %%read, %2, READ, %%write, %2, WRITE, %%fetch, %2, FETCH
        section .names
%%read: db "rights ", %1, ": read", 0
%%write: db "rights ", %1, ": write", 0
%%fetch: db "rights ", %1, ": fetch", 0
        section .text
%endmacro
        align 4
capabilities:   dd 0
matrix: rights "---", 0
        rights "R--", READ
        rights "-W-", WRITE
        rights "RW-", READ + WRITE
        rights "--X", FETCH
        rights "R-X", READ + FETCH
        rights "-WX", WRITE + FETCH
        rights "RWX", READ + WRITE + FETCH
matrix_end:

guest_reads:
        mov ebx, [VICTIM + 8]
        vmcall
guest_writes:
        mov [VICTIM + 8], eax
        vmcall
guest_fetches:
        mov ebx, VICTIM
        call ebx
        vmcall
guest_reads_far:
        mov ebx, [DISTANT + 0x1234]
        vmcall
guest_writes_far:
        mov [DISTANT + 0x1234], eax
        vmcall
guest_reads_by_table:
        mov ebx, [BY_TABLE + 8]
        vmcall
guest_writes_by_table:
        mov [BY_TABLE + 8], eax
        vmcall
