; taskswitch: every way from one hardware task to another, and every fault on the way.
;
;   0010_0000  this kernel, with its tables and task-state segments
;   0020_0000  top of the stack of the main task; below each 1000h the stacks of the others (STACK_OF)
;   0020_1000  page directory of all tasks but B          0020_2000  page directory of B
;   0020_3000  code of the task in virtual-8086 mode goes to 0000_8000
;   0040_0000  4 MiB that B sees elsewhere: at 0080_0000
;   00c0_0000  4 MiB that are not there
;
; Exceptions 8 and 10 to 13 are tasks themselves: each prints what it finds in the TSS that its back link names, mends the task
; there, and goes back to it with IRET.
;
; Expected output: expected.txt

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"

STACK           equ 0x200000
DIRECTORY       equ 0x201000
DIRECTORY_B     equ 0x202000
WINDOW          equ 0x400000
ABSENT          equ 0xc00000
V86_CODE        equ 0x8000
STACK_BYTES     equ 0x1000

CR0_TS          equ 0x00000008
CR0_PG          equ 0x80000000
CR4_PSE         equ 0x00000010
FLAG_NT         equ 0x00004000
FLAG_VM         equ 0x00020000

; selectors
CODE            equ 0x08
DATA            equ 0x10
USER_CODE       equ 0x18 + 3
USER_DATA       equ 0x20 + 3
MAIN            equ 0x28                ; task-state segments
TASK_A          equ 0x30
TASK_B          equ 0x38
TASK_16         equ 0x40
TASK_USER       equ 0x48
VICTIM          equ 0x50
TASK_V86        equ 0x58
TASK_TS         equ 0x60
TASK_NP         equ 0x68
TASK_SS         equ 0x70
TASK_GP         equ 0x78
TASK_DF         equ 0x80
GATE_A          equ 0x88                ; task gates
GATE_B          equ 0x90 + 3            ; open to ring 3
ABSENT_GATE     equ 0x98
SHORT_TSS       equ 0xa0                ; things that are not as they should be
SHORT_TSS_16    equ 0xa8
ABSENT_TSS      equ 0xb0
GATE_TO_DATA    equ 0xb8
LDT             equ 0xc0
ABSENT_LDT      equ 0xc8
ABSENT_CODE     equ 0xd0
ABSENT_DATA     equ 0xd8
EXECUTE_ONLY    equ 0xe0
SMALL_CODE      equ 0xe8                ; 4 KiB: EIP of the victim lies beyond
BASED_CODE      equ 0xf0                ; begins at this kernel, for 16-bit IP
CONFORMING_3    equ 0xf8                ; conforming, DPL 3
TASK_T          equ 0x100
STACK_16        equ 0x108
OUTSIDE         equ 0x7f8
IN_LDT          equ 0 * 8 + 4           ; data segment in the LDT

VECTOR_TASK     equ 0x30                ; task gate in the IDT to B, open to ring 3
VECTOR_VICTIM   equ 0x31                ; to the victim
VECTORS         equ 0x38

; offsets in a 32-bit TSS
TSS_LINK        equ 0
TSS_ESP0        equ 4
TSS_SS0         equ 8
TSS_CR3         equ 28
TSS_EIP         equ 32
TSS_EFLAGS      equ 36
TSS_EAX         equ 40
TSS_ECX         equ 44
TSS_EDX         equ 48
TSS_EBX         equ 52
TSS_ESP         equ 56
TSS_EBP         equ 60
TSS_ESI         equ 64
TSS_EDI         equ 68
TSS_ES          equ 72
TSS_CS          equ 76
TSS_SS          equ 80
TSS_DS          equ 84
TSS_FS          equ 88
TSS_GS          equ 92
TSS_LDT         equ 96
TSS_TRAP        equ 100
TSS_IO_MAP      equ 102
TSS_BYTES       equ 104

; and in a 16-bit one
TSS16_IP        equ 14
TSS16_FLAGS     equ 16
TSS16_AX        equ 18
TSS16_SP        equ 26
TSS16_SI        equ 30
TSS16_ES        equ 34
TSS16_CS        equ 36
TSS16_SS        equ 38
TSS16_DS        equ 40
TSS16_LDT       equ 42
TSS16_BYTES     equ 44

