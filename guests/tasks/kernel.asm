; tasks: three processes in ring 3, each in its own address space, sharing one processor by force.
;
;   0010_0000  this kernel, and the programs as they were assembled
;   001f_0000  top of the stack for start-up
;   0020_0000  interrupt descriptor table
;   0021_0000  kernel stacks, one page each: process n has its frame at the top of page n
;   0022_0000  page tables, three pages a process: directory, table of the kernel (0-4 MiB), table of the program
;   0030_0000  program, data and stack frames, three pages a process
;
; A process sees the kernel's 4 MiB, closed to ring 3, and from 0080_0000 its own three pages:
;   0080_0000  its program, read-only      0080_1000  its data      0080_2000  its stack
;
; The timer interrupts them where it likes, so no process prints by itself: `write` collects text in the kernel,
; which prints it process by process at the end. What is printed does not depend on when the timer fires, only on whether.
;
; Expected output: expected.txt

bits 32
org 0x100000
%include "multiboot.inc"
%include "serial.inc"
%include "print.inc"
%include "power.inc"
%include "gdt.inc"
%include "idt.inc"

BOOT_STACK      equ 0x1f0000
IDT             equ 0x200000
STACKS          equ 0x210000
TABLES          equ 0x220000
FRAMES          equ 0x300000
PAGE            equ 4096

USER            equ 0x800000            ; program, data, stack: one page each
USER_DATA_PAGE  equ USER + PAGE
USER_STACK_TOP  equ USER + 3 * PAGE
USER_END        equ USER + 3 * PAGE

PRESENT         equ 1                   ; page table entry bits
WRITABLE        equ 2
FOR_USER        equ 4

PROCESSES       equ 3
ENOUGH          equ 3                   ; each process must have been interrupted that often
TEXT_BYTES      equ 512                 ; room for what one process writes

; 8259 interrupt controllers: IRQ 0-7 go to vectors 32-39, IRQ 8-15 to 40-47
PIC1            equ 0x20
PIC2            equ 0xa0
PIC_EOI         equ 0x20
VECTOR_TIMER    equ 32
VECTOR_SPURIOUS equ 39
VECTOR_SYSCALL  equ 0x80

; 8254 timer, channel 0: rate generator at 1,193,182 Hz / 596 = 2 kHz
PIT_CHANNEL_0   equ 0x40
PIT_CONTROL     equ 0x43
PIT_RATE        equ 0x34                ; channel 0, low then high byte, mode 2
PIT_DIVISOR     equ 596

; system calls: number in EAX, arguments in EBX and ECX, result in EAX
SYS_EXIT        equ 0                   ; EBX = code; does not return
SYS_WRITE       equ 1                   ; EBX = address, ECX = bytes; gives the bytes, or -1 if they are not the caller's
SYS_YIELD       equ 2
SYS_GETPID      equ 3
SYS_PREEMPTED   equ 4                   ; how often the timer has taken the processor away from the caller

; process states
READY           equ 0
EXITED          equ 1
KILLED          equ 2

start:  mov esp, BOOT_STACK
        call serial_init
        mov eax, BOOT_STACK
        call gdt_init
        call idt_init
        mov eax, timer
        mov ebx, VECTOR_TIMER
        mov edx, GATE_KERNEL
        call set_gate
        mov eax, spurious
        mov ebx, VECTOR_SPURIOUS
        call set_gate
        mov eax, system_call
        mov ebx, VECTOR_SYSCALL
        mov edx, GATE_USER
        call set_gate

        xor ebx, ebx
.next:  call create_process
        inc ebx
        cmp ebx, PROCESSES
        jb .next
        line "three processes are ready"

        call pic_init
        call timer_init
        mov eax, [directories]
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000              ; paging, and write protection for ring 0 too
        mov cr0, eax
        jmp .paging
.paging:
        xor ebx, ebx
        call switch_to
        mov esp, ebp                    ; resume its frame, as `event` does
        pop es
        pop ds
        popad
        add esp, 8
        iret

; ---- processes ----

; Process EBX: three tables, three frames, a copy of its program, a frame on its kernel stack that IRETs to the program.
; Paging is still off. Preserves EBX.
create_process:
        imul ebp, ebx, 3 * PAGE
        add ebp, TABLES
        mov [directories + ebx * 4], ebp
        mov edi, ebp
        xor eax, eax
        mov ecx, 3 * PAGE / 4
        cld
        rep stosd
        lea eax, [ebp + PAGE + PRESENT + WRITABLE]
        mov [ebp], eax                          ; directory entry 0: the kernel
        lea eax, [ebp + 2 * PAGE + PRESENT + WRITABLE + FOR_USER]
        mov [ebp + (USER >> 22) * 4], eax       ; directory entry 2: the program

        lea edi, [ebp + PAGE]                   ; kernel: identity, ring 0 only
        mov eax, PRESENT + WRITABLE
        mov ecx, 1024
.map:   stosd
        add eax, PAGE
        dec ecx
        jnz .map

        imul edx, ebx, 3 * PAGE                 ; program
        add edx, FRAMES
        lea eax, [edx + PRESENT + FOR_USER]
        mov [ebp + 2 * PAGE], eax
        add eax, PAGE + WRITABLE                ; data
        mov [ebp + 2 * PAGE + 4], eax
        add eax, PAGE                           ; stack
        mov [ebp + 2 * PAGE + 8], eax

        mov edi, edx
        xor eax, eax
        mov ecx, 3 * PAGE / 4
        rep stosd
        mov edi, edx
        mov esi, programs
        mov ecx, programs_end - programs
        rep movsb

        lea ebp, [ebx + 1]
        shl ebp, 12
        add ebp, STACKS - FRAME_BYTES
        mov [frames + ebx * 4], ebp
        mov edi, ebp
        xor eax, eax
        mov ecx, FRAME_BYTES / 4
        rep stosd
        mov dword [ebp + FRAME_ES], USER_DATA
        mov dword [ebp + FRAME_DS], USER_DATA
        mov eax, [entries + ebx * 4]
        mov [ebp + FRAME_EIP], eax
        mov dword [ebp + FRAME_CS], USER_CODE
        mov dword [ebp + FRAME_EFLAGS], 0x202   ; interrupts on
        mov dword [ebp + FRAME_ESP], USER_STACK_TOP
        mov dword [ebp + FRAME_SS], USER_DATA
        ret

; Makes EBX the running process: its address space, its kernel stack. Out: EBP = its frame. Changes EAX.
switch_to:
        mov [current], ebx
        mov eax, [directories + ebx * 4]
        mov cr3, eax
        mov ebp, [frames + ebx * 4]
        lea eax, [ebp + FRAME_BYTES]
        mov [tss + TSS_ESP0], eax
        ret

; The next process that is ready after the running one, perhaps the same, becomes the running one. Out: EBP = its frame.
; Ends the machine's run when none is ready.
schedule:
        mov ebx, [current]
        mov ecx, PROCESSES
.look:  inc ebx
        cmp ebx, PROCESSES
        jb .in_range
        xor ebx, ebx
.in_range:
        cmp dword [states + ebx * 4], READY
        je switch_to
        dec ecx
        jnz .look
        jmp finish

; ---- events ----

        align STUB_BYTES
timer:  push dword 0
        push dword VECTOR_TIMER
        jmp near event
system_call:
        push dword 0
        push dword VECTOR_SYSCALL
        jmp near event
spurious:                               ; IRQ 7 without cause: no end of interrupt is due
        iret

; Called by `event` with EBP = frame; the frame in EBP afterwards is resumed.
exception:
        mov eax, [ebp + FRAME_VECTOR]
        mov ebx, [current]
        cmp eax, VECTOR_SYSCALL
        je .system_call
        cmp eax, VECTOR_TIMER
        je .timer

        test byte [ebp + FRAME_CS], 3
        jz .in_kernel
        mov dword [states + ebx * 4], KILLED    ; a process did something wrong: stop it, keep what is to be told
        mov [codes + ebx * 4], eax
        mov eax, [ebp + FRAME_ERROR]
        mov [errors + ebx * 4], eax
        mov eax, cr2
        mov [addresses + ebx * 4], eax
        jmp schedule
