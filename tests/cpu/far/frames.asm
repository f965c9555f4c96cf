; What the processor leaves behind when control passes between segments: stack frames, selectors, flags, descriptors.
;
;   0010_0000  this kernel           001e_0000  top of the stack of ring 3      001f_0000  top of the stack for entries from ring 3
;   0020_0000  top of the kernel's stack; interrupt table behind it
;   0030_0000  a stack segment of 16 bits (ring 0)      0031_0000  another one (ring 3)
;
; A case sets up, says its name, and does one thing; whatever it leads to ends in `arrive`, which may be entered in any ring and
; notes the stack and the registers; the kernel then prints them on one line. DS and ES hold the data segment of ring 3 throughout.
;
; The expected output, frames.expected.txt, was written by Bochs (core i7 model).
bits 32
org 0x100000
IDT     equ 0x200000
STACK   equ 0x200000
STACK0  equ 0x1f0000
STACK3  equ 0x1e0000
CODE0   equ 0x08
DATA0   equ 0x10
CODE3   equ 0x1b
DATA3   equ 0x23
TSS32   equ 0x28
GATE    equ 0x30
CONFORM equ 0x38
STACK16 equ 0x40
TSS16   equ 0x48
ABSENT  equ 0x50
USER16  equ 0x5b
RING1   equ 0x60

        align 4
        dd 0x1badb002, 0x10000, -(0x1badb002 + 0x10000)
        dd header, 0x100000, 0, 0, start
header  equ 0x100000

        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
        dw 103, tss, 0x8910, 0
        dq 0                            ; GATE
        dq 0x00cf9e000000ffff           ; CONFORM
        dq 0x000092300000ffff           ; STACK16
        dw 43, tss16, 0x8110, 0
        dq 0x00cf1a000000ffff           ; ABSENT
        dq 0x0000f2310000ffff           ; USER16
        dq 0x00c0b8000000ffff           ; RING1: execute-only, DPL 1
gdt_end:
gdt_pointer: dw gdt_end - gdt - 1
        dd gdt
idt_pointer: dw 0x7ff
        dd IDT
        align 8
tss:    dd 0, STACK0, DATA0
        times 23 dd 0
tss16:  dw 0, 0xf000, STACK16
        times 19 dw 0

vector: dd 0
saved:  times 14 dd 0
s_esp:  dd 0
s_flags: dd 0
s_cs:   dd 0
s_ss:   dd 0
s_fs:   dd 0
s_gs:   dd 0
s_eax:  dd 0
kernel_esp: dd 0

%macro case 1
        call begin
        db %1, 0
%endmacro
%macro enter3 1                         ; to ring 3, flags given
        push dword DATA3
        push dword STACK3
        push dword %1
        push dword CODE3
        push dword %%there
        iretd
%%there:
%endmacro
; gate ADDRESS, TYPE AND RIGHTS, SELECTOR, OFFSET
%macro gate 4
        mov eax, %4
        mov [%1], ax
        mov word [%1 + 2], %3
        mov word [%1 + 4], %2
        shr eax, 16
        mov [%1 + 6], ax
%endmacro

start:  mov esp, STACK
        mov edx, 0x3fb                  ; serial line: 115200 baud, 8 bits
        mov al, 0x80
        out dx, al
        mov edx, 0x3f8
        mov eax, 1
        out dx, al
        inc edx
        dec eax
        out dx, al
        mov edx, 0x3fb
        mov al, 3
        out dx, al
        mov al, 0xff                    ; no interrupts
        out 0x21, al
        out 0xa1, al
        lgdt [gdt_pointer]
        jmp CODE0:.cs
.cs:    mov eax, DATA0
        mov ss, eax
        mov eax, DATA3
        mov ds, eax
        mov es, eax
        xor eax, eax
        mov fs, eax
        mov gs, eax
        lidt [idt_pointer]
        mov eax, TSS32
        ltr ax
        ; gates of ring 0 to the stubs; 30h, 31h, 32h and 40h are open to ring 3
        mov edi, IDT
        mov ebx, stubs
        xor ecx, ecx
