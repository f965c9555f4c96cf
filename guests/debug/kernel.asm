; debug: steps through routines, sets every kind of breakpoint, and tells what each debug exception said.
;
;   0010_0000  this kernel
;   001f_0000  top of the stack for events from ring 3
;   0020_0000  top of the kernel's stack; interrupt table behind it
;   0021_0000  top of the ring-3 stack
;   0030_0000  what data breakpoints watch
;   0040_0000  notes: four words an event
;
; Nothing is printed while a breakpoint or the trap flag is in force: `exception` only takes notes (vector, EIP, DR6, EFLAGS), and
; `report` prints them: the vector, the distance of EIP from the start of the part, the bits of DR6, and "rf" where another fault than
; #DB pushed RF.
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
USER_STACK      equ 0x210000
WATCHED         equ 0x300000
NOTES           equ 0x400000

VECTOR_CALL     equ 0x30                ; ends ring 3, and a system call to be stepped over
VECTOR_EMPTY    equ 0x31                ; a handler that only returns
CR4_DE          equ 8
FLAG_TF         equ 0x100
FLAG_RF         equ 0x10000
DR6_BITS        equ 0xe00f              ; BT BS BD B3 B2 B1 B0
DB_VECTOR       equ 1
POST_PORT       equ 0x80                ; takes everything and does nothing

; fields of DR7
L0              equ 0x01
G1              equ 0x08
L2              equ 0x10
L3              equ 0x40
GD              equ 0x2000
RW_EXECUTE      equ 0
RW_WRITE        equ 1
RW_PORT         equ 2
RW_ACCESS       equ 3
LEN_1           equ 0
LEN_2           equ 4
LEN_4           equ 12

; part "name": prints it and begins to take notes; distances count from here.
%macro part 1
        line %1
        mov dword [notes_end], NOTES
        mov dword [origin], $ + 10
%endmacro

; breakpoint N, ADDRESS: loads DRn.
%macro breakpoint 2
        mov eax, %2
        mov %1, eax
%endmacro

; arm VALUE: loads DR7.
%macro arm 1
        mov eax, %1
        mov dr7, eax
%endmacro

%macro trap_flag_on 0
        pushfd
        or dword [esp], FLAG_TF
        popfd
%endmacro
%macro trap_flag_off 0
        pushfd
        and dword [esp], ~FLAG_TF
        popfd
%endmacro

start:  mov esp, STACK
        call serial_init
        mov eax, EVENT_STACK
        call gdt_init
        call idt_init
        mov edx, GATE_USER
        mov eax, call_event
        mov ebx, VECTOR_CALL
        call set_gate
        mov eax, empty_event
        mov ebx, VECTOR_EMPTY
        call set_gate
        mov dword [resume_with_rf], 1

        call registers
        call single_step
        call what_delays_steps
        call on_instructions
        call on_data
        call on_ports
        call general_detect
        call others
        call in_ring_3
        line "done"
        call power_off

; Fixed bits, and DR4 and DR5.
registers:
        line "registers"
        xor eax, eax
        mov dr6, eax
        mov dr7, eax
        mov eax, dr6
        call print_hex
        call newline
        mov eax, dr7
        call print_hex
        call newline
        breakpoint dr3, 0x12345678
        mov eax, dr3
        call print_hex
        call newline
        mov eax, 0x300
        mov dr5, eax                    ; CR4.DE is 0: it is DR7
        mov eax, dr7
        call print_hex
        call newline
        arm 0
        part "dr4 with cr4.de"
        mov eax, cr4
        or eax, CR4_DE
        mov cr4, eax
        mov dword [skip_to], .behind
        mov eax, dr4
.behind:
        mov eax, cr4
        and eax, ~CR4_DE
        mov cr4, eax
        jmp report

; A routine with most kinds of instructions, and how the trap flag comes and goes.
single_step:
        part "single step"
        trap_flag_on
        mov ecx, 2
        call .routine
        push dword .popped
        pop eax
        jmp eax
        nop
.popped:
        trap_flag_off
        call report
        part "iret sets and clears tf"
        pushfd
        or dword [esp], FLAG_TF
        push cs
        push dword .stepped
        iret
.stepped:
        nop
        pushfd
        and dword [esp], ~FLAG_TF
        push cs
        push dword .free
        iret
        nop
.free:  nop
        jmp report
.routine:
        dec ecx
        jnz .routine
        mov esi, WATCHED
        mov edi, WATCHED + 16
        mov ecx, 2
        rep movsb
        xor ecx, ecx
        rep movsb
        bswap eax
        test eax, eax
        ret

; INT n, MOV SS, POP SS, STI.
what_delays_steps:
        part "int n"
        trap_flag_on
        int VECTOR_EMPTY
        nop
        trap_flag_off
        call report
        part "mov ss and pop ss"
        mov edx, ss
        trap_flag_on
        mov ss, edx
        nop
        push ss
        pop ss
        nop
        trap_flag_off
        call report
        part "fault while stepping"
        mov dword [skip_to], .behind
        trap_flag_on
        ud2
.behind:
        nop
        trap_flag_off
        jmp report

on_instructions:
        part "instructions"
        breakpoint dr0, .first
        breakpoint dr1, .second
        breakpoint dr2, .never
        arm L0 | G1 | L2
        mov ecx, 2
.first: nop
.second:
        dec ecx
        jnz .first
        arm 0
        call report
        part "with a fault behind it"
        mov dword [skip_to], .behind
        breakpoint dr3, .bad
        arm L3
