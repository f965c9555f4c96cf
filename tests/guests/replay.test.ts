/** The same image and the same input give the same run: every exit with its reason, qualification, place and instruction count, every
 *  access to a port, every event. */
import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { keptLine, kernel, MIB, type NestedOptions, nestedWorld, type Run, type RunOptions, Trace } from './runs.ts';

/** A byte that arrives when the machine has retired so many instructions. */
type Input = readonly (readonly [at: number, byte: number])[];

const LIMIT = 5_000_000;

interface Replay {
  readonly exits: string;
  readonly run: Run;
}

function nested(image: Uint8Array, options: RunOptions = {}, world: NestedOptions = {}, input: Input = []): Replay {
  const { hypervisor, exits, add, result } = nestedWorld({ ...world, memory: 32 * MIB });
  const vm = add(image, options);
  for (const [at, byte] of input) {
    hypervisor.run({ maxInstructions: at - vm.retired });
    vm.receive([byte]);
  }
  hypervisor.run({ maxInstructions: (options.maxInstructions ?? LIMIT) - vm.retired });
  return { exits: exits.hash, run: result(vm) };
}

/** The same on the bare machine; instead of exits, every event that is delivered. */
function bare(image: Uint8Array, options: RunOptions = {}, input: Input = []): { events: string; run: Run } {
  const line = keptLine();
  const ports = new Trace();
  const events = new Trace();
  const machine = new Machine({ memory: options.memory ?? 16 * MIB, contexts: 6, serial: [line] });
  const { cpu } = machine;
  machine.ports.onAccess = (port, size, value, isInput) => ports.add(port, size, value, Number(isInput), cpu.now());
  cpu.observer = {
    onEvent: (event) => events.add(event.vector, event.type, event.errorCode, machine.registers.eip, cpu.now()),
  };
  machine.load(image, options);
  for (const [at, byte] of input) {
    machine.run({ maxInstructions: at - machine.instructions });
    machine.devices.serial[0].receive([byte]);
  }
  const end = machine.run({ maxInstructions: (options.maxInstructions ?? LIMIT) - machine.instructions }).kind;
  const { instructions } = machine;
  return { events: events.hash, run: { output: line.text, end, instructions, time: cpu.now(), ports: ports.hash } };
}

const RUNS: readonly (readonly [string, string, RunOptions])[] = [
  ['tasks', 'tasks', {}],
  ['pages', 'pages', {}],
  ['faults', 'faults', {}],
  ['realmode', 'realmode', { real: true }],
  ['mischief devices', 'mischief', { commandLine: 'devices' }],
  ['mischief string-ports', 'mischief', { commandLine: 'string-ports' }],
];

describe('the same image twice', () => {
  test.each(RUNS)('%s in a VM: the same exits, also where the host puts its memory elsewhere', (_, name, options) => {
    const first = nested(kernel(name), options);
    expect(nested(kernel(name), options)).toEqual(first);
    expect(nested(kernel(name), options, { seed: 12345, garbage: 0x3c })).toEqual(first);
    expect(Number.parseInt(first.exits, 10)).toBeGreaterThan(150);
  });

  test.each(RUNS)('%s on the bare machine: the same events', (_, name, options) => {
    expect(bare(kernel(name), options)).toEqual(bare(kernel(name), options));
  });

  test('a trace is about its run: another guest, another trace; one instruction less, another trace', () => {
    const whole = nested(kernel('pages'), { maxInstructions: 50_000 });
    expect(nested(kernel('faults'), { maxInstructions: 50_000 }).exits).not.toBe(whole.exits);
    expect(nested(kernel('pages'), { maxInstructions: 49_999 }).exits).not.toBe(whole.exits);
  });
});

/** Counts in ESI until the first serial port interrupts it, sends back what came and how far it has counted; ends after a point. */
const COUNTING = assemble(`
bits 32
org 0x100000
        mov esp, 0x90000
        lgdt [gdtr]
        jmp 8:.flat
.flat:  mov ax, 16
        mov ss, ax
        mov ds, ax
        mov es, ax
        mov eax, serial
        mov [idt + 0x24 * 8], ax
        mov word [idt + 0x24 * 8 + 2], 8
        mov word [idt + 0x24 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 0x24 * 8 + 6], ax
        lidt [idtr]
        mov al, 0x11
        out 0x20, al
        mov al, 0x20
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xef                    ; IRQ 4
        out 0x21, al
        mov dx, 0x3f9
        mov al, 1                       ; when a byte has come
        out dx, al
        mov dx, 0x3fc
        mov al, 8                       ; OUT2
        out dx, al
        xor esi, esi
        sti
count:  inc esi
        jmp count
serial: pushad
        mov dx, 0x3f8
        in al, dx
        out dx, al
        mov bl, al
        mov ecx, 4
        mov eax, esi
.next:  rol eax, 8
        out dx, al
        loop .next
        mov al, 0x20
        out 0x20, al
        cmp bl, '.'
        je off
        popad
        iretd
off:    mov dx, 0x604
        mov ax, 0x2000
        out dx, ax
align 8
gdt:    dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:   dw 23
        dd gdt
idtr:   dw 0x25 * 8 - 1
        dd idt
align 8
idt:    times 0x25 * 8 db 0
`).bytes;

describe('the same input at the same instructions', () => {
  const INPUT: Input = [
    [1_000, 0x61],
    [1_001, 0x62],
    [77_777, 0x63],
    [123_456, 0x2e],
  ];

  test('the same run, also on the bare machine, and whatever the turns', () => {
    const first = nested(COUNTING, {}, {}, INPUT);
    expect(first.run.end).toBe('power-off');
    expect(first.run.output).toMatch(/^a.{4}b.{4}c.{4}\..{4}$/s);
    expect(nested(COUNTING, {}, {}, INPUT)).toEqual(first);
    expect(bare(COUNTING, {}, INPUT).run).toEqual(first.run);
    for (const slice of [1, 97, 10_000]) expect(nested(COUNTING, {}, { slice }, INPUT).run).toEqual(first.run);
  });

  test('one instruction later, or another byte, is another run', () => {
    const outputs = [0, 1, 2, 3].map(
      (late) => nested(COUNTING, {}, {}, [...INPUT.slice(0, 2), [77_777 + late, 0x63], INPUT[3]]).run.ports,
    );
    expect(new Set(outputs).size).toBeGreaterThan(1);
    for (let late = 0; late < 4; late++) {
      const input: Input = [...INPUT.slice(0, 2), [77_777 + late, 0x63], INPUT[3]];
      expect(bare(COUNTING, {}, input).run.ports).toBe(outputs[late]);
    }
  });
});
