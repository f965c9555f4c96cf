; sections: text, data and bss in one flat binary
org 0x100
section .text
bits 16
start: mov ax, msg
mov bx, buf
mov cx, buf2-buf
call fn
mov si, [v]
lea di, [buf+4]
section .data
msg: db "hi", 0
v: dw buf
dd start, msg-v, $-msg
section .bss
buf: resb 10
buf2: resd 3
section .text
fn: ret
section .foo align=16
dw fn, foo
foo: db 9
call fn
jmp near start
jmp start
section .text
jz foo
