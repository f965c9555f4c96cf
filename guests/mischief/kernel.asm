; mischief: does one bad thing for each word of its command line, to see what the machine below makes of it.
;
;   0010_0000  this kernel
;   0020_0000  top of its stack; interrupt table behind it
;   0020_1000  page directory, page table
;   0030_0000  page that is not there while paging is on
;   0040_0000  one megabyte to be spoiled
;   end        of memory, from the loader; nothing is behind it
;   8000_0000  one gigabyte with nothing in it: the machine has less than 2 GiB
;
; Each word prints its name, then what happened, if it comes back. Some do not: they end in a triple fault, in a halt for
; ever, or never. Without a word that it knows, the kernel lists the words.
;
; Expected output: expected.txt without a word, expected/WORD.txt with one

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"

STACK           equ 0x200000
IDT             equ 0x200000
DIRECTORY       equ 0x201000
TABLE           equ 0x202000
ABSENT          equ 0x300000
SPOIL           equ 0x400000
SPOIL_BYTES     equ 0x100000
NOTHING         equ 0x80000000
PAGE            equ 4096
PORTS           equ 0x5000              ; to 5FFFh: ports that belong to no device
PORT_COUNT      equ 0x1000

MULTIBOOT_MEM_UPPER equ 8               ; KiB above 1 MiB, if flag bit 0 is set

PRESENT         equ 0x001
WRITABLE        equ 0x002
CR0_NW          equ 0x20000000
CR0_CD          equ 0x40000000
CR0_PG          equ 0x80000000

start:  mov esp, STACK
        mov ebp, ebx
        call serial_init
        mov eax, STACK
        call gdt_init

        mov eax, 64 << 20               ; a loader that does not tell has that much
        test byte [ebp], 1
        jz .memory
        mov eax, [ebp + MULTIBOOT_MEM_UPPER]
        add eax, 1024 + 1023            ; some loaders keep a part of the last megabyte to themselves
        shr eax, 10
        shl eax, 20
.memory:
        mov [end], eax
        test byte [ebp], 4
        jz .list
        mov esi, [ebp + MULTIBOOT_CMDLINE]
        mov edi, command_line           ; loaders put it where they like: take it out of the way
        mov ecx, COMMAND_LINE_BYTES
        cld
        rep movsb
        mov byte [edi], 0
        call idt_init

        mov esi, command_line
.word:  mov al, [esi]                   ; skip spaces
        inc esi
        cmp al, ' '
        je .word
        test al, al
        jz .end
        dec esi
        mov edi, words
.compare:
        mov edx, [edi]                  ; name in the table
        test edx, edx
        jz .skip
        mov ebx, esi
.letter:
        mov al, [ebx]
        mov cl, [edx]
        test cl, cl
        jz .name_ends
        cmp al, cl
        jne .no
        inc ebx
        inc edx
        jmp .letter
.name_ends:
        cmp al, ' '
        je .found
        test al, al
        jz .found
.no:    add edi, 8
        jmp .compare
.skip:  mov al, [esi]                   ; not one of ours, perhaps the name of the image
        test al, al
        jz .end
        cmp al, ' '
        je .word
        inc esi
        jmp .skip

.found: inc dword [done]
        push ebx
        mov esi, [edi]
        call print
        call newline
        call serial_drain               ; it may be the last thing that is heard
        call [edi + 4]
        pop esi
        jmp .word

.end:   cmp dword [done], 0
        jne power_off
.list:  line "one of these words on the command line:"
        mov edi, words
.next:  mov esi, [edi]
        test esi, esi
        jz power_off
        say "  "
        call print
        call newline
        add edi, 8
        jmp .next

; ---- what all of it needs ----

; Calls EAX. Out: EAX = vector of the event that ended it, -1 if it returned by itself. Changes the other registers.
guarded:
        push ebp
        mov [guard_stack], esp
        mov dword [vector], -1
        call eax
guard_end:
        mov esp, [guard_stack]
        mov eax, [vector]
        pop ebp
        ret

; Called by `event`, EBP = frame.
exception:
        mov eax, [ebp + FRAME_VECTOR]
        mov [vector], eax
        mov eax, [ebp + FRAME_ERROR]
        mov [error], eax
        mov dword [ebp + FRAME_EIP], guard_end
        ret

; EAX = what `guarded` gave.
tell:   cmp eax, -1
        je .nothing
        say "vector "
        call print_decimal
        cmp eax, 8
        jb .no_code
        say ", error code "
        mov eax, [error]
        call print_hex4