.gate:  mov [edi], bx
        mov word [edi + 2], CODE0
        mov word [edi + 4], 0x8e00
        mov eax, ebx
        shr eax, 16
        mov [edi + 6], ax
        add edi, 8
        add ebx, 16
        inc ecx
        cmp ecx, 0x50
        jb .gate
        mov byte [IDT + 0x40 * 8 + 5], 0xee
        mov dword [IDT + 0x40 * 8], back + (CODE0 << 16) - 0x100000
        mov word [IDT + 0x40 * 8 + 6], 0x10
        mov byte [IDT + 0x30 * 8 + 5], 0xee
        ; Gates of 16 bits reach the low 64 KiB only: a jump at 8000h leads on to `arrive`.
        mov byte [IDT + 0x31 * 8 + 5], 0xe6
        mov byte [0x8000], 0xea
        mov dword [0x8001], arrive
        mov word [0x8005], CODE0
        mov dword [IDT + 0x31 * 8], 0x8000 + (CODE0 << 16)
        mov byte [IDT + 0x32 * 8 + 5], 0xee
        mov word [IDT + 0x32 * 8 + 2], CONFORM

start_cases:
        case "INT in ring 0"
        int 0x30
        case "INT from ring 3"
        enter3 0x3202
        int 0x30
        case "INT from ring 3 without its rights"
        enter3 0x202
        int 0x35
        case "INT3 from ring 3 without its rights"
        enter3 0x2
        int3
        case "fault from ring 3"
        enter3 0xcd7
        mov eax, DATA0
        mov fs, eax
        case "INT from ring 3 through a gate of 16 bits"
        enter3 0x3202
        int 0x31
        case "INT from ring 3 to conforming code"
        enter3 0x3202
        int 0x32
        case "call gate, three parameters"
        gate gdt + GATE, 0xec03, CODE0, arrive
        enter3 0x2
        push dword 0x111
        push dword 0x222
        push dword 0x333
        call GATE:0x12345678
        case "call gate of 16 bits, two parameters"
        gate gdt + GATE, 0xe402, CODE0, 0x8000
        enter3 0x2
        push word 0x1111
        push word 0x2222
        call GATE + 3:0
        case "call gate to conforming code"
        gate gdt + GATE, 0xec03, CONFORM, arrive
        enter3 0x2
        call GATE:0
        case "call gate within ring 0"
        gate gdt + GATE, 0x8c03, CODE0 + 3, arrive
        call GATE:0
        case "call gate not open to ring 3"
        enter3 0x2
        call GATE:0
        case "call gate, RPL above its DPL"
        call GATE + 3:0
        case "jump through a call gate to ring 0"
        gate gdt + GATE, 0xec00, CODE0, arrive
        enter3 0x2
        jmp GATE:0
        case "jump to conforming code from ring 3"
        enter3 0x2
        jmp CONFORM:arrive
        case "far call in ring 0"
        call CODE0:arrive
        case "far call of 16 bits"
        call word CODE0:0x8000
        case "double fault"
        mov byte [IDT + 13 * 8 + 5], 0
        mov eax, 0x1000
        mov fs, eax
        case "UD2 without a gate"
        mov byte [IDT + 13 * 8 + 5], 0x8e
        mov byte [IDT + 6 * 8 + 5], 0
        ud2
        case "INT on a stack of 16 bits that wraps"
        mov byte [IDT + 6 * 8 + 5], 0x8e
        mov eax, STACK16
        mov ss, eax
        mov esp, 0x12340008
        int 0x30
        case "far RET to a stack of 16 bits in ring 3"
        push dword USER16
        push dword 0x55551234
        push dword CODE3
        push dword arrive
        retf
        case "far RET 8 to ring 3"
        mov eax, DATA0
        mov fs, eax
        mov eax, CONFORM
        mov gs, eax
        push dword DATA3
        push dword STACK3 - 64
        push dword 2
        push dword 1
        push dword CODE3
        push dword arrive
        retf 8
        case "IRET in ring 3, flags"
        enter3 0x0202
        push dword 0x243ed7
        push dword CODE3
        push dword arrive
        iretd
        case "IRET in ring 3 with IOPL 3, flags"
        enter3 0x3202
        push dword 0xc46
        push dword CODE3
        push dword arrive
        iretd
        case "IRET of 16 bits"
        push dword 0x200002
        popfd
        push word 0x0a46
        push word CODE0
        push word 0x8000
        o16 iret
        case "PUSH FS writes"
        push dword 2
        popfd
        mov eax, DATA3
        mov fs, eax
        mov dword [esp - 4], 0x99999999
        push fs
        jmp arrive
        case "SGDT of 16 bits"
        push dword 0x99999999
        push dword 0x99999999
        o16 sgdt [esp]
        and dword [esp + 4], 0xffffff00
        jmp arrive
        case "LAR"
        mov ecx, RING1
        or eax, -1
        lar eax, ecx
        and eax, 0xfff0ffff
        pushfd
        jmp arrive
        case "LSL"
        mov ecx, RING1
        lsl eax, ecx
        jmp arrive
        case "MOV from FS"
        or eax, -1
        mov eax, fs
        push eax
        or eax, -1
        str eax
        jmp arrive
        case "accessed and busy bits"
        push dword [gdt + TSS32 + 4]
        push dword [gdt + CONFORM + 4]
        push dword [gdt + RING1 + 4]
        jmp arrive
        case "POP SS of a segment of 16 bits"
        push dword STACK16
        mov esp, esp
        pop ss
        mov [s_eax], esp
        mov eax, esp
        mov esp, 0x1000
        jmp arrive
        case "INT from ring 3 with a TSS of 16 bits"
        mov eax, TSS16
        ltr ax
        enter3 0x2
        int 0x30
        case "INT1"
        mov eax, TSS32
        mov byte [gdt + TSS32 + 5], 0x89
        ltr ax
        enter3 0x2
        db 0xf1
        case "end of the cases"
        mov dx, 0xf4
        mov al, 0
        out dx, al
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
        hlt

