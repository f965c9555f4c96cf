; vmlaunch: a hypervisor in machine code. It starts one guest, takes each of its exits, tells about it, and lets it go on.
;
;   0010_0000  this kernel                0020_0000  top of its stack; interrupt table behind it
;   0020_1000  VMXON region               0020_2000  VMCS
;   0020_3000  own page directory: 16 MiB in large pages, because VMX operation needs paging
;   0020_4000  EPT, four levels, one page each
;   0030_0000  the guest's memory, 64 KiB
;
; The guest sees, from its physical address 0 on (its own page directory shows 4 MiB at the same linear addresses):
;   1000  its code      2000  page directory      3000  descriptor table      4000  interrupt table (not in the EPT at first)
;   5000  stack         6000  its data            7000  read-only in the EPT  8000  not in the EPT
;   9000  not in the EPT, will hold a RET         a000  a page whose EPT entry makes no sense (writable but not readable)
;
; Nothing that is printed depends on what the processor can do beyond the first generation with EPT.
; Expected output: expected.txt

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"
%include "vmx.inc"

STACK           equ 0x200000
IDT             equ 0x200000
VMXON_REGION    equ 0x201000
VMCS            equ 0x202000
DIRECTORY       equ 0x203000
EPT_LEVEL_4     equ 0x204000
EPT_LEVEL_3     equ 0x205000
EPT_LEVEL_2     equ 0x206000
EPT_LEVEL_1     equ 0x207000
TABLES_END      equ 0x208000
GUEST_MEMORY    equ 0x300000
GUEST_PAGES     equ 16
PAGE            equ 4096

; the guest's own addresses
CODE            equ 0x1000
PAGE_DIRECTORY  equ 0x2000
SEGMENTS        equ 0x3000
INTERRUPTS      equ 0x4000
STACK_TOP       equ 0x6000
DATA            equ 0x6000
READ_ONLY       equ 0x7000
ABSENT          equ 0x8000
ABSENT_CODE     equ 0x9000
NONSENSE        equ 0xa000

; what the guest asks for by VMCALL, number in EAX
CALL_TELL       equ 0                   ; print the text at EBX; EBX goes behind it
CALL_VALUE      equ 1                   ; print EBX
CALL_INJECT     equ 2                   ; interrupt me now
CALL_WINDOW     equ 3                   ; interrupt me as soon as I allow it
CALL_WITHDRAW   equ 4                   ; take the page at EBX away from me
VECTOR_NOW      equ 0x21
VECTOR_WINDOW   equ 0x22

PRESENT         equ 0x01
WRITABLE        equ 0x02
LARGE           equ 0x80
CR0_PE          equ 0x00000001
CR0_TS          equ 0x00000008
CR0_CD          equ 0x40000000
CR0_PG          equ 0x80000000
CR4_PSE         equ 0x00000010

%macro set 2                            ; field := value
        mov eax, %1
        mov ecx, %2
        vmwrite eax, ecx
%endmacro
%macro get 1                            ; EAX = field
        mov eax, %1
        vmread eax, eax
%endmacro

start:  mov esp, STACK
        call serial_init
        mov eax, STACK
        call gdt_init
        call idt_init
        mov al, 0xff                    ; no device interrupts, neither for the host nor for the guest
        out 0x21, al
        out 0xa1, al

        mov eax, 1
        cpuid
        test ecx, CPUID_1_ECX_VMX
        jnz .vmx
        line "this processor has no VMX"
        jmp power_off
.vmx:   mov ecx, MSR_FEATURE_CONTROL
        rdmsr
        test al, FEATURE_LOCK
        jnz .locked
        or eax, FEATURE_LOCK + FEATURE_VMXON
        wrmsr
.locked:
        test al, FEATURE_VMXON
        jnz .allowed
        line "the firmware has locked VMX"
        jmp power_off
.allowed:
        mov ecx, MSR_VMX_PROCBASED_CTLS
        rdmsr
        test edx, PROC_SECONDARY
        jz .no_ept
        mov ecx, MSR_VMX_PROCBASED_CTLS2
        rdmsr
        test edx, PROC2_EPT
        jnz .ept
