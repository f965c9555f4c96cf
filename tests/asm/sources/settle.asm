; settle: jumps and sizes that settle only after several passes
bits 32
org 0x100000
%assign n 0
%rep 30
block %+ n:
        jmp end - n * 3
        add eax, end - block %+ n
        push dword middle - block %+ n
        mov eax, [ebx + middle - block %+ n]
        jnz middle
        imul ecx, edx, end - middle
%assign n n + 1
%endrep
middle: jmp block0
        jc block29
        loop middle
        times 3 jmp $ - 120
end:
        bits 16
        jmp block29
        jno end
        push end - middle