; descriptor BASE, LIMIT, ACCESS, FLAGS: a segment descriptor. Flags: 8 limit in pages, 4 32-bit. Bases are filled in by tables_init.
%macro descriptor 4
        dw (%2) & 0xffff
        dw (%1) & 0xffff
        db ((%1) >> 16) & 0xff
        db %3
        db ((%2) >> 16) + (%4) * 16
        db ((%1) >> 24) & 0xff
%endmacro
; task_gate SELECTOR, ACCESS
%macro task_gate 2
        dw 0, %1
        db 0, %2
        dw 0
%endmacro
; task NAME, ENTRY, NUMBER: a 32-bit TSS with a stack of its own.
%macro task 3
        align 8
%1:     dd 0
        dd STACK - (%3) * STACK_BYTES - 0x800, DATA
        times 4 dd 0
        dd DIRECTORY
        dd %2
        dd 2
        times 4 dd 0
        dd STACK - (%3) * STACK_BYTES
        times 3 dd 0
        dd DATA, CODE, DATA, DATA, DATA, DATA
        dd 0
        dw 0, TSS_BYTES
%endmacro

start:  mov esp, STACK
        call serial_init
        call tables_init

; ---- ways to switch ----

        line "JMP to a TSS"
        mov dword [tss_a + TSS_EAX], 0x11223344
        mov dword [tss_a + TSS_ESI], 0x55667788
        mov dword [entry], by_jump
        clts
        mov ebp, 0x600df00d
        jmp TASK_A:0x12345678           ; the offset does not matter
        cmp ebp, 0x600df00d
        jne wrong
        call tell_main

        line "JMP to a task gate"
        clts
        jmp GATE_A:0
        call tell_main

        line "CALL to a TSS"
        mov dword [entry], by_call
        clts
        call TASK_A:0
        call tell_main

        line "CALL to a task gate, and from there to another task"
        mov dword [entry], by_call_to_b
        call far [far_gate_a]
        call tell_main

        line "INT through a task gate"
        int VECTOR_TASK
        call tell_main

        line "CALL to a 16-bit TSS"
        call TASK_16:0
        say "  AX, SI, FS, GS, CS, flags: "
        mov eax, [saw + 0]
        call print_hex4
        call space
        mov eax, [saw + 4]
        call print_hex4
        call space
        mov eax, [saw + 8]
        call print_hex4
        call space
        mov eax, [saw + 12]
        call print_hex4
        call space
        mov eax, [saw + 16]
        call print_hex4
        call space
        mov eax, [saw + 20]
        and eax, 0xffff
        call print_hex4
        call newline
        say "  its SI when it left, its link: "
        movzx eax, word [tss_16 + TSS16_SI]
        call print_hex4
        call space
        movzx eax, word [tss_16]
        call print_hex4
        call newline
        call tell_main

        line "a task in ring 3: it goes on by INT through a task gate, and by CALL to one"
        jmp TASK_USER:0
        call tell_main

        line "a task in virtual-8086 mode, which halts"
        mov dword [expected], 0
        jmp TASK_V86:0
        call tell_main

        line "a task with the T flag"
        jmp TASK_T:0
        call tell_main

; ---- faults before the switch ----

        mov esi, early
.early: lodsd
        test eax, eax
        jz .early_done
        push esi
        mov esi, eax
        call print
        call newline
        pop esi
        lodsd
        mov [far_pointer + 4], ax
        mov dword [resume], .resumed
        mov dword [expected], .here
.here:  jmp far [far_pointer]
        line "  no fault"
.resumed:
        call tell_main
        jmp .early
.early_done:

        line "IRET with NT to a task that is not busy"
        mov ax, TASK_A
        call iret_to
        line "IRET with NT to a data segment"
        mov ax, DATA
        call iret_to
        line "IRET with NT beyond the table"
        mov ax, OUTSIDE
        call iret_to
        line "a TSS too short for the state of its task"
        mov byte [gdt + MAIN], 0x5e
        and byte [gdt + MAIN + 5], 0xfd
        mov ax, MAIN
        ltr ax
        mov dword [resume], .resumed2
        mov dword [expected], .here2
        call plain_ts