.no_ept:
        line "this processor has no EPT"
        jmp power_off
.ept:   line "VMX and EPT are there"

        call make_tables
        call make_guest
        call enable_paging

; ---- life of a VMCS, with everything that may go wrong on the way ----

        mov ecx, MSR_VMX_BASIC
        rdmsr
        and eax, 0x7fffffff             ; revision; bit 31 stays 0
        mov [VMXON_REGION], eax
        mov [VMCS], eax

        say "VMXON: "
        vmxon [vmxon_pointer]
        call tell_result
        say "VMXON again: "             ; there is no VMCS yet that could hold an error number
        vmxon [vmxon_pointer]
        call tell_result
        say "VMREAD without a VMCS: "
        mov eax, EXIT_REASON
        vmread ecx, eax
        call tell_result
        say "VMCLEAR: "
        vmclear [vmcs_pointer]
        call tell_result
        say "VMPTRLD: "
        vmptrld [vmcs_pointer]
        call tell_result
        vmptrst [pointer]
        say "current is what was loaded: "
        xor eax, eax
        cmp dword [pointer], VMCS
        sete al
        call print_yes_no
        say "VMXON again: "
        vmxon [vmxon_pointer]
        call tell_result
        say "VMCLEAR of the VMXON region: "
        vmclear [vmxon_pointer]
        call tell_result
        say "VMCLEAR of an odd address: "
        vmclear [odd_pointer]
        call tell_result
        say "VMPTRLD of the VMXON region: "
        vmptrld [vmxon_pointer]
        call tell_result
        say "VMPTRLD with a wrong revision: "
        mov eax, [VMXON_REGION]
        xor eax, 1
        mov [EPT_LEVEL_1 + PAGE], eax   ; the page behind the tables
        vmptrld [wrong_pointer]
        call tell_result
        say "VMREAD of no field: "
        mov eax, 0x6ffe
        vmread ecx, eax
        call tell_result
        say "VMWRITE of no field: "
        vmwrite eax, ecx
        call tell_result
        say "INVEPT of no type: "
        mov eax, 7
        invept eax, [invept_descriptor]
        call tell_result

        call fill_vmcs

        say "VMRESUME before VMLAUNCH: "
        vmresume
        call tell_result
        set CR3_TARGET_COUNT, 200
        say "VMLAUNCH with a wrong control: "
        vmlaunch
        call tell_result
        set CR3_TARGET_COUNT, 0
        set HOST_CS, KERNEL_CODE + 3
        say "VMLAUNCH with a wrong host: "
        vmlaunch
        call tell_result
        set HOST_CS, KERNEL_CODE
        set GUEST_EFLAGS, 0             ; bit 1 must be 1
        line "VMLAUNCH with a wrong guest:"
        call enter
        call tell_exit
        set GUEST_EFLAGS, 2

; ---- the guest runs ----

run:    call enter
        jnc .exit
        say "VM entry failed: "
        jmp stop
.exit:  mov dword [launched], 1
        get EXIT_REASON
        cmp eax, 18                     ; VMCALL to print is not worth telling
        jne .tell
        cmp dword [guest_eax], CALL_TELL
        je .handle
.tell:  call tell_exit
        get EXIT_REASON
.handle:
        mov esi, exits
.look:  cmp dword [esi + 4], 0
        je .unknown
        cmp [esi], eax
        je .found
        add esi, EXIT_ROW
        jmp .look
.found: call [esi + 8]
        jmp run
.unknown:
        line "that was not expected"
        jmp power_off

; Exits: reason, name, what to do. What a handler does not change stays as it was when the guest was left.
        align 4
exits:  dd 0, name_exception, on_exception
EXIT_ROW        equ $ - exits
        dd 2, name_triple_fault, on_triple_fault
        dd 7, name_window, on_window
        dd 10, name_cpuid, on_cpuid
        dd 12, name_hlt, on_hlt
        dd 13, name_invd, skip_instruction
        dd 14, name_invlpg, skip_instruction
        dd 16, name_rdtsc, on_rdtsc
        dd 18, name_vmcall, on_vmcall
        dd 22, name_vmptrst, skip_instruction
        dd 23, name_vmread, skip_instruction
        dd 26, name_vmxoff, skip_instruction
        dd 28, name_control, on_control
        dd 30, name_io, on_io
        dd 31, name_rdmsr, on_rdmsr
        dd 32, name_wrmsr, skip_instruction
        dd 48, name_violation, on_violation
        dd 49, name_misconfiguration, on_misconfiguration
        dd 0x80000021, name_entry_failure, 0
        dd 0, 0, 0

name_exception:        db "exception or NMI", 0
name_triple_fault:     db "triple fault", 0
name_window:           db "interrupt window", 0
name_cpuid:            db "CPUID", 0
name_hlt:              db "HLT", 0
name_invd:             db "INVD", 0
name_invlpg:           db "INVLPG", 0
name_rdtsc:            db "RDTSC", 0
name_vmcall:           db "VMCALL", 0
name_vmptrst:          db "VMPTRST", 0
name_vmread:           db "VMREAD", 0
name_vmxoff:           db "VMXOFF", 0
name_control:          db "control-register access", 0
name_io:               db "I/O instruction", 0
name_rdmsr:            db "RDMSR", 0
name_wrmsr:            db "WRMSR", 0
name_violation:        db "EPT violation", 0
name_misconfiguration: db "EPT misconfiguration", 0
name_entry_failure:    db "entry failed, guest state", 0

skip_instruction:
        get EXIT_INSTRUCTION_LENGTH
        mov ecx, eax
        get GUEST_EIP
        add ecx, eax
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        ret

on_cpuid:
        mov dword [guest_eax], 'ring'
        mov dword [guest_ebx], 'let '
        mov dword [guest_ecx], 'has '
        mov dword [guest_edx], 'you '
        jmp skip_instruction

on_rdtsc:
        mov dword [guest_eax], 0x1234
        mov dword [guest_edx], 0
        jmp skip_instruction

on_rdmsr:
        mov dword [guest_eax], 0x5678
        mov dword [guest_edx], 0
        jmp skip_instruction

on_io:  get EXIT_QUALIFICATION
        test al, 8                      ; direction: in
        jz skip_instruction
        mov dword [guest_eax], 0xcafe
        jmp skip_instruction

on_control:
        get EXIT_QUALIFICATION
        cmp eax, 0x00000013             ; MOV from CR3 to EAX
        jne skip_instruction
        get GUEST_CR3
        mov [guest_eax], eax
        jmp skip_instruction

; An instruction of its own made INT3's exit; for faults, the guest says in EDI where it wants to go on.
on_exception:
        get EXIT_INTERRUPTION
        shr eax, 8
        and eax, 7
        cmp eax, 6                      ; software exception
        je skip_instruction
        set GUEST_EIP, [guest_edi]
        ret

; The page is given, with all rights, and the instruction is tried again.
on_violation:
on_misconfiguration:
        get GUEST_PHYSICAL_ADDRESS
        cmp eax, GUEST_PAGES * PAGE
        jae run.unknown
        shr eax, 12
        jmp give_page                   ; what is given needs no invalidation: the exit itself dropped the old translation

on_vmcall:
        mov eax, [guest_eax]
        cmp eax, CALL_TELL
        je .tell
        cmp eax, CALL_VALUE
        je .value
        cmp eax, CALL_WINDOW
        je .window
        cmp eax, CALL_WITHDRAW
        je .withdraw
        set ENTRY_INTERRUPTION, 0x80000000 + VECTOR_NOW
        jmp skip_instruction
.window:
        get PROC_CONTROLS
        or eax, PROC_INTERRUPT_WINDOW
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        jmp skip_instruction
.withdraw:
        mov eax, [guest_ebx]
        cmp eax, GUEST_PAGES * PAGE
        jae run.unknown
        shr eax, 12
        mov dword [EPT_LEVEL_1 + eax * 8], 0
        mov eax, 2                      ; all contexts: without this the guest might keep what it has
        invept eax, [invept_descriptor]
        jmp skip_instruction
.value: say "    guest: "
        mov eax, [guest_ebx]
        call print_hex
        call newline
        jmp skip_instruction
