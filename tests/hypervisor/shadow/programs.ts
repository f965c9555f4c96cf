/** Small guests that do with page tables what breaks shadow pagers that are too simple. Each prints what it sees; the bare machine says what is right.
 *
 *  A program begins with paging on: directory PD; PT0 maps the first 4 MiB to themselves, for users; PT1, PT2, PT3 are empty and linked nowhere.
 *  DATA and the pages behind it are memory. A page fault prints its error code and address and goes on at [resume], or once more if that is 0. */
import { assemble } from '../../../src/asm/index.ts';

/** `places`: where tables are, 8000h bytes from TABLES on; `paging`: code that fills them and turns paging on. */
const prelude = (places: string, paging: string): string => `
bits 32
org 0x100000
${places}
TABLES  equ 0x200000
DATA    equ 0x300000
P       equ 1
RW      equ 2
US      equ 4
A       equ 0x20
D       equ 0x40
PS      equ 0x80
G       equ 0x100
ALL     equ 7
M4      equ 0x400000
        mov esp, 0x90000
        lgdt [gdtr]
        jmp 8:.flat
.flat:  mov ax, 0x23
        mov ds, ax
        mov es, ax
        mov ax, 0x10
        mov ss, ax
        mov eax, tss
        mov [gdt + 0x28 + 2], ax
        shr eax, 16
        mov [gdt + 0x28 + 4], al
        mov [gdt + 0x28 + 7], ah
        mov ax, 0x28
        ltr ax
        mov eax, page_fault
        mov ebx, 14
        call gate
        mov eax, leave_user
        mov ebx, 0x30
        call gate
        mov eax, nothing
        mov ebx, 0x31
        call gate
        mov byte [idt + 0x30 * 8 + 5], 0xee
        lidt [idtr]
        mov eax, protection
        mov ebx, 13
        call gate
        mov edi, TABLES
        xor eax, eax
        mov ecx, 0x20000 / 4
        rep stosd
        mov edi, DATA
        xor eax, eax
.mark:  mov [edi], eax
        add edi, 0x1000
        add eax, 0x11111111
        cmp edi, DATA + 0x10000
        jb .mark
        ${paging}
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
        call main
off:    mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
        jmp off
gate:   mov [idt + ebx * 8], ax
        mov dword [idt + ebx * 8 + 2], 0x8e000008
        mov byte [idt + ebx * 8 + 5], 0x8e
        shr eax, 16
        mov [idt + ebx * 8 + 6], ax
        ret
show:   pushad
        mov ecx, 8
        mov edx, 0x3f8
.digit: rol eax, 4
        mov ebx, eax
        and ebx, 15
        mov bl, [digits + ebx]
        xchg eax, ebx
        out dx, al
        xchg eax, ebx
        loop .digit
        mov al, 10
        out dx, al
        popad
        ret
page_fault:
        push eax
        push ds
        mov ax, 0x23
        mov ds, ax
        mov eax, [esp + 8]
        or eax, 0xfa000000
        call show
        mov eax, cr2
        call show
        mov eax, [repair]
        test eax, eax
        jz .skip
        mov dword [repair], 0
        call eax
        jmp .back
.skip:  mov eax, [resume]
        test eax, eax
        jz .back
        mov [esp + 12], eax
.back:  pop ds
        pop eax
        add esp, 4
nothing:
        iretd
protection:
        mov dword [esp], 0x0d0d0d0d
        xchg eax, [esp]
        call show
        pop eax
        push dword [resume]
        pop dword [esp]
        iretd
; runs the function EAX in ring 3, until it executes INT 30h
user:   mov [kernel_stack], esp
        push 0x23
        push 0x8f000
        pushfd
        or dword [esp], 0x3000          ; it prints
        push 0x1b
        push eax
        iretd
leave_user:
        mov esp, [kernel_stack]
        ret
flush:  mov eax, cr3
        mov cr3, eax
        ret
digits: db "0123456789ABCDEF"
align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff, 0x0000890000000067
gdtr:   dw 6 * 8 - 1
        dd gdt
idtr:   dw 0x32 * 8 - 1
        dd idt
align 8
idt:    times 0x32 * 8 db 0
tss:    dd 0, 0x8c000, 0x10
        times 26 dd 0
kernel_stack: dd 0
resume: dd 0
repair: dd 0
`;

