import { describe, expect, test } from 'vitest';
import { assemble } from '../../src/asm/index.ts';
import { plainModel } from '../../src/cpu/model.ts';
import { Machine, type MachineOptions } from '../../src/machine/machine.ts';
import type { MachineState } from '../../src/machine/persist.ts';
import { kernel, program } from '../hypervisor/worlds.ts';
import { assertSurvivesSpoiling } from './spoil.ts';

const BYTES = 0x20_0000;

interface Bench {
  readonly machine: Machine;
  readonly text: () => string;
}

function bench(options: MachineOptions = {}): Bench {
  let text = '';
  const transmit = (byte: number): void => {
    text += String.fromCharCode(byte);
  };
  return { machine: new Machine({ memory: BYTES, serial: [{ transmit }], ...options }), text: () => text };
}

function loaded(image: Uint8Array, options: MachineOptions = {}): Bench {
  const made = bench(options);
  made.machine.load(image);
  return made;
}

const json = (state: MachineState): MachineState => JSON.parse(JSON.stringify(state)) as MachineState;

/** Runs to `cut`, saves, and lets the original and a new machine go on side by side. */
function assertGoesOn(
  image: Uint8Array,
  cut: number,
  steps: readonly number[],
  options: MachineOptions = {},
): MachineState {
  const one = loaded(image, options);
  if (cut > 0) one.machine.run({ maxInstructions: cut });
  const state = json(one.machine.save());
  const two = bench(options);
  two.machine.run({ maxInstructions: 5 }); // it has been somewhere else before
  two.machine.restore(state);
  expect(json(two.machine.save()), 'saved again').toEqual(state);
  const before = one.text();
  for (const maxInstructions of steps) {
    expect(two.machine.run({ maxInstructions })).toEqual(one.machine.run({ maxInstructions }));
    expect(before + two.text()).toBe(one.text());
    expect(json(two.machine.save())).toEqual(json(one.machine.save()));
  }
  return state;
}

/** Interrupts while it counts, halts, copies, and opens and closes shadows. */
const busy = program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 20
        out 0x40, al
        mov al, 0
        out 0x40, al
again:  cld
        mov esi, 0x100000
        mov edi, 0x120000
        mov ecx, 300
        rep movsb
        mov ax, 16
        cli
        mov ss, ax
        nop
        sti
        nop
        hlt
        inc dword [count]
        cmp dword [count], 12
        jb again
        cli
        mov eax, [ticks]
        call print_hex
        call off
