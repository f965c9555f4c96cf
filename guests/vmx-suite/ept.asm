; ept: rights, violations and misconfigurations, with guest paging on and off.
; Manual: Vol. 3, "EPT Translation Mechanism", "EPT Misconfigurations", "EPT Violations"; "Exit Qualification for EPT Violations".

%define SUBJECT "ept"
%include "suite.inc"
%include "ept.inc"

VICTIM          equ PLAYGROUND
VICTIM_ENTRY    equ EPT_ENTRY(VICTIM)
DIRECTORY_ENTRY equ EPT_ENTRY(DIRECTORY)

%macro victim 1                         ; the EPT entry of the page becomes: its frame and these bits. Changes EAX and ECX
        mov dword [VICTIM_ENTRY], VICTIM + (%1)
        call forget
%endmacro
%macro violates 3                       ; guest code, access, rights that the entry gives. Changes EAX
        guest_at %1
        call enter
        mov dword [wanted], (%2) + ((%3) << 3) + LINEAR_VALID + FINAL
        call check_violation
%endmacro

subject:
        needs_secondary PROC2_EPT, "SKIP no EPT"
        call ept_on
        test_name "with everything allowed nothing happens"
        mov eax, [type]
        or [VICTIM_ENTRY], eax
        call forget
        guest_at guest_reads
        check_exit 18
        mov byte [VICTIM], 0xc3         ; RET, to be executed

        test_name "absent: read"
        mov dword [VICTIM_ENTRY], 0
        call forget
        violates guest_reads, READ, 0
        test_name "guest-physical address"
        check_field GUEST_PHYSICAL_ADDRESS, VICTIM + 8
        test_name "guest linear address"
        check_field 0x640a, VICTIM + 8
        test_name "RIP names the instruction"
        check_field GUEST_EIP, guest_reads
        test_name "absent: write"
        violates guest_writes, WRITE, 0
        test_name "absent: fetch"
        violates guest_fetches, FETCH, 0
        test_name "RIP is where the fetch goes"
        check_field GUEST_EIP, VICTIM

        mov eax, [type]
        mov [rights], eax
        test_name "read-only: read"
        mov eax, READ
        call give
        guest_at guest_reads
        check_exit 18
        test_name "read-only: write"
        violates guest_writes, WRITE, READ
        test_name "read-only: a read-modify-write reads and writes"
        guest_at guest_increments
        call enter
        get EXIT_QUALIFICATION
        and eax, WRITE + (7 << 3)
        mov dword [expected], WRITE + (READ << 3)
        call compare
        test_name "read-only: fetch"
        violates guest_fetches, FETCH, READ
        test_name "read and write: fetch"
        mov eax, READ + WRITE
        call give
        violates guest_fetches, FETCH, READ + WRITE
        test_name "read and execute: write"
        mov eax, READ + FETCH
        call give
        violates guest_writes, WRITE, READ + FETCH
        test_name "read and execute: fetch"
        guest_at guest_fetches
        check_exit 18

; ---- page tables of the guest ----

        mov eax, READ + WRITE + FETCH
        call give
        test_name "the guest's page directory is absent"
        push dword [DIRECTORY_ENTRY]
        mov dword [DIRECTORY_ENTRY], 0
        call forget
        guest_at guest_reads
        call enter
        check_field EXIT_REASON, 48
        test_name "an access to a table: bit 8 is 0, bit 7 is 1"
        get EXIT_QUALIFICATION
        and eax, READ + LINEAR_VALID + FINAL
        mov dword [expected], READ + LINEAR_VALID
        call compare
        test_name "its address is that of the entry"
        get GUEST_PHYSICAL_ADDRESS
        and eax, ~3
        mov dword [expected], DIRECTORY
        call compare
        test_name "read-only tables, accessed flags set already: nothing happens"
        pop eax
        push eax
        and eax, ~WRITE
        mov [DIRECTORY_ENTRY], eax
        or dword [DIRECTORY], 0x20
        or dword [DIRECTORY + 4 * 0], 0x60
        call forget
        guest_at guest_reads
        check_exit 18
        test_name "read-only tables, an accessed flag to be set: a write to a table"
        and dword [DIRECTORY], ~0x60
        call forget
        guest_at guest_reads
        call enter
        check_field EXIT_REASON, 48
        test_name "bit 1, and bit 8 is 0"
        get EXIT_QUALIFICATION
        and eax, WRITE + LINEAR_VALID + FINAL
        mov dword [expected], WRITE + LINEAR_VALID
        call compare
        pop dword [DIRECTORY_ENTRY]

; ---- misconfigurations ----

        test_name "writable but not readable"
        mov eax, WRITE
        call misconfigured
        test_name "writable and executable but not readable"
        mov eax, WRITE + FETCH
        call misconfigured
        test_name "memory type 2"
        mov dword [rights], 2 << 3
        mov eax, READ
        call misconfigured
        test_name "memory type 7"
        mov dword [rights], 7 << 3
        mov eax, READ + WRITE + FETCH
        call misconfigured
        mov eax, [type]
        mov [rights], eax
        test_name "an address that is too wide"
        mov dword [VICTIM_ENTRY + 4], 0x80000
        mov eax, READ + WRITE
        call misconfigured
        mov dword [VICTIM_ENTRY + 4], 0
        test_name "a reserved bit of an entry that points to a table"
        or dword [EPT_LEVEL_3], 8
        mov eax, READ + WRITE
        call misconfigured
        and dword [EPT_LEVEL_3], ~8
        test_name "an entry without any right is never misconfigured"
        mov dword [VICTIM_ENTRY], 7 << 3
        call forget
        violates guest_reads, READ, 0
        test_name "execute-only pages exist, or are misconfigured"
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov edi, eax
        mov eax, FETCH
        call give
        guest_at guest_reads
        call enter
        mov dword [expected], 49
        test edi, 1
        jz .compare
        mov dword [expected], 48
.compare:
        get EXIT_REASON
        call compare

; ---- delivery ----

        test_name "a violation while an event is delivered"
        mov eax, READ
        call give                       ; the stack is in a page that cannot be written
        mov eax, VICTIM + 0x800
        mov ecx, eax
        mov eax, GUEST_ESP
        vmwrite eax, ecx
        set GUEST_EIP, guest_int3
        call enter
        check_field EXIT_REASON, 48
        test_name "the event is recorded"
        check_field IDT_VECTORING, VALID + 0x603
        test_name "it was a write"
        get EXIT_QUALIFICATION
        and eax, READ + WRITE + FETCH + FINAL
        mov dword [expected], WRITE + FINAL
        call compare
        ret

; EAX = rights of the page, with the memory type at [rights]. Changes EAX.
give:   or eax, [rights]
        or eax, VICTIM
        mov [VICTIM_ENTRY], eax
        jmp forget
misconfigured:
        call give
        guest_at guest_reads
        call enter
        get EXIT_REASON
        mov dword [expected], 49
        jmp compare
check_violation:
        get EXIT_REASON
        mov dword [expected], 48
        cmp eax, 48
        jne compare
        mov eax, [wanted]
        mov [expected], eax
        get EXIT_QUALIFICATION
        and eax, BITS_OF_ALL & ~0x40    ; bit 6 depends on the processor
        jmp compare

        align 4
rights:         dd 0
wanted:         dd 0
guest_reads:
        mov eax, [VICTIM + 8]
        vmcall
guest_writes:
        mov [VICTIM + 8], eax
        vmcall
guest_increments:
        inc dword [VICTIM + 8]
        vmcall
guest_fetches:
        mov ebx, VICTIM
        call ebx
        vmcall
guest_int3:
        int3
        vmcall
