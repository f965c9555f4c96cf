; pml: the page-modification log: what is logged, when, and what happens when it is full.
; Manual: Vol. 3, "Page-Modification Logging"; "Accessed and Dirty Flags for EPT"; "Page-Modification Log-Full Event".

%define SUBJECT "pml"
%include "suite.inc"
%include "ept.inc"

PROC2_PML       equ 1 << 17
PML_ADDRESS     equ 0x200e
PML_INDEX       equ 0x0812
LOG             equ 0x220000
FULL            equ 62
VICTIM          equ PLAYGROUND
ENTRY           equ EPT_ENTRY(VICTIM)
LARGE_PAGE      equ 0x400000
LARGE_ENTRY     equ EPT_LEVEL_2 + (LARGE_PAGE >> 21) * 8
INDEX_MASK      equ 0xffff

%macro clean 1                          ; the entry there loses its dirty flag, and all translations are forgotten
        and dword [%1], ~EPT_DIRTY
        call forget
%endmacro
%macro check_index 1
        check_masked PML_INDEX, INDEX_MASK, %1
%endmacro

subject:
        needs_secondary PROC2_EPT + PROC2_PML, "SKIP no page-modification log"
        call has_ept_flags
        jnz .there
        line "SKIP no accessed and dirty flags for EPT"
        ret
.there: call ept_on
        turn_on PROC_CONTROLS_2, PROC2_PML
        turn_on EPT_POINTER, EPTP_FLAGS
        set PML_ADDRESS, LOG
        set PML_ADDRESS + 1, 0
        set PML_INDEX, 511
        mov edi, LOG
        mov ecx, PAGE / 4
        xor eax, eax
        rep stosd
; everything has been accessed and written to, so that nothing but the pages of the tests is logged
        mov edi, EPT_LEVEL_1
        mov ecx, 512
.small: or dword [edi], EPT_ACCESSED + EPT_DIRTY
        add edi, 8
        loop .small
        mov edi, EPT_LEVEL_2
        mov ecx, 512
