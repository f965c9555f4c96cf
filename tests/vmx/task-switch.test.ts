/** Task switches always leave VMX non-root operation (SDM Vol. 3, "Treatment of Task Switches", "Exit Qualification for Task Switches",
 *  "Information for VM Exits That Occur During Event Delivery"). */
import { describe, expect, test } from 'vitest';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, CODE, exitReason, gate, TSS, type World } from './support.ts';

const NEW_TSS = 0x20;
const TASK_GATE = 0x28;
const AT_NEW_TSS = 0x2_5000;
const HANDLER = AT.code + 0x800;
const [CALL, IRET, JMP, GATE_IN_IDT] = [0, 1, 2, 3].map((source) => source * 0x4000_0000) as [
  number,
  number,
  number,
  number,
];
const NT = 0x4000;
const RF = 0x1_0000;

/** The world with a second TSS, a task gate to it, and code. `access`: present, DPL 0, available 32-bit TSS unless given. */
function tasks(bytes: readonly number[], access = 0x89, limit = 0x67): World {
  const world = baseline();
  const { memory } = world.root;
  memory.write32(AT.gdt + NEW_TSS, limit | ((AT_NEW_TSS & 0xffff) << 16));
  memory.write32(AT.gdt + NEW_TSS + 4, (access << 8) | (AT_NEW_TSS >> 16));
  memory.write32(AT.gdt + TASK_GATE, NEW_TSS << 16);
  memory.write32(AT.gdt + TASK_GATE + 4, 0x8500);
  world.set(F.GUEST_GDTR_LIMIT, 0x2f);
  memory.writeBytes(HANDLER, Uint8Array.of(0xf4));
  world.code(...bytes);
  return world;
}

/** Vector `vector` leads to the task. */
function taskVector(world: World, vector: number): void {
  world.root.memory.write32(AT.idt + 8 * vector, NEW_TSS << 16);
  world.root.memory.write32(AT.idt + 8 * vector + 4, 0x8500);
}

const unsigned = (world: World, field: number): number => world.get(field) >>> 0;
const far = (opcode: number, selector: number): number[] => [opcode, 0, 0, 0, 0, selector, 0];

describe('a task switch by an instruction', () => {
  test.each([
    ['JMP to a TSS', far(0xea, NEW_TSS), JMP],
    ['CALL to a TSS', far(0x9a, NEW_TSS), CALL],
    ['JMP to a task gate', far(0xea, TASK_GATE), JMP],
    ['CALL to a task gate', far(0x9a, TASK_GATE), CALL],
  ])('%s exits at the instruction with selector and source', (_, bytes, source) => {
    const world = tasks(bytes);
    expect(exitReason(world)).toBe(EXIT.TASK_SWITCH);
    expect(unsigned(world, F.EXIT_QUALIFICATION)).toBe(source + NEW_TSS);
    expect([world.get(F.GUEST_RIP), world.get(F.VM_EXIT_INSTRUCTION_LENGTH)]).toEqual([AT.code, 7]);
    expect([world.get(F.IDT_VECTORING_INFORMATION), world.get(F.GUEST_TR_SELECTOR)]).toEqual([0, TSS]);
    expect(world.root.memory.read32(AT.gdt + NEW_TSS + 4) & 0x200).toBe(0); // nothing has become busy
  });

  test('IRET with NT, to a busy TSS', () => {
    const world = tasks([0xcf], 0x8b);
    world.set(F.GUEST_RFLAGS, NT | 2);
    world.root.memory.write32(AT.tss, NEW_TSS);
    expect(exitReason(world)).toBe(EXIT.TASK_SWITCH);
    expect(unsigned(world, F.EXIT_QUALIFICATION)).toBe(IRET + NEW_TSS);
    expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(1);
  });

  test.each([
    ['a busy one', 0x8b, 0x67, 13],
    ['an absent one', 0x09, 0x67, 11],
    ['one that is too short', 0x89, 0x66, 10],
  ])('to %s faults in the guest, without an exit', (_, access, limit, vector) => {
    const world = tasks(far(0xea, NEW_TSS), access, limit);
    gate(world, vector, HANDLER);
    expect(exitReason(world)).toBe(EXIT.HLT);
    expect(world.get(F.GUEST_RIP)).toBe(HANDLER);
    expect(world.root.memory.read32(world.get(F.GUEST_RSP))).toBe(NEW_TSS);
  });
});

describe('a task gate in the IDT', () => {
  test('for INT n: exits at the instruction, with its length and the event', () => {
    const world = tasks([0xcd, 0x30]);
    taskVector(world, 0x30);
    expect(exitReason(world)).toBe(EXIT.TASK_SWITCH);
    expect(unsigned(world, F.EXIT_QUALIFICATION)).toBe(GATE_IN_IDT + NEW_TSS);
    expect(unsigned(world, F.IDT_VECTORING_INFORMATION)).toBe(0x8000_0430);
    expect([world.get(F.GUEST_RIP), world.get(F.VM_EXIT_INSTRUCTION_LENGTH)]).toEqual([AT.code, 2]);
    expect(world.get(F.GUEST_RFLAGS) & RF).toBe(0);
  });

  test('for a fault: with its error code, and RF as the old TSS would hold it', () => {
    const world = tasks([0x8e, 0xd8], 0x89); // MOV DS, AX
    world.root.setRegister(0, 0x7f8);
    taskVector(world, 13);
    expect(exitReason(world)).toBe(EXIT.TASK_SWITCH);
    expect(unsigned(world, F.EXIT_QUALIFICATION)).toBe(GATE_IN_IDT + NEW_TSS);
    expect(unsigned(world, F.IDT_VECTORING_INFORMATION)).toBe(0x8000_0b0d);
    expect(world.get(F.IDT_VECTORING_ERROR_CODE)).toBe(0x7f8);
    expect([world.get(F.GUEST_RIP), world.get(F.GUEST_RFLAGS)]).toEqual([AT.code, RF | 2]);
  });

  test('for an injected interrupt: the entry is followed by the exit', () => {
    const world = tasks([0x90]);
    taskVector(world, 0x20);
    world.set(F.GUEST_RFLAGS, 0x202);
    world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, 0x8000_0020);
    expect(exitReason(world)).toBe(EXIT.TASK_SWITCH);
    expect(unsigned(world, F.IDT_VECTORING_INFORMATION)).toBe(0x8000_0020);
    expect([world.get(F.GUEST_RIP), world.get(F.GUEST_RFLAGS), world.get(F.GUEST_CS_SELECTOR)]).toEqual([
      AT.code,
      0x202,
      CODE,
    ]);
  });
});