.in_kernel:
        say "unexpected event in ring 0, vector "
        call print_decimal
        call newline
        jmp power_off

.timer: inc dword [preempted + ebx * 4]
        mov al, PIC_EOI
        out PIC1, al
        jmp schedule

.system_call:
        mov eax, [ebp + FRAME_EAX]
        cmp eax, SYS_CALLS
        jae .unknown
        jmp [system_calls + eax * 4]
.unknown:
        mov dword [ebp + FRAME_EAX], -1
        ret

; System calls: EBX = process, EBP = its frame. They may leave another frame in EBP.
sys_exit:
        mov dword [states + ebx * 4], EXITED
        mov eax, [ebp + FRAME_EBX]
        mov [codes + ebx * 4], eax
        jmp schedule

sys_yield:
        mov dword [ebp + FRAME_EAX], 0
        jmp schedule

sys_getpid:
        lea eax, [ebx + 1]
        mov [ebp + FRAME_EAX], eax
        ret

sys_preempted:
        mov eax, [preempted + ebx * 4]
        mov [ebp + FRAME_EAX], eax
        ret

; The address and the length are the process's words only: every byte must lie in its own pages.
sys_write:
        mov esi, [ebp + FRAME_EBX]
        mov ecx, [ebp + FRAME_ECX]
        mov dword [ebp + FRAME_EAX], -1
        cmp esi, USER
        jb .refuse
        mov eax, USER_END
        sub eax, esi
        jb .refuse
        cmp ecx, eax
        ja .refuse
        mov eax, TEXT_BYTES
        sub eax, [lengths + ebx * 4]
        cmp ecx, eax
        ja .refuse
        mov [ebp + FRAME_EAX], ecx
        mov edi, ebx
        imul edi, TEXT_BYTES
        add edi, texts
        add edi, [lengths + ebx * 4]
        add [lengths + ebx * 4], ecx
        cld
        rep movsb
.refuse:
        ret

        align 4
system_calls:
        dd sys_exit, sys_write, sys_yield, sys_getpid, sys_preempted
SYS_CALLS       equ ($ - system_calls) / 4

; ---- the end: everything that was written, in the order of the processes ----

finish: xor ebx, ebx
.process:
        mov esi, ebx
        imul esi, TEXT_BYTES
        add esi, texts
        mov ecx, [lengths + ebx * 4]
        jecxz .written
.byte:  mov al, [esi]
        inc esi
        call putc
        dec ecx
        jnz .byte
.written:
        say "process "
        lea eax, [ebx + 1]
        call print_decimal
        mov eax, [codes + ebx * 4]
        cmp dword [states + ebx * 4], EXITED
        jne .killed
        say " exited with code "
        call print_decimal
        call newline
        jmp .preempted
.killed:
        say " was stopped: vector "
        call print_decimal
        say ", error code "
        mov eax, [errors + ebx * 4]
        call print_hex
        say ", address "
        mov eax, [addresses + ebx * 4]
        call print_hex
        call newline
.preempted:
        say "  interrupted often enough: "
        xor eax, eax
        cmp dword [preempted + ebx * 4], ENOUGH
        setae al
        call print_yes_no
        inc ebx
        cmp ebx, PROCESSES
        jb .process
        line "no process is left"
        jmp power_off

; ---- devices ----

; Vectors 32 to 47; only IRQ 0 is let through.
pic_init:
        mov al, 0x11                    ; ICW1: begin, ICW4 follows
        out PIC1, al
        out PIC2, al
        mov al, 32                      ; ICW2: vectors
        out PIC1 + 1, al
        mov al, 40
        out PIC2 + 1, al
        mov al, 4                       ; ICW3: the second controller is at IRQ 2
        out PIC1 + 1, al
        mov al, 2
        out PIC2 + 1, al
        mov al, 1                       ; ICW4: 8086 mode
        out PIC1 + 1, al
        out PIC2 + 1, al
        mov al, 0xfe                    ; masks
        out PIC1 + 1, al
        mov al, 0xff
        out PIC2 + 1, al
        ret

