/** Debugging inside VMs: what the hypervisor executes for a guest traps as on the bare machine, and debug registers are each guest's
 *  own. The bare machine is the judge. */
import { describe, expect, test } from 'vitest';
import { kernel, program, runBare, runNested, world } from './worlds.ts';

/** Notes each debug exception: DR6 and the distance of EIP, added up so that their order counts. */
const handlers = `
        jmp over
db_entry:
        push eax
        inc dword [count]
        mov eax, dr6
        and eax, 0xe00f
        rol dword [sum], 3
        add [sum], eax
        mov eax, [esp + 4]
        sub eax, over
        add [sum], eax
        xor eax, eax
        mov dr6, eax
        pop eax
        iretd
timer:  push eax
        rol dword [sum], 5
        mov eax, [esp + 4]
        sub eax, over
        add [sum], eax
        inc dword [ticks]
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
count:  dd 0
sum:    dd 0
ticks:  dd 0
over:   call setup
        mov eax, db_entry
        mov [idt + 8], ax
        mov word [idt + 8 + 2], 8
        mov word [idt + 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 8 + 6], ax
        mov eax, cr4
        or eax, 8
        mov cr4, eax
`;
const report = `
        mov eax, [count]
        call print_hex
        mov eax, [sum]
        call print_hex
        mov eax, [ticks]
        call print_hex
        jmp off
`;

const steps = program(`${handlers}
        mov eax, 0x80
        mov dr1, eax
        mov eax, 0x00200004     ; port 80h
        mov dr7, eax
        out 0x80, al
        mov edx, 0x80
        mov esi, 0x80000
        mov ecx, 3
        cld
        rep outsb
        pushfd
        or dword [esp], 0x100
        popfd
        cpuid
        in al, 0x80
        mov edx, 0x80
        mov ecx, 2
        rep outsb
        hlt                     ; interrupts are off: the trap ends it
        rdtsc
        mov ecx, 0x1d9
        rdmsr
        mov ax, ss
        mov ss, ax
        cpuid
        xor edx, edx
        mov ecx, 0x1d9
        mov eax, 2
        wrmsr                   ; branches only from here on
        nop
        jmp .branch
.branch:
        pushfd
        and dword [esp], ~0x100
        popfd
        ${report}`);

/** Steps through a loop with the timer ticking: the interrupt waits for the trap, never the other way round. */
const ticking = program(`${handlers}
        mov al, 0x34
        out 0x43, al
        mov al, 20
        out 0x40, al
        xor eax, eax
        out 0x40, al
        sti
        pushfd
        or dword [esp], 0x100
        popfd
        mov ecx, 150
.loop:  out 0x80, al
        mov edi, ecx
        cpuid
        mov ecx, 3
        mov esi, 0x80000
        mov edx, 0x80
        rep outsb
        lea ecx, [edi - 1]
        test ecx, ecx
        jnz .loop
        pushfd
        and dword [esp], ~0x100
        popfd
        cli
        ${report}`);

/** Data breakpoints: DR0 on writes of 4 bytes at 8_0010h, DR1 on reads and writes of 2 bytes at C000_0020h, where there is no memory. */
const watched = (body: string): Uint8Array =>
  program(`${handlers}
        mov eax, 0x80010
        mov dr0, eax
        mov eax, 0xc0000020
        mov dr1, eax
        mov eax, 0x007d000a     ; G0 and G1; DR0 writes of 4 bytes, DR1 accesses of 2
        mov dr7, eax
        mov ebx, 0xc0000000
        mov esi, 0x80000
        mov edi, 0x80000
        mov edx, 0x80
        mov ecx, 0x30
        cld
${body}
        xor eax, eax
        mov dr7, eax
        ${report}`);

describe('data breakpoints on what the hypervisor accesses for a guest', () => {
  test.each([
    ['REP INSB', 'rep insb', 4],
    ['INSD across the range', 'mov edi, 0x8000e\n insd', 1],
    ['OUTSB, which only reads', 'mov esi, 0x80010\n outsb', 0],
    ['MOV from where there is no memory', 'mov eax, [ebx + 0x1e]\n mov ax, [ebx + 0x1e]\n mov al, [ebx + 0x21]', 2],
    ['MOV to it', 'mov [ebx + 0x20], eax\n mov [ebx + 0x22], eax', 1],
    ['XCHG and ADD with it', 'xchg [ebx + 0x20], eax\n add [ebx + 0x20], eax\n cmp [ebx + 0x20], eax', 3],
    ['PUSH of it', 'push dword [ebx + 0x20]', 1],
    ['REP MOVSB from it to memory', 'mov esi, 0xc0000000\n rep movsb', 6],
    ['REP STOSB to it', 'lea edi, [ebx]\n rep stosb', 2],
    ['REP LODSD of it', 'lea esi, [ebx]\n rep lodsd', 1],
    [
      'LODSB of it beside single steps',
      'pushfd\n or dword [esp], 0x100\n popfd\n lea esi, [ebx + 0x20]\n lodsb\n nop',
      0,
    ],
  ])('%s', (_, body, hits) => {
    const image = watched(body.includes('popfd') ? `${body}\n pushfd\n and dword [esp], ~0x100\n popfd` : body);
    const bare = runBare(image);
    if (hits > 0) expect(Number.parseInt(bare.output, 16)).toBe(hits);
    for (const paging of ['nested', 'shadow'] as const) {
      const { vm, ...outcome } = runNested(image, { paging });
      expect(outcome, paging).toEqual(bare);
    }
  });
});

describe('single step and port breakpoints over instructions that exit', () => {
  test.each([
    ['CPUID, IN, OUTS, HLT, RDMSR, WRMSR', steps],
    ['with a timer', ticking],
  ])('%s', (_, image) => {
    const { output, instructions, end } = runBare(image);
    expect(end).toBe('power-off');
    expect(Number.parseInt(output.slice(0, 8), 16)).toBeGreaterThan(10);
    for (const paging of ['nested', 'shadow'] as const) {
      const other = runNested(image, { paging });
      expect([other.output, other.instructions, other.end]).toEqual([output, instructions, end]);
    }
  });
});

test('debug registers of two VMs in turn keep apart', () => {
  const image = kernel('debug');
  const { hypervisor, add, outcome } = world({ slice: 50 });
  const vms = [add(image), add(image)];
  hypervisor.run();
  expect(vms.map(outcome)).toEqual([runBare(image), runBare(image)]);
});
