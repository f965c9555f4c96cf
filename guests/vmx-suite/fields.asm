; fields: VMREAD and VMWRITE of every field that each processor with VMX has.
; Manual: Vol. 3, VMREAD, VMWRITE; Appendix B, "Field Encoding in VMCS".

%define SUBJECT "fields"
%include "suite.inc"

PATTERN         equ 0xa5c3690f

subject:
        test_name "32-bit and natural-width fields keep what is written"
        mov esi, wide
        mov ebp, PATTERN
        call all_keep
        test_name "16-bit fields keep 16 bits"
        mov esi, narrow
        mov ebp, PATTERN & 0xffff
        call all_keep
        test_name "64-bit fields: both halves keep what is written"
        mov esi, quads
.half:  mov eax, [esi]
        test eax, eax
        jz .halves_done
        mov ecx, PATTERN
        vmwrite eax, ecx
        inc eax
        not ecx
        vmwrite eax, ecx
        vmread ebx, eax
        cmp ebx, ecx
        jne .half_wrong
        dec eax
        vmread ebx, eax
        not ecx
        cmp ebx, ecx
        jne .half_wrong
        add esi, 4
        jmp .half
.half_wrong:
        call failed
        call tell_field
        jmp .writes_low
.halves_done:
        call passed
.writes_low:
        test_name "a write to the whole of a 64-bit field clears its high half"
        set VMCS_LINK_POINTER + 1, PATTERN
        set VMCS_LINK_POINTER, PATTERN
        check_field VMCS_LINK_POINTER + 1, 0

        test_name "VMREAD of no field fails with 12"
        mov eax, 0x6ffe
        vmread ecx, eax
        check_fails 12
        test_name "VMREAD that fails leaves its operand"
        mov eax, 0x6ffe
        mov ecx, PATTERN
        vmread ecx, eax
        check_equal ecx, PATTERN
        test_name "VMWRITE of no field fails with 12"
        mov eax, 0x6ffe
        vmwrite eax, ecx
        check_fails 12
        test_name "an encoding with a reserved bit is no field"
        mov eax, GUEST_EIP + 0x1000
        vmread ecx, eax
        check_fails 12
        test_name "nor is the high half of a 32-bit field"
        mov eax, PIN_CONTROLS + 1
        vmread ecx, eax
        check_fails 12

        test_name "VMREAD to memory"
        set GUEST_EIP, PATTERN
        mov eax, GUEST_EIP
        vmread [result], eax
        check_equal [result], PATTERN
        test_name "VMWRITE from memory"
        mov dword [result], ~PATTERN
        mov eax, GUEST_EIP
        vmwrite eax, [result]
        check_field GUEST_EIP, ~PATTERN

        test_name "VMREAD to a page that is not there raises #PF"
        and dword [DIRECTORY + 4 * 2], ~PRESENT
        mov eax, cr3
        mov cr3, eax
        mov eax, GUEST_EIP
        check_raises 14, vmread [0x800000], eax
        test_name "VMWRITE from such a page, too"
        mov eax, GUEST_EIP
        check_raises 14, vmwrite eax, [0x800000]

        test_name "read-only fields: VMWRITE fails with 13, or the processor says that it does not"
        mov ecx, 0x485                  ; IA32_VMX_MISC
        rdmsr
        test eax, 1 << 29
        jnz .any
        mov eax, EXIT_REASON
        vmwrite eax, ecx
        check_fails 13
        ret
.any:   set EXIT_REASON, PATTERN
        check_field EXIT_REASON, PATTERN
        ret

; Every field of the list at ESI keeps EBP, and keeps its neighbour's value from changing it.
all_keep:
        push esi
.write: mov eax, [esi]
        test eax, eax
        jz .written
        mov ecx, eax
        xor ecx, PATTERN                ; each field gets a value of its own
        vmwrite eax, ecx
        jbe .wrong
        add esi, 4
        jmp .write
.written:
        pop esi
.read:  mov eax, [esi]
        test eax, eax
        jz .kept
        vmread ebx, eax
        jbe .wrong_kept
        xor ebx, eax
        mov ecx, PATTERN
        cmp ebp, 0xffff
        ja .all
        mov ecx, eax                    ; what 16 bits keep of it
        xor ecx, PATTERN
        and ecx, 0xffff
        xor ecx, eax
.all:   cmp ebx, ecx
        jne .wrong_kept
        add esi, 4
        jmp .read
.kept:  jmp passed
.wrong: add esp, 4
.wrong_kept:
        call failed
tell_field:
        say "  field "
        mov eax, [esi]
        call print_hex4
        call newline
        ret

        align 4
result: dd 0
narrow: dd 0x0800, 0x0802, 0x0804, 0x0806, 0x0808, 0x080a, 0x080c, 0x080e
        dd 0x0c00, 0x0c02, 0x0c04, 0x0c06, 0x0c08, 0x0c0a, 0x0c0c, 0
quads:  dd 0x2000, 0x2002, 0x2004, 0x2006, 0x2008, 0x200a, 0x2010, 0x2800, 0x2802, 0
wide:   dd 0x4000, 0x4002, 0x4004, 0x4006, 0x4008, 0x400a, 0x400c, 0x400e, 0x4010, 0x4012, 0x4014, 0x4016, 0x4018, 0x401a
        dd 0x4800, 0x4802, 0x4804, 0x4806, 0x4808, 0x480a, 0x480c, 0x480e, 0x4810, 0x4812
        dd 0x4824, 0x4826, 0x482a, 0x4c00
        dd 0x6000, 0x6002, 0x6004, 0x6006, 0x6008, 0x600a, 0x600c, 0x600e
        dd 0x6800, 0x6802, 0x6804, 0x6806, 0x6808, 0x680a, 0x680c, 0x680e, 0x6810, 0x6812, 0x6814, 0x6816, 0x6818
        dd 0x681a, 0x681c, 0x681e, 0x6820, 0x6822, 0x6824, 0x6826
        dd 0x6c00, 0x6c02, 0x6c04, 0x6c06, 0x6c08, 0x6c0a, 0x6c0c, 0x6c0e, 0x6c10, 0x6c12, 0x6c14, 0x6c16, 0
