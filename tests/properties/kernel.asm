; The kernel that random code runs under. It sends every exception to one handler, which goes on with the next slot of the code in a
; known state, so that a run survives nearly everything that code can do.
;
; 0010_0000  this kernel, tables, variables           (supervisor pages)
; 0011_0000  page directory and page table             (the image brings them, and the data)
; 0012_0000  AREA: code in slots of 32 bytes           (user pages)
;   + 4000     data, with a copy of `bait` where EBX points; 5000 is read-only, 6000 is not there, 7000 shows the code once more
;   + 9000     stack, from A000 downwards
bits 32
org 0x100000
AREA    equ 0x120000
CODE_BYTES equ 0x4000
STACK   equ 0xa000
KSTACK  equ 0x11f000
VECTORS equ 0x84
PAGE_DIRECTORY equ 0x110000
PAGE_TABLE equ 0x111000

start:  mov esp, KSTACK
        lgdt [gdtr]
        jmp 8:.flat
.flat:  mov ax, 16
        mov ss, ax
        mov ds, ax
        mov es, ax
        mov ax, 0x28
        ltr ax
        mov ax, 0x58
        lldt ax
        lidt [idtr]
        ; interrupt controllers: only the timer
        mov al, 0x11
        out 0x20, al
        out 0xa0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xfe
        out 0x21, al
        mov al, 0xff
        out 0xa1, al
        mov al, 0x34
        out 0x43, al
        mov al, [period]
        out 0x40, al
        xor eax, eax
        out 0x40, al
        cmp byte [paging], 0
        je .go
        mov eax, PAGE_DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
.go:    xor ecx, ecx
        jmp resume

; What is on the stack when `caught` is reached: vector, error code (0 where there is none), EIP, CS, EFLAGS, and ESP and SS of an outer ring.
align 16
stubs:
%assign v 0
%rep VECTORS
        times (v * 16) - ($ - stubs) nop
%if v == 0x80
        iretd
%elif v == 8 || (v >= 10 && v <= 14) || v == 17
        push dword v
        jmp near caught
%else
        push byte 0
        push dword v
        jmp near caught
%endif
%assign v v + 1
%endrep

caught: pushad
        push ds
        push es
        mov ax, 16
        mov ds, ax
        mov es, ax
        cld
        mov al, [esp + 40]
        cmp al, 0x20
        jne .say
        mov al, 0x20
        out 0x20, al
        inc dword [ticks]
        test byte [ticks], 1
        jz .skip
        pop es                          ; every other tick goes unnoticed
        pop ds
        popad
        add esp, 8
        iretd
.say:   add al, 'A'
        mov dx, 0x3f8
        out dx, al
        mov ecx, [esp + 48]
        mov eax, [esp + 52]
        and eax, 0xfffc
        cmp eax, 0x30
        je .small
        cmp eax, 0x40
        jne .linear
.small: movzx ecx, cx
        add ecx, AREA
.linear: sub ecx, AREA
        cmp ecx, CODE_BYTES
        jae .skip
        shr ecx, 5
        inc ecx
        jmp .go
.skip:  mov ecx, [high]                 ; from nowhere, or with a loop that lasts: behind all that was reached so far
        inc ecx
.go:    dec dword [fuel]
        jz finish
        cmp ecx, [high]
        jbe .keep
        mov [high], ecx
.keep:  mov eax, [esp + 36]
        mov [saved_eax], eax
        mov eax, [esp + 32]
        and eax, 0x3f
        mov [saved_ecx], eax
        mov eax, [esp + 28]
        mov [saved_edx], eax

; Goes on with slot ECX, in its mode, with registers that point where there is something.
resume: cmp ecx, [slots]
        jae finish
        mov ax, 16
        mov ss, ax
        mov esp, KSTACK
        movzx edi, byte [modes + ecx]
        imul edi, edi, 20
        add edi, mode_table
        shl ecx, 5
        add ecx, [edi + 8]
        mov ebx, [edi + 12]             ; where the data segments begin
        lea eax, [ebx + STACK]
        mov edx, [edi + 4]
        test byte [edi], 3
        jz .ring0
        push edx
        push eax
        jmp .frame
.ring0: mov ss, dx
        mov esp, eax
