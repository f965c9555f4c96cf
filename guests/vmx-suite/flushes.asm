; flushes: translations that are in use, a table that changes, a flush that the manual says is enough: behind it the new table must be in force.
; And changes that need no flush.
; Manual: Vol. 3, "Operations that Invalidate Cached Mappings"; "Guidelines for Use of the INVVPID Instruction", "… of the INVEPT Instruction";
; "Optional Invalidation".

%define SUBJECT "flushes"
%include "suite.inc"
%include "ept.inc"

PROC2_VPID      equ 1 << 5
VPID            equ 0
GUEST_VPID      equ 1
GLOBAL_PAGE     equ 0x100
CR4_PGE         equ 0x80
BY_TABLE        equ 0x2000000           ; where the page is seen, two pages in a row
PDE             equ DIRECTORY + 4 * (BY_TABLE >> 22)
TABLE           equ 0x220000
OTHER_TABLE     equ 0x221000
THIRD_LEVEL_1   equ 0x223000            ; of EPT
SECOND_LEVEL_4  equ 0x224000            ; and its levels 3, 2, 1 behind it
OLD             equ PLAYGROUND
NEW             equ PLAYGROUND + 0x1000
OLD_VALUE       equ 0x0101d
NEW_VALUE       equ 0x0e11
RIGHTS          equ PRESENT + WRITABLE

; The guest uses the page, then the table changes: %1 is the change, %2 what flushes; the guest must see the new page.
%macro flushed 3                        ; name, change, flush
        test_name %1
        call use
        %2
        %3
        call look
%endmacro
%macro flushed_ept 3                    ; the same for a change of EPT
        test_name %1
        call old_ept
        call use
        %2
        %3
        call look
%endmacro
%define NEW_PAGE {mov dword [TABLE], NEW + RIGHTS}
%define NEW_GLOBAL {mov dword [TABLE], NEW + RIGHTS + GLOBAL_PAGE}
%define NEW_TABLE {mov dword [PDE], OTHER_TABLE + RIGHTS}

subject:
        mov dword [OLD], OLD_VALUE
        mov dword [NEW], NEW_VALUE
        turn_on GUEST_CR4, CR4_PGE
        mov dword [globally], 0

; ---- without VPIDs ----

        flushed "without VPIDs VM entry and VM exit are enough: a page", NEW_PAGE, {nop}
        flushed "without VPIDs VM entry and VM exit are enough: a page table", NEW_TABLE, {nop}
        mov dword [globally], GLOBAL_PAGE
        flushed "without VPIDs VM entry and VM exit are enough: a global page", NEW_GLOBAL, {nop}
        mov dword [globally], 0
        call in_the_guest

; ---- with them ----

        mov eax, PROC2_VPID
        call allowed_secondary
        jnz .no_vpid
        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_VPID
        set VPID, GUEST_VPID
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov [capabilities], edx
        test edx, 1
        jz .no_vpid
        test dword [capabilities], 1 << 8
        jz .no_address
        flushed "INVVPID of an address: a page", NEW_PAGE, {call flush_address}
        flushed "INVVPID of an address: a page table", NEW_TABLE, {call flush_address}
        mov dword [globally], GLOBAL_PAGE
        flushed "INVVPID of an address: a global page", NEW_GLOBAL, {call flush_address}
        mov dword [globally], 0
.no_address:
        flushed "INVVPID of a VPID: a page", NEW_PAGE, {call flush_vpid}
        flushed "INVVPID of a VPID: a page table", NEW_TABLE, {call flush_vpid}
        mov dword [globally], GLOBAL_PAGE
        flushed "INVVPID of a VPID: a global page", NEW_GLOBAL, {call flush_vpid}
        flushed "INVVPID of all: a global page", NEW_GLOBAL, {call flush_vpids}
        mov dword [globally], 0
        flushed "INVVPID of all: a page", NEW_PAGE, {call flush_vpids}
        flushed "INVVPID of all: a page table", NEW_TABLE, {call flush_vpids}
        test dword [capabilities], 1 << 11
        jz .no_globals
        flushed "INVVPID but for globals: a page", NEW_PAGE, {call flush_but_globals}
        flushed "INVVPID but for globals: a page table", NEW_TABLE, {call flush_but_globals}
.no_globals:
        test_name "another VPID has nothing of the first one: a page"
        call use
        mov dword [TABLE], NEW + RIGHTS
        set VPID, GUEST_VPID + 1
        call look
        call flush_vpids
        set VPID, GUEST_VPID
        call in_the_guest
        test_name "a page that was not present needs no flush"
        call use
        mov dword [TABLE], 0
        call flush_vpid
        set EXCEPTION_BITMAP, 1 << 14
        guest_at guest_looks
        check_exit 0
        set EXCEPTION_BITMAP, 0
        set GUEST_EFLAGS, 2
        mov dword [TABLE], NEW + RIGHTS
        call look
.no_vpid:

; ---- EPT ----

        mov eax, PROC2_EPT
        call allowed_secondary
        jz .ept
        line "SKIP no EPT"
        ret
.ept:   call ept_on
        mov ecx, MSR_VMX_EPT_VPID_CAP
        rdmsr
        mov [capabilities], eax
        test eax, 1 << 25
        jz .no_context
        flushed_ept "INVEPT of a context: a page", {call new_ept_page}, {call flush_context}
        flushed_ept "INVEPT of a context: a table of EPT", {call new_ept_table}, {call flush_context}
.no_context:
        test dword [capabilities], 1 << 26
        jz .no_all
        flushed_ept "INVEPT of all: a page", {call new_ept_page}, {call forget}
        flushed_ept "INVEPT of all: a table of EPT", {call new_ept_table}, {call forget}
        flushed_ept "INVEPT of all: the page of a guest's table", {call new_ept_of_table}, {call forget}
.no_all:
        test_name "a page that EPT did not map needs no flush"
        call old_ept
        call use
        mov dword [EPT_ENTRY(OLD)], 0
        call forget
        guest_at guest_looks
        check_exit 48
        set GUEST_EFLAGS, 2
        call new_ept_page
        call look
        test_name "the violation itself flushes its page: a right that is added"
        call old_ept
        call use
        and dword [EPT_ENTRY(OLD)], ~WRITE
        call forget
        guest_at guest_writes
        check_exit 48
        set GUEST_EFLAGS, 2
        or dword [EPT_ENTRY(OLD)], WRITE
        guest_at guest_writes
        check_exit 18
        test_name "another EPT pointer has nothing of the first one"
        call old_ept
        call use
        mov esi, EPT_LEVEL_4            ; other tables of the upper level, the same page mapped otherwise
        mov edi, SECOND_LEVEL_4
        mov ecx, 4 * PAGE / 4
        rep movsd
        mov dword [SECOND_LEVEL_4], SECOND_LEVEL_4 + PAGE + EPT_ALL
        mov dword [SECOND_LEVEL_4 + PAGE], SECOND_LEVEL_4 + 2 * PAGE + EPT_ALL
        mov dword [SECOND_LEVEL_4 + 2 * PAGE + 8], SECOND_LEVEL_4 + 3 * PAGE + EPT_ALL
        mov eax, [EPT_ENTRY(NEW)]
        mov [SECOND_LEVEL_4 + EPT_ENTRY(OLD) - EPT_LEVEL_4], eax
        get EPT_POINTER
        push eax
        lea ecx, [eax + SECOND_LEVEL_4 - EPT_LEVEL_4]
        mov eax, EPT_POINTER
        vmwrite eax, ecx
        call look
        test_name "nor has the first one anything of it"
        pop ecx
        mov eax, EPT_POINTER
        vmwrite eax, ecx
        guest_at guest_looks
        check_exit 18
        check_equal [guest_eax], OLD_VALUE
        ret

; Flushes by the guest itself. It leaves between use and look, so without VPIDs they are not needed, but enough.
in_the_guest:
        mov eax, PROC_CR3_LOAD + PROC_CR3_STORE
        call optional
        jnz .no_cr3
        test_name "MOV to CR3 by the guest: a page"
        call old
        guest_at guest_loads_cr3
        call look_at_result
.no_cr3:
        test_name "INVLPG by the guest: a page"
        call old
        guest_at guest_invlpg
        call look_at_result
        test_name "INVLPG by the guest: a global page"
        mov dword [globally], GLOBAL_PAGE
        call old
        guest_at guest_invlpg
        call look_at_result
        test_name "a change of CR4.PGE by the guest: a global page"
        call old
        guest_at guest_changes_pge
        call look_at_result
        turn_on GUEST_CR4, CR4_PGE
        mov dword [globally], 0
        test_name "INVLPG of another page by the guest: a page table"
        call old
        guest_at guest_invlpg_table
        jmp look_at_result

