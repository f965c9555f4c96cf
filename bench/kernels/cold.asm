; cold: much code, none of it hot: 3,000 different functions of about 28 instructions, called in a scattered order, ten times each; then
; the same from a fresh copy at another place, and so on. It shows what the first few executions of code cost.

%define WORKLOAD "cold"
%ifndef ROUNDS
%define ROUNDS 40                       ; copies: at most 40 have room
%endif
%include "common.inc"

FUNCTIONS       equ 3000
FUNCTION_BYTES  equ 128                 ; each one begins at a multiple of that
STEP            equ 1009                ; no common divisor with FUNCTIONS: every function has its turn
EXECUTIONS      equ 10
COPIES          equ DATA + 0x1000

bench:  push ebp
        push ebx
        push esi
        push edi
        mov edi, DATA
        mov ecx, 4096 / 4
        mov eax, 1
.fill:  imul eax, eax, 1664525
        add eax, 1013904223
        stosd
        dec ecx
        jnz .fill
        xor eax, eax                    ; checksum
        mov ebp, COPIES
        mov edx, ROUNDS
.copy:  push edx
        mov esi, functions              ; nothing in them depends on where they stand
        mov edi, ebp
        mov ecx, FUNCTIONS * FUNCTION_BYTES / 4
        rep movsd
        push dword EXECUTIONS
.round: xor edi, edi                    ; index of the function
        mov esi, FUNCTIONS
.call:  mov ebx, edi
        shl ebx, 7
        add ebx, ebp
        call ebx
        add edi, STEP
        cmp edi, FUNCTIONS
        jb .next
        sub edi, FUNCTIONS
.next:  dec esi
        jnz .call
        dec dword [esp]
        jnz .round
        pop edx
        add ebp, FUNCTIONS * FUNCTION_BYTES
        pop edx
        dec edx
        jnz .copy
        pop edi
        pop esi
        pop ebx
        pop ebp
        ret

; Each function: in EAX = checksum so far, out EAX = the next one; may change EBX, ECX and EDX.
; Four kinds by the two low bits of the number, and different constants, addresses and conditions in each.
        align FUNCTION_BYTES
functions:
%assign i 0
%rep FUNCTIONS
        align FUNCTION_BYTES
function_%[i]:
%if i & 3 = 0
        mov ecx, i * 7 + 1
        add eax, i * 40503 + 12345
        mov edx, [DATA + (i * 12 & 0xffc)]
        xor edx, eax
        shr edx, i % 23 + 1
        lea ebx, [edx + ecx * 2 + i]
        cmp ebx, i * 65537
        jae .above
        sub ebx, eax
        not ebx
        jmp .join
.above: add ebx, edx
        adc ebx, i
.join:  rol eax, i % 31 + 1
        xor eax, ebx
        mov [DATA + (i * 20 & 0xffc)], eax
        movzx ecx, bl
        imul ecx, ecx, i + 3
        add eax, ecx
        test al, 1 << (i % 7)
        jz .even
        inc eax
        rol ebx, 3
.even:  sub eax, ebx
        ret
%elif i & 3 = 1
        push esi
        mov esi, DATA + (i * 8 & 0x7fc)
        mov ecx, i % 3 + 2
.again: mov edx, [esi]
        add edx, i * 31
        xor eax, edx
        ror eax, i % 29 + 2
        add esi, 4
        dec ecx
        jnz .again
        mov [esi], eax
        mov bl, al
        add bl, ah
        setc cl
        add al, cl
        xor ah, bl
        pop esi
        ret
%elif i & 3 = 2
        mov edx, eax
        and edx, i | 0xff
        or eax, i * 3
        sub eax, edx
        mov ebx, eax
        sar ebx, i % 15 + 1
        mov ecx, i * 77777
        cmp eax, ebx
        jl .less
        xchg ecx, ebx
        neg ecx
.less:  bt ebx, i % 32
        adc eax, ecx
        mov edx, i * 257
        mul edx
        xor eax, edx
        bswap eax
        add [DATA + (i * 36 & 0xffc)], eax
        mov ecx, [DATA + (i * 28 & 0xffc)]
        cmp cl, i & 0x7f
        sete bl
        movzx ebx, bl
        sub eax, ebx
        ret
%else
        push eax
        push dword i * 99991
        mov eax, [esp + 4]
        xor [esp], eax
        pop edx
        pop ebx
        shld eax, edx, i % 19 + 1
        movsx ecx, dl
        add eax, ecx
        cdq
        xor eax, edx
        mov ecx, i + 1
        test eax, 1 << (i % 31)
        jnz .set
        lea eax, [eax + eax * 4 + i]
.set:   cmp ebx, eax
        mov edx, i * 13
        jb .below
        mov edx, i * 17 + 5
.below: add eax, edx
        mov [DATA + (i * 44 & 0xffc)], ax
        ret
%endif
%assign i i + 1
%endrep
