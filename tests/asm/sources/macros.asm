; macros: single-line and multi-line macros, conditions, repetition
bits 32
%define A 1
%define B(x) (x)*2
%define B(x,y) (x)+(y)
%xdefine C A
%define A 2
db A, B(3), B(3,4), C
%assign i 0
%rep 5
db i
%assign i i+1
%endrep
%macro push2 2
 push %1
 push %2
%endmacro
push2 eax, ebx
%macro defarg 1-3 ebx, ecx
 mov %1, %2
 mov %1, %3
 db %0
%endmacro
defarg eax
defarg eax, edx
defarg eax, edx, esi
%macro lbl 1
%%a: dec %1
 jnz %%a
%endmacro
lbl eax
lbl ebx
%macro greedy 1+
 db %1
%endmacro
greedy 1, 2, 3, "abc"
%macro many 1-*
%rep %0
 db %1
%rotate 1
%endrep
%endmacro
many 1,2,3,4
%ifdef A
db 0xaa
%else
db 0xbb
%endif
%ifndef NOTDEF
db 0xcc
%endif
%if A == 3
db 3
%elif A == 2
db 2
%else
db 9
%endif
%ifidn abc, abc
db 1
%endif
%ifidni ABC, abc
db 2
%endif
%ifnum 5
db 5
%endif
%ifid foo
db 6
%endif
%ifstr "foo"
db 7
%endif
%ifempty
db 8
%endif
%macro cat 2
var_%1: db %2
%1_x: dd var_%1
%endmacro
cat foo, 5
cat bar, 6
%define pasted foo %+ _x
dd pasted
%macro cc 1
 j%1 $+10
 j%-1 $+10
%endmacro
cc z
cc nae
%undef A
%ifdef A
%error nope
%endif
lab: push2 ecx, edx
lab2 push2 ecx, edx
jmp lab2
%imacro MiX 0
 nop
%endmacro
mix
MIX
%macro brace 2
 db %1
 db %2
%endmacro
brace {1,2}, 3
%strlen n "hello"
db n
%strcat s "ab", 'cd'
db s
%substr sub "hello" 2,3
db sub
%defstr ds some text
db ds
%assign k 10
%rep 3
%assign k k-1
%if k == 8
%exitrep
%endif
db k
%endrep
%macro outer 1
 inner %1, 1
 inner %1, 2
%endmacro
%macro inner 2
 db %1, %2
%%x: dw %%x
%endmacro
outer 7
%macro ret 0
 leave
 ret
%endmacro
ret
times 20-($-$$) % 20 db 0
%if ($-$$) > 10
db "big"
%endif
%assign pos $-$$
dd pos
db %[k]
var%[k]: dd var%[k]
%macro rng 1-*
 db %{2:3}
 db %{-1:-1}
%endmacro
rng 1,2,3,4
%ifmacro rng
db 1
%endif
%ifmacro rng 4
db 2
%endif
%ifmacro outer 3
db 3
%endif
dd __LINE__
%define f(x) x+g(x)
%define g(x) x*3
db f(2)

%idefine lower 5
db LOWER
db __BITS__
