bits 32
org 0x100000
cpu_dummy:
mb: dd 0x1BADB002, 0x10003, -(0x1BADB002+0x10003), mb, 0x100000, end, end, start
start:
 cli
 cld
 mov al, 0xff
 out 0x21, al
 out 0xa1, al
 mov esp, 0x10000
 ; zero 0x1000..0x40000
 mov edi, 0x1000
 mov ecx, (0x40000-0x1000)/4
 xor eax, eax
 rep stosd
 ; gdts
 mov esi, gdt
 mov edi, 0x1000
 mov ecx, 8
 rep movsd
 mov esi, gdt
 mov edi, 0x21000
 mov ecx, 8
 rep movsd
 mov word [0x1000+0x1a], 0x3000
 mov word [0x21000+0x1a], 0x4000
 mov byte [0x21000+0x1c], 2
 lgdt [gdtr]
 mov ax, 0x10
 mov ds, ax
 mov es, ax
 mov ss, ax
 mov fs, ax
 mov gs, ax
 jmp 8:.f
.f:
 mov ax, 0x18
 ltr ax
 mov dword [0x4000], 0x83
 mov dword [0x23000], 0x83
 mov dword [0xb000], 0xc007
 mov dword [0xc000], 0xd007
 mov dword [0xd000], 0xb7
 mov dword [0xd008], 0x2000b7
 mov byte [0x20000], 0xf4
 mov eax, 0x2010
 mov cr4, eax
 mov eax, 0x4000
 mov cr3, eax
 mov eax, cr0
 and eax, ~0x60000000
 or eax, 0x80010021
 mov cr0, eax
 jmp .g
.g:
 mov ecx, 0x3a
 rdmsr
 test al, 1
 jnz .locked
 or eax, 5
 wrmsr
.locked:
 mov ecx, 0x480
 rdmsr
 mov [0x5000], eax
 mov [0x6000], eax
 mov [0x12000], eax
 mov dx, 0x3fb
 mov al, 3
 out dx, al
 mov al, 0x42
 call putc
 vmxon [vmxonptr]
 jc bad
 jz bad
 mov al, 'S'
 call putc
 mov ebp, tests
 mov eax, [ebp]
 mov [left], eax
 add ebp, 4
next:
 mov [here], ebp
 mov edi, 0x8000
 mov ecx, 0x3000/4
 xor eax, eax
 rep stosd
 mov edi, 0xe000
 mov ecx, 0x1000/4
 rep stosd
 mov dword [0xd000], 0xb7
 mov edi, 0x20000
 mov ecx, 0x1000/4
 rep stosd
 mov edi, 0x22000
 mov ecx, 0x2000/4
 rep stosd
 mov dword [0x23000], 0x83
 mov edi, 0x28000
 mov ecx, 0x10000/4
 rep stosd
 mov word [0x28000], 0xf443
 mov byte [0x21000+0x1d], 0x89
 mov ecx, 0x480
 rdmsr
 mov [0x6000], eax
 vmclear [vmcsptr]
 vmptrld [vmcsptr]
 mov esi, baseline
 call apply
 mov eax, 0x6c14
 mov edx, 0x10000
 vmwrite eax, edx
 mov eax, 0x6c16
 mov edx, exited
 vmwrite eax, edx
 mov esi, [here]
 call apply
 lodsd
 mov ecx, eax
 jecxz .m
.l: lodsd
 mov edi, eax
 lodsd
 mov [edi], eax
 loop .l
.m:
 lodsd
 mov ecx, eax
 mov edi, 0x20000
 rep movsb
 add esi, 3
 and esi, ~3
 mov [here], esi
 mov eax, 2
 invept eax, [zeros]
 invvpid eax, [zeros]
 xor eax, eax
 xor ebx, ebx
 xor ecx, ecx
 xor edx, edx
 xor esi, esi
 xor edi, edi
 xor ebp, ebp
 mov cr2, eax
 vmlaunch
 jc .inv
 mov al, 'F'
 call putc
 mov eax, 0x4400
 vmread ebx, eax
 call hex2
 jmp done
.inv:
 mov al, 'I'
 call putc
 jmp done
exited:
 push eax
 push ebx
 mov eax, cr2
 push eax
 mov esi, report
.r: lodsd
 cmp eax, -1
 je .rd
 vmread ebx, eax
 call hex8
 mov al, ' '
 call putc
 jmp .r
.rd:
 pop ebx
 call hex8
 mov al, ' '
 call putc
 pop ebx
 call hex8
 mov al, ' '
 call putc
 pop ebx
 call hex8
done:
 mov al, 10
 call putc
 mov ebp, [here]
 dec dword [left]
 jnz next
bad:
 mov al, 'E'
 call putc
 mov al, 'N'
 call putc
 mov al, 'D'
 call putc
 mov dx, 0x604
 mov ax, 0x2000
 out dx, ax
.h: hlt
 jmp .h
apply: lodsd
 mov ecx, eax
 jecxz .e
.l: lodsd
 mov edx, eax
 lodsd
 vmwrite edx, eax
 loop .l
.e: ret
hex8: push ebx
 mov ecx, 8
.l: rol dword [esp], 4
 mov al, [esp]
 and al, 15
 call nib
 loop .l
 pop ebx
 ret
hex2: ; low byte of ebx
 mov al, bl
 shr al, 4
 call nib
 mov al, bl
 and al, 15
nib: add al, '0'
 cmp al, '9'
 jbe putc
 add al, 7
putc: push edx
 push eax
 mov dx, 0x3fd
.w: in al, dx
 test al, 0x20
 jz .w
 pop eax
 mov dx, 0x3f8
 out dx, al
 pop edx
 ret
align 8
gdtr: dw 0x1f
 dd 0x1000
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x0000890000000067
vmxonptr: dq 0x5000
vmcsptr: dq 0x6000
left: dd 0
align 16
zeros: dq 0,0
report: dd 0x4402, 0x6400, 0x4404, 0x4406, 0x4408, 0x440a, 0x440c, 0x440e, 0x681e, 0x6820, 0x681c, 0x4824, 0x4826, 0x2400, 0x640a, 0x6800, 0x4816, -1
here: dd 0
%include "data.inc"
end:
