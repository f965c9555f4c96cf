/** Controls that change what instructions do, or what entry and exit load and save. Expected values: SDM Vol. 3, the chapter on VMX
 *  non-root operation, and the tables of "Information for VM Exits Due to Instruction Execution". */
import { expect, test } from 'vitest';
import { EAX, ECX, EDX } from '../../src/base/registers.ts';
import { eptModel, firstVmxModel } from '../../src/cpu/model.ts';
import { PRIMARY, SECONDARY, VM_ENTRY, VM_EXIT } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, rootMode, type World } from './support.ts';

const secondary = (world: World, bits: number) =>
  control(world, F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, bits);
const primary = (world: World, bits: number) => control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, bits);
const HLT = 0xf4;

test.each([
  // SGDT [ebx+esi*4+12h]: scale 4 (2), 32-bit addresses (1 << 7), operand size 32 (bit 11), DS (3), index ESI (6), base EBX (3), SGDT
  [
    'SGDT',
    [0x0f, 0x01, 0x44, 0xb3, 0x12],
    EXIT.GDTR_OR_IDTR,
    0x12,
    2 | 0x80 | 0x800 | (3 << 15) | (6 << 18) | (3 << 23),
  ],
  // SIDT [ebp-4]: SS by default, no index
  [
    'SIDT',
    [0x0f, 0x01, 0x4d, 0xfc],
    EXIT.GDTR_OR_IDTR,
    0xffff_fffc,
    0x80 | 0x800 | (2 << 15) | (1 << 22) | (5 << 23) | (1 << 28),
  ],
  // LGDT with 16-bit operand: [20000h], no base
  [
    'LGDT',
    [0x66, 0x0f, 0x01, 0x15, 0, 0, 2, 0],
    EXIT.GDTR_OR_IDTR,
    0x2_0000,
    0x80 | (3 << 15) | (1 << 22) | (1 << 27) | (2 << 28),
  ],
  ['LIDT', [0x0f, 0x01, 0x18], EXIT.GDTR_OR_IDTR, 0, 0x80 | 0x800 | (3 << 15) | (1 << 22) | (3 << 28)],
  ['SLDT', [0x0f, 0x00, 0xc2], EXIT.LDTR_OR_TR, 0, (2 << 3) | (1 << 10)],
  ['STR', [0x0f, 0x00, 0x08], EXIT.LDTR_OR_TR, 0, 0x80 | (3 << 15) | (1 << 22) | (1 << 28)],
  ['LLDT', [0x0f, 0x00, 0xd1], EXIT.LDTR_OR_TR, 0, (1 << 3) | (1 << 10) | (2 << 28)],
  ['LTR', [0x0f, 0x00, 0xd8], EXIT.LDTR_OR_TR, 0, (1 << 10) | (3 << 28)],
] as const)('descriptor-table exiting: %s', (_, code, reason, qualification, info) => {
  const world = baseline();
  secondary(world, SECONDARY.DESCRIPTOR_TABLE_EXITING);
  world.code(...code);
  expect(exitReason(world)).toBe(reason);
  expect(world.get(F.EXIT_QUALIFICATION)).toBe(qualification);
  expect(world.get(F.VM_EXIT_INSTRUCTION_INFORMATION)).toBe(info >>> 0);
  expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(code.length);
});

test('RDTSCP is undefined unless enabled, exits as RDTSC does, and reads IA32_TSC_AUX', () => {
  const world = baseline();
  world.set(F.EXCEPTION_BITMAP, 1 << 6);
  world.code(0x0f, 0x01, 0xf9, HLT);
  expect(exitReason(world)).toBe(EXIT.EXCEPTION_OR_NMI);
  expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION) & 0xff).toBe(6);
  secondary(world, SECONDARY.ENABLE_RDTSCP);
  world.root.wrmsr(0xc000_0103, 0x1234, 0);
  expect(exitReason(world, false)).toBe(EXIT.HLT);
  expect(world.root.getRegister(ECX)).toBe(0x1234);
  world.set(F.GUEST_RIP, AT.code);
  primary(world, PRIMARY.RDTSC_EXITING);
  expect(exitReason(world, false)).toBe(EXIT.RDTSCP);
  expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(3);
});

