import { readFileSync } from 'node:fs';
import { assemble } from '../../src/asm/index.ts';
import { Hypervisor, type HypervisorOptions, type VmConfig } from '../../src/hypervisor/hypervisor.ts';
import type { Vm } from '../../src/hypervisor/vm.ts';
import { Machine, type MachineOptions } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';

const GUESTS = new URL('../../guests/', import.meta.url);
const MIB = 0x10_0000;
export const GUEST_BYTES: number = 16 * MIB;

/** One of the kernels of guests/, assembled. */
export function kernel(name: string): Uint8Array {
  const include = (path: string): string => readFileSync(new URL(`include/${path}`, GUESTS), 'utf8');
  return assemble(readFileSync(new URL(`${name}/kernel.asm`, GUESTS), 'utf8'), { include }).bytes;
}

export const expectedOutput = (path: string): string => readFileSync(new URL(path, GUESTS), 'latin1');

/** A flat 32-bit program at 1 MiB, with a stack and the words of `platform` below. */
export const program = (source: string): Uint8Array =>
  assemble(`bits 32\norg 0x100000\n        mov esp, 0x90000\n${source}\n${platform}`).bytes;

/** Prints EAX; makes an interrupt table with `timer` as IRQ 0 (vector 20h), counts interrupts of
 *  the serial port (24h) if a program unmasks them, all other lines masked; switches off. */
const platform = `
print_hex:
        mov ecx, 8
.digit: rol eax, 4
        mov ebx, eax
        and ebx, 15
        mov bl, [digits + ebx]
        xchg eax, ebx
        mov dx, 0x3f8
        out dx, al
        xchg eax, ebx
        loop .digit
        mov ebx, eax
        mov al, 10
        out dx, al
        mov eax, ebx
        ret
digits: db "0123456789ABCDEF"
setup:  lgdt [gdtr]
        jmp 8:.flat
.flat:  mov ax, 16
        mov ss, ax
        mov ds, ax
        mov es, ax
        mov eax, timer
        mov [idt + 0x20 * 8], ax
        mov word [idt + 0x20 * 8 + 2], 8
        mov word [idt + 0x20 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 0x20 * 8 + 6], ax
        mov eax, serial_irq
        mov [idt + 0x24 * 8], ax
        mov word [idt + 0x24 * 8 + 2], 8
        mov word [idt + 0x24 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 0x24 * 8 + 6], ax
        lidt [idtr]
        mov al, 0x11
        out 0x20, al
        out 0xa0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xfe
        out 0x21, al
        mov al, 0xff
        out 0xa1, al
        ret
off:    mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
        jmp off
serial_irq:
        push eax
        push edx
        inc dword [serial_count]
        mov dx, 0x3fa
        in al, dx
        mov al, 0x20
        out 0x20, al
        pop edx
        pop eax
        iretd
serial_count: dd 0
align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:   dw 23
        dd gdt
idtr:   dw 0x25 * 8 - 1
        dd idt
align 8
idt:    times 0x25 * 8 db 0
`;

export interface Outcome {
  output: string;
  end: string;
  instructions: number;
  time: number;
}

const serial = () => {
  const line = {
    text: '',
    transmit: (byte: number) => {
      line.text += String.fromCharCode(byte);
    },
  };
  return line;
};

/** The image on the bare machine. */
export function runBare(image: Uint8Array, options: Partial<VmConfig> = {}, maxInstructions = 20_000_000): Outcome {
  const line = serial();
  const machine = new Machine({ memory: options.memory ?? GUEST_BYTES, serial: [line] });
  machine.load(image, options);
  const end = machine.run({ maxInstructions });
  return { output: line.text, end: end.kind, instructions: machine.instructions, time: machine.cpu.now() };
}

/** A machine with a hypervisor, and lines that collect what its VMs print. */
export function world(options: HypervisorOptions & Pick<MachineOptions, 'translationCache'> = {}, memory = 64 * MIB) {
  const { translationCache } = options;
  const machine = new Machine({ memory, ...(translationCache ? { translationCache } : {}) });
  const root = new RootModePort(machine);
  const hypervisor = new Hypervisor(root, options);
  const lines = new Map<Vm, { text: string }>();
  const add = (image: Uint8Array, config: Partial<VmConfig> = {}): Vm => {
    const line = serial();
    const vm = hypervisor.createVm({ memory: GUEST_BYTES, image, serial: [line], ...config });
    lines.set(vm, line);
    return vm;
  };
  const outcome = (vm: Vm): Outcome => ({
    output: lines.get(vm)?.text ?? '',
    end: vm.stopReason?.kind ?? (vm.idle ? 'halted' : 'limit'),
    instructions: vm.retired,
    time: vm.time,
  });
  return { machine, root, hypervisor, add, outcome };
}

/** The image in a VM. */
export function runNested(
  image: Uint8Array,
  config: Partial<VmConfig> = {},
  maxInstructions = 20_000_000,
  options: HypervisorOptions = {},
): Outcome & { vm: Vm } {
  const { hypervisor, add, outcome } = world(options);
  const vm = add(image, config);
  hypervisor.run({ maxInstructions });
  return { ...outcome(vm), vm };
}
