; invalidation: INVEPT and INVVPID: types, descriptors, errors.
; Manual: Vol. 3, INVEPT, INVVPID; "Operations that Invalidate Cached Mappings".

%define SUBJECT "invalidation"
%include "suite.inc"

PROC2_VPID      equ 1 << 5

subject:
        mov eax, PROC2_EPT
        call allowed_secondary
        jnz .absent
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov [capabilities], eax
        test eax, 1 << 20
        jnz .invept
.absent:
        line "SKIP no INVEPT"
        jmp vpid
.invept:
        test_name "INVEPT of all contexts"
        mov eax, 2
        invept eax, [nothing]
        check_succeeds
        test_name "INVEPT of one context"
        mov eax, 1
        invept eax, [context]
        check_succeeds
        test_name "INVEPT of type 0 fails with 28"
        mov eax, 0
        invept eax, [context]
        check_fails 28
        test_name "INVEPT of type 3 fails with 28"
        mov eax, 3
        invept eax, [context]
        check_fails 28
        test_name "INVEPT of type 8000_0001h fails with 28"
        mov eax, 0x80000001
        invept eax, [context]
        check_fails 28
        test_name "INVEPT of one context with an EPTP that no entry would accept fails with 28"
        mov eax, 1
        invept eax, [bad_context]
        check_fails 28
        test_name "INVEPT with its descriptor in a page that is not there raises #PF"
        and dword [DIRECTORY + 4 * 2], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        mov eax, 2
        check_raises 14, invept eax, [0x800000]

vpid:   mov eax, PROC2_VPID
        call allowed_secondary
        jnz .absent
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        test edx, 1
        jnz .instruction
.absent:
        line "SKIP no INVVPID"
        ret
.instruction:
        test_name "INVVPID of one address"
        mov eax, 0
        invvpid eax, [address]
        check_succeeds
        test_name "INVVPID of one VPID"
        mov eax, 1
        invvpid eax, [address]
        check_succeeds
        test_name "INVVPID of all"
        mov eax, 2
        invvpid eax, [nothing]
        check_succeeds
        test_name "INVVPID of one VPID but for globals"
        mov eax, 3
        invvpid eax, [address]
        check_succeeds
        test_name "type 4 fails with 28"
        mov eax, 4
        invvpid eax, [address]
        check_fails 28
        test_name "type -1 fails with 28"
        mov eax, -1
        invvpid eax, [address]
        check_fails 28
        test_name "VPID 0 fails with 28: one address"
        mov eax, 0
        invvpid eax, [nothing]
        check_fails 28
        test_name "VPID 0 fails with 28: one VPID"
        mov eax, 1
        invvpid eax, [nothing]
        check_fails 28
        test_name "VPID 0 fails with 28: but for globals"
        mov eax, 3
        invvpid eax, [nothing]
        check_fails 28
        test_name "bits 63:16 of the descriptor are reserved: bit 16"
        mov eax, 1
        invvpid eax, [reserved_low]
        check_fails 28
        test_name "bit 63"
        mov eax, 1
        invvpid eax, [reserved_high]
        check_fails 28
        test_name "INVVPID with its descriptor in a page that is not there raises #PF"
        and dword [DIRECTORY + 4 * 2], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        mov eax, 2
        check_raises 14, invvpid eax, [0x800000]
        test_name "beyond the limit of its segment: #GP"
        xor eax, eax
        mov fs, eax
        mov eax, 2
        check_raises 13, invvpid eax, [fs:0]
        mov eax, KERNEL_DATA
        mov fs, eax

        test_name "VPID 0 in the VMCS fails with 7"
        get PROC_CONTROLS
        or eax, PROC_SECONDARY
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        set PROC_CONTROLS_2, PROC2_VPID
        set 0, 0
        mov dword [entered], -1
        call enter
        mov dword [expected], 7
        call check_fail_valid
        test_name "VPID 1 enters"
        set 0, 1
        guest_at guest_halts
        check_exit 12
        ret

        align 16
capabilities:   dd 0
        align 16
nothing:        dd 0, 0, 0, 0
context:        dd EPT_LEVEL_4 + (3 << 3) + 6, 0, 0, 0
bad_context:    dd EPT_LEVEL_4 + (1 << 3) + 6, 0, 0, 0
address:        dd 1, 0, 0x1000, 0
reserved_low:   dd 0x10001, 0, 0, 0
reserved_high:  dd 1, 0x80000000, 0, 0
