; faults: takes every exception that there is so far, on purpose, from ring 0 and from ring 3, and goes on.
;
;   0010_0000  this kernel
;   001f_0000  top of the stack for events from outer rings
;   0020_0000  top of the kernel's stack; interrupt table behind it
;   0020_1000  page directory, four tables
;   0021_0000  top of the ring-3 stack        0022_0000  top of the ring-1 stack
;   0030_0000  small segment: 16 bytes of it belong to it, no more
;   0030_1000  page that is not there
;   0030_2000  page that is read-only         0030_3000  page for rings 0-2 only      0030_4000  both
;   0030_5000  page with another one missing behind it
;   0040_0000  no page table                  0080_0000  4 MiB page with a reserved bit set
;   00c0_0000  table that is read-only as a whole: its entries allow writing, the directory does not
;   0100_0000  table for rings 0-2 only as a whole
;
; A case is a routine. It tells its name with `try`, says by `call here` that the next instruction is the one that matters, and
; ends with RET. For each event the kernel prints the vector, how far the saved EIP is from that instruction (faults 0,
; traps its length), the error code if there is one, CR2 if it is a page fault; then it goes on with the next case.
;
; Expected output: expected.txt

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"

EVENT_STACK     equ 0x1f0000
STACK           equ 0x200000
IDT             equ 0x200000
DIRECTORY       equ 0x201000
TABLE_0         equ 0x202000            ; 0000_0000
TABLE_3         equ 0x203000            ; 00c0_0000
TABLE_4         equ 0x204000            ; 0100_0000
USER_STACK      equ 0x210000
RING1_STACK     equ 0x220000
SMALL           equ 0x300000
ABSENT          equ 0x301000
READ_ONLY       equ 0x302000
KERNEL_ONLY     equ 0x303000
KERNEL_READ     equ 0x304000
LAST            equ 0x305000
NO_TABLE        equ 0x400000
RESERVED        equ 0x800000
READ_ONLY_TABLE equ 0xc00000
KERNEL_TABLE    equ 0x1000000
PAGE            equ 4096

PRESENT         equ 0x001
WRITABLE        equ 0x002
FOR_USER        equ 0x004
LARGE           equ 0x080
RESERVED_BIT    equ 0x200000            ; bit 21 of a 4 MiB entry: reserved on every processor

VECTOR_TRY      equ 0x30                ; prints the text behind INT
VECTOR_DONE     equ 0x31                ; ends a case in ring 3
VECTOR_ABSENT   equ 0x32                ; a gate that is not present
VECTOR_KERNEL   equ 0x33                ; another one, which ring 3 may not use in the first place
VECTORS         equ 0x38                ; the table ends here

CR0_WP          equ 0x00010000
CR0_PG          equ 0x80000000
CR4_PSE         equ 0x00000010

; selectors of the local descriptor table (bit 2), for ring 3 where the two low bits say so
LDT_SELECTOR    equ GDT_SPARE
SHORT_TSS       equ GDT_SPARE + 8
SMALL_DATA      equ 0 * 8 + 4 + 3
READ_ONLY_DATA  equ 1 * 8 + 4 + 3
EXECUTE_ONLY    equ 2 * 8 + 4 + 3
ABSENT_DATA     equ 3 * 8 + 4 + 3
ABSENT_CODE     equ 4 * 8 + 4
DOWN_DATA       equ 5 * 8 + 4 + 3
RING0_DATA      equ 6 * 8 + 4
RING1_CODE      equ 7 * 8 + 4 + 1
RING1_DATA      equ 8 * 8 + 4 + 1
ABSENT_RING1    equ 9 * 8 + 4 + 1
GATE_TO_RING1   equ 10 * 8 + 4 + 3
ABSENT_GATE     equ 11 * 8 + 4 + 3
RING0_GATE      equ 12 * 8 + 4 + 3
NULL_GATE       equ 13 * 8 + 4 + 3
SMALL_RING1     equ 14 * 8 + 4 + 1
OUTSIDE_LDT     equ 60 * 8 + 4 + 3

TSS_ESP1        equ 12
TSS_SS1         equ 16

