; debugging: debug registers, single step, breakpoints, pending debug exceptions and RF, through VM entries and VM exits.
; Manual: Vol. 3, "Exceptions" in "Other Causes of VM Exits"; "Exit Qualification for Debug Exceptions", "… for MOV DR"; "Guest Non-Register
; State" (pending debug exceptions); "Delivery of Pending Debug Exceptions after VM Entry"; "Saving RIP, RSP, RFLAGS, and SSP".

%define SUBJECT "debugging"
%include "suite.inc"
%include "guest-events.inc"

INTERRUPTIBILITY equ 0x4824
ACTIVITY        equ 0x4826
PENDING         equ 0x6822
BY_STI          equ 1
BY_MOV_SS       equ 2
PROC_MOV_DR     equ 1 << 23
EXIT_SAVE_DEBUG equ 1 << 2
ENTRY_LOAD_DEBUG equ 1 << 2
DEBUG           equ 1
TF              equ 1 << 8
RF              equ 1 << 16
B0              equ 1                   ; in DR6, exit qualifications, pending debug exceptions
B1              equ 2
ENABLED         equ 1 << 12             ; in pending debug exceptions only
BD              equ 1 << 13
BS              equ 1 << 14
GD              equ 1 << 13             ; in DR7
DR7_DEFAULT     equ 0x400
G0_EXECUTE      equ 0x2
G1_WRITE_4      equ 0x8 + (0xd << 20)
BTF             equ 2                   ; in IA32_DEBUGCTL
FLAGS           equ 2
SUSPECT         equ PLAYGROUND          ; is watched
MOV_DR          equ 29

%macro no_debugging 0                   ; as default_vmcs leaves it
        set GUEST_DR7, DR7_DEFAULT
        set GUEST_EFLAGS, FLAGS
        set PENDING, 0
        set INTERRUPTIBILITY, 0
%endmacro
%macro flags_have 2                     ; these bits of the saved flags have this value
        check_masked GUEST_EFLAGS, %1, %2
%endmacro

subject:
        call make_guest_idt
        turn_on EXIT_CONTROLS, EXIT_SAVE_DEBUG
        turn_on ENTRY_CONTROLS, ENTRY_LOAD_DEBUG

; ---- debug registers ----

        mov dword [name], mov_dr_first
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_MOV_DR
        call allowed
        jnz .registers
        turn_on PROC_CONTROLS, PROC_MOV_DR
        mov esi, moves
.move:  mov eax, [esi]
        mov [name], eax
        mov ecx, [esi + 4]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        check_exit MOV_DR
        mov ecx, [esi + 8]
        mov [expected], ecx
        get EXIT_QUALIFICATION
        call compare
        add esi, 12
        cmp esi, moves_end
        jb .move
        test_name "MOV DR: its length"
        check_field EXIT_INSTRUCTION_LENGTH, 3
        test_name "MOV DR in ring 3 leaves before #GP"
        set EXCEPTION_BITMAP, (1 << 13) + (1 << 6)
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        guest_at move_7
        check_exit MOV_DR
        set GUEST_SELECTOR + 2, KERNEL_CODE
        set GUEST_SELECTOR + 4, KERNEL_DATA
        set GUEST_RIGHTS + 2, 0xc09b
        set GUEST_RIGHTS + 4, 0xc093
        test_name "MOV DR4 with CR4.DE = 1 leaves before #UD"
        turn_on GUEST_CR4, CR4_DE
        guest_at move_4
        check_exit MOV_DR
        turn_off GUEST_CR4, CR4_DE
        test_name "MOV DR leaves before the general-detect exception"
        set EXCEPTION_BITMAP, 1 << DEBUG
        set GUEST_DR7, DR7_DEFAULT + GD
        guest_at move_7
        check_exit MOV_DR
        turn_off PROC_CONTROLS, PROC_MOV_DR
        set EXCEPTION_BITMAP, 0
        no_debugging

