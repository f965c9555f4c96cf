/** Small guests with PAE paging that do with tables what breaks shadow pagers: see programs.ts. */
import { inRing3, read, show, write } from './programs.ts';

/** Links PT1 behind 40_0000h. */
const mapTable = `
        mov dword [PD + 16], PT1 + ALL`;
const reload = `
        mov eax, cr3
        mov cr3, eax`;
/** Calls code at `place`, which returns; goes on after a page fault. */
let calls = 0;
const call = (place: string): string => {
  const name = `.called_${++calls}`;
  return `
        mov dword [resume], ${name}
        mov ebx, esp
        mov eax, 5
        call ${place}
        call show
${name}: mov esp, ebx
        mov dword [resume], 0`;
};
const setEfer = (value: number): string => `
        mov ecx, 0xc0000080
        mov eax, ${value}
        xor edx, edx
        wrmsr`;
const flipCr4 = (bits: string): string => `
        mov eax, cr4
        xor eax, ${bits}
        mov cr4, eax`;

export const PAE_PROGRAMS: Readonly<Record<string, string>> = {
  'an entry becomes present without a flush': `
main:   ${mapTable}
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 8], DATA + 0x2000 + ALL
        ${read('M4 + 0x1000')}
        ${read('M4 + M2')}
        ${read('M4 + 2 * M2')}
        mov dword [PD + 24], PT2 + ALL
        ${read('M4 + M2')}
        mov dword [PT2], DATA + 0x3000 + ALL
        ${read('M4 + M2')}
        mov dword [PD + 32], PT2 + ALL
        ${read('M4 + 2 * M2')}
        mov dword [PD1], PT2 + ALL
        ${read('GIB')}
        ${read('3 * GIB')}
        mov dword [PD1], 0
        invlpg [GIB]
        ${read('GIB')}
        mov dword [PD1], PT1 + ALL
        ${read('GIB')}
        ret`,

  'many pages are not there, and then they are': `
main:   ${mapTable}
        mov esi, M4
.next:  mov dword [repair], .map
        add dword [esi], 1
        mov eax, [esi]
        call show
        add esi, 0x1000
        cmp esi, M4 + 0x8000
        jb .next
        ${inRing3(`${read('M4 + 0x9000')} ${write('M4 + 0x9000', '1')} ${read('M4 + 0xa000')}`)}
        mov esi, M4
.drop:  mov eax, esi
        shr eax, 12
        and eax, 0x1ff
        mov dword [PT1 + eax * 8], 0
        invlpg [esi]
        mov dword [repair], .map
        add dword [esi], 1
        mov eax, [esi]
        call show
        add esi, 0x1000
        cmp esi, M4 + 0x8000
        jb .drop
        ret
.map:   mov eax, cr2
        shr eax, 12
        and eax, 0x1ff
        mov edx, eax
        shl edx, 12
        add edx, DATA + ALL + A
        mov [PT1 + eax * 8], edx
        ret`,

  'an entry is written in two halves': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL + A + D
        ${read('M4')}
        mov dword [PT1 + 4], XD                         ; the upper half first, then the lower
        mov dword [PT1], DATA + 0x2000 + ALL + A + D
        invlpg [M4]
        ${read('M4')}
        ${call('M4')}
        mov dword [PT1], DATA + 0x3000 + ALL + A + D    ; the lower one first
        mov dword [PT1 + 4], 0
        invlpg [M4]
        ${read('M4')}
        mov dword [PT1 + 12], 1                         ; beyond 4 GiB, and not there yet
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 8], DATA + 0x4000 + ALL + A
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 12], 0
        invlpg [M4 + 0x1000]
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 12], 0x100                     ; a reserved bit
        invlpg [M4 + 0x1000]
        ${read('M4 + 0x1000')}
        and dword [PT1 + 8], ~P
        ${read('M4 + 0x1000')}
        mov dword [PT1 + 12], 0
        or dword [PT1 + 8], P
        ${read('M4 + 0x1000')}
        ret`,

  'instructions of all kinds write entries': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 8], DATA + 0x2000 + ALL
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov eax, [PT1]
        mov edx, [PT1 + 4]
        mov ebx, DATA + 0x3000 + ALL
        mov ecx, XD
        lock cmpxchg8b [PT1]
        invlpg [M4]
        ${read('M4')}
        ${call('M4')}
        mov eax, [PT1]
        mov edx, 0
        cmpxchg8b [PT1]                                 ; not equal: loaded, not stored
        mov eax, edx
        call show
        btr dword [PT1 + 4], 31
        mov byte [PT1 + 1], (DATA + 0x4000) >> 8 & 0xff
        invlpg [M4]
        ${read('M4')}
        mov dword [PT1 + 6], (DATA + 0x5000 + ALL) << 16 & 0xffff0000
        mov word [PT1 + 10], (DATA + 0x5000) >> 16
        call flush
        ${read('M4')}
        ${read('M4 + 0x1000')}
        ${write('M4 + 0x1000', '1')}
        mov dword [PT1 + 5], (P + US + A) << 24         ; the next entry's lowest byte
        call flush
        ${write('M4 + 0x1000', '2')}
        mov esi, PT0 + (DATA >> 12) * 8
        mov edi, PT1 + 0x80
        mov ecx, 16
        rep movsd
        ${read('M4 + 0x10000')}
        ${read('M4 + 0x17000')}
        mov ebp, esp
        mov esp, PT1 + 0x108
        push dword 0
        push dword DATA + 0x6000 + ALL
        mov esp, ebp
        ${read('M4 + 0x20000')}
        pop eax
        push eax
        mov edi, PT1
        xor eax, eax
        mov ecx, 1024
        rep stosd
        call flush
        ${read('M4')}
        ${read('M4 + 0x20000')}
        ret`,

  'a PDPTE changes, and counts when it is loaded': `
main:   mov dword [PD1], PT1 + ALL
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PD3], PT2 + ALL
        mov dword [PT2], DATA + 0x2000 + ALL
        ${read('GIB')}
        mov dword [POINTERS + 8], PD3 + P
        mov dword [POINTERS + 24], PD3 + P
        invlpg [GIB]
        ${read('GIB')}
        ${read('3 * GIB')}
        ${reload}
        ${read('GIB')}
        ${read('3 * GIB')}
        mov dword [POINTERS + 8], 0
        ${read('GIB')}
        ${flipCr4('0x80')}                              ; PGE
        ${read('GIB')}
        mov dword [POINTERS + 8], PD1 + P
        ${read('GIB')}
        ${flipCr4('0x10')}                              ; PSE
        ${read('GIB')}
        mov dword [POINTERS + 8], PD3 + P
        mov eax, cr0
        or eax, 0x40000000                              ; CD
        mov cr0, eax
        invlpg [GIB]
        ${read('GIB')}
        mov dword [POINTERS + 8], 0
        mov eax, cr0
        and eax, ~0x10000                               ; WP loads nothing
        mov cr0, eax
        invlpg [GIB]
        ${read('GIB')}
        mov eax, cr0
        or eax, 0x10000
        and eax, ~0x40000000
        mov cr0, eax
        invlpg [GIB]
        ${read('GIB')}
        ret`,

  'a PDPTE that may not be loaded': `
main:   mov esi, POINTERS
        mov edi, OTHERS
        mov ecx, 8
        rep movsd
        mov dword [OTHERS + 24], PD3 + P + RW
        mov dword [resume], .one
        mov eax, OTHERS
        mov cr3, eax
.one:   mov eax, cr3
        call show
        mov dword [OTHERS + 24], PD3
        mov dword [OTHERS + 28], 0x40000000             ; not present: nothing is reserved
        mov dword [resume], .two
        mov eax, OTHERS
        mov cr3, eax
.two:   mov eax, cr3
        call show
        mov dword [OTHERS + 24], PD3 + P
        mov dword [resume], .three
        ${flipCr4('0x80')}
.three: mov eax, cr4
        call show
        mov dword [resume], .four
        mov eax, cr0
        or eax, 0x40000000
        mov cr0, eax
.four:  mov eax, cr0
        call show
        mov dword [resume], .five
        mov eax, 0xf0000000                             ; no memory: all ones
        mov cr3, eax
.five:  mov eax, cr3
        call show
        ${read('3 * GIB')}
        mov dword [OTHERS + 28], 0
        mov dword [resume], 0
        mov eax, OTHERS
        mov cr3, eax
        ${read('3 * GIB')}
        ret`,

  'two tables of pointers in one page': `
main:   mov dword [PDX], PT0 + ALL
        mov dword [PDX + 8], PTX + ALL
        mov dword [PDX + 16], PT2 + ALL
        ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT2], DATA + 0x2000 + ALL
        mov dword [POINTERS + 32], PDX + P
        mov dword [POINTERS + 56], PD + P
        mov ebp, 3
.again: ${read('M4')}
        ${read('3 * GIB + M4')}
        mov eax, POINTERS + 32
        mov cr3, eax
        ${read('M4')}
        ${read('3 * GIB + M4')}
        ${read('GIB')}
        add dword [PT1], 0x1000
        mov eax, POINTERS
        mov cr3, eax
        dec ebp
        jnz .again
        ret`,

  'a page directory behind two pointers, and as a page table': `
main:   mov dword [POINTERS + 8], PD + P
        ${reload}
        ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('GIB + M4')}
        ${read('M4')}
        mov dword [PD + 24], PD + P + RW                ; its own page table, at 60_0000h
        ${read('M4 + M2 + 0x2000')}
        mov dword [3 * M2 + 0x2000], DATA + 0x3000 + ALL
        mov dword [M4 + M2 + 32], PT2 + ALL
        mov dword [PT2], DATA + 0x4000 + ALL
        ${read('GIB + M4 + 2 * M2')}
        mov dword [GIB + 3 * M2 + 32], 0
        invlpg [M4 + 2 * M2]
        call flush
        ${read('M4 + 2 * M2')}
        ${read('GIB + M4 + 2 * M2')}
        mov dword [PD + 16], 0
        call flush
        ${read('GIB + M4')}
        ${read('M4 + M2')}
        ret`,

  'pages of 2 MiB': `
main:   mov dword [PD + 16], ALL + PS
        ${read('M4 + 0x100000')}
        mov dword [PD + 16], M2 + P + US + RW + PS
        call flush
        ${read('M4 + 0x101000')}
        ${show('PD + 16')}
        mov dword [M4 + 0x1ff000], 0x4321
        ${show('PD + 16')}
        ${show('0x3ff000')}
        mov dword [PD + 16], M2 + P + US + PS
        invlpg [M4]
        ${write('M4 + 0x101000', '5')}
        ${inRing3(`${write('M4 + 0x101000', '5')} ${read('M4 + 0x101000')}`)}
        mov dword [PD + 20], XD
        call flush
        ${read('M4 + 0x102000')}
        mov dword [DATA], 0xc3c3c340
        ${call('M4 + 0x100000')}
        mov dword [PD + 20], 0
        call flush
        ${call('M4 + 0x100000')}
        mov dword [PD + 16], M2 + 0x2000 + ALL + PS
        call flush
        ${read('M4 + 0x101000')}
        mov dword [PD + 16], M2 + ALL + PS
        mov dword [PD + 20], 0x10
        ${read('M4 + 0x101000')}
        mov dword [PD + 20], 1                          ; beyond 4 GiB
        ${read('M4 + 0x101000')}
        ${write('M4 + 0x101000', '7')}
        mov dword [PD + 20], 0
        call flush
        ${read('M4 + 0x101000')}
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        mov dword [PD + 16], M2 + P + US + PS + A
        invlpg [M4]
        ${write('M4 + 0x101000', '8')}
        ${show('PD + 16')}
        ret`,

  'a page of 2 MiB is splintered and joined again': `
main:   mov dword [PD + 16], M2 + ALL + PS
        mov dword [M4 + PT1 - M2], DATA + 0x1000 + ALL  ; a table inside it
        mov dword [PD + 24], PT1 + ALL
        ${read('M4 + M2')}
        mov dword [M4 + PT1 - M2], DATA + 0x2000 + ALL
        invlpg [M4 + M2]
        ${read('M4 + M2')}
        ${read('M4 + 0x103000')}
        mov edi, PT2
        mov eax, M2 + ALL
        mov ecx, 512
.fill:  stosd
        mov dword [edi], 0
        add edi, 4
        add eax, 0x1000
        loop .fill
        mov dword [PD + 16], PT2 + ALL
        invlpg [M4]
        call flush
        ${read('M4 + 0x103000')}
        mov dword [PT2 + 8 * 0x103], DATA + 0x4000 + ALL
        invlpg [M4 + 0x103000]
        ${read('M4 + 0x103000')}
        mov dword [PD + 16], M2 + ALL + PS
        call flush
        ${read('M4 + 0x103000')}
        mov dword [PD + 16], PD + ALL                   ; a directory as a page table
        call flush
        ${read('M4')}
        ${show('PD + 16')}
        ret`,

  'execute-disable': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [M4], 0xc3c3c340                      ; inc eax; ret
        ${call('M4')}
        mov dword [PT1 + 4], XD
        ${read('M4')}
        invlpg [M4]
        ${call('M4')}
        ${read('M4')}
        ${write('M4', '0xc3c34040')}
        ${inRing3(`
        mov dword [resume], .fetched
        mov eax, M4
        jmp eax
.fetched: mov dword [resume], 0`)}
        mov dword [PT1 + 4], 0
        invlpg [M4]
        ${call('M4')}
        mov dword [PD + 20], XD                         ; the whole table
        call flush
        ${call('M4')}
        ${read('M4')}
        mov dword [PD + 24], PT1 + ALL                  ; and another way to it
        ${call('M4 + M2')}
        ${call('M4')}
        mov dword [PD + 20], 0
        call flush
        ${call('M4')}
        ret`,

  'NXE is cleared and set': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 8], DATA + 0x2000 + ALL
        mov dword [PT1 + 12], XD
        mov dword [M4], 0xc3c3c340
        mov dword [M4 + 0x1000], 0xc3c3c340
        ${call('M4')}
        ${call('M4 + 0x1000')}
        mov ebp, 2
.again: ${setEfer(0)}
        mov eax, 7
        mov ecx, 0xc0000080
        rdmsr
        call show
        call flush
        ${call('M4')}
        ${read('M4 + 0x1000')}
        ${call('8 * M4')}
        mov dword [PT1 + 12], 0
        call flush
        ${call('M4 + 0x1000')}
        mov dword [PT1 + 12], XD
        ${setEfer(0x800)}
        rdmsr
        call show
        call flush
        ${call('M4')}
        ${read('M4 + 0x1000')}
        ${call('M4 + 0x1000')}
        ${call('8 * M4')}
        dec ebp
        jnz .again
        mov dword [resume], .bad
        ${setEfer(0x801)}
.bad:   mov dword [resume], 0
        mov ecx, 0xc0000080
        rdmsr
        call show
        ret`,

  'reserved bits': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 4], 0x40000000                 ; what a pager might mark with
        ${read('M4')}
        ${write('M4', '1')}
        ${inRing3(`${read('M4')}`)}
        ${call('M4')}
        mov dword [PT1], 0
        ${read('M4')}
        mov dword [PT1], 1
        ${read('M4')}
        mov dword [PT1 + 4], 0
        mov dword [PT1], DATA + 0x2000 + ALL + PS       ; PAT: nothing
        ${read('M4')}
        mov dword [PD + 20], 0x40000000
        call flush
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov dword [PD + 20], 0
        ${read('M4')}
        mov dword [PT1 + 4], 0x10
        call flush
        ${read('M4')}
        ret`,

  'accessed and dirty flags': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 8], DATA + 0x2000 + P + US
        ${show('PD + 16')}
        ${read('M4')}
        ${show('PT1')}
        ${show('PD + 16')}
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
        ${read('M4')}
        ${show('PT1')}
        ${write('M4 + 0x1000', '9')}
        ${show('PT1 + 8')}
        ${show('POINTERS')}
        mov dword [PT1 + 12], XD
        invlpg [M4 + 0x1000]
        and dword [PT1 + 8], ~A
        ${call('M4 + 0x1000')}
        ${show('PT1 + 8')}
        ${read('M4 + 0x1000')}
        ${show('PT1 + 8')}
        ${show('PT1 + 12')}
        ret`,

  'CR0.WP is cleared and set, with SMEP': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + P + US
        mov dword [PT1 + 8], DATA + 0x2000 + P
        mov edi, PT0                                    ; the kernel's own pages
        mov ecx, 1024
