; vmxon: the way into VMX operation and out of it.
; Manual: Vol. 3, "Enabling and Entering VMX Operation", "Restrictions on VMX Operation"; Vol. 3, VMXON, VMXOFF.

%define SUBJECT "vmxon"
%define NO_VMXON
%include "suite.inc"

subject:
        test_name "IA32_FEATURE_CONTROL is locked"
        mov ecx, MSR_FEATURE_CONTROL
        rdmsr
        test al, FEATURE_LOCK
        check nz
        test_name "WRMSR to it raises #GP then"
        check_raises 13, wrmsr

        test_name "VMXON with CR4.VMXE = 0 raises #UD"
        check_raises 6, vmxon [vmxon_pointer]
        test_name "VMXOFF outside VMX operation raises #UD"
        check_raises 6, vmxoff
        mov eax, cr4
        or eax, CR4_VMXE
        mov cr4, eax
        test_name "VMCLEAR outside VMX operation raises #UD"
        check_raises 6, vmclear [vmcs_pointer]
        test_name "VMPTRLD outside VMX operation raises #UD"
        check_raises 6, vmptrld [vmcs_pointer]
        test_name "VMPTRST outside VMX operation raises #UD"
        check_raises 6, vmptrst [pointer]
        test_name "VMREAD outside VMX operation raises #UD"
        check_raises 6, vmread eax, eax
        test_name "VMWRITE outside VMX operation raises #UD"
        check_raises 6, vmwrite eax, eax
        test_name "VMLAUNCH outside VMX operation raises #UD"
        check_raises 6, vmlaunch
        test_name "VMRESUME outside VMX operation raises #UD"
        check_raises 6, vmresume
        test_name "VMCALL outside VMX operation raises #UD"
        check_raises 6, vmcall
        test_name "INVEPT outside VMX operation raises #UD"
        check_raises 6, invept eax, [pointer]
        test_name "VMXOFF outside VMX operation raises #UD with CR4.VMXE = 1 too"
        check_raises 6, vmxoff

        test_name "VMXON of an address that is not aligned"
        vmxon [odd_pointer]
        check_invalid
        test_name "VMXON of an address above 4 GiB that is too wide"
        vmxon [wide_pointer]
        check_invalid
        test_name "VMXON with a wrong revision"
        xor dword [VMXON_REGION], 1
        vmxon [vmxon_pointer]
        check_invalid
        xor dword [VMXON_REGION], 1
        test_name "VMXON with bit 31 of the revision"
        xor dword [VMXON_REGION], 1 << 31
        vmxon [vmxon_pointer]
        check_invalid
        xor dword [VMXON_REGION], 1 << 31

        test_name "VMXON in ring 3 raises #GP"
        mov dword [routine], ring3_vmxon
        call in_ring3
        check_equal [caught], 13

        test_name "VMXON"
        vmxon [vmxon_pointer]
        check_succeeds
        test_name "VMXON once more, without a current VMCS"
        vmxon [vmxon_pointer]
        check_invalid
        test_name "no VMCS is current: VMPTRST stores all ones"
        vmptrst [pointer]
        mov eax, [pointer]
        and eax, [pointer + 4]
        mov dword [expected], -1
        call compare
        vmclear [vmcs_pointer]
        vmptrld [vmcs_pointer]
        test_name "VMXON once more, with a current VMCS, fails with 15"
        vmxon [vmxon_pointer]
        check_fails 15
        test_name "VMXON in ring 3, in VMX operation, raises #GP"
        mov dword [routine], ring3_vmxon
        call in_ring3
        check_equal [caught], 13
        test_name "VMREAD in ring 3 raises #GP"
        mov dword [routine], ring3_vmread
        call in_ring3
        check_equal [caught], 13
        test_name "VMCALL in ring 3 of root operation raises #GP"
        mov dword [routine], ring3_vmcall
        call in_ring3
        check_equal [caught], 13

        test_name "CR4.VMXE cannot be cleared in VMX operation"
        mov eax, cr4
        and eax, ~CR4_VMXE
        check_raises 13, mov cr4, eax
        test_name "CR0.NE cannot be cleared in VMX operation"
        mov eax, cr0
        and eax, ~CR0_NE
        check_raises 13, mov cr0, eax
        test_name "CR0.PG cannot be cleared in VMX operation"
        mov eax, cr0
        and eax, ~CR0_PG
        check_raises 13, mov cr0, eax

        test_name "VMXOFF"
        vmxoff
        check_succeeds
        test_name "VMXOFF once more raises #UD"
        check_raises 6, vmxoff
        test_name "CR4.VMXE can be cleared now"
        mov eax, cr4
        and eax, ~CR4_VMXE
        check_raises NO_EXCEPTION, mov cr4, eax
        ret

; Calls [routine] in ring 3, whose exception brings us back; [caught] tells which. Its code is shown to ring 3 for that time.
in_ring3:
        pushad
        mov edi, DIRECTORY
        or dword [edi], 4               ; user pages
        mov eax, cr3
        mov cr3, eax
        mov dword [caught], NO_EXCEPTION
        mov dword [landing], .back
        mov dword [to_ring0], 1         ; the exception does not return to ring 3
        mov [saved_esp], esp
        mov [tss + TSS_ESP0], esp
        sub dword [tss + TSS_ESP0], 256
        push dword USER_DATA
        push dword GUEST_STACK
        push dword 2
        push dword USER_CODE
        push dword [routine]
        iret
.back:  mov dword [landing], 0
        popad
        ret

ring3_vmxon:
        vmxon [vmxon_pointer]
        jmp ring3_end
ring3_vmread:
        vmread eax, eax
        jmp ring3_end
ring3_vmcall:
        vmcall
ring3_end:
        jmp ring3_end

        align 8
odd_pointer:    dd VMXON_REGION + 8, 0
wide_pointer:   dd VMXON_REGION, 0x80000000
pointer:        dd 0, 0
routine:        dd 0