; try "name": begins a case.
%macro try 1
        int VECTOR_TRY
        db %1, 0
%endmacro

; descriptor BASE, LIMIT, ACCESS, FLAGS: a segment descriptor. Flags: 8 limit in pages, 4 32-bit.
%macro descriptor 4
        dw (%2) & 0xffff
        dw (%1) & 0xffff
        db ((%1) >> 16) & 0xff
        db %3
        db ((%2) >> 16) + (%4) * 16
        db ((%1) >> 24) & 0xff
%endmacro

start:  mov esp, STACK
        call serial_init
        mov eax, EVENT_STACK
        call gdt_init
        mov dword [tss + TSS_ESP1], RING1_STACK
        mov dword [tss + TSS_SS1], RING1_DATA
        call ldt_init
        call idt_init
        mov word [idt_pointer], VECTORS * 8 - 1
        lidt [idt_pointer]
        mov edx, GATE_USER
        mov eax, try_event
        mov ebx, VECTOR_TRY
        call set_gate
        mov eax, done_event
        mov ebx, VECTOR_DONE
        call set_gate
        mov ebx, VECTOR_ABSENT
        mov edx, GATE_USER - 0x8000     ; without the present bit
        call set_gate
        mov ebx, VECTOR_KERNEL
        mov edx, GATE_KERNEL - 0x8000   ; rings are checked first, presence after
        call set_gate
        mov eax, stubs + 3 * STUB_BYTES ; breakpoints and INTO are open to ring 3, BOUND needs no permission
        mov ebx, 3
        mov edx, GATE_USER
        call set_gate
        add eax, STUB_BYTES
        inc ebx
        call set_gate
        call paging_init

        mov esi, ring_0_cases
run_in_ring_0:
        call restore
        mov dword [ring], 0
        mov eax, [esi]
        add esi, 4
        test eax, eax
        jz ring_0_done
        push esi
        mov [kernel_esp], esp
        call eax
        xor eax, eax
        call tell_no_event
after_case_in_ring_0:                   ; where a case goes on that had an event
        mov esp, [kernel_esp]
        pop esi
        jmp run_in_ring_0
ring_0_done:

        mov esi, ring_3_cases
run_in_ring_3:
        call restore
        mov dword [ring], 3
        mov eax, [esi]
        add esi, 4
        test eax, eax
        jz ring_3_done
        push esi
        mov [kernel_esp], esp
        mov dword [USER_STACK - 4], done
        mov ecx, USER_DATA
        mov ds, ecx
        mov es, ecx
        push ecx                        ; what IRET takes: SS, ESP, EFLAGS, CS, EIP
        push dword USER_STACK - 4
        push dword 2
        push dword USER_CODE
        push eax
        iret
done:   int VECTOR_DONE                 ; in ring 3: all its cases end here
after_case_in_ring_3:
        mov esp, [kernel_esp]
        pop esi
        jmp run_in_ring_3
ring_3_done:
        say "events: "
        mov eax, [events]
        call print_decimal
        call newline
        jmp power_off

; ---- events ----

        align STUB_BYTES
try_event:
        push dword 0
        push dword VECTOR_TRY
        jmp near event
done_event:
        push dword 0
        push dword VECTOR_DONE
        jmp near event

; Called by `event` with EBP = frame.
exception:
        mov eax, [ebp + FRAME_VECTOR]
        cmp eax, VECTOR_TRY
        je .try
        cmp eax, VECTOR_DONE
        je .done

        inc dword [events]
        mov dword [had_event], 1
        say "vector "
        call print_decimal
        cmp eax, 8                      ; where a double fault says that it happened is anybody's guess
        je .error_code
        say " at +"
        mov eax, [ebp + FRAME_EIP]
        sub eax, [where]
        call print_decimal
.error_code:
        mov ecx, [ebp + FRAME_VECTOR]
        mov eax, 0x00027d00             ; vectors 8, 10-14 and 17 have one
        shr eax, cl
        test al, 1
        jz .no_code
        say ", error code "
        mov eax, [ebp + FRAME_ERROR]
        call print_hex4
.no_code:
        cmp ecx, 14
        jne .no_address
        say ", address "
        mov eax, cr2
        call print_hex