.own:   and dword [edi], ~US
        add edi, 8
        loop .own
        call flush
        ${flipCr4('0x100000')}
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        ${write('M4', '0xc3c3c340')}
        ${write('M4 + 0x1000', '0x17')}
        ${call('M4')}
        ${read('M4')}
        ${show('PT1')}
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        ${write('M4', '4')}
        ${flipCr4('0x100000')}
        ${call('M4')}
        ${write('M4', '4')}
        ret`,

  'copy on write between address spaces': `
main:   mov ebp, 20
.fork:  mov eax, ebp
        and eax, 3
        imul eax, eax, 0x3000
        lea edi, [eax + 0x220000]
        push edi
        mov ecx, 0x3000 / 4
        xor eax, eax
        rep stosd
        pop edi
        lea eax, [edi + 0x1000 + P]
        mov [edi], eax
        mov dword [edi + 0x1000], PT0 + ALL
        mov dword [edi + 0x1008], PTX + ALL
        lea eax, [edi + 0x2000 + ALL]
        mov [edi + 0x1010], eax
        mov eax, ebp
        and eax, 7
        shl eax, 12
        add eax, DATA + P + US
        mov [edi + 0x2000], eax
        mov dword [edi + 0x2004], XD
        mov cr3, edi
        mov dword [repair], .copy
        add dword [M4], ebp
        ${read('M4')}
        mov eax, POINTERS
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
        mov dword [eax + 0x2000], DATA + 0xf000 + ALL
        invlpg [M4]
        ret`,

  'global pages': `
