; hello: the smallest kernel that says something and switches the machine off.
;
;   0010_0000  this kernel: multiboot header, code, text (the loader enters at `start` in 32-bit protected mode)
;
; It needs no stack, no descriptor tables and no interrupts. Expected output: expected.txt

bits 32
org 0x100000

COM1            equ 0x3f8               ; transmitter holding register; line status is at +5
LINE_STATUS     equ COM1 + 5
TRANSMIT_EMPTY  equ 0x20
POWER           equ 0x604               ; ACPI PM1a control: SLP_EN means off
SLP_EN          equ 0x2000

; multiboot header, version 1, flag 16: the five addresses say where the image goes
MAGIC           equ 0x1badb002
FLAGS           equ 0x00010000

header: dd MAGIC, FLAGS, -(MAGIC + FLAGS)
        dd header                       ; where this header goes
        dd header                       ; load address of the image's first byte
        dd 0, 0                         ; load all of the image; no zeroed memory after it
        dd start                        ; entry

start:  mov esi, text
.next:  mov dx, LINE_STATUS
.wait:  in al, dx                       ; wait until the transmitter takes a byte
        test al, TRANSMIT_EMPTY
        jz .wait
        mov al, [esi]
        inc esi
        test al, al
        jz .off
        mov dx, COM1
        out dx, al
        jmp .next

.off:   mov dx, POWER
        mov ax, SLP_EN
        out dx, ax
.halt:  cli                             ; only a machine without that port comes here
        hlt
        jmp .halt

text:   db "hello from ring 0", 10, 0
