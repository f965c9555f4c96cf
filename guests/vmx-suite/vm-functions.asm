; vm-functions: VMFUNC, and its function 0, EPTP switching.
; Manual: Vol. 3, "VM Functions", "EPTP Switching"; Vol. 2, VMFUNC.

%define SUBJECT "vm-functions"
%include "suite.inc"
%include "ept.inc"

PROC2_VM_FUNCTIONS equ 1 << 13
VM_FUNCTIONS    equ 0x2018              ; which of them are enabled
EPTP_LIST       equ 0x2024
MSR_VMX_VMFUNC  equ 0x491
VMFUNC_EXIT     equ 59
POINTERS            equ 0x220000
SECOND_LEVEL_4  equ 0x221000            ; another EPT: the same but for one page
SECOND_LEVEL_3  equ 0x222000
SECOND_LEVEL_2  equ 0x223000
SECOND_LEVEL_1  equ 0x224000
VICTIM          equ PLAYGROUND
OTHER           equ PLAYGROUND + 0x1000
FIRST_VALUE     equ 0x11111111
SECOND_VALUE    equ 0x22222222

%macro function 2                       ; the guest executes VMFUNC with this EAX and ECX, and goes on
        mov dword [guest_eax], %1
        mov dword [guest_ecx], %2
        guest_at guest_function
%endmacro

subject:
        test_name "in root operation VMFUNC raises #UD"
        xor eax, eax
        xor ecx, ecx
        check_raises 6, vmfunc
        test_name "in a guest it raises #UD without 'enable VM functions'"
        set EXCEPTION_BITMAP, 1 << 6
        function 0, 0
        check_exit 0
        test_name "#UD"
        check_field EXIT_INTERRUPTION, VALID + 0x306
        set GUEST_EFLAGS, 2

        needs_secondary PROC2_EPT + PROC2_VM_FUNCTIONS, "SKIP no VM functions"
        call ept_on
        turn_on PROC_CONTROLS_2, PROC2_VM_FUNCTIONS
        set VM_FUNCTIONS, 0
        set VM_FUNCTIONS + 1, 0
        test_name "function 0, not enabled, leaves"
        function 0, 0
        check_exit VMFUNC_EXIT
        test_name "its length"
        check_field EXIT_INSTRUCTION_LENGTH, 3
        test_name "its qualification"
        check_field EXIT_QUALIFICATION, 0
        test_name "RIP names it"
        check_field GUEST_EIP, guest_function
        test_name "function 63, not enabled, leaves"
        function 63, 0
        check_exit VMFUNC_EXIT
        test_name "there is no function 64: #UD"
        function 64, 0
        check_exit 0
        set GUEST_EFLAGS, 2
        test_name "nor a function 8000_0000h"
        function 0x80000000, 0
        check_exit 0
        set GUEST_EFLAGS, 2
        test_name "a function that the processor does not have cannot be enabled"
        set VM_FUNCTIONS + 1, 0x80000000
        check_refused 7
        set VM_FUNCTIONS + 1, 0

        mov ecx, MSR_VMX_VMFUNC
        rdmsr
        test al, 1
        jnz .switching
        line "SKIP no EPTP switching"
        ret
