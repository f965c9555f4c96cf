; v86: a small real-mode program in virtual-8086 mode, and the monitor that makes it believe that the machine is its own.
;
;   0000_0000  interrupt vectors of the program
;   0000_8000  the program, as it was assembled; its segments are 0800h
;   0000_a000  page that is not there until the program touches it
;   0000_f000  top of its stack
;   000f_fff0  end of the first MiB: segment FFFFh reaches 64 KiB further
;   0010_0000  this kernel
;   001f_0000  top of the stack for events out of virtual-8086 mode
;   0020_0000  top of the kernel's stack; interrupt table behind it
;   0020_1000  page directory, one table
;
; The program runs twice: with IOPL 0, where CLI, STI, PUSHF, POPF, INT and IRET come to the monitor as #GP, and with IOPL 3, where
; the processor executes them itself. The serial port is its own by the bit map of the TSS; the monitor emulates the other ports.
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
TABLE           equ 0x202000
PROGRAM         equ 0x8000
DEMAND          equ 0xa000
PROGRAM_STACK   equ 0x7000              ; in its segment
PROGRAM_SEGMENT equ PROGRAM / 16
PAGE            equ 4096

CR0_PG          equ 0x80000000
FLAG_IF         equ 0x00000200
FLAG_IOPL       equ 0x00003000
FLAG_RF         equ 0x00010000
FLAG_VM         equ 0x00020000

; behind SS in the frame of an event out of virtual-8086 mode
FRAME_V86_ES    equ 68
FRAME_V86_DS    equ 72
FRAME_V86_FS    equ 76
FRAME_V86_GS    equ 80

MAP_BYTES       equ 0x400 / 8 + 1       ; ports 0 to 3FFh; the last byte is all ones
PORT_ANSWER     equ 0x60                ; reads A5h, then one more each time
PORT_SHOW       equ 0x80                ; a byte that the monitor prints
PORT_REQUEST    equ 0x81                ; asks for an interrupt, vector 40h
PORT_END        equ 0x82                ; ends the program
VECTOR_REQUEST  equ 0x40
VECTOR_OPEN     equ 0x41                ; gate of DPL 3 in the kernel's table
VECTOR_CLOSED   equ 0x42                ; gate of DPL 0
VECTOR_OUTER    equ 0x43                ; gate that leads to code of ring 3

start:  mov esp, STACK
        call serial_init
        mov al, 0xff                    ; no interrupts of the real devices
        out 0x21, al
        out 0xa1, al
        mov eax, EVENT_STACK
        call gdt_init
        call map_init
        call idt_init
        mov edx, GATE_USER
        mov eax, stubs + 3 * STUB_BYTES ; INT3 and INTO
        mov ebx, 3
        call set_gate
        add eax, STUB_BYTES
        inc ebx
        call set_gate
        mov eax, open_event
        mov ebx, VECTOR_OPEN
        call set_gate
        mov ebx, VECTOR_OUTER
        call set_gate
        mov word [IDT + VECTOR_OUTER * 8 + 2], USER_CODE
        mov edx, GATE_KERNEL
        mov ebx, VECTOR_CLOSED
        call set_gate
        call paging_init

        line "IOPL 0"
        mov eax, FLAG_VM + FLAG_IF + 2
        call run
        line "IOPL 3"
        mov byte [second], 1
        mov eax, FLAG_VM + FLAG_IOPL + 2
        call run
        jmp power_off

; Runs the program from its beginning with EFLAGS = EAX. PORT_END comes back here.
run:    mov esi, program
        mov edi, PROGRAM
        mov ecx, program_end - program
        rep movsb
        mov dword [TABLE + DEMAND / PAGE * 4], 0
        mov ecx, cr3
        mov cr3, ecx
        mov byte [answer], 0xa5
        mov dword [virtual_if], 1
        mov dword [requested], 0
        xor ecx, ecx
        mov [traps], ecx
        mov [kernel_esp], esp
        push dword 0x4444               ; GS, FS, DS, ES
        push dword 0x3333
        push dword PROGRAM_SEGMENT
        push dword 0x2222
        push dword PROGRAM_SEGMENT      ; SS
        push dword PROGRAM_STACK
        push eax
        push dword PROGRAM_SEGMENT      ; CS
        push dword 0
        iret
