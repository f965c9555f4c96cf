; intercepts: instructions that leave the guest: reason, qualification, length, in which state.
; Manual: Vol. 3, "Instructions That Cause VM Exits", "Basic VM-Exit Information".

%define SUBJECT "intercepts"
%include "suite.inc"

ROW             equ 20
PROC_MWAIT      equ 1 << 10
IGNORED         equ 0xdeadbeef          ; qualifications that are not looked at

subject:
        mov esi, always
        mov ebp, always_end
.always:
        call leaves
        add esi, ROW
        cmp esi, ebp
        jb .always

        mov esi, wanted
        mov ebp, wanted_end
.wanted:
        mov eax, [esi + ROW]            ; the control
        mov ecx, MSR_VMX_PROCBASED_CTLS
        call allowed
        jnz .next
        get PROC_CONTROLS
        mov [plain], eax
        mov ecx, eax
        or ecx, [esi + ROW]
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        call leaves
        mov ecx, [plain]
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        mov eax, [esi + ROW]
        call optional
        jnz .next
        call stays
.next:  add esi, ROW + 4
        cmp esi, ebp
        jb .wanted

        mov esi, secondary
        mov ebp, secondary_end
.secondary:
        mov eax, [esi + ROW]
        call allowed_secondary
        jnz .absent
        turn_on PROC_CONTROLS, PROC_SECONDARY
        mov ecx, [esi + ROW]
        mov eax, PROC_CONTROLS_2
        vmwrite eax, ecx
        call leaves
        set PROC_CONTROLS_2, 0
        turn_off PROC_CONTROLS, PROC_SECONDARY
        call stays
.absent:
        add esi, ROW + 4
        cmp esi, secondary_end
        jb .secondary

        mov eax, PROC_MWAIT             ; without the control the processor would wait
        mov ecx, MSR_VMX_PROCBASED_CTLS
        call allowed
        jnz .no_mwait
        turn_on PROC_CONTROLS, PROC_MWAIT
        mov esi, mwait_row
        call leaves
        turn_off PROC_CONTROLS, PROC_MWAIT
.no_mwait:
        test_name "a triple fault leaves"
        set GUEST_IDTR_LIMIT, 0
        guest_at guest_ud
        check_exit 2
        test_name "RIP names the instruction that began it"
        check_field GUEST_EIP, guest_ud
        set GUEST_IDTR_LIMIT, 0x7ff
        set GUEST_EFLAGS, 2

        test_name "#UD comes before the exit"
        set EXCEPTION_BITMAP, 1 << 6
        guest_at locked_cpuid
        check_exit 0
        test_name "#UD"
        check_field EXIT_INTERRUPTION, VALID + 0x306
        test_name "privilege comes before the exit: HLT in ring 3"
        set EXCEPTION_BITMAP, 1 << 13
        call in_ring3
        guest_at guest_halts
        check_exit 0
        test_name "#GP"
        check_field EXIT_INTERRUPTION, VALID + 0xb0d
        test_name "CPUID in ring 3 leaves all the same"
        guest_at guest_cpuid
        check_exit 10
        test_name "VMCALL in ring 3 leaves all the same"
        guest_at guest_vmcall
        check_exit 18
        test_name "VMXOFF in ring 3 leaves all the same"
        guest_at guest_vmxoff
        check_exit 26
        ret

; The guest gets the privilege of ring 3, with the whole address space of ring 0.
in_ring3:
        or dword [DIRECTORY], 4
        or dword [DIRECTORY + 4], 4
        mov eax, cr3
        mov cr3, eax
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        ret

; ESI = row: name, code, reason, qualification, length. One result for the row.
leaves: mov dword [guest_edx], DIRECTORY ; for MOV to CR3
        mov dword [guest_ecx], 0        ; for RDPMC and MONITOR
        mov dword [guest_eax], PLAYGROUND
        mov eax, [esi]
        mov [name], eax
        mov ecx, [esi + 4]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        call enter
        get EXIT_REASON
        mov ecx, [esi + 8]
        mov [expected], ecx
        cmp eax, ecx
        jne compare
        get EXIT_INSTRUCTION_LENGTH
        mov ecx, [esi + 16]
        mov [expected], ecx
        cmp eax, ecx
        jne compare
        mov ecx, [esi + 12]
        cmp ecx, IGNORED
        je .rip
        mov [expected], ecx
        get EXIT_QUALIFICATION
        cmp eax, ecx
        jne compare
.rip:   mov ecx, [esi + 4]
        mov [expected], ecx
        get GUEST_EIP
        jmp compare

; Without its control the instruction of the row is executed: what leaves is the VMCALL behind it.
stays:  mov dword [guest_edx], DIRECTORY
        mov dword [guest_ecx], 0
        mov dword [guest_eax], PLAYGROUND
        mov eax, [esi]
        mov [name], eax
        mov ecx, [esi + 4]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        mov ecx, GUEST_STACK
        mov eax, GUEST_ESP
        vmwrite eax, ecx
        call enter
        mov dword [expected], 18
        get EXIT_REASON
        jmp compare

%macro code 6                           ; label, name, instruction, reason, qualification, length
        dd %%name, %1, %4, %5, %6
        section .names
%%name: db %2, 0
        align 4
%1:     %3
        vmcall
        hlt
        section .text
%endmacro

        align 4
plain:  dd 0
always: code guest_cpuid, "CPUID", {cpuid}, 10, 0, 2
        code guest_invd, "INVD", {invd}, 13, 0, 2
        code guest_vmcall, "VMCALL", {vmcall}, 18, 0, 3
        code guest_vmclear, "VMCLEAR", {vmclear [vmcs_pointer]}, 19, vmcs_pointer, 8
        code guest_vmlaunch, "VMLAUNCH", {vmlaunch}, 20, 0, 3
        code guest_vmptrld, "VMPTRLD", {vmptrld [vmcs_pointer]}, 21, vmcs_pointer, 7
        code guest_vmptrst, "VMPTRST", {vmptrst [vmcs_pointer]}, 22, vmcs_pointer, 7
        code guest_vmread, "VMREAD", {vmread eax, ebx}, 23, IGNORED, 3
        code guest_vmresume, "VMRESUME", {vmresume}, 24, 0, 3
        code guest_vmwrite, "VMWRITE", {vmwrite eax, ebx}, 25, IGNORED, 3
        code guest_vmxoff, "VMXOFF", {vmxoff}, 26, 0, 3
        code guest_vmxon, "VMXON", {vmxon [vmxon_pointer]}, 27, vmxon_pointer, 8
always_end:
%macro controlled 7
        code %1, %2, {%3}, %4, %5, %6
        dd %7
%endmacro
wanted: controlled guest_invlpg, "INVLPG", {invlpg [PLAYGROUND + 5]}, 14, PLAYGROUND + 5, 7, 1 << 9
        controlled guest_rdtsc, "RDTSC", {rdtsc}, 16, 0, 2, 1 << 12
        controlled guest_to_cr3, "MOV to CR3", {mov cr3, edx}, 28, 0x203, 3, 1 << 15
        controlled guest_from_cr3, "MOV from CR3", {mov ecx, cr3}, 28, 0x113, 3, 1 << 16
        controlled guest_out, "OUT imm8", {out 0x80, al}, 30, 0x800040, 2, 1 << 24
        controlled guest_in, "IN DX", {in eax, dx}, 30, IGNORED, 1, 1 << 24
        controlled guest_pause, "PAUSE", {pause}, 40, 0, 2, 1 << 30
        controlled guest_rdpmc, "RDPMC", {rdpmc}, 15, 0, 2, 1 << 11
        controlled guest_monitor, "MONITOR", {db 0x0f, 0x01, 0xc8}, 39, 0, 3, 1 << 29
wanted_end:
secondary:
        controlled guest_wbinvd, "WBINVD", {wbinvd}, 54, 0, 2, 1 << 6
        controlled guest_rdrand, "RDRAND", {db 0x0f, 0xc7, 0xf0}, 57, IGNORED, 3, 1 << 11
        controlled guest_rdseed, "RDSEED", {db 0x0f, 0xc7, 0xf8}, 61, IGNORED, 3, 1 << 16
secondary_end:
mwait_row:
        code guest_mwait, "MWAIT", {db 0x0f, 0x01, 0xc9}, 36, IGNORED, 3
guest_ud:
        ud2
locked_cpuid:
        db 0xf0                         ; LOCK
        cpuid
        hlt
