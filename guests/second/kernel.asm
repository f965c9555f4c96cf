; second: a kernel that a hypervisor can start: it asks for what hypervisors have to handle, and says what it got.
;
;   0010_0000  this kernel        0018_0000  top of its stack; interrupt table behind it        0018_1000  page directory
;   0020_0000  pages that nobody has touched yet
;
; CPUID, control registers, paging, memory that may have to be given first, port I/O, HLT, an exception of its own. What it prints is the same
; on the bare machine, under the hypervisor in TypeScript, and under the one of guests/hypervisor. Expected output: expected.txt

bits 32
org 0x100000
%include "multiboot.inc"
start:  jmp main

STACK           equ 0x180000
IDT             equ 0x180000
DIRECTORY       equ 0x181000
UNTOUCHED       equ 0x200000
PAGES           equ 64
CR0_PG          equ 0x80000000
CR0_WP          equ 0x00010000
CR0_TS          equ 0x00000008
CR4_PSE         equ 0x00000010

%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"

main:   mov esp, STACK
        call serial_init
        mov eax, STACK
        call gdt_init
        call idt_init
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        line "second kernel"

        xor eax, eax
        cpuid
        say "CPUID answers: "
        test eax, eax
        setnz al
        movzx eax, al
        call print_yes_no

        mov edi, DIRECTORY
        mov eax, 0x83                   ; 16 MiB in large pages
        mov ecx, 4
        cld
.map:   stosd
        add eax, 0x400000
        loop .map
        mov eax, cr4
        or eax, CR4_PSE
        mov cr4, eax
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG + CR0_WP
        mov cr0, eax
        say "paging is on: "
        mov eax, cr0
        shr eax, 31
        call print_yes_no
        say "CR3 holds the directory: "
        mov eax, cr3
        cmp eax, DIRECTORY
        sete al
        movzx eax, al
        call print_yes_no

        mov eax, cr0
        or eax, CR0_TS
        mov cr0, eax
        say "TS is set: "
        mov eax, cr0
        and eax, CR0_TS
        call print_yes_no
        clts
        say "TS is set after CLTS: "
        mov eax, cr0
        and eax, CR0_TS
        call print_yes_no

        mov edi, UNTOUCHED
        mov ecx, PAGES
.fill:  mov [edi], edi
        add edi, 4096
        loop .fill
        mov esi, UNTOUCHED
        mov ecx, PAGES
        xor ebx, ebx
.sum:   add ebx, [esi]
        add esi, 4096
        loop .sum
        say "sum over pages that were new: "
        mov eax, ebx
        call print_hex
        call newline

        say "port 80h can be written: "
        mov al, 0x42
        out 0x80, al
        mov eax, 1
        call print_yes_no

        ud2
        line "back from #UD"

        line "halting, with interrupts off in the end"
        call wait_for_tick
        line "a tick has come"
        jmp power_off

; Lets the timer interrupt once, and waits for it by HLT.
wait_for_tick:
        mov eax, tick
        mov ebx, 0x20
        mov edx, GATE_KERNEL
        call set_gate
        mov al, 0x11                    ; both controllers: vectors 20h and 28h, cascaded
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
        mov al, 0xff
        out 0xa1, al
        mov al, 0xfe                    ; the timer only
        out 0x21, al
        mov al, 0x30                    ; channel 0, mode 0: once
        out 0x43, al
        mov al, 0xff
        out 0x40, al
        mov al, 0x0f
        out 0x40, al
.wait:  sti
        hlt
        cli
        cmp dword [ticks], 0
        je .wait
        mov al, 0xff
        out 0x21, al
        ret

tick:   push eax
        inc dword [ticks]
        mov al, 0x20
        out 0x20, al
        pop eax
        iret

ticks:  dd 0

; Called by `event`: behind UD2 it goes on.
exception:
        cmp dword [ebp + FRAME_VECTOR], 6
        jne .other
        add dword [ebp + FRAME_EIP], 2
        ret
.other: say "unexpected vector "
        mov eax, [ebp + FRAME_VECTOR]
        call print_decimal
        call newline
        jmp power_off
