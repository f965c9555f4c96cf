; monitor-trap: the monitor trap flag: an exit behind each instruction, each iteration, each delivery of an event.
; Manual: Vol. 3, "Monitor Trap Flag"; "Injection of Pending MTF VM Exits".

%define SUBJECT "monitor-trap"
%include "suite.inc"
%include "guest-events.inc"

INTERRUPTIBILITY equ 0x4824
ACTIVITY        equ 0x4826
PENDING         equ 0x6822
TIMER           equ 0x482e
PROC_TRAP       equ 1 << 27
PIN_TIMER       equ 1 << 6
MTF             equ 37
BY_STI          equ 1
BY_MOV_SS       equ 2
TF              equ 1 << 8
BS              equ 1 << 14
FLAGS           equ 2

%macro lands 2                          ; guest code, where it is behind one instruction
        guest_at %1
        check_exit MTF
        check_field GUEST_EIP, %2
%endmacro

subject:
        needs MSR_VMX_PROCBASED_CTLS, PROC_TRAP, "SKIP no monitor trap flag"
        call make_guest_idt
        turn_on PROC_CONTROLS, PROC_TRAP

        test_name "behind one instruction"
        lands guest_nops, guest_nops + 1
        test_name "and behind the next"
        check_exit MTF
        check_field GUEST_EIP, guest_nops + 2
        test_name "no interruption information"
        check_masked EXIT_INTERRUPTION, VALID, 0
        test_name "its qualification"
        check_field EXIT_QUALIFICATION, 0
        test_name "a jump: at its target"
        lands guest_jumps, guest_jumps.there
        test_name "an instruction that leaves does so"
        guest_at guest_cpuid
        check_exit 10
        test_name "with no trap behind it"
        call skip_instruction
        check_exit MTF
        check_field GUEST_EIP, guest_cpuid.after + 1
        test_name "each iteration of a string instruction"
        mov dword [guest_ecx], 3
        lands guest_moves, guest_moves
        test_name "one iteration is done"
        check_equal [guest_ecx], 2
        test_name "the next one"
        check_exit MTF
        check_equal [guest_ecx], 1
        test_name "the last one: behind the instruction"
        check_exit MTF
        check_field GUEST_EIP, guest_moves.after
        test_name "a string instruction without iterations"
        mov dword [guest_ecx], 0
        lands guest_moves, guest_moves.after

; ---- events ----

        test_name "INT n: at the handler"
        lands guest_int, guest_stubs + 16 * 0x21
        test_name "a fault: at the handler"
        lands guest_ud, guest_stubs + 16 * 6
        test_name "an injected interrupt: at the handler, before its first instruction"
        set GUEST_EFLAGS, FLAGS + 0x200
        set ENTRY_INTERRUPTION, VALID + 0x20
        lands guest_nops, guest_stubs + 16 * 0x20
        set GUEST_EFLAGS, FLAGS
        test_name "an injected exception, too"
        set ENTRY_INTERRUPTION, VALID + 0x300 + 6
        lands guest_nops, guest_stubs + 16 * 6
        test_name "an injected software interrupt, too"
        set 0x401a, 2
        set ENTRY_INTERRUPTION, VALID + 0x400 + 0x21
        lands guest_nops, guest_stubs + 16 * 0x21
        test_name "an exit for the event that is met comes first"
        set EXCEPTION_BITMAP, 1 << 6
        guest_at guest_ud
        check_exit 0
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS

; ---- what it is not blocked by ----

        test_name "behind STI: blocking by STI is saved"
        lands guest_sti, guest_sti.after
        check_field INTERRUPTIBILITY, BY_STI
        set INTERRUPTIBILITY, 0
        set GUEST_EFLAGS, FLAGS
        test_name "behind MOV SS: blocking by MOV SS is saved"
        mov dword [guest_eax], KERNEL_DATA
        lands guest_mov_ss, guest_mov_ss.after
        check_field INTERRUPTIBILITY, BY_MOV_SS
        set INTERRUPTIBILITY, 0
        test_name "it comes before a single step, which stays pending"
        set GUEST_EFLAGS, FLAGS + TF
        lands guest_nops, guest_nops + 1
        check_field PENDING, BS
        test_name "the single step is delivered behind the next entry, at the handler"
        check_exit MTF
        check_field GUEST_EIP, guest_stubs + 16
        set GUEST_EFLAGS, FLAGS
        set PENDING, 0
        test_name "behind HLT: the guest is halted"
        turn_off PROC_CONTROLS, PROC_HLT
        lands guest_hlt, guest_hlt.after
        check_field ACTIVITY, 1
        set ACTIVITY, 0
        turn_on PROC_CONTROLS, PROC_HLT
        test_name "it comes before a preemption timer that has ended"
        mov ecx, MSR_VMX_PINBASED_CTLS
        mov eax, PIN_TIMER
        call allowed
        jnz .no_timer
        turn_on PIN_CONTROLS, PIN_TIMER
        set TIMER, 0
        set ENTRY_INTERRUPTION, VALID + 0x300 + 6
        lands guest_nops, guest_stubs + 16 * 6
        turn_off PIN_CONTROLS, PIN_TIMER
.no_timer:

; ---- injected ----

        test_name "without it nothing traps"
        turn_off PROC_CONTROLS, PROC_TRAP
        guest_at guest_nops
        check_exit 18
        test_name "one that is injected leaves before the first instruction"
        set ENTRY_INTERRUPTION, VALID + 0x700
        guest_at guest_nops
        check_exit MTF
        check_field GUEST_EIP, guest_nops
        test_name "also with blocking by MOV SS"
        set INTERRUPTIBILITY, BY_MOV_SS
        set ENTRY_INTERRUPTION, VALID + 0x700
        guest_at guest_nops
        check_exit MTF
        check_field INTERRUPTIBILITY, BY_MOV_SS
        set INTERRUPTIBILITY, 0
        test_name "of type 7 there is vector 0 only"
        set ENTRY_INTERRUPTION, VALID + 0x701
        check_refused 7
        set ENTRY_INTERRUPTION, 0
        test_name "after all that it enters"
        guest_at guest_nops
        check_exit 18
        ret

guest_nops:
        nop
        nop
        vmcall
guest_jumps:
        jmp .there
        nop
.there: vmcall
guest_cpuid:
        cpuid
.after: nop
        vmcall
guest_moves:
        rep lodsb
.after: vmcall
guest_int:
        int 0x21
        vmcall
guest_ud:
        ud2
guest_sti:
        sti
.after: nop
        vmcall
guest_mov_ss:
        mov ss, ax
.after: nop
        vmcall
guest_hlt:
        hlt
.after: vmcall
