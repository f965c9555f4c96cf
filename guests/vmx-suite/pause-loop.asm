; pause-loop: PAUSE exiting and PAUSE-loop exiting.
; Manual: Vol. 3, "Controls for PAUSE-Loop Exiting"; "Changes to Instruction Behavior in VMX Non-Root Operation" (PAUSE).

%define SUBJECT "pause-loop"
%include "suite.inc"

PROC_PAUSE      equ 1 << 30
PROC2_LOOP      equ 1 << 10
GAP             equ 0x4020
WINDOW          equ 0x4022
PAUSE_EXIT      equ 40
ROUNDS          equ 100000

subject:
        needs_secondary PROC2_LOOP, "SKIP no PAUSE-loop exiting"
        test_name "without controls PAUSE does not leave"
        guest_at guest_loop
        check_exit 18
        turn_on PROC_CONTROLS, PROC_SECONDARY
        turn_on PROC_CONTROLS_2, PROC2_LOOP
        set GAP, 1000
        set WINDOW, 5000
        test_name "a loop of PAUSE leaves in the end"
        guest_at guest_loop
        check_exit PAUSE_EXIT
        test_name "RIP names PAUSE"
        check_field GUEST_EIP, guest_loop.pause
        test_name "its length"
        check_field EXIT_INSTRUCTION_LENGTH, 2
        test_name "some rounds were made before"
        mov eax, [guest_ecx]
        cmp eax, ROUNDS
        check b
        test_name "but not all"
        cmp dword [guest_ecx], 0
        check a
        test_name "a single PAUSE does not leave"
        guest_at guest_single
        check_exit 18
        test_name "nor do two"
        guest_at guest_two
        check_exit 18
        test_name "a loop whose PAUSEs are further apart than the gap does not"
        set GAP, 20
        guest_at guest_slow_loop
        check_exit 18
        test_name "a long window"
        set GAP, 1000
        set WINDOW, -1
        guest_at guest_short_loop
        check_exit 18
        set WINDOW, 5000
        test_name "in ring 3 it does not leave"
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        guest_at guest_loop
        check_exit 18
        mov ecx, MSR_VMX_PROCBASED_CTLS
        mov eax, PROC_PAUSE
        call allowed
        jnz .end
        test_name "with PAUSE exiting the first one leaves, in ring 3 too"
        turn_on PROC_CONTROLS, PROC_PAUSE
        guest_at guest_single
        check_exit PAUSE_EXIT
        test_name "and in ring 0, whatever the window is"
        set GUEST_SELECTOR + 2, KERNEL_CODE
        set GUEST_SELECTOR + 4, KERNEL_DATA
        set GUEST_RIGHTS + 2, 0xc09b
        set GUEST_RIGHTS + 4, 0xc093
        guest_at guest_single
        check_exit PAUSE_EXIT
.end:   ret

guest_loop:
        mov ecx, ROUNDS
.pause: pause
        loop .pause
        vmcall
guest_short_loop:
        mov ecx, 1000
.pause: pause
        loop .pause
        vmcall
guest_slow_loop:
        mov ebx, 1000
.pause: pause
        mov ecx, 100
.wait:  loop .wait
        dec ebx
        jnz .pause
        vmcall
guest_two:
        pause
guest_single:
        pause
        vmcall
