; capabilities: whether the registers that report what VMX has agree with each other.
; Manual: Vol. 3, Appendix A, "VMX Capability Reporting Facility".

%define SUBJECT "capabilities"
%include "suite.inc"

MSR_VMX_MISC    equ 0x485
MSR_VMX_VMCS_ENUM equ 0x48a
MSR_VMX_VMFUNC  equ 0x491
TRUE_CONTROLS   equ 1 << 23             ; bit 55 of IA32_VMX_BASIC, in EDX
; bits that are 1 in processors that do not report otherwise
PIN_DEFAULT     equ 0x16
PROC_DEFAULT    equ 0x0401e172
EXIT_DEFAULT    equ 0x36dff
ENTRY_DEFAULT   equ 0x11ff

%macro check_clear 2                    ; no bit of the mask is set. Changes EAX
        mov eax, %1
        and eax, %2
        mov dword [expected], 0
        call compare
%endmacro

subject:
        mov ecx, MSR_VMX_BASIC
        rdmsr
        mov [low], eax
        mov [high], edx
        test_name "IA32_VMX_BASIC: bit 31 is 0"
        check_clear [low], 0x80000000
        test_name "IA32_VMX_BASIC: a region has 1 to 4096 bytes"
        mov eax, [high]
        and eax, 0x1fff
        dec eax
        cmp eax, PAGE
        check b
        test_name "IA32_VMX_BASIC: memory type uncacheable or write-back"
        mov eax, [high]
        shr eax, 18
        and eax, 15
        cmp eax, 6
        je .type
        cmp eax, 0
.type:  check e
        test_name "IA32_VMX_BASIC: reserved bits"
        check_clear [high], 0xe000 + 0xfc000000

; of each bit: if it must be 1, it may be 1
        mov esi, words
.word:  mov eax, [esi + 8]
        mov [name], eax
        mov ecx, [esi]
        rdmsr
        mov edi, eax
        not edx
        and edx, eax
        mov eax, edx
        mov dword [expected], 0
        call compare
        mov eax, [esi + 12]
        mov [name], eax
        mov eax, edi                    ; the default bits must be 1
        and eax, [esi + 4]
        mov ecx, [esi + 4]
        mov [expected], ecx
        call compare
        test dword [high], TRUE_CONTROLS
        jz .next
        mov eax, [esi + 16]
        mov [name], eax
        mov ecx, [esi]
        rdmsr
        mov edi, eax
        mov ebp, edx
        mov ecx, [esi]
        add ecx, TRUE_CTLS
        rdmsr
        xor ebp, edx                    ; what may be 1 is the same
        xor edi, eax                    ; what must be 1 differs in default bits only
        mov ecx, [esi + 4]
        not ecx
        and edi, ecx
        mov eax, edi
        or eax, ebp
        mov dword [expected], 0
        call compare
.next:  add esi, ROW
        cmp esi, words_end
        jb .word

        test_name "IA32_VMX_MISC: reserved bits"
        mov ecx, MSR_VMX_MISC
        rdmsr
        mov [misc], eax
        check_clear [misc], 0x3e00 + 0x80000000
        test_name "IA32_VMX_MISC: at most 256 CR3 targets"
        mov eax, [misc]
        shr eax, 16
        and eax, 0x1ff
        cmp eax, 256
        check be
        test_name "the fixed bits of CR0: what must be 1 may be 1"
        mov ecx, MSR_VMX_CR0_FIXED0
        call must_and_may
        test_name "CR0: PE, NE and PG must be 1"
        mov eax, [low]
        and eax, CR0_PE + CR0_NE + CR0_PG
        mov dword [expected], CR0_PE + CR0_NE + CR0_PG
        call compare
        test_name "the fixed bits of CR4: what must be 1 may be 1"
        mov ecx, MSR_VMX_CR4_FIXED0
        call must_and_may
        test_name "CR4: VMXE must be 1"
        mov eax, [low]
        and eax, CR4_VMXE
        mov dword [expected], CR4_VMXE
        call compare
        test_name "CR4 is as its fixed bits say"
        mov eax, cr4
        and eax, [low]
        xor eax, [low]
        mov dword [expected], 0
        call compare
        test_name "IA32_VMX_VMCS_ENUM: bit 0 and bits 31:10 are 0"
        mov ecx, MSR_VMX_VMCS_ENUM
        rdmsr
        and eax, ~0x3fe
        mov dword [expected], 0
        call compare
        test_name "they cannot be written"
        mov ecx, MSR_VMX_BASIC
        xor eax, eax
        xor edx, edx
        check_raises 13, wrmsr

        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_SECONDARY
        call allowed
        jz .secondary
        test_name "without secondary controls there is no register that reports them"
        mov ecx, MSR_VMX_PROCBASED_CTLS2
        check_raises 13, rdmsr
        ret
.secondary:
        test_name "no secondary control must be 1"
        mov ecx, MSR_VMX_PROCBASED_CTLS2
        rdmsr
        mov [secondary], edx
        mov dword [expected], 0
        call compare
        test dword [secondary], (1 << 1) + (1 << 5)
        jz .no_ept
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov [low], eax
        mov [high], edx
        test_name "IA32_VMX_EPT_VPID_CAP: reserved bits 5:1, 13:9 and 15"
        check_clear [low], 0x3e + 0x3e00 + 0x8000
        test dword [secondary], 1 << 1
        jz .no_ept
        test_name "IA32_VMX_EPT_VPID_CAP: with EPT, walks of 4 levels and INVEPT"
        mov eax, [low]
        and eax, (1 << 6) + (1 << 20)
        mov dword [expected], (1 << 6) + (1 << 20)
        call compare
        jmp .functions
.no_ept:
        test_name "without EPT nothing that needs it"
        test dword [secondary], 1 << 1
        jnz .functions
        check_clear [secondary], (1 << 7) + (1 << 17) + (1 << 18) + (1 << 22)
.functions:
        test dword [secondary], 1 << 13
        jz .end
        test_name "IA32_VMX_VMFUNC is there with the control"
        mov ecx, MSR_VMX_VMFUNC
        check_raises NO_EXCEPTION, rdmsr
.end:   ret

; ECX = FIXED0 register. Changes EAX, ECX, EDX; [low] := what must be 1.
must_and_may:
        rdmsr
        mov [low], eax
        inc ecx
        rdmsr
        not eax
        and eax, [low]
        mov dword [expected], 0
        jmp compare

ROW             equ 20
%macro word_of 3                        ; capability register, default bits, its name
        dd %1, %2, %%may, %%default, %%true
        section .names
%%may:  db %3, ": what must be 1 may be 1", 0
%%default: db %3, ": the default bits are 1", 0
%%true: db %3, ": the TRUE register differs in default bits only", 0
        section .text
%endmacro
        align 4
low:            dd 0
high:           dd 0
misc:           dd 0
secondary:      dd 0
words:  word_of MSR_VMX_PINBASED_CTLS, PIN_DEFAULT, "pin-based controls"
        word_of MSR_VMX_PROCBASED_CTLS, PROC_DEFAULT, "processor-based controls"
        word_of MSR_VMX_EXIT_CTLS, EXIT_DEFAULT, "VM-exit controls"
        word_of MSR_VMX_ENTRY_CTLS, ENTRY_DEFAULT, "VM-entry controls"
words_end:
