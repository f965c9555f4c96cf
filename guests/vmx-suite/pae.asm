; pae: guests with PAE paging: PDPTE registers through VM entries and VM exits, with EPT and without; NX; a host with PAE paging.
; Manual: Vol. 3, "PDPTE Registers"; "Checks on Guest Page-Directory-Pointer-Table Entries"; "Loading Page-Directory-Pointer-Table Entries";
; "Saving Non-Register State"; "Exit Qualification for EPT Violations" (bit 7).

%define SUBJECT "pae"
%include "suite.inc"
%include "ept.inc"

ENTRY_LOAD_EFER equ 1 << 15
EXIT_LOAD_EFER  equ 1 << 21
GUEST_EFER      equ 0x2806
HOST_EFER       equ 0x2c02
EFER_NXE        equ 1 << 11
GUEST_PDPTE     equ 0x280a              ; four, two apart
CR4_TSD         equ 0x04
CR4_PAE         equ 0x20
CR4_PGE         equ 0x80
POINTERS        equ 0x220000            ; page-directory-pointer table …
OTHER_POINTERS  equ 0x220020
PAE_DIRECTORY   equ 0x221000            ; the first GiB in pages of 2 MiB
EMPTY           equ 0x222000            ; a directory without entries
TABLE           equ 0x223000            ; for 80_0000h …
VICTIM          equ PLAYGROUND
SECOND_GIB      equ 0x40000000
SMALL           equ 0x800000
VALUE           equ 0x0badcafe
GENERAL         equ 13
PAGE_FAULT      equ 14
PDPTE_FAILURE   equ 2                   ; exit qualification of a failed entry

subject:
        mov eax, 1
        cpuid
        test edx, 1 << 6
        jnz .pae
        line "SKIP no PAE"
        ret
.pae:   call make_pae
        mov dword [VICTIM], VALUE
        turn_on GUEST_CR4, CR4_PAE
        set GUEST_CR3, POINTERS

        test_name "a guest with PAE paging"
        guest_at guest_reads
        check_exit 18
        check_equal [guest_ebx], VALUE
        test_name "CR3 need not be the address of a page"
        mov eax, [POINTERS]
        mov [OTHER_POINTERS], eax
        set GUEST_CR3, OTHER_POINTERS
        guest_at guest_reads
        check_exit 18
        check_equal [guest_ebx], VALUE
        set GUEST_CR3, POINTERS
        test_name "an entry with a reserved bit, present: the VM entry fails"
        or dword [POINTERS], 2
        check_exit ENTRY_FAILURE + 33
        test_name "qualification 2"
        check_field EXIT_QUALIFICATION, PDPTE_FAILURE
        and dword [POINTERS], ~2
        test_name "bits 8:5 are reserved"
        or dword [POINTERS + 24], 0x100 + PRESENT
        check_exit ENTRY_FAILURE + 33
        test_name "bit 63 is reserved"
        mov dword [POINTERS + 24], PRESENT
        mov dword [POINTERS + 28], 0x80000000
        check_exit ENTRY_FAILURE + 33
        mov dword [POINTERS + 28], 0
        test_name "an entry that is not present has no reserved bits"
        mov dword [POINTERS + 24], -1 & ~PRESENT
        guest_at guest_reads
        check_exit 18
        mov dword [POINTERS + 24], 0

        set EXCEPTION_BITMAP, (1 << GENERAL) + (1 << PAGE_FAULT)
        test_name "through one that is not present: #PF"
        guest_at guest_reads_second
        check_exit 0
        check_field EXIT_ERROR_CODE, 0
        test_name "at the address"
        check_field EXIT_QUALIFICATION, SECOND_GIB + VICTIM
        set GUEST_EFLAGS, 2
        test_name "the registers are loaded once: a store to the table changes nothing"
        guest_at guest_stores_and_reads
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + PAGE_FAULT
        set GUEST_EFLAGS, 2
        mov dword [POINTERS + 8], 0
        mov eax, PROC_CR3_LOAD + PROC_CR3_STORE
        call optional
        jnz .no_cr3
        test_name "MOV to CR3 loads them"
        guest_at guest_stores_and_loads
        check_exit 18
        check_equal [guest_ebx], VALUE
