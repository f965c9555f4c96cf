; host-state: what the host-state area must not hold (error 8).
; Manual: Vol. 3, "Checks on Host Control Registers, MSRs, and SSP", "Checks on Host Segment and Descriptor-Table Registers".

%define SUBJECT "host-state"
%include "suite.inc"
%include "refuse.inc"

subject:
        test_name "the VMCS that all tests begin with is valid"
        check_exit 12
        mov eax, cr0
        and eax, ~CR0_PG
        mov [no_pg], eax
        mov eax, cr0
        and eax, ~CR0_NE
        mov [no_ne], eax
        mov eax, cr0
        and eax, ~CR0_PE
        mov [no_pe], eax
        mov eax, cr4
        and eax, ~CR4_VMXE
        mov [no_vmxe], eax
        mov eax, cr4
        or eax, 1 << 31
        mov [cr4_reserved], eax
        mov edi, 8
        mov esi, refused
        mov ebp, refused_end
        call refused_with_error
        test_name "after all that it enters"
        check_exit 12
        ret

        align 4
refused:
        dd HOST_CR0
no_pg:  dd 0, name_pg
        dd HOST_CR0
no_ne:  dd 0, name_ne
        dd HOST_CR0
no_pe:  dd 0, name_pe
        dd HOST_CR4
no_vmxe:
        dd 0, name_vmxe
        dd HOST_CR4
cr4_reserved:
        dd 0, name_cr4
        refusal HOST_ES, KERNEL_DATA + 3, "RPL in ES"
        refusal HOST_ES, KERNEL_DATA + 4, "TI in ES"
        refusal HOST_CS, KERNEL_CODE + 1, "RPL in CS"
        refusal HOST_CS, KERNEL_CODE + 4, "TI in CS"
        refusal HOST_CS, 0, "CS is null"
        refusal HOST_ES + 4, KERNEL_DATA + 2, "RPL in SS"
        refusal HOST_ES + 4, 0, "SS is null"
        refusal HOST_ES + 6, KERNEL_DATA + 3, "RPL in DS"
        refusal HOST_ES + 8, KERNEL_DATA + 4, "TI in FS"
        refusal HOST_ES + 10, KERNEL_DATA + 1, "RPL in GS"
        refusal HOST_TR, 0, "TR is null"
        refusal HOST_TR, TSS_SELECTOR + 4, "TI in TR"
        refusal HOST_TR, TSS_SELECTOR + 3, "RPL in TR"
refused_end:
name_pg:   db "CR0.PG is 0", 0
name_ne:   db "CR0.NE is 0", 0
name_pe:   db "CR0.PE is 0", 0
name_vmxe:  db "CR4.VMXE is 0", 0
name_cr4:  db "a reserved bit of CR4", 0