ended:  mov esp, [kernel_esp]
        say "traps: "
        mov eax, [traps]
        call print_decimal
        call newline
        ret

; ---- the monitor ----

        align STUB_BYTES
open_event:
        push dword 0
        push dword VECTOR_OPEN
        jmp near event

; EBP = frame (idt.inc)
exception:
        inc dword [traps]
        test dword [ebp + FRAME_EFLAGS], FLAG_VM
        jz kernel_fault
        cmp dword [ebp + FRAME_VECTOR], 13
        je sensitive
        cmp dword [ebp + FRAME_VECTOR], 14
        je page_fault
        jmp report

; #GP: one of the instructions that the monitor takes over, or a mistake.
sensitive:
        cmp dword [ebp + FRAME_ERROR], 0
        jne report
        mov dword [size], 2
        movzx esi, word [ebp + FRAME_CS]
        shl esi, 4
        movzx eax, word [ebp + FRAME_EIP]
        add esi, eax                    ; linear address of the instruction
        mov ebx, 1                      ; its length
        cmp byte [esi], 0x66
        jne .opcode
        mov dword [size], 4
        inc esi
        inc ebx
.opcode:
        mov al, [esi]
        cmp al, 0xfa
        je .cli
        cmp al, 0xfb
        je .sti
        cmp al, 0x9c
        je .pushf
        cmp al, 0x9d
        je .popf
        cmp al, 0xcd
        je .int
        cmp al, 0xcf
        je .iret
        movzx edx, byte [esi + 1]
        cmp al, 0xe4
        je .in_byte
        cmp al, 0xe6
        je .out_byte
        movzx edx, word [ebp + FRAME_EDX]
        cmp al, 0xec
        je .in
        cmp al, 0xee
        je .out
        jmp report
.cli:   mov dword [virtual_if], 0
        jmp .done
.sti:   mov dword [virtual_if], 1
        jmp .done
.pushf: call virtual_flags
        call push_program
        jmp .done
.popf:  call pop_program
        call set_virtual_flags
        jmp .done
.int:   inc ebx
        movzx eax, byte [esi + 1]
        add [ebp + FRAME_EIP], bx
        jmp reflect
.iret:  call pop_program
        mov [ebp + FRAME_EIP], ax
        call pop_program
        mov [ebp + FRAME_CS], ax
        call pop_program
        call set_virtual_flags
        jmp interrupt_if_due
.in_byte:
        inc ebx
.in:    cmp edx, PORT_ANSWER
        jne report
        mov al, [answer]
        mov [ebp + FRAME_EAX], al
        inc byte [answer]
        jmp .done
.out_byte:
        inc ebx
.out:   cmp edx, PORT_SHOW
        je .show
        cmp edx, PORT_REQUEST
        je .request
        cmp edx, PORT_END
        je ended
        jmp report
.show:  say "  the monitor shows "
        mov eax, [ebp + FRAME_EAX]
        call print_hex2
        call newline
        jmp .done
.request:
        mov dword [requested], 1
.done:  add [ebp + FRAME_EIP], bx
interrupt_if_due:
        cmp dword [virtual_if], 0
        je .none
        cmp dword [requested], 0
        je .none
        mov dword [requested], 0
        mov eax, VECTOR_REQUEST
        jmp reflect
.none:  ret

; INT EAX as real mode has it, for the program.
reflect:
        push eax
        mov dword [size], 2
        call virtual_flags
        call push_program
        mov ax, [ebp + FRAME_CS]
        call push_program
        mov ax, [ebp + FRAME_EIP]
        call push_program
        mov dword [virtual_if], 0
        pop eax
        mov ecx, [eax * 4]
        mov [ebp + FRAME_EIP], cx
        shr ecx, 16
        mov [ebp + FRAME_CS], cx
        ret

; EAX = the flags that the program has to see: its own IF, IOPL 3.
virtual_flags:
        mov eax, [ebp + FRAME_EFLAGS]
        and eax, ~(FLAG_RF + FLAG_VM + FLAG_IF)
        or eax, FLAG_IOPL
        cmp dword [virtual_if], 0
        je .off
        or eax, FLAG_IF
.off:   ret

; The program has set its flags to AX.
set_virtual_flags:
        mov ecx, eax
        shr ecx, 9
        and ecx, 1
        mov [virtual_if], ecx
        and eax, 0x4dd5                 ; neither IF, IOPL nor TF
        mov ecx, [ebp + FRAME_EFLAGS]
        and ecx, ~0x4cd5
        or eax, ecx
        mov [ebp + FRAME_EFLAGS], eax
        ret

; The stack of the program: [size] bytes of EAX.
push_program:
        movzx ecx, word [ebp + FRAME_ESP]
        sub ecx, [size]
        mov [ebp + FRAME_ESP], cx
        movzx ecx, cx
        movzx edx, word [ebp + FRAME_SS]
        shl edx, 4
        add ecx, edx
        cmp dword [size], 4
        je .wide
        mov [ecx], ax
        ret
.wide:  mov [ecx], eax
        ret
pop_program:
        movzx ecx, word [ebp + FRAME_ESP]
        movzx edx, word [ebp + FRAME_SS]
        shl edx, 4
        mov eax, [ecx + edx]
        cmp dword [size], 4
        je .wide
        movzx eax, ax
.wide:  add ecx, [size]
        mov [ebp + FRAME_ESP], cx
        ret

; The program gets its page when it touches it.
page_fault:
        say "  page fault, error code "
        mov eax, [ebp + FRAME_ERROR]
        call print_hex2
        say ", address "
        mov eax, cr2
        call print_hex
        call newline
        mov eax, cr2
        and eax, ~(PAGE - 1)
        cmp eax, DEMAND
        jne kernel_fault
        mov dword [TABLE + DEMAND / PAGE * 4], DEMAND + 7
        ret

; An event that the monitor has no use for: prints it. The program goes on at BP.
report: say "  vector "
        mov eax, [ebp + FRAME_VECTOR]
        call print_hex2
        say ", error code "
        mov eax, [ebp + FRAME_ERROR]
        call print_hex4
        say ", at "
        mov eax, [ebp + FRAME_CS]
        call print_hex4
        mov al, ':'
        call putc
        mov eax, [ebp + FRAME_EIP]
        movzx ecx, word [ebp + FRAME_ESI]
        sub eax, ecx                    ; how far behind the instruction that SI names
        call print_hex4
        say ", flags "
        mov eax, [ebp + FRAME_EFLAGS]
        and eax, ~0x108d5               ; RF and what is arithmetic
        call print_hex
        say ", SS:SP "
        mov eax, [ebp + FRAME_SS]
        call print_hex4
        mov al, ':'
        call putc
        mov eax, [ebp + FRAME_ESP]
        call print_hex4
        say ", ES DS FS GS"
        mov ecx, FRAME_V86_ES
.next:  mov al, ' '
        call putc
        mov eax, [ebp + ecx]
        call print_hex4
        add ecx, 4
        cmp ecx, FRAME_V86_GS
        jbe .next
        say ", here"
        mov al, ' '
        call putc
        mov eax, [ebp + FRAME_DS]       ; what the handler found in DS and FS
        call print_hex4
        mov al, ' '
        call putc
        mov eax, fs
        call print_hex4
        call newline
        movzx eax, word [ebp + FRAME_EBP]
        mov [ebp + FRAME_EIP], eax
        ret

