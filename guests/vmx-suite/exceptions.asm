; exceptions: each exception of a guest, once with its bit in the exception bitmap and once without: what the exit says of it, what the guest
; gets of it.
; Manual: Vol. 3, "Exceptions" in "Other Causes of VM Exits"; "Information for VM Exits Due to Vectored Events"; "Exception and Interrupt
; Reference".

%define SUBJECT "exceptions"
%include "suite.inc"
%include "guest-events.inc"

FLAGS           equ 2
NT              equ 1 << 14
RF              equ 1 << 16
HARDWARE        equ 0x300
HARDWARE_CODE   equ 0xb00               ; with an error code
SOFTWARE        equ 0x600
ABSENT          equ 0x800000
; a row
ROW_CODE        equ 4
ROW_RIP         equ 8                   ; at the exit
ROW_PUSHED      equ 12                  ; at the handler
ROW_INFORMATION equ 16
ROW_ERROR       equ 20
ROW_FLAGS       equ 24
ROW             equ 28

subject:
        call make_guest_idt
        mov dword [gdt_spare], 0x0000ffff       ; a data segment that is not present
        mov dword [gdt_spare + 4], 0x00cf1200
        mov word [tss], KERNEL_DATA             ; a link to what is no task
        and dword [DIRECTORY + 4 * (ABSENT >> 22)], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        mov esi, rows
.row:   mov eax, [esi]
        mov [name], eax
        call leaves
        call stays
        add esi, ROW
        cmp esi, rows_end
        jb .row

        test_name "#PF: its address is the qualification"
        set EXCEPTION_BITMAP, 1 << 14
        guest_at page_fault
        check_exit 0
        check_field EXIT_QUALIFICATION, ABSENT + 0x123
        set EXCEPTION_BITMAP, 0
        test_name "#PF: CR2 is written if the guest gets it"
        set GUEST_EFLAGS, FLAGS
        xor eax, eax
        mov cr2, eax
        guest_at page_fault
        check_exit 18
        mov eax, cr2
        mov dword [expected], ABSENT + 0x123
        call compare
        test_name "a double fault leaves by bit 8 alone"
        set EXCEPTION_BITMAP, 1 << 8
        set GUEST_IDTR_LIMIT, 8 * 8 + 7
        guest_at general
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + HARDWARE_CODE + 8
        test_name "its error code is 0"
        check_field EXIT_ERROR_CODE, 0
        test_name "by the bit of the second fault, that one leaves, with the first on its way"
        set EXCEPTION_BITMAP, 1 << 13
        set GUEST_IDTR_LIMIT, 5 * 8 + 7
        set GUEST_EFLAGS, FLAGS
        guest_at undefined
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + HARDWARE_CODE + 13
        test_name "the first: #UD"
        check_field IDT_VECTORING, VALID + HARDWARE + 6
        test_name "the second's error code names the gate, and says that an event was on its way"
        check_field EXIT_ERROR_CODE, 6 * 8 + 3
        test_name "without bits: a triple fault"
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS
        guest_at undefined
        check_exit 2
        ret

; ESI = row. The exception's bit is 1: one result. Changes all but ESI.
leaves: movzx ecx, byte [esi + ROW_INFORMATION]
        mov eax, 1
        shl eax, cl
        mov ecx, eax
        mov eax, EXCEPTION_BITMAP
        vmwrite eax, ecx
        call go
        mov dword [expected], 0
        get EXIT_REASON
        cmp eax, 0
        jne compare
        mov eax, [esi + ROW_INFORMATION]
        or eax, VALID
        mov [expected], eax
        get EXIT_INTERRUPTION
        cmp eax, [expected]
        jne compare
        test dword [esi + ROW_INFORMATION], 0x800
        jz .rip
        mov eax, [esi + ROW_ERROR]
        mov [expected], eax
        get EXIT_ERROR_CODE
        cmp eax, [expected]
        jne compare
.rip:   mov eax, [esi + ROW_RIP]
        mov [expected], eax
        get GUEST_EIP
        jmp compare

; It is 0: the guest's handler has it.
stays:  set EXCEPTION_BITMAP, 0
        call go
        mov dword [expected], 18
        get EXIT_REASON
        cmp eax, 18
        jne compare
        movzx eax, byte [esi + ROW_INFORMATION]
        mov [expected], eax
        mov eax, [guest_eax]
        cmp eax, [expected]
        jne compare
        test dword [esi + ROW_INFORMATION], 0x800
        jz .rip
        mov eax, [esi + ROW_ERROR]
        mov [expected], eax
        mov eax, [guest_ecx]
        cmp eax, [expected]
        jne compare
.rip:   mov eax, [esi + ROW_PUSHED]
        mov [expected], eax
        mov eax, [guest_ebx]
        jmp compare

go:     mov ecx, [esi + ROW_FLAGS]
        mov eax, GUEST_EFLAGS
        vmwrite eax, ecx
        mov ecx, [esi + ROW_CODE]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        set GUEST_ESP, GUEST_STACK
        jmp enter

%macro row 8                            ; name, code, where it is met, what is pushed, type, vector, error code, flags
        dd %%name, %2, %3, %4, %5 + %6, %7, %8
        section .names
%%name: db %1, 0
        section .text
%endmacro
        align 4
rows:   row "#DE: a division by 0", divide, divide.at, divide.at, HARDWARE, 0, 0, FLAGS
        row "#BP: INT3", breakpoint, breakpoint, breakpoint + 1, SOFTWARE, 3, 0, FLAGS
        row "#OF: INTO", overflow, overflow.at, overflow.at + 1, SOFTWARE, 4, 0, FLAGS
        row "#BR: BOUND", bound_range, bound_range.at, bound_range.at, HARDWARE, 5, 0, FLAGS
        row "#UD: UD2", undefined, undefined, undefined, HARDWARE, 6, 0, FLAGS
        row "#TS: IRET to what is no task", iret_to_task, iret_to_task, iret_to_task, HARDWARE_CODE, 10, KERNEL_DATA, FLAGS + NT
        row "#NP: a segment that is not present", absent_segment, absent_segment.at, absent_segment.at, HARDWARE_CODE, 11, GDT_SPARE, FLAGS
        row "#SS: a stack that is not present", absent_stack, absent_stack.at, absent_stack.at, HARDWARE_CODE, 12, GDT_SPARE, FLAGS
        row "#GP: a selector beyond the table", general, general.at, general.at, HARDWARE_CODE, 13, 0xfff8, FLAGS
        row "#PF: a page that is not present", page_fault, page_fault, page_fault, HARDWARE_CODE, 14, 0, FLAGS
        row "#PF: a write", page_fault_write, page_fault_write, page_fault_write, HARDWARE_CODE, 14, 2, FLAGS
rows_end:

divide: xor ecx, ecx
.at:    div ecx
        vmcall
breakpoint:
        int3
        vmcall
overflow:
        mov al, 0x7f
        add al, 1
.at:    into
        vmcall
bound_range:
        mov eax, 5
.at:    bound eax, [bounds]
        vmcall
        align 4
bounds: dd 1, 4
undefined:
        ud2
iret_to_task:
        iret
absent_segment:
        mov eax, GDT_SPARE
.at:    mov es, ax
        vmcall
absent_stack:
        mov eax, GDT_SPARE
.at:    mov ss, ax
        vmcall
general:
        mov eax, 0xfff8
.at:    mov es, ax
        vmcall
page_fault:
        mov eax, [ABSENT + 0x123]
        vmcall
page_fault_write:
        mov [ABSENT + 0x123], eax
        vmcall