.no_cr3:
        mov dword [POINTERS + 8], 0
        test_name "MOV to CR4 that changes PGE loads them"
        mov ecx, cr4
        or ecx, CR4_PAE + CR4_PGE
        mov [guest_ecx], ecx
        guest_at guest_stores_and_changes
        check_exit 18
        check_equal [guest_ebx], VALUE
        turn_off GUEST_CR4, CR4_PGE
        mov dword [POINTERS + 8], 0
        test_name "MOV to CR4 that changes PSE loads them"
        mov ecx, cr4
        or ecx, CR4_PAE
        xor ecx, CR4_PSE
        mov [guest_ecx], ecx
        guest_at guest_stores_and_changes
        check_exit 18
        check_equal [guest_ebx], VALUE
        turn_on GUEST_CR4, CR4_PSE
        mov dword [POINTERS + 8], 0
        test_name "MOV to CR4 that changes TSD does not"
        mov ecx, cr4
        or ecx, CR4_PAE + CR4_TSD
        mov [guest_ecx], ecx
        guest_at guest_stores_and_changes
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + PAGE_FAULT
        turn_off GUEST_CR4, CR4_TSD
        set GUEST_EFLAGS, 2
        mov dword [POINTERS + 8], 0
        mov eax, PROC_CR3_LOAD
        call optional
        jnz .small
        test_name "MOV to CR3 with a reserved bit in the table raises #GP"
        mov dword [OTHER_POINTERS], PAE_DIRECTORY + PRESENT + 2
        mov dword [guest_ecx], OTHER_POINTERS
        guest_at guest_loads
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + GENERAL
        test_name "with error code 0"
        check_field EXIT_ERROR_CODE, 0
        test_name "CR3 stays"
        check_field GUEST_CR3, POINTERS
        set GUEST_EFLAGS, 2
        mov dword [OTHER_POINTERS], PAE_DIRECTORY + PRESENT

.small: test_name "a page of 4 KiB"
        mov dword [PAE_DIRECTORY + (SMALL >> 21) * 8], TABLE + PRESENT + WRITABLE
        mov dword [TABLE], VICTIM + PRESENT + WRITABLE
        guest_at guest_reads_small
        check_exit 18
        check_equal [guest_ebx], VALUE
        test_name "a reserved bit of an entry: #PF says so"
        mov dword [TABLE + 4], 1 << 30
        guest_at guest_reads_small
        check_exit 0
        check_field EXIT_ERROR_CODE, 9
        set GUEST_EFLAGS, 2
        test_name "bit 63 is reserved without IA32_EFER.NXE"
        mov dword [TABLE + 4], 1 << 31
        guest_at guest_reads_small
        check_exit 0
        check_field EXIT_ERROR_CODE, 9
        set GUEST_EFLAGS, 2
        mov eax, 0x80000001
        cpuid
        test edx, 1 << 20
        jz .no_nx
        mov ecx, MSR_VMX_ENTRY_CTLS
        mov eax, ENTRY_LOAD_EFER
        call allowed
        jnz .no_nx
        mov ecx, MSR_VMX_EXIT_CTLS
        mov eax, EXIT_LOAD_EFER
        call allowed
        jnz .no_nx
        turn_on ENTRY_CONTROLS, ENTRY_LOAD_EFER
        turn_on EXIT_CONTROLS, EXIT_LOAD_EFER
        set GUEST_EFER, EFER_NXE
        set GUEST_EFER + 1, 0
        set HOST_EFER, 0
        set HOST_EFER + 1, 0
        test_name "with it, the page can be read"
        guest_at guest_reads_small
        check_exit 18
        check_equal [guest_ebx], VALUE
        test_name "but not executed"
        guest_at guest_calls_small
        check_exit 0
        check_field EXIT_ERROR_CODE, 0x11
        set GUEST_EFLAGS, 2
        test_name "the host's IA32_EFER is loaded by the exit"
        mov ecx, 0xc0000080
        rdmsr
        mov dword [expected], 0
        call compare
        turn_off ENTRY_CONTROLS, ENTRY_LOAD_EFER
        turn_off EXIT_CONTROLS, EXIT_LOAD_EFER
.no_nx: mov dword [TABLE + 4], 0

; ---- a host with PAE paging ----

        test_name "the host may come back to PAE paging"
        mov dword [POINTERS], PAE_DIRECTORY + PRESENT
        turn_on HOST_CR4, CR4_PAE
        set HOST_CR3, POINTERS
        guest_at guest_reads
        check_exit 18
        mov eax, cr4
        and eax, CR4_PAE
        mov dword [expected], CR4_PAE
        call compare
        test_name "with PDPTE registers of its own"
        check_equal [SMALL], VALUE
        test_name "and away from it"
        turn_off HOST_CR4, CR4_PAE
        set HOST_CR3, DIRECTORY
        guest_at guest_reads
        check_exit 18
        mov eax, cr4
        and eax, CR4_PAE
        mov dword [expected], 0
        call compare

; ---- with EPT ----

        needs_secondary PROC2_EPT, "SKIP no EPT"
        call ept_on
        mov esi, POINTERS
        mov ebx, GUEST_PDPTE