timer_init:
        mov al, PIT_RATE
        out PIT_CONTROL, al
        mov al, PIT_DIVISOR & 0xff
        out PIT_CHANNEL_0, al
        mov al, PIT_DIVISOR >> 8
        out PIT_CHANNEL_0, al
        ret

; ---- what the kernel knows ----

        align 4
entries:     dd program_1 - programs + USER, program_2 - programs + USER, program_3 - programs + USER
current:     dd 0
directories: times PROCESSES dd 0
frames:      times PROCESSES dd 0
states:      times PROCESSES dd READY
codes:       times PROCESSES dd 0       ; exit code, or vector
errors:      times PROCESSES dd 0
addresses:   times PROCESSES dd 0
preempted:   times PROCESSES dd 0
lengths:     times PROCESSES dd 0
texts:       times PROCESSES * TEXT_BYTES db 0

; ---- the programs ----
;
; One page that every process has a copy of at USER. Jumps and calls in it are relative, so they do not mind the move.

; put "text": writes it.
%macro put 1
        call put_inline
        db %1, 0
%endmacro

        align 16
programs:

; 1: counts the primes below 5,000, again and again until it has been interrupted often enough. Every count must be the same.
program_1:
        call introduce
.again: mov esi, 2                      ; candidate
        xor edi, edi                    ; primes
.candidate:
        mov ecx, 2
.divide:
        mov eax, ecx
        mul ecx
        cmp eax, esi
        ja .prime
        mov eax, esi
        xor edx, edx
        div ecx
        test edx, edx
        jz .next
        inc ecx
        jmp .divide
.prime: inc edi
.next:  inc esi
        cmp esi, 5000
        jb .candidate
        mov eax, edi
        call same_again
        jc .again
        put "  primes below 5000: "
        call put_decimal
        mov ebx, 0
        jmp exit

; 2: a checksum over its data page, which it fills itself and which nobody else may change. Gives the processor away now and then.
program_2:
        call introduce
        mov edi, USER_DATA_PAGE + 64
        mov eax, 12345
.fill:  imul eax, eax, 1664525
        add eax, 1013904223
        mov [edi], eax
        add edi, 4
        cmp edi, USER_DATA_PAGE + PAGE
        jb .fill
.again: mov esi, USER_DATA_PAGE + 64
        mov edi, -1
.byte:  movzx eax, byte [esi]
        xor edi, eax
        mov ecx, 8
.bit:   shr edi, 1
        jnc .no
        xor edi, 0xedb88320
.no:    dec ecx
        jnz .bit
        inc esi
        cmp esi, USER_DATA_PAGE + PAGE
        jb .byte
        mov eax, SYS_YIELD
        int VECTOR_SYSCALL
        mov eax, edi
        not eax
        call same_again
        jc .again
        put "  CRC-32 of my page: "
        call put_hex
        mov ebx, 7
        jmp exit

; 3: the longest Collatz chain below 3,000; then it tries what it must not do.
program_3:
        call introduce
.again: mov esi, 1                      ; start
        xor edi, edi                    ; longest chain, and its start on the stack
        push edi
.start: mov eax, esi
        xor ecx, ecx
.step:  cmp eax, 1
        je .end
        inc ecx
        shr eax, 1
        jnc .step                       ; even: half of it
        lea eax, [eax + eax * 2 + 1]    ; odd, 2k+1: 3(2k+1)+1 = 2(3k+2), and its half is 3k+2 = (k+1)+(2k+1)
        inc eax
        inc ecx
        jmp .step
.end:   cmp ecx, edi
        jbe .next
        mov edi, ecx
        mov [esp], esi
.next:  inc esi
        cmp esi, 3000
        jb .start
        pop ebx
        mov eax, edi
        shl eax, 16
        or eax, ebx
        call same_again
        jc .again
        push eax
        put "  longest chain below 3000: "
        shr eax, 16
        call put_decimal_only
        put " steps, from "
        pop eax
        and eax, 0xffff
        call put_decimal

        put "  writing out the kernel's memory: "
        mov eax, SYS_WRITE
        mov ebx, 0x100000
        mov ecx, 16
        int VECTOR_SYSCALL
        call put_refused
        put "  writing 4 GiB from here: "
        mov eax, SYS_WRITE
        mov ebx, USER
        mov ecx, -1
        int VECTOR_SYSCALL
        call put_refused
        put "  a call that does not exist: "
        mov eax, 1000
        int VECTOR_SYSCALL
        call put_refused
        put "  reading the kernel's memory by myself"
        call put_newline
        mov eax, [0x100000]
        put "  that worked, which is wrong"
        call put_newline
        mov ebx, 1
        jmp exit

; ---- what the programs share ----
;
; The data page: its first word is the process's own number, checked on every round; the next ones are counters.
MY_PID          equ USER_DATA_PAGE + 0
RESULT          equ USER_DATA_PAGE + 4  ; of the first round
ROUNDS          equ USER_DATA_PAGE + 8
MOST_ROUNDS     equ 300                 ; so that a machine without a timer comes to an end

introduce:
        mov eax, SYS_GETPID
        int VECTOR_SYSCALL
        mov [MY_PID], eax
        put "I am process "
        call put_decimal
        ret

; EAX = the result of a round. Sets CF if another round is due; otherwise prints what has to be said and keeps EAX.
same_again:
        push eax
        cmp dword [ROUNDS], 0
        jne .compare
        mov [RESULT], eax
.compare:
        inc dword [ROUNDS]
        cmp eax, [RESULT]
        jne .differs
        mov eax, SYS_GETPID
        int VECTOR_SYSCALL
        cmp eax, [MY_PID]
        jne .foreign
        mov eax, SYS_PREEMPTED
        int VECTOR_SYSCALL
        cmp eax, ENOUGH
        jae .done
        cmp dword [ROUNDS], MOST_ROUNDS
        jae .done
        pop eax
        stc
        ret
.done:  put "  every round gave the same"
        call put_newline
        pop eax
        clc
        ret
.differs:
        put "  rounds gave different results"
        call put_newline
        mov ebx, 2
        jmp exit
.foreign:
        put "  somebody wrote into my data page"
        call put_newline
        mov ebx, 3
        jmp exit

; EBX = code. Does not return.
exit:   mov eax, SYS_EXIT
        int VECTOR_SYSCALL

; Writes the text behind the call, returns behind it. Preserves all registers.
put_inline:
        push eax
        push ebx
        push ecx
        mov ebx, [esp + 12]
        mov ecx, ebx
.length:
        mov al, [ecx]
        inc ecx
        test al, al
        jnz .length
        mov [esp + 12], ecx
        sub ecx, ebx
        dec ecx
        mov eax, SYS_WRITE
        int VECTOR_SYSCALL
        pop ecx
        pop ebx
        pop eax
        ret

; The digits are made on the stack, which is one word at a time: a byte pushed is a word with three zero bytes.
put_decimal:
        call put_decimal_only
put_newline:
        push eax
        push ebx
        push ecx
        push dword 10
        mov eax, SYS_WRITE
        mov ebx, esp
        mov ecx, 1
        int VECTOR_SYSCALL
        pop ecx
        pop ecx
        pop ebx
        pop eax
        ret

put_decimal_only:
        pushad
        mov ebx, 10
        xor esi, esi
.divide:
        xor edx, edx
        div ebx
        add edx, '0'
        push edx
        inc esi
        test eax, eax
        jnz .divide
.digit: mov eax, SYS_WRITE
        mov ebx, esp
        mov ecx, 1
        int VECTOR_SYSCALL
        pop eax
        dec esi
        jnz .digit
        popad
        ret

put_hex:
        pushad
        mov edi, eax
        mov esi, 8
.digit: rol edi, 4
        mov eax, edi
        and eax, 15
        mov al, [digits - programs + USER + eax]
        push eax
        mov eax, SYS_WRITE
        mov ebx, esp
        mov ecx, 1
        int VECTOR_SYSCALL
        pop eax
        dec esi
        jnz .digit
        popad
        jmp put_newline

put_refused:
        cmp eax, -1
        jne .done
        put "refused"
        call put_newline
        ret
.done:  put "done, which is wrong"
        call put_newline
        ret

digits: db "0123456789ABCDEF"
        times PAGE - ($ - programs) db 0        ; fails to assemble when the programs outgrow their page
programs_end:
