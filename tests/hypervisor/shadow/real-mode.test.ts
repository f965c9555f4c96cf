/** Real-address mode without unrestricted guests: virtual-8086 mode, in which everything that differs is executed by the hypervisor. */
import { expect, test } from 'vitest';
import { firstVmxModel } from '../../../src/cpu/model.ts';
import { assembled, runBare, runNested } from '../../guests/runs.ts';

/** Sends what it sees; uses each sensitive instruction, a timer, and goes to protected mode and back. */
const program = `
bits 16
org 0x7c00
start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        mov di, 0
        mov cx, 256
.fill:  mov word [di], unexpected
        mov word [di + 2], 0
        add di, 4
        loop .fill
        mov word [3 * 4], counting
        mov word [4 * 4], counting
        mov word [6 * 4], undefined
        mov word [13 * 4], protection
        mov word [0x20 * 4], timer
        mov word [0x21 * 4], flags_seen
; flags
        pushf
        pop ax
        call show
        sti
        nop
        pushf
        pop ax
        call show
        push word 0x3246
        popf
        pushf
        pop ax
        call show
        pushfd
        pop eax
        and eax, 0x247fd5
        call show
        shr eax, 16
        call show
        push dword 0x40246
        popfd
        pushfd
        pop eax
        shr eax, 16
        call show
        cli
        pushf
        pop ax
        call show
        int 0x21
        sti
        int 0x21
        cli
; software exceptions
        int3
        db 0xcc
        mov al, 0x7f
        add al, 1
        into
        mov ax, [count]
        call show
        ud2
; strings to and from ports
        mov si, text
        mov cx, text_end - text
        mov dx, 0x3f8
        cld
        rep outsb
        mov dx, 0x3fd
        mov di, 0x9000
        mov cx, 3
        rep insb
        mov ax, [0x9001]
        call show
        in al, 0x21
        mov ah, 0
        call show
; the timer
        mov al, 0x11
        out 0x20, al
        mov al, 0x20
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xfe
        out 0x21, al
        mov al, 0x34
        out 0x43, al
        mov ax, 12
        out 0x40, al
        mov al, ah
        out 0x40, al
        sti
.sleep: hlt
        cmp word [ticks], 5
        jb .sleep
.spin:  cmp word [ticks], 9
        jb .spin
        cli
        mov ax, [ticks]
        call show
; control registers and tables
        mov eax, cr0
        call show
        smsw ax
        call show
        mov eax, cr4
        call show
        mov ecx, 0x277
        rdmsr
        call show
        wrmsr
        rdmsr
        call show
        sgdt [0x9000]
        lgdt [gdtr]
        sgdt [0x9010]
        mov ax, [0x9010]
        call show
        mov bp, 2
.again: mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:.protected
.protected:
        mov ax, 16
        mov ds, ax
        mov ss, ax
        mov es, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:.real
.real:  xor ax, ax
        mov ds, ax
        mov ss, ax
        mov es, ax
        mov ax, 0xbac0
        call show
        mov ax, 1
        lmsw ax
        jmp 8:.protected2
.protected2:
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp 0:.real2
.real2: mov ax, 0xbac1
        call show
        int 0x21
        dec bp
        jnz .again
        mov ax, 0x2000
        mov dx, 0x604
        out dx, ax
        hlt
show:   pushad
        mov cx, 4
.digit: rol ax, 4
        push ax
        and al, 15
        add al, 'a'
        mov dx, 0x3f8
        out dx, al
        pop ax
        loop .digit
        mov al, 10
        out dx, al
        popad
        ret
counting:
        inc word [count]
        iret
undefined:
        push bp
        mov bp, sp
        add word [bp + 2], 2
        pop bp
        mov ax, 0x00dd
        call show
        iret
protection:
unexpected:
        mov ax, 0xffff
        call show
        hlt
flags_seen:
        push bp
        mov bp, sp
        mov ax, [bp + 6]
        pop bp
        call show
        pushf
        pop ax
        call show
        iret
timer:  inc word [ticks]
        push ax
        mov al, 0x20
        out 0x20, al
        pop ax
        iret
count:  dw 0
ticks:  dw 0
text:   db "from a string", 10
text_end:
align 8
gdt:    dq 0, 0x00009a000000ffff, 0x000092000000ffff
gdtr:   dw 23
        dd gdt
`;

test('a program uses all that differs, and cannot tell', () => {
  const image = assembled(program);
  const options = { real: true, maxInstructions: 1_000_000 };
  const bare = runBare(image, options);
  expect(bare.end).toBe('power-off');
  expect(bare.output.split('\n').length).toBeGreaterThan(25);
  expect(runNested(image, { ...options, paging: 'shadow' }, { processor: firstVmxModel })).toEqual(bare);
  expect(runNested(image, { ...options, paging: 'shadow' })).toEqual(bare);
  expect(runNested(image, options)).toEqual(bare);
});
