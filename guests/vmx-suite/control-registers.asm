; control-registers: guest/host masks, read shadows, CR3 targets, and what the qualification says.
; Manual: Vol. 3, "Changes to Instruction Behavior in VMX Non-Root Operation", "Exit Qualification for Control-Register Accesses".

%define SUBJECT "control-registers"
%include "suite.inc"

CR0_MP          equ 1 << 1
CR0_EM          equ 1 << 2
CR0_TS          equ 1 << 3
CR0_AM          equ 1 << 18

subject:
        get GUEST_CR0
        mov [real], eax
        test_name "a bit that the host owns is read from the shadow: 1 for 0"
        set CR0_MASK, CR0_TS
        set CR0_SHADOW, CR0_TS
        guest_at read_cr0
        check_exit 18
        mov eax, [guest_eax]
        and eax, CR0_TS
        mov dword [expected], CR0_TS
        call compare
        test_name "SMSW reads it too"
        guest_at read_msw
        call enter
        mov eax, [guest_eax]
        and eax, CR0_TS
        mov dword [expected], CR0_TS
        call compare
        test_name "and 0 for 1"
        set CR0_SHADOW, 0
        mov ecx, [real]
        or ecx, CR0_TS
        mov eax, GUEST_CR0
        vmwrite eax, ecx
        guest_at read_cr0
        call enter
        mov eax, [guest_eax]
        and eax, CR0_TS
        mov dword [expected], 0
        call compare

        test_name "a write that agrees with the shadow does not leave"
        mov ecx, [real]
        mov [guest_edx], ecx
        guest_at write_cr0
        check_exit 18
        test_name "and does not change the bit that the host owns"
        get GUEST_CR0
        and eax, CR0_TS
        mov dword [expected], CR0_TS
        call compare
        test_name "a write that disagrees leaves"
        or dword [guest_edx], CR0_TS
        guest_at write_cr0
        check_exit 28
        test_name "MOV to CR0 from EDX"
        check_field EXIT_QUALIFICATION, 0x200
        test_name "a bit that the guest owns can be written"
        mov ecx, [real]
        or ecx, CR0_AM
        mov [guest_edx], ecx
        guest_at write_cr0
        check_exit 18
        test_name "and has been"
        get GUEST_CR0
        and eax, CR0_AM
        mov dword [expected], CR0_AM
        call compare

        test_name "CLTS with TS owned and 0 in the shadow: nothing happens"
        guest_at clear_ts
        check_exit 18
        test_name "TS is still 1"
        get GUEST_CR0
        and eax, CR0_TS
        mov dword [expected], CR0_TS
        call compare
        test_name "CLTS with 1 in the shadow leaves"
        set CR0_SHADOW, CR0_TS
        guest_at clear_ts
        check_exit 28
        test_name "CLTS"
        check_field EXIT_QUALIFICATION, 0x20
        test_name "CLTS with TS not owned clears it"
        set CR0_MASK, 0
        guest_at clear_ts
        check_exit 18
        test_name "TS is 0"
        get GUEST_CR0
        and eax, CR0_TS
        mov dword [expected], 0
        call compare

        test_name "LMSW that agrees does not leave"
        set CR0_MASK, CR0_EM
        set CR0_SHADOW, 0
        mov dword [guest_edx], CR0_PE + CR0_MP
        guest_at load_msw
        check_exit 18
        test_name "LMSW wrote MP"
        get GUEST_CR0
        and eax, CR0_MP
        mov dword [expected], CR0_MP
        call compare
        test_name "LMSW that disagrees leaves"
        mov dword [guest_edx], CR0_PE + CR0_EM
        guest_at load_msw
        check_exit 28
        test_name "LMSW: source in the upper half"
        check_field EXIT_QUALIFICATION, ((CR0_PE + CR0_EM) << 16) + 0x30
        test_name "LMSW cannot clear PE, and does not leave for it"
        set CR0_MASK, CR0_PE
        set CR0_SHADOW, CR0_PE
        mov dword [guest_edx], 0
        guest_at load_msw
        check_exit 18
        mov ecx, [real]
        mov eax, GUEST_CR0
        vmwrite eax, ecx
        set CR0_MASK, 0

        test_name "without a mask: a value that VMX operation forbids raises #GP in the guest"
        set EXCEPTION_BITMAP, 1 << 13
        mov ecx, [real]
        and ecx, ~CR0_NE
        mov [guest_edx], ecx
        guest_at write_cr0
        check_exit 0
        test_name "CR4.VMXE is 1 for the guest as well"
        mov ecx, cr4
        and ecx, ~CR4_VMXE
        mov [guest_edx], ecx
        guest_at write_cr4
        check_exit 0
        test_name "unless the mask hides it"
        set CR4_MASK, CR4_VMXE
        set CR4_SHADOW, 0
        guest_at write_cr4
        check_exit 18
        test_name "a CR4 write that disagrees leaves"
        mov ecx, cr4
        mov [guest_edx], ecx
        guest_at write_cr4
        check_exit 28
        test_name "MOV to CR4 from EDX"
        check_field EXIT_QUALIFICATION, 0x204

        test_name "CR3 targets: a load of one does not leave"
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_CR3_LOAD
        call allowed
        jnz .end
        mov ecx, 0x485
        rdmsr
        shr eax, 16
        and eax, 0x1ff
        jz .end
        get PROC_CONTROLS
        or eax, PROC_CR3_LOAD
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        set 0x6008, DIRECTORY
        set CR3_TARGET_COUNT, 1
        mov dword [guest_edx], DIRECTORY
        guest_at write_cr3
        check_exit 18
        test_name "a load of anything else leaves"
        mov dword [guest_edx], DIRECTORY + 8
        guest_at write_cr3
        check_exit 28
.end:   ret

        align 4
real:   dd 0
read_cr0:
        mov eax, cr0
        vmcall
read_msw:
        smsw eax
        vmcall
write_cr0:
        mov cr0, edx
        vmcall
write_cr3:
        mov cr3, edx
        vmcall
write_cr4:
        mov cr4, edx
        vmcall
clear_ts:
        clts
        vmcall
load_msw:
        lmsw dx
        vmcall
