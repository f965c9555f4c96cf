; realmode: one sector that starts in real mode, and switches to protected mode by itself.
;
;   0000_0000  interrupt vectors: four bytes each, offset and segment
;   0000_7c00  this sector; its stack below it
;   0001_0000  two words, reached through different segments
;
; It calls no BIOS: there need not be one. Start: real mode at 7C00h, everything else unknown.
; Expected output: expected.txt

bits 16
org 0x7c00

COM1            equ 0x3f8
LINE_STATUS     equ COM1 + 5
TRANSMIT_EMPTY  equ 0x20
TRANSMIT_IDLE   equ 0x40
POWER           equ 0x604
SLP_EN          equ 0x2000
BOCHS           equ 0x8900
VECTOR          equ 0x60

start:  cli
        jmp 0:.here                     ; whatever CS was, it is 0 now
.here:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, start
        cld

        mov dx, COM1 + 3                ; 115,200 baud, 8 bits
        mov al, 0x80
        out dx, al
        mov dx, COM1
        mov al, 1                       ; divisor
        out dx, al
        inc dx
        mov al, 0
        out dx, al
        mov dx, COM1 + 3
        mov al, 3
        out dx, al

        mov si, text_real
        call print

; Arithmetic: a product of two words has two words; a 32-bit register may be used with a prefix.
        mov ax, 0x1234
        mov cx, 0x5678
        mul cx
        push ax
        mov ax, dx
        call print_word
        pop ax
        call print_word
        mov eax, 0x89abcdef
        rol eax, 12
        mov si, text_rotated
        call print
        call print_word

; Segments: 1000:0010 and 1001:0000 are the same byte; offsets wrap at 64 KiB.
        mov ax, 0x1000
        mov es, ax
        mov word [es:0x0010], 0xbeef
        inc ax
        mov es, ax
        mov si, text_segments
        call print
        mov bx, 0xfff8
        mov ax, [es:bx + 8]
        call print_word

; Vectors: a software interrupt, and a fault, whose handler moves the return address behind DIV.
        mov word [VECTOR * 4], service
        mov word [VECTOR * 4 + 2], 0
        mov word [0 * 4], divide_error
        mov word [0 * 4 + 2], 0
        mov ax, 0x0001
        int VECTOR
        xor cx, cx
.div:   div cx
        mov ax, es                      ; unchanged by all of that
        mov si, text_back
        call print
        call print_word

; Protected mode: a table, one bit, a far jump.
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:protected

; AX + 1 is printed.
service:
        mov si, text_service
        call print
        inc ax
        call print_word
        iret

divide_error:
        mov si, text_divide
        call print
        mov bp, sp
        mov ax, [bp]
        sub ax, start.div               ; 0: a fault points to its instruction
        call print_word
        add word [bp], 2
        iret

; Prints the text at SI up to a zero byte. Preserves AX.
print:  push ax
.next:  lodsb
        test al, al
        jz .done
        call putc
        jmp .next
.done:  pop ax
        ret

; Prints AX in hexadecimal. Changes AX and CX.
print_word:
        mov cx, 4
.digit: rol ax, 4
        push ax
        and al, 15
        cmp al, 10
        sbb al, 0x69                    ; 0-9 give 96-9F with carry, 10-15 give A1-A6:
        das                             ; with DAS these become the characters
        call putc
        pop ax
        loop .digit
        ret

; Sends AL. Changes DX.
putc:   push ax
        mov dx, LINE_STATUS
.wait:  in al, dx
        test al, TRANSMIT_EMPTY
        jz .wait
        pop ax
        mov dx, COM1
        out dx, al
        ret

        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff           ; 08: code
        dq 0x00cf92000000ffff           ; 10: data
gdt_pointer:
        dw 3 * 8 - 1
        dd gdt

bits 32
protected:
        mov eax, 0x10
        mov ds, eax
        mov ss, eax
        movzx esp, sp
        mov esi, text_protected
.next:  mov edx, LINE_STATUS
.wait:  in al, dx
        and al, TRANSMIT_EMPTY + TRANSMIT_IDLE
        cmp al, TRANSMIT_EMPTY + TRANSMIT_IDLE
        jne .wait
        lodsb
        test al, al
        jz .off
        mov edx, COM1
        out dx, al
        jmp .next
.off:   mov edx, POWER
        mov eax, SLP_EN
        out dx, ax
        mov esi, text_shutdown
        mov edx, BOCHS
        mov ecx, 8
        rep outsb
.halt:  hlt
        jmp .halt

text_real:      db "real mode", 10, "1234 * 5678 = ", 0
text_rotated:   db 10, "rotated: ", 0
text_segments:  db 10, "1001:0000 holds ", 0
text_service:   db 10, "interrupt: ", 0
text_divide:    db 10, "divide error, DIV +", 0
text_back:      db 10, "ES is still ", 0
text_protected: db 10, "protected mode", 10, 0
text_shutdown:  db "Shutdown"

        times 510 - ($ - start) db 0
        dw 0xaa55