kernel_fault:
        line "  the kernel itself has failed"
        jmp power_off

; ---- tables ----

; A TSS with a bit map: ports 3F8h to 3FFh are open.
map_init:
        mov dword [map_tss + TSS_ESP0], EVENT_STACK
        mov dword [map_tss + TSS_SS0], KERNEL_DATA
        mov word [map_tss + TSS_IO_MAP], TSS_BYTES
        mov edi, map_tss + TSS_BYTES
        mov ecx, MAP_BYTES
        mov al, 0xff
        rep stosb
        mov byte [map_tss + TSS_BYTES + 0x3f8 / 8], 0
        mov word [gdt_tss], TSS_BYTES + MAP_BYTES - 1
        mov eax, map_tss
        mov [gdt_tss + 2], ax
        shr eax, 16
        mov [gdt_tss + 4], al
        mov byte [gdt_tss + 5], 0x89
        mov eax, TSS_SELECTOR
        ltr ax
        ret

; 4 MiB as they are; the program may use the first one and 64 KiB behind it.
paging_init:
        mov dword [DIRECTORY], TABLE + 7
        mov edi, TABLE
        mov eax, 7
.user:  stosd
        add eax, PAGE
        cmp eax, 0x110000
        jb .user
        and eax, ~4
.kernel:
        stosd
        add eax, PAGE
        cmp eax, 0x400000
        jb .kernel
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        ret

        align 4
map_tss:
        times TSS_BYTES + MAP_BYTES db 0
        align 4
kernel_esp: dd 0
traps:      dd 0
virtual_if: dd 0
requested:  dd 0
size:       dd 0
answer:     dd 0

; ---- the program: real-mode code, addresses from 0 ----

; print "text": by INT 10h, character by character.
%macro print16 1
        call print_inline16
        db %1, 0
%endmacro
; fails INSTRUCTION: it faults; SI names it, BP where to go on.
%macro fails 1+
        mov si, %%here - program
        mov bp, %%next - program
%%here: %1
        print16 "  no fault"
        call newline16
%%next:
%endmacro

        align 16
bits 16
program:
        xor ax, ax                      ; vectors, as a real-mode program sets them
        mov es, ax
        mov word [es:0x10 * 4], teletype - program
        mov [es:0x10 * 4 + 2], cs
        mov word [es:0x21 * 4], service - program
        mov [es:0x21 * 4 + 2], cs
        mov word [es:VECTOR_REQUEST * 4], request - program
        mov [es:VECTOR_REQUEST * 4 + 2], cs
        mov ax, 0x2222
        mov es, ax
        smsw ax                         ; not privileged: PE tells that this is not real mode
        and ax, 1
        mov [machine - program], ax
        print16 "  segments "
        mov ax, cs
        call hex16
        mov ax, ds
        call hex16
        mov ax, es
        call hex16
        mov ax, fs
        call hex16
        mov ax, gs
        call hex16
        mov ax, ss
        call hex16
        mov ax, sp
        call hex16
        mov ax, [machine - program]
        call hex16
        call newline16

        print16 "  flags: CLI, STI, POPF, PUSHFD"
        cli
        call flags16
        sti
        call flags16
        mov ax, 0x4cd5
        push ax
        popf
        call flags16
        cld
        push word 0x0202
        popf
        pushfd
        pop eax
        and eax, 0x37fd7 - 0x8d5
        push ax
        shr eax, 16
        call hex16
        pop ax
        call hex16
        call newline16

        cmp byte [second - program], 0  ; with IOPL 3 INT n goes through the kernel's table
        jne .no_service
        print16 "  INT 21h: "
        mov ax, 0x1234
        int 0x21
        call hex16
        call newline16

        print16 "  an interrupt that waits for STI:"
        cli
        mov al, 0
        out PORT_REQUEST, al
        print16 " CLI"
        sti
        print16 " STI"
        call newline16
.no_service:
        print16 "  ports:"
        in al, PORT_ANSWER
        call hex16
        mov dx, PORT_ANSWER
        in al, dx
        call hex16
        call newline16
        mov al, 0x77
        out PORT_SHOW, al
        fails in ax, dx                 ; the monitor does not know words
        mov dx, 0x3ff
        fails in ax, dx                 ; one of the two ports is not open
        mov dx, 0xffff
        fails out dx, al                ; beyond the map

        print16 "  far calls: "
        call PROGRAM_SEGMENT + 1:far_routine - program - 16
        call hex16
        mov ax, 0xffff
        mov ds, ax
        mov ax, [0x10]                  ; behind the first MiB: the kernel
        push cs
        pop ds
        call hex16
        call newline16
        mov bx, [DEMAND - PROGRAM]      ; page fault
        print16 "  page read"
        call newline16

        print16 "  faults"
        call newline16
        fails mov ax, [0xffff]
        fails push word [0xffff]
        mov bx, 0xffff
        fails mov [bx], ax
        fails mov ax, [ss:bx]
        fails hlt
        fails clts
        fails lgdt [0]
        fails lidt [0]
        fails mov eax, cr0
        fails mov cr3, eax
        fails lmsw ax
        fails invlpg [0]
        fails sldt ax
        fails str ax
        fails lldt ax
        fails ltr ax
        fails lar ax, bx
        fails lsl ax, bx
        fails verr ax
        fails verw ax
        fails arpl ax, bx
        fails ud2
        fails int3
        mov al, 0x7f
        add al, 1
        fails into
        xor cx, cx
        fails div cx
        fails jmp dword 0x12345         ; beyond 64 KiB
        print16 "  INT 41h, 42h, 43h"
        call newline16
        cmp byte [second - program], 0
        je .end                         ; with IOPL 0 they would be the program's own
        fails int VECTOR_OPEN
        fails int VECTOR_CLOSED
        fails int VECTOR_OUTER
        fails int 0x60
.end:   mov al, 0
        out PORT_END, al

far_routine:
        mov ax, cs
        retf

; INT 10h: AL to the serial port, whose ports are open.
teletype:
        call putc16
        iret

; INT 21h: AX = AX + the flags' IF in bit 0, as the handler finds it.
service:
        push bx
        pushf
        pop bx
        shr bx, 9
        and bx, 1
        add ax, bx
        pop bx
        iret

request:
        push ax
        mov al, '!'
        call putc16
        pop ax
        iret

putc16: push dx
        push ax
        mov dx, UART_LINE_STATUS
.wait:  in al, dx
        test al, TRANSMIT_EMPTY
        jz .wait
        mov dx, UART_DATA
        pop ax
        out dx, al
        pop dx
        ret

; One character: by INT 10h where it is the program's.
char16: cmp byte [cs:second - program], 0
        jne putc16
        int 0x10
        ret

print_inline16:
        push si
        push bp
        mov bp, sp
        mov si, [bp + 4]
        push ax
.next:  mov al, [cs:si]
        inc si
        test al, al
        jz .done
        call char16
        jmp .next
.done:  pop ax
        mov [bp + 4], si
        pop bp
        pop si
        ret

newline16:
        push ax
        mov al, 10
        call char16
        pop ax
        ret

; Prints a blank and AX in hexadecimal.
hex16:  push ax
        push cx
        push bx
        mov bx, ax
        mov al, ' '
        call char16
        mov cx, 4
.next:  rol bx, 4
        mov al, bl
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .digit
        add al, 'A' - '9' - 1
.digit: call char16
        loop .next
        pop bx
        pop cx
        pop ax
        ret

; Prints the flags that are not arithmetic.
flags16:
        pushf
        pop ax
        and ax, 0xf702
        call hex16
        ret

machine: dw 0
second: db 0
program_end:
