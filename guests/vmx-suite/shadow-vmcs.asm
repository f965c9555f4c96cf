; shadow-vmcs: VMCS shadowing: VMREAD and VMWRITE of a guest that reach another VMCS without an exit.
; Manual: Vol. 3, "Software Use of Virtual-Machine Control Structures", "VMCS Shadowing Bitmap Addresses"; Vol. 2, VMREAD, VMWRITE.

%define SUBJECT "shadow-vmcs"
%include "suite.inc"

PROC2_SHADOWING equ 1 << 14
READ_BITMAP     equ 0x2026
WRITE_BITMAP    equ 0x2028
SHADOW          equ 1 << 31             ; in the revision identifier
READS           equ 0x220000
WRITES          equ 0x221000
FIELD           equ GUEST_EFLAGS        ; for the tests; no other field has its bit 0
NO_FIELD        equ 0x6ffe              ; an encoding without a field
VMREAD_EXIT     equ 23
VMWRITE_EXIT    equ 25
LINK_FAILURE    equ 4                   ; exit qualification of a failed entry

%macro clear_bit 2                      ; bitmap, field: the access does not leave
        and byte [%1 + (%2) / 8], ~(1 << ((%2) & 7))
%endmacro

subject:
        needs_secondary PROC2_SHADOWING, "SKIP no VMCS shadowing"
        mov edi, READS
        mov ecx, 2 * PAGE / 4
        mov eax, -1
        rep stosd

        test_name "a region with the shadow bit can be made current"
        vmclear [other_pointer]
        or dword [OTHER_VMCS], SHADOW
        vmptrld [other_pointer]
        check_succeeds
        test_name "VMLAUNCH of it fails without an error number"
        mov eax, HOST_ESP
        vmwrite eax, esp
        vmlaunch
        check_invalid
        test_name "VMRESUME too"
        vmresume
        check_invalid
        test_name "it can be written"
        mov eax, FIELD
        mov ecx, 0x5adc0de
        vmwrite eax, ecx
        check_succeeds
        test_name "and read"
        mov eax, FIELD
        vmread ecx, eax
        mov eax, ecx
        mov dword [expected], 0x5adc0de
        call compare
        vmclear [other_pointer]
        vmptrld [vmcs_pointer]

        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_SHADOWING
        set READ_BITMAP, READS
        set READ_BITMAP + 1, 0
        set WRITE_BITMAP, WRITES
        set WRITE_BITMAP + 1, 0
        set VMCS_LINK_POINTER, OTHER_VMCS
        set VMCS_LINK_POINTER + 1, 0

        test_name "VMREAD with its bit 1 leaves"
        mov dword [guest_eax], FIELD
        guest_at guest_reads
        check_exit VMREAD_EXIT
        test_name "VMWRITE with its bit 1 leaves"
        guest_at guest_writes
        check_exit VMWRITE_EXIT
        clear_bit READS, FIELD
        test_name "VMREAD with its bit 0 does not"
        mov dword [guest_ecx], 0
        guest_at guest_reads
        check_exit 18
        test_name "it reads the shadow VMCS"
        check_equal [guest_ecx], 0x5adc0de
        test_name "VMREAD succeeds"
        mov eax, [guest_edx]
        and eax, ARITHMETIC
        mov dword [expected], 0
        call compare
        test_name "VMWRITE has bits of its own"
        guest_at guest_writes
        check_exit VMWRITE_EXIT
        clear_bit WRITES, FIELD
        test_name "VMWRITE with its bit 0 does not leave"
        mov dword [guest_ecx], 0x1234567
        guest_at guest_writes
        check_exit 18
        test_name "the guest reads what it wrote"
        mov dword [guest_ecx], 0
        guest_at guest_reads
        check_exit 18
        check_equal [guest_ecx], 0x1234567
        test_name "VMREAD to memory"
        guest_at guest_reads_memory
        check_exit 18
        check_equal [PLAYGROUND], 0x1234567
        test_name "the VMCS of the guest itself is as it was"
        check_masked GUEST_EFLAGS, ~ARITHMETIC, 2
        test_name "the host finds it in the shadow VMCS"
        vmclear [other_pointer]
        vmptrld [other_pointer]
        mov eax, FIELD
        vmread ecx, eax
        vmclear [other_pointer]
        vmptrld [vmcs_pointer]
        mov eax, ecx
        mov dword [expected], 0x1234567
        call compare

        test_name "a field that there is not leaves if its bit is 1"
        mov dword [guest_eax], NO_FIELD
        guest_at guest_reads
        check_exit VMREAD_EXIT
        test_name "with bit 0 VMREAD fails in the guest"
        clear_bit READS, NO_FIELD
        guest_at guest_reads
        check_exit 18
        test_name "with an error number"
        mov eax, [guest_edx]
        and eax, ARITHMETIC
        mov dword [expected], 0x40
        call compare
        test_name "bits 31:15 of the encoding make it leave, whatever the bitmap says"
        mov dword [guest_eax], 0x8000 + FIELD
        guest_at guest_reads
        check_exit VMREAD_EXIT
        test_name "bit 31"
        mov dword [guest_eax], 0x80000000 + FIELD
        guest_at guest_writes
        check_exit VMWRITE_EXIT
        mov dword [guest_eax], FIELD

        test_name "in ring 3 VMREAD with its bit 0 raises #GP"
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        set EXCEPTION_BITMAP, 1 << 13
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        guest_at guest_reads
        check_exit 0
        test_name "in ring 3 VMREAD with its bit 1 leaves"
        set GUEST_EFLAGS, 2
        mov dword [guest_eax], GUEST_EIP
        guest_at guest_reads
        check_exit VMREAD_EXIT
        set GUEST_SELECTOR + 2, KERNEL_CODE
        set GUEST_SELECTOR + 4, KERNEL_DATA
        set GUEST_RIGHTS + 2, 0xc09b
        set GUEST_RIGHTS + 4, 0xc093
        set EXCEPTION_BITMAP, 0
        mov dword [guest_eax], FIELD

        test_name "other VMX instructions leave as ever"
        guest_at guest_pointer
        check_exit 22

        test_name "without a link pointer VMREAD fails in the guest"
        set VMCS_LINK_POINTER, -1
        set VMCS_LINK_POINTER + 1, -1
        guest_at guest_reads
        check_exit 18
        test_name "without an error number"
        mov eax, [guest_edx]
        and eax, ARITHMETIC
        mov dword [expected], 1
        call compare
        test_name "VMWRITE too"
        guest_at guest_writes
        check_exit 18
        mov eax, [guest_edx]
        and eax, ARITHMETIC
        mov dword [expected], 1
        call compare

        test_name "the VMCS that is linked must be a shadow VMCS"
        set VMCS_LINK_POINTER, OTHER_VMCS
        set VMCS_LINK_POINTER + 1, 0
        vmclear [other_pointer]
        and dword [OTHER_VMCS], ~SHADOW
        call entry_fails_late
        test_name "qualification 4"
        check_field EXIT_QUALIFICATION, LINK_FAILURE
        test_name "of this revision"
        xor dword [OTHER_VMCS], SHADOW + 1
        call entry_fails_late
        xor dword [OTHER_VMCS], 1
        test_name "its address must be aligned"
        set VMCS_LINK_POINTER, OTHER_VMCS + 8
        call entry_fails_late
        test_name "and not be that of the current VMCS"
        set VMCS_LINK_POINTER, VMCS
        call entry_fails_late
        set VMCS_LINK_POINTER, OTHER_VMCS
        test_name "without the control it must not be a shadow VMCS"
        turn_off PROC_CONTROLS_2, PROC2_SHADOWING
        call entry_fails_late
        test_name "but may be an ordinary one"
        and dword [OTHER_VMCS], ~SHADOW
        guest_at guest_reads
        check_exit VMREAD_EXIT
        or dword [OTHER_VMCS], SHADOW
        turn_on PROC_CONTROLS_2, PROC2_SHADOWING

        test_name "the VMREAD bitmap must be aligned"
        set READ_BITMAP, READS + 4
        check_refused 7
        set READ_BITMAP, READS
        test_name "and not be too wide"
        set READ_BITMAP + 1, 0x80000000
        check_refused 7
        set READ_BITMAP + 1, 0
        test_name "the VMWRITE bitmap must be aligned"
        set WRITE_BITMAP, WRITES + 4
        check_refused 7
        set WRITE_BITMAP, WRITES
        test_name "and not be too wide either"
        set WRITE_BITMAP + 1, 0x80000000
        check_refused 7
        set WRITE_BITMAP + 1, 0
        test_name "after all that it enters"
        guest_at guest_reads
        check_exit 18
        vmclear [vmcs_pointer]
        vmptrld [vmcs_pointer]
        ret

entry_fails_late:
        check_exit ENTRY_FAILURE + 33
        ret

guest_reads:
        vmread ecx, eax
        pushfd
        pop edx
        vmcall
guest_reads_memory:
        vmread [PLAYGROUND], eax
        vmcall
guest_writes:
        vmwrite eax, ecx
        pushfd
        pop edx
        vmcall
guest_pointer:
        vmptrst [PLAYGROUND]
        vmcall
