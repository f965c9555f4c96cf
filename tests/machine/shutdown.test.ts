import { expect, test } from 'vitest';
import { Machine } from '../../src/machine/machine.ts';
import { program } from '../hypervisor/worlds.ts';

/** An interrupt finds no interrupt table, nor does what follows from that. */
const image = program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 1
        out 0x40, al
        mov al, 0
        out 0x40, al
        lidt [none]
        sti
.again: inc ecx
        jmp .again
none:   dw 0
        dd 0
timer:  iretd`);

test.each([1_000_000, 100, 1])(
  'an interrupt that cannot be delivered shuts the processor down at once: in slices of %i',
  (slice) => {
    const machine = new Machine({ memory: 0x20_0000 });
    machine.load(image);
    let kind = 'limit';
    for (let k = 0; k < 10_000 && kind === 'limit'; k++) kind = machine.run({ maxInstructions: slice }).kind;
    expect(kind).toBe('triple-fault');
    const { instructions } = machine;
    expect(machine.run({ maxInstructions: 5000 }).kind).toBe('triple-fault');
    expect(machine.instructions).toBe(instructions);
    machine.cpu.setInterruptLine(true); // nothing but a reset ends a shutdown
    expect(machine.run({ maxInstructions: 5000 }).kind).toBe('triple-fault');
  },
);
