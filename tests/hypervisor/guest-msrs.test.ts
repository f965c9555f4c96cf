/** MSRs of guests that instructions read without an exit, and the features that CPUID shows them. */
import { expect, test } from 'vitest';
import { defaultModel, type ProcessorModel } from '../../src/cpu/model.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { Machine } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import { program, runBare, runNested, world } from './worlds.ts';

const counters = (own: number): Uint8Array =>
  program(`
        mov eax, 0x80000001
        cpuid
        mov eax, edx
        call print_hex
        mov esi, 3
again:  mov ecx, 0xc0000103
        mov eax, ${own}
        add eax, esi
        xor edx, edx
        wrmsr
        mov ecx, 0xc1
        mov eax, ${own * 16}
        wrmsr
        mov ecx, 2000
        loop $
        rdtscp
        xchg eax, ecx
        call print_hex
        xor ecx, ecx
        rdpmc
        call print_hex
        dec esi
        jnz again
        jmp off
timer:
`);

test('RDTSCP and RDPMC read what the guest wrote, each guest its own', () => {
  const images = [counters(0x100), counters(0x200), counters(0x300)];
  const { hypervisor, add, outcome } = world({ slice: 300 });
  const vms = images.map((image) => add(image));
  hypervisor.run();
  const bare = images.map((image) => runBare(image));
  expect(bare[1]?.output).toBe('08100000\n00000203\n00002000\n00000202\n00002000\n00000201\n00002000\n');
  expect(vms.map(outcome)).toEqual(bare);
});

test('a guest that never wrote them reads 0 after one that did', () => {
  const { hypervisor, add, outcome } = world();
  const first = add(counters(0x100));
  hypervisor.run();
  const second = add(program('rdtscp\n mov eax, ecx\n call print_hex\n jmp off\ntimer:'));
  hypervisor.run();
  expect(outcome(first).output).toBe(runBare(counters(0x100)).output);
  expect(outcome(second).output).toBe('00000000\n');
});

test('with shadow paging it is the same', () => {
  const image = counters(0x100);
  const { vm, ...shadow } = runNested(image, { paging: 'shadow' });
  expect(shadow).toEqual(runBare(image));
});

test('where no control enables RDTSCP, CPUID does not show it', () => {
  // A processor with RDTSCP whose VMX is older than that of any real one with it.
  const processor: ProcessorModel = { ...defaultModel, vmx: 'first' };
  const machine = new Machine({ memory: 0x200_0000, processor });
  const hypervisor = new Hypervisor(new RootModePort(machine));
  const sent: number[] = [];
  const line = { transmit: (byte: number) => sent.push(byte) };
  const image = program('mov eax, 0x80000001\n cpuid\n mov eax, edx\n call print_hex\n rdtscp\n jmp off\ntimer:');
  const vm = hypervisor.createVm({ memory: 0x40_0000, image, paging: 'shadow', serial: [line] });
  hypervisor.run();
  expect(String.fromCharCode(...sent)).toBe('00100000\n');
  expect(vm.stopReason?.kind).toBe('triple-fault');
});

test('IA32_DEBUGCTL is saved with a VM', () => {
  const image = program(`
        mov ecx, 0x1d9
        mov eax, 2
        xor edx, edx
        wrmsr
        mov ecx, 5000
        loop $
        mov ecx, 0x1d9
        rdmsr
        call print_hex
        jmp off
timer:
`);
  const first = world();
  const vm = first.add(image);
  first.hypervisor.run({ maxInstructions: 1000 });
  const second = world();
  const heir = second.add(image);
  second.hypervisor.restore(heir, JSON.parse(JSON.stringify(first.hypervisor.save(vm))));
  second.hypervisor.run();
  expect(second.outcome(heir).output).toBe('00000002\n');
});
