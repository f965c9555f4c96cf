; events: the exception bitmap, page faults by error code, injection, and events that are lost on their way.
; Manual: Vol. 3, "Exceptions" in "Other Causes of VM Exits"; "Event Injection"; "Information for VM Exits During Event Delivery".

%define SUBJECT "events"
%include "suite.inc"
%include "guest-events.inc"

DIVIDE          equ 0
BREAKPOINT      equ 3
INVALID         equ 6
GENERAL         equ 13
PAGE_FAULT      equ 14
ABSENT          equ 0x800000            ; 4 MiB that are not there

subject:
        and dword [DIRECTORY + 4 * 2], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        call make_guest_idt

        test_name "an exception whose bit is 1 leaves: #UD"
        set EXCEPTION_BITMAP, 1 << INVALID
        guest_at guest_ud
        check_exit 0
        test_name "#UD is a hardware exception without error code"
        check_field EXIT_INTERRUPTION, VALID + 0x300 + INVALID
        test_name "RIP names the instruction"
        check_field GUEST_EIP, guest_ud
        test_name "RF is 1 in the saved flags of a fault"
        get GUEST_EFLAGS
        and eax, 1 << 16
        mov dword [expected], 1 << 16
        call compare
        set GUEST_EFLAGS, 2
        test_name "INT3 is a software exception"
        set EXCEPTION_BITMAP, 1 << BREAKPOINT
        guest_at guest_int3
        check_exit 0
        test_name "type 6"
        check_field EXIT_INTERRUPTION, VALID + 0x600 + BREAKPOINT
        test_name "length of INT3"
        check_field EXIT_INSTRUCTION_LENGTH, 1
        test_name "INT 3 by its two-byte form is a software interrupt, and does not leave"
        guest_at guest_int_3
        check_exit 18
        test_name "an exception whose bit is 0 goes to the guest"
        set EXCEPTION_BITMAP, 0
        guest_at guest_divide
        check_exit 18
        test_name "vector 0 was delivered"
        check_equal [guest_eax], DIVIDE

        test_name "#PF leaves with its address as qualification"
        set EXCEPTION_BITMAP, 1 << PAGE_FAULT
        guest_at guest_fault
        check_exit 0
        test_name "address"
        check_field EXIT_QUALIFICATION, ABSENT + 0x123
        test_name "error code: not present, read"
        check_field EXIT_ERROR_CODE, 0
        test_name "interruption information says that there is one"
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + PAGE_FAULT
        test_name "CR2 is not written"
        mov eax, cr2
        cmp eax, ABSENT + 0x123
        check ne
        test_name "mask and match: error code 0 is not 2, so the bit says the opposite"
        set 0x4006, 2
        set 0x4008, 2
        guest_at guest_fault
        check_exit 18
        test_name "a write fault is 2, and leaves"
        guest_at guest_write_fault
        check_exit 0
        test_name "with bit 14 clear it is the other way round"
        set EXCEPTION_BITMAP, 0
        guest_at guest_fault
        check_exit 0
        test_name "and the write fault is delivered"
        guest_at guest_write_fault
        check_exit 18
        set 0x4006, 0
        set 0x4008, 0

; ---- injection ----

        test_name "an external interrupt is injected"
        set GUEST_EFLAGS, 0x202
        guest_at guest_halts
        set ENTRY_INTERRUPTION, VALID + 0x20
        check_exit 18
        test_name "vector 32 was delivered"
        check_equal [guest_eax], 0x20
        test_name "what it interrupted"
        check_equal [guest_ebx], guest_halts
        test_name "the valid bit is cleared by the exit"
        get ENTRY_INTERRUPTION
        and eax, VALID
        mov dword [expected], 0
        call compare
        set GUEST_EFLAGS, 2
        test_name "#GP with an error code"
        guest_at guest_halts
        set ENTRY_ERROR_CODE, 0x1234
        set ENTRY_INTERRUPTION, VALID + 0xb00 + GENERAL
        check_exit 18
        test_name "its error code"
        check_equal [guest_ecx], 0x1234
        test_name "an exception is injected although its bit is 1"
        set EXCEPTION_BITMAP, 1 << INVALID
        guest_at guest_halts
        set ENTRY_INTERRUPTION, VALID + 0x300 + INVALID
        check_exit 18
        set EXCEPTION_BITMAP, 0
        test_name "a software interrupt returns behind its instruction"
        guest_at guest_halts
        set 0x401a, 2
        set ENTRY_INTERRUPTION, VALID + 0x400 + 0x21
        check_exit 18
        test_name "two bytes further"
        check_equal [guest_ebx], guest_halts + 2
        test_name "a software exception too"
        guest_at guest_halts
        set 0x401a, 1
        set ENTRY_INTERRUPTION, VALID + 0x600 + BREAKPOINT
        check_exit 18
        test_name "one byte further"
        check_equal [guest_ebx], guest_halts + 1

; ---- on the way ----

        test_name "a fault during delivery leaves, with the event as IDT-vectoring information"
        set EXCEPTION_BITMAP, 1 << PAGE_FAULT
        set GUEST_IDTR_BASE, ABSENT
        guest_at guest_divide
        check_exit 0
        test_name "the exit is for #PF"
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + PAGE_FAULT
        test_name "the event was #DE"
        check_field IDT_VECTORING, VALID + 0x300 + DIVIDE
        test_name "address of the gate"
        check_field EXIT_QUALIFICATION, ABSENT + DIVIDE * 8
        test_name "an injected event is one, too"
        guest_at guest_halts
        set ENTRY_ERROR_CODE, 0x1234
        set ENTRY_INTERRUPTION, VALID + 0xb00 + GENERAL
        check_exit 0
        test_name "the event was the injected #GP"
        check_field IDT_VECTORING, VALID + 0xb00 + GENERAL
        test_name "with its error code"
        check_field IDT_VECTORING_ERROR_CODE, 0x1234
        test_name "INT n: its length is recorded"
        guest_at guest_int_21
        check_exit 0
        test_name "the event was a software interrupt"
        check_field IDT_VECTORING, VALID + 0x400 + 0x21
        test_name "length of INT n"
        check_field EXIT_INSTRUCTION_LENGTH, 2
        test_name "RIP names INT n"
        check_field GUEST_EIP, guest_int_21
        test_name "no IDT at all: a double fault, then a triple fault"
        set EXCEPTION_BITMAP, 0
        guest_at guest_divide
        check_exit 2
        test_name "#DF leaves by its own bit"
        set EXCEPTION_BITMAP, 1 << 8
        guest_at guest_general
        check_exit 0
        test_name "#DF has an error code"
        check_field EXIT_INTERRUPTION, VALID + 0xb08
        test_name "a double fault has no event on its way"
        get IDT_VECTORING
        and eax, VALID
        mov dword [expected], 0
        call compare
        ret

IDT_VECTORING_ERROR_CODE equ 0x440a

guest_ud:
        ud2
guest_int3:
        int3
        vmcall
guest_int_3:
        db 0xcd, 3
        vmcall
guest_int_21:
        int 0x21
        vmcall
guest_divide:
        xor ecx, ecx
        div ecx
        vmcall
guest_fault:
        mov eax, [ABSENT + 0x123]
        vmcall
guest_write_fault:
        mov [ABSENT + 0x123], eax
        vmcall
guest_general:
        mov ax, 0xfff8
        mov ds, ax
        vmcall
