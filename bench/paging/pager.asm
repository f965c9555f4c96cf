; pager: a shadow pager in machine code, and a guest that keeps it busy. The paging benchmark counts what its handlers execute, kind of exit by kind of exit, to see
; whether the charge for the hypervisor that works without retiring instructions is a fair one (docs/paging-benchmark.md).
;
; It knows what such a pager cannot do without: shadow tables found by the frame of the guest's table, reverse maps, write protection with emulation of the write,
; accessed and dirty flags, the guest's own faults, VPIDs. The guest has 32-bit paging with 4-KiB pages, ring 0, one mode. Its memory lies where it thinks it does, but
; every frame is looked up (P2M). Nothing is ever given up.
;
;   0021_0000  the guest's page directories, its page tables     0022_0000  P2M: host address by frame of the guest
;   0022_4000  shadow page table, 0022_8000 shadow directory by frame of the guest, 0: none     0022_c000  reverse map: chain by frame of the guest
;   0023_0000  nodes of the chains: place, next                  0024_0000  shadow tables       0080_0000  POOL: pages that the guest maps
;   In the guest's address space: the first 4 MiB where they are, WINDOW.

bits 32
org 0x100000
%include "multiboot.inc"
start:  jmp main

STACK           equ 0x200000
IDT             equ 0x200000
VMX_PAGES       equ 0x201000
DIRECTORY_A     equ 0x210000
DIRECTORY_B     equ 0x211000
TABLE_LOW       equ 0x212000
TABLE           equ 0x213000
P2M             equ 0x220000
SHADOW_TABLE    equ 0x224000
SHADOW_DIR      equ 0x228000
REVERSE         equ 0x22c000
NODES           equ 0x230000
SHADOWS         equ 0x240000
SHADOWS_END     equ 0x260000
POOL            equ 0x800000
WINDOW          equ 0x1000000
FRAMES          equ 4096                ; of the guest
COUNT           equ 64                  ; pages that it maps
PAGE            equ 4096
PRESENT         equ 1
WRITABLE        equ 2
USER            equ 4
ACCESSED        equ 0x20
DIRTY           equ 0x40
ERROR_WRITE     equ 2
ERROR_USER      equ 4
CR0_WP          equ 0x10000
VPID            equ 0x0000
THE_VPID        equ 1
PROC2_VPID      equ 1 << 5
VECTORING_CODE  equ 0x440a
INJECT_FAULT    equ 0x80000b0e          ; valid, error code, hardware exception 14
INVVPID_ADDRESS equ 0
INVVPID_ALL     equ 1
INVVPID_LOCAL   equ 3
%ifndef ROUNDS
%define ROUNDS 2
%endif

; what an exit was about
KIND_HIDDEN     equ 1                   ; an entry that only the shadow lacked
KIND_TRUE       equ 2                   ; a fault of the guest's own
KIND_WRITE      equ 3                   ; a write to a table
KIND_INVLPG     equ 4
KIND_CR3        equ 5
KIND_CALL       equ 6                   ; the guest is done

%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"
%include "vmx.inc"
%include "vmx-root.inc"

main:   mov esp, STACK
        call serial_init
        mov eax, STACK
        call gdt_init
        call idt_init
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        call vmx_start
        call guest_tables
        call vmcs_defaults
        controls PROC_CONTROLS, MSR_VMX_PROCBASED_CTLS, PROC_INVLPG + PROC_CR3_LOAD + PROC_CR3_STORE + PROC_SECONDARY
        controls PROC_CONTROLS_2, MSR_VMX_PROCBASED_CTLS2, PROC2_VPID
        set VPID, THE_VPID
        set EXCEPTION_BITMAP, 1 << 14
        mov ecx, cr0
        or ecx, CR0_WP
        mov eax, GUEST_CR0
        vmwrite eax, ecx
        set GUEST_EIP, guest
        mov eax, DIRECTORY_A
        call load_root

run:    cmp dword [flush], 0
        je .enter
        mov dword [flush], 0
        mov eax, INVVPID_ALL
        invvpid eax, [descriptor]
.enter: call vmx_enter
        jc failed
        get EXIT_REASON
        cmp eax, 0
        je .fault
        cmp eax, 14
        je .invlpg
        cmp eax, 28
        je .cr3
        cmp eax, 18
        jne failed
        mov dword [kind], KIND_CALL
        line "done"
        jmp power_off
.fault: call on_fault
        jmp run
.invlpg:
        call on_invlpg
        jmp run
.cr3:   call on_cr3
        jmp run
failed: say "pager: unexpected exit "
        get EXIT_REASON
        call print_decimal
        say " at "
        get GUEST_EIP
        call print_hex
        call newline
        jmp power_off

; ---- exits ----

on_fault:
        get EXIT_INTERRUPTION
        cmp al, 14
        jne failed
        get EXIT_ERROR_CODE
        mov [error], eax
        get EXIT_QUALIFICATION
        mov [address], eax
        call walk
        jc .true
        or dword [esi], ACCESSED
        mov ecx, ACCESSED
        test dword [error], ERROR_WRITE
        jz .flags
        mov ecx, ACCESSED + DIRTY
.flags: or [edi], ecx
        mov [rights], edx
        mov edx, [address]              ; the place in the shadow tables
        mov ebp, edx
        shr edx, 22
        mov ecx, [root]
        lea ecx, [ecx + edx * 4]
        mov eax, [ecx]
        test al, PRESENT
        jnz .linked
        call link
.linked:
        and eax, ~(PAGE - 1)
        shr ebp, 12
        and ebp, 0x3ff
        lea ebp, [eax + ebp * 4]
        mov edx, [rights]
        call leaf
        test dword [error], ERROR_WRITE
        jz .set
        test al, WRITABLE
        jz on_write
.set:   mov dword [kind], KIND_HIDDEN
        call set_entry
        get IDT_VECTORING               ; an event that was being delivered is delivered again
        test eax, eax
        js .again
        ret
.again: mov edx, eax
        mov ecx, ENTRY_INTERRUPTION
        vmwrite ecx, edx
        get VECTORING_CODE
        mov ecx, ENTRY_ERROR_CODE
        vmwrite ecx, eax
        ret
.true:  mov dword [kind], KIND_TRUE
        mov eax, [address]
        mov cr2, eax
        mov ecx, ENTRY_ERROR_CODE
        mov edx, [error]
        and edx, ~PRESENT
        or edx, [present]               ; what the walk found
        vmwrite ecx, edx
        set ENTRY_INTERRUPTION, INJECT_FAULT
        ret

; A write to a page that is a table of the guest: executed for it. EBX = frame of that page.
on_write:
        mov dword [kind], KIND_WRITE
        push ebx
        call decode                     ; ECX = value
        pop ebx
        mov eax, [P2M + ebx * 4]
        and eax, ~(PAGE - 1)
        mov edx, [address]
        and edx, PAGE - 4
        mov [eax + edx], ecx
        mov eax, [SHADOW_DIR + ebx * 4]
        test eax, eax
        jz .table
        mov dword [eax + edx], 0        ; linked anew by the next fault
        mov dword [flush], 1
.table: mov ebp, [SHADOW_TABLE + ebx * 4]
        test ebp, ebp
        jz .done
        add ebp, edx
        mov eax, ecx                    ; an entry that has been used before is shadowed at once
        and ecx, PRESENT + ACCESSED
        cmp ecx, PRESENT + ACCESSED
        jne .drop
        mov edi, eax
        shr edi, 12
        mov ebx, edi
        mov edx, eax
        call leaf_of
        jmp set_entry
.drop:  mov eax, [ebp]
        test al, PRESENT
        jz .done
        mov dword [ebp], 0
        mov dword [flush], 1
        call forget
.done:  ret