.bad:   ud2
.behind:
        arm 0
        call report
        part "repeated instruction"
        breakpoint dr0, .repeated
        arm L0
        mov edi, WATCHED
        mov ecx, 3
.repeated:
        rep stosb
        arm 0
        call report
        part "without rf it hits again"
        mov dword [resume_with_rf], 0
        mov dword [most], 3
        breakpoint dr0, .again
        arm L0
.again: nop
        arm 0
        mov dword [resume_with_rf], 1
        jmp report
.never: ret

on_data:
        part "writes"
        breakpoint dr0, WATCHED + 4
        arm L0 | (RW_WRITE | LEN_4) << 16
        mov [WATCHED + 4], eax
        mov eax, [WATCHED + 4]
        mov byte [WATCHED + 7], 1
        mov byte [WATCHED + 8], 1
        mov [WATCHED + 1], eax
        inc dword [WATCHED + 4]
        arm 0
        call report
        part "reads and writes"
        breakpoint dr1, WATCHED + 8
        arm G1 | (RW_ACCESS | LEN_2) << 20
        mov eax, [WATCHED + 8]
        mov al, [WATCHED + 9]
        mov al, [WATCHED + 10]
        mov [WATCHED + 6], eax
        push dword [WATCHED + 8]
        pop dword [WATCHED + 8]
        cmp byte [WATCHED + 8], 0
        arm 0
        call report
        part "two at once, and a step"
        breakpoint dr2, WATCHED
        breakpoint dr3, WATCHED + 1
        arm L2 | L3 | (RW_ACCESS | LEN_1) << 24 | (RW_WRITE | LEN_1) << 28
        mov [WATCHED], ax
        mov ax, [WATCHED]
        trap_flag_on
        mov [WATCHED], al
        trap_flag_off
        arm 0
        call report
        part "string"
        breakpoint dr0, WATCHED + 2
        arm L0 | (RW_WRITE | LEN_2) << 16
        mov edi, WATCHED
        mov ecx, 6
        xor eax, eax
        cld
        rep stosb
        arm 0
        call report
        part "mov ss"
        mov dword [WATCHED], KERNEL_DATA
        breakpoint dr0, WATCHED
        arm L0 | (RW_ACCESS | LEN_4) << 16
        mov ss, [WATCHED]
        nop
        nop
        arm 0
        jmp report

on_ports:
        mov eax, cr4
        or eax, CR4_DE
        mov cr4, eax
        part "ports"
        breakpoint dr0, POST_PORT
        arm L0 | (RW_PORT | LEN_1) << 16
        out POST_PORT, al
        nop
        in al, POST_PORT
        nop
        mov edx, POST_PORT
        mov esi, WATCHED
        outsb
        nop
        mov ecx, 2
        rep outsb
        arm 0
        call report
        mov eax, cr4
        and eax, ~CR4_DE
        mov cr4, eax
        ret

general_detect:
        part "general detect"
        arm GD
        mov eax, dr0
        mov eax, dr7
        push eax
        call report
        pop eax
        call print_hex
        jmp newline

others: part "icebp"
        nop
        db 0xf1
        nop
        call report
        part "int 1"
        int DB_VECTOR
        nop
        jmp report

in_ring_3:
        part "ring 3"
        mov [kernel_esp], esp
        mov dword [skip_to], .behind
        push dword USER_DATA
        push dword USER_STACK
        pushfd
        or dword [esp], FLAG_TF
        push dword USER_CODE
        push dword .user
        iret
.user:  nop
        mov eax, dr0                    ; not for ring 3
        nop
.behind:
        nop
        int VECTOR_CALL

; Ring 3 is over.
call_event:
        mov eax, KERNEL_DATA            ; IRET has taken the kernel's segments away
        mov ds, eax
        mov es, eax
        mov esp, [kernel_esp]
        jmp report

empty_event:
        iret

; Notes an event. Faults other than #DB go on at [skip_to].
exception:
        mov edi, [notes_end]
        mov eax, [ebp + FRAME_VECTOR]
        mov ebx, eax
        stosd
        mov eax, [ebp + FRAME_EIP]
        sub eax, [origin]
        stosd
        mov eax, dr6
        stosd
        mov eax, [ebp + FRAME_EFLAGS]
        stosd
        mov [notes_end], edi
        cmp ebx, DB_VECTOR
        jne .fault
        xor eax, eax
        mov dr6, eax
        cmp dword [resume_with_rf], 0
        je .impatient
        or dword [ebp + FRAME_EFLAGS], FLAG_RF
        ret
.impatient:
        dec dword [most]                ; enough seen: disarm
        jnz .out
        mov dr7, eax
.out:   ret
.fault: mov eax, [skip_to]
        mov [ebp + FRAME_EIP], eax
        ret

; Prints the notes.
report: pushad
        mov esi, NOTES
.next:  cmp esi, [notes_end]
        jae .done
        lodsd
        mov ebx, eax
        call print_hex2
        say " +"
        lodsd
        call print_hex4
        say " "
        lodsd
        and eax, DR6_BITS
        call print_hex4
        lodsd
        cmp ebx, DB_VECTOR
        je .end
        test eax, FLAG_RF
        jz .end
        say " rf"
.end:   call newline
        jmp .next
.done:  mov dword [notes_end], NOTES
        popad
        ret

        align 4
notes_end:      dd NOTES
origin:         dd 0
skip_to:        dd 0
resume_with_rf: dd 0
most:           dd 0
kernel_esp:     dd 0