.no_code:
        call newline
        ret
.nothing:
        line "no event"
        ret

; Paging with 4 MiB at their own addresses but one page. Changes EAX, ECX and EDI.
paging_on:
        mov edi, DIRECTORY
        xor eax, eax
        mov ecx, PAGE / 4
        rep stosd
        mov edi, TABLE
        mov eax, PRESENT + WRITABLE
        mov ecx, 1024
.map:   stosd
        add eax, PAGE
        dec ecx
        jnz .map
        mov dword [TABLE + (ABSENT >> 12) * 4], 0
        mov dword [DIRECTORY], TABLE + PRESENT + WRITABLE
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        jmp .on
.on:    ret

paging_off:
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        jmp .off
.off:   ret

; EAX = the next number of a fixed sequence that looks random. Preserves all others.
random: mov eax, [seed]
        imul eax, eax, 1664525
        add eax, 1013904223
        mov [seed], eax
        ret

        align 4
end:         dd 0
done:        dd 0
vector:      dd 0
error:       dd 0
guard_stack: dd 0
seed:        dd 1
idt_nowhere: dw 0
             dd 0
operand:     times 16 db 0

; ---- words ----

words:  dd name_read_beyond, read_beyond
        dd name_write_beyond, write_beyond
        dd name_copy_beyond, copy_beyond
        dd name_fill_all, fill_all
        dd name_read_ports, read_ports
        dd name_write_ports, write_ports
        dd name_string_ports, string_ports
        dd name_devices, devices
        dd name_vmx, vmx
        dd name_read_msr, read_msr
        dd name_write_msr, write_msr
        dd name_control_registers, control_registers
        dd name_tables, tables
        dd name_page_tables, page_tables
        dd name_lose_pages, lose_pages
        dd name_jump_absent, jump_absent
        dd name_jump_beyond, jump_beyond
        dd name_modify_code, modify_code
        dd name_interrupt, interrupt
        dd name_stack, stack_overflow
        dd name_triple_fault, triple_fault
        dd name_spin, spin
        dd name_halt, halt
        dd 0

name_read_beyond:       db "read-beyond", 0
name_write_beyond:      db "write-beyond", 0
name_copy_beyond:       db "copy-beyond", 0
name_fill_all:          db "fill-all", 0
name_read_ports:        db "read-ports", 0
name_write_ports:       db "write-ports", 0
name_string_ports:      db "string-ports", 0
name_devices:           db "devices", 0
name_vmx:               db "vmx", 0
name_read_msr:          db "read-msr", 0
name_write_msr:         db "write-msr", 0
name_control_registers: db "control-registers", 0
name_tables:            db "tables", 0
name_page_tables:       db "page-tables", 0
name_lose_pages:        db "lose-pages", 0
name_jump_absent:       db "jump-absent", 0
name_jump_beyond:       db "jump-beyond", 0
name_modify_code:       db "modify-code", 0
name_interrupt:         db "interrupt", 0
name_stack:             db "stack", 0
name_triple_fault:      db "triple-fault", 0
name_spin:              db "spin", 0
name_halt:              db "halt", 0

; -- memory

; What if I read where there is no memory? Nothing answers: all bits are ones.
read_beyond:
        say "  behind the end: "
        mov ebx, [end]
        mov eax, [ebx]
        call print_hex
        call newline
        say "  far away, all bits together: "
        mov esi, NOTHING
        mov ecx, 64
        mov edx, -1
.read:  and edx, [esi + 4]
        add esi, 0x01000000
        dec ecx
        jnz .read
        mov eax, edx
        call print_hex
        call newline
        ret

; What if I write there? Nothing takes it.
write_beyond:
        mov ebx, [end]
        mov dword [ebx], 0x12345678
        mov dword [ebx + 0x10000], 0x12345678
        say "  behind the end: "
        mov eax, [ebx]
        call print_hex
        call newline
        mov esi, NOTHING
        mov ecx, 64
        mov edx, -1
.write: mov dword [esi + 4], 0
        mov word [esi + 8], 0
        mov byte [esi + 11], 0
        and edx, [esi + 4]
        and edx, [esi + 8]
        add esi, 0x01000000
        dec ecx
        jnz .write
        say "  far away, all bits together: "
        mov eax, edx
        call print_hex
        call newline
        ret