; Prints what the case before has left, then the name that follows the call; the code after it is the case.
begin:  pop esi
        mov esp, STACK
        xor eax, eax
        mov fs, eax
        mov gs, eax
        mov dword [vector], 0
.name:  lodsb
        test al, al
        jz .go
        call putc
        jmp .name
.go:    push dword 2
        popfd
        mov [kernel_esp], esp
        mov eax, 0x77777777
        jmp esi

        align 16
stubs:
%assign n 0
%rep 0x50
        align 16
        mov dword [vector], n
        jmp arrive
%assign n n + 1
%endrep
arrive: mov [s_eax], eax
        mov [s_esp], esp
        mov [s_ss], ss
        mov [s_cs], cs
        mov [s_fs], fs
        mov [s_gs], gs
        pushfd
        pop dword [s_flags]
        mov edi, saved
        mov ecx, 7
        xor esi, esi
.slot:  lea ebp, [esp + esi * 4]
        mov eax, ss
        lar edx, eax
        test edx, 0x400000
        jnz .big
        movzx ebp, bp
.big:   mov eax, [ss:ebp]
        mov [edi + esi * 4], eax
        inc esi
        loop .slot
        int 0x40
; Ring 0 again.
back:   cld
        mov eax, DATA0
        mov ss, eax
        mov esp, STACK
        mov esi, .t1
        call puts
        mov eax, [vector]
        call hex
        mov esi, .t2
        call puts
        mov eax, [s_cs]
        call hexw
        mov al, ':'
        call putc
        mov esi, .t3
        call puts
        mov eax, [s_ss]
        call hexw
        mov al, ':'
        call putc
        mov eax, [s_esp]
        call hex
        mov esi, .t4
        call puts
        mov eax, [s_flags]
        call hex
        mov esi, .t5
        call puts
        mov eax, [s_fs]
        call hexw
        mov esi, .t6
        call puts
        mov eax, [s_gs]
        call hexw
        mov esi, .t7
        call puts
        mov eax, [s_eax]
        call hex
        mov esi, .t8
        call puts
        mov edi, saved
        mov ecx, 7
.slot:  mov eax, [edi]
        add edi, 4
        call hex
        mov al, ' '
        call putc
        loop .slot
        mov al, 10
        call putc
        ; the next case stands behind the next call of `begin`
        call find
        jmp eax
.t1:    db ': vector ', 0
.t2:    db ' cs ', 0
.t3:    db ' ss ', 0
.t4:    db ' fl ', 0
.t5:    db ' fs ', 0
.t6:    db ' gs ', 0
.t7:    db ' eax ', 0
.t8:    db ' stack ', 0

; EAX = address of the next case: the cases are found by the calls of `begin`.
find:   mov edx, [next]
.look:  inc edx
        cmp byte [edx], 0xe8
        jne .look
        mov eax, [edx + 1]
        lea eax, [eax + edx + 5]
        cmp eax, begin
        jne .look
        mov [next], edx
        mov eax, edx
        ret
next:   dd start_cases
puts:   lodsb
        test al, al
        jz .done
        call putc
        jmp puts
.done:  ret
hexw:   push eax
        push ecx
        shl eax, 16
        mov ecx, 4
        jmp hex.digit
hex:    push eax
        push ecx
        mov ecx, 8
.digit: rol eax, 4
        push eax
        and al, 15
        cmp al, 10
        sbb al, 0x69
        das
        call putc
        pop eax
        loop .digit
        pop ecx
        pop eax
        ret
putc:   push edx
        push eax
        mov dx, 0x3fd
.wait:  in al, dx
        test al, 0x20
        jz .wait
        mov dx, 0x3f8
        mov al, [esp]
        out dx, al
        pop eax
        pop edx
        ret