.registers:
        test_name "the entry loads DR7"
        set GUEST_DR7, DR7_DEFAULT + 0x155
        guest_at read_dr7
        check_exit 18
        check_equal [guest_eax], DR7_DEFAULT + 0x155
        test_name "the exit sets DR7 to 400h"
        mov eax, dr7
        mov dword [expected], DR7_DEFAULT
        call compare
        test_name "the exit saves DR7"
        mov dword [guest_eax], DR7_DEFAULT + 0x2aa
        guest_at write_dr7
        check_exit 18
        check_field GUEST_DR7, DR7_DEFAULT + 0x2aa
        test_name "DR0 is the guest's and the host's alike"
        mov dword [guest_eax], 0x1234
        guest_at write_dr0
        check_exit 18
        mov eax, dr0
        mov dword [expected], 0x1234
        call compare
        mov ecx, MSR_VMX_BASIC
        rdmsr
        test edx, 1 << 23
        jz .always
        test_name "without 'load debug controls' DR7 stays that of the host"
        turn_off ENTRY_CONTROLS, ENTRY_LOAD_DEBUG
        guest_at read_dr7
        check_exit 18
        check_equal [guest_eax], DR7_DEFAULT
        turn_on ENTRY_CONTROLS, ENTRY_LOAD_DEBUG
        test_name "without 'save debug controls' the field stays"
        turn_off EXIT_CONTROLS, EXIT_SAVE_DEBUG
        set GUEST_DR7, DR7_DEFAULT + 1
        mov dword [guest_eax], DR7_DEFAULT + 2
        guest_at write_dr7
        check_exit 18
        check_field GUEST_DR7, DR7_DEFAULT + 1
        turn_on EXIT_CONTROLS, EXIT_SAVE_DEBUG
.always:
        no_debugging

; ---- single step ----

        test_name "single step: #DB leaves by its bit"
        xor eax, eax
        mov dr6, eax
        set EXCEPTION_BITMAP, 1 << DEBUG
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_nops
        check_exit 0
        test_name "a hardware exception"
        check_field EXIT_INTERRUPTION, VALID + 0x300 + DEBUG
        test_name "qualification: BS"
        check_field EXIT_QUALIFICATION, BS
        test_name "it is a trap"
        check_field GUEST_EIP, guest_nops + 1
        test_name "TF stays in the saved flags, RF is 0"
        flags_have TF + RF, TF
        test_name "nothing stays pending"
        check_field PENDING, 0
        test_name "DR6 is not changed by the exit"
        mov eax, dr6
        and eax, BS + BD + 0xf
        mov dword [expected], 0
        call compare
        test_name "single step of POPF that clears TF: still one"
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_popf
        check_exit 0
        check_field GUEST_EIP, guest_popf.popf
        test_name "behind the POPF"
        check_exit 0
        check_field GUEST_EIP, guest_popf.after
        test_name "and none behind that"
        check_exit 18
        test_name "without its bit #DB goes to the guest"
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_nops
        check_exit 18
        test_name "vector 1"
        check_equal [guest_eax], DEBUG
        test_name "delivered behind the instruction"
        check_equal [guest_ebx], guest_nops + 1
        test_name "DR6 says BS then"
        mov eax, dr6
        and eax, BS + BD + 0xf
        mov dword [expected], BS
        call compare
        test_name "MOV SS puts the single step off by one instruction"
        set EXCEPTION_BITMAP, 1 << DEBUG
        set GUEST_EFLAGS, FLAGS + TF
        mov dword [guest_eax], KERNEL_DATA
        guest_at guest_mov_ss
        check_exit 0
        check_field GUEST_EIP, guest_mov_ss.second
        test_name "an exit behind MOV SS saves the single step as pending"
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_mov_ss_cpuid
        check_exit 10
        check_field PENDING, BS
        test_name "with blocking by MOV SS"
        check_field INTERRUPTIBILITY, BY_MOV_SS
        test_name "such a state enters, and #DB follows the next instruction"
        set GUEST_EIP, guest_nops
        check_exit 0
        check_field GUEST_EIP, guest_nops + 1
        test_name "TF and blocking by STI need BS pending"
        set GUEST_EFLAGS, FLAGS + TF + 0x200
        set INTERRUPTIBILITY, BY_STI
        set PENDING, 0
        check_exit ENTRY_FAILURE + 33
        test_name "without TF BS must not be pending"
        set GUEST_EFLAGS, FLAGS + 0x200
        set PENDING, BS
        check_exit ENTRY_FAILURE + 33
        no_debugging

        test_name "INT n clears TF before the handler"
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_int
        check_exit 18
        test_name "the handler of INT n ran"
        check_equal [guest_eax], 0x21
        test_name "and TF is 1 in the flags that were pushed"
        mov eax, [guest_edx]
        and eax, TF
        mov dword [expected], TF
        call compare
        test_name "an instruction that leaves is not stepped"
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_cpuid
        check_exit 10
        check_field PENDING, 0
        no_debugging

