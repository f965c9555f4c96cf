; msr-areas: lists of MSRs that VM entries load, VM exits store and load.
; Manual: Vol. 3, "Loading MSRs" (VM entries), "Saving MSRs", "Loading MSRs" (VM exits).

%define SUBJECT "msr-areas"
%include "suite.inc"

EXIT_STORE      equ 0x2006
EXIT_LOAD       equ 0x2008
ENTRY_LOAD      equ 0x200a
EXIT_STORE_COUNT equ 0x400e
EXIT_LOAD_COUNT equ 0x4010
ENTRY_LOAD_COUNT equ 0x4014
SYSENTER_CS     equ 0x174               ; loaded from the guest-state area, but lists come later
FS_BASE         equ 0xc0000100
TSC_MSR         equ 0x10
LOADED          equ MSR_AREA
STORED          equ MSR_AREA + 0x400
HOSTS           equ MSR_AREA + 0x800

subject:
        mov eax, 1
        cpuid
        test edx, 1 << 11
        jnz .sysenter
        line "SKIP no SYSENTER registers"
        ret
.sysenter:
        set ENTRY_LOAD, LOADED
        set EXIT_STORE, STORED
        set EXIT_LOAD, HOSTS
        mov dword [LOADED], SYSENTER_CS
        mov dword [LOADED + 8], 0x1234
        mov dword [STORED], SYSENTER_CS
        mov dword [HOSTS], SYSENTER_CS
        mov dword [HOSTS + 8], 0x5678

        test_name "an entry loads what its list says"
        set ENTRY_LOAD_COUNT, 1
        guest_at guest_reads
        check_exit 31
        test_name "the exit finds it in the guest-state area"
        check_field 0x482a, 0x1234
        test_name "an exit stores what its list says"
        set EXIT_STORE_COUNT, 1
        call enter
        check_equal [STORED + 8], 0x1234
        test_name "an exit loads what its list says"
        set EXIT_LOAD_COUNT, 1
        call enter
        mov ecx, SYSENTER_CS
        rdmsr
        mov dword [expected], 0x5678
        call compare
        set EXIT_LOAD_COUNT, 0
        set EXIT_STORE_COUNT, 0
        test_name "the time-stamp counter can be stored"
        mov dword [STORED], TSC_MSR
        mov dword [STORED + 8], 0
        mov dword [STORED + 12], 0
        set EXIT_STORE_COUNT, 1
        call enter
        mov eax, [STORED + 8]
        or eax, [STORED + 12]
        check nz
        set EXIT_STORE_COUNT, 0

        test_name "an MSR that cannot be loaded: the entry fails late"
        mov dword [LOADED], FS_BASE
        call enter
        check_field EXIT_REASON, ENTRY_FAILURE + 34
        test_name "the qualification is the number of the entry: 1"
        check_field EXIT_QUALIFICATION, 1
        test_name "the second one"
        mov dword [LOADED], SYSENTER_CS
        mov dword [LOADED + 16], 0x40000000     ; no such MSR
        set ENTRY_LOAD_COUNT, 2
        call enter
        check_field EXIT_QUALIFICATION, 2
        test_name "reserved bits of an entry"
        mov dword [LOADED + 16], SYSENTER_CS
        mov dword [LOADED + 20], 1
        call enter
        check_field EXIT_REASON, ENTRY_FAILURE + 34
        test_name "also its number"
        check_field EXIT_QUALIFICATION, 2
        mov dword [LOADED + 20], 0
        test_name "an x2APIC register"
        mov dword [LOADED + 16], 0x808
        call enter
        check_field EXIT_REASON, ENTRY_FAILURE + 34
        test_name "a value that the MSR does not take"
        mov dword [LOADED + 16], MSR_FEATURE_CONTROL
        mov dword [LOADED + 24], 0
        call enter
        check_field EXIT_REASON, ENTRY_FAILURE + 34
        test_name "after that the entry works again"
        set ENTRY_LOAD_COUNT, 1
        call enter
        check_field EXIT_REASON, 31
        ret

guest_reads:
        rdmsr
