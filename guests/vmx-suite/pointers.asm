; pointers: VMCLEAR, VMPTRLD and VMPTRST, and which VMCS is current.
; Manual: Vol. 3, VMCLEAR, VMPTRLD, VMPTRST; "Software Use of Virtual-Machine Control Structures".

%define SUBJECT "pointers"
%include "suite.inc"

MARK            equ 0x12345678

subject:
        test_name "VMPTRST names the current VMCS"
        vmptrst [pointer]
        check_equal [pointer], VMCS
        test_name "high half of the pointer"
        check_equal [pointer + 4], 0

        test_name "VMCLEAR of an address that is not aligned fails with 2"
        vmclear [odd_pointer]
        check_fails 2
        test_name "VMCLEAR of an address that is too wide fails with 2"
        vmclear [wide_pointer]
        check_fails 2
        test_name "VMCLEAR of the VMXON region fails with 3"
        vmclear [vmxon_pointer]
        check_fails 3
        test_name "VMPTRLD of an address that is not aligned fails with 9"
        vmptrld [odd_pointer]
        check_fails 9
        test_name "VMPTRLD of an address that is too wide fails with 9"
        vmptrld [wide_pointer]
        check_fails 9
        test_name "VMPTRLD of the VMXON region fails with 10"
        vmptrld [vmxon_pointer]
        check_fails 10
        test_name "VMPTRLD with a wrong revision fails with 11"
        xor dword [OTHER_VMCS], 1
        vmptrld [other_pointer]
        check_fails 11
        xor dword [OTHER_VMCS], 1
        test_name "the current VMCS is still current"
        vmptrst [pointer]
        check_equal [pointer], VMCS

        test_name "each VMCS keeps its own values"
        set GUEST_ESP, MARK
        vmclear [other_pointer]
        vmptrld [other_pointer]
        set GUEST_ESP, MARK + 1
        vmptrld [vmcs_pointer]
        check_field GUEST_ESP, MARK
        test_name "and the other one too"
        vmptrld [other_pointer]
        check_field GUEST_ESP, MARK + 1

        test_name "VMCLEAR of a VMCS that is not current leaves the current one"
        vmclear [vmcs_pointer]
        vmptrst [pointer]
        check_equal [pointer], OTHER_VMCS
        test_name "VMCLEAR writes values back: they are there after VMPTRLD"
        vmptrld [vmcs_pointer]
        check_field GUEST_ESP, MARK
        test_name "VMCLEAR of the current VMCS leaves none"
        vmclear [vmcs_pointer]
        vmptrst [pointer]
        check_equal [pointer], -1
        test_name "errors without a current VMCS"
        vmclear [odd_pointer]
        check_invalid
        test_name "VMPTRLD without a current VMCS"
        vmptrld [odd_pointer]
        check_invalid
        test_name "VMCLEAR twice"
        vmclear [vmcs_pointer]
        check_succeeds
        test_name "VMPTRLD"
        vmptrld [vmcs_pointer]
        check_succeeds
        test_name "VMPTRLD of what is current"
        vmptrld [vmcs_pointer]
        check_succeeds

        test_name "a page fault comes before the address is looked at"
        and dword [DIRECTORY + 4 * 2], ~PRESENT ; 80_0000h … BF_FFFFh
        mov eax, cr3
        mov cr3, eax
        check_raises 14, vmptrld [0x800000]
        test_name "the same with VMPTRST"
        check_raises 14, vmptrst [0x800000]
        test_name "beyond the limit of its segment: #GP"
        mov eax, 0x40                   ; no descriptor there: load a null selector
        xor eax, eax
        mov fs, eax
        check_raises 13, vmptrld [fs:0]
        mov eax, KERNEL_DATA
        mov fs, eax
        ret

        align 8
odd_pointer:    dd VMCS + 8, 0
wide_pointer:   dd VMCS, 0x80000000
pointer:        dd 0, 0