main:   ${flipCr4('0x80')}
        mov dword [PDX], PT0 + ALL
        mov dword [PDX + 8], PTX + ALL
        mov dword [PDX + 16], PT2 + ALL
        mov dword [OTHERS], PDX + P
        ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL + G
        mov dword [PT2], DATA + 0x1000 + ALL + G
        mov dword [PT1 + 8], DATA + 0x2000 + ALL
        mov dword [PT2 + 8], DATA + 0x3000 + ALL
        mov ebp, 3
.again: ${read('M4')}
        ${read('M4 + 0x1000')}
        mov eax, OTHERS
        mov cr3, eax
        ${read('M4')}
        ${read('M4 + 0x1000')}
        mov eax, POINTERS
        mov cr3, eax
        dec ebp
        jnz .again
        mov dword [PT1], DATA + 0x4000 + ALL + G
        ${flipCr4('0x80')}
        ${read('M4')}
        ret`,

  'a table becomes data and a table again': `
main:   mov ebp, 4
.again: ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov dword [PD + 16], 0
        call flush
        mov ecx, 400
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

  'between the two kinds of tables': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        ${read('M4')}
        mov edi, PDX                                    ; as 32-bit paging reads it: 4-MiB pages, and PT1 as a page table
        xor eax, eax
        mov ecx, 1024
        rep stosd
        mov dword [PDX], ALL + PS
        mov dword [PDX + 4], PT1 + ALL
        mov dword [PDX + 8], PD + ALL
        mov dword [PDX + 12], PDX + ALL
        mov ebp, 3
.again: mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, PDX
        mov cr3, eax
        mov eax, cr4
        xor eax, 0x30
        mov cr4, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ${read('M4')}
        ${read('M4 + 0x1000')}
        ${read('2 * M4 + 0x4000')}
        ${call('2 * M4')}
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov eax, cr4
        xor eax, 0x30
        mov cr4, eax
        mov eax, POINTERS
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ${read('M4')}
        add dword [PT1], 0x1000
        invlpg [M4]
        ${read('M4')}
        dec ebp
        jnz .again
        ret`,

  'PAE is set and cleared while paging is on': `
main:   mov edi, OTHERS                                 ; at the same address a directory for 32-bit paging
        mov dword [OTHERS], PD + P
        mov dword [OTHERS + 4], 0
        mov dword [OTHERS + 8], 0
        mov dword [POINTERS + 0x40], PD + P
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov dword [0x240000], ALL + PS
        mov eax, 0x240000
        mov cr3, eax
        mov eax, 0x10
        mov cr4, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        ${read('DATA + 0x1000')}
        mov dword [resume], .no
        mov eax, 0x30                                   ; what was a directory is no table of pointers
        mov cr4, eax
        call show
.no:    mov eax, cr4
        call show
        mov dword [resume], 0
        mov dword [0x250000], PD + P                    ; an entry of a directory: PD as a page table
        mov dword [0x250004], 0
        mov dword [0x250008], 0
        mov dword [0x25000c], 0
        mov dword [0x250010], 0
        mov dword [0x250014], 0
        mov dword [0x250018], 0
        mov dword [0x25001c], 0
        ret`,

  'a page directory and page tables where there is no memory': `