/** What RDTSC of a guest reads, and what the processor's own counter was. */
function guestTsc(world: World): readonly [bigint, bigint] {
  world.code(0x0f, 0x31, HLT);
  const own = BigInt(world.root.now());
  expect(exitReason(world)).toBe(EXIT.HLT);
  const halves = [EDX, EAX].map((r) => BigInt(world.root.getRegister(r) >>> 0)) as [bigint, bigint];
  return [(halves[0] << 32n) | halves[1], own];
}

test.each([
  [0x1_0000n << 32n, 0n], // 1.0
  [0x8000n << 32n, 17n], // 0.5
  [0x3_1234_5678_9abcn, -1n],
  [0xffff_ffff_ffff_ffffn, 0x1234_5678_9abc_def0n],
  [1n, 5n],
])('the TSC is multiplied by %d / 2^48, then the offset %d is added', (multiplier, offset) => {
  const world = baseline();
  world.machine.cpu.tscOffset = 0x12_3456_789a_bcd0;
  secondary(world, SECONDARY.USE_TSC_SCALING);
  const set = (field: number, value: bigint) => {
    world.set(field, Number(BigInt.asIntN(32, value)));
    world.set(field + 1, Number(BigInt.asIntN(32, value >> 32n)));
  };
  set(F.TSC_MULTIPLIER, multiplier);
  set(F.TSC_OFFSET, offset);
  const [tsc, own] = guestTsc(world);
  expect(tsc).toBe(BigInt.asUintN(64, (((own + 0x12_3456_789a_bcd0n) * multiplier) >> 48n) + offset));
});

test('without TSC offsetting a TSC multiplier has no effect', () => {
  const world = baseline();
  secondary(world, SECONDARY.USE_TSC_SCALING);
  control(world, F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, PRIMARY.USE_TSC_OFFSETTING, false);
  world.set(F.TSC_MULTIPLIER, 1);
  const [tsc, own] = guestTsc(world);
  expect(tsc).toBe(own);
});

/** `gap` NOPs and a PAUSE, over and over. */
function pauseLoop(world: World, nops: number, gap: number, window: number): void {
  secondary(world, SECONDARY.PAUSE_LOOP_EXITING);
  world.set(F.PLE_GAP, gap);
  world.set(F.PLE_WINDOW, window);
  world.code(0xf3, 0x90, ...new Array<number>(nops).fill(0x90), 0xeb, -(nops + 4) & 0xff);
  world.root.maxInstructions = world.machine.instructions + 1000;
}

test('PAUSE-loop exiting: the first PAUSE after the window is over exits', () => {
  const world = baseline();
  pauseLoop(world, 2, 4, 40); // a PAUSE every 4 instructions
  const start = world.root.now();
  expect(exitReason(world)).toBe(EXIT.PAUSE);
  expect(world.root.now() - start).toBe(44); // 40 is not more than 40
  expect(world.get(F.GUEST_RIP)).toBe(AT.code);
});

test('PAUSEs further apart than the gap are no loop, and those of ring 3 do not count', () => {
  const world = baseline();
  pauseLoop(world, 3, 4, 40);
  expect(world.root.vmlaunch()).toEqual({ kind: 'budget' });
});

test('a PAUSE-loop is forgotten at VM entry', () => {
  const world = baseline();
  pauseLoop(world, 2, 4, 40);
  world.root.maxInstructions = world.machine.instructions + 38;
  expect(world.root.vmlaunch()).toEqual({ kind: 'budget' });
  world.root.kick();
  world.set(F.GUEST_RIP, AT.code);
  const start = world.root.now();
  world.root.maxInstructions = world.machine.instructions + 1000;
  expect(exitReason(world, false)).toBe(EXIT.PAUSE);
  expect(world.root.now() - start).toBe(44);
});