timer:  inc dword [ticks]
        push eax
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
count:  dd 0
ticks:  dd 0
`);

describe('a machine that was saved and restored', () => {
  const cuts = [0, 1, ...Array.from({ length: 14 }, (_, k) => 30 + 37 * k)];
  test.each(cuts)('goes on exactly as the one that was not: after %i instructions', (cut) => {
    assertGoesOn(busy, cut, [1, 1, 3, 400, 1, 100_000]);
  });

  test('is met in the middle of a repeated instruction, in the shadow of STI and of MOV SS, and halted', () => {
    const { machine } = loaded(busy);
    const seen = { repeat: 0, sti: 0, movSs: 0, halted: 0 };
    for (let k = 0; k < 700; k++) {
      machine.step();
      const { cpu } = machine.save();
      const [byte] = machine.readMemory('linear', cpu.eip, 1);
      if (byte === 0xf3 && cpu.ecx > 0 && cpu.ecx < 300) seen.repeat++;
      if (cpu.interruptibility === 1) seen.sti++;
      if (cpu.interruptibility === 2) seen.movSs++;
      if (cpu.activity === 1) seen.halted++;
      if (cpu.activity === 1 || (cpu.interruptibility !== 0 && seen.sti + seen.movSs <= 4))
        assertGoesOn(busy, k + 1, [1, 1, 50, 10_000]);
      if (seen.halted > 1) break;
    }
    expect(seen.repeat).toBeGreaterThan(100);
    expect(seen.sti).toBeGreaterThan(0);
    expect(seen.movSs).toBeGreaterThan(0);
    expect(seen.halted).toBeGreaterThan(0);
  });

  test.each([
    { kind: 'modelled', entries: 5, seed: 2 },
    { kind: 'stalest', seed: 7 },
  ] as const)('keeps what $kind translation caches hold', (translationCache) => {
    for (const cut of [2_000, 20_011, 50_003])
      assertGoesOn(kernel('pages'), cut, [1, 1_000, 30_000], { translationCache, memory: 0x40_0000 });
  });

  test('keeps a guest of a hypervisor in machine code', () => {
    const image = kernel('vmlaunch');
    const { machine } = loaded(image, { memory: 0x40_0000 });
    const entries: number[] = [];
    machine.observe({ onEntry: () => entries.push(machine.instructions) });
    machine.run({ maxInstructions: 1_000_000 });
    expect(entries.length).toBeGreaterThan(2);
    for (const at of [entries[0], entries[1], entries[entries.length - 1]]) {
      const state = assertGoesOn(image, at + 1, [1, 2, 1_000_000], { memory: 0x40_0000 });
      expect(state.vmx?.nonRoot).toBe(true);
    }
  });

  test('refuses the state of another kind of machine', () => {
    const state = json(bench().machine.save());
    expect(() => bench({ processor: plainModel }).machine.restore(state)).toThrow('VMX');
    expect(() => bench({ memory: 0x10_0000 }).machine.restore(state)).toThrow('bytes');
    expect(() => bench().machine.restore({ ...state, idleTicks: 5 })).toThrow('idleTicks');
  });

  test('with one field spoilt is refused, or works with what it has', () => {
    const { machine } = loaded(busy);
    machine.run({ maxInstructions: 450 });
    const state = json(machine.save());
    const target = bench().machine;
    const { refused, accepted } = assertSurvivesSpoiling(
      state,
      (bad) => target.restore(bad),
      () => target.run({ maxInstructions: 200 }),
    );
    expect(refused).toBeGreaterThan(500);
    expect(accepted).toBeGreaterThan(100);
  });
});

describe('memory by address space', () => {
  test('linear addresses go through the tables, physical ones do not', () => {
    const { machine } = loaded(assemble('bits 32\norg 0x100000\nhlt').bytes);
    machine.writeMemory('physical', 0x1000, Uint8Array.of(0x03, 0x20, 0, 0)); // the directory: one table at 2000h
    machine.writeMemory('physical', 0x2000 + 4 * 5, Uint8Array.of(0x03, 0x70, 0, 0, 0x03, 0x30, 0, 0)); // 5 → 7, 6 → 3
    machine.setRegisters({ cr3: 0x1000, cr0: 0x8000_0011 });
    machine.writeMemory('linear', 0x5ffe, Uint8Array.of(1, 2, 3, 4));
    expect(machine.readMemory('physical', 0x7ffe, 2)).toEqual(Uint8Array.of(1, 2));
    expect(machine.readMemory('physical', 0x3000, 2)).toEqual(Uint8Array.of(3, 4));
    expect(machine.readMemory('linear', 0x5ffe, 4)).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(() => machine.readMemory('linear', 0x6fff, 2)).toThrow(
      'linear address 0000_7000h cannot be used: not present',
    );
    expect(() => machine.writeMemory('linear', 0x6fff, Uint8Array.of(9, 9))).toThrow('not present');
    expect(machine.readMemory('physical', 0x3fff, 1)).toEqual(Uint8Array.of(0));
    expect(() => machine.readMemory('physical', BYTES - 1, 2)).toThrow('there is no RAM');
  });
});

describe('observers of a machine', () => {
  test('are told of instructions, events, ports and walks while they watch, and change nothing', () => {
    const { machine } = loaded(busy);
    const counts = { instructions: 0, events: 0, ports: 0 };
    const end = machine.observe({
      onInstruction: () => counts.instructions++,
      onEvent: () => counts.events++,
      onPort: () => counts.ports++,
    });
    machine.run({ maxInstructions: 1000 });
    end();
    expect(counts.instructions).toBe(1000);
    expect(counts.events).toBeGreaterThan(0);
    expect(counts.ports).toBeGreaterThan(10);
    const told = { ...counts };
    machine.run();
    expect(counts).toEqual(told);
    const other = loaded(busy);
    other.machine.run();
    expect(json(machine.save())).toEqual(json(other.machine.save()));
  });

  test('are told of page walks, VM entries and VM exits', () => {
    // modelled: every reference of a walk is made, none is answered from what is remembered of EPT
    const { machine } = loaded(kernel('vmlaunch'), { memory: 0x40_0000, translationCache: { kind: 'modelled' } });
    const seen = { entries: 0, exits: [] as number[], walks: 0 };
    machine.observe({ onEntry: () => seen.entries++ });
    machine.observe({ onExit: (reason) => seen.exits.push(reason), onPageWalkStep: () => seen.walks++ });
    machine.run({ maxInstructions: 1_000_000 });
    expect(seen.entries).toBe(machine.vmx?.context.entries);
    expect(seen.exits.length).toBe(machine.vmx?.context.exits.reduce((a, b) => a + b));
    expect(seen.walks).toBe(machine.cpu.mmu.counts.walkReferences);
    expect(seen.walks).toBeGreaterThan(0);
  });
});
