; virtual-interrupts: virtual-interrupt delivery: requests, priorities, EOI, self-IPI; the same by the MSRs of an x2APIC.
; Manual: Vol. 3, "Evaluation and Delivery of Virtual Interrupts"; "PPR Virtualization"; "EOI Virtualization"; "Self-IPI Virtualization";
; "Virtualizing MSR-Based APIC Accesses".

%define SUBJECT "virtual-interrupts"
%include "suite.inc"
%include "guest-events.inc"

ACTIVITY        equ 0x4826
PIN_INTERRUPTS  equ 1
PROC_TPR_SHADOW equ 1 << 21
PROC_MSR_BITMAPS equ 1 << 28
PROC2_ACCESSES  equ 1 << 0
PROC2_X2APIC    equ 1 << 4
PROC2_REGISTERS equ 1 << 8
PROC2_DELIVERY  equ 1 << 9
STATUS          equ 0x0810              ; RVI 7:0, SVI 15:8
VIRTUAL_APIC    equ 0x2012
APIC_ACCESS     equ 0x2014
EOI_EXITS       equ 0x201c              ; four of 64 bits
ACCESS_PAGE     equ 0x220000
VIRTUAL         equ 0x221000
TPR             equ 0x80
PPR             equ 0xa0
EOI             equ 0xb0
ISR             equ 0x100
IRR             equ 0x200
ICR             equ 0x300
VIRTUALIZED_EOI equ 45
WINDOW          equ 7
FLAGS           equ 2
IF              equ 0x200
LOW             equ 0x20                ; vectors: two of the handlers that report
HIGH            equ 0x21
%define REQUEST(vector) (VIRTUAL + IRR + ((vector) >> 5) * 16)
%define SERVICE(vector) (VIRTUAL + ISR + ((vector) >> 5) * 16)

%macro quiet 0                          ; nothing requested, nothing in service
        mov dword [REQUEST(LOW)], 0
        mov dword [SERVICE(LOW)], 0
        mov dword [VIRTUAL + TPR], 0
        mov dword [VIRTUAL + PPR], 0
        set STATUS, 0
%endmacro

subject:
        needs_secondary PROC2_DELIVERY + PROC2_ACCESSES, "SKIP no virtual-interrupt delivery"
        mov edi, ACCESS_PAGE
        mov ecx, 2 * PAGE / 4
        xor eax, eax
        rep stosd
        call make_guest_idt
        turn_on PIN_CONTROLS, PIN_INTERRUPTS
        turn_on PROC_CONTROLS, PROC_SECONDARY + PROC_TPR_SHADOW
        turn_on PROC_CONTROLS_2, PROC2_DELIVERY + PROC2_ACCESSES
        set APIC_ACCESS, ACCESS_PAGE
        set APIC_ACCESS + 1, 0
        set VIRTUAL_APIC, VIRTUAL
        set VIRTUAL_APIC + 1, 0
        set 0x401c, 0
        mov esi, EOI_EXITS