.switching:
        call make_second
        set VM_FUNCTIONS, 1
        set EPTP_LIST, POINTERS
        set EPTP_LIST + 1, 0
        mov dword [VICTIM], FIRST_VALUE
        mov dword [OTHER], SECOND_VALUE

        test_name "switching to another EPT"
        function 0, 1
        check_exit 18
        test_name "what the guest reads then"
        check_equal [guest_ebx], SECOND_VALUE
        test_name "the EPT pointer in the VMCS is the new one"
        mov eax, [POINTERS + 8]
        mov [expected], eax
        get EPT_POINTER
        call compare
        test_name "and back"
        function 0, 0
        check_exit 18
        test_name "what the guest reads behind it"
        check_equal [guest_ebx], FIRST_VALUE
        test_name "to and fro in one guest"
        guest_at guest_to_and_fro
        check_exit 18
        test_name "each read is by the EPT that is in force: the second"
        check_equal [guest_ebx], SECOND_VALUE
        test_name "the first"
        check_equal [guest_edx], FIRST_VALUE
        test_name "a write goes where the EPT in force says"
        guest_at guest_writes
        check_exit 18
        test_name "the first frame"
        check_equal [VICTIM], FIRST_VALUE
        test_name "the second frame"
        check_equal [OTHER], 0x33333333
        mov dword [OTHER], SECOND_VALUE
        mov ecx, [POINTERS]
        mov eax, EPT_POINTER
        vmwrite eax, ecx

        test_name "there is no entry 512"
        function 0, 512
        check_exit VMFUNC_EXIT
        test_name "nor an entry 8000_0001h"
        function 0, 0x80000001
        check_exit VMFUNC_EXIT
        test_name "an entry with a reserved bit leaves"
        function 0, 2
        check_exit VMFUNC_EXIT
        test_name "an entry with another walk length leaves"
        function 0, 3
        check_exit VMFUNC_EXIT
        test_name "an entry with a memory type that does not exist leaves"
        function 0, 4
        check_exit VMFUNC_EXIT
        test_name "an entry with an address that is too wide leaves"
        function 0, 5
        check_exit VMFUNC_EXIT
        test_name "the EPT pointer stays"
        mov eax, [POINTERS]
        mov [expected], eax
        get EPT_POINTER
        call compare
        test_name "the last entry of the list"
        function 0, 511
        check_exit 18
        test_name "is used"
        check_equal [guest_ebx], SECOND_VALUE
        test_name "VMFUNC works in ring 3"
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        call forget
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        function 0, 0
        check_exit 18
        test_name "also there it switches"
        check_equal [guest_ebx], FIRST_VALUE
        set GUEST_SELECTOR + 2, KERNEL_CODE
        set GUEST_SELECTOR + 4, KERNEL_DATA
        set GUEST_RIGHTS + 2, 0xc09b
        set GUEST_RIGHTS + 4, 0xc093

        test_name "the address of the list must be aligned"
        set EPTP_LIST, POINTERS + 8
        check_refused 7
        test_name "and not be too wide"
        set EPTP_LIST, POINTERS
        set EPTP_LIST + 1, 0x80000000
        check_refused 7
        set EPTP_LIST + 1, 0
        test_name "EPTP switching needs EPT"
        turn_off PROC_CONTROLS_2, PROC2_EPT
        check_refused 7
        turn_on PROC_CONTROLS_2, PROC2_EPT
        test_name "after all that it enters"
        function 0, 0
        check_exit 18
        ret

; The second EPT, and a list: the first, the second, four that are wrong, and the second again at the end.
make_second:
        mov esi, EPT_LEVEL_4
        mov edi, SECOND_LEVEL_4
        mov ecx, 4 * PAGE / 4
        rep movsd
        mov dword [SECOND_LEVEL_4], SECOND_LEVEL_3 + EPT_ALL
        mov dword [SECOND_LEVEL_3], SECOND_LEVEL_2 + EPT_ALL
        mov dword [SECOND_LEVEL_2 + 8], SECOND_LEVEL_1 + EPT_ALL
        mov eax, [EPT_ENTRY(OTHER)]
        mov [SECOND_LEVEL_1 + EPT_ENTRY(VICTIM) - EPT_LEVEL_1], eax
        mov edi, POINTERS
        mov ecx, PAGE / 4
        xor eax, eax
        rep stosd
        get EPT_POINTER
        mov [POINTERS], eax
        add eax, SECOND_LEVEL_4 - EPT_LEVEL_4
        mov [POINTERS + 8], eax
        mov [POINTERS + 511 * 8], eax
        or eax, 1 << 11
        mov [POINTERS + 2 * 8], eax
        and eax, ~(1 << 11)
        xor eax, 1 << 3
        mov [POINTERS + 3 * 8], eax
        xor eax, 1 << 3
        or eax, 7
        mov [POINTERS + 4 * 8], eax
        mov eax, [POINTERS + 8]
        mov [POINTERS + 5 * 8], eax
        mov dword [POINTERS + 5 * 8 + 4], 0x80000000
        ret

guest_function:
        vmfunc
        mov ebx, [VICTIM]
        vmcall
guest_to_and_fro:
        mov eax, [VICTIM]
        xor eax, eax
        mov ecx, 1
        vmfunc
        mov ebx, [VICTIM]
        xor ecx, ecx
        vmfunc
        mov edx, [VICTIM]
        vmcall
guest_writes:
        mov eax, [VICTIM]
        xor eax, eax
        mov ecx, 1
        vmfunc
        mov dword [VICTIM], 0x33333333
        vmcall