; The old page is mapped, and nothing is cached of it. Changes EAX.
old:    mov eax, OLD + RIGHTS
        or eax, [globally]
        mov [TABLE], eax
        mov dword [TABLE + 4], OLD + RIGHTS
        mov eax, NEW + RIGHTS
        or eax, [globally]
        mov [OTHER_TABLE], eax
        mov dword [PDE], TABLE + RIGHTS
        get PROC_CONTROLS
        test eax, PROC_SECONDARY
        jz .end
        get PROC_CONTROLS_2
        test eax, PROC2_VPID
        jz .end
        call flush_vpids
.end:   ret
; The guest uses it.
use:    call old
        guest_at guest_looks
        call enter
        ret
; One result: the guest sees the new page.
look:   guest_at guest_looks
look_at_result:
        call enter
        get EXIT_REASON
        mov dword [expected], 18
        cmp eax, 18
        jne compare
        mov dword [expected], NEW_VALUE
        mov eax, [guest_eax]
        jmp compare

flush_address:
        xor eax, eax
        jmp by_descriptor
flush_vpid:
        mov eax, 1
        jmp by_descriptor
flush_vpids:
        mov eax, 2
        jmp by_descriptor
flush_but_globals:
        mov eax, 3
by_descriptor:
        invvpid eax, [descriptor]
        ret
flush_context:
        get EPT_POINTER
        mov [context], eax
        mov eax, 1
        invept eax, [context]
        ret

; Changes of EPT; old_ept undoes them. Change EAX.
old_ept:
        mov eax, [type]
        or eax, OLD + EPT_ALL
        mov [EPT_ENTRY(OLD)], eax
        and eax, ~(OLD)
        or eax, TABLE
        mov [EPT_ENTRY(TABLE)], eax
        mov dword [EPT_LEVEL_2 + 8], EPT_LEVEL_1 + EPT_ALL
        jmp forget
new_ept_page:
        mov eax, [EPT_ENTRY(NEW)]
        mov [EPT_ENTRY(OLD)], eax
        ret
new_ept_table:                          ; a copy of the last level, but for the page
        call old_ept_without_flush
        mov esi, EPT_LEVEL_1
        mov edi, THIRD_LEVEL_1
        mov ecx, PAGE / 4
        rep movsd
        mov eax, [EPT_ENTRY(NEW)]
        mov [THIRD_LEVEL_1 + EPT_ENTRY(OLD) - EPT_LEVEL_1], eax
        mov dword [EPT_LEVEL_2 + 8], THIRD_LEVEL_1 + EPT_ALL
        ret
new_ept_of_table:                       ; the guest's page table is another frame
        call old_ept_without_flush
        mov dword [EPT_LEVEL_2 + 8], EPT_LEVEL_1 + EPT_ALL
        mov eax, [EPT_ENTRY(OTHER_TABLE)]
        mov [EPT_ENTRY(TABLE)], eax
        ret
old_ept_without_flush:
        mov eax, [type]
        or eax, OLD + EPT_ALL
        mov [EPT_ENTRY(OLD)], eax
        ret

        align 16
descriptor:     dd GUEST_VPID, 0, BY_TABLE, 0
context:        dd 0, 0, 0, 0
globally:       dd 0
capabilities:   dd 0
guest_looks:
        mov eax, [BY_TABLE]
        vmcall
guest_writes:
        mov eax, [BY_TABLE]
        mov [BY_TABLE], eax
        vmcall
guest_loads_cr3:
        mov eax, [BY_TABLE]
        mov dword [TABLE], NEW + RIGHTS
        mov eax, cr3
        mov cr3, eax
        mov eax, [BY_TABLE]
        vmcall
guest_invlpg:
        mov eax, [BY_TABLE]
        mov dword [TABLE], NEW + RIGHTS + GLOBAL_PAGE
        invlpg [BY_TABLE + 0x123]
        mov eax, [BY_TABLE]
        vmcall
guest_changes_pge:
        mov eax, [BY_TABLE]
        mov dword [TABLE], NEW + RIGHTS + GLOBAL_PAGE
        mov eax, cr4
        xor eax, CR4_PGE
        mov cr4, eax
        mov eax, [BY_TABLE]
        vmcall
guest_invlpg_table:                     ; it drops what is cached of all directory entries
        mov eax, [BY_TABLE]
        mov dword [PDE], OTHER_TABLE + RIGHTS
        invlpg [BY_TABLE]
        mov eax, [BY_TABLE]
        vmcall
