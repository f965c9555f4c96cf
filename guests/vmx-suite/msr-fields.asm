; msr-fields: IA32_PAT, IA32_EFER and IA32_PERF_GLOBAL_CTRL in the VMCS: loaded by entries, saved and loaded by exits, what they refuse.
; Manual: Vol. 3, "Checks on Guest Control Registers, Debug Registers, and MSRs"; "Checks on Host Control Registers, MSRs, and SSP"; "Loading
; Guest Control Registers, Debug Registers, and MSRs"; "Saving Control Registers, Debug Registers, and MSRs".

%define SUBJECT "msr-fields"
%include "suite.inc"

PROC_MSR_BITMAPS equ 1 << 28
ENTRY_PERFORMANCE equ 1 << 13
ENTRY_PAT       equ 1 << 14
ENTRY_EFER      equ 1 << 15
EXIT_PERFORMANCE equ 1 << 12
EXIT_SAVE_PAT   equ 1 << 18
EXIT_PAT        equ 1 << 19
EXIT_SAVE_EFER  equ 1 << 20
EXIT_EFER       equ 1 << 21
GUEST_PAT       equ 0x2804
GUEST_EFER      equ 0x2806
GUEST_PERFORMANCE equ 0x2808
HOST_PAT        equ 0x2c00
HOST_EFER       equ 0x2c02
HOST_PERFORMANCE equ 0x2c04
PAT             equ 0x277
EFER            equ 0xc0000080
PERFORMANCE     equ 0x38f
NXE             equ 1 << 11
LMA             equ 1 << 10
PAT_RESET       equ 0x00070406

%macro set64 3                          ; field, upper and lower half. Changes EAX and ECX
        set %1, %3
        set %1 + 1, %2
%endmacro
%macro skip_without 3                   ; control word (capability register), bits, where to go on
        mov ecx, %1
        mov eax, %2
        call allowed
        jnz %3
%endmacro
%macro host_has 2                       ; the host reads this lower half in this MSR. Changes EAX, ECX, EDX
        mov ecx, %1
        rdmsr
        mov dword [expected], %2
        call compare
%endmacro
%macro guest_reads 1
        mov dword [guest_ecx], %1
        guest_at guest_rdmsr
        check_exit 18
%endmacro
%macro guest_writes 3                   ; MSR, upper and lower half
        mov dword [guest_ecx], %1
        mov dword [guest_edx], %2
        mov dword [guest_eax], %3
        guest_at guest_wrmsr
        check_exit 18
%endmacro

subject:
        needs MSR_VMX_PROCBASED_CTLS, PROC_MSR_BITMAPS, "SKIP no MSR bitmaps"
        turn_on PROC_CONTROLS, PROC_MSR_BITMAPS
        set 0x2004, MSR_BITMAP
        set 0x2005, 0

        skip_without MSR_VMX_ENTRY_CTLS, ENTRY_PAT, no_pat
        skip_without MSR_VMX_EXIT_CTLS, EXIT_SAVE_PAT + EXIT_PAT, no_pat
        test_name "PAT: without controls the guest has the host's"
        mov ecx, PAT
        mov eax, PAT_RESET
        mov edx, 0x01010101
        wrmsr
        guest_reads PAT
        check_equal [guest_edx], 0x01010101
        test_name "PAT: and leaves its own"
        guest_writes PAT, 0x04040404, PAT_RESET
        host_has PAT, PAT_RESET
        mov eax, edx
        mov dword [expected], 0x04040404
        call compare
        test_name "PAT: the entry loads it"
        turn_on ENTRY_CONTROLS, ENTRY_PAT
        set64 GUEST_PAT, 0x06060606, 0x01040506
        guest_reads PAT
        check_equal [guest_eax], 0x01040506
        test_name "PAT: its upper half"
        check_equal [guest_edx], 0x06060606
        test_name "PAT: the exit loads the host's"
        turn_on EXIT_CONTROLS, EXIT_PAT
        set64 HOST_PAT, 0x00070406, PAT_RESET
        guest_reads PAT
        host_has PAT, PAT_RESET
        test_name "PAT: the exit saves what the guest wrote"
        turn_on EXIT_CONTROLS, EXIT_SAVE_PAT
        guest_writes PAT, 0, 0x05050505
        check_field GUEST_PAT, 0x05050505
        test_name "PAT: without saving, the field stays"
        turn_off EXIT_CONTROLS, EXIT_SAVE_PAT
        guest_writes PAT, 0, 0x06060606
        check_field GUEST_PAT, 0x05050505
        test_name "PAT: type 2 is refused"
        set GUEST_PAT, 0x02050505
        check_exit ENTRY_FAILURE + 33
        test_name "PAT: type 3 is refused"
        set GUEST_PAT, 0x03
        check_exit ENTRY_FAILURE + 33
        test_name "PAT: type 8 is refused"
        set GUEST_PAT, 0
        set GUEST_PAT + 1, 0x08000000
        check_exit ENTRY_FAILURE + 33
        set GUEST_PAT + 1, 0
        test_name "PAT: for the host, too"
        set HOST_PAT, 2
        check_refused 8
        set HOST_PAT, PAT_RESET
        test_name "PAT: fields that are not loaded are not looked at"
        turn_off ENTRY_CONTROLS, ENTRY_PAT
        set GUEST_PAT, 2
        guest_reads PAT
        turn_off EXIT_CONTROLS, EXIT_PAT