.bitmap:
        xor ecx, ecx
        vmwrite esi, ecx
        inc esi
        cmp esi, EOI_EXITS + 8
        jb .bitmap

        test_name "a request that is pending at the entry is delivered"
        quiet
        mov dword [REQUEST(LOW)], 1 << (LOW & 31)
        set STATUS, LOW
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_nops
        check_exit 18
        check_equal [guest_eax], LOW
        test_name "before the first instruction"
        check_equal [guest_ebx], guest_nops
        test_name "it is requested no more"
        check_equal [REQUEST(LOW)], 0
        test_name "it is in service"
        check_equal [SERVICE(LOW)], 1 << (LOW & 31)
        test_name "RVI and SVI"
        check_field STATUS, LOW << 8
        test_name "PPR is the class of the vector"
        check_equal [VIRTUAL + PPR], LOW & 0xf0
        test_name "the highest request comes first, the other stays"
        quiet
        mov dword [REQUEST(LOW)], (1 << (LOW & 31)) + (1 << (HIGH & 31))
        set STATUS, HIGH
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_nops
        check_exit 18
        check_equal [guest_eax], HIGH
        test_name "RVI is the other one then"
        check_field STATUS, (HIGH << 8) + LOW
        test_name "with IF = 0 nothing is delivered"
        quiet
        set STATUS, LOW
        set GUEST_EFLAGS, FLAGS
        guest_at guest_nops
        check_exit 18
        check_field STATUS, LOW
        test_name "STI lets it in behind the next instruction"
        mov dword [REQUEST(LOW)], 1 << (LOW & 31)
        set GUEST_EFLAGS, FLAGS
        guest_at guest_sti
        check_exit 18
        check_equal [guest_ebx], guest_sti.after
        test_name "the TPR keeps its class out"
        quiet
        mov dword [VIRTUAL + TPR], LOW & 0xf0
        set STATUS, LOW
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_nops
        check_exit 18
        check_field STATUS, LOW
        test_name "PPR was made at the entry"
        check_equal [VIRTUAL + PPR], LOW & 0xf0
        test_name "a write of the TPR lets it in"
        mov dword [REQUEST(LOW)], 1 << (LOW & 31)
        mov dword [guest_eax], 0
        mov dword [guest_ebx], ACCESS_PAGE + TPR
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_writes
        check_exit 18
        check_equal [guest_ebx], guest_writes.after
        test_name "what is in service keeps its class out"
        quiet
        mov dword [SERVICE(LOW)], 1 << (LOW & 31)
        set STATUS, (LOW << 8) + HIGH
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_nops
        check_exit 18
        check_field STATUS, (LOW << 8) + HIGH

; ---- EOI ----

        test_name "an EOI ends the service, and lets the next one in"
        mov dword [REQUEST(HIGH)], 1 << (HIGH & 31)
        mov dword [guest_eax], 0
        mov dword [guest_ebx], ACCESS_PAGE + EOI
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_writes
        check_exit 18
        check_equal [guest_eax], HIGH
        test_name "which is in service alone"
        check_equal [SERVICE(LOW)], 1 << (HIGH & 31)
        test_name "an EOI of a vector in the EOI-exit bitmap leaves"
        quiet
        mov dword [SERVICE(LOW)], 1 << (LOW & 31)
        set STATUS, LOW << 8
        set EOI_EXITS + (LOW >> 6) * 2 + ((LOW >> 5) & 1), 1 << (LOW & 31)
        mov dword [guest_eax], 0
        mov dword [guest_ebx], ACCESS_PAGE + EOI
        guest_at guest_writes
        check_exit VIRTUALIZED_EOI
        test_name "with the vector"
        check_field EXIT_QUALIFICATION, LOW
        test_name "behind the instruction"
        check_field GUEST_EIP, guest_writes.after
        test_name "the service has ended"
        check_equal [SERVICE(LOW)], 0
        test_name "also in the status"
        check_field STATUS, 0
        set EOI_EXITS + (LOW >> 6) * 2 + ((LOW >> 5) & 1), 0

; ---- IPI to oneself ----

        test_name "an IPI to oneself is delivered"
        quiet
        mov dword [guest_eax], 0x40000 + LOW
        mov dword [guest_ebx], ACCESS_PAGE + ICR
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_writes
        check_exit 18
        check_equal [guest_eax], LOW
        test_name "with IF = 0 it stays requested"
        quiet
        mov dword [guest_eax], 0x40000 + LOW
        mov dword [guest_ebx], ACCESS_PAGE + ICR
        set GUEST_EFLAGS, FLAGS
        guest_at guest_writes
        check_exit 18
        check_field STATUS, LOW
        test_name "in the request register, too"
        check_equal [REQUEST(LOW)], 1 << (LOW & 31)
        test_name "an IPI to another processor leaves behind its instruction"
        quiet
        mov dword [guest_eax], LOW
        guest_at guest_writes
        check_exit 56
        check_field EXIT_QUALIFICATION, ICR
        test_name "so does one with a vector below 16"
        mov dword [guest_eax], 0x40000 + 15
        mov dword [guest_ebx], ACCESS_PAGE + ICR
        guest_at guest_writes
        check_exit 56

        test_name "with interrupt-window exiting the window leaves, and nothing is delivered"
        quiet
        mov dword [REQUEST(LOW)], 1 << (LOW & 31)
        set STATUS, LOW
        turn_on PROC_CONTROLS, PROC_INTERRUPT_WINDOW
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_nops
        check_exit WINDOW
        check_field STATUS, LOW
        turn_off PROC_CONTROLS, PROC_INTERRUPT_WINDOW
        test_name "delivery needs external-interrupt exiting"
        turn_off PIN_CONTROLS, PIN_INTERRUPTS
        check_refused 7
        turn_on PIN_CONTROLS, PIN_INTERRUPTS
        test_name "delivery needs the TPR shadow"
        turn_off PROC_CONTROLS, PROC_TPR_SHADOW
        check_refused 7
        turn_on PROC_CONTROLS, PROC_TPR_SHADOW

; ---- by MSR ----

        mov eax, PROC2_X2APIC
        call allowed_secondary
        jnz .halted
        test_name "x2APIC mode and virtualization of accesses exclude each other"
        turn_on PROC_CONTROLS, PROC_MSR_BITMAPS
        set 0x2004, MSR_BITMAP
        turn_on PROC_CONTROLS_2, PROC2_X2APIC
        check_refused 7
        turn_off PROC_CONTROLS_2, PROC2_ACCESSES
        test_name "RDMSR of the TPR"
        quiet
        set GUEST_EFLAGS, FLAGS
        mov dword [VIRTUAL + TPR], 0x34
        mov dword [guest_ecx], 0x808
        guest_at guest_reads_msr
        check_exit 18
        check_equal [guest_eax], 0x34
        test_name "WRMSR of the TPR lets in what it kept out"
        mov dword [REQUEST(LOW)], 1 << (LOW & 31)
        set STATUS, LOW
        set GUEST_EFLAGS, FLAGS + IF
        mov dword [guest_eax], 0
        mov dword [guest_edx], 0
        guest_at guest_writes_msr
        check_exit 18
        check_equal [guest_ebx], guest_writes_msr.after
        test_name "WRMSR of the EOI register"
        mov dword [guest_ecx], 0x80b
        mov dword [guest_eax], 0
        mov dword [guest_edx], 0
        guest_at guest_writes_msr
        check_exit 18
        check_field STATUS, 0
        test_name "WRMSR of the self-IPI register"
        quiet
        set GUEST_EFLAGS, FLAGS + IF
        mov dword [guest_ecx], 0x83f
        mov dword [guest_eax], HIGH
        mov dword [guest_edx], 0
        guest_at guest_writes_msr
        check_exit 18
        check_equal [guest_eax], HIGH
        test_name "a reserved bit raises #GP"
        quiet
        set EXCEPTION_BITMAP, 1 << 13
        mov dword [guest_ecx], 0x808
        mov dword [guest_eax], 0x100
        mov dword [guest_edx], 0
        guest_at guest_writes_msr
        check_exit 0
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS
        test_name "the MSR bitmap comes first"
        mov byte [MSR_BITMAP + 0x808 / 8], 1 << (0x808 & 7)
        mov dword [guest_ecx], 0x808
        guest_at guest_reads_msr
        check_exit 31
        mov byte [MSR_BITMAP + 0x808 / 8], 0
        mov eax, PROC2_REGISTERS
        call allowed_secondary
        jnz .halted
        test_name "with register virtualization any register can be read"
        turn_on PROC_CONTROLS_2, PROC2_REGISTERS
        mov dword [VIRTUAL + 0x20], 0x11223344
        mov dword [guest_ecx], 0x802
        guest_at guest_reads_msr
        check_exit 18
        check_equal [guest_eax], 0x11223344

.halted:
        test_name "a request wakes a guest that is entered in the HLT state"
        quiet
        mov dword [REQUEST(LOW)], 1 << (LOW & 31)
        set STATUS, LOW
        set GUEST_EFLAGS, FLAGS + IF
        set ACTIVITY, 1
        guest_at guest_nops
        check_exit 18
        check_equal [guest_eax], LOW
        ret

guest_nops:
        nop
        nop
        vmcall
guest_sti:
        sti
        nop
.after: nop
        vmcall
guest_writes:
        mov [ebx], eax
.after: nop
        vmcall
guest_reads_msr:
        rdmsr
        vmcall
guest_writes_msr:
        wrmsr
.after: nop
        vmcall
