; apic-access: the TPR shadow, the APIC-access page, APIC-register virtualization.
; Manual: Vol. 3, "Virtualizing Memory-Mapped APIC Accesses"; "APIC-Write Emulation"; "TPR Virtualization"; "Exit Qualification for APIC-Access
; VM Exits from Linear Accesses and Guest-Physical Accesses".

%define SUBJECT "apic-access"
%include "suite.inc"

PROC_TPR_SHADOW equ 1 << 21
PROC2_ACCESSES  equ 1 << 0
PROC2_REGISTERS equ 1 << 8
VIRTUAL_APIC    equ 0x2012
APIC_ACCESS     equ 0x2014
THRESHOLD       equ 0x401c
ACCESS_PAGE     equ 0x220000
VIRTUAL         equ 0x221000
BELOW_THRESHOLD equ 43
ACCESS          equ 44
APIC_WRITE      equ 56
ON_WRITE        equ 1 << 12             ; kind of access, in the qualification
ON_FETCH        equ 2 << 12
ON_DELIVERY     equ 3 << 12
ID              equ 0x20
VERSION         equ 0x30
TPR             equ 0x80
LVT_TIMER       equ 0x320

%macro reads_at 1
        mov dword [guest_ebx], ACCESS_PAGE + (%1)
        guest_at guest_reads
%endmacro
%macro writes_at 2
        mov dword [guest_ebx], ACCESS_PAGE + (%1)
        mov dword [guest_eax], %2
        guest_at guest_writes
%endmacro

subject:
        needs_secondary PROC2_ACCESSES, "SKIP no virtualization of APIC accesses"
        mov edi, ACCESS_PAGE
        mov ecx, 2 * PAGE / 4
        xor eax, eax
        rep stosd
        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_ACCESSES
        set APIC_ACCESS, ACCESS_PAGE
        set APIC_ACCESS + 1, 0

; ---- without the TPR shadow ----

        test_name "a read of the page leaves"
        reads_at TPR
        check_exit ACCESS
        check_masked EXIT_QUALIFICATION, 0xffff, TPR
        test_name "RIP names the instruction"
        check_field GUEST_EIP, guest_reads
        test_name "a write"
        set GUEST_EFLAGS, 2
        writes_at ID, 1
        check_exit ACCESS
        check_masked EXIT_QUALIFICATION, 0xffff, ID + ON_WRITE
        test_name "its offset to the byte"
        set GUEST_EFLAGS, 2
        reads_at 0x123
        check_exit ACCESS
        check_masked EXIT_QUALIFICATION, 0xffff, 0x123
        test_name "during the delivery of an event"
        set GUEST_EFLAGS, 2
        set GUEST_EIP, guest_int3
        set GUEST_ESP, ACCESS_PAGE + 0x100
        set GUEST_IDTR_BASE, IDT
        check_exit ACCESS
        check_masked EXIT_QUALIFICATION, 0xf000, ON_DELIVERY
        test_name "the event is recorded"
        check_field IDT_VECTORING, VALID + 0x603
        set GUEST_EFLAGS, 2
        test_name "the page itself was not touched"
        mov edi, ACCESS_PAGE
        mov ecx, PAGE / 4
        xor eax, eax
        repe scasd
        check e
        test_name "the next page is ordinary memory"
        mov dword [VIRTUAL], 0x12345678
        reads_at PAGE
        check_exit 18
        check_equal [guest_eax], 0x12345678
        mov dword [VIRTUAL], 0
        test_name "the address of the page must be aligned"
        set APIC_ACCESS, ACCESS_PAGE + 0x80
        check_refused 7
        test_name "and not be too wide"
        set APIC_ACCESS, ACCESS_PAGE
        set APIC_ACCESS + 1, 0x80000000
        check_refused 7
        set APIC_ACCESS + 1, 0