.tell:  say "guest: "
        mov esi, [guest_ebx]            ; the guest's word: it has to be inside its code
        cmp esi, CODE
        jb run.unknown
        cmp esi, CODE + PAGE - 80
        jae run.unknown
        add esi, GUEST_MEMORY
        call print
        sub esi, GUEST_MEMORY
        mov [guest_ebx], esi
        call newline
        jmp skip_instruction

on_window:
        get PROC_CONTROLS
        and eax, ~PROC_INTERRUPT_WINDOW
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        set ENTRY_INTERRUPTION, 0x80000000 + VECTOR_WINDOW
        ret

on_hlt: line "the guest has halted; once more, from where it has no interrupt table"
        set GUEST_IDTR_LIMIT, 0
        set GUEST_EIP, guest_breakdown - guest + CODE
        set EXCEPTION_BITMAP, 0
        ret

on_triple_fault:
        say "VMLAUNCH of what was launched: "
        vmlaunch
        call tell_result
        say "VMCLEAR: "
        vmclear [vmcs_pointer]
        call tell_result
        say "VMREAD after that: "
        mov eax, EXIT_REASON
        vmread ecx, eax
        call tell_result
        say "VMXOFF: "
        vmxoff
        call tell_result
        jmp power_off
stop:   call tell_result
        jmp power_off

; ---- entry and exit ----

; Enters the guest; returns at its exit with CF clear, or with CF set when the entry failed; the error number is in the VMCS.
enter:  pushad
        mov eax, HOST_ESP
        vmwrite eax, esp
        mov ebx, [guest_ebx]
        mov ecx, [guest_ecx]
        mov edx, [guest_edx]
        mov esi, [guest_esi]
        mov edi, [guest_edi]
        mov ebp, [guest_ebp]
        mov eax, [guest_eax]
        cmp dword [launched], 0
        jne .resume
        vmlaunch
        jmp .failed
.resume:
        vmresume
.failed:
        popad
        stc
        ret
vm_exit:                                ; HOST_EIP: ESP is what it was, the other registers are the guest's
        mov [guest_eax], eax
        mov [guest_ebx], ebx
        mov [guest_ecx], ecx
        mov [guest_edx], edx
        mov [guest_esi], esi
        mov [guest_edi], edi
        mov [guest_ebp], ebp
        popad
        clc
        ret

; ---- telling ----

; The flags after a VMX instruction say how it went. Preserves all registers but the flags.
tell_result:
        jc .invalid
        jz .valid
        line "done"
        ret
.invalid:
        line "VMfailInvalid"
        ret
.valid: push eax
        say "VMfail, error "
        get INSTRUCTION_ERROR
        call print_decimal
        call newline
        pop eax
        ret

; One line about the exit; only what the manual defines for it.
tell_exit:
        say "    exit "
        get EXIT_REASON
        mov ebx, eax
        and eax, 0xffff
        call print_decimal
        say ", "
        mov edx, exits
.look:  cmp [edx], ebx
        je .name
        add edx, EXIT_ROW
        cmp dword [edx + 4], 0
        jne .look
        line "unknown"
        ret
.name:  mov esi, [edx + 4]
        call print
        cmp ebx, 49                     ; a misconfiguration has no qualification
        je .address
        say ", qualification "
        get EXIT_QUALIFICATION
        cmp ebx, 48
        jne .qualification
        and eax, 0x1ff                  ; further bits depend on the processor
.qualification:
        call print_hex
        cmp ebx, 48
        je .address
        cmp ebx, 0
        je .exception
        cmp ebx, 10
        jb .end
        cmp ebx, 0x80000000
        jae .end
        say ", length "
        get EXIT_INSTRUCTION_LENGTH
        call print_decimal
        jmp .end
.exception:
        say ", interruption "
        get EXIT_INTERRUPTION
        call print_hex
        test ah, 8                      ; bit 11: there is an error code
        jz .end
        say ", error code "
        get EXIT_ERROR_CODE
        call print_hex4
        jmp .end
.address:
        say ", address "
        get GUEST_PHYSICAL_ADDRESS
        call print_hex
        get IDT_VECTORING
        test eax, eax
        jns .end
        say ", delivering "
        call print_hex
