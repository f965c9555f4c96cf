; virtualization-exceptions: EPT violations that the guest is told of by #VE.
; Manual: Vol. 3, "Virtualization Exceptions"; "Convertible EPT Violations"; "Virtualization-Exception Information".

%define SUBJECT "virtualization-exceptions"
%include "suite.inc"
%include "ept.inc"
%include "guest-events.inc"

PROC2_VE        equ 1 << 18
VE              equ 20
EPTP_INDEX      equ 0x0004
INFORMATION     equ 0x202a              ; address of the area:
AREA            equ 0x220000
TABLE           equ 0x221000            ; of the guest
AREA_REASON     equ AREA
AREA_BUSY       equ AREA + 4
AREA_QUALIFICATION equ AREA + 8
AREA_LINEAR     equ AREA + 0x10
AREA_PHYSICAL   equ AREA + 0x18
AREA_INDEX      equ AREA + 0x20
SUPPRESS        equ 1 << 31             ; in the upper half of an EPT entry
VICTIM          equ PLAYGROUND
ENTRY           equ EPT_ENTRY(VICTIM)
DISTANT             equ 0x800000            ; in a page of 2 MiB
DISTANT_ENTRY       equ EPT_LEVEL_2 + (DISTANT >> 21) * 8

subject:
        needs_secondary PROC2_EPT + PROC2_VE, "SKIP no virtualization exceptions"
        call ept_on
        call make_guest_idt
        turn_on PROC_CONTROLS_2, PROC2_VE
        set INFORMATION, AREA
        set INFORMATION + 1, 0
        set EPTP_INDEX, 0x1234
        mov edi, AREA
        mov ecx, PAGE / 4
        xor eax, eax
        rep stosd
        mov dword [ENTRY], 0
        call forget

        test_name "a violation becomes an exception"
        guest_at guest_reads
        check_exit 18
        test_name "vector 20"
        check_equal [guest_eax], VE
        test_name "it is a fault"
        check_equal [guest_ebx], guest_reads
        test_name "RF is 1 in the flags that are pushed"
        mov eax, [guest_edx]
        and eax, 1 << 16
        mov dword [expected], 1 << 16
        call compare
        test_name "information: the reason is that of an EPT violation"
        check_equal [AREA_REASON], 48
        test_name "information: FFFF_FFFFh behind it"
        check_equal [AREA_BUSY], -1
        test_name "information: qualification"
        mov eax, [AREA_QUALIFICATION]
        and eax, BITS_OF_ALL & ~0x40
        mov dword [expected], READ + LINEAR_VALID + FINAL
        call compare
        test_name "information: linear address"
        check_equal [AREA_LINEAR], VICTIM + 8
        test_name "information: guest-physical address"
        check_equal [AREA_PHYSICAL], VICTIM + 8
        test_name "information: upper halves"
        mov eax, [AREA_QUALIFICATION + 4]
        or eax, [AREA_LINEAR + 4]
        or eax, [AREA_PHYSICAL + 4]
        mov dword [expected], 0
        call compare
        test_name "information: EPTP index"
        movzx eax, word [AREA_INDEX]
        mov dword [expected], 0x1234
        call compare

        test_name "while the area is in use the violation leaves"
        guest_at guest_reads
        check_exit 48
        test_name "the area stays as it is"
        check_equal [AREA_BUSY], -1
        set GUEST_EFLAGS, 2
        test_name "any value but 0 does that"
        mov dword [AREA_BUSY], 1
        guest_at guest_reads
        check_exit 48
        set GUEST_EFLAGS, 2
        mov dword [AREA_BUSY], 0
        test_name "a write"
        guest_at guest_writes
        check_exit 18
        test_name "information: a write"
        mov eax, [AREA_QUALIFICATION]
        and eax, READ + WRITE + FETCH
        mov dword [expected], WRITE
        call compare
        mov dword [AREA_BUSY], 0
        test_name "a fetch"
        guest_at guest_fetches
        check_exit 18
        test_name "the fault is where the fetch goes"
        check_equal [guest_ebx], VICTIM
        mov dword [AREA_BUSY], 0
        test_name "a right that is missing"
        mov eax, [type]
        or eax, VICTIM + READ
        mov [ENTRY], eax
        call forget
        guest_at guest_writes
        check_exit 18
        test_name "information: what there is"
        mov eax, [AREA_QUALIFICATION]
        and eax, 0x3f
        mov dword [expected], WRITE + (READ << 3)
        call compare
        mov dword [AREA_BUSY], 0

        test_name "bit 63 of the entry suppresses it: absent"
        mov dword [ENTRY], 0
        mov dword [ENTRY + 4], SUPPRESS
        call forget
        guest_at guest_reads
        check_exit 48
        test_name "the area is not written"
        check_equal [AREA_BUSY], 0
        set GUEST_EFLAGS, 2
        test_name "bit 63 of the entry suppresses it: read-only"
        mov eax, [type]
        or eax, VICTIM + READ
        mov [ENTRY], eax
        call forget
        guest_at guest_writes
        check_exit 48
        set GUEST_EFLAGS, 2
        mov dword [ENTRY + 4], 0
        mov dword [ENTRY], 0
        test_name "an entry above the last that is absent"
        push dword [DISTANT_ENTRY]
        mov dword [DISTANT_ENTRY], 0
        call forget
        guest_at guest_reads_far
        check_exit 18
        test_name "information: the address of that access"
        check_equal [AREA_PHYSICAL], DISTANT + 4
        mov dword [AREA_BUSY], 0
        test_name "bit 63 of an entry above the last suppresses it"
        mov dword [DISTANT_ENTRY + 4], SUPPRESS
        call forget
        guest_at guest_reads_far
        check_exit 48
        set GUEST_EFLAGS, 2
        test_name "bit 63 of an entry that leads to a table is ignored"
        mov dword [EPT_LEVEL_2 + 8 + 4], SUPPRESS
        pop dword [DISTANT_ENTRY]
        mov dword [DISTANT_ENTRY + 4], 0
        call forget
        guest_at guest_reads
        check_exit 18
        mov dword [EPT_LEVEL_2 + 8 + 4], 0
        mov dword [AREA_BUSY], 0

        test_name "bit 20 of the exception bitmap: the exception leaves"
        set EXCEPTION_BITMAP, 1 << VE
        call forget
        guest_at guest_reads
        check_exit 0
        test_name "a hardware exception without error code"
        check_field EXIT_INTERRUPTION, VALID + 0x300 + VE
        test_name "the area has been written all the same"
        check_equal [AREA_BUSY], -1
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, 2
        mov dword [AREA_BUSY], 0
        test_name "a violation during the delivery of an event leaves"
        set GUEST_EIP, guest_int3
        set GUEST_ESP, VICTIM + 0x800
        check_exit 48
        test_name "the event is recorded"
        check_field IDT_VECTORING, VALID + 0x603
        test_name "the area is not written for it"
        check_equal [AREA_BUSY], 0
        set GUEST_EFLAGS, 2
        test_name "a misconfiguration always leaves"
        mov dword [ENTRY], VICTIM + WRITE
        call forget
        guest_at guest_reads
        check_exit 49
        set GUEST_EFLAGS, 2
        mov dword [ENTRY], 0
        test_name "an access to a paging structure"
        mov dword [TABLE], DISTANT + PRESENT + WRITABLE
        mov dword [DIRECTORY + 4 * (DISTANT >> 22)], TABLE + PRESENT + WRITABLE
        mov dword [EPT_ENTRY(TABLE)], 0
        call forget
        guest_at guest_reads_far
        check_exit 18
        test_name "information: not the final access"
        mov eax, [AREA_QUALIFICATION]
        and eax, READ + LINEAR_VALID + FINAL
        mov dword [expected], READ + LINEAR_VALID
        call compare
        test_name "information: linear address of the access that needed it"
        check_equal [AREA_LINEAR], DISTANT + 4
        mov dword [AREA_BUSY], 0

        test_name "without the control violations leave"
        turn_off PROC_CONTROLS_2, PROC2_VE
        mov dword [ENTRY], 0
        call forget
        guest_at guest_reads
        check_exit 48
        turn_on PROC_CONTROLS_2, PROC2_VE
        set GUEST_EFLAGS, 2
        test_name "the address of the area must be aligned"
        set INFORMATION, AREA + 0x800
        check_refused 7
        test_name "and not be too wide"
        set INFORMATION, AREA
        set INFORMATION + 1, 0x80000000
        check_refused 7
        set INFORMATION + 1, 0
        test_name "after all that it enters"
        guest_at guest_reads
        check_exit 18
        ret

guest_reads:
        mov eax, [VICTIM + 8]
        vmcall
guest_writes:
        mov [VICTIM + 8], eax
        vmcall
guest_reads_far:
        mov eax, [DISTANT + 4]
        vmcall
guest_fetches:
        mov ebx, VICTIM
        jmp ebx
guest_int3:
        int3
        vmcall
