; controls: VM-execution, VM-exit and VM-entry control fields that no processor accepts (error 7).
; Manual: Vol. 3, "Checks on VMX Controls".

%define SUBJECT "controls"
%include "suite.inc"
%include "refuse.inc"

subject:
        test_name "the VMCS that all tests begin with is valid"
        check_exit 12

        mov edi, 7
        mov esi, refused
        mov ebp, refused_end
        call refused_with_error

        test_name "the MSR-store area must be aligned if it is not empty"
        set 0x2006, MSR_AREA + 8
        guest_at guest_halts
        check_exit 12
        set 0x400e, 1
        call entry_fails
        set 0x400e, 0
        set 0x2006, 0
        test_name "so must the MSR-load area of exits"
        set 0x2008, MSR_AREA + 4
        set 0x4010, 1
        call entry_fails
        test_name "and it must end below the width of addresses"
        set 0x2008, MSR_AREA
        set 0x2009, 0x80000000
        call entry_fails
        set 0x2009, 0
        set 0x4010, 0
        test_name "and the MSR-load area of entries"
        set 0x200a, MSR_AREA + 1
        set 0x4014, 1
        call entry_fails
        set 0x4014, 0
        set 0x200a, 0

; Each bit of the pin-based, processor-based, VM-exit and VM-entry controls that the capability register fixes.
        mov esi, words
.word:  mov eax, [esi + 8]
        mov [name], eax
        call fixed_bits
        add esi, 12
        cmp esi, words_end
        jb .word

; bitmaps only matter when they are used
        test_name "I/O bitmap addresses do not matter while they are not used"
        set 0x2000, 1
        guest_at guest_halts
        check_exit 12
        mov dword [bit], 1 << 25
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, [bit]
        call allowed
        jnz .no_io_bitmaps
        call proc_on
        test_name "I/O bitmap A must be aligned"
        call entry_fails
        set 0x2000, 0
        test_name "I/O bitmap B must be aligned"
        set 0x2002, 0x800
        call entry_fails
        test_name "I/O bitmap B must not be too wide"
        set 0x2002, 0
        set 0x2003, 0x80000000
        call entry_fails
        set 0x2003, 0
        call proc_off
.no_io_bitmaps:
        set 0x2000, 0
        mov dword [bit], 1 << 28
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, [bit]
        call allowed
        jnz .no_msr_bitmap
        call proc_on
        test_name "the MSR bitmap must be aligned"
        set 0x2004, 4
        call entry_fails
        set 0x2004, 0
        call proc_off
.no_msr_bitmap:
        test_name "NMI-window exiting needs virtual NMIs"
        mov dword [bit], 1 << 22
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, [bit]
        call allowed
        jnz .no_nmi_window
        call proc_on
        call entry_fails
        call proc_off
.no_nmi_window:
        test_name "virtual NMIs need NMI exiting"
        mov ecx, MSR_VMX_PINBASED_CTLS
        mov eax, 1 << 5
        call allowed
        jnz .no_virtual_nmis
        get PIN_CONTROLS
        push eax
        mov ecx, eax
        or ecx, 1 << 5
        and ecx, ~(1 << 3)
        mov eax, PIN_CONTROLS
        vmwrite eax, ecx
        call entry_fails
        pop ecx
        mov eax, PIN_CONTROLS
        vmwrite eax, ecx
.no_virtual_nmis:
        test_name "saving the preemption timer needs the timer"
        mov ecx, MSR_VMX_EXIT_CTLS
        mov eax, 1 << 22
        call allowed
        jnz .no_timer
        turn_on EXIT_CONTROLS, 1 << 22
        call entry_fails
        turn_off EXIT_CONTROLS, 1 << 22
.no_timer:
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_SECONDARY
        call allowed
        jnz .no_secondary
        test_name "secondary controls do not matter while they are not activated"
        set PROC_CONTROLS_2, -1
        guest_at guest_halts
        check_exit 12
        set PROC_CONTROLS_2, 0
        test_name "every secondary control that the processor does not have"
        turn_on PROC_CONTROLS, PROC_SECONDARY
        call absent_secondary
        mov eax, PROC2_EPT
        call allowed_secondary
        jnz .no_ept
        set PROC_CONTROLS_2, PROC2_EPT
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov ebx, EPT_LEVEL_4 + (3 << 3) + 6
        test eax, EPT_CAP_WRITE_BACK
        jnz .type
        and ebx, ~7