.end:   call newline
        ret

; Called by `event`: the host takes no exceptions.
exception:
        say "unexpected vector "
        mov eax, [ebp + FRAME_VECTOR]
        call print_decimal
        call newline
        jmp power_off

; ---- preparation ----

make_tables:
        mov edi, VMXON_REGION
        xor eax, eax
        mov ecx, (TABLES_END + PAGE - VMXON_REGION) / 4
        cld
        rep stosd
        mov eax, PRESENT + WRITABLE + LARGE
        mov edi, DIRECTORY
.map:   stosd
        add eax, 0x400000
        cmp eax, 0x1000000
        jb .map

        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        test eax, EPT_CAP_WRITE_BACK
        jz .uncacheable
        mov dword [ept_type], EPT_WRITE_BACK
.uncacheable:
        mov dword [EPT_LEVEL_4], EPT_LEVEL_3 + EPT_ALL
        mov dword [EPT_LEVEL_3], EPT_LEVEL_2 + EPT_ALL
        mov dword [EPT_LEVEL_2], EPT_LEVEL_1 + EPT_ALL
        mov eax, 1
.page:  cmp eax, INTERRUPTS >> 12
        je .next
        call give_page
.next:  inc eax
        cmp eax, READ_ONLY >> 12
        jbe .page
        and dword [EPT_LEVEL_1 + (READ_ONLY >> 12) * 8], ~EPT_WRITE
        mov dword [EPT_LEVEL_1 + (NONSENSE >> 12) * 8], GUEST_MEMORY + NONSENSE + EPT_WRITE
        ret

; The guest's page EAX gets its frame, with all rights. Preserves EAX.
give_page:
        mov ecx, eax
        shl ecx, 12
        add ecx, GUEST_MEMORY + EPT_ALL
        or ecx, [ept_type]
        mov [EPT_LEVEL_1 + eax * 8], ecx
        ret

make_guest:
        mov edi, GUEST_MEMORY
        xor eax, eax
        mov ecx, GUEST_PAGES * PAGE / 4
        rep stosd
        mov esi, guest
        mov edi, GUEST_MEMORY + CODE
        mov ecx, guest_end - guest
        rep movsb
        mov dword [GUEST_MEMORY + PAGE_DIRECTORY], PRESENT + WRITABLE + LARGE
        mov esi, gdt
        mov edi, GUEST_MEMORY + SEGMENTS
        mov ecx, 3 * 8
        rep movsb
        mov edi, GUEST_MEMORY + INTERRUPTS
        mov eax, guest_divide - guest + CODE
        call guest_gate
        mov edi, GUEST_MEMORY + INTERRUPTS + VECTOR_NOW * 8
        mov eax, guest_interrupt - guest + CODE
        call guest_gate
        mov edi, GUEST_MEMORY + INTERRUPTS + VECTOR_WINDOW * 8
        call guest_gate
        mov byte [GUEST_MEMORY + ABSENT_CODE], 0xc3
        ret

; Gate at EDI leads to EAX, which is below 64 KiB.
guest_gate:
        mov [edi], ax
        mov word [edi + 2], KERNEL_CODE
        mov word [edi + 4], GATE_KERNEL
        ret

; VMX operation fixes some bits of CR0 and CR4: protection, paging, NE, VMXE at least.
enable_paging:
        mov eax, DIRECTORY
        mov cr3, eax
        mov ecx, MSR_VMX_CR4_FIXED0
        call fixed
        mov eax, cr4
        or eax, CR4_PSE
        or eax, ebx
        and eax, edi
        mov cr4, eax
        mov ecx, MSR_VMX_CR0_FIXED0
        call fixed
        mov eax, cr0
        or eax, CR0_PG
        or eax, ebx
        and eax, edi
        mov cr0, eax
        jmp .on
.on:    ret

; ECX = FIXED0 register. Out: EBX = bits that must be 1, EDI = bits that may be. Changes EAX, ECX, EDX.
fixed:  rdmsr
        mov ebx, eax
        inc ecx
        rdmsr
        mov edi, eax
        ret

; EAX = controls that are wanted, ECX = capability register, EDX = field.
set_controls:
        push edx
        push eax
        rdmsr
        pop ecx
        or eax, ecx
        and eax, edx
        pop ecx
        vmwrite ecx, eax
        ret

fill_vmcs:
        mov ecx, MSR_VMX_BASIC
        rdmsr
        xor ebp, ebp                    ; distance to the registers that tell the truth about default bits
        test edx, 1 << 23
        jz .controls
        mov ebp, TRUE_CTLS
.controls:
        lea ecx, [ebp + MSR_VMX_PINBASED_CTLS]
        mov edx, PIN_CONTROLS
        xor eax, eax
        call set_controls
        lea ecx, [ebp + MSR_VMX_PROCBASED_CTLS]
        mov edx, PROC_CONTROLS
        mov eax, PROC_HLT + PROC_INVLPG + PROC_RDTSC + PROC_CR3_LOAD + PROC_CR3_STORE + PROC_IO + PROC_SECONDARY
        call set_controls
        lea ecx, [ebp + MSR_VMX_EXIT_CTLS]
        mov edx, EXIT_CONTROLS
        xor eax, eax
        call set_controls
        lea ecx, [ebp + MSR_VMX_ENTRY_CTLS]
        mov edx, ENTRY_CONTROLS
        xor eax, eax
        call set_controls
        mov ecx, MSR_VMX_PROCBASED_CTLS2
        mov edx, PROC_CONTROLS_2
        mov eax, PROC2_EPT
        call set_controls
        mov ecx, [ept_type]
        shr ecx, 3                      ; memory type, walk length less one
        or ecx, EPT_LEVEL_4 + (3 << 3)
        mov eax, EPT_POINTER
        vmwrite eax, ecx

        mov esi, constants
.constant:
        mov eax, [esi]
        mov ecx, [esi + 4]
        vmwrite eax, ecx
        jbe stop
        add esi, 8
        cmp esi, constants_end
        jb .constant

        mov ecx, cr0
        mov eax, HOST_CR0
        vmwrite eax, ecx
        mov ecx, cr3
        mov eax, HOST_CR3
        vmwrite eax, ecx
        mov ecx, cr4
        mov eax, HOST_CR4
        vmwrite eax, ecx

        mov ecx, MSR_VMX_CR0_FIXED0
        call fixed
        or ebx, CR0_PE + CR0_PG
        mov eax, GUEST_CR0
        vmwrite eax, ebx
        mov ecx, MSR_VMX_CR4_FIXED0
        call fixed
        or ebx, CR4_PSE
        mov eax, GUEST_CR4
        vmwrite eax, ebx
        ret

        align 4