; ---- with it ----

        needs MSR_VMX_PROCBASED_CTLS, PROC_TPR_SHADOW, "SKIP no TPR shadow"
        turn_on PROC_CONTROLS, PROC_TPR_SHADOW
        set VIRTUAL_APIC, VIRTUAL
        set VIRTUAL_APIC + 1, 0
        set THRESHOLD, 0
        test_name "the TPR is read from the virtual-APIC page"
        mov dword [VIRTUAL + TPR], 0x53
        reads_at TPR
        check_exit 18
        check_equal [guest_eax], 0x53
        test_name "by its byte, too"
        mov dword [guest_ebx], ACCESS_PAGE + TPR
        mov dword [guest_eax], 0
        guest_at guest_reads_byte
        check_exit 18
        check_equal [guest_eax], 0x53
        test_name "and written there"
        writes_at TPR, 0x72
        check_exit 18
        check_equal [VIRTUAL + TPR], 0x72
        test_name "upper bytes of it become 0"
        writes_at TPR, 0x12345672
        check_exit 18
        check_equal [VIRTUAL + TPR], 0x72
        test_name "other registers leave"
        reads_at ID
        check_exit ACCESS
        set GUEST_EFLAGS, 2
        test_name "other registers leave: a write"
        writes_at LVT_TIMER, 1
        check_exit ACCESS
        set GUEST_EFLAGS, 2
        test_name "what lies between two registers leaves"
        reads_at TPR + 4
        check_exit ACCESS
        set GUEST_EFLAGS, 2
        test_name "an access across the end of the register leaves"
        reads_at TPR + 2
        check_exit ACCESS
        set GUEST_EFLAGS, 2

        test_name "a write below the threshold leaves"
        set THRESHOLD, 5
        mov dword [VIRTUAL + TPR], 0x72
        writes_at TPR, 0x4f
        check_exit BELOW_THRESHOLD
        test_name "behind the instruction"
        check_field GUEST_EIP, guest_writes.after
        test_name "which was executed"
        check_equal [VIRTUAL + TPR], 0x4f
        test_name "a write to the threshold does not"
        mov dword [VIRTUAL + TPR], 0x72
        writes_at TPR, 0x50
        check_exit 18
        test_name "below it already: the entry leaves at once"
        mov dword [VIRTUAL + TPR], 0x4f
        reads_at TPR
        check_exit BELOW_THRESHOLD
        check_field GUEST_EIP, guest_reads
        mov dword [VIRTUAL + TPR], 0x72
        test_name "without virtualization of accesses the entry refuses that"
        turn_off PROC_CONTROLS_2, PROC2_ACCESSES
        mov dword [VIRTUAL + TPR], 0x4f
        check_refused 7
        test_name "and enters at the threshold"
        mov dword [VIRTUAL + TPR], 0x50
        guest_at guest_halts
        check_exit 12
        turn_on PROC_CONTROLS_2, PROC2_ACCESSES
        test_name "bits 31:4 of the threshold must be 0"
        set THRESHOLD, 0x10
        check_refused 7
        set THRESHOLD, 0
        test_name "the virtual-APIC page must be aligned"
        set VIRTUAL_APIC, VIRTUAL + 4
        check_refused 7
        test_name "and not be too wide either"
        set VIRTUAL_APIC, VIRTUAL
        set VIRTUAL_APIC + 1, 0x80000000
        check_refused 7
        set VIRTUAL_APIC + 1, 0

; ---- APIC-register virtualization ----

        needs_secondary PROC2_REGISTERS, "SKIP no virtualization of APIC registers"
        turn_on PROC_CONTROLS_2, PROC2_REGISTERS
        test_name "all registers are read from the virtual-APIC page"
        mov dword [VIRTUAL + ID], 0x01020304
        reads_at ID
        check_exit 18
        check_equal [guest_eax], 0x01020304
        test_name "the last one of the request register"
        mov dword [VIRTUAL + 0x270], 0x0a0b0c0d
        reads_at 0x270
        check_exit 18
        check_equal [guest_eax], 0x0a0b0c0d
        test_name "an offset without a register leaves"
        reads_at 0x40
        check_exit ACCESS
        set GUEST_EFLAGS, 2
        test_name "a write is done, and leaves behind its instruction"
        writes_at LVT_TIMER, 0x10031
        check_exit APIC_WRITE
        check_field GUEST_EIP, guest_writes.after
        test_name "its offset"
        check_field EXIT_QUALIFICATION, LVT_TIMER
        test_name "it was done"
        check_equal [VIRTUAL + LVT_TIMER], 0x10031
        test_name "a register that cannot be written leaves before its instruction"
        writes_at VERSION, 0
        check_exit ACCESS
        check_masked EXIT_QUALIFICATION, 0xffff, VERSION + ON_WRITE
        set GUEST_EFLAGS, 2
        test_name "the upper half of the ICR is written without an exit"
        writes_at 0x310, 0x12345678
        check_exit 18
        test_name "register virtualization needs the TPR shadow"
        turn_off PROC_CONTROLS, PROC_TPR_SHADOW
        check_refused 7
        turn_on PROC_CONTROLS, PROC_TPR_SHADOW
        test_name "after all that it enters"
        reads_at TPR
        check_exit 18

        test_name "a fetch from the page leaves"
        set GUEST_EFLAGS, 2
        mov dword [guest_ebx], ACCESS_PAGE + 0x40
        guest_at guest_jumps
        check_exit ACCESS
        check_masked EXIT_QUALIFICATION, 0xffff, 0x40 + ON_FETCH
        ret

guest_reads:
        mov eax, [ebx]
        vmcall
guest_reads_byte:
        mov al, [ebx]
        vmcall
guest_writes:
        mov [ebx], eax
.after: vmcall
guest_jumps:
        jmp ebx
guest_int3:
        int3
        vmcall
