; hypervisor: a type-1 hypervisor in machine code. It starts a second kernel, the first multiboot module, and handles its exits.
;
;   0010_0000  this kernel                0020_0000  top of its stack; interrupt table behind it
;   0020_1000  VMX_PAGES (vmx-root.inc): VMXON region, VMCS, page directory
;   0020_b000  EPT of the guest: two upper levels, then one page directory, then page tables for 4 MiB
;   00a0_0000  the guest's memory: its guest-physical 0 to 4 MiB, given page by page as it touches it
;
; The guest has the machine's devices: it writes to ports itself, except COM1, whose accesses exit (I/O bitmap A) and are passed on.
; Its CPUID does not have VMX, CR4.VMXE and CR0.NE belong to the host, HLT exits and is done by the activity state.
; The image of the guest: multiboot with address fields (as all kernels of this folder), or it is not started.
; Expected output: that of the guest between two lines of ours, expected.txt with guests/second.

bits 32
org 0x100000
%include "multiboot.inc"
start:  jmp main

STACK           equ 0x200000
IDT             equ 0x200000
VMX_PAGES       equ 0x201000
EPT_4           equ 0x20b000
EPT_3           equ 0x20c000
EPT_2           equ 0x20d000
EPT_1           equ 0x20e000            ; two tables, 2 MiB each
IO_BITMAP_A     equ 0x210000
IO_BITMAP_B     equ 0x211000
TABLES_END      equ 0x212000
MODULE_COPY     equ 0x400000            ; at most 2 MiB
MODULE_MOST     equ 0x200000
GUEST_MEMORY    equ 0xa00000
GUEST_BYTES     equ 0x400000
INFO            equ 0x9000              ; the guest's multiboot information: guest-physical
COM1_BITS       equ 0x3f8 / 8

MULTIBOOT_MODS_COUNT equ 20
MULTIBOOT_MODS_ADDR  equ 24
CR4_PSE         equ 0x10
CR0_PE          equ 1
CR0_PG          equ 0x80000000
PROC_IO_BITMAPS equ 1 << 25
IO_BITMAP_A_ADDRESS equ 0x2000
IO_BITMAP_B_ADDRESS equ 0x2002
INTERRUPTIBILITY    equ 0x4824
ACTIVITY            equ 0x4826
PROC2_UNRESTRICTED  equ 1 << 7

%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"
%include "vmx.inc"
%include "vmx-root.inc"

main:   mov esp, STACK
        push ebx
        call serial_init
        mov eax, STACK
        call gdt_init
        call idt_init
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        pop ebx
        cmp dword [ebx + MULTIBOOT_MODS_COUNT], 0
        jne .module
        line "hypervisor: no kernel was given as a module"
        jmp power_off

; The module may lie anywhere, also where our tables will be: it is moved first.
.module:
        mov edx, [ebx + MULTIBOOT_MODS_ADDR]
        mov esi, [edx]
        mov ecx, [edx + 4]
        sub ecx, esi
        mov [module_bytes], ecx
        cmp ecx, MODULE_MOST
        ja bad_image
        mov edi, MODULE_COPY
        cld
        rep movsb
        call vmx_start
        call make_tables
        call place_kernel
        call vmcs_defaults
        call guest_state
        line "hypervisor: starting the second kernel"

run:    call vmx_enter
        jc failed
        get EXIT_REASON
        mov esi, exits
.look:  cmp dword [esi + 4], 0
        je .unknown
        cmp [esi], eax
        je .found
        add esi, 8
        jmp .look
.found: call [esi + 4]
        jmp run
.unknown:
        push eax
        say "hypervisor: exit "
        pop eax
        call print_hex
        say " at "
        get GUEST_EIP
        call print_hex
        call newline
        jmp power_off
failed: say "hypervisor: VM entry failed with "
        get INSTRUCTION_ERROR
        call print_decimal
        call newline
        jmp power_off

; Exits: reason, what to do. What a handler does not change stays as it was when the guest was left.
        align 4
exits:  dd 10, on_cpuid
        dd 12, on_hlt
        dd 28, on_control
        dd 30, on_io
        dd 48, on_violation
        dd 0, 0

; The processor's answer, without VMX.
on_cpuid:
        mov eax, [guest_eax]
        mov ecx, [guest_ecx]
        push eax
        cpuid
        mov [guest_eax], eax
        mov [guest_ebx], ebx
        mov [guest_edx], edx
        pop eax
        cmp eax, 1
        jne .all
        and ecx, ~CPUID_1_ECX_VMX
.all:   mov [guest_ecx], ecx
        jmp vmx_skip

; The guest waits for an interrupt, which it takes itself: the processor does the waiting. With interrupts off it waits for ever.
on_hlt: get GUEST_EFLAGS
        test eax, 0x200
        jz .ever
        set INTERRUPTIBILITY, 0         ; STI's shadow ends behind HLT
        set ACTIVITY, 1
        jmp vmx_skip
.ever:  line "hypervisor: the second kernel has halted"
        jmp power_off