constants:
        dd EPT_POINTER + 1, 0
        dd VMCS_LINK_POINTER, -1
        dd VMCS_LINK_POINTER + 1, -1
        dd GUEST_DEBUGCTL, 0
        dd GUEST_DEBUGCTL + 1, 0
        dd EXCEPTION_BITMAP, (1 << 3) + (1 << 6) + (1 << 14)
        dd 0x4006, 0                            ; page faults: all error codes
        dd 0x4008, 0
        dd CR3_TARGET_COUNT, 0
        dd 0x400e, 0                            ; MSR lists: none
        dd 0x4010, 0
        dd 0x4014, 0
        dd ENTRY_INTERRUPTION, 0
        dd CR0_MASK, CR0_TS + CR0_CD
        dd CR0_SHADOW, CR0_TS
        dd CR4_MASK, CR4_VMXE
        dd CR4_SHADOW, 0

        dd GUEST_SELECTOR + 0, KERNEL_DATA
        dd GUEST_SELECTOR + 2, KERNEL_CODE
        dd GUEST_SELECTOR + 4, KERNEL_DATA
        dd GUEST_SELECTOR + 6, KERNEL_DATA
        dd GUEST_SELECTOR + 8, KERNEL_DATA
        dd GUEST_SELECTOR + 10, KERNEL_DATA
        dd GUEST_SELECTOR + SEGMENT_LDTR, 0
        dd GUEST_SELECTOR + SEGMENT_TR, TSS_SELECTOR
        dd GUEST_LIMIT + 0, 0xffffffff
        dd GUEST_LIMIT + 2, 0xffffffff
        dd GUEST_LIMIT + 4, 0xffffffff
        dd GUEST_LIMIT + 6, 0xffffffff
        dd GUEST_LIMIT + 8, 0xffffffff
        dd GUEST_LIMIT + 10, 0xffffffff
        dd GUEST_LIMIT + SEGMENT_LDTR, 0
        dd GUEST_LIMIT + SEGMENT_TR, 103
        dd GUEST_RIGHTS + 0, 0xc093             ; data, read/write, accessed, present, 32-bit, pages
        dd GUEST_RIGHTS + 2, 0xc09b             ; code, execute/read, accessed
        dd GUEST_RIGHTS + 4, 0xc093
        dd GUEST_RIGHTS + 6, 0xc093
        dd GUEST_RIGHTS + 8, 0xc093
        dd GUEST_RIGHTS + 10, 0xc093
        dd GUEST_RIGHTS + SEGMENT_LDTR, RIGHTS_UNUSABLE
        dd GUEST_RIGHTS + SEGMENT_TR, 0x8b      ; busy 32-bit TSS
        dd GUEST_BASE + 0, 0
        dd GUEST_BASE + 2, 0
        dd GUEST_BASE + 4, 0
        dd GUEST_BASE + 6, 0
        dd GUEST_BASE + 8, 0
        dd GUEST_BASE + 10, 0
        dd GUEST_BASE + SEGMENT_LDTR, 0
        dd GUEST_BASE + SEGMENT_TR, DATA
        dd GUEST_GDTR_BASE, SEGMENTS
        dd GUEST_GDTR_LIMIT, 3 * 8 - 1
        dd GUEST_IDTR_BASE, INTERRUPTS
        dd GUEST_IDTR_LIMIT, 256 * 8 - 1
        dd 0x4824, 0                            ; interruptibility
        dd 0x4826, 0                            ; activity: active
        dd 0x482a, 0                            ; SYSENTER: CS, ESP, EIP
        dd 0x6824, 0
        dd 0x6826, 0
        dd 0x6822, 0                            ; pending debug exceptions
        dd GUEST_DR7, 0x400
        dd GUEST_CR3, PAGE_DIRECTORY
        dd GUEST_ESP, STACK_TOP
        dd GUEST_EIP, CODE
        dd GUEST_EFLAGS, 2

        dd HOST_ES, KERNEL_DATA
        dd HOST_CS, KERNEL_CODE
        dd HOST_ES + 4, KERNEL_DATA
        dd HOST_ES + 6, KERNEL_DATA
        dd HOST_ES + 8, KERNEL_DATA
        dd HOST_ES + 10, KERNEL_DATA
        dd HOST_TR, TSS_SELECTOR
        dd 0x6c06, 0                            ; bases of FS and GS
        dd 0x6c08, 0
        dd HOST_TR_BASE, tss
        dd HOST_GDTR_BASE, gdt
        dd HOST_IDTR_BASE, IDT
        dd 0x4c00, 0                            ; SYSENTER: CS, ESP, EIP
        dd 0x6c10, 0
        dd 0x6c12, 0
        dd HOST_EIP, vm_exit
constants_end:

        align 8
vmxon_pointer:  dd VMXON_REGION, 0
vmcs_pointer:   dd VMCS, 0
odd_pointer:    dd VMCS + 8, 0
wrong_pointer:  dd EPT_LEVEL_1 + PAGE, 0
pointer:        dd 0, 0
invept_descriptor:
                dd 0, 0, 0, 0
ept_type:       dd 0
launched:       dd 0
guest_eax:      dd 0
guest_ebx:      dd 0
guest_ecx:      dd 0
guest_edx:      dd 0
guest_esi:      dd 0
guest_edi:      dd 0
guest_ebp:      dd 0

; ---- the guest: one page, copied to its address CODE; its jumps are relative ----

; tell "text": the host prints it.
%macro tell 1
        call guest_tell
        db %1, 0
%endmacro

        align 16
guest:
        tell "CPUID"
        mov eax, 1
        cpuid
        push edx
        push ecx
        mov ebx, eax
        mov eax, CALL_VALUE
        vmcall
        pop ebx
        mov eax, CALL_VALUE
        vmcall
        pop ebx
        mov eax, CALL_VALUE
        vmcall

        tell "OUT 80h, AL; IN EAX, DX; OUT DX, AX; REP OUTSB"
        out 0x80, al
        mov dx, 0x1234
        in eax, dx
        mov ebx, eax
        mov eax, CALL_VALUE
        vmcall
        out dx, ax
        mov esi, CODE
        mov ecx, 3
        rep outsb

        tell "RDTSC, RDMSR, WRMSR"
        rdtsc
        mov ecx, 0x10
        rdmsr
        mov ebx, eax
        wrmsr
        mov eax, CALL_VALUE
        vmcall

        tell "MOV from CR3, MOV to CR3"
        mov eax, cr3
        mov cr3, eax
        tell "CR0 and CR4 as I see them: TS set, CD clear, VMXE clear"
        mov eax, cr0
        and eax, CR0_TS + CR0_CD
        mov ebx, eax
        mov eax, cr4
        and eax, CR4_VMXE
        or ebx, eax
        mov eax, CALL_VALUE
        vmcall
        tell "CLTS, LMSW, CR0.CD, CR4.VMXE: not mine to change"
        clts
        mov eax, 1
        lmsw ax
        mov ebx, cr0
        or ebx, CR0_CD
        mov cr0, ebx
        mov ecx, cr4
        or ecx, CR4_VMXE
        mov cr4, ecx
        tell "CR4.PSE: mine"
        mov ecx, cr4
        mov cr4, ecx

        tell "INVLPG, INVD"
        invlpg [READ_ONLY + 0x123]
        invd
        tell "VMREAD, VMPTRST, VMXOFF"
        vmread ecx, eax
        vmptrst [DATA + 0x10]
        vmxoff

        tell "INT3, UD2, page fault"
        int3
        mov edi, .after_ud2 - guest + CODE
        ud2
.after_ud2:
        mov edi, .after_fault - guest + CODE
        mov eax, [0x400123]
.after_fault:
        tell "DIV by zero: my own exception, but its table is not in the EPT yet"
        xor ecx, ecx
        div ecx
        mov ebx, [DATA]
        mov eax, CALL_VALUE
        vmcall

        tell "pages: read-only, absent, absent code, nonsense"
        mov eax, [READ_ONLY]
        mov [READ_ONLY + 4], eax
        mov dword [ABSENT + 8], 0x600d
        mov eax, ABSENT_CODE
        call eax
        mov eax, [NONSENSE + 12]
        mov ebx, [ABSENT + 8]
        add ebx, eax
        mov eax, CALL_VALUE
        vmcall
        tell "a page that is taken away while I use it"
        mov ebx, ABSENT
        mov eax, CALL_WITHDRAW
        vmcall
        mov ebx, [ABSENT + 8]
        mov eax, CALL_VALUE
        vmcall

        tell "an interrupt, please"
        sti
        mov eax, CALL_INJECT
        vmcall
        mov ebx, [DATA]
        mov eax, CALL_VALUE
        vmcall
        cli
        tell "one more, when I allow it"
        mov eax, CALL_WINDOW
        vmcall
        mov ebx, [DATA]
        mov eax, CALL_VALUE
        vmcall
        sti
        nop
        mov ebx, [DATA]
        cli
        mov eax, CALL_VALUE
        vmcall

        tell "HLT"
        hlt

guest_breakdown:
        int3

guest_divide:
        add dword [DATA], 1
        add dword [esp], 2              ; behind DIV
        iret

guest_interrupt:
        add dword [DATA], 0x100
        iret

guest_tell:
        push eax
        push ebx
        mov ebx, [esp + 8]
        mov eax, CALL_TELL
        vmcall
        mov [esp + 8], ebx
        pop ebx
        pop eax
        ret
        times PAGE - ($ - guest) db 0   ; fails to assemble when the guest outgrows its page
guest_end:
