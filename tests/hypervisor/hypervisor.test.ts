import { describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { VM_OWNER } from '../../src/hypervisor/frames.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import { GUEST_BYTES, kernel, program, runBare, runNested, world } from './worlds.ts';

/** Interrupted by the timer 12 times; each handler prints where, after how many loops, and at what time. */
const INTERRUPTED = program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 37                  ; 37 pulses of 838 instructions
        out 0x40, al
        mov al, 0
        out 0x40, al
        xor esi, esi
        sti
again:  inc esi
        lea ebp, [esi * 4 + 3]
        xor ebp, esi
        pushad
        mov edi, 0x300000
        mov ecx, 50
        rep stosd
        popad
        test esi, 7
        jnz again
        cli
        nop
        sti
        nop
        cmp dword [count], 12
        jb again
        jmp off
count:  dd 0
timer:  inc dword [count]
        pushad
        rdtsc
        call print_hex
        mov eax, [esp + 32]
        call print_hex
        mov eax, esi
        call print_hex
        popad
        push eax
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
`);

const SLEEPER = program(`
        call setup
        mov al, 0x36
        out 0x43, al
        mov al, 0
        out 0x40, al
        mov al, 0x10
        out 0x40, al
        mov esi, 5
        sti
.sleep: hlt
        rdtsc
        call print_hex
        dec esi
        jnz .sleep
        cli
        hlt
timer:  push eax
        mov al, 0x20
        out 0x20, al
        pop eax
        iretd
`);

/** Ticks arrive while interrupts are off, behind STI, and behind a load of SS. */
const SHADOWED = program(`
        call setup
        mov al, 0x34
        out 0x43, al
        mov al, 5
        out 0x40, al
        mov al, 0
        out 0x40, al
        mov esi, 40
again:  cli
        lea ecx, [esi + 4000]
        loop $
        test esi, 1
        jz .ss
        sti
        inc edi
        inc edi
        jmp .next
.ss:    mov eax, ss
        sti
        mov ss, eax
        inc edi
        inc edi
.next:  dec esi
        jnz again
        jmp off
timer:  pushad
        rdtsc
        call print_hex
        mov eax, [esp + 32]
        call print_hex
        mov al, 0x20
        out 0x20, al
        popad
        iretd
`);

/** Stack, tables and operands in the middle of nowhere. */
const NOWHERE = program(`
        call setup
        mov esp, 0x90001000
        push 0x12345678
        pop eax
        mov esp, 0x90000
        call print_hex
        mov esp, 0x90000008         ; PUSHAD over a page boundary
        pushad
        popad
        mov esp, 0x90000
        call print_hex
        mov eax, 0x11111111
        mov ecx, 0x22222222
        lock cmpxchg [0x91000000], ecx
        call print_hex
        mov edx, 5
        xadd [0x91000ffe], edx
        mov eax, edx
        call print_hex
        bts dword [0xa0000000], 3
        setc al
        call print_hex
        mov eax, 0x77777777
        sub [0xfffff000], eax
        pushfd
        pop eax
        call print_hex
        sidt [0xb0000000]
        mov ax, [0xb0000000]
        call print_hex
        mov esp, 0x90001000
        mov eax, 0x33333333
        int 0x20                    ; delivered to a stack where nothing is kept
timer:  mov eax, [esp]
        mov esp, 0x90000
        call print_hex
        rdtsc
        call print_hex
        lidt [.noidt]               ; all ones are no gate
        int 3
.noidt: dw 0xffff
        dd 0xc0000000
`);

describe('time and interrupts', () => {
  test('a timer interrupt arrives at the same instruction and the same time as on the bare machine', () => {
    const bare = runBare(INTERRUPTED);
    expect(bare.end).toBe('power-off');
    const { vm, ...nested } = runNested(INTERRUPTED);
    expect(nested).toEqual(bare);
    expect(vm.stats.interrupts).toBeGreaterThanOrEqual(12);
    expect(bare.output.split('\n').length).toBe(3 * vm.stats.interrupts + 1);
  });

  test.each([100, 838, 1001, 50_000])('and slices of %i instructions change nothing', (slice) => {
    const { vm, ...nested } = runNested(INTERRUPTED, {}, 20_000_000, { slice });
    expect(nested).toEqual(runBare(INTERRUPTED));
    expect(vm.stats.turns).toBeGreaterThan(1);
  });

  test('what waits for STI, or behind a load of SS, comes at the first instruction that allows it', () => {
    const { vm, ...nested } = runNested(SHADOWED);
    expect(nested).toEqual(runBare(SHADOWED));
    expect(vm.stats.exits(EXIT.INTERRUPT_WINDOW)).toBeGreaterThan(30);
  });

  test('a halted guest wakes at its alarm, and sleeps for ever once interrupts are off', () => {
    const bare = runBare(SLEEPER);
    expect(bare.end).toBe('halted');
    const { vm, ...nested } = runNested(SLEEPER);
    expect(nested).toEqual(bare);
    expect(vm.stats.halted).toBeGreaterThan(5 * 0x800 * 838);
  });

  test('VMs in turn do not feel each other', () => {
    const { hypervisor, add, outcome } = world({ slice: 3333 });
    const vms = [add(INTERRUPTED), add(SLEEPER), add(INTERRUPTED)];
    expect(hypervisor.run().kind).toBe('ended');
    expect(vms.map(outcome)).toEqual([runBare(INTERRUPTED), runBare(SLEEPER), runBare(INTERRUPTED)]);
  });

  test('runs end after exactly as many instructions as allowed, and many short ones are like a long one', () => {
    const whole = runBare(INTERRUPTED);
    const { hypervisor, add, outcome } = world({ slice: 700 });
    const vms = [add(INTERRUPTED), add(SLEEPER)];
    let total = 0;
    for (let step = 1; hypervisor.run({ maxInstructions: 997 + step }).kind === 'limit'; step++) {
      total += 997 + step;
      expect(vms[0].retired + vms[1].retired).toBe(total);
    }
    expect(vms.map(outcome)).toEqual([whole, runBare(SLEEPER)]);
  });

  test('a limit of virtual time holds for guests that run and for guests that sleep', () => {
    const { hypervisor, add } = world();
    const vms = [add(INTERRUPTED), add(SLEEPER)];
    expect(hypervisor.run({ maxTime: 200_000 }).kind).toBe('limit');
    expect(vms.map((vm) => vm.time)).toEqual([200_000, 200_000]);
  });

  test('`until` ends a run at the exit after which it is true', () => {
    const { hypervisor, add, outcome } = world();
    const vm = add(INTERRUPTED);
    expect(hypervisor.run({ until: () => outcome(vm).output.length >= 10 }).kind).toBe('until');
    expect(outcome(vm).output.length).toBe(10);
  });

  test('what comes in from outside wakes a guest that had nothing to wait for', () => {
    const echo = program(`
        call setup
        mov byte [idt + 0x20 * 8 + 5], 0x8e
        mov al, 0x20 - 4            ; IRQ 4 becomes vector 20h
        mov dx, 0x3f9
        mov al, 1
        out dx, al
        in al, 0x21
        mov al, 0x11
        out 0x20, al
        mov al, 0x18
        out 0x21, al
        mov al, 4
        out 0x21, al
        mov al, 1
        out 0x21, al
        mov al, 0xef
        out 0x21, al
        mov eax, timer
        mov [idt + 0x1c * 8], ax
        mov word [idt + 0x1c * 8 + 2], 8
        mov word [idt + 0x1c * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 0x1c * 8 + 6], ax
        sti
.wait:  hlt
        jmp .wait
timer:  mov dx, 0x3f8
        in al, dx
        inc al
        out dx, al
        mov al, 0x20
        out 0x20, al
        iretd
`);
    const { hypervisor, add, outcome } = world();
    const vm = add(echo);
    expect(hypervisor.run().vms[0].state.kind).toBe('halted');
    vm.receive([0x41, 0x42]);
    hypervisor.run();
    expect(outcome(vm).output).toBe('BC');
  });
});

describe('what a guest may see and do', () => {
  test('stacks, tables and operands without memory are ones, whatever instruction meets them', () => {
    const bare = runBare(NOWHERE);
    expect(bare.end).toBe('triple-fault');
    expect(bare.output.split('\n')).toHaveLength(10);
    const { vm, ...nested } = runNested(NOWHERE);
    expect(nested).toEqual(bare);
  });

  test('nothing goes wrong when the processor keeps every translation as long as it may', () => {
    const image = kernel('pages');
    const { hypervisor, add, outcome } = world({ slice: 1000, translationCache: { kind: 'stalest', seed: 4 } });
    const vms = [add(image), add(NOWHERE), add(kernel('mischief'), { commandLine: 'write-beyond' })];
    hypervisor.run();
    expect(vms.map((vm) => outcome(vm).instructions)).toEqual([
      runBare(image).instructions,
      runBare(NOWHERE).instructions,
      runBare(kernel('mischief'), { commandLine: 'write-beyond' }).instructions,
    ]);
    expect(outcome(vms[0]).output).toBe(runBare(image).output);
  });

  test('page faults of two VMs in turn keep their addresses apart', () => {
    const image = kernel('pages');
    const { hypervisor, add, outcome } = world({ slice: 50 });
    const vms = [add(image), add(image)];
    hypervisor.run();
    expect(vms.map(outcome)).toEqual([runBare(image), runBare(image)]);
  });

  test('CPUID shows no VMX; CR0 and CR4 show what the guest wrote; VMX MSRs fault', () => {
    const { output } = runNested(
      program(`
        call setup
        mov eax, timer
        mov [idt + 13 * 8], ax
        mov word [idt + 13 * 8 + 2], 8
        mov word [idt + 13 * 8 + 4], 0x8e00
        shr eax, 16
        mov [idt + 13 * 8 + 6], ax
        mov eax, 1
        cpuid
        mov eax, ecx
        call print_hex
        mov eax, cr0
        call print_hex
        xor eax, 0x20
        mov cr0, eax
        mov eax, cr0
        call print_hex
        xor eax, 0x20
        mov cr0, eax
        mov eax, cr0
        call print_hex
        mov eax, cr4
        call print_hex
        mov ecx, 0x480
        rdmsr
        jmp off
timer:  mov eax, 0x13131313
        call print_hex
        jmp off
`),
    );
    expect(output.split('\n')).toEqual(['00000000', '00000011', '00000031', '00000011', '00000000', '13131313', '']);
  });

  test('code of 32 bits goes on with 32 bits when it leaves protected mode, where there is no memory, too', () => {
    const image = program(`
        call setup
        mov ecx, cr0
        mov eax, ecx
        and eax, ~1
        mov edx, 0xc0000000
        mov esi, 5
        mov cr0, eax
        add esi, [edx + 0x10002]    ; as 16-bit code: ADD SI, [BP + SI + 2], ADD [BX + DI], AX
        mov cr0, ecx
        mov eax, esi
        call print_hex
        jmp off
timer:
`);
    const { vm, ...nested } = runNested(image);
    expect(nested.output).toBe('00000004\n'); // 5 plus all ones
    expect(nested).toEqual(runBare(image));
  });

  test('one VM ends with a triple fault, another with a debug exit; the third is not disturbed', () => {
    const { hypervisor, add, outcome } = world({ slice: 100 });
    const faulty = add(kernel('mischief'), { commandLine: 'triple-fault' });
    const exiting = add(program('mov al, 0x2a\n out 0xf4, al\n jmp off\ntimer:'));
    const third = add(INTERRUPTED);
    hypervisor.run();
    expect(faulty.stopReason).toMatchObject({ kind: 'triple-fault', registers: { cs: 8 } });
    expect(exiting.stopReason).toEqual({ kind: 'debug-exit', value: 0x2a });
    expect(outcome(third)).toEqual(runBare(INTERRUPTED));
  });

  test('a guest that needs what the machine does not have ends; the others run on', () => {
    const x87 = program('mov ecx, 100\n loop $\n inc eax\n db 0xdb, 0xe3\n jmp off\ntimer:');
    const { hypervisor, add, outcome } = world({ slice: 77 });
    const needy = add(x87);
    const other = add(INTERRUPTED);
    expect(hypervisor.run().kind).toBe('ended');
    expect(needy.stopReason).toMatchObject({ kind: 'unimplemented', error: { feature: 'x87' }, registers: { eax: 1 } });
    expect(needy.retired).toBe(runBare(x87).instructions);
    expect(outcome(other)).toEqual(runBare(INTERRUPTED));
  });

  test('a guest that overwrites all it can reach leaves every frame of another VM as it was', () => {
    const { machine, hypervisor, add } = world({ seed: 99 });
    const victim = add(kernel('hello'));
    const attacker = add(kernel('mischief'), { commandLine: 'fill-all' });
    const sum = (): number => {
      let hash = 0;
      for (let frame = 0; frame < hypervisor.frames.frames; frame++) {
        if (hypervisor.frames.ownerOf(frame) !== VM_OWNER + victim.number) continue;
        for (let i = 0; i < 1024; i++) hash = (Math.imul(hash, 31) + machine.memory.i32[frame * 1024 + i]) | 0;
      }
      return hash;
    };
    victim.stopReason = { kind: 'power-off' }; // it does not run
    const before = sum();
    hypervisor.run();
    expect(attacker.stopReason?.kind).toBe('triple-fault');
    expect(sum()).toBe(before);
  });

  test('large pages make no difference to the guest', () => {
    const image = kernel('tasks');
    const { vm, ...nested } = runNested(image, { largePages: true });
    expect(vm.memory.largePages).toBeGreaterThan(0);
    expect(nested).toEqual(runBare(image));
  });
});

describe('saving and restoring', () => {
  test('a VM goes on in another hypervisor, with other frames, as if nothing had happened', () => {
    const image = kernel('tasks');
    const first = world({ seed: 1 });
    const vm = first.add(image);
    first.hypervisor.run({ maxInstructions: 2_222_222 });
    const state = JSON.parse(JSON.stringify(first.hypervisor.save(vm)));

    const second = world({ seed: 2 });
    second.add(kernel('hello'));
    const heir = second.add(kernel('hello'));
    second.hypervisor.restore(heir, state);
    expect(second.hypervisor.save(heir)).toEqual(state);
    second.hypervisor.run();
    const whole = runBare(image);
    const end = second.outcome(heir);
    expect({ ...end, output: first.outcome(vm).output + end.output }).toEqual(whole);
  });

  test('a state that does not fit is refused; one that VM entry refuses ends that VM only', () => {
    const { hypervisor, add, outcome } = world();
    const vm = add(kernel('hello'));
    const other = add(kernel('hello'));
    const state = hypervisor.save(vm);
    expect(() => hypervisor.restore(vm, { ...state, memoryBytes: 4096 })).toThrow(InvalidInput);
    expect(() => hypervisor.restore(vm, { ...state, vcpu: { ...state.vcpu, general: [1] } })).toThrow(InvalidInput);
    expect(() => hypervisor.restore(vm, { ...state, pages: [{ page: 1e9, contents: '' }] })).toThrow(InvalidInput);
    expect(() => hypervisor.restore(vm, { ...state, devices: { devices: [] } })).toThrow(InvalidInput);
    const fields = { ...state.vcpu.fields, GUEST_RFLAGS: 0 };
    hypervisor.restore(vm, { ...state, vcpu: { ...state.vcpu, fields } });
    hypervisor.run();
    expect(vm.stopReason).toMatchObject({
      kind: 'entry-failure',
      message: expect.stringMatching(/invalid guest state\nguest.rflags.bit-1: GUEST_RFLAGS = 0000_0000h, /),
    });
    expect(outcome(other).end).toBe('power-off');
  });
});

test('a machine that is stopped in the middle of a guest can go on, or let the guest be saved, and nothing is lost', () => {
  const whole = runBare(INTERRUPTED);
  const { hypervisor, add, outcome, root } = world({ slice: 5000 });
  const vms = [add(INTERRUPTED), add(INTERRUPTED)];
  for (let limit = 1234; ; limit += 1234) {
    root.maxInstructions = limit;
    if (hypervisor.run().kind === 'ended') break;
    if (limit % 5 === 0) hypervisor.restore(vms[0], JSON.parse(JSON.stringify(hypervisor.save(vms[0]))));
  }
  expect(vms.map(outcome)).toEqual([whole, whole]);
});

describe('what cannot be made', () => {
  test('a VM larger than the machine is refused, and takes no memory', () => {
    const { hypervisor, add } = world();
    const free = hypervisor.frames.free;
    expect(() => add(kernel('hello'), { memory: 16 * GUEST_BYTES })).toThrow(InvalidInput);
    expect(() => add(Uint8Array.of(0xf4), { load: GUEST_BYTES })).toThrow(InvalidInput);
    expect(hypervisor.frames.free).toBe(free);
    expect(hypervisor.vms).toEqual([]);
  });
});