main:   mov dword [POINTERS + 8], 0xf0000000 + P
        mov dword [POINTERS + 24], 0
        ${reload}
        ${read('GIB')}
        ${write('GIB + 0x123456', '5')}
        mov dword [PD + 16], 0xf0000000 + ALL
        ${read('M4')}
        mov dword [PD + 16], PT1 + ALL
        mov dword [PT1], 0xf0001000 + ALL
        mov dword [PT1 + 8], DATA + ALL
        mov dword [PT1 + 12], 8                         ; beyond 4 GiB
        call flush
        ${read('M4')}
        ${write('M4', '6')}
        ${read('M4 + 0x1000')}
        ${write('M4 + 0x1000', '6')}
        ${show('PT1')}
        ${show('PT1 + 8')}
        ret`,

  'a task switch loads the pointers': `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PDX], PT0 + ALL
        mov dword [PDX + 8], PTX + ALL
        mov dword [PDX + 16], PT2 + ALL
        mov dword [PT2], DATA + 0x2000 + ALL
        mov dword [PT2 + 4], XD
        mov dword [OTHERS], PDX + P
        mov dword [OTHERS + 8], PDX + P
        mov esi, gdt
        mov edi, 0x7000
        mov ecx, 12
        rep movsd
        mov eax, task
        mov dword [edi], 0x67
        mov [edi + 2], ax
        shr eax, 16
        mov ah, 0x89
        mov [edi + 4], eax
        mov word [gdtr], 7 * 8 - 1
        mov dword [gdtr + 2], 0x7000
        lgdt [gdtr]
        mov dword [tss + 0x1c], POINTERS
        mov ebp, 3