.no_address:
        call newline

        mov dword [ebp + FRAME_EFLAGS], 2
        test byte [ebp + FRAME_CS], 3
        jnz .outer
        mov dword [ebp + FRAME_EIP], after_case_in_ring_0
        mov dword [ebp + FRAME_CS], KERNEL_CODE
        ret
.outer: mov eax, USER_DATA
        mov [ebp + FRAME_DS], eax
        mov [ebp + FRAME_ES], eax
        mov [ebp + FRAME_SS], eax
        mov dword [ebp + FRAME_ESP], USER_STACK - 4
        mov dword [ebp + FRAME_CS], USER_CODE
        mov dword [ebp + FRAME_EIP], done
        ret

.try:   say "ring "
        mov eax, [ring]
        call print_decimal
        say ", "
        mov esi, [ebp + FRAME_EIP]
        call print
        mov [ebp + FRAME_EIP], esi
        say ": "
        ret

.done:  cmp dword [had_event], 0
        jne after_case_in_ring_3
        mov eax, [ebp + FRAME_CS]
        and eax, 3
        call tell_no_event
        jmp after_case_in_ring_3

; EAX = the ring in which the case ended.
tell_no_event:
        say "no event, ends in ring "
        call print_decimal
        call newline
        ret

; Notes the address behind the call as that of the instruction that matters. Preserves all registers but the flags.
here:   push eax
        mov eax, [esp + 4]
        mov [where], eax
        pop eax
        ret

; ---- tables ----

; Puts back what a case may have changed: gates, stack of ring 1, write protection, FS and GS. Changes EAX and ECX.
restore:
        xor ecx, ecx
.gate:  or byte [IDT + ecx * 8 + 5], 0x80
        mov word [IDT + ecx * 8 + 2], KERNEL_CODE
        inc ecx
        cmp ecx, 32
        jb .gate
        mov dword [tss + TSS_SS1], RING1_DATA
        mov dword [tss + TSS_ESP1], RING1_STACK
        mov dword [had_event], 0
        mov eax, cr0
        or eax, CR0_WP
        mov cr0, eax
        xor eax, eax
        mov fs, eax
        mov gs, eax
        mov [where], eax
        ret

ldt_init:
        mov word [gdt_spare], ldt_end - ldt - 1
        mov eax, ldt
        mov [gdt_spare + 2], ax
        shr eax, 16
        mov [gdt_spare + 4], al
        mov byte [gdt_spare + 5], 0x82  ; present, LDT
        mov [gdt_spare + 7], ah
        mov word [gdt_spare + 8], TSS_BYTES - 1
        mov byte [gdt_spare + 8 + 5], 0x09      ; a task-state segment that is not present
        mov eax, LDT_SELECTOR
        lldt ax
        mov eax, in_ring_1
        mov [ldt_gate_to_ring_1], ax
        shr eax, 16
        mov [ldt_gate_to_ring_1 + 6], ax
        ret

paging_init:
        mov edi, DIRECTORY
        xor eax, eax
        mov ecx, 4 * PAGE / 4
        cld
        rep stosd
        mov edi, TABLE_0
        mov eax, PRESENT + WRITABLE + FOR_USER
        mov ecx, 1024
.map:   stosd
        add eax, PAGE
        dec ecx
        jnz .map
        mov dword [TABLE_0 + (ABSENT >> 12) * 4], 0
        mov dword [TABLE_0 + (READ_ONLY >> 12) * 4], READ_ONLY + PRESENT + FOR_USER
        mov dword [TABLE_0 + (KERNEL_ONLY >> 12) * 4], KERNEL_ONLY + PRESENT + WRITABLE
        mov dword [TABLE_0 + (KERNEL_READ >> 12) * 4], KERNEL_READ + PRESENT
        mov dword [TABLE_0 + (LAST >> 12) * 4 + 4], 0
        mov eax, SMALL + PRESENT + WRITABLE + FOR_USER
        mov [TABLE_3], eax
        mov [TABLE_4], eax
        mov dword [DIRECTORY + 0 * 4], TABLE_0 + PRESENT + WRITABLE + FOR_USER
        mov dword [DIRECTORY + 2 * 4], RESERVED_BIT + LARGE + PRESENT + WRITABLE + FOR_USER
        mov dword [DIRECTORY + 3 * 4], TABLE_3 + PRESENT + FOR_USER
        mov dword [DIRECTORY + 4 * 4], TABLE_4 + PRESENT + WRITABLE
        mov byte [READ_ONLY], 0xc3      ; RET
        mov byte [KERNEL_ONLY], 0xc3
        mov word [LAST + PAGE - 2], 0x01b8      ; the first two bytes of MOV EAX, imm32
        mov eax, cr4
        or eax, CR4_PSE
        mov cr4, eax
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG + CR0_WP
        mov cr0, eax
        jmp .paging
