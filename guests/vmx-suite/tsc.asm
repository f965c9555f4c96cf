; tsc: the time-stamp counter of a guest: offset, multiplier, RDTSC, RDTSCP, RDMSR.
; Manual: Vol. 3, "Changes to Instruction Behavior in VMX Non-Root Operation" (RDTSC, RDTSCP, RDMSR); "Time-Stamp Counter Offset and Multiplier".

%define SUBJECT "tsc"
%include "suite.inc"

PROC_TSC_OFFSET equ 1 << 3
PROC_MSR_BITMAPS equ 1 << 28
PROC2_RDTSCP    equ 1 << 3
PROC2_SCALING   equ 1 << 25
TSC_OFFSET      equ 0x2010
TSC_MULTIPLIER  equ 0x2032
TSC             equ 0x10
TSC_AUX         equ 0xc0000103
CR4_TSD         equ 4
RDTSC_EXIT      equ 16
RDTSCP_EXIT     equ 51

%macro offset 2                         ; upper and lower half
        set TSC_OFFSET, %2
        set TSC_OFFSET + 1, %1
%endmacro
%macro multiplier 2
        set TSC_MULTIPLIER, %2
        set TSC_MULTIPLIER + 1, %1
%endmacro

subject:
        test_name "without controls the guest reads the processor's counter"
        mov dword [code], guest_rdtsc
        call between
        test_name "RDTSC exiting"
        turn_on PROC_CONTROLS, PROC_RDTSC
        guest_at guest_rdtsc
        check_exit RDTSC_EXIT
        test_name "its length"
        check_field EXIT_INSTRUCTION_LENGTH, 2
        test_name "#GP by CR4.TSD in ring 3 comes before the exit"
        set EXCEPTION_BITMAP, 1 << 13
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        turn_on GUEST_CR4, CR4_TSD
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        guest_at guest_rdtsc
        check_exit 0
        call default_vmcs

        needs MSR_VMX_PROCBASED_CTLS, PROC_TSC_OFFSET, "SKIP no TSC offset"
        turn_on PROC_CONTROLS, PROC_TSC_OFFSET
        test_name "an offset of 0"
        offset 0, 0
        call between
        test_name "an offset is added"
        offset 0x123, 0x40000000
        mov dword [added], 0x40000000
        mov dword [added + 4], 0x123
        call between
        test_name "a negative one, too"
        offset -1, -1000000
        mov dword [added], -1000000
        mov dword [added + 4], -1
        call between
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_MSR_BITMAPS
        call allowed
        jnz .no_msrs
        test_name "RDMSR of the counter reads the same"
        turn_on PROC_CONTROLS, PROC_MSR_BITMAPS
        set 0x2004, MSR_BITMAP
        mov dword [code], guest_rdmsr
        call between
        mov dword [code], guest_rdtsc
.no_msrs:
        test_name "the offset does not matter to the host"
        offset 0x40000000, 0
        guest_at guest_rdtsc
        call enter
        rdtsc
        cmp edx, 0x40000000
        check b

        mov eax, 0x80000001
        cpuid
        test edx, 1 << 27
        jz .no_rdtscp
        mov eax, PROC2_RDTSCP
        call allowed_secondary
        jnz .no_rdtscp
        offset 0, 0x1000000
        mov dword [added], 0x1000000
        mov dword [added + 4], 0
        mov ecx, TSC_AUX
        mov eax, 0x5a5a
        xor edx, edx
        wrmsr
        test_name "RDTSCP raises #UD without 'enable RDTSCP'"
        set EXCEPTION_BITMAP, 1 << 6
        guest_at guest_rdtscp
        check_exit 0
        set GUEST_EFLAGS, 2
        test_name "also with RDTSC exiting"
        turn_on PROC_CONTROLS, PROC_RDTSC
        guest_at guest_rdtscp
        check_exit 0
        set GUEST_EFLAGS, 2
        set EXCEPTION_BITMAP, 0
        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_RDTSCP
        test_name "with it, it leaves as RDTSC does, with a reason of its own"
        guest_at guest_rdtscp
        check_exit RDTSCP_EXIT
        test_name "length of RDTSCP"
        check_field EXIT_INSTRUCTION_LENGTH, 3
        turn_off PROC_CONTROLS, PROC_RDTSC
        test_name "or reads the counter with the offset"
        mov dword [code], guest_rdtscp
        call between
        test_name "and IA32_TSC_AUX"
        check_equal [guest_ecx], 0x5a5a
        mov dword [code], guest_rdtsc
.no_rdtscp:

        needs_secondary PROC2_SCALING, "SKIP no TSC scaling"
        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_SCALING
        test_name "a multiplier of 0 is refused"
        multiplier 0, 0
        check_refused 7
        test_name "a multiplier of 1"
        offset 0, 0
        mov dword [added], 0
        multiplier 0x10000, 0
        call between
        test_name "a multiplier of 2"
        multiplier 0x20000, 0
        mov dword [factor], 2
        call between
        test_name "the offset is not multiplied"
        offset 0, 0x1000000
        mov dword [added], 0x1000000
        call between
        test_name "a multiplier of a half"
        multiplier 0x8000, 0
        mov dword [factor], 1
        mov dword [divisor], 1
        call between
        test_name "2 to the -48 of little is nothing"
        multiplier 0, 1
        guest_at guest_rdtsc
        check_exit 18
        check_equal [guest_eax], 0x1000000
        test_name "without the offset control the multiplier does not matter"
        mov dword [added], 0
        mov dword [divisor], 0
        turn_off PROC_CONTROLS, PROC_TSC_OFFSET
        call between
        ret

; The guest at [code] reads the counter: what it reads lies between what the host reads before and after, each times [factor],
; shifted right by [divisor], plus [added].
between:
        rdtsc
        call expect
        mov [before], eax
        mov [before + 4], edx
        mov ecx, [code]
        mov eax, GUEST_EIP
        vmwrite eax, ecx
        set GUEST_ESP, GUEST_STACK
        mov dword [guest_ecx], TSC
        call enter
        mov dword [expected], 18
        get EXIT_REASON
        cmp eax, 18
        jne compare
        rdtsc
        call expect
        sub eax, [guest_eax]
        sbb edx, [guest_edx]
        js .wrong
        mov eax, [guest_eax]
        mov edx, [guest_edx]
        sub eax, [before]
        sbb edx, [before + 4]
        js .wrong
        jmp passed
.wrong: call failed
        say "  host, then guest "
        mov eax, [before + 4]
        call print_hex
        mov eax, [before]
        call print_hex
        say " "
        mov eax, [guest_edx]
        call print_hex
        mov eax, [guest_eax]
        call print_hex
        call newline
        ret
; EDX:EAX := what a guest would read. Changes ECX.
expect: mov ecx, [divisor]
        shrd eax, edx, cl
        shr edx, cl
        cmp dword [factor], 2
        jne .add
        shld edx, eax, 1
        shl eax, 1
.add:   add eax, [added]
        adc edx, [added + 4]
        ret

        align 4
code:           dd guest_rdtsc
factor:         dd 1
divisor:        dd 0
added:          dd 0, 0
before:         dd 0, 0
guest_rdtsc:
        rdtsc
        vmcall
guest_rdtscp:
        rdtscp
        vmcall
guest_rdmsr:
        rdmsr
        vmcall
