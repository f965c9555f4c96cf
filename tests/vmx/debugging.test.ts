/** Debugging in VMX non-root operation (SDM Vol. 3, "Delivery of Pending Debug Exceptions after VM Entry", "Monitor Trap Flag",
 *  "Saving Non-Register State", "VM Exits Induced by…", "Architectural State Before a VM Exit"). */
import { describe, expect, test } from 'vitest';
import { DEBUGCTL, DR6, DR7, EAX, EBX, ECX, EDI } from '../../src/base/registers.ts';
import { PIN_BASED, PRIMARY, VM_ENTRY, VM_EXIT } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, gate, type World } from './support.ts';

const PRIMARY_CONTROLS = F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const PENDING = F.GUEST_PENDING_DEBUG_EXCEPTIONS;
const INFO = F.VM_ENTRY_INTERRUPTION_INFORMATION;
const HLT = 0xf4;
const NOP = 0x90;
const CPUID = [0x0f, 0xa2];
/** MOV SS, [8_0000h]; the baseline's SS selector has to stand there. */
const MOV_SS = [0x8e, 0x15, 0, 0, 8, 0];
const WATCHED = 0x8_0000;
/** Guest handlers, each an INC EBX and a HLT. */
const HANDLER = 0x2_8000;
const TF = 0x102;
const BS = 0x4000;
const ENABLED = 0x1000;
const BY_MOV_SS = 2;

/** A guest with a handler for each vector named; debug exceptions exit if `exits`. */
function guest(exits: boolean, ...code: number[]): World {
  const world = baseline();
  world.root.memory.writeBytes(HANDLER, Uint8Array.from([0x43, HLT]));
  for (const vector of [1, 3, 6, 32]) gate(world, vector, HANDLER);
  if (exits) world.set(F.EXCEPTION_BITMAP, 2);
  world.root.memory.write32(WATCHED, 0x10);
  world.code(...code, HLT);
  return world;
}

/** The guest enables a data breakpoint on WATCHED, reads and writes of four bytes. The code behind stands at AT.code. */
function watching(exits: boolean, ...code: number[]): World {
  const world = guest(exits, ...code);
  world.root.memory.writeBytes(
    AT.code - 13,
    Uint8Array.from([0xb8, 0, 0, 8, 0, 0x0f, 0x23, 0xc0, 0x0f, 0x23, 0xf9, NOP, NOP]), // mov eax, WATCHED; mov dr0, eax; mov dr7, ecx
  );
  world.root.setRegister(ECX, 0xf_0001);
  world.set(F.GUEST_RIP, AT.code - 13);
  return world;
}

const S = (world: World): Int32Array => world.machine.cpu.S;
/** Reason, qualification, and how far the guest got. */
const outcome = (world: World, launch = true) => ({
  reason: exitReason(world, launch),
  qualification: world.get(F.EXIT_QUALIFICATION),
  at: world.get(F.GUEST_RIP) - AT.code,
});
const db = (qualification: number, at: number) => ({ reason: EXIT.EXCEPTION_OR_NMI, qualification, at });
const halted = (at: number) => ({ reason: EXIT.HLT, qualification: 0, at });
const inHandler = HANDLER + 1 - AT.code;

describe('debug exceptions', () => {
  test('a single-step trap exits with BS; DR6 is not told, DR7 is as it was', () => {
    const world = guest(true, NOP, NOP);
    world.set(F.GUEST_RFLAGS, TF);
    expect(outcome(world)).toEqual(db(BS, 1));
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(0x8000_0301);
    expect(S(world)[DR6] >>> 0).toBe(0xffff_0ff0);
    expect(world.get(PENDING)).toBe(0);
    expect(world.get(F.GUEST_RFLAGS)).toBe(TF);
  });

  test('without its bit in the bitmap the guest handles it, and DR6 tells', () => {
    const world = guest(false, NOP, NOP);
    world.set(F.GUEST_RFLAGS, TF);
    expect(outcome(world)).toEqual(halted(inHandler));
    expect(S(world)[DR6] >>> 0).toBe(0xffff_4ff0);
    expect(world.root.memory.read32(AT.stack - 12)).toBe(AT.code + 1);
  });

  test('a data breakpoint exits with its number', () => {
    const world = watching(true, 0xa3, 0, 0, 8, 0, NOP); // mov [WATCHED], eax
    expect(outcome(world)).toEqual(db(1, 5));
  });

  test('a breakpoint on an instruction exits with its number before it, RF saved as 0', () => {
    const world = watching(true, NOP);
    world.root.memory.writeBytes(AT.code - 12, Uint8Array.from([0, 0, 2, 0])); // mov eax, AT.code
    world.root.setRegister(ECX, 1);
    expect(outcome(world)).toEqual(db(1, 0));
    expect(world.get(F.GUEST_RFLAGS)).toBe(2);
    world.set(F.GUEST_RFLAGS, 0x1_0002);
    expect(outcome(world, false)).toEqual(halted(1));
  });

  test('general detect exits with BD, RF saved as 1, and GD stays set', () => {
    const world = guest(true, 0x0f, 0x21, 0xc0); // mov eax, dr0
    world.set(F.GUEST_DR7, 0x2400);
    expect(outcome(world)).toEqual(db(0x2000, 0));
    expect(world.get(F.GUEST_RFLAGS)).toBe(0x1_0002);
    expect(world.get(F.GUEST_DR7)).toBe(0x2400);
  });

  test('INT1 exits as a privileged software exception, with its length and an empty qualification', () => {
    const world = guest(true, NOP, 0xf1);
    expect(outcome(world)).toEqual(db(0, 1));
    expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION)).toBe(0x8000_0501);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(1);
  });

  test('an injected one changes neither DR6 nor DR7', () => {
    const world = guest(false, NOP);
    world.set(F.GUEST_DR7, 0x2400);
    world.set(INFO, 0x8000_0301);
    expect(outcome(world)).toEqual(halted(inHandler));
    expect(S(world)[DR6] >>> 0).toBe(0xffff_0ff0);
    expect(world.get(F.GUEST_DR7)).toBe(0x2400);
  });
});

describe('MOV DR', () => {
  test.each([
    ['mov dr7, ebx', [0x0f, 0x23, 0xfb], 0x307],
    ['mov esi, dr0', [0x0f, 0x21, 0xc6], 0x610],
  ])('%s exits with register, direction and general register', (_, code, qualification) => {
    const world = guest(false, ...code);
    control(world, PRIMARY_CONTROLS, PRIMARY.MOV_DR_EXITING);
    expect(outcome(world)).toEqual({ reason: EXIT.MOV_DR, qualification, at: 0 });
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(3);
  });

  test('the exit comes before #UD for DR4 with CR4.DE, and before general detect', () => {
    const world = guest(true, 0x0f, 0x21, 0xe0); // mov eax, dr4
    world.set(F.GUEST_CR4, 0x2018);
    world.set(F.GUEST_DR7, 0x2400);
    control(world, PRIMARY_CONTROLS, PRIMARY.MOV_DR_EXITING);
    expect(outcome(world)).toEqual({ reason: EXIT.MOV_DR, qualification: 0x14, at: 0 });
  });
});

describe('debug controls', () => {
  test('an entry loads DR7 and IA32_DEBUGCTL if it is told to; an exit always resets them', () => {
    const world = guest(false, 0x0f, 0x21, 0xf8); // mov eax, dr7
    world.set(F.GUEST_DR7, 0xff55_ffff);
    world.set(F.GUEST_IA32_DEBUGCTL, 2);
    world.set(F.GUEST_RFLAGS, 2);
    control(world, F.VM_ENTRY_CONTROLS, VM_ENTRY.LOAD_DEBUG_CONTROLS);
    world.set(F.GUEST_DR7, 0xff55_d000);
    expect(outcome(world)).toEqual(halted(3));
    expect(world.root.getRegister(EAX) >>> 0).toBe(0xff55_0400); // bits 15, 14, 12 are 0
    expect([S(world)[DR7], S(world)[DEBUGCTL]]).toEqual([0x400, 0]);
  });

  test('without that control the guest has those of root mode', () => {
    const world = guest(false, 0x0f, 0x21, 0xf8);
    control(world, F.VM_ENTRY_CONTROLS, VM_ENTRY.LOAD_DEBUG_CONTROLS, false);
    world.set(F.GUEST_DR7, 0x55);
    expect(outcome(world)).toEqual(halted(3));
    expect(world.root.getRegister(EAX)).toBe(0x400);
  });

  test('an exit saves them if it is told to', () => {
    const code = [0x0f, 0x23, 0xf9]; // mov dr7, ecx
    for (const saves of [true, false]) {
      const world = guest(false, ...code);
      world.root.setRegister(ECX, 0x300);
      control(world, F.VM_EXIT_CONTROLS, VM_EXIT.SAVE_DEBUG_CONTROLS, saves);
      expect(outcome(world)).toEqual(halted(3));
      expect(world.get(F.GUEST_DR7)).toBe(saves ? 0x700 : 0x400);
    }
  });
});

describe('pending debug exceptions', () => {
  test('are delivered before the first instruction', () => {
    const world = guest(true, NOP);
    world.set(PENDING, ENABLED | 5);
    expect(outcome(world)).toEqual(db(5, 0));
    expect(world.get(PENDING)).toBe(0);
  });

  test('a single step that was pending as well', () => {
    const world = guest(true, NOP);
    world.set(F.GUEST_RFLAGS, TF);
    world.set(PENDING, BS);
    expect(outcome(world)).toEqual(db(BS, 0));
  });

  test('B0 to B3 alone make none', () => {
    const world = guest(true, NOP);
    world.set(PENDING, 3);
    expect(outcome(world)).toEqual(halted(1));
  });

  test('wait for one instruction while MOV SS blocks them', () => {
    const world = guest(true, NOP, NOP);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, BY_MOV_SS);
    world.set(PENDING, ENABLED | 8);
    expect(outcome(world)).toEqual(db(8, 1));
  });

  test('do not wait for STI', () => {
    const world = guest(true, NOP, NOP);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, 1);
    world.set(PENDING, ENABLED | 8);
    expect(outcome(world)).toEqual(db(8, 0));
  });

  test('wake a halted guest', () => {
    const world = guest(false, NOP);
    world.set(F.GUEST_ACTIVITY_STATE, 1);
    world.set(PENDING, ENABLED | 1);
    expect(outcome(world)).toEqual(halted(inHandler));
  });

  test.each([
    ['an external interrupt', 0x8000_0020, 0],
    ['a hardware exception', 0x8000_0306, 0],
    ['INT n without blocking by MOV SS', 0x8000_0420, 0],
    ['INT3 without blocking by MOV SS', 0x8000_0603, 0],
    ['INT1 under blocking by MOV SS', 0x8000_0501, BY_MOV_SS],
  ])('are lost when %s is injected', (_, info, blocking) => {
    const world = guest(true, NOP);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, blocking);
    world.set(INFO, info);
    world.set(F.VM_ENTRY_INSTRUCTION_LENGTH, 2);
    world.set(PENDING, ENABLED | 1);
    expect(outcome(world)).toEqual(halted(inHandler));
  });

  test.each([
    ['INT n', 0x8000_0420],
    ['INT3', 0x8000_0603],
  ])('with %s injected under blocking by MOV SS they come before the first instruction of its handler', (_, info) => {
    const world = guest(true, NOP);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, BY_MOV_SS);
    world.set(INFO, info);
    world.set(F.VM_ENTRY_INSTRUCTION_LENGTH, 2);
    world.set(PENDING, ENABLED | 1);
    expect(outcome(world)).toEqual(db(1, HANDLER - AT.code));
  });

  test('are saved by an exit of the instruction behind MOV SS, and delivered when it is passed over', () => {
    const world = watching(true, ...MOV_SS, ...CPUID, NOP);
    expect(outcome(world)).toEqual({ reason: EXIT.CPUID, qualification: 0, at: 6 });
    expect(world.get(PENDING)).toBe(ENABLED | 1);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(BY_MOV_SS);
    world.set(F.GUEST_RIP, AT.code + 8);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, 0);
    expect(outcome(world, false)).toEqual(db(1, 8));
  });

  test('with TF the exit behind MOV SS saves BS, as the checks of the next entry want', () => {
    const world = guest(true, ...MOV_SS, ...CPUID);
    world.set(F.GUEST_RFLAGS, TF);
    expect(outcome(world)).toEqual({ reason: EXIT.CPUID, qualification: 0, at: 6 });
    expect(world.get(PENDING)).toBe(BS);
    expect(world.root.vmresume()).toEqual({ kind: 'exit' });
    expect(world.get(F.EXIT_REASON)).toBe(EXIT.CPUID);
  });

  test('an instruction that exits makes no trap', () => {
    const world = guest(true, ...CPUID);
    world.set(F.GUEST_RFLAGS, TF);
    expect(outcome(world)).toEqual({ reason: EXIT.CPUID, qualification: 0, at: 0 });
    expect(world.get(PENDING)).toBe(0);
    expect(world.get(F.GUEST_RFLAGS)).toBe(TF);
  });

  test('come before the preemption timer, which then exits at their handler', () => {
    const world = guest(false, NOP);
    control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(PENDING, ENABLED | 1);
    expect(outcome(world)).toEqual({ reason: EXIT.PREEMPTION_TIMER, qualification: 0, at: HANDLER - AT.code });
    expect(world.root.memory.read32(AT.stack - 12)).toBe(AT.code);
  });
});

describe('the monitor trap flag', () => {
  const stepped = (...code: number[]): World => {
    const world = guest(true, ...code);
    control(world, PRIMARY_CONTROLS, PRIMARY.MONITOR_TRAP_FLAG);
    return world;
  };
  const trapped = (at: number) => ({ reason: EXIT.MONITOR_TRAP_FLAG, qualification: 0, at });

  test('exits after each instruction', () => {
    const world = stepped(NOP, 0x40, 0xeb, 0x01, NOP); // nop; inc eax; jmp $+3
    expect([outcome(world), outcome(world, false), outcome(world, false), outcome(world, false)]).toEqual([
      trapped(1),
      trapped(2),
      trapped(5),
      halted(5),
    ]);
  });

  test('exits after each iteration of a string instruction', () => {
    const world = stepped(0xf3, 0xaa); // rep stosb
    world.root.setRegister(ECX, 2);
    world.root.setRegister(EDI, 0x8_0000);
    expect([outcome(world), outcome(world, false), outcome(world, false)]).toEqual([trapped(0), trapped(2), halted(2)]);
  });

  test('exits after the delivery of a fault, of INT n and of an injected event', () => {
    const handler = trapped(HANDLER - AT.code);
    expect(outcome(stepped(0x0f, 0x0b))).toEqual(handler); // ud2
    expect(outcome(stepped(0xcd, 0x20))).toEqual(handler); // int 20h
    const world = stepped(NOP);
    world.set(INFO, 0x8000_0306);
    expect(outcome(world)).toEqual(handler);
    expect(world.root.getRegister(EBX)).toBe(0);
  });

  test('does not count an instruction that exits', () => {
    expect(outcome(stepped(...CPUID))).toEqual({ reason: EXIT.CPUID, qualification: 0, at: 0 });
  });

  test('injected as an event it exits before the first instruction, whatever the control says', () => {
    for (const on of [true, false]) {
      const world = guest(true, NOP);
      control(world, PRIMARY_CONTROLS, PRIMARY.MONITOR_TRAP_FLAG, on);
      world.set(INFO, 0x8000_0700);
      expect(outcome(world)).toEqual(trapped(0));
      expect(outcome(world, false)).toEqual(on ? trapped(1) : halted(1));
    }
  });

  test('goes before a debug trap, which stays pending', () => {
    const world = stepped(NOP, NOP);
    world.set(F.GUEST_RFLAGS, TF);
    expect(outcome(world)).toEqual(trapped(1));
    expect(world.get(PENDING)).toBe(BS);
    control(world, PRIMARY_CONTROLS, PRIMARY.MONITOR_TRAP_FLAG, false);
    expect(outcome(world, false)).toEqual(db(BS, 1));
  });

  test('that is pending is part of a saved processor', () => {
    const world = guest(true, NOP);
    const { context } = world.vmx;
    context.trapFlagPending = true;
    const state = world.vmx.save();
    context.trapFlagPending = false;
    world.vmx.restore(state);
    expect(context.trapFlagPending).toBe(true);
  });
});

describe('RF in the flags that an exit saves', () => {
  test('is 0 after an instruction that exits, although the entry had set it', () => {
    const world = guest(true, ...CPUID);
    world.set(F.GUEST_RFLAGS, 0x1_0002);
    outcome(world);
    expect(world.get(F.GUEST_RFLAGS)).toBe(2);
  });

  test('is as it was when nothing has executed', () => {
    const world = guest(true, NOP);
    control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
    world.set(F.GUEST_RFLAGS, 0x1_0002);
    expect(outcome(world)).toEqual({ reason: EXIT.PREEMPTION_TIMER, qualification: 0, at: 0 });
    expect(world.get(F.GUEST_RFLAGS)).toBe(0x1_0002);
  });

  test('is 1 between two iterations of a string instruction, 0 after the last', () => {
    for (const [time, flags] of [
      [3, 0x1_0002],
      [4, 2],
    ] as const) {
      const world = guest(true, 0xf3, 0xaa, NOP);
      control(world, F.PIN_BASED_VM_EXECUTION_CONTROLS, PIN_BASED.ACTIVATE_VMX_PREEMPTION_TIMER);
      world.set(F.VMX_PREEMPTION_TIMER_VALUE, time);
      world.root.setRegister(ECX, 4);
      world.root.setRegister(EDI, 0x8_0000);
      expect(outcome(world).reason).toBe(EXIT.PREEMPTION_TIMER);
      expect(world.get(F.GUEST_RFLAGS)).toBe(flags);
    }
  });
});