.here2: jmp TASK_A:0
        line "  no fault"
.resumed2:
        call tasked_ts
        mov byte [gdt + MAIN], TSS_BYTES - 1
        and byte [gdt + MAIN + 5], 0xfd
        mov ax, MAIN
        ltr ax

; ---- faults in the new task ----

        mov esi, late
.late:  lodsd
        test eax, eax
        jz .late_done
        push esi
        mov esi, eax
        call print
        call newline
        pop esi
        call new_victim
        lodsd
        mov ebx, eax
        lodsd
        mov [tss_victim + ebx], ax
        mov dword [expected], victim
        jmp VICTIM:0
        call tell_main
        jmp .late
.late_done:
        line "the same by CALL: DS beyond the table"
        call new_victim
        mov word [tss_victim + TSS_DS], OUTSIDE
        call VICTIM:0
        call tell_main
        line "the same by INT: GS not present"
        call new_victim
        mov word [tss_victim + TSS_GS], ABSENT_DATA
        int VECTOR_VICTIM
        call tell_main

; ---- a task for the case that nothing else works ----

        line "a stack that is not there: double fault"
        mov dword [resume], .resumed3
        mov dword [expected], .here3
        mov [main_esp], esp
        mov esp, ABSENT + 0x1000
.here3: ud2
.resumed3:
        mov esp, [main_esp]
        call tell_main
        line "done"
        jmp power_off
wrong:  line "a register of the main task has changed"
        jmp power_off

; IRET to selector AX, which cannot be.
iret_to:
        mov [tss_main + TSS_LINK], ax
        mov dword [resume], .resumed
        mov dword [expected], .here
        pushfd
        or dword [esp], FLAG_NT
        popfd
.here:  iret
        line "  no fault"
.resumed:
        pushfd
        and dword [esp], ~FLAG_NT
        popfd
        call tell_main
        ret

space:  push eax
        mov al, ' '
        call putc
        pop eax
        ret

; Prints what the main task finds when it runs again: that it is the task, its flag NT, CR0.TS, and who is busy.
tell_main:
        pushad
        say "  main: TR "
        call tell_state
        popad
        ret

; Prints TR, NT, CR0.TS and the types of all task-state segments.
tell_state:
        str eax
        call print_hex4
        say ", NT "
        pushfd
        pop eax
        shr eax, 14
        and eax, 1
        call print_decimal
        say ", TS "
        mov eax, cr0
        shr eax, 3
        and eax, 1
        call print_decimal
        say ", busy"
        mov ebx, MAIN
.next:  test byte [gdt + ebx + 5], 2
        jz .available
        call space
        mov eax, ebx
        call print_hex4
.available:
        add ebx, 8
        cmp ebx, GATE_A & ~7
        jb .next
        test byte [gdt + TASK_T + 5], 2
        jz .done
        say " T"
.done:  call newline
        ret

; ---- the tasks ----

; Enters the routine that [entry] names whenever it is switched to.
task_a: say "  A: "
        call print_hex
        call space
        xchg eax, esi
        call print_hex
        say ", TR "
        call tell_state
        mov eax, 0xaaaa0001
        mov esi, 0xaaaa0002
        jmp [entry]
by_jump:
        jmp MAIN:0
        jmp task_a
by_call:
        say "  link "
        movzx eax, word [tss_a]
        call print_hex4
        call newline
        iret
        jmp task_a
by_call_to_b:
        clts
        call TASK_B:0
        say "  A again: TR "
        call tell_state
        iret
        jmp task_a

; Has a page directory of its own, and a local descriptor table.
task_b: say "  B: link "
        movzx eax, word [tss_b]
        call print_hex4
        say ", its window "
        mov eax, [WINDOW]
        call print_hex
        say ", through its LDT "
        mov eax, [fs:0]
        call print_hex
        say ", CR3 "
        mov eax, cr3
        call print_hex
        say ", TR "
        call tell_state
        iret
        jmp task_b