; What if one string instruction runs out of memory, and on for 16 MiB?
copy_beyond:
        mov esi, SPOIL
        mov edi, [end]
        sub edi, 0x100000
        mov dword [esi], 0x600df00d
        mov ecx, (0x100000 + 0x1000000) / 4
        rep movsd
        sub edi, [end]
        say "  ECX "
        mov eax, ecx
        call print_hex
        say ", EDI beyond the end "
        mov eax, edi
        call print_hex
        call newline
        mov edi, [end]
        say "  last megabyte: "
        mov eax, [edi - 0x100000]
        call print_hex
        say ", behind the end: "
        mov eax, [edi]
        call print_hex
        call newline
        mov esi, NOTHING                ; and the other way: ones come back
        mov edi, SPOIL
        mov ecx, SPOIL_BYTES / 4
        rep movsd
        say "  from far away: "
        mov eax, [SPOIL]
        and eax, [SPOIL + SPOIL_BYTES - 4]
        call print_hex
        call newline
        ret

; What if I overwrite all of my memory, myself included? INT3 is what is found there next; there is no table for it any more.
fill_all:
        xor edi, edi
        mov ecx, [end]
        shr ecx, 2
        mov eax, 0xcccccccc
        rep stosd
        jmp power_off

; -- ports

; What if I read ports where nothing is?
read_ports:
        mov ebx, -1
        mov edx, PORTS
        mov ecx, PORT_COUNT / 4
.read:  mov eax, -1
        in al, dx
        and ebx, eax
        mov eax, -1
        in ax, dx
        and ebx, eax
        in eax, dx
        and ebx, eax
        add edx, 4
        dec ecx
        jnz .read
        say "  all bits together: "
        mov eax, ebx
        call print_hex
        call newline
        ret

; What if I write to them?
write_ports:
        mov edx, PORTS
        mov ecx, PORT_COUNT / 4
.write: call random
        out dx, al
        out dx, ax
        out dx, eax
        add edx, 4
        dec ecx
        jnz .write
        say "  then they read "
        mov edx, PORTS
        in eax, dx
        call print_hex
        call newline
        ret

; What if one string instruction reads from there more than there is memory for?
string_ports:
        mov edx, PORTS
        mov edi, [end]
        sub edi, 0x1000
        mov ecx, 0x4000 / 4
        rep insd
        sub edi, [end]
        say "  EDI beyond the end "
        mov eax, edi
        call print_hex
        mov edi, [end]
        say ", last word "
        mov eax, [edi - 4]
        call print_hex
        call newline
        mov esi, [end]
        sub esi, 0x1000
        mov ecx, 0x4000 / 4
        rep outsd
        sub esi, [end]
        say "  ESI beyond the end "
        mov eax, esi
        call print_hex
        call newline
        ret

; What if I write nonsense to the registers of the board's old devices: interrupt controllers, timer, clock, DMA, and then read them?
devices:
        mov ecx, 2000
.again: mov esi, device_ports
.port:  movzx edx, word [esi]
        add esi, 2
        test edx, edx
        jz .next
        call random
        shr eax, 16
        out dx, al
        in al, dx
        jmp .port
.next:  dec ecx
        jnz .again
        line "  still here"
        ret
device_ports:
        dw 0x20, 0x21, 0xa0, 0xa1               ; 8259
        dw 0x40, 0x41, 0x42, 0x43, 0x61         ; 8254
        dw 0x70, 0x71                           ; clock
        dw 0x01, 0x02, 0x05, 0x0a, 0x0c, 0x81   ; 8237
        dw 0x4d0, 0x4d1, 0x3ff                  ; trigger modes; scratch register of the serial port
        dw 0

; -- privileged instructions

; What if I try to be a hypervisor without asking? Each of these is undefined as long as CR4.VMXE is 0.
vmx:    mov ebx, .list
.next:  mov esi, [ebx]
        test esi, esi
        jz .end
        say "  "
        call print
        say ": "
        mov eax, [ebx + 4]
        push ebx
        call guarded
        pop ebx
        call tell
        add ebx, 8
        jmp .next
.end:   ret
.list:  dd .name_1, .vmxon, .name_2, .vmxoff, .name_3, .vmclear, .name_4, .vmptrld, .name_5, .vmptrst, .name_6, .vmread
        dd .name_7, .vmwrite, .name_8, .vmlaunch, .name_9, .vmresume, .name_10, .vmcall, .name_11, .invept, .name_12, .invvpid
        dd .name_13, .vmfunc, .name_14, .getsec, 0
.name_1:  db "VMXON", 0
.name_2:  db "VMXOFF", 0
.name_3:  db "VMCLEAR", 0
.name_4:  db "VMPTRLD", 0
.name_5:  db "VMPTRST", 0
.name_6:  db "VMREAD", 0
.name_7:  db "VMWRITE", 0
.name_8:  db "VMLAUNCH", 0
.name_9:  db "VMRESUME", 0
.name_10: db "VMCALL", 0
.name_11: db "INVEPT", 0
.name_12: db "INVVPID", 0
.name_13: db "VMFUNC", 0
.name_14: db "GETSEC", 0
.vmxon:
        vmxon [operand]
        ret
.vmxoff:
        vmxoff
        ret
.vmclear:
        vmclear [operand]
        ret
.vmptrld:
        vmptrld [operand]
        ret
.vmptrst:
        vmptrst [operand]
        ret
.vmread:
        vmread eax, ecx
        ret
.vmwrite:
        vmwrite ecx, eax
        ret
.vmlaunch:
        vmlaunch
        ret
.vmresume:
        vmresume
        ret
.vmcall:
        vmcall
        ret
.invept:
        mov eax, 2
        invept eax, [operand]
        ret
.invvpid:
        mov eax, 2
        invvpid eax, [operand]
        ret
.vmfunc:
        db 0x0f, 0x01, 0xd4
        ret
.getsec:
        db 0x0f, 0x37
        ret

; What if I read a model-specific register that no model has?
read_msr:
        mov eax, .read
        call guarded
        say "  "
        jmp tell
.read:  mov ecx, 0xdead0000
        rdmsr
        ret

; What if I write one?
write_msr:
        mov eax, .write
        call guarded
        say "  "
        jmp tell
.write: mov ecx, 0xdead0000
        xor eax, eax
        xor edx, edx
        wrmsr
        ret

; What if I set bits of control registers that are not there, or do not go together? In CR0 they stay 0, in CR4 they are a fault.
control_registers:
        say "  CR0, reserved bits: "
        mov eax, .cr0_reserved
        call guarded
        call tell
        say "  CR0, reserved bits that are set now: "
        mov eax, cr0
        and eax, 0x1ffaffc0
        call print_hex
        call newline
        say "  CR0, paging without protection: "
        mov eax, .cr0_paging
        call guarded
        call tell
        say "  CR0, NW without CD: "
        mov eax, .cr0_cache
        call guarded
        call tell
        say "  CR4, bit 31: "
        mov eax, .cr4_reserved
        call guarded
        call tell
        say "  CR3, all bits: "
        mov eax, .cr3
        call guarded
        call tell
        ret
.cr0_reserved:
        mov eax, cr0
        or eax, 0x1ffaffc0
        mov cr0, eax
        ret
.cr0_paging:
        mov eax, cr0
        and eax, ~1
        or eax, CR0_PG
        mov cr0, eax
        ret
.cr0_cache:
        mov eax, cr0
        or eax, CR0_NW
        and eax, ~CR0_CD
        mov cr0, eax
        ret
.cr4_reserved:
        mov eax, cr4
        or eax, 0x80000000
        mov cr4, eax
        ret
.cr3:   mov eax, -1                     ; paging is off: it is only a number
        mov cr3, eax
        xor eax, eax
        mov cr3, eax
        ret

; -- tables

; What if I spoil my descriptor tables, and go on? The processor keeps what it has loaded. Then I put them back.
tables: mov edi, SPOIL
        mov esi, gdt
        mov ecx, (gdt_end - gdt) / 4
        rep movsd
        mov edi, gdt
        mov ecx, (gdt_end - gdt) / 4
.gdt:   call random
        stosd
        dec ecx
        jnz .gdt
        mov edi, IDT
        mov ecx, 2 * 256
.idt:   call random
        stosd
        dec ecx
        jnz .idt
        line "  without tables"
        mov esi, SPOIL
        mov edi, gdt
        mov ecx, (gdt_end - gdt) / 4
        rep movsd
        call idt_init
        mov eax, KERNEL_DATA
        mov ds, eax
        mov es, eax
        mov eax, .break
        call guarded
        say "  with tables: "
        jmp tell
.break: int3
        ret

; What if my page tables are nonsense? All directory entries but the first are random, and lead either to a random table or to
; nothing. I read and write through them, which spoils them further: also by the accessed and dirty bits of the processor itself.
page_tables:
        mov edi, SPOIL                  ; every frame of this megabyte may serve as table, and as page
        mov ecx, SPOIL_BYTES / 4