.frame: push dword [edi + 16]
        push dword [edi]
        push ecx
        mov es, dx
        mov fs, dx
        mov gs, dx
        mov eax, [saved_eax]
        mov ecx, [saved_ecx]
        lea esi, [ebx + 0x4400]
        lea edi, [ebx + 0x4800]
        lea ebp, [ebx + 0x9800]
        lea ebx, [ebx + 0x4100]
        mov ds, dx
        mov edx, [cs:saved_edx]
        iretd

finish: mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
        jmp finish

; CS, data segments, beginning of AREA in code and in data, EFLAGS
mode_table:
        dd 0x1b, 0x23, AREA, AREA, 0x202        ; ring 3, flat
        dd 0x08, 0x10, AREA, AREA, 0x202        ; ring 0, flat
        dd 0x43, 0x4b, 0, 0, 0x202              ; ring 3, 16-bit segments
        dd 0x30, 0x38, 0, 0, 0x202              ; ring 0, 16-bit segments
        dd 0x1b, 0x53, AREA, 0, 0x202           ; ring 3, 32-bit segments with base and limit
        dd 0x1b, 0x23, AREA, AREA, 0x3202       ; ring 3, flat, IOPL 3
        dd 0x79, 0x99, AREA, AREA, 0x202        ; ring 1, flat

align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff                   ; 08 code, ring 0
        dq 0x00cf92000000ffff                   ; 10 data, ring 0
        dq 0x00cffa000000ffff                   ; 18 code, ring 3
        dq 0x00cff2000000ffff                   ; 20 data, ring 3
        dw 0x67, tss - $$, 0x8910, 0            ; 28 TSS
        dq 0x00009a120000ffff                   ; 30 16-bit code at AREA, ring 0
        dq 0x000092120000ffff                   ; 38 16-bit data, ring 0
        dq 0x0000fa120000ffff                   ; 40 16-bit code, ring 3
        dq 0x0000f2120000ffff                   ; 48 16-bit data, ring 3
        dq 0x0040f2120000ffff                   ; 50 32-bit data at AREA, ring 3
        dw 15, ldt - $$, 0x8210, 0              ; 58 LDT
        dw gate_target - $$, 8, 0xec00, 0x10    ; 60 call gate, for ring 3
        dq 0x00cff6000000ffff                   ; 68 expand-down data, ring 3
        dq 0x00cf9e000000ffff                   ; 70 conforming code
        dq 0x00cfba000000ffff                   ; 78 code, ring 1
        dq 0x00cf72000000ffff                   ; 80 data that is not there
        dq 0x00cff0000000ffff                   ; 88 read-only data, ring 3
        dw 0x67, tss - $$, 0x8910, 0            ; 90 a TSS that nobody uses
        dq 0x00cfb2000000ffff                   ; 98 data, ring 1
gdtr:   dw $ - gdt - 1
        dd gdt
align 8
idtr:   dw VECTORS * 8 - 1
        dd idt
align 8
ldt:    dq 0x00cff2000000ffff, 0x0040f2120000ffff
tss:    dd 0, KSTACK, 16, KSTACK - 0x400, 0x99, KSTACK - 0x800, 0x23
        times 104 - ($ - tss) db 0
gate_target: retf

; Operands that make sense: far pointers, pseudo-descriptors, bounds, selectors, control registers.
bait:   dw gdtr - gdt - 1
        dd gdt
        dw 0
        dw VECTORS * 8 - 1
        dd idt
        dw 0
        dd AREA + 0x4200
        dd 0x23
        dd AREA + 0x40
        dd 0x1b
        dd -5, 1000
        dd 0x53, 0x58, 0x90, 0x60
        dd 0x80000011, PAGE_DIRECTORY, 0x10, 0x80000031
        dd 0, 1, -1, 0x80000000, 0x7fffffff
bait_end:

align 4
ticks:  dd 0
high:   dd 0
fuel:   dd 300
saved_eax: dd 0
saved_ecx: dd 0
saved_edx: dd 0
; What the program says about itself.
slots:  dd 0
period: db 3
paging: db 0
modes:  times CODE_BYTES / 32 db 0
; Gates: 3 to 5, 80h and 81h are for everybody, 82h is not there, 83h is a trap gate.
align 8
idt:
%assign v 0
%rep VECTORS
%if (v >= 3 && v <= 5) || v == 0x80 || v == 0x81
%assign access 0xee00
%elif v == 0x82
%assign access 0x6e00
%elif v == 0x83
%assign access 0xef00
%else
%assign access 0x8e00
%endif
        dw (stubs - $$ + v * 16) & 0xffff, 8, access, 0x10
%assign v v + 1
%endrep
