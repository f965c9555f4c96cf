; modes: guests in virtual-8086 mode, and, with unrestricted guest, in real mode and without paging.
; Manual: Vol. 3, "Checks on Guest Segment Registers"; "Unrestricted Guests"; "VM-Entry Controls for Event Injection".

%define SUBJECT "modes"
%include "suite.inc"
%include "ept.inc"

PROC2_UNRESTRICTED equ 1 << 7
LOW_CODE        equ 0x10000             ; the 16-bit code, below 1 MiB
LOW_STACK       equ 0x1000
FLAG_VM         equ 1 << 17
IOPL_3          equ 3 << 12
FLAGS           equ 2
GENERAL         equ 13
MAGIC           equ 0x1234

%macro at16 1                           ; address in the 16-bit code
        set GUEST_EIP, (%1) - code16
        set GUEST_ESP, LOW_STACK
%endmacro

subject:
        mov esi, code16
        mov edi, LOW_CODE
        mov ecx, code16_end - code16
        rep movsb

; ---- virtual-8086 mode ----

        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        mov ebx, 0xf3
        call segments16
        set GUEST_EFLAGS, FLAGS + FLAG_VM + IOPL_3
        test_name "a guest in virtual-8086 mode"
        mov dword [guest_ebx], 0
        at16 code16
        check_exit 10
        check_equal [guest_ebx], MAGIC
        test_name "the exit saves EFLAGS.VM"
        check_masked GUEST_EFLAGS, FLAG_VM, FLAG_VM
        test_name "the host is not in virtual-8086 mode"
        pushfd
        pop eax
        and eax, FLAG_VM
        mov dword [expected], 0
        call compare
        test_name "a segment register that it loads"
        at16 code16.loads
        check_exit 10
        check_field GUEST_BASE + 6, 0x12340
        test_name "VMCALL leaves from virtual-8086 mode"
        at16 code16.calls
        check_exit 18
        set GUEST_EFLAGS, FLAGS + FLAG_VM
        set GUEST_SELECTOR + 6, 0
        set GUEST_BASE + 6, 0
        test_name "INT n with IOPL below 3 raises #GP"
        set EXCEPTION_BITMAP, 1 << GENERAL
        at16 code16.interrupts
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0xb00 + GENERAL
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS + FLAG_VM + IOPL_3
        test_name "the base of a segment must be 16 times its selector"
        set GUEST_BASE + 6, 1
        check_exit ENTRY_FAILURE + 33
        set GUEST_BASE + 6, 0
        test_name "its limit must be FFFFh"
        set GUEST_LIMIT + 6, 0xfffff
        check_exit ENTRY_FAILURE + 33
        set GUEST_LIMIT + 6, 0xffff
        test_name "its access rights must be F3h"
        set GUEST_RIGHTS + 6, 0x93
        check_exit ENTRY_FAILURE + 33
        set GUEST_RIGHTS + 6, 0xf3
        test_name "EFLAGS.VM without CR0.PE is refused"
        turn_off GUEST_CR0, CR0_PE + CR0_PG
        check_exit ENTRY_FAILURE + 33
        turn_on GUEST_CR0, CR0_PE + CR0_PG
        set GUEST_EFLAGS, FLAGS

; ---- without unrestricted guest ----

        call default_vmcs
        test_name "CR0.PG = 0 is refused"
        turn_off GUEST_CR0, CR0_PG
        check_exit ENTRY_FAILURE + 33
        test_name "CR0.PE = 0 is refused"
        turn_off GUEST_CR0, CR0_PE
        check_exit ENTRY_FAILURE + 33
        turn_on GUEST_CR0, CR0_PE + CR0_PG
        test_name "a guest that clears CR0.PG gets #GP"
        set EXCEPTION_BITMAP, 1 << GENERAL
        guest_at guest_without_paging
        check_exit 0
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS

; ---- with it ----

        needs_secondary PROC2_EPT + PROC2_UNRESTRICTED, "SKIP no unrestricted guest"
        call ept_on
        turn_on PROC_CONTROLS_2, PROC2_UNRESTRICTED
        test_name "a guest without paging"
        turn_off GUEST_CR0, CR0_PG
        mov dword [PLAYGROUND], MAGIC
        guest_at guest_reads
        check_exit 18
        check_equal [guest_ebx], MAGIC
        test_name "EPT is its only translation"
        mov eax, [EPT_ENTRY(PLAYGROUND + PAGE)]
        mov [EPT_ENTRY(PLAYGROUND)], eax
        mov dword [PLAYGROUND + PAGE], MAGIC + 1
        call forget
        guest_at guest_reads
        check_exit 18
        check_equal [guest_ebx], MAGIC + 1
        test_name "it may switch paging on"
        guest_at guest_with_paging
        check_exit 18
        check_masked GUEST_CR0, CR0_PG, CR0_PG
        test_name "and off"
        guest_at guest_without_paging
        check_exit 18
        check_masked GUEST_CR0, CR0_PG, 0
        test_name "CR0.PG without CR0.PE is refused"
        turn_on GUEST_CR0, CR0_PG
        turn_off GUEST_CR0, CR0_PE
        check_exit ENTRY_FAILURE + 33
        turn_off GUEST_CR0, CR0_PG

        test_name "a guest in real mode"
        mov ebx, 0x93
        call segments16
        set GUEST_IDTR_BASE, 0
        set GUEST_IDTR_LIMIT, 0x3ff
        mov dword [guest_ebx], 0
        at16 code16
        check_exit 10
        check_equal [guest_ebx], MAGIC
        test_name "the host is in protected mode"
        mov eax, cr0
        and eax, CR0_PE
        mov dword [expected], CR0_PE
        call compare
        test_name "the exit saves real mode"
        check_masked GUEST_CR0, CR0_PE + CR0_PG, 0
        test_name "VMCALL leaves"
        at16 code16.calls
        check_exit 18
        test_name "INT n goes by the interrupt vectors"
        push dword [0x40 * 4]
        mov word [0x40 * 4], code16.handler - code16
        mov word [0x40 * 4 + 2], LOW_CODE >> 4
        mov dword [guest_ebx], 0
        at16 code16.interrupts
        check_exit 18
        check_equal [guest_ebx], MAGIC + 2
        pop dword [0x40 * 4]
        test_name "an exception is injected without an error code"
        push dword [GENERAL * 4]
        mov word [GENERAL * 4], code16.handler - code16
        mov word [GENERAL * 4 + 2], LOW_CODE >> 4
        mov dword [guest_ebx], 0
        at16 code16.calls
        set ENTRY_INTERRUPTION, VALID + 0x300 + GENERAL
        check_exit 18
        check_equal [guest_ebx], MAGIC + 2
        pop dword [GENERAL * 4]
        test_name "with one it is refused"
        set ENTRY_INTERRUPTION, VALID + 0xb00 + GENERAL
        check_refused 7
        set ENTRY_INTERRUPTION, 0
        test_name "an intercepted exception has none either"
        set EXCEPTION_BITMAP, 1 << GENERAL
        at16 code16.faults
        check_exit 0
        check_field EXIT_INTERRUPTION, VALID + 0x300 + GENERAL
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, FLAGS
        test_name "it may switch to protected mode"
        at16 code16.protects
        check_exit 18
        check_masked GUEST_CR0, CR0_PE, CR0_PE
        turn_off GUEST_CR0, CR0_PE
        test_name "unrestricted guest needs EPT"
        turn_off PROC_CONTROLS_2, PROC2_EPT
        check_refused 7
        turn_on PROC_CONTROLS_2, PROC2_EPT
        ret

; All segments of the guest are 16-bit ones with access rights EBX; CS is that of the code below 1 MiB. Changes EAX, ECX, EDX.
segments16:
        xor edx, edx
.next:  lea eax, [GUEST_SELECTOR + edx * 2]
        xor ecx, ecx
        vmwrite eax, ecx
        lea eax, [GUEST_BASE + edx * 2]
        vmwrite eax, ecx
        lea eax, [GUEST_LIMIT + edx * 2]
        mov ecx, 0xffff
        vmwrite eax, ecx
        lea eax, [GUEST_RIGHTS + edx * 2]
        vmwrite eax, ebx
        inc edx
        cmp edx, 6
        jb .next
        set GUEST_SELECTOR + SEGMENT_CS, LOW_CODE >> 4
        set GUEST_BASE + SEGMENT_CS, LOW_CODE
        ret

guest_reads:
        mov ebx, [PLAYGROUND]
        vmcall
guest_with_paging:
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        jmp .there
.there: vmcall
guest_without_paging:
        mov eax, cr0
        and eax, ~CR0_PG
        mov cr0, eax
        jmp .there
.there: vmcall

bits 16
code16: mov bx, MAGIC
        cpuid
        hlt
.loads: mov ax, MAGIC
        mov ds, ax
        cpuid
        hlt
.calls: vmcall
        hlt
.interrupts:
        int 0x40
        vmcall
        hlt
.handler:
        mov bx, MAGIC + 2
        iret
.faults:
        mov eax, [dword 0x10000]        ; beyond the limit
        hlt
.protects:
        mov eax, cr0
        or al, 1
        mov cr0, eax
        vmcall
        hlt
code16_end:
bits 32