; ---- pending debug exceptions ----

        test_name "pending BS: #DB before the first instruction"
        set GUEST_EFLAGS, FLAGS + TF
        set PENDING, BS
        guest_at guest_nops
        check_exit 0
        check_field EXIT_QUALIFICATION, BS
        test_name "RIP is where the guest was to begin"
        check_field GUEST_EIP, guest_nops
        test_name "pending breakpoint 0: #DB with B0"
        set GUEST_EFLAGS, FLAGS
        set PENDING, ENABLED + B0
        guest_at guest_nops
        check_exit 0
        check_masked EXIT_QUALIFICATION, BS + 0xf, B0
        test_name "blocking by MOV SS puts them off"
        set PENDING, ENABLED + B0
        set INTERRUPTIBILITY, BY_MOV_SS
        guest_at guest_nops
        check_exit 0
        check_field GUEST_EIP, guest_nops + 1
        test_name "an exit before they are delivered saves them"
        set PENDING, ENABLED + B0
        set INTERRUPTIBILITY, BY_MOV_SS
        guest_at guest_cpuid
        check_exit 10
        check_field PENDING, ENABLED + B0
        no_debugging
        test_name "an injected external interrupt discards them"
        set PENDING, ENABLED + B0
        set GUEST_EFLAGS, FLAGS + 0x200
        set ENTRY_INTERRUPTION, VALID + 0x20
        guest_at guest_nops
        check_exit 18
        check_equal [guest_eax], 0x20
        no_debugging
; ---- breakpoints ----

        test_name "an instruction breakpoint"
        mov eax, guest_nops.second
        mov dr0, eax
        set GUEST_DR7, DR7_DEFAULT + G0_EXECUTE
        guest_at guest_nops
        check_exit 0
        check_masked EXIT_QUALIFICATION, BS + BD + 0xf, B0
        test_name "is a fault"
        check_field GUEST_EIP, guest_nops.second
        test_name "RF from the VMCS suppresses it for one instruction"
        set GUEST_EFLAGS, FLAGS + RF
        check_exit 18
        test_name "RF is 0 behind that instruction"
        flags_have RF, 0
        test_name "and the breakpoint works again"
        set GUEST_EFLAGS, FLAGS
        guest_at guest_nops
        check_exit 0
        check_field GUEST_EIP, guest_nops.second
        no_debugging
        test_name "a data breakpoint"
        mov eax, SUSPECT
        mov dr1, eax
        set GUEST_DR7, DR7_DEFAULT + G1_WRITE_4
        guest_at guest_writes
        check_exit 0
        check_masked EXIT_QUALIFICATION, BS + BD + 0xf, B1
        test_name "is a trap"
        check_field GUEST_EIP, guest_writes.after
        test_name "RF is 0 in the flags that it saves"
        flags_have RF, 0
        test_name "a data breakpoint and a single step come together"
        set GUEST_EFLAGS, FLAGS + TF
        guest_at guest_writes
        check_exit 0
        check_masked EXIT_QUALIFICATION, BS + BD + 0xf, BS + B1
        set GUEST_EFLAGS, FLAGS
        test_name "an instruction that leaves does not hit its data breakpoint"
        mov eax, SUSPECT
        mov dr1, eax
        set GUEST_DR7, DR7_DEFAULT + 0x8 + (0xf << 20)
        guest_at guest_vmclear
        check_exit 19
        check_field PENDING, 0
        test_name "a data breakpoint of MOV SS is pending at an exit behind it"
        mov dword [SUSPECT], KERNEL_DATA
        guest_at guest_mov_ss_memory
        check_exit 10
        check_field PENDING, ENABLED + B1
        no_debugging

; ---- general detect, INT1 ----

        test_name "general detect: MOV DR with DR7.GD = 1"
        set GUEST_DR7, DR7_DEFAULT + GD
        guest_at read_dr7
        check_exit 0
        check_masked EXIT_QUALIFICATION, BS + BD + 0xf, BD
        test_name "is a fault with RF = 1"
        flags_have RF, RF
        test_name "RIP names MOV DR"
        check_field GUEST_EIP, read_dr7
        test_name "the exit leaves DR7.GD as it was"
        check_field GUEST_DR7, DR7_DEFAULT + GD
        no_debugging
        test_name "INT1 leaves by bit 1"
        guest_at guest_int1
        check_exit 0
        test_name "as a privileged software exception"
        check_field EXIT_INTERRUPTION, VALID + 0x500 + DEBUG
        test_name "its length"
        check_field EXIT_INSTRUCTION_LENGTH, 1
        test_name "RIP names INT1"
        check_field GUEST_EIP, guest_int1
        set EXCEPTION_BITMAP, 0

