; bitmaps: I/O bitmaps and the MSR bitmap.
; Manual: Vol. 3, "I/O-Bitmap Addresses", "MSR-Bitmap Address"; "Exit Qualification for I/O Instructions".

%define SUBJECT "bitmaps"
%include "suite.inc"

TSC_MSR         equ 0x10

subject:
        mov eax, 1 << 25
        mov ecx, MSR_VMX_PROCBASED_CTLS
        call allowed
        jnz msrs
        get PROC_CONTROLS
        or eax, 1 << 25
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        set 0x2000, IO_BITMAP_A
        set 0x2002, IO_BITMAP_B

        test_name "a port whose bit is 0 does not leave"
        guest_at out_80
        check_exit 18
        test_name "a port whose bit is 1 leaves"
        mov byte [IO_BITMAP_A + 0x80 / 8], 1
        guest_at out_80
        check_exit 30
        test_name "OUT 80h, AL"
        check_field EXIT_QUALIFICATION, 0x00800040
        test_name "the second byte of a word counts"
        mov byte [IO_BITMAP_A + 0x80 / 8], 2
        guest_at out_80_word
        check_exit 30
        test_name "OUT 80h, AX"
        check_field EXIT_QUALIFICATION, 0x00800041
        test_name "the byte behind it does not"
        mov byte [IO_BITMAP_A + 0x80 / 8], 4
        guest_at out_80_word
        check_exit 18
        test_name "all four bytes of a doubleword count"
        mov byte [IO_BITMAP_A + 0x80 / 8], 8
        mov dword [guest_edx], 0x80
        guest_at in_dx
        check_exit 30
        test_name "IN EAX, DX"
        check_field EXIT_QUALIFICATION, 0x0080000b
        mov byte [IO_BITMAP_A + 0x80 / 8], 0
        test_name "port 8000h is in bitmap B"
        mov byte [IO_BITMAP_B], 1
        mov dword [guest_edx], 0x8000
        guest_at in_dx
        check_exit 30
        test_name "7FFFh and 8000h: both bitmaps are looked at"
        mov dword [guest_edx], 0x7fff
        guest_at in_dx
        check_exit 30
        mov byte [IO_BITMAP_B], 0
        test_name "an access that wraps around leaves, whatever the bitmaps say"
        mov dword [guest_edx], 0xffff
        guest_at in_dx
        check_exit 30
        test_name "INSB: string, and the segment's address is recorded"
        mov byte [IO_BITMAP_A + 0x84 / 8], 1 << 4
        mov dword [guest_edx], 0x84
        guest_at in_string
        check_exit 30
        test_name "qualification of INSB"
        check_field EXIT_QUALIFICATION, 0x00840018
        test_name "linear address of INSB"
        check_field 0x640a, PLAYGROUND
        test_name "REP INSB"
        guest_at in_string_rep
        call enter
        check_field EXIT_QUALIFICATION, 0x00840038
        test_name "#GP by the I/O permission comes before the bitmap"
        set EXCEPTION_BITMAP, 1 << 13
        or dword [DIRECTORY], 4
        mov eax, cr3
        mov cr3, eax
        set GUEST_SELECTOR + 2, USER_CODE
        set GUEST_SELECTOR + 4, USER_DATA
        set GUEST_RIGHTS + 2, 0xc0fb
        set GUEST_RIGHTS + 4, 0xc0f3
        guest_at in_dx
        check_exit 0
        call default_vmcs

msrs:   mov eax, 1 << 28
        mov ecx, MSR_VMX_PROCBASED_CTLS
        call allowed
        jz .bitmap
        ret
.bitmap:
        test_name "without a bitmap RDMSR leaves"
        mov dword [guest_ecx], TSC_MSR
        guest_at read_msr
        check_exit 31
        test_name "and WRMSR"
        guest_at write_msr
        check_exit 32
        get PROC_CONTROLS
        or eax, 1 << 28
        mov ecx, eax
        mov eax, PROC_CONTROLS
        vmwrite eax, ecx
        set 0x2004, MSR_BITMAP
        test_name "RDMSR with bit 0"
        guest_at read_msr
        check_exit 18
        test_name "WRMSR with bit 0"
        mov dword [guest_eax], 0
        mov dword [guest_edx], 0
        guest_at write_msr
        check_exit 18
        test_name "RDMSR with bit 1"
        mov byte [MSR_BITMAP + TSC_MSR / 8], 1 << (TSC_MSR & 7)
        guest_at read_msr
        check_exit 31
        test_name "WRMSR has bits of its own"
        guest_at write_msr
        check_exit 18
        test_name "WRMSR with bit 1"
        mov byte [MSR_BITMAP + 0x800 + TSC_MSR / 8], 1 << (TSC_MSR & 7)
        guest_at write_msr
        check_exit 32
        test_name "an MSR that no bitmap holds leaves"
        mov dword [guest_ecx], 0x40000000
        guest_at read_msr
        check_exit 31
        test_name "so does one just above the low range"
        mov dword [guest_ecx], 0x2000
        guest_at read_msr
        check_exit 31
        test_name "the high range has its part of the bitmap"
        mov byte [MSR_BITMAP + 0x400 + 0x80 / 8], 1
        mov dword [guest_ecx], 0xc0000080
        guest_at read_msr
        check_exit 31
        ret

out_80: out 0x80, al
        vmcall
out_80_word:
        out 0x80, ax
        vmcall
in_dx:  in eax, dx
        vmcall
in_string:
        mov edi, PLAYGROUND
        insb
        vmcall
in_string_rep:
        mov edi, PLAYGROUND
        mov ecx, 3
        rep insb
        vmcall
read_msr:
        rdmsr
        vmcall
write_msr:
        wrmsr
        vmcall