.again: ${read('M4')}
        jmp 0x30:0
        ${read('M4')}
        ${read('GIB + M4')}
        mov eax, cr3
        call show
        add dword [PT2], 0x1000
        xor dword [OTHERS + 8], PDX ^ PD
        dec ebp
        jnz .again
        ret
.task:  ${read('M4')}
        ${read('GIB + M4')}
        ${call('M4')}
        mov eax, cr3
        call show
        jmp 0x28:0
        jmp .task
        align 4
task:   dd 0, 0, 0, 0, 0, 0, 0, OTHERS, main.task, 2, 0, 0, 0, 0, 0x8e000, 0, 0, 0
        dd 0x10, 8, 0x10, 0x10, 0x10, 0x10, 0, 0x680000`,

  'an event is delivered over pages that are new': `
main:   ${mapTable}
        mov ecx, 16
        mov eax, DATA + ALL
        mov edi, PT1
.map:   stosd
        mov dword [edi], XD
        add edi, 4
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
        mov ebp, 4
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
        mov eax, [PT1 + 40]
        call show
        dec ebp
        jnz .again
        mov dword [tss + 4], PT1 + 0x800                ; the stack in a page table
        ${inRing3(`${read('8 * M4')} ${read('M4')}`)}
        ${show('PT1 + 0x7fc')}
        ret`,

  SMAP: `
main:   ${mapTable}
        mov dword [PT1], DATA + 0x1000 + ALL
        mov dword [PT1 + 8], PT2 + ALL                  ; a table that users may write
        mov dword [PD + 24], PT2 + ALL
        mov edi, PT0
        mov ecx, 1024
.own:   and dword [edi], ~US
        add edi, 8
        loop .own
        call flush
        ${flipCr4('0x200000')}
        ${read('M4')}
        ${write('M4 + 0x1000', 'DATA + 0x2000 + ALL')}
        stac
        ${read('M4')}
        mov dword [M4 + 0x1000], DATA + 0x2000 + ALL
        ${read('M4 + M2')}
        mov dword [M4 + 0x1000], DATA + 0x3000 + ALL
        invlpg [M4 + M2]
        ${read('M4 + M2')}
        clac
        mov esi, M4                                     ; it reads a page of users and would write a table
        mov edi, PT2 + 8
        mov dword [resume], .moved
        movsd
        call show
.moved: mov dword [resume], 0
        ${show('PT2 + 8')}
        ${flipCr4('0x200000')}
        ret`,
};