; ---- injection ----

        test_name "an injected #DB is delivered"
        xor eax, eax
        mov dr6, eax
        set ENTRY_INTERRUPTION, VALID + 0x300 + DEBUG
        guest_at guest_nops
        check_exit 18
        check_equal [guest_eax], DEBUG
        test_name "without a change of DR6"
        mov eax, dr6
        and eax, BS + BD + 0xf
        mov dword [expected], 0
        call compare
        test_name "an injected INT1 returns behind its instruction"
        set 0x401a, 1
        set ENTRY_INTERRUPTION, VALID + 0x500 + DEBUG
        guest_at guest_nops
        check_exit 18
        check_equal [guest_ebx], guest_nops + 1
        test_name "an injected fault pushes RF as the VMCS has it"
        set GUEST_EFLAGS, FLAGS + RF
        set ENTRY_INTERRUPTION, VALID + 0x300 + 6
        guest_at guest_nops
        check_exit 18
        mov eax, [guest_edx]
        and eax, RF
        mov dword [expected], RF
        call compare
        test_name "and as 0"
        set GUEST_EFLAGS, FLAGS
        set ENTRY_INTERRUPTION, VALID + 0x300 + 6
        guest_at guest_nops
        check_exit 18
        mov eax, [guest_edx]
        and eax, RF
        mov dword [expected], 0
        call compare

; ---- branches ----

        test_name "with IA32_DEBUGCTL.BTF single steps go from branch to branch"
        set EXCEPTION_BITMAP, 1 << DEBUG
        set GUEST_EFLAGS, FLAGS + TF
        set GUEST_DEBUGCTL, BTF
        guest_at guest_jumps
        check_exit 0
        check_field GUEST_EIP, guest_jumps.there
        test_name "the exit saves IA32_DEBUGCTL"
        check_field GUEST_DEBUGCTL, BTF
        test_name "and clears it"
        mov ecx, 0x1d9
        rdmsr
        mov dword [expected], 0
        call compare
        set GUEST_DEBUGCTL, 0
        test_name "a reserved bit of IA32_DEBUGCTL is refused"
        set GUEST_DEBUGCTL + 1, 1
        check_exit ENTRY_FAILURE + 33
        set GUEST_DEBUGCTL + 1, 0
        test_name "DR7 does not refuse its reserved bits 10, 12, 14 and 15"
        set GUEST_EFLAGS, FLAGS
        set GUEST_DR7, 0xd400
        guest_at guest_cpuid
        check_exit 10
        no_debugging

        test_name "pending debug exceptions wake a guest that is entered in the HLT state"
        set ACTIVITY, 1
        set PENDING, ENABLED + B0
        guest_at guest_nops
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0x300 + DEBUG
        ret

%macro move 4                           ; label, name, instruction, qualification
        dd %%name, %1, %4
        section .names
%%name: db %2, 0
        align 4
%1:     %3
        vmcall
        section .text
%endmacro
mov_dr_first:   db "MOV DR exiting", 0
        align 4
moves:  move move_7, "MOV to DR7 from EAX", {mov dr7, eax}, 7
        move move_0, "MOV to DR0 from EDI", {mov dr0, edi}, 0x700
        move move_from_6, "MOV from DR6 to EBX", {mov ebx, dr6}, 0x316
        move move_from_3, "MOV from DR3 to ESP", {mov esp, dr3}, 0x413
        move move_4, "MOV to DR4 from ECX", {mov dr4, ecx}, 0x104
moves_end:

read_dr7:
        mov eax, dr7
        vmcall
write_dr7:
        mov dr7, eax
        vmcall
write_dr0:
        mov dr0, eax
        vmcall
guest_nops:
        nop
.second:
        nop
        vmcall
guest_popf:
        push dword FLAGS
.popf:  popfd
.after: nop
        vmcall
guest_mov_ss:
        mov ss, ax
        nop
.second:
        nop
        vmcall
guest_mov_ss_cpuid:
        mov ss, ax
guest_cpuid:
        cpuid
        vmcall
guest_mov_ss_memory:
        mov ss, [SUSPECT]
        cpuid
guest_int:
        int 0x21
        vmcall
guest_writes:
        mov [SUSPECT], eax
.after: nop
        vmcall
guest_vmclear:
        vmclear [SUSPECT]
        vmcall
guest_int1:
        db 0xf1
        vmcall
guest_jumps:
        nop
        jmp .there
        nop
.there: nop
        vmcall
