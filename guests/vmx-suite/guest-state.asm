; guest-state: what the guest-state area must not hold: the entry ends in an exit with reason 8000_0021h.
; Manual: Vol. 3, "Checks on the Guest State Area".

%define SUBJECT "guest-state"
%include "suite.inc"
%include "refuse.inc"

subject:
        test_name "the VMCS that all tests begin with is valid"
        check_exit 12
        mov eax, cr0
        and eax, ~CR0_NE
        mov [no_ne], eax
        mov eax, cr4
        and eax, ~CR4_VMXE
        mov [no_vmxe], eax
        mov eax, cr4
        or eax, 1 << 31
        mov [cr4_reserved], eax
        guest_at guest_halts
        xor edi, edi                    ; qualification
        mov esi, refused
        mov ebp, refused_end
        call refused_as_guest
        mov edi, 4
        mov esi, link
        mov ebp, link_end
        call refused_as_guest
        set VMCS_LINK_POINTER + 1, -1   ; the write of the low half cleared it

        test_name "a failed entry does not change the guest's state"
        set GUEST_EFLAGS, 0
        set GUEST_EIP, guest_halts
        call enter
        check_field GUEST_EIP, guest_halts
        test_name "nor the launch state"
        set GUEST_EFLAGS, 2
        check_exit 12
        test_name "a failed entry keeps the event that it should inject"
        set GUEST_EFLAGS, 0
        set ENTRY_INTERRUPTION, VALID + 0x306
        call enter
        check_field ENTRY_INTERRUPTION, VALID + 0x306
        set ENTRY_INTERRUPTION, 0
        set GUEST_EFLAGS, 2
        test_name "after all that it enters"
        guest_at guest_halts
        check_exit 12
        ret

S       equ SEGMENT_CS
        align 4
refused:
        dd GUEST_CR0
no_ne:  dd 0, name_ne
        dd GUEST_CR4
no_vmxe:
        dd 0, name_vmxe
        dd GUEST_CR4
cr4_reserved:
        dd 0, name_cr4
        refusal GUEST_EFLAGS, 0, "RFLAGS bit 1 is 0"
        refusal GUEST_EFLAGS, 0x8002, "RFLAGS bit 15 is 1"
        refusal GUEST_EFLAGS, 0x2a, "RFLAGS bit 5 is 1"
        refusal GUEST_EFLAGS, 0x20002, "virtual-8086 mode with segments of protected mode"
        refusal GUEST_SELECTOR + 14, TSS_SELECTOR + 4, "TI in TR"
        refusal GUEST_SELECTOR + 4, KERNEL_DATA + 3, "RPL of SS is not that of CS"
        refusal GUEST_RIGHTS + 2, 0xc093, "CS is a data segment"
        refusal GUEST_RIGHTS + 2, 0xc09a, "CS is not accessed"
        refusal GUEST_RIGHTS + 2, 0xc08b, "CS is a system segment"
        refusal GUEST_RIGHTS + 2, 0xc01b, "CS is not present"
        refusal GUEST_RIGHTS + 2, 0xc0fb, "DPL of CS is not that of SS"
        refusal GUEST_RIGHTS + 2, 0xc19b, "reserved bit 8 in CS"
        refusal GUEST_RIGHTS + 2, 0x409b, "CS: G is 0, with a limit above 1 MiB"
        refusal GUEST_RIGHTS + 4, 0xc09b, "SS is a code segment"
        refusal GUEST_RIGHTS + 4, 0xc091, "SS cannot be written"
        refusal GUEST_RIGHTS + 4, 0xc0b3, "DPL of SS is not its RPL"
        refusal GUEST_RIGHTS + 4, 0xc013, "SS is not present"
        refusal GUEST_RIGHTS + 6, 0xc092, "DS is not accessed"
        refusal GUEST_RIGHTS + 6, 0xc099, "DS is execute-only code"
        refusal GUEST_RIGHTS + 6, 0xc083, "DS is a system segment"
        refusal GUEST_RIGHTS + 0, 0xc013, "ES is not present"
        refusal GUEST_RIGHTS + 8, 0xce93, "reserved bits in FS"
        refusal GUEST_LIMIT + 10, 0xffff1fff - 0x1000 + 1, "GS: G is 1, low bits of the limit are not ones"
        refusal GUEST_RIGHTS + 14, 0x89, "TR is not busy"
        refusal GUEST_RIGHTS + 14, 0x82, "TR is an LDT"
        refusal GUEST_RIGHTS + 14, 0x9b, "TR is a code segment"
        refusal GUEST_RIGHTS + 14, 0x0b, "TR is not present"
        refusal GUEST_RIGHTS + 14, 0x1008b, "TR is unusable"
        refusal GUEST_RIGHTS + 14, 0x808b, "TR: G is 1, low bits of the limit are not ones"
        refusal GUEST_RIGHTS + 12, 0x83, "LDTR is a TSS"
        refusal GUEST_RIGHTS + 12, 0x02, "LDTR is not present"
        refusal GUEST_GDTR_LIMIT, 0x10000, "limit of GDTR above FFFFh"
        refusal GUEST_IDTR_LIMIT, 0x10000, "limit of IDTR above FFFFh"
        refusal 0x4826, 4, "an activity state that does not exist"
        refusal 0x4824, 0x20, "a reserved bit of the interruptibility state"
        refusal 0x4824, 3, "blocking by STI and by MOV SS"
        refusal 0x4824, 1, "blocking by STI with IF = 0"
        refusal 0x6822, 1 << 4, "a reserved bit of the pending debug exceptions"
        refusal ENTRY_INTERRUPTION, VALID + 0x20, "an external interrupt with IF = 0"
refused_end:
link:
        refusal VMCS_LINK_POINTER, 8, "a link pointer that is not aligned"
link_end:
name_ne:        db "CR0.NE is 0", 0
name_vmxe:      db "CR4.VMXE is 0", 0
name_cr4:       db "a reserved bit of CR4", 0
