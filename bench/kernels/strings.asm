; strings: string instructions, long and short, forwards and backwards, overlapping and not.

%define WORKLOAD "strings"
%ifndef ROUNDS
%define ROUNDS 2000
%endif
%include "common.inc"

SOURCE          equ DATA
TARGET          equ DATA + 0x40000
BYTES           equ 0x10000

bench:  push ebp
        push ebx
        push esi
        push edi
        cld
        mov edi, SOURCE
        mov eax, 1
        mov ecx, BYTES / 4
.fill:  imul eax, eax, 1664525
        add eax, 1013904223
        stosd
        dec ecx
        jnz .fill
        xor ebp, ebp                    ; checksum
        mov ebx, ROUNDS
.round:
        mov esi, SOURCE                 ; long moves: words, then bytes at odd addresses
        mov edi, TARGET
        mov ecx, BYTES / 4
        rep movsd
        mov esi, SOURCE + 1
        mov edi, TARGET + 3
        mov ecx, BYTES / 4
        rep movsb
        mov eax, ebx                    ; fill
        mov edi, TARGET + BYTES
        mov ecx, BYTES / 4
        rep stosd
        mov edi, TARGET + BYTES + 5
        mov ecx, BYTES / 8
        rep stosb

        mov esi, SOURCE                 ; compare until they differ; where they do depends on the round
        mov edi, TARGET + 2 * BYTES
        mov ecx, BYTES / 4
        rep movsd
        mov eax, ebx
        and eax, BYTES / 2 - 1
        not byte [TARGET + 2 * BYTES + BYTES / 2 + eax]
        mov esi, SOURCE
        mov edi, TARGET + 2 * BYTES
        mov ecx, BYTES
        repe cmpsb
        setb dl
        movzx edx, dl
        add ebp, edx
        add ebp, ecx

        mov edi, TARGET                 ; look for a byte, a few times on
        mov ecx, BYTES
        mov al, bl
        mov edx, 16
.scan:  repne scasb
        jne .none
        add ebp, edi
        rol ebp, 1
        dec edx
        jnz .scan
.none:
        std                             ; backwards, overlapping: moves up by 7 bytes
        mov esi, TARGET + BYTES / 4 - 1
        mov edi, TARGET + BYTES / 4 + 6
        mov ecx, BYTES / 4
        rep movsb
        cld

        mov esi, SOURCE                 ; forwards, overlapping by four: the first word spreads
        mov edi, TARGET + 0x100
        movsd
        mov esi, TARGET + 0x100
        mov ecx, 64
        rep movsd

        mov edx, 256                    ; many short ones
        mov esi, SOURCE
        mov edi, TARGET
.short: mov ecx, edx
        and ecx, 31
        rep movsb
        mov ecx, edx
        and ecx, 7
        mov eax, edx
        rep stosd
        lodsb
        movzx eax, al
        add ebp, eax
        lodsw
        stosw
        scasb
        adc ebp, 0
        dec edx
        jnz .short

        mov esi, TARGET                 ; what has become of it
        mov ecx, 1024
.sum:   lodsd
        rol ebp, 3
        xor ebp, eax
        dec ecx
        jnz .sum
        dec ebx
        jnz .round
        mov eax, ebp
        pop edi
        pop esi
        pop ebx
        pop ebp
        ret
