; control: macro control, prefixes, far and indirect transfers
bits 32
%macro m 1
 %ifidn %1, 5
 db 1
 %exitmacro
 %endif
 db 2
%endmacro
m 5
m 6
%macro n 0-2 a, {b, c}
 %defstr s1 %1
 %defstr s2 %2
 db s1, '|', s2, %0
%endmacro
a equ 1
b equ 2
c equ 3
n
n x1
n x1, x2
x1 equ 5
%define str "abc"
%strlen l str
db l
%macro lbln 1
%00: dw %1
%endmacro
foo: lbln 5
dd foo
%macro retz 1
%if %1
 db %1
 %else
 db 0xff
%endif
%endmacro
retz 0
retz 3
%assign x 1
%rep 3
%rep 2
 db x
 %assign x x+1
%endrep
%endrep
%define EMPTY
%ifempty EMPTY
db 1
%endif
%ifdef EMPTY
db 2
%endif
%ifndef EMPTY
db 3
%elifdef EMPTY
db 4
%endif
%if 1
 %if 0
  %error no
 %elif 1
  db 7
 %else
  db 8
 %endif
%else
 db 9
%endif
%define DBG(msg) db msg, 10, 0
DBG("x, y")
DBG({1,2})
%define two(a,b) a - b
dd two( (1+2) , 5)
%define id(x) x
line1: db 1, \
 2, 3
rep movsb
repe cmpsb
repne scasd
lock inc dword [eax]
es mov eax, [ebx]
cs rep movsd
a16 rep movsb
rep
lock
o16 nop
ret
retf 4
[bits 16]
mov ax, bx
[BITS 32]
use16
mov ax, bx
BITS 32
mov eax, [es:ebx]
mov eax, [fs:0]
jmp 8:foo
jmp dword 8:foo
jmp word 8:foo
call 0x10:0x1234
jmp far [eax]
call dword far [ebx]
jmp word far [ebx]
call [eax]
jmp dword [eax]
jmp word [eax]
jmp eax
jmp ax
call foo
call near foo
