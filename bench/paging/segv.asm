; segv: 256 accesses to pages that are not there, in a page table that nobody writes; the handler goes on behind each one.
%include "paging.inc"
COUNT           equ 256

setup:  mov ebx, WINDOW
        mov edx, DIRECTORY
        call add_table
        mov dword [eax], POOL + PRESENT + WRITABLE
        ret
round:  mov esi, WINDOW
        mov ecx, COUNT
.touch: inc dword [esi]                 ; the page that is there, and the one behind it
        mov eax, [esi + PAGE]
.next:  add dword [faults_seen], 1
        loop .touch
        ret
fault:  mov dword [ebp + FRAME_EIP], round.next
        ret
        align 4
faults_seen: dd 0
