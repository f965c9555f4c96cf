; store: a hash table of 65,536 slots of 64 bytes; a round inserts or finds 8,192 keys.
%include "paging.inc"
KEYS            equ 8192

setup:  mov edi, ARENA
        mov ecx, 4 * 256
.page:  mov dword [edi], 0
        add edi, PAGE
        loop .page
        ret
round:  mov ecx, KEYS
        mov eax, [seed]
.key:   imul eax, eax, 1103515245
        add eax, 12345
        mov edx, eax
        shr edx, 12                     ; the key
        or edx, 1
        mov ebx, edx
        imul ebx, ebx, 0x9e3779b1
        shr ebx, 16
.probe: mov esi, ebx
        shl esi, 6
        cmp [ARENA + esi], edx
        je .found
        cmp dword [ARENA + esi], 0
        je .insert
        inc ebx
        and ebx, 0xffff
        jmp .probe
.insert:
        inc dword [used]
        cmp dword [used], 40000
        ja .found                       ; full enough
        mov [ARENA + esi], edx
.found: inc dword [ARENA + esi + 4]
        dec ecx
        jnz .key
        mov [seed], eax
        ret
fault:  jmp exception.unexpected
        align 4
seed:   dd 1
used:   dd 0
