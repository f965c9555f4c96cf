; task-switches: hardware task switches of a guest, which all leave, and what is checked before they do.
; Manual: Vol. 3, "Treatment of Task Switches"; "Exit Qualification for Task Switches"; "Information for VM Exits During Event Delivery".

%define SUBJECT "task-switches"
%include "suite.inc"

TASK_SWITCH     equ 9
BY_CALL         equ 0 << 30
BY_IRET         equ 1 << 30
BY_JMP          equ 2 << 30
BY_GATE         equ 3 << 30
TASK            equ GDT_SPARE
AVAILABLE       equ 0x89
BUSY            equ 0x8b
NOT_PRESENT     equ 11
GENERAL         equ 13
NT              equ 1 << 14
FLAGS           equ 2
GATE_VECTOR     equ 0x21
TASK_GATE       equ 0x8500
TASK_GATE_USER  equ 0xe500
CR0_TS          equ 8

%macro descriptor 1                     ; type and presence of the task's descriptor
        mov byte [gdt_spare + 5], %1
%endmacro
%macro check_switch 2                   ; guest code, qualification
        guest_at %1
        check_exit TASK_SWITCH
        check_field EXIT_QUALIFICATION, %2
%endmacro

subject:
        mov word [gdt_spare], TSS_BYTES - 1
        mov word [gdt_spare + 2], GUEST_TSS & 0xffff
        mov byte [gdt_spare + 4], GUEST_TSS >> 16
        mov word [gdt_spare + 6], 0
        descriptor AVAILABLE
        mov edi, GUEST_IDT
        mov ecx, 256 * 2
        xor eax, eax
        rep stosd
        mov word [GUEST_IDT + GATE_VECTOR * 8 + 2], TASK
        mov word [GUEST_IDT + GATE_VECTOR * 8 + 4], TASK_GATE
        mov word [GUEST_IDT + 2], TASK
        mov word [GUEST_IDT + 4], TASK_GATE
        mov word [GUEST_IDT + 6 * 8 + 2], TASK
        mov word [GUEST_IDT + 6 * 8 + 4], TASK_GATE
        set GUEST_IDTR_BASE, GUEST_IDT

        test_name "a far JMP to a task"
        check_switch guest_jmp, BY_JMP + TASK
        test_name "its length"
        check_field EXIT_INSTRUCTION_LENGTH, 7
        test_name "RIP names it"
        check_field GUEST_EIP, guest_jmp
        test_name "nothing of the switch has happened: the task"
        movzx eax, byte [gdt_spare + 5]
        mov dword [expected], AVAILABLE
        call compare
        test_name "nothing of the switch has happened: TR"
        check_field GUEST_SELECTOR + SEGMENT_TR, TSS_SELECTOR
        test_name "nothing of the switch has happened: CR0.TS"
        check_masked GUEST_CR0, CR0_TS, 0
        test_name "a far CALL to a task"
        check_switch guest_call, BY_CALL + TASK
        test_name "an IRET with NT goes back by the link"
        descriptor BUSY
        mov word [tss], TASK
        set GUEST_EFLAGS, FLAGS + NT
        check_switch guest_iret, BY_IRET + TASK
        test_name "length of IRET"
        check_field EXIT_INSTRUCTION_LENGTH, 1
        set GUEST_EFLAGS, FLAGS
        descriptor AVAILABLE
        mov word [tss], 0

        test_name "INT n through a task gate"
        check_switch guest_int, BY_GATE + TASK
        test_name "RIP names INT n"
        check_field GUEST_EIP, guest_int
        test_name "it was on its way"
        check_field IDT_VECTORING, VALID + 0x400 + GATE_VECTOR
        test_name "length of INT n"
        check_field EXIT_INSTRUCTION_LENGTH, 2
        test_name "an exception through a task gate"
        set EXCEPTION_BITMAP, 0
        check_switch guest_ud, BY_GATE + TASK
        test_name "the exception was on its way"
        check_field IDT_VECTORING, VALID + 0x306
        set GUEST_EFLAGS, FLAGS
        test_name "its own bit comes first"
        set EXCEPTION_BITMAP, 1 << 6
        guest_at guest_ud
        check_exit 0
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS
        test_name "an injected interrupt through a task gate"
        set ENTRY_INTERRUPTION, VALID + GATE_VECTOR
        set GUEST_EFLAGS, FLAGS + 0x200
        check_switch guest_jmp, BY_GATE + TASK
        check_field IDT_VECTORING, VALID + GATE_VECTOR
        set GUEST_EFLAGS, FLAGS

; ---- what is checked before ----

        set EXCEPTION_BITMAP, (1 << NOT_PRESENT) + (1 << GENERAL)
        test_name "a task that is not present: #NP"
        descriptor AVAILABLE & ~0x80
        guest_at guest_jmp
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + NOT_PRESENT
        test_name "with its selector"
        check_field EXIT_ERROR_CODE, TASK
        set GUEST_EFLAGS, FLAGS
        descriptor AVAILABLE
        test_name "beyond the limit of the table: #GP"
        set GUEST_GDTR_LIMIT, TASK - 1
        guest_at guest_jmp
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + GENERAL
        set GUEST_EFLAGS, FLAGS
        set GUEST_GDTR_LIMIT, gdt_end - gdt - 1
        test_name "JMP to a busy task: #GP"
        descriptor BUSY
        guest_at guest_jmp
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + GENERAL
        set GUEST_EFLAGS, FLAGS
        descriptor AVAILABLE
        test_name "a task gate that is not present: #NP"
        mov word [GUEST_IDT + GATE_VECTOR * 8 + 4], TASK_GATE & ~0x8000
        guest_at guest_int
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + NOT_PRESENT
        set GUEST_EFLAGS, FLAGS
        mov word [GUEST_IDT + GATE_VECTOR * 8 + 4], TASK_GATE
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        test_name "ring 3 and a gate of ring 0: #GP"
        guest_at guest_int
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + GENERAL
        set GUEST_EFLAGS, FLAGS
        test_name "ring 3 and a gate of ring 3"
        mov word [GUEST_IDT + GATE_VECTOR * 8 + 4], TASK_GATE_USER
        check_switch guest_int, BY_GATE + TASK
        test_name "ring 3 and a task of ring 0: #GP"
        guest_at guest_jmp
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + GENERAL
        set GUEST_EFLAGS, FLAGS
        test_name "ring 3 and a task of ring 3"
        descriptor AVAILABLE + 0x60
        check_switch guest_jmp, BY_JMP + TASK
        ret

guest_jmp:
        jmp TASK:0
guest_call:
        call TASK:0
guest_iret:
        iret
guest_int:
        int GATE_VECTOR
        vmcall
guest_ud:
        ud2
