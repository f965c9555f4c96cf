; sort: recursive quicksort of pseudo-random numbers, as a compiler without optimisation would write it: stack frames,
; arguments in memory, a comparison function called through a pointer.

%define WORKLOAD "sort"
%ifndef ROUNDS
%define ROUNDS 200
%endif
%include "common.inc"

COUNT           equ 4096
ARRAY           equ DATA

bench:  push ebp
        mov ebp, esp
        push ebx
        push esi
        push edi
        mov ebx, 1                      ; checksum, and seed of the next round
        mov esi, ROUNDS
.round: mov edi, ARRAY
        mov ecx, COUNT
        mov eax, ebx
.fill:  imul eax, eax, 1664525
        add eax, 1013904223
        mov [edi], eax
        add edi, 4
        dec ecx
        jnz .fill

        push dword compare
        push dword ARRAY + (COUNT - 1) * 4
        push dword ARRAY
        call quicksort
        add esp, 12

        mov edi, ARRAY                  ; the order counts, and every value
        mov ecx, COUNT
.sum:   rol ebx, 5
        xor ebx, [edi]
        add edi, 4
        dec ecx
        jnz .sum
        dec esi
        jnz .round
        mov eax, ebx
        pop edi
        pop esi
        pop ebx
        pop ebp
        ret

; quicksort(first, last, compare): addresses of the first and the last element
quicksort:
        push ebp
        mov ebp, esp
        sub esp, 12                     ; [ebp-4] left, [ebp-8] right, [ebp-12] pivot
        push ebx
        mov eax, [ebp + 8]
        cmp eax, [ebp + 12]
        jae .done
        mov [ebp - 4], eax
        mov edx, [ebp + 12]
        mov [ebp - 8], edx
        sub edx, eax                    ; the middle one
        shr edx, 3
        mov eax, [eax + edx * 4]
        mov [ebp - 12], eax
.scan_left:
        mov eax, [ebp - 4]
        push dword [ebp - 12]
        push dword [eax]
        call [ebp + 16]
        add esp, 8
        test eax, eax
        jns .scan_right
        add dword [ebp - 4], 4
        jmp .scan_left
.scan_right:
        mov eax, [ebp - 8]
        push dword [ebp - 12]
        push dword [eax]
        call [ebp + 16]
        add esp, 8
        test eax, eax
        jle .compare
        sub dword [ebp - 8], 4
        jmp .scan_right
.compare:
        mov eax, [ebp - 4]
        mov edx, [ebp - 8]
        cmp eax, edx
        ja .halves
        mov ecx, [eax]
        mov ebx, [edx]
        mov [eax], ebx
        mov [edx], ecx
        add dword [ebp - 4], 4
        sub dword [ebp - 8], 4
        mov eax, [ebp - 4]
        cmp eax, [ebp - 8]
        jbe .scan_left
.halves:
        push dword [ebp + 16]
        push dword [ebp - 8]
        push dword [ebp + 8]
        call quicksort
        add esp, 12
        push dword [ebp + 16]
        push dword [ebp + 12]
        push dword [ebp - 4]
        call quicksort
        add esp, 12
.done:  pop ebx
        mov esp, ebp
        pop ebp
        ret

; compare(a, b): -1, 0 or 1, unsigned
compare:
        push ebp
        mov ebp, esp
        mov eax, [ebp + 8]
        cmp eax, [ebp + 12]
        jb .below
        seta al
        movzx eax, al
        jmp .done
.below: mov eax, -1
.done:  pop ebp
        ret