test('IA32_PAT and IA32_PERF_GLOBAL_CTRL of guest and host are loaded, and the guest PAT saved', () => {
  const world = baseline();
  const { root } = world;
  control(world, F.VM_ENTRY_CONTROLS, VM_ENTRY.LOAD_IA32_PAT | VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL);
  const both = VM_EXIT.SAVE_IA32_PAT | VM_EXIT.LOAD_IA32_PAT | VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL;
  control(world, F.VM_EXIT_CONTROLS, both);
  world.set(F.GUEST_IA32_PAT, 0x0605_0401);
  world.set(F.GUEST_IA32_PAT + 1, 0x0000_0007);
  world.set(F.GUEST_IA32_PERF_GLOBAL_CTRL, 2);
  world.set(F.HOST_IA32_PAT, 0x0606_0606);
  world.set(F.HOST_IA32_PAT + 1, 0x0101_0101);
  world.set(F.HOST_IA32_PERF_GLOBAL_CTRL, 1);
  // RDMSR 277h; its value + 1 into EBX; WRMSR 277h; RDMSR 38Fh; HLT
  world.code(
    0xb9,
    0x77,
    2,
    0,
    0,
    0x0f,
    0x32,
    0x89,
    0xc3,
    0xfe,
    0xc0,
    0xb0,
    0,
    0x0f,
    0x30,
    0xb9,
    0x8f,
    3,
    0,
    0,
    0x0f,
    0x32,
    HLT,
  );
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(root.getRegister(3)).toBe(0x0605_0401);
  expect(root.getRegister(EAX)).toBe(2);
  expect(world.get(F.GUEST_IA32_PAT)).toBe(0x0605_0400);
  expect(world.get(F.GUEST_IA32_PAT + 1)).toBe(7);
  expect(root.rdmsr(0x277)).toEqual({ lo: 0x0606_0606, hi: 0x0101_0101 });
  expect(root.rdmsr(0x38f)).toEqual({ lo: 1, hi: 0 });
});

test('a software event of length 0 may be injected where IA32_VMX_MISC says so, and fails the entry elsewhere', () => {
  for (const processor of [undefined, eptModel]) {
    const world = baseline(processor === undefined ? {} : { processor });
    world.code(HLT);
    world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, 0x8000_0420);
    world.set(F.VM_ENTRY_INSTRUCTION_LENGTH, 0);
    world.set(F.GUEST_IDTR_LIMIT, 0);
    world.set(F.EXCEPTION_BITMAP, 1 << 13);
    const reached = world.root.vmlaunch();
    if (processor === undefined) expect(reached).toEqual({ kind: 'exit' });
    else expect(reached).toEqual({ kind: 'vmfail', error: 7 });
  }
});

test('the first generation has neither EPT nor TRUE capability MSRs, and its default settings cannot be changed', () => {
  const world = rootMode({ processor: firstVmxModel });
  const { root } = world;
  expect(root.rdmsr(0x48c)).toBe('gp');
  for (const index of [0x48d, 0x48e, 0x48f, 0x490]) expect(root.rdmsr(index)).toBe('gp');
  expect((root.rdmsr(0x480) as { hi: number }).hi & (1 << 23)).toBe(0);
  const { lo } = root.rdmsr(0x482) as { lo: number };
  expect(lo).toBe(0x0401_e172);
  expect(root.vmwrite(F.EPT_POINTER, 0)).toEqual({ ok: false, error: 12 });
  expect(root.vmwrite(F.VIRTUAL_PROCESSOR_IDENTIFIER, 0)).toEqual({ ok: false, error: 12 });
  expect(world.vmx.failedChecks().map((row) => row.id)).toContain('execution.primary.must-be-one');
});

test('a control that the model does not offer fails the entry', () => {
  const world = baseline({ processor: eptModel });
  secondary(world, SECONDARY.USE_TSC_SCALING);
  expect(world.root.vmlaunch()).toEqual({ kind: 'vmfail', error: 7 });
  expect(world.vmx.failedChecks()[0]?.id).toBe('execution.secondary.must-be-zero');
});

test('RDPMC reads the counters that there are', () => {
  const world = baseline();
  world.root.wrmsr(0xc2, 0x1234_5678, 0);
  world.set(F.EXCEPTION_BITMAP, 1 << 13);
  world.code(0x0f, 0x33, HLT);
  world.root.setRegister(ECX, 1);
  expect(exitReason(world)).toBe(EXIT.HLT);
  expect(world.root.getRegister(EAX)).toBe(0x1234_5678);
  world.set(F.GUEST_RIP, AT.code);
  world.root.setRegister(ECX, 2);
  expect(exitReason(world, false)).toBe(EXIT.EXCEPTION_OR_NMI);
});