.fill:  call .entry
        stosd
        dec ecx
        jnz .fill
        call paging_on
        mov edi, DIRECTORY + 4
        mov ecx, 1023
.directory:
        call .entry
        and eax, ~0x80                  ; no large pages: they would reach too far
        stosd
        dec ecx
        jnz .directory
        mov eax, cr3
        mov cr3, eax
        mov dword [.count], 20000
.touch: mov eax, .access
        call guarded
        dec dword [.count]
        jnz .touch
        call paging_off
        line "  still here"
        ret
.access:
        call random                     ; anywhere above the first 4 MiB
        mov ebx, eax
        cmp ebx, 0x400000
        jb .access
        call random
        test eax, 0x00040000
        jz .read
        mov [ebx], ebx                  ; may go across a page boundary too
        ret
.read:  mov eax, [ebx]
        ret
; EAX = a random entry: half of them lead into the megabyte, half to where nothing is
.entry: call random
        mov edx, eax
        and edx, SPOIL_BYTES - PAGE
        add edx, SPOIL
        test eax, 0x00800000
        jz .inside
        mov edx, eax
        and edx, 0x3ffff000
        add edx, NOTHING
.inside:
        call random
        shr eax, 20
        and eax, 0xfff
        or eax, edx
        ret
.count: dd 0

; What if there are no page tables any more? Not even the fault can be told.
lose_pages:
        call paging_on
        mov edi, DIRECTORY
        mov eax, -2                     ; all ones but the present bit
        mov ecx, 2 * PAGE / 4
        rep stosd
        mov eax, cr3
        mov cr3, eax
        jmp power_off

; -- control flow

; What if I jump to a page that is not there?
jump_absent:
        call paging_on
        mov eax, .jump
        call guarded
        call paging_off
        mov eax, [vector]
        say "  "
        jmp tell
.jump:  mov eax, ABSENT
        jmp eax

; What if I jump to where there is no memory? All ones are no instruction; a machine may also give up here.
jump_beyond:
        mov eax, .jump
        call guarded
        say "  "
        jmp tell
.jump:  mov eax, NOTHING
        jmp eax

; What if code changes all the time? One routine is patched before each call; another one patches the instruction
; that comes next; a third lies across a page boundary and is moved about.
modify_code:
        xor ebx, ebx
        mov ecx, 20000
.patch: mov [.constant + 1], ecx        ; behind the opcode
        call .routine
        dec ecx
        jnz .patch
        say "  patched from outside: "
        mov eax, ebx
        call print_hex
        call newline

        xor ebx, ebx
        mov ecx, 20000
.inner: lea eax, [ecx + ecx * 2]
        mov [.next + 2], eax
        jmp .next                       ; a jump, as the manual wants it
.next:  add ebx, 0x11111111
        rol ebx, 1
        dec ecx
        jnz .inner
        say "  patched from inside: "
        mov eax, ebx
        call print_hex
        call newline

        xor ebx, ebx
        mov edx, 200
.move:  mov edi, SPOIL + PAGE - (.template_end - .template)
        mov eax, edx
        and eax, 15
        add edi, eax
        mov esi, .template
        mov ecx, .template_end - .template
        push edi
        rep movsb
        pop eax
        mov [eax + 2], edx              ; the constant of ADD EBX, imm32, perhaps across the boundary
        call eax
        dec edx
        jnz .move
        say "  moved across pages: "
        mov eax, ebx
        call print_hex
        call newline
        ret
.routine:
.constant:
        mov eax, 0
        add ebx, eax
        rol ebx, 3
        ret
.template:
        db 0x81, 0xc3                   ; ADD EBX, imm32
        dd 0
        rol ebx, 5
        xor ebx, 0x5a5a5a5a
        ret
.template_end:

; What if I call an interrupt that has no handler?
interrupt:
        mov eax, .int
        call guarded
        say "  "
        jmp tell
.int:   int 0x77
        ret

; What if my stack grows into a page that is not there? The fault needs a stack as well.
stack_overflow:
        call paging_on
        mov esp, ABSENT + PAGE + 64
.push:  push esp
        jmp .push

; What if there is no interrupt table?
triple_fault:
        lidt [idt_nowhere]
        int3
        jmp power_off

; What if I never end, and listen to nobody?
spin:   cli
        jmp spin

; What if I stop, and nothing can wake me?
halt:   cli
        hlt
        jmp power_off

COMMAND_LINE_BYTES equ 255
command_line:   times COMMAND_LINE_BYTES + 1 db 0
