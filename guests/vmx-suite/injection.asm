; injection: VM-entry interruption information: every type with every vector that differs, with an error code and without: which of them an
; entry takes; instruction lengths, reserved bits, and blocking that forbids an event.
; Manual: Vol. 3, "VM-Entry Control Fields" in "Checks on VMX Controls"; "Checks on Guest Non-Register State"; "Event Injection".

%define SUBJECT "injection"
%include "suite.inc"
%include "guest-events.inc"

MSR_VMX_MISC    equ 0x485
INTERRUPTIBILITY equ 0x4824
ACTIVITY        equ 0x4826
LENGTH          equ 0x401a
HAS_CODE        equ 0x800
ANY_CODE        equ 1 << 24             ; bit 56 of IA32_VMX_BASIC, in EDX: error codes with any vector
PROC_TRAP       equ 1 << 27
BY_STI          equ 1
BY_MOV_SS       equ 2
IF              equ 0x200
; vectors whose exceptions have an error code: #DF #TS #NP #SS #GP #PF #AC
WITH_CODE       equ (1 << 8) + (1 << 10) + (1 << 11) + (1 << 12) + (1 << 13) + (1 << 14) + (1 << 17)
UNCERTAIN       equ 1 << 21             ; #CP, on processors that have it

subject:
        call make_guest_idt
        set ENTRY_ERROR_CODE, 0
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_TRAP
        call allowed
        setz byte [has_trap]
        mov ecx, MSR_VMX_BASIC
        rdmsr
        mov [basic], edx
        mov dword [type], 0
.type:  mov eax, [type]
        mov eax, [names + eax * 4]
        mov [name], eax
        call all_vectors
        inc dword [type]
        cmp dword [type], 8
        jb .type

        test_name "bits 30:12 are reserved"
        mov edi, 1 << 12
.bit:   mov ecx, edi
        or ecx, VALID + 0x306
        mov eax, ENTRY_INTERRUPTION
        vmwrite eax, ecx
        mov dword [entered], -1
        call enter
        cmp dword [entered], 0
        jne .taken
        shl edi, 1
        jns .bit
        call passed
        jmp .lengths
.taken: call failed
.lengths:
        test_name "what is not valid is not looked at"
        set ENTRY_INTERRUPTION, 0x7ffff1ff
        guest_at guest_halts
        check_exit 12
        test_name "a software interrupt of 16 bytes"
        set ENTRY_INTERRUPTION, VALID + 0x400 + 0x21
        set LENGTH, 16
        check_refused 7
        test_name "of 15 bytes"
        set LENGTH, 15
        guest_at guest_halts
        check_exit 18
        check_equal [guest_ebx], guest_halts + 15
        test_name "of 0 bytes: if the processor says so"
        set LENGTH, 0
        set ENTRY_INTERRUPTION, VALID + 0x400 + 0x21
        guest_at guest_halts
        mov ecx, MSR_VMX_MISC
        rdmsr
        test eax, 1 << 30
        jz .no_zero
        check_exit 18
        jmp .length_done
.no_zero:
        check_refused 7
.length_done:
        set LENGTH, 1
        test_name "an error code of more than 16 bits"
        set ENTRY_ERROR_CODE, 0x10000
        set ENTRY_INTERRUPTION, VALID + 0xb0d
        check_refused 7
        test_name "does not matter without one"
        set ENTRY_INTERRUPTION, VALID + 0x306
        guest_at guest_halts
        check_exit 18
        set ENTRY_ERROR_CODE, 0

        test_name "an external interrupt needs IF = 1"
        set GUEST_EFLAGS, 2
        set ENTRY_INTERRUPTION, VALID + 0x20
        check_exit ENTRY_FAILURE + 33
        set GUEST_EFLAGS, 2 + IF
        test_name "an external interrupt needs that STI does not block"
        set INTERRUPTIBILITY, BY_STI
        check_exit ENTRY_FAILURE + 33
        test_name "an external interrupt needs that MOV SS does not block"
        set INTERRUPTIBILITY, BY_MOV_SS
        check_exit ENTRY_FAILURE + 33
        test_name "an exception does not"
        set ENTRY_INTERRUPTION, VALID + 0x306
        guest_at guest_halts
        check_exit 18
        set INTERRUPTIBILITY, 0
        set GUEST_EFLAGS, 2 + IF
        test_name "in the HLT state an exception other than #DB and #MC is refused"
        set ACTIVITY, 1
        set ENTRY_INTERRUPTION, VALID + 0x306
        check_exit ENTRY_FAILURE + 33
        test_name "a software interrupt, too"
        set ENTRY_INTERRUPTION, VALID + 0x400 + 0x21
        check_exit ENTRY_FAILURE + 33
        test_name "#DB is not"
        set ENTRY_INTERRUPTION, VALID + 0x301
        guest_at guest_halts
        check_exit 18
        test_name "and leaves the guest active"
        check_field ACTIVITY, 0
        ret

