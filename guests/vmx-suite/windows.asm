; windows: interrupt windows, blocking by STI and MOV SS, the preemption timer.
; Manual: Vol. 3, "Interrupt-Window Exiting and Virtual-Interrupt Delivery", "Guest Non-Register State", "VMX-Preemption Timer".

%define SUBJECT "windows"
%include "suite.inc"

INTERRUPTIBILITY equ 0x4824
TIMER           equ 0x482e
PENDING_DEBUG   equ 0x6822
EXIT_SAVE_TIMER equ 1 << 22
BY_STI          equ 1
BY_MOV_SS       equ 2

subject:
        get PROC_CONTROLS
        or eax, PROC_INTERRUPT_WINDOW
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        test_name "with IF = 1 the window is open at once"
        set GUEST_EFLAGS, 0x202
        guest_at guest_nops
        check_exit 7
        test_name "before the first instruction"
        check_field GUEST_EIP, guest_nops
        test_name "with IF = 0 it is closed"
        set GUEST_EFLAGS, 2
        guest_at guest_nops
        check_exit 18
        test_name "STI opens it one instruction later"
        guest_at guest_sti
        check_exit 7
        test_name "behind the instruction that follows STI"
        check_field GUEST_EIP, guest_sti.after
        test_name "POPF opens it at once"
        set GUEST_EFLAGS, 2
        guest_at guest_popf
        check_exit 7
        test_name "behind POPF"
        check_field GUEST_EIP, guest_popf.after
        test_name "MOV SS keeps it closed for one instruction"
        set GUEST_EFLAGS, 0x202
        set INTERRUPTIBILITY, BY_MOV_SS
        guest_at guest_nops
        check_exit 7
        test_name "behind the first instruction"
        check_field GUEST_EIP, guest_nops + 1
        test_name "blocking by STI from the VMCS, too"
        set INTERRUPTIBILITY, BY_STI
        guest_at guest_nops
        check_exit 7
        test_name "behind the first instruction again"
        check_field GUEST_EIP, guest_nops + 1
        test_name "the exit tells that nothing is blocked any more"
        check_field INTERRUPTIBILITY, 0
        test_name "an event that is injected goes first"
        set GUEST_IDTR_BASE, GUEST_IDT
        mov eax, guest_handler
        mov [GUEST_IDT + 0x20 * 8], ax
        mov word [GUEST_IDT + 0x20 * 8 + 2], KERNEL_CODE
        mov word [GUEST_IDT + 0x20 * 8 + 4], GATE_KERNEL
        shr eax, 16
        mov [GUEST_IDT + 0x20 * 8 + 6], ax
        set ENTRY_INTERRUPTION, VALID + 0x20
        guest_at guest_nops
        check_exit 18
        test_name "its handler ran, with interrupts off"
        check_equal [guest_eax], 0x48414e44

        get PROC_CONTROLS
        and eax, ~PROC_INTERRUPT_WINDOW
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        set GUEST_EFLAGS, 2
        test_name "VMCALL behind STI: the exit records the blocking"
        guest_at guest_sti_vmcall
        check_exit 18
        test_name "blocking by STI"
        check_field INTERRUPTIBILITY, BY_STI
        set INTERRUPTIBILITY, 0
        set GUEST_EFLAGS, 2
        test_name "VMCALL behind MOV SS"
        guest_at guest_mov_ss_vmcall
        check_exit 18
        test_name "blocking by MOV SS"
        check_field INTERRUPTIBILITY, BY_MOV_SS
        set INTERRUPTIBILITY, 0

; ---- preemption timer ----

        mov ecx, MSR_VMX_PINBASED_CTLS
        mov eax, 1 << 6
        call allowed
        jz .timer
        ret
.timer: get PIN_CONTROLS
        or eax, 1 << 6
        mov ecx, eax
        mov eax, PIN_CONTROLS
        vmwrite eax, ecx
        test_name "a timer of 0 ends before the first instruction"
        set TIMER, 0
        guest_at guest_nops
        check_exit 52
        test_name "RIP"
        check_field GUEST_EIP, guest_nops
        test_name "a timer ends a guest that spins"
        set TIMER, 100
        guest_at guest_spins
        check_exit 52
        test_name "a timer of 0 comes after the event that is injected"
        set TIMER, 0
        set ENTRY_INTERRUPTION, VALID + 0x20
        set GUEST_EFLAGS, 0x202
        guest_at guest_nops
        check_exit 52
        test_name "the handler is next"
        check_field GUEST_EIP, guest_handler
        set GUEST_EFLAGS, 2
        test_name "a long timer does not matter"
        set TIMER, 0x7fffffff
        guest_at guest_nops
        check_exit 18
        test_name "the exit leaves the field as it is"
        check_field TIMER, 0x7fffffff
        mov ecx, MSR_VMX_EXIT_CTLS
        mov eax, EXIT_SAVE_TIMER
        call allowed
        jnz .end
        turn_on EXIT_CONTROLS, EXIT_SAVE_TIMER
        test_name "unless it is to save the timer"
        guest_at guest_loops
        check_exit 18
        get TIMER
        cmp eax, 0x7fffffff
        check b
        test_name "which has not gone far"
        get TIMER
        cmp eax, 0x70000000
        check a
        test_name "an expired timer is saved as 0"
        set TIMER, 100
        guest_at guest_spins
        check_exit 52
        check_field TIMER, 0
        turn_off EXIT_CONTROLS, EXIT_SAVE_TIMER
        test_name "a single step is not lost when the timer ends"
        set TIMER, 0
        set GUEST_EFLAGS, 0x102
        set PENDING_DEBUG, 1 << 14
        set EXCEPTION_BITMAP, 1 << 1
        guest_at guest_nops
        check_exit 0
        set PENDING_DEBUG, 0
        set GUEST_EFLAGS, 2
        set EXCEPTION_BITMAP, 0
.end:   ret

guest_nops:
        nop
        nop
        vmcall
guest_sti:
        sti
        nop
.after: nop
        vmcall
guest_popf:
        push dword 0x202
        popfd
.after: nop
        vmcall
guest_sti_vmcall:
        sti
        vmcall
guest_mov_ss_vmcall:
        mov ax, ss
        mov ss, ax
        vmcall
guest_handler:
        mov eax, 0x48414e44
        vmcall
guest_loops:
        mov ecx, 100000
.next:  loop .next
        vmcall
guest_spins:
        jmp guest_spins