.paging:
        ret

        align 8
ldt:    descriptor SMALL, 15, 0xf2, 4           ; SMALL_DATA: read/write, 16 bytes
        descriptor 0, 0xfffff, 0xf0, 12         ; READ_ONLY_DATA
        descriptor 0, 0xfffff, 0xf8, 12         ; EXECUTE_ONLY
        descriptor 0, 0xfffff, 0x72, 12         ; ABSENT_DATA: DPL 3
        descriptor 0, 0xfffff, 0x1a, 12         ; ABSENT_CODE: DPL 0
        descriptor SMALL, 0xfff, 0xf6, 4        ; DOWN_DATA: expands down, from FFFF_FFFF to 0000_1000
        descriptor 0, 0xfffff, 0x92, 12         ; RING0_DATA
        descriptor 0, 0xfffff, 0xba, 12         ; RING1_CODE
        descriptor 0, 0xfffff, 0xb2, 12         ; RING1_DATA
        descriptor 0, 0xfffff, 0x32, 12         ; ABSENT_RING1
ldt_gate_to_ring_1:
        dw 0, RING1_CODE, 0xec00, 0             ; GATE_TO_RING1: call gate, DPL 3, no parameters
        dw 0, RING1_CODE, 0x6c00, 0             ; ABSENT_GATE
        dw 0, RING1_CODE, 0x8c00, 0             ; RING0_GATE: DPL 0
        dw 0, 0, 0xec00, 0                      ; NULL_GATE: leads to no segment
        descriptor 0, 7, 0xb2, 4                ; SMALL_RING1: 8 bytes, too small for a stack
ldt_end:

; Where the call gate leads to.
in_ring_1:
        int VECTOR_DONE

        align 4
ring:       dd 0
where:      dd 0
had_event:  dd 0
kernel_esp: dd 0
events:     dd 0
table_pointer:
        dw 0
        dd 0
bounds: dd 10, 20

; ---- the cases ----

ring_0_cases:
        dd divide_by_zero, divide_overflow, divide_signed, divide_bytes, aam_by_zero
        dd breakpoint, breakpoint_int, overflow, no_overflow, bound_below, bound_above, bound_inside
        dd ud2_instruction, load_cs, lea_register, undefined_group, lock_mov, lock_register, mov_cr1, invlpg_register
        dd too_long
        dd small_inside, small_behind, small_across, down_below, down_inside, write_read_only_segment, write_code_segment
        dd null_segment, load_execute_only, load_absent, load_outside, load_stack_null, load_stack_ring, load_stack_absent
        dd jump_to_data, jump_to_absent, jump_to_null, jump_outside, call_absent_gate, call_null_gate
        dd iret_null, iret_absent, iret_outer_stack_null, iret_outer_stack_ring, return_null
        dd ltr_busy, ltr_absent, ltr_null, lldt_code
        dd paging_without_protection, write_through_without_disable, cr4_reserved
        dd int_absent, int_kernel, int_outside
        dd read_absent, write_absent, modify_absent, read_no_table, read_across, write_across, fetch_absent, fetch_across
        dd reserved_bit, read_read_only, write_read_only, write_unprotected, exchange_read_only, write_read_only_table
        dd read_kernel, write_kernel_read_only
        dd undefined_without_gate, divide_without_gate, protection_without_gate, page_fault_without_gate
        dd page_fault_bad_gate, undefined_without_two_gates
        dd 0

