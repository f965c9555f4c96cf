; boot-sector.asm: brings a multiboot image that says where it is to be loaded (at 1 MiB) from disk into memory, for machines with
; a BIOS. The image begins in sector 1 and has SECTORS sectors.
;
;   7C00h            this sector
;   1_0000h..8_0000h the image as it is read
;   10_0000h         the image as it runs

%ifndef SECTORS
%define SECTORS 1
%endif

bits 16
org 0x7c00

BUFFER          equ 0x10000
IMAGE           equ 0x100000
ENTRY           equ 28                  ; in the image: the header's entry address
PIECE           equ 64                  ; sectors read at a time
CODE            equ 0x08
DATA            equ 0x10
MAGIC           equ 0x2badb002          ; what a multiboot loader leaves in EAX

start:  cli
        xor eax, eax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        mov cx, SECTORS
.read:  mov ax, PIECE
        cmp cx, ax
        ja .sized
        mov ax, cx
.sized: mov [packet.count], ax
        push cx
        mov si, packet
        mov ah, 0x42                    ; extended read; DL is the boot drive still
        int 0x13
        pop cx
        jc .fail
        add word [packet.segment], PIECE * 512 / 16
        add dword [packet.sector], PIECE
        sub cx, [packet.count]
        jnz .read
        in al, 0x92                     ; address line 20
        or al, 2
        and al, 0xfe
        out 0x92, al
        cli
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp CODE:protected
.fail:  hlt
        jmp .fail

bits 32
protected:
        mov eax, DATA
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esi, BUFFER
        mov edi, IMAGE
        mov ecx, SECTORS * 512 / 4
        cld
        rep movsd
        mov eax, MAGIC
        jmp [IMAGE + ENTRY]

        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff
        dq 0x00cf92000000ffff
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt
        align 4
packet: db 16, 0                        ; INT 13h extensions: disk address packet
.count: dw 0
        dw 0
.segment:
        dw BUFFER / 16
.sector:
        dq 1

        times 510 - ($ - $$) db 0
        dw 0xaa55