; All vectors of [type], with and without an error code; one result.
all_vectors:
        mov dword [vector], 0
.vector:
        mov dword [code], 0
        call one
        jne .wrong
        mov dword [code], HAS_CODE
        call one
        jne .wrong
        inc dword [vector]
        cmp dword [vector], 256
        jb .vector
        jmp passed
.wrong: call failed
        say "  information "
        mov eax, [information]
        call print_hex
        say ", taken: "
        mov eax, [entered]
        call print_decimal
        call newline
        ret

; ZF set if the entry did as it should.
one:    mov eax, [type]
        shl eax, 8
        or eax, [vector]
        or eax, [code]
        or eax, VALID
        mov [information], eax
        call model
        jc .uncertain
        mov [wanted], eax
        mov ecx, [information]
        mov eax, ENTRY_INTERRUPTION
        vmwrite eax, ecx
        set LENGTH, 2
        set GUEST_EFLAGS, 2 + IF
        guest_at guest_halts
        set INTERRUPTIBILITY, 0
        mov dword [entered], -1
        call enter
        cmp dword [entered], 0
        jne .entered
        get INSTRUCTION_ERROR
        cmp eax, 7
        jne .end
.entered:
        mov eax, [entered]
        cmp eax, [wanted]
.end:   ret
.uncertain:
        cmp eax, eax
        ret

; EAX := 1 if the entry must take it; CF set if that depends on what no register tells.
model:  mov ecx, [vector]
        mov eax, [type]
        cmp eax, 1
        je .refuse
        cmp eax, 7
        jne .nmi
        cmp byte [has_trap], 0
        je .refuse
        test ecx, ecx
        jnz .refuse
.nmi:   cmp eax, 2
        jne .hardware
        cmp ecx, 2
        jne .refuse
.hardware:
        cmp eax, 3
        jne .without
        cmp ecx, 31
        ja .refuse
        test dword [basic], ANY_CODE
        jnz .accept
        mov eax, 1
        shl eax, cl
        test eax, UNCERTAIN
        jnz .unknown
        test eax, WITH_CODE
        jz .without
        cmp dword [code], 0
        je .refuse
        jmp .accept
.without:
        cmp dword [code], 0
        jne .refuse
.accept:
        mov eax, 1
        clc
        ret
.refuse:
        xor eax, eax
        ret
.unknown:
        stc
        ret

        align 4
type:           dd 0
vector:         dd 0
code:           dd 0
information:    dd 0
wanted:         dd 0
basic:          dd 0
has_trap:       db 0
        align 4
names:  dd name_0, name_1, name_2, name_3, name_4, name_5, name_6, name_7
name_0: db "external interrupts: any vector, no error code", 0
name_1: db "type 1 is reserved", 0
name_2: db "NMIs: vector 2, no error code", 0
name_3: db "hardware exceptions: vectors up to 31, an error code exactly where there is one", 0
name_4: db "software interrupts: any vector, no error code", 0
name_5: db "privileged software exceptions: no error code", 0
name_6: db "software exceptions: no error code", 0
name_7: db "type 7: vector 0, with the monitor trap flag", 0
