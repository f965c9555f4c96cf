; nmi: NMI exiting, virtual NMIs, the NMI window, blocking by NMI and its end by IRET.
; Manual: Vol. 3, "Guest Non-Register State" (blocking by NMI); "Changes to Instruction Behavior in VMX Non-Root Operation" (IRET); "NMI-Window
; Exiting"; "Information for VM Exits Due to Vectored Events" (NMI unblocking due to IRET).
;
; Most of it needs no source of NMIs: they are injected. Real ones are sent by the local APIC, where there is one.

%define SUBJECT "nmi"
%include "suite.inc"
%include "ept.inc"

INTERRUPTIBILITY equ 0x4824
ACTIVITY        equ 0x4826
PIN_NMI         equ 1 << 3
PIN_VIRTUAL     equ 1 << 5
PROC_WINDOW     equ 1 << 22
BY_MOV_SS       equ 2
BY_NMI          equ 8
UNBLOCKING      equ 1 << 12             ; in interruption information and in qualifications for EPT
NMI             equ VALID + 0x202
WINDOW          equ 8
FLAGS           equ 2
VICTIM          equ PLAYGROUND
ABSENT          equ 0x800000
MSR_APIC_BASE   equ 0x1b
APIC_ID         equ 0xfee00020
APIC_SPURIOUS   equ 0xfee000f0
ICR_LOW         equ 0xfee00300
ICR_HIGH        equ 0xfee00310
SEND_NMI        equ 0x4400              ; delivery mode NMI, physical destination, assert

%macro inject 0
        set ENTRY_INTERRUPTION, NMI
%endmacro
%macro check_blocking 1
        check_masked INTERRUPTIBILITY, BY_NMI, %1
%endmacro

subject:
        mov eax, guest_handler
        mov [GUEST_IDT + 2 * 8], ax
        mov word [GUEST_IDT + 2 * 8 + 2], KERNEL_CODE
        mov word [GUEST_IDT + 2 * 8 + 4], GATE_KERNEL
        shr eax, 16
        mov [GUEST_IDT + 2 * 8 + 6], ax
        set GUEST_IDTR_BASE, GUEST_IDT

; ---- without NMI exiting ----

        test_name "an injected NMI is delivered"
        mov dword [guest_edx], 0
        guest_at guest_nops
        inject
        check_exit 18
        check_equal [guest_eax], 0x4e4d49
        test_name "and blocks NMIs"
        check_blocking BY_NMI
        test_name "IRET ends the blocking"
        set INTERRUPTIBILITY, BY_NMI
        guest_at guest_irets
        check_exit 18
        check_blocking 0
        test_name "an NMI must not be injected with blocking by MOV SS"
        set INTERRUPTIBILITY, BY_MOV_SS
        guest_at guest_nops
        inject
        check_exit ENTRY_FAILURE + 33
        set ENTRY_INTERRUPTION, 0
        set INTERRUPTIBILITY, 0
        test_name "an injected NMI is delivered without its bit in the exception bitmap"
        set EXCEPTION_BITMAP, 1 << 2
        guest_at guest_nops
        inject
        check_exit 18
        set EXCEPTION_BITMAP, 0
        test_name "a fault on its way is recorded with the NMI"
        set EXCEPTION_BITMAP, 1 << 14
        and dword [DIRECTORY + 4 * (ABSENT >> 22)], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        set INTERRUPTIBILITY, 0
        set GUEST_EIP, guest_nops
        set GUEST_ESP, ABSENT + 0x100
        inject
        check_exit 0
        check_field IDT_VECTORING, NMI
        set EXCEPTION_BITMAP, 0
        set INTERRUPTIBILITY, 0
        set GUEST_EFLAGS, FLAGS

; ---- NMI exiting ----

        needs MSR_VMX_PINBASED_CTLS, PIN_NMI, "SKIP no NMI exiting"
        turn_on PIN_CONTROLS, PIN_NMI
        test_name "with NMI exiting an injected NMI is delivered all the same"
        guest_at guest_nops
        inject
        check_exit 18
        check_equal [guest_eax], 0x4e4d49
        test_name "IRET does not end the blocking"
        set INTERRUPTIBILITY, BY_NMI
        guest_at guest_irets
        check_exit 18
        check_blocking BY_NMI
        set INTERRUPTIBILITY, 0

; ---- virtual NMIs ----

        needs MSR_VMX_PINBASED_CTLS, PIN_VIRTUAL, "SKIP no virtual NMIs"
        turn_on PIN_CONTROLS, PIN_VIRTUAL
        test_name "an injected NMI blocks virtual NMIs"
        guest_at guest_nops
        inject
        check_exit 18
        check_blocking BY_NMI
        test_name "while they are blocked none can be injected"
        guest_at guest_nops
        inject
        check_exit ENTRY_FAILURE + 33
        set ENTRY_INTERRUPTION, 0
        test_name "IRET ends the blocking of virtual NMIs"
        guest_at guest_irets
        check_exit 18
        check_blocking 0

        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_WINDOW
        call allowed
        jnz .no_window
        turn_on PROC_CONTROLS, PROC_WINDOW
        test_name "without blocking the NMI window is open at once"
        guest_at guest_nops
        check_exit WINDOW
        check_field GUEST_EIP, guest_nops
        test_name "whatever IF is"
        set GUEST_EFLAGS, FLAGS + 0x200
        guest_at guest_nops
        check_exit WINDOW
        set GUEST_EFLAGS, FLAGS
        test_name "with blocking by NMI it is closed"
        set INTERRUPTIBILITY, BY_NMI
        guest_at guest_nops
        check_exit 18
        test_name "IRET opens it"
        guest_at guest_irets
        check_exit WINDOW
        check_field GUEST_EIP, guest_irets.there
        test_name "blocking by MOV SS keeps it closed for one instruction"
        set INTERRUPTIBILITY, BY_MOV_SS
        guest_at guest_nops
        check_exit WINDOW
        check_field GUEST_EIP, guest_nops + 1
        set INTERRUPTIBILITY, 0
        test_name "an injected NMI closes it until the IRET of its handler"
        mov dword [guest_edx], 1
        guest_at guest_nops
        inject
        check_exit WINDOW
        check_field GUEST_EIP, guest_nops
        mov dword [guest_edx], 0
        test_name "NMI-window exiting needs virtual NMIs"
        turn_off PIN_CONTROLS, PIN_VIRTUAL
        check_refused 7
        turn_on PIN_CONTROLS, PIN_VIRTUAL
        turn_off PROC_CONTROLS, PROC_WINDOW
.no_window:
        test_name "virtual NMIs need NMI exiting"
        turn_off PIN_CONTROLS, PIN_NMI
        check_refused 7
        turn_on PIN_CONTROLS, PIN_NMI

; ---- IRET that faults ----

        test_name "an IRET that faults has ended the blocking"
        set EXCEPTION_BITMAP, 1 << 14
        set INTERRUPTIBILITY, BY_NMI
        set GUEST_EIP, guest_iret
        set GUEST_ESP, ABSENT + 0x100
        check_exit 0
        check_blocking 0
        test_name "the interruption information says so in bit 12"
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + 14 + UNBLOCKING
        test_name "a fault of another instruction does not"
        set GUEST_EFLAGS, FLAGS
        set INTERRUPTIBILITY, BY_NMI
        set GUEST_EIP, guest_pop
        set GUEST_ESP, ABSENT + 0x100
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + 14
        test_name "and leaves the blocking as it was"
        check_blocking BY_NMI
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS
        set INTERRUPTIBILITY, 0
        mov eax, PROC2_EPT
        call allowed_secondary
        jnz .no_ept
        call ept_on
        test_name "an EPT violation of IRET has bit 12 in its qualification"
        mov dword [EPT_ENTRY(VICTIM)], 0
        call forget
        set INTERRUPTIBILITY, BY_NMI
        set GUEST_EIP, guest_iret
        set GUEST_ESP, VICTIM + 0x100
        check_exit 48
        check_masked EXIT_QUALIFICATION, UNBLOCKING, UNBLOCKING
        test_name "and the blocking has ended"
        check_blocking 0
        test_name "that of another instruction has not"
        set GUEST_EFLAGS, FLAGS
        set INTERRUPTIBILITY, BY_NMI
        set GUEST_EIP, guest_pop
        check_exit 48
        check_masked EXIT_QUALIFICATION, UNBLOCKING, 0
        set GUEST_EFLAGS, FLAGS
        set INTERRUPTIBILITY, 0
        turn_off PROC_CONTROLS_2, PROC2_EPT
.no_ept:

; ---- real NMIs ----

        mov eax, 1
        cpuid
        test edx, 1 << 9
        jnz .apic
        line "SKIP no local APIC that sends NMIs"
        jmp .windows
.apic:  mov ecx, MSR_APIC_BASE
        rdmsr
        test ah, 8
        jz .windows
        or dword [APIC_SPURIOUS], 0x100
        mov eax, [APIC_ID]
        mov [ICR_HIGH], eax
        call unblock
        test_name "a real NMI leaves"
        guest_at guest_sends
        check_exit 0
        check_field EXIT_INTERRUPTION, NMI
        test_name "behind the instruction that sent it"
        check_field GUEST_EIP, guest_sends.after
        test_name "and is not the guest's: its virtual NMIs are not blocked"
        check_blocking 0
        test_name "the host has NMIs blocked until its IRET"
        mov dword [caught], NO_EXCEPTION
        mov dword [landing], .behind
        mov dword [ICR_LOW], SEND_NMI
        nop
        nop
        check_equal [caught], NO_EXCEPTION
        pushfd
        push cs
        push dword .iret
        iret
.iret:  nop
        nop
.behind:
        mov dword [landing], 0
        check_equal [caught], 2
        test_name "blocking of virtual NMIs does not keep it out"
        set INTERRUPTIBILITY, BY_NMI
        guest_at guest_sends
        check_exit 0
        check_blocking BY_NMI
        call unblock
        test_name "without NMI exiting it is the guest's"
        turn_off PIN_CONTROLS, PIN_VIRTUAL
        turn_off PIN_CONTROLS, PIN_NMI
        set INTERRUPTIBILITY, 0
        guest_at guest_sends
        check_exit 18
        check_equal [guest_eax], 0x4e4d49
        check_blocking BY_NMI
        call unblock
        set INTERRUPTIBILITY, 0
        turn_on PIN_CONTROLS, PIN_NMI
        turn_on PIN_CONTROLS, PIN_VIRTUAL

.windows:
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_WINDOW
        call allowed
        jnz .end
        test_name "an open NMI window ends the HLT state"
        turn_on PROC_CONTROLS, PROC_WINDOW
        set ACTIVITY, 1
        guest_at guest_nops
        check_exit WINDOW
        check_field ACTIVITY, 1
.end:   ret

; The host ends its blocking of NMIs.
unblock:
        pushfd
        push cs
        push dword .there
        iret
.there: ret

guest_nops:
        nop
        nop
        vmcall
; EDX = 0: reports; else it returns.
guest_handler:
        test edx, edx
        jnz guest_iret
        mov eax, 0x4e4d49
        vmcall
guest_irets:
        push dword FLAGS
        push cs
        push dword .there
        iret
.there: nop
        vmcall
guest_iret:
        iret
guest_pop:
        pop eax
        vmcall
guest_sends:
        mov dword [ICR_LOW], SEND_NMI
.after: nop
        nop
        vmcall
