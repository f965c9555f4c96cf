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
PAT             equ 0x277               ; types of memory; no control is on that loads it otherwise
FIRST_PAT       equ 0x00070406
SECOND_PAT      equ 0x00010406
THIRD_PAT       equ 0x00040106
SYSENTER_CS     equ 0x174
GUEST_SYSENTER_CS equ 0x482a
FS_BASE         equ 0xc0000100
TSC_MSR         equ 0x10
LOADED          equ MSR_AREA
STORED          equ MSR_AREA + 0x400
HOSTS           equ MSR_AREA + 0x800

subject:
        mov eax, 1
        cpuid
        test edx, 1 << 16
        jnz .pat
        line "SKIP no IA32_PAT"
        ret
.pat:   mov ecx, PAT
        mov eax, FIRST_PAT
        xor edx, edx
        wrmsr
        set ENTRY_LOAD, LOADED
        set EXIT_STORE, STORED
        set EXIT_LOAD, HOSTS
        mov edi, MSR_AREA
        mov ecx, PAGE / 4
        xor eax, eax
        rep stosd
        mov dword [LOADED], PAT
        mov dword [LOADED + 8], SECOND_PAT
        mov dword [LOADED + 12], 0x01010101
        mov dword [STORED], PAT
        mov dword [HOSTS], PAT
        mov dword [HOSTS + 8], THIRD_PAT

        test_name "empty lists do nothing"
        mov dword [guest_ecx], PAT
        guest_at guest_reads
        check_exit 31
        call host_pat
        check_equal eax, FIRST_PAT
        test_name "an entry loads what its list says"
        set ENTRY_LOAD_COUNT, 1
        check_exit 31
        call host_pat
        check_equal eax, SECOND_PAT
        test_name "both halves of it"
        check_equal edx, 0x01010101
        test_name "an exit stores what its list says"
        set EXIT_STORE_COUNT, 1
        call enter
        check_equal [STORED + 8], SECOND_PAT
        test_name "both halves are stored"
        check_equal [STORED + 12], 0x01010101
        test_name "an exit loads what its list says"
        set EXIT_LOAD_COUNT, 1
        call enter
        call host_pat
        check_equal eax, THIRD_PAT
        test_name "after it has stored"
        check_equal [STORED + 8], SECOND_PAT
        test_name "lists are worked off in order: the last one wins"
        mov dword [LOADED + 16], PAT
        mov dword [LOADED + 24], FIRST_PAT
        set ENTRY_LOAD_COUNT, 2
        call enter
        check_equal [STORED + 8], FIRST_PAT
        set ENTRY_LOAD_COUNT, 1
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
        mov dword [LOADED], PAT
        mov dword [LOADED + 16], 0x40000000     ; no such MSR
        set ENTRY_LOAD_COUNT, 2
        call enter
        check_field EXIT_QUALIFICATION, 2
        test_name "reserved bits of an entry"
        mov dword [LOADED + 16], PAT
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
        test_name "a value that IA32_PAT does not take"
        mov dword [LOADED + 16], PAT
        mov dword [LOADED + 24], 2
        call enter
        check_field EXIT_REASON, ENTRY_FAILURE + 34
        test_name "what came before it in the list has been loaded"
        mov dword [LOADED + 8], THIRD_PAT
        set EXIT_LOAD_COUNT, 0
        call enter
        call host_pat
        check_equal eax, THIRD_PAT
        mov eax, 1
        cpuid
        test edx, 1 << 11
        jz .no_sysenter
        test_name "a list comes behind the guest-state area: IA32_SYSENTER_CS"
        mov dword [LOADED], SYSENTER_CS
        mov dword [LOADED + 8], 0x1234
        mov dword [LOADED + 12], 0
        set GUEST_SYSENTER_CS, 0x5678
        set ENTRY_LOAD_COUNT, 1
        call enter
        check_field EXIT_REASON, 31
        test_name "and the exit saves what the list has loaded"
        check_field GUEST_SYSENTER_CS, 0x1234
        mov dword [LOADED], PAT
        mov dword [LOADED + 8], FIRST_PAT
.no_sysenter:
        test_name "after that the entry works again"
        set ENTRY_LOAD_COUNT, 1
        call enter
        check_field EXIT_REASON, 31
        ret

; EDX:EAX := the processor's IA32_PAT. Changes ECX.
host_pat:
        mov ecx, PAT
        rdmsr
        ret

guest_reads:
        rdmsr