const ia32 = prelude(
  `
PD      equ 0x200000
PT0     equ 0x201000
PT1     equ 0x202000
PT2     equ 0x203000
PT3     equ 0x204000
PD2     equ 0x205000
PT4     equ 0x206000`,
  `
        mov edi, PT0
        mov eax, ALL
        mov ecx, 1024
.fill:  stosd
        add eax, 0x1000
        loop .fill
        mov dword [PD], PT0 + ALL
        mov eax, PD
        mov cr3, eax`,
);

/** An image of a program that starts at `main` with RET at its end. */
export const pagingProgram = (source: string): Uint8Array => assemble(`${ia32}\n${source}`).bytes;

/** The same with PAE paging and NX: POINTERS leads to PD, PD1 and PD2, not to PD3; PD maps the first 4 MiB with PT0 and PTX. */
const pae = prelude(
  `
POINTERS equ 0x200000
PD      equ 0x201000
PD1     equ 0x202000
PD2     equ 0x203000
PD3     equ 0x204000
PT0     equ 0x205000
PTX     equ 0x206000
PT1     equ 0x207000
PT2     equ 0x208000
PT3     equ 0x209000
OTHERS  equ 0x20a000
PDX     equ 0x20b000
M2      equ 0x200000
GIB     equ 0x40000000
XD      equ 0x80000000`,
  `
        mov edi, PT0
        mov eax, ALL
        mov ecx, 1024
.fill:  stosd
        mov dword [edi], 0
        add edi, 4
        add eax, 0x1000
        loop .fill
        mov dword [PD], PT0 + ALL
        mov dword [PD + 8], PTX + ALL
        mov dword [POINTERS], PD + P
        mov dword [POINTERS + 8], PD1 + P
        mov dword [POINTERS + 16], PD2 + P
        mov ecx, 0xc0000080
        mov eax, 0x800
        xor edx, edx
        wrmsr
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, POINTERS
        mov cr3, eax`,
);

export const paeProgram = (source: string): Uint8Array => assemble(`${pae}\n${source}`).bytes;

/** Reads `place`, prints the value; goes on after a page fault. */
let label = 0;
export const tried = (instruction: string, after: string): string => {
  const name = `.past_${++label}`;
  return `
        mov dword [resume], ${name}
        ${instruction}
        ${after}
${name}: mov dword [resume], 0`;
};
export const read = (place: string): string => tried(`mov eax, [${place}]`, 'call show');
export const write = (place: string, value: string): string => tried(`mov dword [${place}], ${value}`, '');
/** Calls of code in ring 3; the body ends by itself with INT 30h. */
export const inRing3 = (body: string): string => {
  const name = `.ring3_${++label}`;
  return `
        mov eax, ${name}
        call user
        jmp ${name}_end
${name}:
        ${body}
        int 0x30
${name}_end:`;
};
export const show = (place: string): string => `
        mov eax, [${place}]
        call show`;
const mapDirectory = `
        mov dword [PD + 4], PT1 + ALL`;