ring_3_cases:
        dd divide_by_zero, breakpoint, breakpoint_int, overflow, bound_above, ud2_instruction
        dd halt, clear_interrupts, set_interrupts, read_port, write_port, read_string_port, clear_task_switched
        dd read_cr0, write_cr0, read_msr, write_back, load_gdt, load_ldt, load_task, invalidate_page
        dd small_behind, small_stack, write_read_only_segment, load_ring_0_segment, load_stack_ring, load_stack_absent
        dd jump_to_ring_0, jump_to_absent, call_absent_gate, call_ring_0_gate, call_null_gate
        dd iret_inner, iret_null
        dd int_absent, int_kernel, int_outside
        dd gate_to_ring_1, ring_1_stack_null, ring_1_stack_outside, ring_1_stack_ring_0, ring_1_stack_selector
        dd ring_1_stack_absent, ring_1_stack_small, ring_1_stack_no_page, int_ring_1_stack_null, bound_ring_1_stack_null
        dd read_absent, write_absent, modify_absent, read_no_table, fetch_absent, fetch_across, fetch_kernel
        dd reserved_bit, read_read_only, write_read_only, exchange_read_only, compare_read_only
        dd write_read_only_table, read_kernel, write_kernel, read_kernel_table, push_absent, push_all_absent, call_absent_stack
        dd undefined_without_gate, protection_without_gate, page_fault_without_gate
        dd 0

; -- arithmetic

divide_by_zero:
        try "DIV by zero"
        xor ecx, ecx
        call here
        div ecx
        ret
divide_overflow:
        try "DIV, quotient of 33 bits"
        mov edx, 1
        xor eax, eax
        mov ecx, 1
        call here
        div ecx
        ret
divide_signed:
        try "IDIV, -2^31 by -1"
        mov edx, -1
        mov eax, 0x80000000
        mov ecx, -1
        call here
        idiv ecx
        ret
divide_bytes:
        try "DIV, quotient of 9 bits"
        mov eax, 256
        mov cl, 1
        call here
        div cl
        ret
aam_by_zero:
        try "AAM 0"
        call here
        aam 0
        ret
breakpoint:
        try "INT3"
        call here
        int3
        ret
breakpoint_int:
        try "INT 3 in two bytes"
        call here
        db 0xcd, 3
        ret
overflow:
        try "INTO with overflow"
        mov al, 0x7f
        inc al
        call here
        into
        ret
no_overflow:
        try "INTO without overflow"
        xor eax, eax
        into
        ret
bound_below:
        try "BOUND below"
        mov eax, 9
        call here
        bound eax, [bounds]
        ret
bound_above:
        try "BOUND above"
        mov eax, 21
        call here
        bound eax, [bounds]
        ret
bound_inside:
        try "BOUND inside"
        mov eax, 20
        bound eax, [bounds]
        ret

; -- what is no instruction

ud2_instruction:
        try "UD2"
        call here
        ud2
        ret
load_cs:
        try "MOV CS"
        call here
        db 0x8e, 0xc8
        ret
lea_register:
        try "LEA of a register"
        call here
        db 0x8d, 0xc0
        ret
undefined_group:
        try "FF /7"
        call here
        db 0xff, 0xf8
        ret
lock_mov:
        try "LOCK MOV"
        call here
        db 0xf0, 0x89, 0x03
        ret
lock_register:
        try "LOCK ADD to a register"
        call here
        db 0xf0, 0x01, 0xc0
        ret
mov_cr1:
        try "MOV from CR1"
        call here
        db 0x0f, 0x20, 0xc8
        ret
invlpg_register:
        try "INVLPG of a register"
        call here
        db 0x0f, 0x01, 0xf8
        ret
too_long:
        try "16 bytes long"
        call here
        times 15 db 0x66
        nop
        ret

; -- segments

small_inside:
        try "last word of a small segment"
        mov eax, SMALL_DATA
        mov fs, eax
        mov eax, [fs:12]
        ret
small_behind:
        try "behind a small segment"
        mov eax, SMALL_DATA
        mov fs, eax
        call here
        mov al, [fs:16]
        ret
small_across:
        try "across the end of a small segment"
        mov eax, SMALL_DATA
        mov fs, eax
        call here
        mov eax, [fs:13]
        ret
small_stack:
        try "behind a small stack segment"
        mov eax, SMALL_DATA
        mov dword [where], .read
        mov ss, eax
.read:  mov eax, [ss:14]
        ret
down_below:
        try "below an expand-down segment"
        mov eax, DOWN_DATA
        mov fs, eax
        call here
        mov al, [fs:0xfff]
        ret
down_inside:
        try "inside an expand-down segment"
        mov eax, DOWN_DATA
        mov fs, eax
        mov al, [fs:READ_ONLY - SMALL]
        ret
write_read_only_segment:
        try "write to a read-only segment"
        mov eax, READ_ONLY_DATA
        mov fs, eax
        call here
        mov [fs:SMALL], eax
        ret
write_code_segment:
        try "write to the code segment"
        call here
        mov [cs:SMALL], eax
        ret
null_segment:
        try "read through the null selector"
        xor eax, eax
        mov fs, eax
        call here
        mov eax, [fs:SMALL]
        ret
load_execute_only:
        try "load an execute-only segment"
        mov eax, EXECUTE_ONLY
        call here
        mov fs, eax
        ret
load_absent:
        try "load an absent segment"
        mov eax, ABSENT_DATA
        call here
        mov gs, eax
        ret
load_outside:
        try "load from outside the table"
        mov eax, OUTSIDE_LDT
        call here
        mov gs, eax
        ret
load_ring_0_segment:
        try "load a segment of ring 0"
        mov eax, RING0_DATA
        call here
        mov gs, eax
        ret
load_stack_null:
        try "null stack segment"
        xor eax, eax
        call here
        mov ss, eax
        ret
load_stack_ring:
        try "stack segment of another ring"
        mov eax, RING1_DATA
        call here
        mov ss, eax
        ret
load_stack_absent:
        try "absent stack segment"
        mov eax, ABSENT_DATA            ; of ring 3; ring 0 has another reason to refuse it
        call here
        mov ss, eax
        ret

; -- far transfers

jump_to_data:
        try "jump to a data segment"
        call here
        jmp KERNEL_DATA:0
        ret
jump_to_absent:
        try "jump to an absent segment"
        call here
        jmp ABSENT_CODE:0
        ret
jump_to_null:
        try "jump to the null selector"
        call here
        jmp 0:0
        ret
jump_outside:
        try "jump outside the table"
        call here
        jmp 0x1000:0
        ret
jump_to_ring_0:
        try "jump to ring 0"
        call here
        jmp KERNEL_CODE:0
        ret
call_absent_gate:
        try "call an absent gate"
        call here
        call ABSENT_GATE:0
        ret
call_ring_0_gate:
        try "call a gate of ring 0"
        call here
        call RING0_GATE:0
        ret
call_null_gate:
        try "call a gate that leads nowhere"
        call here
        call NULL_GATE:0
        ret
iret_null:
        try "IRET to the null selector"
        push dword 2
        push dword 0
        push dword 0
        call here
        iret
iret_absent:
        try "IRET to an absent segment"
        push dword 2
        push dword ABSENT_CODE
        push dword 0
        call here
        iret
iret_inner:
        try "IRET to ring 0"
        push dword 2
        push dword KERNEL_CODE
        push dword 0
        call here
        iret
iret_outer_stack_null:
        try "IRET to ring 3 without a stack"
        xor eax, eax
        jmp iret_outer
iret_outer_stack_ring:
        try "IRET to ring 3 with a stack of ring 0"
        mov eax, KERNEL_DATA
iret_outer:
        push eax
        push dword USER_STACK - 4
        push dword 2
        push dword USER_CODE
        push dword done
        call here
        iret
return_null:
        try "far RET to the null selector"
        push dword 0
        push dword 0
        call here
        retf
ltr_busy:
        try "LTR, busy"
        mov eax, TSS_SELECTOR
        call here
        ltr ax
        ret
ltr_absent:
        try "LTR, absent"
        mov eax, SHORT_TSS
        call here
        ltr ax
        ret
ltr_null:
        try "LTR, null"
        xor eax, eax
        call here
        ltr ax
        ret
