import { describe, expect, test } from 'vitest';
import { CR2, EAX, EBX, ESI, INTERRUPTIBILITY } from '../../src/base/registers.ts';
import { dispatch } from '../../src/cpu/far/events.ts';
import { PIN_BASED, PRIMARY, SECONDARY, VM_EXIT } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { interruptionText } from '../../src/vmx/qualification.ts';
import { AT, baseline, control, exitReason, gate, type World } from './support.ts';

const PIN = F.PIN_BASED_VM_EXECUTION_CONTROLS;
const CONTROLS = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const INFO = F.VM_ENTRY_INTERRUPTION_INFORMATION;
const HLT = 0xf4;
/** Guest handlers, each an INC EBX and a HLT. */
const HANDLER = 0x2_8000;

function guestWithHandlers(...vectors: number[]): World {
  const world = baseline();
  world.root.memory.writeBytes(HANDLER, Uint8Array.from([0x43, HLT]));
  for (const vector of vectors) gate(world, vector, HANDLER);
  return world;
}

const play = (world: World, ...bytes: number[]): number => {
  world.code(...bytes, HLT);
  return exitReason(world);
};
const info = (world: World) => world.get(F.VM_EXIT_INTERRUPTION_INFORMATION);
const vectoring = (world: World) => world.get(F.IDT_VECTORING_INFORMATION);
/** The frame that a delivery at CPL 0 left on the guest's stack, lowest address first. */
const frame = (world: World, words: number): number[] =>
  Array.from({ length: words }, (_, n) => world.root.memory.read32(world.get(F.GUEST_RSP) + 4 * n));

describe('exceptions', () => {
  test('a bit in the bitmap makes one exit, with vector, type and error code', () => {
    const world = guestWithHandlers(6);
    world.set(F.EXCEPTION_BITMAP, 1 << 6);
    expect(play(world, 0x0f, 0x0b)).toBe(EXIT.EXCEPTION_OR_NMI); // ud2
    expect(info(world)).toBe(0x8000_0306);
    expect(interruptionText(info(world), 0)).toBe('hardware exception 6');
    expect(vectoring(world)).toBe(0);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(world.get(F.GUEST_RFLAGS) & 0x1_0000).toBe(0x1_0000);
  });

  test('without it the guest handles its own', () => {
    const world = guestWithHandlers(6);
    expect(play(world, 0x0f, 0x0b)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(1);
    expect(frame(world, 3)).toEqual([AT.code, 8, 0x1_0002]);
  });

  test('a page fault exits with its address, which does not go to CR2', () => {
    const world = guestWithHandlers(14);
    world.set(F.EXCEPTION_BITMAP, 1 << 14);
    world.root.setCr2(0x77);
    world.root.setRegister(ESI, 0x80_0004);
    expect(play(world, 0x89, 0x06)).toBe(EXIT.EXCEPTION_OR_NMI); // mov [esi], eax
    expect(info(world)).toBe(0x8000_0b0e);
    expect(world.get(F.VM_EXIT_INTERRUPTION_ERROR_CODE)).toBe(2);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(0x80_0004);
    expect(world.root.getCr2()).toBe(0x77);
  });

  test.each([
    // [bitmap bit 14, mask, match, exits on a write fault (error code 2)]
    [1, 0, 0, true],
    [1, 2, 2, true],
    [1, 2, 0, false],
    [0, 2, 0, true],
    [0, 2, 2, false],
    [0, 0, -1, true],
    [0, 0, 0, false],
  ])('page faults: bitmap %i, mask %i, match %i', (bit, mask, match, exits) => {
    const world = guestWithHandlers(14);
    world.set(F.EXCEPTION_BITMAP, bit << 14);
    world.set(F.PAGE_FAULT_ERROR_CODE_MASK, mask);
    world.set(F.PAGE_FAULT_ERROR_CODE_MATCH, match);
    world.root.setRegister(ESI, 0x80_0000);
    expect(play(world, 0x89, 0x06)).toBe(exits ? EXIT.EXCEPTION_OR_NMI : EXIT.HLT);
    expect(world.machine.cpu.S[CR2]).toBe(exits ? 0 : 0x80_0000);
  });

  test('INT3 and INTO are software exceptions, INT n exits never', () => {
    const world = guestWithHandlers(3, 4, 0x40);
    world.set(F.EXCEPTION_BITMAP, -1);
    expect(play(world, 0xcc)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(info(world)).toBe(0x8000_0603);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(1);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    world.code(0xcd, 0x40);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(frame(world, 1)).toEqual([AT.code + 2]);
  });

  test('a fault on the way to a handler exits with the first event as IDT-vectoring information', () => {
    const world = guestWithHandlers();
    world.set(F.EXCEPTION_BITMAP, 1 << 11);
    world.root.memory.write32(AT.idt + 8 * 0x40 + 4, 0x0e00); // gate not present
    world.root.memory.write32(AT.idt + 8 * 0x40, 8 << 16);
    expect(play(world, 0x90, 0xcd, 0x40)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(info(world)).toBe(0x8000_0b0b); // #NP
    expect(world.get(F.VM_EXIT_INTERRUPTION_ERROR_CODE)).toBe(0x40 * 8 + 2);
    expect(vectoring(world)).toBe(0x8000_0440);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(2);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 1);
  });

  test('a double fault exits as such, without IDT-vectoring information', () => {
    const world = baseline(); // its IDT is empty
    world.set(F.EXCEPTION_BITMAP, 1 << 8);
    expect(play(world, 0x0f, 0x0b)).toBe(EXIT.EXCEPTION_OR_NMI); // #UD, #GP, #DF
    expect(info(world) & 0xffff_f7ff).toBe(0x8000_0308 | 0);
    expect(vectoring(world)).toBe(0);
  });

  test('a triple fault exits', () => {
    const world = baseline();
    expect(play(world, 0x0f, 0x0b)).toBe(EXIT.TRIPLE_FAULT);
    expect(vectoring(world)).toBe(0);
  });

  test('an EPT violation on the way to a handler tells the event', () => {
    const world = guestWithHandlers(6);
    for (let n = 0; n < 512; n++) world.root.memory.write32(AT.eptTable + 8 * n, (n << 12) | 0x37);
    world.root.memory.write32(AT.eptTable + 8 * ((AT.stack >> 12) - 1), 0); // the page below the stack pointer
    world.root.memory.write32(AT.eptDirectory, AT.eptTable | 7);
    expect(play(world, 0x0f, 0x0b)).toBe(EXIT.EPT_VIOLATION);
    expect(vectoring(world)).toBe(0x8000_0306);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    expect(world.get(F.GUEST_RSP)).toBe(AT.stack);
    expect(world.get(F.GUEST_RFLAGS)).toBe(0x1_0002); // as the delivery would have pushed it
  });

  test('a task gate exits with its selector', () => {
    const world = baseline();
    world.root.memory.write32(AT.idt + 8 * 0x40, 0x18 << 16);
    world.root.memory.write32(AT.idt + 8 * 0x40 + 4, 0x8500);
    world.root.memory.write32(AT.gdt + 0x1c, 0x8900);
    expect(play(world, 0xcd, 0x40)).toBe(EXIT.TASK_SWITCH);
    expect(world.get(F.EXIT_QUALIFICATION)).toBe(0xc000_0018);
    expect(vectoring(world)).toBe(0x8000_0440);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(2);
  });
});

describe('injection', () => {
  test('an external interrupt goes through the guest IDT, and the request is taken back', () => {
    const world = guestWithHandlers(0x20);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(INFO, 0x8000_0020);
    expect(play(world, 0x90)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(1);
    expect(frame(world, 3)).toEqual([AT.code, 8, 0x202]);
    expect(world.get(INFO)).toBe(0x20);
    expect(world.machine.instructions).toBe(1); // delivery takes no time, HLT was left to the hypervisor
  });

  test('an exception brings its error code, and is not subject to the exception bitmap', () => {
    const world = guestWithHandlers(14);
    world.set(F.EXCEPTION_BITMAP, 1 << 14);
    world.set(INFO, 0x8000_0b0e);
    world.set(F.VM_ENTRY_EXCEPTION_ERROR_CODE, 7);
    world.root.setCr2(0x1234);
    expect(play(world)).toBe(EXIT.HLT);
    expect(frame(world, 3)).toEqual([7, AT.code, 8]);
    expect(world.root.getCr2()).toBe(0x1234);
  });

  test('a software interrupt returns behind the instruction that it stands for', () => {
    const world = guestWithHandlers(0x40);
    world.set(INFO, 0x8000_0440);
    world.set(F.VM_ENTRY_INSTRUCTION_LENGTH, 2);
    expect(play(world)).toBe(EXIT.HLT);
    expect(frame(world, 1)).toEqual([AT.code + 2]);
  });

  test('a fault during the delivery exits with the injected event as IDT-vectoring information', () => {
    const world = baseline();
    world.set(F.EXCEPTION_BITMAP, 1 << 13);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(INFO, 0x8000_0030);
    expect(play(world)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(info(world)).toBe(0x8000_0b0d);
    expect(vectoring(world)).toBe(0x8000_0030);
    expect(world.get(INFO)).toBe(0x30);
  });

  test('an event wakes a guest that enters halted', () => {
    const world = guestWithHandlers(0x20);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(F.GUEST_ACTIVITY_STATE, 1);
    world.set(INFO, 0x8000_0020);
    expect(play(world)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(1);
    expect(world.get(F.GUEST_ACTIVITY_STATE)).toBe(0);
  });

  test('an injected NMI blocks NMIs until IRET', () => {
    const world = guestWithHandlers(2);
    world.set(INFO, 0x8000_0202);
    expect(play(world)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(8);
  });

  test('after a failed entry the request is still valid', () => {
    const world = baseline();
    world.set(INFO, 0x8000_0020); // RFLAGS.IF is 0
    expect(exitReason(world)).toBe(0x8000_0021);
    expect(world.get(INFO)).toBe(0x8000_0020);
  });
});

describe('external interrupts', () => {
  /** Raises IRQ 0 through the interrupt controller of the board. */
  function irq0(world: World): void {
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x50],
      [0x21, 4],
      [0x21, 1],
      [0x21, 0xfe],
      [0x43, 0x30],
      [0x40, 1],
      [0x40, 0],
    ] as const) {
      world.root.portWrite(port, value, 1);
    }
  }
  /** inc eax; jmp to itself. */
  const LOOP = [0x40, 0xeb, 0xfd];

  test('exit whatever IF says, with the vector if acknowledged on exit', () => {
    const world = baseline();
    irq0(world);
    expect(play(world, ...LOOP)).toBe(EXIT.EXTERNAL_INTERRUPT);
    expect(info(world)).toBe(0x8000_0050);
    expect(world.machine.cpu.interruptLine).toBe(false);
    expect(world.machine.instructions).toBeGreaterThanOrEqual(838);
    expect(world.machine.instructions).toBeLessThan(3000);
  });

  test('stay pending if not acknowledged', () => {
    const world = baseline();
    control(world, F.VM_EXIT_CONTROLS, VM_EXIT.ACKNOWLEDGE_INTERRUPT_ON_EXIT, false);
    irq0(world);
    expect(play(world, ...LOOP)).toBe(EXIT.EXTERNAL_INTERRUPT);
    expect(info(world)).toBe(0);
    expect(world.machine.cpu.interruptLine).toBe(true);
    expect(exitReason(world, false)).toBe(EXIT.EXTERNAL_INTERRUPT);
  });

  test('go to the guest itself without external-interrupt exiting, when IF allows', () => {
    const world = guestWithHandlers(0x50);
    control(world, PIN, PIN_BASED.EXTERNAL_INTERRUPT_EXITING, false);
    world.set(F.GUEST_RFLAGS, 0x202);
    irq0(world);
    expect(play(world, ...LOOP)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(1);
  });

  test('wake a halted guest by an exit', () => {
    const world = baseline();
    control(world, CONTROLS, PRIMARY.HLT_EXITING, false);
    irq0(world);
    expect(play(world)).toBe(EXIT.EXTERNAL_INTERRUPT);
    expect(world.get(F.GUEST_ACTIVITY_STATE)).toBe(1);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 1);
  });
});

describe('windows and timer', () => {
  test('the interrupt window opens as soon as IF is set and nothing blocks', () => {
    const world = baseline();
    control(world, CONTROLS, PRIMARY.INTERRUPT_WINDOW_EXITING);
    expect(play(world, 0x90, 0xfb, 0x90, 0x90)).toBe(EXIT.INTERRUPT_WINDOW); // nop; sti; nop; nop
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 3);
    expect(exitReason(world, false)).toBe(EXIT.INTERRUPT_WINDOW); // still open
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 3);
  });

  test('the NMI window opens when IRET ends the blocking', () => {
    const world = baseline();
    control(world, PIN, PIN_BASED.VIRTUAL_NMIS);
    control(world, CONTROLS, PRIMARY.NMI_WINDOW_EXITING);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, 8);
    // push flags, CS and the address behind; iret
    expect(play(world, 0x9c, 0x0e, 0x68, 0x09, 0x00, 0x02, 0x00, 0x90, 0xcf)).toBe(EXIT.NMI_WINDOW);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code + 9);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(0);
  });

  test('the preemption timer counts instructions exactly and is saved', () => {
    const world = baseline();
    control(world, PIN, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    control(world, F.VM_EXIT_CONTROLS, VM_EXIT.SAVE_VMX_PREEMPTION_TIMER_VALUE);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 1001);
    expect(play(world, 0x40, 0xeb, 0xfd)).toBe(EXIT.PREEMPTION_TIMER);
    expect(world.machine.instructions).toBe(1001);
    expect(world.root.getRegister(EAX)).toBe(501);
    expect(world.get(F.VMX_PREEMPTION_TIMER_VALUE)).toBe(0);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 100);
    world.code(0x90, 0x90, HLT);
    world.set(F.GUEST_RIP, AT.code);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.get(F.VMX_PREEMPTION_TIMER_VALUE)).toBe(98);
  });

  test('a timer of 0 expires before the first instruction, but after an injected event', () => {
    const world = guestWithHandlers(0x20);
    control(world, PIN, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    expect(play(world, 0x40)).toBe(EXIT.PREEMPTION_TIMER);
    expect(world.get(F.GUEST_RIP)).toBe(AT.code);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(INFO, 0x8000_0020);
    expect(exitReason(world, false)).toBe(EXIT.PREEMPTION_TIMER);
    expect(world.get(F.GUEST_RIP)).toBe(HANDLER);
    expect(world.machine.instructions).toBe(0);
  });

  test('the timer ends HLT', () => {
    const world = baseline();
    control(world, PIN, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    control(world, CONTROLS, PRIMARY.HLT_EXITING, false);
    world.set(F.VMX_PREEMPTION_TIMER_VALUE, 50_000);
    expect(play(world)).toBe(EXIT.PREEMPTION_TIMER);
    expect(world.get(F.GUEST_ACTIVITY_STATE)).toBe(1);
    expect(world.root.now()).toBe(50_000);
  });
});

describe('NMIs', () => {
  const nmi = { vector: 2, type: 2, errorCode: -1, instructionLength: 0, address: 0 } as const;

  test('exit by the pin-based control, and are blocked afterwards', () => {
    const world = baseline();
    world.root.maxInstructions = 10;
    world.code(0x40, 0xeb, 0xfd);
    expect(world.root.vmlaunch()).toEqual({ kind: 'budget' });
    dispatch(world.machine.cpu, nmi);
    expect(world.root.resumeInterrupted()).toEqual({ kind: 'exit' });
    expect(world.get(F.EXIT_REASON)).toBe(EXIT.EXCEPTION_OR_NMI);
    expect(info(world)).toBe(0x8000_0202);
    expect(world.machine.cpu.S[INTERRUPTIBILITY]).toBe(8);
  });
});

describe('unrestricted guest', () => {
  test('runs real mode: no paging, vectors from the table at 0', () => {
    const world = baseline();
    control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.UNRESTRICTED_GUEST);
    world.set(F.GUEST_CR0, 0x30);
    for (let n = 0; n < 6; n++) {
      world.set(F.GUEST_ES_SELECTOR + 2 * n, 0x2000);
      world.set(F.GUEST_ES_BASE + 2 * n, 0x2_0000);
      world.set(F.GUEST_ES_LIMIT + 2 * n, 0xffff);
      world.set(F.GUEST_ES_ACCESS_RIGHTS + 2 * n, n === 1 ? 0x9b : 0x93);
    }
    world.set(F.GUEST_IDTR_BASE, 0x2_1000);
    world.set(F.GUEST_RIP, 0);
    world.set(F.GUEST_RSP, 0x8000);
    world.root.memory.write32(0x2_1000 + 4 * 0x21, 0x2000_0100);
    world.root.memory.writeBytes(0x2_0100, Uint8Array.from([0x43, HLT])); // inc bx; hlt
    expect(play(world, 0xb8, 0x34, 0x12, 0xcd, 0x21)).toBe(EXIT.HLT); // mov ax, 1234h; int 21h
    expect(world.root.getRegister(EAX)).toBe(0x1234);
    expect(world.root.getRegister(EBX)).toBe(1);
    expect(world.get(F.GUEST_RIP)).toBe(0x101);
    expect(world.root.memory.read16(0x2_0000 + 0x8000 - 6)).toBe(5);
  });
});
