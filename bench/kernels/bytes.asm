; bytes: byte registers and flags: long additions and subtractions with carry, high halves of registers, SETcc, rotations through
; carry, decimal correction, INC and DEC between carries.

%define WORKLOAD "bytes"
%ifndef ROUNDS
%define ROUNDS 200000
%endif
%include "common.inc"

WORDS           equ 64                  ; of the long numbers
NUMBER_A        equ DATA
NUMBER_B        equ DATA + 0x1000
TABLE           equ DATA + 0x2000       ; 256 bytes, for XLAT

bench:  push ebp
        push ebx
        push esi
        push edi
        mov edi, NUMBER_A
        mov eax, 1
        mov ecx, 0x3000 / 4
.fill:  imul eax, eax, 1664525
        add eax, 1013904223
        mov [edi], eax
        add edi, 4
        dec ecx
        jnz .fill
        xor ebp, ebp                    ; checksum
        mov dword [rounds], ROUNDS
.round:
        mov esi, NUMBER_A               ; A := A + B, words; INC and DEC leave the carry alone
        mov edi, NUMBER_B
        mov ecx, WORDS
        clc
.add:   mov eax, [edi]
        adc [esi], eax
        lea esi, [esi + 4]
        lea edi, [edi + 4]
        dec ecx
        jnz .add
        setc al
        movzx eax, al
        add ebp, eax

        mov esi, NUMBER_B               ; B := B - A, bytes of the first 64
        mov edi, NUMBER_A
        mov ecx, 64
        clc
.sub:   mov al, [edi]
        sbb [esi], al
        inc esi
        inc edi
        dec ecx
        jnz .sub
        rcl ebp, 1

        mov eax, ebp                    ; halves of registers
        mov ebx, [NUMBER_A]
        mov ecx, 16
.mix:   add al, bh
        adc ah, bl
        sbb bl, ah
        xchg al, ah
        rol bh, 3
        rcr al, 1
        rcl ah, 1
        neg bl
        not bh
        adc al, cl
        cmp al, bh
        setb dl
        setge dh
        xor al, dl
        sub ah, dh
        cmp ah, bl
        sets dl
        seto dh
        add bl, dl
        adc bh, dh
        inc al
        dec ah
        test al, 0x10
        setnz dl
        ror al, 1
        add ah, dl
        dec ecx
        jnz .mix
        shl eax, 16
        mov ax, bx
        add ebp, eax

        mov al, [NUMBER_A + 5]          ; decimal and table
        mov ah, 0
        mov ebx, TABLE
        add al, 0x27
        daa
        xlat
        sub al, 0x18
        das
        xlat
        aaa
        lahf
        and ah, 0x11                    ; AAA defines these two flags only
        cbw
        xor bp, ax
        shld ebp, eax, 7
        bt ebp, 13
        adc ebp, 0
        btc ebp, 3
        rol ebp, 5

        dec dword [rounds]
        jnz .round
        mov eax, ebp
        pop edi
        pop esi
        pop ebx
        pop ebp
        ret

        align 4
rounds: dd 0