; MOV to CR0 or CR4, of bits that are the host's, or CLTS and LMSW that touch them. The guest sees what it wrote; the processor gets the fixed bits, too.
on_control:
        get EXIT_QUALIFICATION
        mov edx, eax
        test dl, 0x30                   ; bits 5:4: MOV to CR
        jnz run.unknown
        shr eax, 8
        and eax, 15
        cmp eax, 4                      ; ESP is not a pointer that anybody loads from
        je run.unknown
        mov ebx, [registers + eax * 4]
        mov ebx, [ebx]
        and edx, 15
        jz .cr0
        cmp edx, 4
        jne run.unknown
        mov ecx, ebx
        mov eax, CR4_SHADOW
        vmwrite eax, ecx
        or ecx, CR4_VMXE
        mov eax, GUEST_CR4
        vmwrite eax, ecx
        jmp vmx_skip
.cr0:   mov ecx, ebx
        mov eax, CR0_SHADOW
        vmwrite eax, ecx
        or ecx, CR0_NE
        mov eax, GUEST_CR0
        vmwrite eax, ecx
        jmp vmx_skip
        align 4
registers:
        dd guest_eax, guest_ecx, guest_edx, guest_ebx, 0, guest_ebp, guest_esi, guest_edi

; A byte to or from COM1 is passed on.
on_io:  get EXIT_QUALIFICATION
        mov edx, eax
        test al, 0x37                   ; other sizes, strings, REP
        jnz run.unknown
        shr edx, 16
        test al, 8
        jnz .in
        mov al, [guest_eax]
        out dx, al
        jmp vmx_skip
.in:    in al, dx
        mov [guest_eax], al
        jmp vmx_skip

; Its page is given to the guest, and the instruction tried again.
on_violation:
        get GUEST_PHYSICAL_ADDRESS
        cmp eax, GUEST_BYTES
        jae run.unknown
        mov ecx, GUEST_PHYSICAL_ADDRESS + 1
        vmread ecx, ecx
        test ecx, ecx
        jnz run.unknown
        shr eax, 12
        mov ecx, eax
        shl ecx, 12
        add ecx, GUEST_MEMORY + EPT_ALL
        or ecx, [vmx_ept_type]
        mov [EPT_1 + eax * 8], ecx
        ret

; ---- preparation ----

make_tables:
        mov edi, EPT_4
        xor eax, eax
        mov ecx, (TABLES_END - EPT_4) / 4
        rep stosd
        mov edi, GUEST_MEMORY
        mov ecx, GUEST_BYTES / 4
        rep stosd
        mov dword [EPT_4], EPT_3 + EPT_ALL
        mov dword [EPT_3], EPT_2 + EPT_ALL
        mov dword [EPT_2], EPT_1 + EPT_ALL
        mov dword [EPT_2 + 8], EPT_1 + 0x1000 + EPT_ALL
        mov byte [IO_BITMAP_A + COM1_BITS], 0xff
        ret

; The module goes where its header wants it.
place_kernel:
        mov esi, MODULE_COPY
        mov ecx, 8192 / 4
.look:  cmp dword [esi], MULTIBOOT_MAGIC
        je .found
        add esi, 4
        loop .look
        jmp bad_image
.found: test dword [esi + 4], MULTIBOOT_FLAGS
        jz bad_image
        mov edi, [esi + 16]             ; load_addr
        mov eax, [esi + 28]             ; entry_addr
        mov [guest_entry], eax
        mov edx, [esi + 12]             ; header_addr
        sub edx, edi                    ; distance of the header from the first byte that is loaded
        sub esi, edx
        mov ecx, [module_bytes]
        cmp edi, GUEST_BYTES / 2
        jae bad_image
        cmp ecx, GUEST_BYTES / 2
        jae bad_image
        add edi, GUEST_MEMORY
        rep movsb
        ret
bad_image:
        line "hypervisor: the module is no kernel that could be started"
        jmp power_off

; The guest starts as multiboot says: protected mode, no paging, flat segments. Without 'unrestricted guest' paging cannot be off.
guest_state:
        proc_controls PROC_HLT + PROC_IO_BITMAPS
        proc_controls_2 PROC2_UNRESTRICTED
        test eax, PROC2_UNRESTRICTED
        jnz .able
        line "hypervisor: this processor cannot run a guest without paging"
        jmp power_off
.able:  mov ecx, [vmx_ept_type]
        shr ecx, 3
        or ecx, EPT_4 + (3 << 3)
        mov eax, EPT_POINTER
        vmwrite eax, ecx
        set IO_BITMAP_A_ADDRESS, IO_BITMAP_A
        set IO_BITMAP_A_ADDRESS + 1, 0
        set IO_BITMAP_B_ADDRESS, IO_BITMAP_B
        set IO_BITMAP_B_ADDRESS + 1, 0
        set GUEST_CR0, CR0_PE + CR0_NE + 0x10
        set CR0_MASK, CR0_NE
        set CR0_SHADOW, CR0_PE + 0x10
        set GUEST_CR4, CR4_VMXE
        set CR4_MASK, CR4_VMXE
        set CR4_SHADOW, 0
        set GUEST_CR3, 0
        set GUEST_GDTR_LIMIT, 0
        set GUEST_IDTR_LIMIT, 0
        set GUEST_EIP, [guest_entry]
        mov dword [guest_eax], MULTIBOOT_BOOTED
        mov dword [guest_ebx], INFO     ; all zero: no information
        ret

; Called by `event`: the host takes no exceptions.
exception:
        say "hypervisor: unexpected vector "
        mov eax, [ebp + FRAME_VECTOR]
        call print_decimal
        call newline
        jmp power_off

        align 4
module_bytes:   dd 0
guest_entry:    dd 0