.large: or dword [edi], EPT_ACCESSED + EPT_DIRTY
        add edi, 8
        loop .large
        and dword [EPT_LEVEL_2 + 8], ~EPT_DIRTY ; this one leads to a table
        or dword [DIRECTORY], 0x60
        or dword [DIRECTORY + 4], 0x60

        test_name "without a dirty flag to be set nothing is logged"
        call forget
        guest_at guest_writes
        check_exit 18
        test_name "the index stays"
        check_index 511
        test_name "a write that sets a dirty flag"
        clean ENTRY
        guest_at guest_writes
        check_exit 18
        test_name "the page is in the last entry of the log"
        check_equal [LOG + 511 * 8], VICTIM
        test_name "the upper half of the entry"
        check_equal [LOG + 511 * 8 + 4], 0
        test_name "the index goes down"
        check_index 510
        test_name "the dirty flag is set"
        mov eax, [ENTRY]
        and eax, EPT_DIRTY
        mov dword [expected], EPT_DIRTY
        call compare
        test_name "another write to the page is not logged"
        guest_at guest_writes
        check_exit 18
        test_name "the index stays behind it"
        check_index 510
        test_name "a read logs nothing"
        and dword [ENTRY], ~EPT_ACCESSED
        clean ENTRY
        guest_at guest_reads
        check_exit 18
        test_name "the index stays behind a read"
        check_index 510
        test_name "but it sets the accessed flag"
        mov eax, [ENTRY]
        and eax, EPT_ACCESSED + EPT_DIRTY
        mov dword [expected], EPT_ACCESSED
        call compare
        test_name "a write behind a read is logged, though the translation is cached"
        guest_at guest_reads_and_writes
        check_exit 18
        test_name "the index goes down again"
        check_index 509
        test_name "a locked read-modify-write that changes nothing writes, too"
        clean ENTRY
        guest_at guest_exchanges
        check_exit 18
        test_name "and is logged"
        check_index 508

        test_name "an access to a paging structure counts as a write: a table that is not dirty"
        clean EPT_ENTRY(DIRECTORY)
        guest_at guest_reads
        check_exit 18
        test_name "the table's page is logged"
        check_equal [LOG + 508 * 8], DIRECTORY
        test_name "the table's page is dirty"
        mov eax, [EPT_ENTRY(DIRECTORY)]
        and eax, EPT_DIRTY
        mov dword [expected], EPT_DIRTY
        call compare

        test_name "in a large page the address of the access is logged, to 4 KiB"
        or dword [DIRECTORY + 4], 0x60
        clean LARGE_ENTRY
        guest_at guest_writes_far
        check_exit 18
        test_name "the page of the access"
        check_equal [LOG + 507 * 8], LARGE_PAGE + 0x5000

        test_name "index 0 is the last one that is used"
        set PML_INDEX, 0
        clean ENTRY
        guest_at guest_writes
        check_exit 18
        test_name "the first entry of the log"
        check_equal [LOG], VICTIM
        test_name "the index becomes FFFFh"
        check_index 0xffff
        test_name "with that index the write leaves: the log is full"
        mov dword [VICTIM + 8], 0x11111111
        clean ENTRY
        guest_at guest_writes
        check_exit FULL
        test_name "RIP names the instruction"
        check_field GUEST_EIP, guest_writes
        test_name "the dirty flag is not set"
        mov eax, [ENTRY]
        and eax, EPT_DIRTY
        mov dword [expected], 0
        call compare
        test_name "nothing was written"
        check_equal [VICTIM + 8], 0x11111111
        test_name "no NMI was unblocked"
        check_masked EXIT_QUALIFICATION, 1 << 12, 0
        test_name "the index is as it was"
        check_index 0xffff
        test_name "RF is 1 in the saved flags"
        check_masked GUEST_EFLAGS, 1 << 16, 1 << 16
        test_name "with room in the log it goes on"
        set PML_INDEX, 511
        set GUEST_EFLAGS, 2
        check_exit 18
        test_name "512 is beyond the log, too"
        set PML_INDEX, 512
        clean ENTRY
        guest_at guest_writes
        check_exit FULL
        test_name "a full log does not matter to reads"
        clean ENTRY
        guest_at guest_reads
        check_exit 18
        test_name "a full log while an event is delivered"
        clean ENTRY
        set GUEST_EFLAGS, 2
        set GUEST_EIP, guest_int3
        set GUEST_ESP, VICTIM + 0x800
        check_exit FULL
        test_name "the event is recorded"
        check_field IDT_VECTORING, VALID + 0x603

        test_name "without accessed and dirty flags nothing is logged"
        set PML_INDEX, 511
        set GUEST_EFLAGS, 2
        turn_off EPT_POINTER, EPTP_FLAGS
        clean ENTRY
        guest_at guest_writes
        check_exit 18
        test_name "the index stays without them"
        check_index 511
        turn_on EPT_POINTER, EPTP_FLAGS

        test_name "the address of the log must be aligned"
        set PML_ADDRESS, LOG + 0x800
        check_refused 7
        test_name "and not be too wide"
        set PML_ADDRESS, LOG
        set PML_ADDRESS + 1, 0x80000000
        check_refused 7
        set PML_ADDRESS + 1, 0
        test_name "the log needs EPT"
        turn_off PROC_CONTROLS_2, PROC2_EPT
        check_refused 7
        turn_on PROC_CONTROLS_2, PROC2_EPT
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
guest_reads_and_writes:
        mov eax, [VICTIM + 8]
        mov [VICTIM + 8], eax
        vmcall
guest_exchanges:
        xor eax, eax
        xor ecx, ecx
        lock or [VICTIM + 8], eax
        vmcall
guest_writes_far:
        mov [LARGE_PAGE + 0x5678], eax
        vmcall
guest_int3:
        int3
        vmcall