lldt_code:
        try "LLDT of a code segment"
        mov eax, KERNEL_CODE
        call here
        lldt ax
        ret

; -- control registers

paging_without_protection:
        try "CR0: paging without protection"
        mov eax, cr0
        and eax, ~1
        call here
        mov cr0, eax
        ret
write_through_without_disable:
        try "CR0: NW without CD"
        mov eax, cr0
        or eax, 0x20000000
        and eax, ~0x40000000
        call here
        mov cr0, eax
        ret
cr4_reserved:
        try "CR4: reserved bit"
        mov eax, cr4
        or eax, 0x80000000
        call here
        mov cr4, eax
        ret

; -- what ring 3 may not do

halt:   try "HLT"
        call here
        hlt
        ret
clear_interrupts:
        try "CLI"
        call here
        cli
        ret
set_interrupts:
        try "STI"
        call here
        sti
        ret
read_port:
        try "IN"
        call here
        in al, 0x80
        ret
write_port:
        try "OUT"
        mov dx, COM1
        call here
        out dx, al
        ret
read_string_port:
        try "INSB"
        mov dx, COM1
        mov edi, SMALL
        call here
        insb
        ret
clear_task_switched:
        try "CLTS"
        call here
        clts
        ret
read_cr0:
        try "MOV from CR0"
        call here
        mov eax, cr0
        ret
write_cr0:
        try "MOV to CR0"
        call here
        mov cr0, eax
        ret
read_msr:
        try "RDMSR"
        mov ecx, 0x10
        call here
        rdmsr
        ret
write_back:
        try "WBINVD"
        call here
        wbinvd
        ret
load_gdt:
        try "LGDT"
        call here
        lgdt [table_pointer]
        ret
load_ldt:
        try "LLDT"
        xor eax, eax
        call here
        lldt ax
        ret
load_task:
        try "LTR"
        call here
        ltr ax
        ret
invalidate_page:
        try "INVLPG"
        call here
        invlpg [SMALL]
        ret

; -- INT

int_absent:
        try "INT, absent gate"
        call here
        int VECTOR_ABSENT
        ret
int_kernel:
        try "INT, gate of ring 0 that is not there"
        call here
        int VECTOR_KERNEL
        ret
int_outside:
        try "INT, outside the table"
        call here
        int 0xf0
        ret

; -- to an inner ring: its stack comes from the task-state segment

gate_to_ring_1:
        try "call gate to ring 1"
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_null:
        try "ring 1 has no stack"
        mov dword [tss + TSS_SS1], 0
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_outside:
        try "ring 1's stack is outside the table"
        mov dword [tss + TSS_SS1], OUTSIDE_LDT - 2
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_ring_0:
        try "ring 1's stack belongs to ring 0"
        mov dword [tss + TSS_SS1], RING0_DATA + 1
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_selector:
        try "ring 1's stack selector asks for ring 0"
        mov dword [tss + TSS_SS1], RING1_DATA - 1
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_absent:
        try "ring 1's stack is absent"
        mov dword [tss + TSS_SS1], ABSENT_RING1
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_small:
        try "ring 1's stack is too small"
        mov dword [tss + TSS_SS1], SMALL_RING1
        mov dword [tss + TSS_ESP1], 8
        call here
        call GATE_TO_RING1:0
        ret
ring_1_stack_no_page:
        try "ring 1's stack has no page"
        mov dword [tss + TSS_ESP1], ABSENT + 4
        call here
        call GATE_TO_RING1:0
        ret
int_ring_1_stack_null:
        try "INT3 to ring 1, which has no stack"
        mov dword [tss + TSS_SS1], 0
        mov word [IDT + 3 * 8 + 2], RING1_CODE
        call here
        int3
        ret
bound_ring_1_stack_null:
        try "BOUND to ring 1, which has no stack"
        mov dword [tss + TSS_SS1], 0
        mov word [IDT + 5 * 8 + 2], RING1_CODE
        mov eax, 21
        call here
        bound eax, [bounds]
        ret

; -- pages

read_absent:
        try "read an absent page"
        call here
        mov eax, [ABSENT + 0x123]
        ret
write_absent:
        try "write to an absent page"
        call here
        mov [ABSENT + 0x123], al
        ret
modify_absent:
        try "add to an absent page"
        call here
        add dword [ABSENT + 0x120], 1
        ret
read_no_table:
        try "read where there is no table"
        call here
        mov eax, [NO_TABLE + 0x4567]
        ret
read_across:
        try "read into an absent page"
        call here
        mov eax, [LAST + PAGE - 2]
        ret
write_across:
        try "write into an absent page"
        call here
        mov [LAST + PAGE - 1], eax
        ret
fetch_absent:
        try "jump to an absent page"
        mov dword [where], ABSENT + 0x10
        mov eax, ABSENT + 0x10
        jmp eax
fetch_across:
        try "instruction into an absent page"
        mov eax, LAST + PAGE - 2
        mov [where], eax
        jmp eax
fetch_kernel:
        try "jump to a page of the kernel"
        mov eax, KERNEL_ONLY
        mov [where], eax
        jmp eax
reserved_bit:
        try "reserved bit"
        call here
        mov eax, [RESERVED + 0x1000]
        ret
read_read_only:
        try "read a read-only page"
        mov eax, [READ_ONLY]
        ret
write_read_only:
        try "write to a read-only page"
        call here
        mov [READ_ONLY + 8], eax
        ret
write_unprotected:
        try "the same without CR0.WP"
        mov eax, cr0
        and eax, ~CR0_WP
        mov cr0, eax
        call here
        mov [READ_ONLY + 8], eax
        ret
exchange_read_only:
        try "XCHG with a read-only page"
        call here
        xchg [READ_ONLY + 8], eax
        ret
compare_read_only:
        try "CMPXCHG, not equal, on a read-only page"
        mov eax, [READ_ONLY + 8]
        inc eax
        call here
        cmpxchg [READ_ONLY + 8], ecx
        ret
write_read_only_table:
        try "write below a read-only table"
        call here
        mov [READ_ONLY_TABLE + 8], eax
        ret
read_kernel:
        try "read a page of the kernel"
        call here
        mov eax, [KERNEL_ONLY]
        ret
write_kernel:
        try "write to a page of the kernel"
        call here
        mov [KERNEL_ONLY + 8], eax
        ret
write_kernel_read_only:
        try "write to a read-only page of the kernel"
        call here
        mov [KERNEL_READ], eax
        ret
read_kernel_table:
        try "read below a table of the kernel"
        call here
        mov eax, [KERNEL_TABLE]
        ret
push_absent:
        try "PUSH to an absent page"
        mov dword [where], .push
        mov esp, LAST + PAGE + 4
.push:  push eax
        ret
push_all_absent:
        try "PUSHA to an absent page"
        mov dword [where], .push
        mov esp, LAST + PAGE + 4
.push:  pushad
        ret
call_absent_stack:
        try "CALL with an absent stack"
        mov dword [where], .call
        mov esp, LAST + PAGE + 4
.call:  call here
        ret

; -- an event that cannot be delivered makes another one

undefined_without_gate:
        try "UD2 without a gate"
        and byte [IDT + 6 * 8 + 5], 0x7f
        call here
        ud2
        ret
undefined_without_two_gates:
        try "UD2 without a gate, nor one for #NP"
        and byte [IDT + 6 * 8 + 5], 0x7f
        and byte [IDT + 11 * 8 + 5], 0x7f
        ud2
        ret
divide_without_gate:
        try "DIV by zero without a gate"
        and byte [IDT + 0 * 8 + 5], 0x7f
        xor ecx, ecx
        div ecx
        ret
protection_without_gate:
        try "protection fault without a gate"
        and byte [IDT + 13 * 8 + 5], 0x7f
        xor eax, eax
        mov ss, eax
        ret
page_fault_without_gate:
        try "page fault without a gate"
        and byte [IDT + 14 * 8 + 5], 0x7f
        mov eax, [ABSENT]
        ret
page_fault_bad_gate:
        try "page fault with a gate to a data segment"
        mov word [IDT + 14 * 8 + 2], KERNEL_DATA
        mov eax, [ABSENT]
        ret