; 16-bit TSS, 32-bit code that begins at 1 MiB: the texts of `say` are out of its reach.
task_16:
        mov [saw + 0], ax
        mov [saw + 4], si
        mov [saw + 8], fs
        mov [saw + 12], gs
        mov [saw + 16], cs
        pushfd
        pop dword [saw + 20]
        mov esi, 0x12345678
        iret
        jmp task_16

; In ring 3.
task_user:
        mov eax, cs
        mov [user_cs], eax
        int VECTOR_TASK
        call GATE_B:0
        mov dword [expected], .here
        mov dword [resume], .resumed
.here:  call TASK_A:0                   ; DPL 0
.resumed:
        hlt                             ; #GP ends this task
        jmp task_user

; What the victim would execute, and what it does execute once it is mended.
victim: say "  the victim runs"
        call newline
victim_home:
        pushfd
        test dword [esp], FLAG_NT
        jnz .nested
        jmp MAIN:0
.nested:
        popfd
        iret

task_t: say "  T runs, TR "
        call tell_state
        jmp MAIN:0
        jmp task_t

; Exceptions with an error code, as tasks.
task_ts:
        mov ebx, 10
        call fault
        iret
        jmp task_ts
task_np:
        mov ebx, 11
        call fault
        iret
        jmp task_np
task_ss:
        mov ebx, 12
        call fault
        iret
        jmp task_ss
task_gp:
        mov ebx, 13
        call fault
        iret
        jmp task_gp
task_df:
        mov ebx, 8
        call fault
        iret
        jmp task_df

; Vector EBX, error code behind the return address: prints it and the task that the back link names; mends that task. Removes the error code.
fault:  pop edi
        pop ecx
        push edi
        say "  vector "
        mov eax, ebx
        call print_decimal
        say ", error code "
        mov eax, ecx
        call print_hex4
        say ", task "
        str eax
        call tss_of
        movzx eax, word [eax + TSS_LINK]
        call print_hex4
        push eax
        call tss_of
        mov ebp, eax
        say ", CS "
        mov eax, [ebp + TSS_CS]
        call print_hex4
        say ", EIP "
        mov eax, [ebp + TSS_EIP]
        sub eax, [expected]
        call print_hex
        say ", NT "
        mov eax, [ebp + TSS_EFLAGS]
        shr eax, 14
        and eax, 1
        call print_decimal
        say ", VM "
        mov eax, [ebp + TSS_EFLAGS]
        shr eax, 17
        and eax, 1
        call print_decimal
        call newline
        say "  handler: TR "
        call tell_state
        pop eax
        cmp eax, MAIN
        je .resume
        cmp eax, TASK_USER
        je .user
        cmp eax, VICTIM
        je .victim
        mov word [ebp + TSS_CS], CODE   ; the others go home
        mov word [ebp + TSS_SS], DATA
        mov word [ebp + TSS_DS], DATA
        mov word [ebp + TSS_ES], DATA
        mov word [ebp + TSS_FS], 0
        mov word [ebp + TSS_GS], 0
        mov dword [ebp + TSS_ESP], STACK - 6 * STACK_BYTES
        mov dword [ebp + TSS_EFLAGS], 2
        mov dword [ebp + TSS_EIP], victim_home
        ret
.victim:
        mov eax, [ebp + TSS_EFLAGS]
        and eax, FLAG_NT
        push eax
        call new_victim
        pop eax
        or [ebp + TSS_EFLAGS], eax
        mov dword [ebp + TSS_EIP], victim_home
        ret
.user:  cmp ecx, TASK_A                 ; its CALL to a TSS of DPL 0
        je .resume
        say "  CS of ring 3: "
        mov eax, [user_cs]
        call print_hex4
        call newline
        mov dword [ebp + TSS_EIP], victim_home
        mov word [ebp + TSS_CS], CODE
        mov word [ebp + TSS_SS], DATA
        mov word [ebp + TSS_DS], DATA
        mov word [ebp + TSS_ES], DATA
        ret
.resume:
        mov eax, [resume]
        mov [ebp + TSS_EIP], eax
        ret

; EAX = address of the TSS that selector EAX names.
tss_of: and eax, 0xfff8
        push ecx
        mov ecx, [gdt + eax + 2]
        and ecx, 0xffffff
        mov eax, ecx
        pop ecx
        ret

; A victim as good as new.
new_victim:
        push esi
        push edi
        push ecx
        mov esi, tss_model + 4
        mov edi, tss_victim + 4         ; the link stays
        mov ecx, TSS_BYTES / 4 - 1
        rep movsd
        pop ecx
        pop edi
        pop esi
        ret

; #TS by an interrupt gate, for once: the main task has no room for a switch.
plain_handler:
        say "  vector 10 by an interrupt gate, error code "
        pop eax
        call print_hex4
        say ", EIP "
        mov eax, [esp]
        sub eax, [expected]
        call print_hex
        call newline
        mov eax, [resume]
        mov [esp], eax
        iret
plain_ts:
        push eax
        mov eax, plain_handler
        mov [idt + 10 * 8], ax
        mov word [idt + 10 * 8 + 2], CODE
        mov word [idt + 10 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 10 * 8 + 6], ax
        pop eax
        ret
tasked_ts:
        mov word [idt + 10 * 8 + 2], TASK_TS
        mov word [idt + 10 * 8 + 4], 0x8500
        ret

; #DB of a task with the T flag.
debug:  say "  #DB before its first instruction: "
        push eax
        mov eax, [esp + 4]
        sub eax, task_t
        call print_hex
        pop eax
        call newline
        iret

; ---- tables ----

tables_init:
        mov esi, bases
.base:  lodsd                           ; fill in the bases of task-state segments
        mov ebx, eax
        test eax, eax
        jz .paging
        lodsd
        mov [gdt + ebx + 2], ax
        shr eax, 16
        mov [gdt + ebx + 4], al
        jmp .base
.paging:
        mov dword [DIRECTORY + 0], 0x000083
        mov dword [DIRECTORY + 4], WINDOW + 0x83
        mov dword [DIRECTORY + 8], 2 * WINDOW + 0x83
        mov dword [DIRECTORY + 12], 0
        or dword [DIRECTORY + 0], 4     ; the tasks in ring 3 and virtual-8086 mode live there
        mov eax, [DIRECTORY]
        mov [DIRECTORY_B], eax
        mov dword [DIRECTORY_B + 4], 2 * WINDOW + 0x83
        mov dword [WINDOW], 0x0a0a0a0a
        mov dword [2 * WINDOW], 0x0b0b0b0b
        mov dword [tss_b + TSS_CR3], DIRECTORY_B
        mov word [tss_b + TSS_LDT], LDT
        mov word [tss_b + TSS_FS], IN_LDT
        mov eax, local_word
        mov [ldt + 2], ax
        shr eax, 16
        mov [ldt + 4], al

        mov word [tss_user + TSS_CS], USER_CODE
        mov word [tss_user + TSS_SS], USER_DATA
        mov word [tss_user + TSS_DS], USER_DATA
        mov word [tss_user + TSS_ES], USER_DATA
        mov word [tss_user + TSS_FS], 0
        mov word [tss_user + TSS_GS], 0

        mov dword [tss_v86 + TSS_EFLAGS], FLAG_VM + 2
        mov dword [tss_v86 + TSS_EIP], 0
        mov dword [tss_v86 + TSS_CS], V86_CODE / 16
        mov dword [tss_v86 + TSS_SS], V86_CODE / 16
        mov dword [tss_v86 + TSS_DS], V86_CODE / 16
        mov dword [tss_v86 + TSS_ES], V86_CODE / 16
        mov dword [tss_v86 + TSS_FS], 0x1234
        mov dword [tss_v86 + TSS_GS], 0xffff
        mov dword [V86_CODE], 0xf490c88c ; MOV AX, CS; NOP; HLT
        mov byte [tss_t + TSS_TRAP], 1

        mov eax, debug
        mov [idt + 8], ax
        shr eax, 16
        mov [idt + 14], ax

        mov eax, cr4
        or eax, CR4_PSE
        mov cr4, eax
        mov eax, DIRECTORY
        mov cr3, eax
        lgdt [gdt_pointer]
        lidt [idt_pointer]
        jmp CODE:.reload