/** By name, in the order of the behaviours that break pagers. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  'an entry becomes present without a flush': `
main:   ${mapDirectory}
        ${read('M4')}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 4], DATA + 0x2000 + ALL
        ${read('M4 + 0x1000')}
        mov dword [PD + 8], PT2 + ALL
        mov dword [PT2], DATA + 0x3000 + ALL
        ${read('2 * M4')}
        ret`,

  'a table is edited and then linked where nothing was': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 4], DATA + 0x2000 + ALL
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov dword [PD + 4], 0
        call flush
        mov dword [PT1], DATA + 0x3000 + ALL
        mov dword [PT1 + 4], 0
        mov dword [PD + 8], PT1 + ALL
        ${read('2 * M4')}
        ${read('2 * M4 + 0x1000')}
        mov dword [PT1 + 4], DATA + 0x4000 + ALL
        mov dword [PD + 12], PT1 + ALL
        ${read('3 * M4 + 0x1000')}
        ret`,

  'two ways with different rights to one table': `
main:   mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PD + 4], PT1 + P + US
        mov dword [PD + 8], PT1 + ALL
        mov dword [PD + 12], PT1 + P + RW
        ${inRing3(`
        ${read('M4')}
        ${write('2 * M4', '0x1234')}
        ${read('2 * M4')}
        ${write('M4', '0x5678')}
        ${read('M4')}
        ${read('3 * M4')}`)}
        ${write('3 * M4', '0x9abc')}
        ${read('3 * M4')}
        ${write('M4', '0xdef0')}
        ret`,

  'a page directory that is its own page table': `
main:   mov dword [PD + 1023 * 4], PD + P + RW
        mov dword [PD + 4], PT1 + ALL
        mov dword [0xffc00000 + 1024 * 4], DATA + 0x1000 + ALL
        ${read('M4')}
        mov dword [0xffc00000 + 1024 * 4], DATA + 0x2000 + ALL
        invlpg [M4]
        ${read('M4')}
        mov dword [0xfffff000 + 8], PT2 + ALL
        mov dword [0xffc00000 + 2048 * 4], DATA + 0x3000 + ALL
        ${read('2 * M4')}
        mov dword [0xfffff000 + 8], 0
        invlpg [2 * M4]
        ${read('2 * M4')}
        bts dword [0xfffff000 + 12], 0
        or dword [0xfffff000 + 12], PT2 + ALL
        ${read('3 * M4')}
        lea esi, [0xffc00000 + 1024 * 4]
        lock cmpxchg8b [esi]
        pushad
        mov esp, 0xfffff000 + 0x820
        push dword 0x12345000
        pop ecx
        mov esp, 0x8fff0 - 32 - 12
        mov esp, 0x8ff00
        mov eax, ecx
        call show
        mov esp, 0x90000
        jmp off`,

  'one frame as page directory and as page table': `
main:   mov dword [PD + 4], PD2 + ALL
        mov dword [PD2], PT0 + ALL
        mov dword [PD2 + 4], PT1 + ALL
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PD2 + 8], DATA + 0x2000 + ALL
        ${read('M4')}
        ${read('M4 + 0x1000')}
        ${read('M4 + 0x2000')}
        mov eax, PD2
        mov cr3, eax
        ${read('M4')}
        ${read('0x100000')}
        mov eax, PD
        mov cr3, eax
        mov dword [PD2 + 8], DATA + 0x3000 + ALL
        invlpg [M4 + 0x2000]
        ${read('M4 + 0x2000')}
        mov dword [PD + 4], 0
        call flush
        mov eax, PD2
        mov cr3, eax
        mov dword [PD2 + 4], PT2 + ALL
        mov dword [PT2], DATA + 0x4000 + ALL
        call flush
        ${read('M4')}
        ret`,

  'page tables inside a large page; splintered and joined again': `
main:   mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov dword [PD + 8], ALL + PS
        ${mapDirectory}
        mov dword [2 * M4 + PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov dword [2 * M4 + PT1], DATA + 0x2000 + ALL
        invlpg [M4]
        ${read('M4')}
        ${read('2 * M4 + DATA + 0x3000')}
        mov edi, PT2
        mov eax, ALL
        mov ecx, 1024
.fill:  stosd
        add eax, 0x1000
        loop .fill
        mov dword [PD + 8], PT2 + ALL
        invlpg [2 * M4]
        call flush
        ${read('2 * M4 + DATA + 0x3000')}
        mov dword [PT2 + 4 * 0x303], DATA + 0x4000 + ALL
        invlpg [2 * M4 + DATA + 0x3000]
        ${read('2 * M4 + DATA + 0x3000')}
        mov dword [PD + 8], ALL + PS
        call flush
        ${read('2 * M4 + DATA + 0x3000')}
        mov dword [PD + 8], M4 * 3 + ALL + PS
        invlpg [2 * M4 + 0x5000]
        mov dword [2 * M4], 0x77
        ${read('2 * M4')}
        ${show('PD + 8')}
        ret`,

  'the upper half of a large page is written': `
main:   mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov dword [PD + 8], P + US + RW + PS
        ${read('2 * M4 + DATA + 0x1000')}
        ${show('PD + 8')}
        mov dword [2 * M4 + DATA + 0x1000], 0x4321
        ${show('PD + 8')}
        ${show('DATA + 0x1000')}
        mov dword [PD + 8], P + US + PS
        invlpg [2 * M4 + DATA + 0x1000]
        ${write('2 * M4 + DATA + 0x1000', '5')}
        ${show('PD + 8')}
        ret`,

  'instructions of all kinds write entries': `
main:   ${mapDirectory}
        ${read('M4')}
        mov eax, DATA + 0x1000 + ALL
        xchg eax, [PT1]
        ${read('M4')}
        mov byte [PT1 + 1], (DATA + 0x2000) >> 8 & 0xff
        invlpg [M4]
        ${read('M4')}
        lock btr dword [PT1], 0
        invlpg [M4]
        ${read('M4')}
        lock bts dword [PT1], 0
        ${read('M4')}
        and byte [PT1], ~RW
        invlpg [M4]
        ${write('M4', '1')}
        or byte [PT1], RW
        ${write('M4', '2')}
        ${read('M4')}
        mov eax, [PT1]
        mov edx, [PT1 + 4]
        mov ebx, DATA + 0x3000 + ALL
        mov ecx, DATA + 0x4000 + ALL
        cmpxchg8b [PT1]
        call flush
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov eax, [PT1]
        mov ecx, DATA + 0x5000 + ALL
        cmpxchg [PT1], ecx
        mov eax, 0x1000
        xadd [PT1 + 4], eax
        call flush
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 8], DATA + 0x6000 + ALL
        mov dword [PT1 + 10], (DATA + 0x7000 + ALL) << 16 | (DATA + 0x7000) >> 16
        call flush
        ${read('M4 + 0x2000')}
        ${read('M4 + 0x3000')}
        mov dword [PT1 + 10], (DATA + 0x8000 + ALL) << 16 | (DATA + 0x8000) >> 16
        mov word [PT1 + 14], (DATA + 0x8000) >> 16
        call flush
        ${read('M4 + 0x2000')}
        ${read('M4 + 0x3000')}
        inc byte [PT1 + 9]
        add dword [PT1 + 12], 0x1000
        sub dword [PT1], 0x1000
        shl byte [PT1 + 16], 1
        setz byte [PT1 + 20]
        call flush
        ${read('M4')}
        ${read('M4 + 0x2000')}
        ${read('M4 + 0x3000')}
        push dword DATA + 0x9000 + ALL
        pop dword [PT1 + 24]
        ${read('M4 + 0x6000')}
        mov edi, PT1
        xor eax, eax
        mov ecx, 1024
        rep stosd
        call flush
        ${read('M4')}
        ${read('M4 + 0x6000')}
        mov esi, PT0 + 0x300 * 4
        mov edi, PT1
        mov ecx, 16
        rep movsd
        ${read('M4 + 0x6000')}
        ${read('M4 + 0xf000')}
        mov ebp, esp
        mov esp, PT1 + 0x80
        push dword DATA + 0xa000 + ALL
        mov esp, ebp
        ${read('M4 + 0x1f000')}
        mov ebp, esp
        mov esp, PT1 + 0x100
        mov eax, DATA + 0xb000 + ALL
        pushad
        mov esp, ebp
        ${read('M4 + 0x3f000')}
        mov ebp, esp
        mov esp, PT1 + 0x200
        int 0x31
        call nothing_much
        enter 16, 0
        mov esp, ebp
        mov esp, 0x8ffb0
        ${show('PT1 + 0x1fc')}
        jmp off
nothing_much: ret`,

  'a store that reaches from a page into a table': `
main:   ${mapDirectory}
        mov dword [PT1], PT0 + ALL              ; linear M4: an ordinary page, M4 + 1000h: table PT2
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 4], PT2 + ALL
        mov dword [PD + 8], PT2 + ALL
        ${read('2 * M4')}
        mov dword [M4 + 0xffe], (ALL << 16) | 0x5555
        mov word [PT2 + 2], (DATA + 0x2000) >> 16
        mov byte [PT2 + 1], 0x20
        ${read('2 * M4')}
        ; the next page is missing: nothing is written, then everything, once
        mov dword [PT1 + 8], 0
        mov dword [PT2 + 0xffc], 0x10ffff
        mov dword [repair], .map
        add dword [M4 + 0x1ffe], 1
        ${show('PT2 + 0xffc')}
        ${show('DATA + 0x3000')}
        mov dword [PT1 + 8], 0
        invlpg [M4 + 0x2000]
        mov dword [repair], .map
        lock xadd dword [M4 + 0x1ffe], eax
        ${show('PT2 + 0xffc')}
        ret
.map:   mov dword [PT1 + 8], DATA + 0x3000 + ALL
        ret`,

  'a table becomes data and a table again': `
main:   mov ebp, 5
.again: ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov dword [PD + 4], 0
        call flush
        mov ecx, 500
.data:  mov [PT1 + ecx * 4], ecx
        add dword [PT1 + ecx * 4 + 1], 0x01010101
        loop .data
        mov eax, [PT1 + 400]
        call show
        mov edi, PT1
        mov ecx, 1024
        xor eax, eax
        rep stosd
        dec ebp
        jnz .again
        ret`,

  'address spaces come and go': `
main:   mov ebp, 24
.fork:  mov eax, ebp
        and eax, 3
        shl eax, 13
        add eax, 0x220000
        mov edi, eax
        push edi
        mov ecx, 2048
        xor eax, eax
        rep stosd
        pop edi
        mov dword [edi], PT0 + ALL
        lea eax, [edi + 0x1000 + ALL]
        mov [edi + 4], eax
        mov eax, ebp
        and eax, 7
        shl eax, 12
        add eax, DATA + P + US
        mov [edi + 0x1000], eax                 ; read only: copied when it is written
        mov cr3, edi
        mov dword [repair], .copy
        add dword [M4], ebp
        ${read('M4')}
        mov eax, PD
        mov cr3, eax
        dec ebp
        jnz .fork
        ret
.copy:  mov esi, M4
        mov edi, DATA + 0xf000
        mov ecx, 1024
        push es
        push ds
        pop es
        cld
        rep movsd
        pop es
        mov eax, cr3
        mov dword [eax + 0x1000], DATA + 0xf000 + ALL
        invlpg [M4]
        ret`,

  'CR0.WP is cleared and set': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + P + US
        mov dword [PT1 + 4], DATA + 0x2000 + P
        ${inRing3(`${read('M4')}`)}
        ${write('M4', '1')}
        ${write('M4 + 0x1000', '1')}
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        mov ebp, 3
.again: ${write('M4', 'ebp')}
        ${write('M4 + 0x1000', '0x17')}
        ${show('PT1')}
        ${show('PT1 + 4')}
        ${inRing3(`${read('M4')} ${write('M4', '3')} ${read('M4')} ${read('M4 + 0x1000')}`)}
        ${read('M4')}
        dec ebp
        jnz .again
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        ${write('M4', '4')}
        ${write('M4 + 0x1000', '5')}
        ${read('M4')}
        ret`,

  'accessed and dirty flags': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 4], DATA + 0x2000 + P + US
        ${show('PD + 4')}
        ${read('M4')}
        ${show('PT1')}
        ${show('PD + 4')}
        mov dword [M4], 7
        ${show('PT1')}
        and dword [PT1], ~D
        invlpg [M4]
        ${read('M4')}
        ${show('PT1')}
        mov dword [M4], 8
        ${show('PT1')}
        and dword [PT1], ~(A | D)
        invlpg [M4]
        ${show('PT1')}
        ${read('M4')}
        ${show('PT1')}
        ${write('M4 + 0x1000', '9')}
        ${show('PT1 + 4')}
        ${inRing3(`${write('M4 + 0x1000', '9')}`)}
        ${show('PT1 + 4')}
        and dword [PD + 4], ~A
        call flush
        mov dword [PT1 + 8], DATA + 0x3000 + ALL
        ${show('PT1 + 8')}
        mov dword [M4 + 0x2000], 10
        ${show('PT1 + 8')}
        ${show('PD + 4')}
        and dword [PT1 + 8], ~D
        mov eax, PD
        mov cr3, eax
        mov dword [M4 + 0x2000], 11
        ${show('PT1 + 8')}
        ret`,

  'INVLPG inside a large page': `
main:   mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov dword [PD + 8], ALL + PS
        ${read('2 * M4 + DATA + 0x1000')}
        ${read('2 * M4 + DATA + 0x2000')}
        mov dword [PD + 8], PT1 + ALL
        mov dword [PT1 + 0x301 * 4], DATA + 0x3000 + ALL
        invlpg [2 * M4 + DATA + 0x1000]
        ${read('2 * M4 + DATA + 0x1000')}
        invlpg [2 * M4 + DATA + 0x2000]
        ${read('2 * M4 + DATA + 0x2000')}
        ret`,

  'CR3 with the same value, and with many': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov dword [PT1], DATA + 0x2000 + ALL
        mov eax, PD
        mov cr3, eax
        ${read('M4')}
        mov ebp, 30
.make:  mov edi, ebp
        shl edi, 12
        add edi, 0x220000
        push edi
        mov ecx, 1024
        xor eax, eax
        rep stosd
        pop edi
        mov dword [edi], PT0 + ALL
        mov dword [edi + 4], PT1 + ALL
        mov eax, ebp
        and eax, 1
        shl eax, 1
        add eax, PT1 + P + US
        mov [edi + 8], eax
        mov cr3, edi
        ${read('2 * M4')}
        mov eax, ebp
        and eax, 7
        shl eax, 12
        add eax, DATA + ALL
        mov [PT1], eax
        dec ebp
        jnz .make
        mov ebp, 30
.go:    mov edi, ebp
        shl edi, 12
        add edi, 0x220000
        mov cr3, edi
        ${write('2 * M4', 'ebp')}
        ${read('M4')}
        mov eax, cr3
        call show
        dec ebp
        jnz .go
        ret`,

  'CR3 where there is no memory': `
main:   mov eax, 0xf0000000
        mov cr3, eax
        ret`,

  'a page table where there is no memory': `
main:   mov dword [PD + 4], 0xf0000000 + ALL
        ${read('M4')}
        ${write('M4', '5')}
        ${read('M4 + 0x123456')}
        ${show('PD + 4')}
        mov dword [PD + 4], PT1 + ALL
        mov dword [PT1], 0xf0001000 + ALL
        call flush
        ${read('M4')}
        ${write('M4', '6')}
        ${read('M4')}
        ${show('PT1')}
        mov ebp, esp
        mov esp, M4 + 0x800
        pushad
        mov esp, ebp
        ${read('M4 + 0x7fc')}
        ret`,

  'reserved bits': `
main:   mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov dword [PD + 4], 0x2000 + ALL + PS
        ${read('M4')}
        ${write('M4', '1')}
        ${inRing3(`${read('M4')}`)}
        mov dword [PD + 4], ALL + PS
        ${read('M4 + DATA + 0x1000')}
        mov dword [PD + 4], PT1 + ALL
        mov dword [PT1], DATA + 0x1000 + ALL + PS
        call flush
        ${read('M4')}
        mov eax, cr4
        and eax, ~0x10
        mov cr4, eax
        mov dword [PD + 4], PT1 + ALL + PS
        call flush
        ${read('M4')}
        ret`,

  'tables that map each other': `
main:   mov dword [PD + 4], PT1 + ALL
        mov dword [PD + 8], PT2 + ALL
        mov dword [PT1], PT2 + ALL
        mov dword [PT2], PT1 + ALL
        mov dword [M4 + 4], DATA + 0x1000 + ALL         ; into PT2
        mov dword [2 * M4 + 4], DATA + 0x2000 + ALL     ; into PT1
        ${read('M4 + 0x1000')}
        ${read('2 * M4 + 0x1000')}
        mov ebp, 6
.again: mov eax, ebp
        shl eax, 12
        add eax, DATA + ALL
        mov [M4 + 4], eax
        mov [2 * M4 + 4], eax
        call flush
        ${read('M4 + 0x1000')}
        ${read('2 * M4 + 0x1000')}
        mov dword [M4 + 4], DATA + 0x7000 + ALL
        invlpg [2 * M4 + 0x1000]
        ${read('2 * M4 + 0x1000')}
        dec ebp
        jnz .again
        ret`,

  'a page directory that hangs in another one': `
main:   mov dword [PD + 4], PD2 + ALL
        mov dword [PD2], PT0 + ALL
        mov dword [PD2 + 4], PD2 + ALL
        mov dword [PD2 + 8], PT1 + ALL
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4 + 0x2000')}
        mov eax, PD2
        mov cr3, eax
        ${read('2 * M4')}
        mov eax, PD
        mov cr3, eax
        mov dword [PD + 4], 0
        call flush
        mov edi, PT1
        mov ecx, 64
.write: mov dword [PD2 + 2048 + ecx * 4], 0
        loop .write
        mov eax, PD2
        mov cr3, eax
        mov dword [PT1], DATA + 0x2000 + ALL
        invlpg [2 * M4]
        ${read('2 * M4')}
        ${read('M4 + 0x8')}
        ret`,

  'an event is delivered over pages that are new': `
main:   mov esi, 0x100000
        mov edi, M4
        mov dword [PD + 4], PT1 + ALL
        mov ecx, 16
        mov eax, DATA + ALL
        mov edi, PT1
.map:   stosd
        add eax, 0x1000
        loop .map
        mov esi, idt
        mov edi, DATA + 0x2000
        mov ecx, 0x32 * 2
        rep movsd
        mov esi, gdt
        mov edi, DATA + 0x3000
        mov ecx, 12
        rep movsd
        mov dword [idtr + 2], M4 + 0x2000
        mov dword [gdtr + 2], M4 + 0x3000
        lidt [idtr]
        lgdt [gdtr]
        mov ebp, 5
.again: mov dword [tss + 4], M4 + 0x5000 + 8
        call flush
        ${inRing3('xor eax, eax')}
        call flush
        mov ebx, esp
        mov esp, M4 + 0x7000 + 4
        int 0x31
        mov esp, ebx
        call flush
        ${inRing3(`${read('8 * M4')}`)}
        mov eax, [PT1 + 20]
        call show
        ; an exception whose stack is missing, while the exception is delivered
        dec ebp
        jnz .again
        ret`,

  'the stack for an event lies in a page table': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov dword [tss + 4], PT1 + 0x800
        ${inRing3(`${read('8 * M4')} ${read('M4')}`)}
        ${show('PT1 + 0x7fc')}
        mov ebx, esp
        mov esp, PT1 + 0x900
        ${read('8 * M4')}
        int 0x31
        mov esp, ebx
        ${show('PT1 + 0x8fc')}
        ${read('M4')}
        mov dword [PD + 4 * 2], PD2 + ALL               ; and in a page directory
        mov dword [tss + 4], PD + 0x800
        ${inRing3(`${read('8 * M4')}`)}
        ${show('PD + 0x7fc')}
        ret`,

  'code lies in a page table': `
main:   mov edi, PT1 + 0x100
        mov esi, .code
        mov ecx, 16
        rep movsd
        mov dword [PT1 + 0x800], DATA + 0x1000 + ALL
        mov dword [PD + 4], PT1 + ALL
        ${read('M4 + 0x200000')}
        mov ebp, 4
.again: mov eax, PT1 + 0x100
        call eax
        call flush
        ${read('M4 + 0x200000')}
        dec ebp
        jnz .again
        ret
.code:  add dword [PT1 + 0x800], 0x1000
        add byte [PT1 + 0x100 + (.value - .code) + 1], 1
.value: mov al, 1
        movzx eax, al
        mov ebx, show
        call ebx
        ret
        times 64 nop`,

  'global pages': `
main:   mov eax, cr4
        or eax, 0x80
        mov cr4, eax
        mov dword [PD2], PT0 + ALL
        mov dword [PD2 + 4], PT2 + ALL
        ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL + G
        mov dword [PT2], DATA + 0x1000 + ALL + G
        mov dword [PT1 + 4], DATA + 0x2000 + ALL
        mov dword [PT2 + 4], DATA + 0x3000 + ALL
        mov ebp, 3
.again: ${read('M4')}
        ${read('M4 + 0x1000')}
        mov eax, PD2
        mov cr3, eax
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov eax, PD
        mov cr3, eax
        dec ebp
        jnz .again
        mov dword [PT1], DATA + 0x4000 + ALL + G
        mov eax, cr4
        xor eax, 0x80
        mov cr4, eax
        ${read('M4')}
        xor eax, 0x80
        mov eax, cr4
        or eax, 0x80
        mov cr4, eax
        mov dword [PT1], DATA + 0x5000 + ALL + G
        invlpg [M4]
        ${read('M4')}
        ret`,

  'a page is executed and then protected': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [M4], 0xc3c3c340              ; inc eax; ret
        mov eax, 5
        mov ebx, M4
        call ebx
        call show
        and dword [PT1], ~RW
        invlpg [M4]
        call ebx
        call show
        ${write('M4', '1')}
        or dword [PT1], RW
        mov byte [M4], 0x48                     ; dec eax
        mov eax, 5
        call ebx
        call show
        ret`,

  'paging is turned off and on': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov ebp, 3
.again: mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, ebp
        shl eax, 12
        add eax, DATA + ALL
        mov [PT1], eax
        ${read('DATA + 0x2000')}
        ${read('0xe0000000')}
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ${read('M4')}
        dec ebp
        jnz .again
        ret`,

  'SMEP and SMAP while paging is off': `
main:   mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, cr4
        or eax, 0x300000
        mov cr4, eax
        ${read('DATA + 0x1000')}
        ${write('DATA + 0x1000', '0x1234')}
        mov eax, cr4
        call show
        ${inRing3(`${read('DATA + 0x1000')}`)}
        mov eax, cr4
        and eax, ~0x300000
        mov cr4, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ${read('DATA + 0x1000')}
        ret`,

  'SMEP and SMAP': `
main:   ${mapDirectory}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 4], DATA + 0x2000 + P + US
        mov dword [PT1 + 8], DATA + 0x3000 + P + RW
        mov dword [M4], 0xc3c3c340              ; inc eax; ret
        mov edi, PT0                            ; the kernel's own pages
        mov ecx, 1024
.own:   and dword [edi], ~US
        add edi, 4
        loop .own
        call flush
        mov eax, cr4
        or eax, 0x100000
        mov cr4, eax
        mov eax, 5
        mov ebx, esp
        mov dword [resume], .fetched
        call M4
.fetched:
        mov dword [resume], 0
        mov esp, ebx
        call show
        mov eax, cr4
        or eax, 0x200000
        mov cr4, eax
        ${read('M4')}
        ${write('M4', '1')}
        ${read('M4 + 0x2000')}
        stac
        ${read('M4')}
        ${write('M4 + 0x1000', '2')}
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        ${write('M4 + 0x1000', '3')}
        ${read('M4 + 0x1000')}
        clac
        ${write('M4 + 0x1000', '4')}
        ${read('M4 + 0x1000')}
        ${write('M4 + 0x2000', '5')}
        ${read('M4 + 0x2000')}
        mov eax, cr4
        and eax, ~0x300000
        mov cr4, eax
        ${read('M4 + 0x1000')}
        ${write('M4 + 0x1000', '6')}
        ${read('M4 + 0x1000')}
        mov eax, 5
        call M4
        call show
        ret`,
};