.type:  test_name "EPT pointer: a memory type that does not exist"
        lea ecx, [ebx + 1]
        call pointer_fails
        test_name "EPT pointer: memory type 7"
        mov ecx, ebx
        or ecx, 7
        call pointer_fails
        test_name "EPT pointer: another walk length"
        mov ecx, ebx
        xor ecx, 1 << 3
        call pointer_fails
        test_name "EPT pointer: bits 11:8 are reserved"
        mov ecx, ebx
        or ecx, 1 << 8
        call pointer_fails
        mov ecx, ebx
        or ecx, 1 << 11
        call pointer_fails
        test_name "EPT pointer: an address that is too wide"
        mov eax, EPT_POINTER            ; clears the upper half
        vmwrite eax, ebx
        set EPT_POINTER + 1, 0x80000000
        call entry_fails
        set EPT_POINTER + 1, 0
.no_ept:
        set PROC_CONTROLS_2, 0
        turn_off PROC_CONTROLS, PROC_SECONDARY
.no_secondary:
        test_name "after all that it enters"
        guest_at guest_halts
        check_exit 12
        ret

; ECX = EPT pointer with which the entry must fail. Changes EAX.
pointer_fails:
        mov eax, EPT_POINTER
        vmwrite eax, ecx
        jmp entry_fails

; Each secondary control that may not be 1, alone. One result.
absent_secondary:
        mov ecx, MSR_VMX_PROCBASED_CTLS2
        rdmsr
        not edx
        mov edi, edx
        mov ebp, 1
.bit:   test edi, ebp
        jz .next
        mov eax, PROC_CONTROLS_2
        vmwrite eax, ebp
        mov dword [entered], -1
        call enter
        cmp dword [entered], 0
        jne .wrong
        get INSTRUCTION_ERROR
        cmp eax, 7
        jne .wrong
.next:  shl ebp, 1
        jnz .bit
        jmp passed
.wrong: call failed
        say "  bit "
        mov eax, ebp
        call print_hex
        call newline
        ret

entry_fails:
        mov dword [entered], -1
        call enter
        mov dword [expected], 7
        cmp dword [entered], 0
        je check_fail_valid
        jmp failed

proc_on:
        get PROC_CONTROLS
        or eax, [bit]
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        ret
proc_off:
        mov ecx, [bit]
        not ecx
        get PROC_CONTROLS
        and ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        ret

; ESI = row: field, capability register. All bits that must be 1, then all that must be 0, each turned over. One result for the row.
fixed_bits:
        mov ecx, MSR_VMX_BASIC
        rdmsr
        mov ecx, [esi + 4]
        test edx, 1 << 23
        jz .plain
        add ecx, TRUE_CTLS
.plain: rdmsr
        not edx
        or eax, edx                     ; bits that cannot be chosen
        mov edi, eax
        mov ebp, 1
.bit:   test edi, ebp
        jz .next
        mov eax, [esi]
        vmread ebx, eax
        mov ecx, ebx
        xor ecx, ebp
        vmwrite eax, ecx
        mov dword [entered], -1
        call enter
        mov eax, [esi]
        vmwrite eax, ebx
        cmp dword [entered], 0
        jne .wrong
        get INSTRUCTION_ERROR
        cmp eax, 7
        jne .wrong
.next:  shl ebp, 1
        jnz .bit
        jmp passed
.wrong: call failed
        say "  bit "
        mov eax, ebp
        call print_hex
        call newline
        ret

        align 4
bit:    dd 0
words:  dd PIN_CONTROLS, MSR_VMX_PINBASED_CTLS, name_pin, PROC_CONTROLS, MSR_VMX_PROCBASED_CTLS, name_proc
        dd EXIT_CONTROLS, MSR_VMX_EXIT_CTLS, name_exit, ENTRY_CONTROLS, MSR_VMX_ENTRY_CTLS, name_entry
words_end:
name_pin:      db "every fixed bit of the pin-based controls", 0
name_proc:     db "every fixed bit of the processor-based controls", 0
name_exit:     db "every fixed bit of the VM-exit controls", 0
name_entry:    db "every fixed bit of the VM-entry controls", 0

        align 4
refused:
        refusal CR3_TARGET_COUNT, 257, "more CR3 targets than any processor has"
        refusal ENTRY_INTERRUPTION, VALID + 0x100, "injection of the reserved type 1"
        refusal ENTRY_INTERRUPTION, VALID + 0x203, "an NMI with a vector other than 2"
        refusal ENTRY_INTERRUPTION, VALID + 0x320, "a hardware exception with vector 32"
        refusal ENTRY_INTERRUPTION, VALID + 0x1000 + 0x306, "injection with a reserved bit"
        refusal ENTRY_INTERRUPTION, VALID + 0x800 + 0x306, "#UD with an error code"
        refusal ENTRY_INTERRUPTION, VALID + 0x30d, "#GP without an error code"
        refusal ENTRY_INTERRUPTION, VALID + 0x800 + 0x020, "an external interrupt with an error code"
refused_end:
