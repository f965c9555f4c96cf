; halted: guests that are entered in the HLT state, and what wakes them.
; Manual: Vol. 3, "Activity State"; "Interrupt-Window Exiting and Virtual-Interrupt Delivery"; "VMX-Preemption Timer".

%define SUBJECT "halted"
%include "suite.inc"

ACTIVITY        equ 0x4826
TIMER           equ 0x482e
HALTED          equ 1

subject:
        mov eax, guest_handler
        mov [GUEST_IDT + 0x20 * 8], ax
        mov word [GUEST_IDT + 0x20 * 8 + 2], KERNEL_CODE
        mov word [GUEST_IDT + 0x20 * 8 + 4], GATE_KERNEL
        shr eax, 16
        mov [GUEST_IDT + 0x20 * 8 + 6], ax
        set GUEST_IDTR_BASE, GUEST_IDT
        test_name "an event that is injected wakes it"
        set GUEST_EFLAGS, 0x202
        set ACTIVITY, HALTED
        set ENTRY_INTERRUPTION, VALID + 0x20
        guest_at guest_goes_on
        check_exit 18
        test_name "the handler runs"
        check_equal [guest_eax], 0x48414e44
        test_name "the processor is active"
        check_field ACTIVITY, 0

        mov ecx, MSR_VMX_PINBASED_CTLS
        mov eax, 1 << 6
        call allowed
        jnz .window
        get PIN_CONTROLS
        push eax
        or eax, 1 << 6
        mov ecx, eax
        mov eax, PIN_CONTROLS
        vmwrite eax, ecx
        test_name "the preemption timer runs, and ends it"
        set TIMER, 100
        set ACTIVITY, HALTED
        set GUEST_EFLAGS, 2
        guest_at guest_goes_on
        check_exit 52
        test_name "it is still halted then"
        check_field ACTIVITY, HALTED
        test_name "no instruction was executed"
        check_field GUEST_EIP, guest_goes_on
        pop ecx
        mov eax, PIN_CONTROLS
        vmwrite eax, ecx

.window:
        get PROC_CONTROLS
        or eax, PROC_INTERRUPT_WINDOW
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        test_name "an open interrupt window ends it"
        set GUEST_EFLAGS, 0x202
        set ACTIVITY, HALTED
        guest_at guest_goes_on
        check_exit 7
        test_name "it is still halted then"
        check_field ACTIVITY, HALTED
        ret

guest_goes_on:
        vmcall
guest_handler:
        mov eax, 0x48414e44
        vmcall