.reload:
        mov eax, DATA
        mov ds, eax
        mov es, eax
        mov fs, eax
        mov gs, eax
        mov ss, eax
        mov eax, cr0
        or eax, CR0_PG
        mov cr0, eax
        mov eax, MAIN
        ltr ax
        ret

        align 8
gdt:    dq 0
        dq 0x00cf9a000000ffff           ; CODE
        dq 0x00cf92000000ffff           ; DATA
        dq 0x00cffa000000ffff           ; USER_CODE
        dq 0x00cff2000000ffff           ; USER_DATA
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; MAIN
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_A
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_B
        descriptor 0, TSS16_BYTES - 1, 0x81, 0 ; TASK_16
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_USER
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; VICTIM
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_V86
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_TS
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_NP
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_SS
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_GP
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_DF
        task_gate TASK_A, 0x85          ; GATE_A
        task_gate TASK_B, 0xe5          ; GATE_B
        task_gate TASK_A, 0x05          ; ABSENT_GATE
        descriptor 0, TSS_BYTES - 2, 0x89, 0 ; SHORT_TSS
        descriptor 0, TSS16_BYTES - 2, 0x81, 0 ; SHORT_TSS_16
        descriptor 0, TSS_BYTES - 1, 0x09, 0 ; ABSENT_TSS
        task_gate DATA, 0x85            ; GATE_TO_DATA
        descriptor 0, 15, 0x82, 0       ; LDT
        descriptor 0, 15, 0x02, 0       ; ABSENT_LDT
        descriptor 0, 0xfffff, 0x1a, 12 ; ABSENT_CODE
        descriptor 0, 0xfffff, 0x12, 12 ; ABSENT_DATA
        descriptor 0, 0xfffff, 0x98, 12 ; EXECUTE_ONLY
        descriptor 0, 0xfff, 0x9a, 4    ; SMALL_CODE
        descriptor 0x100000, 0xffff, 0x9a, 4 ; BASED_CODE
        descriptor 0, 0xfffff, 0xfe, 12 ; CONFORMING_3
        descriptor 0, TSS_BYTES - 1, 0x89, 0 ; TASK_T
        descriptor 0, 0xffff, 0x92, 0   ; STACK_16
gdt_end:
gdt_pointer:
        dw gdt_end - gdt - 1
        dd gdt
        align 8
ldt:    descriptor 0, 3, 0x92, 4        ; IN_LDT
        dq 0
; selector, address of what it describes
bases:  dd MAIN, tss_main, TASK_A, tss_a, TASK_B, tss_b, TASK_16, tss_16, TASK_USER, tss_user, VICTIM, tss_victim
        dd TASK_V86, tss_v86, TASK_TS, tss_ts, TASK_NP, tss_np, TASK_SS, tss_ss, TASK_GP, tss_gp, TASK_DF, tss_df
        dd SHORT_TSS, tss_victim, SHORT_TSS_16, tss_16, ABSENT_TSS, tss_victim, LDT, ldt, ABSENT_LDT, ldt, TASK_T, tss_t
        dd 0

        align 8
idt:    dq 0
        dw 0, CODE, 0x8e00, 0           ; #DB, filled in by tables_init
        times 4 dq 0
        dw 0, CODE, 0x8e00, 0           ; #UD: its handler does not matter, there is no stack for it
        dq 0
        task_gate TASK_DF, 0x85         ; 8
        dq 0
        task_gate TASK_TS, 0x85         ; 10
        task_gate TASK_NP, 0x85
        task_gate TASK_SS, 0x85
        task_gate TASK_GP, 0x85
        times VECTOR_TASK - 14 dq 0
        task_gate TASK_B, 0xe5          ; VECTOR_TASK
        task_gate VICTIM, 0x85          ; VECTOR_VICTIM
        times VECTORS - VECTOR_VICTIM - 1 dq 0
idt_pointer:
        dw VECTORS * 8 - 1
        dd idt

        task tss_main, 0, 0
        task tss_a, task_a, 1
        task tss_b, task_b, 2
        task tss_user, task_user, 3
        task tss_victim, victim, 4
        task tss_model, victim, 4
        task tss_v86, 0, 5
        task tss_ts, task_ts, 7
        task tss_np, task_np, 8
        task tss_ss, task_ss, 9
        task tss_gp, task_gp, 10
        task tss_df, task_df, 11
        task tss_t, task_t, 12
        align 8
