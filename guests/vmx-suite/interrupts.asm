; interrupts: external interrupts: whose they are, when they leave the guest, acknowledged or not.
; Manual: Vol. 3, "External Interrupts" in "Other Causes of VM Exits"; "Information for VM Exits Due to Vectored Events"; "Activity State".
;
; The source is channel 0 of the timer, by the interrupt controllers: line 0, vector 32.

%define SUBJECT "interrupts"
%include "suite.inc"

INTERRUPTIBILITY equ 0x4824
ACTIVITY        equ 0x4826
PIN_INTERRUPTS  equ 1
EXIT_ACKNOWLEDGE equ 1 << 15
EXTERNAL        equ 1                   ; exit reason
TIMER_VECTOR    equ 0x20
BY_STI          equ 1
FLAGS           equ 2
IF              equ 0x200
PIC             equ 0x20
PIC_MASK        equ 0x21

subject:
        mov eax, guest_handler
        mov [GUEST_IDT + TIMER_VECTOR * 8], ax
        mov word [GUEST_IDT + TIMER_VECTOR * 8 + 2], KERNEL_CODE
        mov word [GUEST_IDT + TIMER_VECTOR * 8 + 4], GATE_KERNEL
        shr eax, 16
        mov [GUEST_IDT + TIMER_VECTOR * 8 + 6], ax
        set GUEST_IDTR_BASE, GUEST_IDT
        mov eax, host_handler
        mov edx, GATE_KERNEL
        mov ebx, TIMER_VECTOR
        call set_gate
        mov al, 0x11
        out 0x20, al
        mov al, TIMER_VECTOR
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xfe                    ; line 0 only
        out PIC_MASK, al

        test_name "without external-interrupt exiting it goes to the guest"
        call arm
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_waits
        check_exit 18
        check_equal [guest_eax], 0x48414e44
        call end_of_interrupt
        test_name "IF of the guest keeps it out"
        call arm
        call pend
        set GUEST_EFLAGS, FLAGS
        guest_at guest_nops
        check_exit 18
        test_name "and it is there still"
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_nops
        check_exit 18
        check_equal [guest_ebx], guest_nops
        call end_of_interrupt

        needs MSR_VMX_PINBASED_CTLS, PIN_INTERRUPTS, "SKIP no external-interrupt exiting"
        turn_on PIN_CONTROLS, PIN_INTERRUPTS
        test_name "with it, it leaves"
        call arm
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_waits
        check_exit EXTERNAL
        test_name "not acknowledged: no interruption information"
        check_masked EXIT_INTERRUPTION, VALID, 0
        test_name "RIP is between two instructions"
        get GUEST_EIP
        mov dword [expected], guest_waits
        call compare
        test_name "the host takes it as soon as it may"
        mov dword [taken], 0
        sti
        nop
        nop
        cli
        check_equal [taken], 1
        test_name "it leaves although IF of the guest is 0"
        call arm
        call pend
        set GUEST_EFLAGS, FLAGS
        guest_at guest_nops
        check_exit EXTERNAL
        check_field GUEST_EIP, guest_nops
        test_name "it leaves before a fault of the first instruction"
        set EXCEPTION_BITMAP, 1 << 6
        guest_at guest_ud
        check_exit EXTERNAL
        set EXCEPTION_BITMAP, 0
        test_name "an injected event comes first"
        set GUEST_EFLAGS, FLAGS + IF
        set ENTRY_INTERRUPTION, VALID + TIMER_VECTOR
        guest_at guest_nops
        check_exit EXTERNAL
        check_field GUEST_EIP, guest_handler
        test_name "it leaves from the HLT state"
        turn_off PROC_CONTROLS, PROC_HLT
        call take
        call arm
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_halts_then
        check_exit EXTERNAL
        check_field GUEST_EIP, guest_halts_then.after
        test_name "the guest is halted in the VMCS"
        check_field ACTIVITY, 1
        set ACTIVITY, 0
        call take
        turn_on PROC_CONTROLS, PROC_HLT

        mov ecx, MSR_VMX_EXIT_CTLS
        mov eax, EXIT_ACKNOWLEDGE
        call allowed
        jnz .not_acknowledged
        turn_on EXIT_CONTROLS, EXIT_ACKNOWLEDGE
        test_name "acknowledged on exit: the vector is recorded"
        call arm
        set GUEST_EFLAGS, FLAGS + IF
        guest_at guest_waits
        check_exit EXTERNAL
        check_field EXIT_INTERRUPTION, VALID + TIMER_VECTOR
        test_name "the host does not see it any more"
        mov dword [taken], 0
        sti
        nop
        nop
        cli
        check_equal [taken], 0
        test_name "it is in service"
        mov al, 0x0b                    ; the in-service register is read next
        out PIC, al
        in al, PIC
        movzx eax, al
        mov dword [expected], 1
        call compare
        call end_of_interrupt
        test_name "no event was on its way"
        check_masked IDT_VECTORING, VALID, 0
        turn_off EXIT_CONTROLS, EXIT_ACKNOWLEDGE
.not_acknowledged:
        turn_off PROC_CONTROLS, PROC_HLT
        test_name "it leaves from the HLT state with IF = 0, too"
        call arm
        set GUEST_EFLAGS, FLAGS
        guest_at guest_halts_then
        check_exit EXTERNAL
        check_field ACTIVITY, 1
        mov al, 0xff
        out PIC_MASK, al
        ret

; Channel 0 counts down once and raises line 0: mode 0, 1000 ticks. Changes EAX.
arm:    mov al, 0x30
        out 0x43, al
        mov al, 1000 & 255
        out 0x40, al
        mov al, 1000 >> 8
        out 0x40, al
        ret
; Waits until the interrupt is requested. Changes EAX.
pend:   mov al, 0x0a                    ; the request register is read next
        out PIC, al
.wait:  in al, PIC
        test al, 1
        jz .wait
        ret
; The host takes what is pending.
take:   sti
        nop
        nop
        cli
        ret
end_of_interrupt:
        mov al, 0x20
        out PIC, al
        ret

host_handler:
        push eax
        inc dword [taken]
        mov al, 0x20
        out PIC, al
        pop eax
        iret

        align 4
taken:  dd 0
guest_handler:
        mov ebx, [esp]
        mov eax, 0x48414e44
        vmcall
guest_waits:
        jmp guest_waits
guest_nops:
        nop
        nop
        vmcall
guest_ud:
        ud2
guest_halts_then:
        hlt
.after: nop
        vmcall