.field: mov ecx, [esi]
        vmwrite ebx, ecx
        inc ebx
        mov ecx, [esi + 4]
        vmwrite ebx, ecx
        inc ebx
        add esi, 8
        cmp ebx, GUEST_PDPTE + 8
        jb .field
        test_name "with EPT the registers come from the VMCS"
        mov dword [POINTERS], 0
        guest_at guest_reads
        check_exit 18
        check_equal [guest_ebx], VALUE
        test_name "not from memory"
        mov dword [POINTERS], 2 + PRESENT
        guest_at guest_reads
        check_exit 18
        mov dword [POINTERS], PAE_DIRECTORY + PRESENT
        test_name "a reserved bit in the VMCS: the entry fails"
        set GUEST_PDPTE + 6, PRESENT + 4
        check_exit ENTRY_FAILURE + 33
        check_field EXIT_QUALIFICATION, PDPTE_FAILURE
        set GUEST_PDPTE + 6, 0
        test_name "in the upper half, too"
        set GUEST_PDPTE + 6, PRESENT
        set GUEST_PDPTE + 7, 0x80000000
        check_exit ENTRY_FAILURE + 33
        set GUEST_PDPTE + 7, 0
        set GUEST_PDPTE + 6, 0
        test_name "a guest without PAE paging is not asked for them"
        set GUEST_PDPTE, 2 + PRESENT
        turn_off GUEST_CR4, CR4_PAE
        set GUEST_CR3, DIRECTORY
        guest_at guest_reads
        check_exit 18
        test_name "and they stay in the VMCS"
        check_field GUEST_PDPTE, 2 + PRESENT
        set GUEST_PDPTE, PAE_DIRECTORY + PRESENT
        turn_on GUEST_CR4, CR4_PAE
        set GUEST_CR3, POINTERS
        test_name "MOV to CR3 loads them by EPT, and the exit saves them"
        mov dword [OTHER_POINTERS + 24], EMPTY + PRESENT
        mov dword [guest_ecx], OTHER_POINTERS
        guest_at guest_loads
        check_exit 18
        check_field GUEST_PDPTE + 6, EMPTY + PRESENT
        test_name "the first one, too"
        check_field GUEST_PDPTE, PAE_DIRECTORY + PRESENT
        mov dword [OTHER_POINTERS + 24], 0
        test_name "a table that EPT does not map: MOV to CR3 leaves"
        mov dword [EPT_ENTRY(POINTERS)], 0
        call forget
        set GUEST_CR3, POINTERS
        guest_at guest_loads
        check_exit 48
        test_name "a read without a linear address"
        check_masked EXIT_QUALIFICATION, READ + WRITE + FETCH + LINEAR_VALID, READ
        test_name "at the address of the table"
        get GUEST_PHYSICAL_ADDRESS
        and eax, ~0x1f
        mov dword [expected], OTHER_POINTERS
        call compare
        test_name "RIP names MOV to CR3"
        check_field GUEST_EIP, guest_loads
        test_name "CR3 is as it was"
        check_field GUEST_CR3, POINTERS
        set GUEST_EFLAGS, 2
        test_name "while nothing loads them the table need not be there"
        guest_at guest_reads
        check_exit 18
        call has_ept_flags
        jz .no_flags
        test_name "with accessed and dirty flags of EPT the load is a read all the same"
        mov eax, [type]
        or eax, POINTERS + READ
        mov [EPT_ENTRY(POINTERS)], eax
        turn_on EPT_POINTER, EPTP_FLAGS
        call forget
        guest_at guest_loads
        check_exit 18
        test_name "the table's page is accessed, not dirty"
        mov eax, [EPT_ENTRY(POINTERS)]
        and eax, EPT_ACCESSED + EPT_DIRTY
        mov dword [expected], EPT_ACCESSED
        call compare
        turn_off EPT_POINTER, EPTP_FLAGS
.no_flags:
        ret

; The first GiB, guest-physical = linear.
make_pae:
        mov edi, POINTERS
        mov ecx, (TABLE + PAGE - POINTERS) / 4
        xor eax, eax
        rep stosd
        mov dword [POINTERS], PAE_DIRECTORY + PRESENT
        mov edi, PAE_DIRECTORY
        mov eax, LARGE + PRESENT + WRITABLE
        mov ecx, 512
.page:  mov [edi], eax
        add eax, 0x200000
        add edi, 8
        loop .page
        ret

guest_reads:
        mov ebx, [VICTIM]
        vmcall
guest_reads_second:
        mov ebx, [SECOND_GIB + VICTIM]
        vmcall
guest_stores_and_reads:
        mov dword [POINTERS + 8], PAE_DIRECTORY + PRESENT
        mov ebx, [SECOND_GIB + VICTIM]
        vmcall
guest_stores_and_loads:
        mov dword [POINTERS + 8], PAE_DIRECTORY + PRESENT
        mov eax, cr3
        mov cr3, eax
        mov ebx, [SECOND_GIB + VICTIM]
        vmcall
guest_stores_and_changes:
        mov dword [POINTERS + 8], PAE_DIRECTORY + PRESENT
        mov cr4, ecx
        mov ebx, [SECOND_GIB + VICTIM]
        vmcall
guest_loads:
        mov cr3, ecx
        vmcall
guest_reads_small:
        mov ebx, [SMALL]
        vmcall
guest_calls_small:
        mov ebx, SMALL
        call ebx
        vmcall
