; syscall: ring 3 asks ring 0 for something trivial, 2,000 times a round. No page table changes.
%include "paging.inc"

setup:  mov eax, service
        mov edi, IDT + 0x80 * 8
        call .gate
        mov eax, leave_ring3
        mov edi, IDT + 0x81 * 8
.gate:  mov [edi], ax
        mov word [edi + 2], KERNEL_CODE
        mov word [edi + 4], GATE_USER
        shr eax, 16
        mov [edi + 6], ax
        ret

round:  mov eax, USER_DATA
        mov ds, eax
        mov es, eax
        mov [saved_esp], esp
        lea eax, [esp - 64]
        mov [tss + TSS_ESP0], eax
        push dword USER_DATA
        push dword STACK - 0x8000
        push dword 2
        push dword USER_CODE
        push dword .ring3
        iret
.ring3: mov ecx, 2000
.call:  int 0x80
        dec ecx
        jnz .call
        int 0x81
service:
        inc dword [calls]
        iret
leave_ring3:
        mov esp, [saved_esp]
        mov eax, KERNEL_DATA
        mov ds, eax
        mov es, eax
        ret
fault:  jmp exception.unexpected
        align 4
calls:  dd 0
saved_esp: dd 0
