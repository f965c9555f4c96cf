; structures: struc, istruc, absolute
bits 32
struc pt
.x: resd 1
.y: resw 1
.z: resb 2
endstruc
db pt_size, pt.y
mov eax, [ebx+pt.y]
p: istruc pt
at .x, dd 5
at .y, dw 7
iend
q: istruc pt
at pt.y, dw 7
iend
absolute 0x500
a1: resb 4
a2: resw 1
section .text
mov eax, [a2]
mov eax, a1
mov byte [a1], 5
add eax, a1
add eax, a2-a1
dd a2
jmp a1