tss_16: dw 0, 0, 0, 0, 0, 0, 0
        dw task_16 - $$, 2
        dw 0x1111, 0, 0, 0, 0x9000, 0, 0x2222, 0
        dw DATA, BASED_CODE, STACK_16, DATA
        dw 0

; Faults before the switch: text, selector.
early:  dd text_busy, MAIN, text_absent, ABSENT_TSS, text_short, SHORT_TSS, text_short_16, SHORT_TSS_16
        dd text_ldt, IN_LDT, text_absent_gate, ABSENT_GATE, text_gate_data, GATE_TO_DATA, text_local, LDT, 0
text_busy:        db "JMP to the busy TSS of the task itself", 0
text_absent:      db "JMP to a TSS that is not present", 0
text_short:       db "JMP to a TSS of 103 bytes", 0
text_short_16:    db "JMP to a 16-bit TSS of 43 bytes", 0
text_ldt:         db "JMP to a selector of a task without LDT", 0
text_absent_gate: db "JMP to a task gate that is not present", 0
text_gate_data:   db "JMP to a task gate that leads to data", 0
text_local:       db "JMP to an LDT", 0

; Faults in the new task: text, offset in its TSS, selector there.
late:   dd late_ldt, TSS_LDT, DATA, late_ldt_out, TSS_LDT, OUTSIDE, late_ldt_absent, TSS_LDT, ABSENT_LDT
        dd late_cs_null, TSS_CS, 0, late_cs_data, TSS_CS, DATA, late_cs_absent, TSS_CS, ABSENT_CODE
        dd late_cs_dpl, TSS_CS, USER_CODE - 3, late_cs_out, TSS_CS, OUTSIDE, late_cs_conforming, TSS_CS, CONFORMING_3
        dd late_ss_null, TSS_SS, 0, late_ss_code, TSS_SS, CODE, late_ss_dpl, TSS_SS, USER_DATA, late_ss_absent, TSS_SS, ABSENT_DATA
        dd late_ds_out, TSS_DS, OUTSIDE, late_ds_system, TSS_DS, MAIN, late_ds_execute, TSS_DS, EXECUTE_ONLY
        dd late_es_absent, TSS_ES, ABSENT_DATA, late_fs_local, TSS_FS, IN_LDT, late_gs_rpl, TSS_GS, USER_DATA
        dd late_gs_dpl, TSS_GS, DATA + 3, late_eip, TSS_CS, SMALL_CODE, 0
late_ldt:           db "LDT that is none", 0
late_ldt_out:       db "LDT beyond the table", 0
late_ldt_absent:    db "LDT not present", 0
late_cs_null:       db "CS null", 0
late_cs_data:       db "CS that is data", 0
late_cs_absent:     db "CS not present", 0
late_cs_dpl:        db "CS of DPL 3 with RPL 0", 0
late_cs_out:        db "CS beyond the table", 0
late_cs_conforming: db "CS conforming, of DPL 3 with RPL 0", 0
late_ss_null:       db "SS null", 0
late_ss_code:       db "SS that is code", 0
late_ss_dpl:        db "SS of DPL 3 for ring 0", 0
late_ss_absent:     db "SS not present", 0
late_ds_out:        db "DS beyond the table", 0
late_ds_system:     db "DS that is a TSS", 0
late_ds_execute:    db "DS that is execute-only", 0
late_es_absent:     db "ES not present", 0
late_fs_local:      db "FS in an LDT that the task does not have", 0
late_gs_rpl:        db "GS of DPL 3, which is no fault", 0
late_gs_dpl:        db "GS of DPL 0 with RPL 3", 0
late_eip:           db "EIP beyond CS", 0

        align 4
far_gate_a:
        dd 0
        dw GATE_A
        align 4
far_pointer:
        dd 0
        dw 0
        align 4
local_word: dd 0x10ca1
entry:      dd 0
resume:     dd 0
expected:   dd 0
main_esp:   dd 0
user_cs:    dd 0
saw:        times 6 dd 0
