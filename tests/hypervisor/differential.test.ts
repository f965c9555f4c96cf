import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../effort.ts';
import { program, runBare, runNested } from './worlds.ts';

/** What a kernel does with time, interrupts, devices and missing memory, in pieces. Labels are local to each piece. */
const PIECES: readonly string[] = [
  'sti',
  'cli',
  'sti\n hlt\n cli',
  'mov eax, ss\n sti\n mov ss, eax\n inc edi',
  'pushfd\n cli\n popfd',
  'pushfd\n or dword [esp], 0x200\n popfd\n inc edi',
  'lea ecx, [ebp + 700]\n loop $',
  'mov ecx, 37\n loop $',
  'rdtsc\n add ebp, eax',
  'in al, 0x40\n add ebp, eax',
  'mov al, 0\n out 0x43, al\n in al, 0x40\n add ebp, eax',
  'in al, 0x61\n and eax, 0x30\n add ebp, eax',
  'in al, 0x20\n add ebp, eax',
  'mov al, 0x0b\n out 0x20, al\n in al, 0x20\n add ebp, eax',
  'mov al, 1\n out 0x21, al',
  'mov al, 0xfe\n out 0x21, al',
  'mov dx, 0x3f8\n mov al, 43\n out dx, al',
  'mov esi, digits\n mov dx, 0x3f8\n mov ecx, 12\n rep outsb',
  'mov esi, digits\n mov dx, 0x1234\n mov ecx, 900\n rep outsd',
  'mov edi, 0x200000\n mov dx, 0x40\n mov ecx, 20\n rep insb',
  'mov edi, 0x200000\n mov eax, ebp\n mov ecx, 1500\n rep stosd',
  'mov edi, 0xfffe00\n mov eax, ebp\n mov ecx, 400\n rep stosd',
  'mov esi, 0x90000000\n mov edi, 0x210000\n mov ecx, 300\n rep movsd\n add ebp, [0x210100]',
  'mov esi, 0xffff80\n lodsd\n lodsd\n add ebp, eax',
  'add [0x91000000], ebp\n adc ebp, [0x91000004]',
  'xchg ebp, [0x210000]\n cmp ebp, [0x92000000]\n sbb ebp, 3',
  'lock cmpxchg [0x93000000], ecx\n add ebp, eax',
  'push ebp\n mov ebp, esp\n mov esp, 0x94000000\n push eax\n pop eax\n mov esp, ebp\n pop ebp',
  'mov al, 0x36\n out 0x43, al\n mov al, 9\n out 0x40, al\n mov al, 0\n out 0x40, al',
  'mov al, 0x34\n out 0x43, al\n mov al, 3\n out 0x40, al\n mov al, 0\n out 0x40, al',
  'mov al, 0x30\n out 0x43, al\n mov al, 5\n out 0x40, al\n mov al, 0\n out 0x40, al',
  'int 0x20',
  'mov eax, cr0\n xor eax, 0x20\n mov cr0, eax\n mov eax, cr0\n add ebp, eax',
  'clts\n smsw ax\n add ebp, eax',
  'wbinvd',
  'mov al, 0xee\n out 0x21, al\n mov dx, 0x3f9\n mov al, 2\n out dx, al',
  'mov al, 0xee\n out 0x21, al\n mov dx, 0x3f9\n mov al, 0\n out dx, al',
  'sti\n mov esi, digits\n mov dx, 0x3f8\n mov ecx, 5\n rep outsb',
];

/** Runs the pieces twice, with a timer; interrupts print where and when they came. */
const kernelOf = (pieces: readonly string[]): Uint8Array =>
  program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 2
        out 0x40, al
        mov al, 0
        out 0x40, al
        mov dword [rounds], 2
        xor ebp, ebp
again:
${pieces.join('\n')}
        cli
        mov eax, ebp
        call print_hex
        mov eax, [serial_count]
        call print_hex
        rdtsc
        call print_hex
        dec dword [rounds]
        jnz again
        jmp off
rounds: dd 0
timer:  pushad
        inc dword [.count]
        cmp dword [.count], 40
        jae .quiet
        rdtsc
        call print_hex
        mov eax, [esp + 32]
        call print_hex
.quiet: mov al, 0x20
        out 0x20, al
        popad
        iretd
.count: dd 0
`);

test('a kernel cannot tell the hypervisor from the bare machine: not by time, interrupts, devices or missing memory', () => {
  const kernels = fc.array(fc.constantFrom(...PIECES), { minLength: 3, maxLength: 14 });
  fc.assert(
    fc.property(kernels, fc.constantFrom(97, 5000, 1_000_000), (pieces, slice) => {
      const image = kernelOf(pieces);
      const limit = 300_000;
      const { vm, ...nested } = runNested(image, { memory: 0x100_0000 }, limit, { slice });
      expect(nested).toEqual(runBare(image, { memory: 0x100_0000 }, limit));
    }),
    { seed: 20_240, numRuns: runs(40) },
  );
});
