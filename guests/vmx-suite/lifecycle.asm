; lifecycle: launch states, the order of the basic checks of a VM entry, and what an exit leaves behind.
; Manual: Vol. 3, "Basic VM-Entry Checks"; "VM Exits".

%define SUBJECT "lifecycle"
%include "suite.inc"

subject:
        test_name "VMRESUME of a clear VMCS fails with 5"
        vmresume
        check_fails 5

        test_name "a guest that halts leaves with reason 12"
        check_exit 12
        test_name "length of HLT"
        check_field EXIT_INSTRUCTION_LENGTH, 1
        test_name "HLT has no qualification"
        check_field EXIT_QUALIFICATION, 0
        test_name "RIP names the HLT"
        check_field GUEST_EIP, guest_halts
        test_name "no interruption information"
        get EXIT_INTERRUPTION
        and eax, VALID
        check z
        test_name "no IDT-vectoring information"
        get IDT_VECTORING
        and eax, VALID
        check z

        test_name "VMLAUNCH of a launched VMCS fails with 4"
        vmlaunch
        check_fails 4
        test_name "VMRESUME enters again"
        call skip_instruction
        guest_at guest_halts
        check_exit 12

        test_name "VMRESUME while MOV SS blocks fails with 26"
        mov ax, ss
        mov ss, ax
        vmresume
        check_fails 26
        test_name "the same with VMLAUNCH, before the launch state is looked at"
        mov ax, ss
        mov ss, ax
        vmlaunch
        check_fails 26

        test_name "VMCLEAR makes it clear again"
        vmclear [vmcs_pointer]
        check_succeeds
        test_name "VMREAD without a current VMCS"
        mov eax, EXIT_REASON
        vmread ecx, eax
        check_invalid
        test_name "VMLAUNCH without a current VMCS"
        vmlaunch
        check_invalid
        test_name "VMPTRLD of what was cleared"
        vmptrld [vmcs_pointer]
        check_succeeds
        test_name "VMRESUME after VMCLEAR fails with 5"
        vmresume
        check_fails 5
        test_name "VMLAUNCH after VMCLEAR enters"
        mov dword [launched], 0
        check_exit 12

        test_name "the host's RFLAGS after an exit are 2"
        mov dword [guest_eax], 0
        set GUEST_EFLAGS, 0xcd7
        call enter_and_keep_flags
        check_equal [flags], 2
        test_name "the guest's RFLAGS are saved"
        check_field GUEST_EFLAGS, 0xcd7

        test_name "VMCALL in root operation fails with 1"
        vmcall
        check_fails 1
        ret

; As `enter`, with the flags that the exit left in [flags].
enter_and_keep_flags:
        set HOST_EIP, .exit
        pushad
        mov eax, HOST_ESP
        vmwrite eax, esp
        vmresume
        popad
        ret
.exit:  pushfd
        pop dword [flags]
        popad
        set HOST_EIP, vm_exit
        ret