no_pat:
        mov eax, 0x80000001
        cpuid
        test edx, 1 << 20
        jz no_efer
        skip_without MSR_VMX_ENTRY_CTLS, ENTRY_EFER, no_efer
        skip_without MSR_VMX_EXIT_CTLS, EXIT_SAVE_EFER + EXIT_EFER, no_efer
        test_name "EFER: the entry loads it"
        turn_on ENTRY_CONTROLS, ENTRY_EFER
        turn_on EXIT_CONTROLS, EXIT_EFER
        set64 HOST_EFER, 0, 0
        set64 GUEST_EFER, 0, NXE
        guest_reads EFER
        check_equal [guest_eax], NXE
        test_name "EFER: the exit loads the host's"
        host_has EFER, 0
        test_name "EFER: the exit saves what the guest wrote"
        turn_on EXIT_CONTROLS, EXIT_SAVE_EFER
        guest_writes EFER, 0, 0
        check_field GUEST_EFER, 0
        test_name "EFER: a reserved bit is refused"
        set GUEST_EFER, 2
        check_exit ENTRY_FAILURE + 33
        test_name "EFER: LMA without an IA-32e guest is refused"
        set GUEST_EFER, LMA
        check_exit ENTRY_FAILURE + 33
        set GUEST_EFER, 0
        test_name "EFER: its upper half is reserved"
        set GUEST_EFER + 1, 1
        check_exit ENTRY_FAILURE + 33
        set GUEST_EFER + 1, 0
        test_name "EFER: for the host, too"
        set HOST_EFER, LMA
        check_refused 8
        set HOST_EFER, 0
        turn_off ENTRY_CONTROLS, ENTRY_EFER
        turn_off EXIT_CONTROLS, EXIT_EFER + EXIT_SAVE_EFER
no_efer:
        mov eax, 0x0a
        cpuid
        cmp al, 2
        jb no_performance
        skip_without MSR_VMX_ENTRY_CTLS, ENTRY_PERFORMANCE, no_performance
        skip_without MSR_VMX_EXIT_CTLS, EXIT_PERFORMANCE, no_performance
        test_name "PERF_GLOBAL_CTRL: the entry loads it"
        turn_on ENTRY_CONTROLS, ENTRY_PERFORMANCE
        turn_on EXIT_CONTROLS, EXIT_PERFORMANCE
        set64 GUEST_PERFORMANCE, 0, 1
        set64 HOST_PERFORMANCE, 0, 2
        guest_reads PERFORMANCE
        check_equal [guest_eax], 1
        test_name "PERF_GLOBAL_CTRL: the exit loads the host's"
        host_has PERFORMANCE, 2
        test_name "PERF_GLOBAL_CTRL: a reserved bit is refused"
        set GUEST_PERFORMANCE + 1, 0x80000000
        check_exit ENTRY_FAILURE + 33
        set GUEST_PERFORMANCE + 1, 0
        test_name "PERF_GLOBAL_CTRL: for the host, too"
        set HOST_PERFORMANCE + 1, 0x80000000
        check_refused 8
        set HOST_PERFORMANCE + 1, 0
no_performance:
        test_name "after all that it enters"
        guest_reads 0x10
        ret

guest_rdmsr:
        rdmsr
        vmcall
guest_wrmsr:
        wrmsr
        vmcall
