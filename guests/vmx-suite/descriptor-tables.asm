; descriptor-tables: descriptor-table exiting: LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR.
; Manual: Vol. 3, "Instructions That Cause VM Exits Conditionally"; "VM-Exit Instruction Information" for these instructions.

%define SUBJECT "descriptor-tables"
%include "suite.inc"

PROC2_TABLES    equ 1 << 2
INFORMATION     equ 0x440e
; fields of the VM-exit instruction information
SCALE_4         equ 2
REGISTER_1      equ 1 << 3              ; of a register operand
ADDRESS_32      equ 1 << 7
IS_REGISTER     equ 1 << 10
OPERAND_32      equ 1 << 11
IN_SEGMENT      equ 1 << 15             ; ES CS SS DS FS GS
INDEX           equ 1 << 18
NO_INDEX        equ 1 << 22
BASE            equ 1 << 23
NO_BASE         equ 1 << 27
IDENTITY        equ 1 << 28
; what each form defines
TABLE_MASK      equ (7 << 7) + (1 << 10) + (1 << 11) + (7 << 15) + NO_INDEX + NO_BASE + (3 << 28)
MEMORY_MASK     equ (7 << 7) + (1 << 10) + (7 << 15) + NO_INDEX + NO_BASE + (3 << 28)
REGISTER_MASK   equ (15 << 3) + (1 << 10) + (3 << 28)
WITH_INDEX      equ 3 + (15 << 18)
WITH_BASE       equ 15 << 23
ROW             equ 28

subject:
        needs_secondary PROC2_TABLES, "SKIP no descriptor-table exiting"
        mov [PLAYGROUND], dword KERNEL_DATA
        mov esi, rows
.row:   mov eax, [esi]
        mov [name], eax
        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_TABLES
        call leaves
        add esi, ROW
        cmp esi, rows_end
        jb .row

        test_name "privilege comes before the exit: LGDT in ring 3"
        set EXCEPTION_BITMAP, 1 << 13
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        guest_at lgdt_plain
        check_exit 0
        set GUEST_EFLAGS, 2
        test_name "privilege comes before the exit: LTR in ring 3"
        guest_at ltr_register
        check_exit 0
        set GUEST_EFLAGS, 2
        test_name "SGDT in ring 3 leaves"
        guest_at sgdt_plain
        check_exit 46
        test_name "STR in ring 3 leaves"
        guest_at str_register
        check_exit 47
        set GUEST_SELECTOR + 2, KERNEL_CODE
        set GUEST_SELECTOR + 4, KERNEL_DATA
        set GUEST_RIGHTS + 2, 0xc09b
        set GUEST_RIGHTS + 4, 0xc093
        set EXCEPTION_BITMAP, 1 << 6
        test_name "#UD comes before the exit: LGDT of a register"
        guest_at lgdt_register
        check_exit 0
        set GUEST_EFLAGS, 2
        test_name "the exit comes before a fault of the operand"
        and dword [DIRECTORY + 4 * 2], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        set EXCEPTION_BITMAP, 1 << 14
        guest_at lgdt_absent
        check_exit 46
        set EXCEPTION_BITMAP, 0

        turn_off PROC_CONTROLS_2, PROC2_TABLES
        test_name "without the control SGDT stores"
        guest_at sgdt_plain
        check_exit 18
        check_equal [PLAYGROUND + 2], gdt
        test_name "SIDT stores"
        set GUEST_IDTR_LIMIT, 0x123
        guest_at sidt_plain
        check_exit 18
        mov eax, [PLAYGROUND]
        and eax, 0xffff
        mov dword [expected], 0x123
        call compare
        test_name "LIDT loads"
        mov dword [PLAYGROUND], 0x07ff
        mov dword [PLAYGROUND + 2], 0x12345678
        guest_at lidt_plain
        check_exit 18
        check_field GUEST_IDTR_BASE, 0x12345678
        test_name "STR stores"
        guest_at str_register
        check_exit 18
        movzx eax, word [guest_ebx]
        mov dword [expected], TSS_SELECTOR
        call compare
        test_name "LLDT loads"
        mov dword [guest_ecx], 0
        guest_at lldt_register
        check_exit 18
        check_field GUEST_SELECTOR + SEGMENT_LDTR, 0
        ret

; ESI = row: name, code, reason, length, qualification, information, its bits that count.
leaves: mov ecx, [esi + 4]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        mov dword [guest_ebx], PLAYGROUND
        mov dword [guest_ecx], 0
        mov dword [guest_edx], 0
        call enter
        get EXIT_REASON
        mov ecx, [esi + 8]
        mov [expected], ecx
        cmp eax, ecx
        jne compare
        get EXIT_INSTRUCTION_LENGTH
        mov ecx, [esi + 12]
        mov [expected], ecx
        cmp eax, ecx
        jne compare
        get EXIT_QUALIFICATION
        mov ecx, [esi + 16]
        mov [expected], ecx
        cmp eax, ecx
        jne compare
        get INFORMATION
        and eax, [esi + 24]
        mov ecx, [esi + 20]
        mov [expected], ecx
        jmp compare

%macro code 8                           ; label, name, instruction, reason, length, qualification, information, mask
        dd %%name, %1, %4, %5, %6, %7, %8
        section .names
%%name: db %2, 0
        align 4
%1:     %3
        vmcall
        section .text
%endmacro
DS_SEGMENT      equ 3 * IN_SEGMENT
ANYWHERE        equ ADDRESS_32 + NO_INDEX
        align 4
rows:   code sgdt_plain, "SGDT", {sgdt [PLAYGROUND]}, 46, 7, PLAYGROUND, ANYWHERE + NO_BASE + OPERAND_32 + DS_SEGMENT + 0 * IDENTITY, TABLE_MASK
        code sidt_plain, "SIDT", {sidt [PLAYGROUND]}, 46, 7, PLAYGROUND, ANYWHERE + NO_BASE + OPERAND_32 + DS_SEGMENT + 1 * IDENTITY, TABLE_MASK
        code lgdt_plain, "LGDT", {lgdt [PLAYGROUND]}, 46, 7, PLAYGROUND, ANYWHERE + NO_BASE + OPERAND_32 + DS_SEGMENT + 2 * IDENTITY, TABLE_MASK
        code lidt_plain, "LIDT", {lidt [PLAYGROUND]}, 46, 7, PLAYGROUND, ANYWHERE + NO_BASE + OPERAND_32 + DS_SEGMENT + 3 * IDENTITY, TABLE_MASK
        code lgdt_base, "LGDT with a base and a displacement", {lgdt [ebx + 0x10]}, 46, 4, 0x10, ANYWHERE + 3 * BASE + OPERAND_32 + DS_SEGMENT + 2 * IDENTITY, TABLE_MASK + WITH_BASE
        code lidt_index, "LIDT with base, index, scale, another segment", {lidt [fs:ebx + ecx * 4 - 8]}, 46, 6, -8, ADDRESS_32 + 3 * BASE + 1 * INDEX + SCALE_4 + OPERAND_32 + 4 * IN_SEGMENT + 3 * IDENTITY, TABLE_MASK + WITH_BASE + WITH_INDEX
        code lgdt_stack, "LGDT by ESP is in SS", {lgdt [esp]}, 46, 4, 0, ANYWHERE + 4 * BASE + OPERAND_32 + 2 * IN_SEGMENT + 2 * IDENTITY, TABLE_MASK + WITH_BASE
        code sgdt_16, "SGDT with 16-bit operand and address size", {o16 a16 sgdt [bx + 2]}, 46, 6, 2, NO_INDEX + 3 * BASE + DS_SEGMENT + 0 * IDENTITY, TABLE_MASK + WITH_BASE
        code sldt_register, "SLDT of a register", {sldt edx}, 47, 3, 0, 2 * REGISTER_1 + IS_REGISTER + 0 * IDENTITY, REGISTER_MASK
        code str_register, "STR of a register", {str bx}, 47, 4, 0, 3 * REGISTER_1 + IS_REGISTER + 1 * IDENTITY, REGISTER_MASK
        code lldt_register, "LLDT of a register", {lldt cx}, 47, 3, 0, 1 * REGISTER_1 + IS_REGISTER + 2 * IDENTITY, REGISTER_MASK
        code ltr_register, "LTR of a register", {ltr ax}, 47, 3, 0, 0 * REGISTER_1 + IS_REGISTER + 3 * IDENTITY, REGISTER_MASK
        code sldt_memory, "SLDT of memory", {sldt [PLAYGROUND + 4]}, 47, 7, PLAYGROUND + 4, ANYWHERE + NO_BASE + DS_SEGMENT + 0 * IDENTITY, MEMORY_MASK
        code ltr_memory, "LTR of memory", {ltr [ebx]}, 47, 3, 0, ANYWHERE + 3 * BASE + DS_SEGMENT + 3 * IDENTITY, MEMORY_MASK + WITH_BASE
rows_end:
lgdt_register:
        db 0x0f, 0x01, 0xd5             ; LGDT with a register operand
        vmcall
lgdt_absent:
        lgdt [0x800000]
        vmcall