on_invlpg:
        mov dword [kind], KIND_INVLPG
        get EXIT_QUALIFICATION
        mov [descriptor + 8], eax
        mov eax, INVVPID_ADDRESS
        invvpid eax, [descriptor]
        jmp vmx_skip

on_cr3: mov dword [kind], KIND_CR3
        get EXIT_QUALIFICATION
        mov edx, eax
        and edx, 0x3f                   ; MOV to CR3
        cmp edx, 3
        jne failed
        shr eax, 8
        and eax, 15
        mov eax, [registers + eax * 4]
        mov eax, [eax]
        call load_root
        mov eax, INVVPID_LOCAL
        invvpid eax, [descriptor]
        jmp vmx_skip

; ---- the guest's tables ----

; Walks them for [address] and [error]. ESI, EDI = host addresses of the directory's and the table's entry, EDX = rights of both and EAX = the latter.
; CF set: a fault of the guest's own; [present] = bit 0 of its error code.
walk:   mov dword [present], 0
        mov eax, [guest_cr3]
        shr eax, 12
        mov esi, [P2M + eax * 4]
        and esi, ~(PAGE - 1)
        mov ecx, [address]
        mov edx, ecx
        shr edx, 22
        lea esi, [esi + edx * 4]
        mov edx, [esi]
        test dl, PRESENT
        jz .fault
        mov eax, edx
        shr eax, 12
        cmp eax, FRAMES
        jae failed
        mov edi, [P2M + eax * 4]
        and edi, ~(PAGE - 1)
        shr ecx, 12
        and ecx, 0x3ff
        lea edi, [edi + ecx * 4]
        mov eax, [edi]
        test al, PRESENT
        jz .fault
        mov dword [present], PRESENT
        and edx, eax
        mov ecx, [error]                ; writes need WRITABLE, user accesses USER: the same bits in both
        and ecx, ERROR_WRITE + ERROR_USER
        mov ebx, edx
        and ebx, ecx
        cmp ebx, ecx
        jne .fault
        clc
        ret
.fault: stc
        ret

; The shadow of the entry at EDI with the rights EDX: EAX. EBX = frame of the guest's page. Changes ECX, EDX.
leaf:   mov eax, [edi]
        mov ebx, eax
        shr ebx, 12
leaf_of:                                ; EAX = the guest's entry, EDX = rights
        cmp ebx, FRAMES
        jae failed
        mov ecx, [P2M + ebx * 4]
        and ecx, ~(PAGE - 1)
        and edx, WRITABLE + USER
        test al, DIRTY
        jz .clean
        cmp dword [SHADOW_TABLE + ebx * 4], 0
        jne .clean
        cmp dword [SHADOW_DIR + ebx * 4], 0
        je .all
.clean: and edx, ~WRITABLE
.all:   lea eax, [ecx + edx + PRESENT]
        ret

; Puts the entry EAX for the guest's page EBX at EBP. Changes ECX, EDX.
set_entry:
        mov edx, [ebp]
        and edx, ~(ACCESSED + DIRTY)
        cmp edx, eax
        je .done
        mov [ebp], eax
        test dl, PRESENT
        jz .new
        mov ecx, edx                    ; less than before: the processor must forget
        xor ecx, eax
        and ecx, edx
        jz .same
        mov dword [flush], 1
.same:  xor edx, eax
        shr edx, 12
        jz .done
        push eax
        call forget
        pop eax
.new:   mov ecx, [free_node]
        mov edx, [ecx + 4]
        mov [free_node], edx
        mov [ecx], ebp
        mov edx, [REVERSE + ebx * 4]
        mov [ecx + 4], edx
        mov [REVERSE + ebx * 4], ecx
        mov edx, ebp                    ; which page the place stands for
        sub edx, SHADOWS
        mov [targets + edx], ebx
.done:  ret

; Takes the place EBP out of the reverse map. Changes EAX, ECX, EDX, ESI.
forget: mov esi, ebp
        sub esi, SHADOWS
        mov esi, [targets + esi]
        lea esi, [REVERSE + esi * 4 - 4]
.look:  mov ecx, [esi + 4]
        test ecx, ecx
        jz .done
        cmp [ecx], ebp
        je .found
        mov esi, ecx
        jmp .look
.found: mov eax, [ecx + 4]
        mov [esi + 4], eax
        mov eax, [free_node]
        mov [ecx + 4], eax
        mov [free_node], ecx
.done:  ret

; Links the shadow of the page table that the entry at ESI names into the shadow directory, at ECX. EAX = the new entry. Preserves EBX, EBP, EDI, ESI.
link:   push ebx
        push edi
        push ecx
        mov ebx, [esi]
        shr ebx, 12
        mov eax, [SHADOW_TABLE + ebx * 4]
        test eax, eax
        jnz .known
        call new_shadow
        mov [SHADOW_TABLE + ebx * 4], eax
        call protect
.known: pop ecx
        or eax, PRESENT + WRITABLE + USER
        mov [ecx], eax
        pop edi
        pop ebx
        ret

; EAX = value of CR3.
load_root:
        mov [guest_cr3], eax
        mov ebx, eax
        shr ebx, 12
        mov eax, [SHADOW_DIR + ebx * 4]
        test eax, eax
        jnz .known
        call new_shadow
        mov [SHADOW_DIR + ebx * 4], eax
        call protect
.known: mov [root], eax
        mov ecx, GUEST_CR3
        vmwrite ecx, eax
        ret

; EAX = an empty shadow table. Changes ECX, EDI.
new_shadow:
        mov edi, [free_shadow]
        cmp edi, SHADOWS_END
        jae failed
        add dword [free_shadow], PAGE
        push edi
        xor eax, eax
        mov ecx, PAGE / 4
        cld
        rep stosd
        pop eax
        ret

; Takes the right to write the guest's page EBX out of every entry. Changes ECX, EDX.
protect:
        mov ecx, [REVERSE + ebx * 4]
.next:  test ecx, ecx
        jz .done
        mov edx, [ecx]
        and dword [edx], ~WRITABLE
        mov dword [flush], 1
        mov ecx, [ecx + 4]
        jmp .next
.done:  ret

; ---- the instruction that writes a table: MOV to memory of a register or a number, whose operand is at [address] ----
; ECX = value; GUEST_EIP moves on. Changes all registers but EBP.
decode: push dword [address]
        get GUEST_EIP
        mov [address], eax
        mov dword [error], 0
        call walk
        jc failed
        shr eax, 12
        cmp eax, FRAMES
        jae failed
        mov esi, [P2M + eax * 4]
        and esi, ~(PAGE - 1)
        mov eax, [address]
        and eax, PAGE - 1
        add esi, eax                    ; the instruction ends in its page: the guest sees to that
        pop dword [address]
        movzx edx, byte [esi + 1]       ; ModRM
        mov edi, 2
        mov eax, edx
        and eax, 7
        cmp eax, 4
        jne .no_index
        inc edi
.no_index:
        mov ecx, edx
        shr ecx, 6
        cmp ecx, 1
        jb .none
        ja .long
        inc edi
        jmp .opcode
.none:  cmp eax, 5
        jne .opcode
.long:  add edi, 4
.opcode:
        mov al, [esi]
        cmp al, 0x89
        jne .number
        shr edx, 3
        and edx, 7
        mov edx, [registers + edx * 4]
        mov ecx, [edx]
        jmp .on
.number:
        cmp al, 0xc7
        jne failed
        mov ecx, [esi + edi]
        add edi, 4
.on:    get GUEST_EIP
        add eax, edi
        mov edx, GUEST_EIP
        vmwrite edx, eax
        ret

; ---- preparation ----

guest_tables:
        mov edi, DIRECTORY_A
        xor eax, eax
        mov ecx, (SHADOWS_END - DIRECTORY_A) / 4
        cld
        rep stosd
        mov edi, P2M
        mov eax, PRESENT
        mov ecx, FRAMES
.frame: stosd
        add eax, PAGE
        loop .frame
        mov edi, TABLE_LOW
        mov eax, PRESENT + WRITABLE
        mov ecx, 1024
.low:   stosd
        add eax, PAGE
        loop .low
        mov dword [DIRECTORY_A], TABLE_LOW + PRESENT + WRITABLE
        mov dword [DIRECTORY_B], TABLE_LOW + PRESENT + WRITABLE
        mov dword [DIRECTORY_A + WINDOW / 0x100000], TABLE + PRESENT + WRITABLE
        mov dword [DIRECTORY_B + WINDOW / 0x100000], TABLE + PRESENT + WRITABLE
        mov edi, NODES
        mov ecx, (SHADOWS - NODES) / 8 - 1
.node:  lea eax, [edi + 8]
        mov [edi + 4], eax
        mov edi, eax
        loop .node
        mov word [VMX_GUEST_IDT + 14 * 8 + 2], KERNEL_CODE
        mov eax, guest_fault
        mov [VMX_GUEST_IDT + 14 * 8], ax
        mov word [VMX_GUEST_IDT + 14 * 8 + 4], GATE_KERNEL
        shr eax, 16
        mov [VMX_GUEST_IDT + 14 * 8 + 6], ax
        ret

; Called by `event`: the host takes no exceptions.
exception:
        say "pager: unexpected vector "
        mov eax, [ebp + FRAME_VECTOR]
        call print_decimal
        call newline
        jmp power_off

        align 8
descriptor:     dd THE_VPID, 0, 0, 0
registers:      dd guest_eax, guest_ecx, guest_edx, guest_ebx, 0, guest_ebp, guest_esi, guest_edi
kind:           dd 0
error:          dd 0
present:        dd 0
rights:         dd 0
address:        dd 0
guest_cr3:      dd 0
root:           dd 0
flush:          dd 0
free_node:      dd NODES
free_shadow:    dd SHADOWS
        align 4096
targets:        times (SHADOWS_END - SHADOWS) / 4 dd 0

; ---- the guest ----
        align 4096
guest:  mov ebp, ROUNDS
round:  mov edi, TABLE                  ; each entry is written …
        mov eax, POOL + PRESENT + WRITABLE
        mov ecx, COUNT
.map:   mov [edi], eax
        add edi, 4
        add eax, PAGE
        loop .map
        mov esi, WINDOW                 ; … used, …
        mov ecx, COUNT
.read:  mov eax, [esi]
        add esi, PAGE
        loop .read
        mov esi, WINDOW                 ; … written through, …
        mov ecx, COUNT
.write: mov [esi], ecx
        add esi, PAGE
        loop .write
        mov edi, TABLE                  ; … and taken back
        mov esi, WINDOW
        mov ecx, COUNT
.clear: mov dword [edi], 0
        invlpg [esi]
        add edi, 4
        add esi, PAGE
        loop .clear
        mov esi, WINDOW                 ; faults of its own, each of which maps a page, that is then written through
        mov ecx, COUNT
.fault: mov [esi], ecx
        add esi, PAGE
        loop .fault
        mov edi, TABLE
        mov esi, WINDOW
        mov ecx, COUNT
.again: mov dword [edi], 0
        invlpg [esi]
        add edi, 4
        add esi, PAGE
        loop .again
        mov ecx, COUNT / 2
.space: mov eax, DIRECTORY_B
        mov cr3, eax
        mov eax, DIRECTORY_A
        mov cr3, eax
        loop .space
        dec ebp
        jnz round
        vmcall

guest_fault:
        push eax
        push edi
        mov eax, cr2
        sub eax, WINDOW
        shr eax, 12
        lea edi, [TABLE + eax * 4]
        shl eax, 12
        add eax, POOL + PRESENT + WRITABLE
        mov [edi], eax
        pop edi
        pop eax
        add esp, 4
        iret
