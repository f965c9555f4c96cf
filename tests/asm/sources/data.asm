; data: constants, strings, expressions, reservations, alignment, inclusion
bits 32
org 0x7c00
start: nop
db 1, 2, 'abc', "d'e", `a\n\x41\101\u263a`, 0
dw 'a', 'abc', 0x1234, -1, start, $-start
dd 'abcd', 'abcde', 1_000, 0b1010_1010, 17o, 0q17, 777q, 0xffff_ffff, 0ffh, $0ff, 10d, 0d10, 101b, 0h1f, 0y11
dq 0x123456789abcdef0, 'abcdefgh', 'abcdefghi', start, -1
db 1+2*3, (1+2)*3, 10/3, 10 % 3, -10//3, -10 %% 3, 1<<4, 256>>2, ~0 & 0xff, !5, !0, 5^3, 5|2, 6&3
db 1<2, 2<=2, 3>4, 3>=4, 3==3, 3!=3, 3<>4, 1&&0, 1||0, 1^^1
dd -1>>4, -1>>>4, 1<<33, 5 ? 6 : 7, 0 ? 6:7
dd 'ab'+1, -(3-5), +4
here: dd $, $$, $-$$, here-start, later-here
later: resb 3
resw 2
resd 1
resq 1
times 5 db 1,2
times 3 dw here
t: times 4-($-t) db 0xee
align 16
db 1
align 8, db 0xcc
alignb 4
db 1
alignb 16
x equ 5
y equ x*2+later-start
z equ later
dd x, y, z, z+1
incbin "included.bin"
incbin "included.bin",3
incbin "included.bin",3,4
%include "included.inc"
db FROM_INC
.local: jmp .local
second:
.local: jmp .local
 jmp included.local
 jmp second.local
$eax: dd $eax

dw "hello"
dd "hello"
db ?
db ''
x2: equ 9
db x2
mov eax, 'abcd'
mov eax, 'ab'
mov al, 'a'
db `\"\\\'\e\0\t`
dq -1 >> 4, -1 >>> 4, -10 / 3, -10 % 3, -10 // 3, -10 %% 3, 1 << 63, -1 < 1, 0xffff_ffff_ffff_ffff + 2
