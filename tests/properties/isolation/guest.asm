; A kernel that works through a list of operations on its own page tables: it reads, writes, executes, faults, edits, flushes or forgets
; to, and logs what it sees. The list stands behind it in the image, four doublewords an operation.
;
; 0000_0000  frames 8 to 11, which large pages show    0011_7000  with PAE: two page-directory-pointer tables
; 0010_0000  this kernel, the list                     0011_8000  … and the directories of their second entries
; 0011_0000  directories D0, D1                        0012_0000  frames 0 to 7
; 0011_2000  tables T0 to T3                           0013_0000  the log
; 0011_6000  the table of the ring-3 code (linear C0_0000)
; 0011_A000  a spare table
bits 32
org 0x100000
D0      equ 0x110000
D1      equ 0x111000
TU      equ 0x116000
P0      equ 0x117000
P1      equ 0x117020
E0      equ 0x118000
E1      equ 0x119000
FRAMES  equ 0x120000
LOG     equ 0x130000
STACK   equ 0x141000
USER_STACK equ 0x142000
USER    equ 0xc00000
KERNEL_PAGE equ 0xe3                    ; 4 MiB or 2 MiB at their own addresses, accessed and dirty
FAULT   equ 0xfa000000

start:  mov esp, STACK
        lgdt [gdtr]
        jmp 8:.flat
.flat:  mov ax, 0x23                    ; one data segment for both rings
        mov ds, ax
        mov es, ax
        mov ax, 16
        mov ss, ax
        mov ax, 0x28
        ltr ax
        lidt [idtr]
        ; frames: a name, a word to write to, and a function that returns the name
        xor ecx, ecx
.frame: mov edi, ecx
        shl edi, 12
        add edi, FRAMES
        cmp ecx, 8
        jb .fill
        sub edi, FRAMES + 0x8000
.fill:  mov eax, 0xf0000000
        or eax, ecx
        mov [edi], eax
        mov dword [edi + 4], 0
        mov byte [edi + 16], 0xb8       ; mov eax, name
        mov [edi + 17], eax
        mov byte [edi + 21], 0xc3       ; ret
        inc ecx
        cmp ecx, 12
        jb .frame
        ; ring 3
        mov dword [TU], (0x100000 + user_code - start) | 0x67
        mov dword [D0], KERNEL_PAGE
        mov dword [D1], KERNEL_PAGE
        mov edx, cr4
        cmp byte [pae], 0
        jne .pae
        mov dword [TU + 4], (USER_STACK - 0x1000) | 0x67
        mov dword [D0 + 12], TU | 0x67
        mov dword [D1 + 12], TU | 0x67
        or edx, 0x90                    ; PSE, PGE
        mov ebx, D0
        jmp .on
.pae:   mov dword [TU + 8], (USER_STACK - 0x1000) | 0x67
        mov dword [D0 + 48], TU | 0x67
        mov dword [D1 + 48], TU | 0x67
        mov dword [P0], D0 | 1
        mov dword [P0 + 8], E0 | 1
        mov dword [P1], D1 | 1
        mov dword [P1 + 8], E1 | 1
        push edx
        mov ecx, 0xc0000080             ; IA32_EFER.NXE
        rdmsr
        or eax, 0x800
        wrmsr
        pop edx
        or edx, 0xa0                    ; PAE, PGE
        mov ebx, P0
.on:    mov cr4, edx
        mov cr3, ebx
        mov eax, cr0
        or eax, 0x80010000              ; PG, WP
        mov cr0, eax
        mov esi, list
        mov edi, LOG
next:   mov eax, [esi]
        mov ebx, [esi + 4]
        mov ecx, [esi + 8]
        add esi, 16
        mov [at_list], esi
        mov [at_log], edi
        jmp [operations + eax * 4]

operations:
        dd end, read, write, execute, user, invalidate, root, whole, protect, yield

read:   mov eax, [ebx]
logged: mov edi, [at_log]
        stosd
        jmp next
write:  mov [ebx], ecx
        mov eax, ecx
        jmp logged
execute: lea eax, [ebx + 16]
        call eax
        jmp logged
invalidate: invlpg [ebx]
        jmp next
root:   mov cr3, ebx
        jmp next
whole:  mov eax, cr4                    ; everything, global pages too
        xor eax, 0x80
        mov cr4, eax
        xor eax, 0x80
        mov cr4, eax
        jmp next
protect: mov eax, cr0                   ; CR0.WP
        and eax, 0xfffeffff
        or eax, ebx
        mov cr0, eax
        jmp next
yield:  out 0xe8, al
        jmp next
; In ring 3: EBX where, ECX what to write, EDX 0 read, 1 write, 2 execute
user:   mov edx, [esi - 4]
        push 0x23
        push USER + 0x2000
        push 2
        push 0x1b
        push USER + (user_code - start) % 0x1000
        iret
from_user: mov esp, STACK
        mov esi, [at_list]
        jmp logged

page_fault: pop eax
        or eax, FAULT
        mov esp, STACK
        mov esi, [at_list]
        mov edi, [at_log]
        stosd
        mov eax, cr2
        stosd
        jmp next

end:    mov ecx, edi                    ; the sum of the log in hexadecimal, for whoever boots the image
        mov esi, LOG
        xor ebx, ebx
.sum:   cmp esi, ecx
        jae .print
        rol ebx, 5
        xor ebx, [esi]
        add esi, 4
        jmp .sum
.print: mov ecx, 8
        mov dx, 0x3f8
.digit: rol ebx, 4
        mov al, bl
        and al, 15
        cmp al, 10
        sbb al, 0x69
        das
        out dx, al
        loop .digit
        mov al, 10
        out dx, al
        mov [at_log], edi
        mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
.stay:  hlt
        jmp .stay

align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff
tss_descriptor: dw 103, (0x100000 + tss - start) & 0xffff
        db (0x100000 + tss - start) >> 16 & 0xff, 0x89, 0, 0
gdtr:   dw 47
        dd gdt
idtr:   dw 49 * 8 - 1
        dd idt
at_list dd 0
at_log  dd 0
pae     dd 0
align 8
tss:    dd 0, STACK, 16
        times 23 dd 0
idt:    times 14 dq 0
        dw (0x100000 + page_fault - start) & 0xffff, 8, 0x8e00, (0x100000 + page_fault - start) >> 16
        times 33 dq 0
        dw (0x100000 + from_user - start) & 0xffff, 8, 0xee00, (0x100000 + from_user - start) >> 16

align 4096
user_code: cmp edx, 1
        je .write
        ja .execute
        mov eax, [ebx]
        int 0x30
.write: mov [ebx], ecx
        mov eax, ecx
        int 0x30
.execute: lea eax, [ebx + 16]
        call eax
        int 0x30
align 4096
list:
