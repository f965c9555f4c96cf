/** VM exits during the delivery of an event: each cause against each type of event, executed and injected; then the hypervisor removes the
 *  cause, injects what IDT-vectoring information tells, and the guest's handler runs once.
 *  Expected values: SDM Vol. 3, "Information for VM Exits That Occur During Event Delivery", "Saving RIP, RSP, RFLAGS, and SSP",
 *  "Exit Qualification for EPT Violations", and the error codes of Vol. 3, "Error Code". */
import { describe, expect, test } from 'vitest';
import { EAX, EBX } from '../../src/base/registers.ts';
import { PIN_BASED, SECONDARY } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, exitReason, gate, type World } from './support.ts';

const PIN = F.PIN_BASED_VM_EXECUTION_CONTROLS;
const CONTROLS = F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS;
const HANDLER = 0x2_8000;
const HLT = 0xf4;
/** A page table of the guest, for its second 4 MiB. */
const GUEST_TABLE = 0x2_6000;
const PML = 0x2_7000;
const VE_AREA = 0x2_9000;
/** Linear addresses without a translation. */
const NOWHERE = 0x80_0000;
const RF = 0x1_0000;
const BLOCKING_BY_NMI = 8;

interface Event {
  readonly type: number;
  readonly vector: number;
  readonly errorCode?: number;
  /** Bytes of the instruction, for those that software asks for. */
  readonly length?: number;
  /** From AT.code to the instruction that EIP names. */
  readonly at?: number;
  readonly arrange: (world: World) => void;
}

/** Lets IRQ 0 of the board come, as vector 50h. */
function irq0(world: World): void {
  control(world, PIN, PIN_BASED.EXTERNAL_INTERRUPT_EXITING, false);
  const writes = [0x2011, 0x2150, 0x2104, 0x2101, 0x21fe, 0x4330, 0x4001, 0x4000];
  for (const write of writes) world.root.portWrite(write >> 8, write & 0xff, 1);
}

const EXECUTED: Readonly<Record<string, Event>> = {
  'an external interrupt': {
    type: 0,
    vector: 0x50,
    at: 1,
    arrange: (world) => {
      irq0(world);
      world.code(0xfb, 0xeb, 0xfe); // STI, JMP to itself
    },
  },
  'an NMI': {
    type: 2,
    vector: 2,
    arrange: (world) => {
      control(world, PIN, PIN_BASED.NMI_EXITING, false);
      world.machine.nmi();
    },
  },
  '#UD': { type: 3, vector: 6, arrange: (world) => world.code(0x0f, 0x0b) },
  '#GP with an error code': {
    type: 3,
    vector: 13,
    errorCode: 0xfff8,
    arrange: (world) => {
      world.root.setRegister(EAX, 0xfff8);
      world.code(0x8e, 0xd8); // MOV DS, AX
    },
  },
  '#PF': { type: 3, vector: 14, errorCode: 0, arrange: (world) => world.code(0xa1, 0, 0, 0x90, 0) },
  'INT n': { type: 4, vector: 0x40, length: 2, arrange: (world) => world.code(0xcd, 0x40) },
  INT1: { type: 5, vector: 1, length: 1, arrange: (world) => world.code(0xf1) },
  INT3: { type: 6, vector: 3, length: 1, arrange: (world) => world.code(0xcc) },
  INTO: {
    type: 6,
    vector: 4,
    length: 1,
    arrange: (world) => {
      world.set(F.GUEST_RFLAGS, 0x802);
      world.code(0xce);
    },
  },
};

function injected(type: number, vector: number, errorCode?: number, length?: number): Event {
  const arrange = (world: World): void => {
    if (type === 0) world.set(F.GUEST_RFLAGS, 0x202);
    inject(world, type, vector, errorCode, length);
  };
  return { type, vector, arrange, ...(errorCode === undefined ? {} : { errorCode }), ...(length ? { length } : {}) };
}

const INJECTED: Readonly<Record<string, Event>> = {
  'an injected external interrupt': injected(0, 0x30),
  'an injected NMI': injected(2, 2),
  'an injected #UD': injected(3, 6),
  'an injected #GP': injected(3, 13, 0x1234),
  'an injected INT n': injected(4, 0x40, undefined, 2),
  'an injected INT1': injected(5, 1, undefined, 1),
  'an injected INT3': injected(6, 3, undefined, 1),
  'an injected INTO': injected(6, 4, undefined, 3), // with prefixes
};

function inject(world: World, type: number, vector: number, errorCode = -1, length = 0): void {
  world.set(F.VM_ENTRY_INTERRUPTION_INFORMATION, infoOf(type, vector, errorCode >= 0));
  if (errorCode >= 0) world.set(F.VM_ENTRY_EXCEPTION_ERROR_CODE, errorCode);
  if (length > 0) world.set(F.VM_ENTRY_INSTRUCTION_LENGTH, length);
}

const infoOf = (type: number, vector: number, withCode: boolean): number =>
  (0x8000_0000 | (withCode ? 0x800 : 0) | (type << 8) | vector) >>> 0;

interface Cause {
  readonly reason: number;
  /** Exit interruption information and its error code, where an exception is intercepted. EXT is added. */
  readonly exception?: { readonly info: number; readonly errorCode: (vector: number) => number };
  readonly qualification?: (vector: number) => number;
  readonly physical?: (vector: number) => number;
  readonly arrange: (world: World, vector: number) => void;
  readonly repair: (world: World, vector: number) => void;
}

const eptEntry = (world: World, at: number, low: number, high = 0): void => {
  world.root.memory.write32(AT.eptTable + 8 * (at >> 12), low);
  world.root.memory.write32(AT.eptTable + 8 * (at >> 12) + 4, high);
};
const allowed = (at: number): number => (at & -4096) | 0x37;
const STACK_PAGE = AT.stack - 4096;
const intercepts = (world: World, vector: number): void => world.set(F.EXCEPTION_BITMAP, 1 << vector);
const repairPage =
  (at: number): Cause['repair'] =>
  (world) => {
    eptEntry(world, at, allowed(at));
    world.root.invept(2, 0, 0);
  };

/** The guest's IDT behind a page table of 4-KiB pages, so that the way to it leads over GUEST_TABLE. */
function farIdt(world: World): void {
  const { memory } = world.root;
  memory.write32(AT.directory + 4, GUEST_TABLE | 3);
  memory.write32(GUEST_TABLE + 4 * (AT.idt >> 12), AT.idt | 3);
  world.set(F.GUEST_IDTR_BASE, 0x40_0000 + AT.idt);
}

const CAUSES: Readonly<Record<string, Cause>> = {
  '#NP because of the gate': {
    reason: EXIT.EXCEPTION_OR_NMI,
    exception: { info: 0x8000_0b0b, errorCode: (vector) => vector * 8 + 2 },
    arrange: (world, vector) => {
      intercepts(world, 11);
      world.root.memory.write32(AT.idt + 8 * vector + 4, 0x0e00);
    },
    repair: (world, vector) => gate(world, vector, HANDLER),
  },
  '#GP because of the IDT limit': {
    reason: EXIT.EXCEPTION_OR_NMI,
    exception: { info: 0x8000_0b0d, errorCode: (vector) => vector * 8 + 2 },
    arrange: (world, vector) => {
      intercepts(world, 13);
      world.set(F.GUEST_IDTR_LIMIT, 8 * vector - 1);
    },
    repair: (world) => world.set(F.GUEST_IDTR_LIMIT, 0x7ff),
  },
  '#SS because of the stack limit': {
    reason: EXIT.EXCEPTION_OR_NMI,
    exception: { info: 0x8000_0b0c, errorCode: () => 0 },
    arrange: (world) => {
      intercepts(world, 12);
      world.set(F.GUEST_SS_LIMIT, 0xfff);
      world.set(F.GUEST_SS_ACCESS_RIGHTS, 0x4093);
    },
    repair: (world) => {
      world.set(F.GUEST_SS_LIMIT, -1);
      world.set(F.GUEST_SS_ACCESS_RIGHTS, 0xc093);
    },
  },
  '#PF at the IDT': {
    reason: EXIT.EXCEPTION_OR_NMI,
    exception: { info: 0x8000_0b0e, errorCode: () => -1 },
    qualification: (vector) => NOWHERE + 8 * vector,
    arrange: (world) => {
      intercepts(world, 14);
      world.set(F.GUEST_IDTR_BASE, NOWHERE);
    },
    repair: (world) => world.set(F.GUEST_IDTR_BASE, AT.idt),
  },
  '#PF on the stack': {
    reason: EXIT.EXCEPTION_OR_NMI,
    exception: { info: 0x8000_0b0e, errorCode: () => -1 },
    arrange: (world) => {
      intercepts(world, 14);
      world.set(F.GUEST_RSP, NOWHERE + 0x100);
    },
    repair: (world) => world.set(F.GUEST_RSP, AT.stack),
  },
  'an EPT violation at the IDT': {
    reason: EXIT.EPT_VIOLATION,
    qualification: () => 0x581, // a supervisor's page, writable
    physical: (vector) => AT.idt + 8 * vector,
    arrange: (world) => eptEntry(world, AT.idt, 0),
    repair: repairPage(AT.idt),
  },
  'an EPT violation at the GDT': {
    reason: EXIT.EPT_VIOLATION,
    qualification: () => 0x581,
    physical: () => AT.gdt + 8,
    arrange: (world) => eptEntry(world, AT.gdt, 0),
    repair: repairPage(AT.gdt),
  },
  'an EPT violation on the stack': {
    reason: EXIT.EPT_VIOLATION,
    qualification: () => 0x5aa, // read and execute are allowed
    arrange: (world) => eptEntry(world, STACK_PAGE, STACK_PAGE | 0x35),
    repair: repairPage(STACK_PAGE),
  },
  'an EPT violation at a page table of the guest': {
    reason: EXIT.EPT_VIOLATION,
    qualification: () => 0x81,
    physical: () => GUEST_TABLE + 4 * (AT.idt >> 12),
    arrange: (world) => {
      farIdt(world);
      eptEntry(world, GUEST_TABLE, 0);
    },
    repair: repairPage(GUEST_TABLE),
  },
  'an EPT violation that an instruction would take as #VE': {
    reason: EXIT.EPT_VIOLATION,
    qualification: () => 0x582,
    arrange: (world) => {
      control(world, CONTROLS, SECONDARY.EPT_VIOLATION_VE);
      world.set(F.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, VE_AREA);
      eptEntry(world, STACK_PAGE, 0);
    },
    repair: repairPage(STACK_PAGE),
  },
  'an EPT misconfiguration on the stack': {
    reason: EXIT.EPT_MISCONFIGURATION,
    qualification: () => 0,
    arrange: (world) => eptEntry(world, STACK_PAGE, STACK_PAGE | 0x32), // writable, not readable
    repair: repairPage(STACK_PAGE),
  },
  'a full page-modification log': {
    reason: EXIT.PML_FULL,
    qualification: () => 0,
    arrange: (world) => {
      // Every page but the stack has been written before.
      for (let at = 0; at < 0x20_0000; at += 4096) eptEntry(world, at, allowed(at) | 0x300);
      eptEntry(world, STACK_PAGE, allowed(STACK_PAGE) | 0x100);
      world.root.memory.write32(AT.directory, 0xe3);
      control(world, CONTROLS, SECONDARY.ENABLE_PML);
      world.set(F.PML_ADDRESS, PML);
      world.set(F.PML_INDEX, 0xffff);
      world.set(F.EPT_POINTER, AT.pml4 | 0x5e);
    },
    repair: (world) => world.set(F.PML_INDEX, 511),
  },
  'an access to the APIC-access page': {
    reason: EXIT.APIC_ACCESS,
    arrange: (world) => {
      control(world, CONTROLS, SECONDARY.VIRTUALIZE_APIC_ACCESSES);
      world.set(F.APIC_ACCESS_ADDRESS, STACK_PAGE);
      world.set(F.GUEST_RSP, STACK_PAGE + 0x100);
      world.set(F.TPR_THRESHOLD, 0);
    },
    qualification: () => 3 << 12,
    repair: (world) => world.set(F.GUEST_RSP, AT.stack - 4096),
  },
  'an access of a page walk to the APIC-access page': {
    reason: EXIT.APIC_ACCESS,
    arrange: (world) => {
      farIdt(world);
      control(world, CONTROLS, SECONDARY.VIRTUALIZE_APIC_ACCESSES);
      world.set(F.APIC_ACCESS_ADDRESS, GUEST_TABLE);
    },
    qualification: () => 10 << 12,
    repair: (world) => world.set(F.GUEST_IDTR_BASE, AT.idt),
  },
  'a task gate': {
    reason: EXIT.TASK_SWITCH,
    qualification: () => 0xc000_0018,
    arrange: (world, vector) => {
      world.root.memory.write32(AT.idt + 8 * vector, 0x18 << 16);
      world.root.memory.write32(AT.idt + 8 * vector + 4, 0xe500);
      world.root.memory.write32(AT.gdt + 0x1c, 0x8900);
    },
    repair: (world, vector) => gate(world, vector, HANDLER),
  },
};

function worldOf(event: Event, cause: Cause): World {
  const world = baseline({ contexts: 3 });
  const { memory } = world.root;
  for (let at = 0; at < 0x20_0000; at += 4096) eptEntry(world, at, allowed(at));
  memory.write32(AT.eptDirectory, AT.eptTable | 7);
  memory.writeBytes(HANDLER, Uint8Array.of(0x43, HLT)); // INC EBX
  gate(world, event.vector, HANDLER);
  memory.write32(AT.idt + 8 * event.vector + 4, memory.read32(AT.idt + 8 * event.vector + 4) | 0x6000);
  event.arrange(world);
  cause.arrange(world, event.vector);
  return world;
}

/** An exception that the cause has intercepted exits by itself, unless it is injected. */
const exitsItself = (event: Event, { exception }: Cause): boolean =>
  !Object.values(INJECTED).includes(event) && event.type === 3 && ((exception?.info ?? 0) & 0xff) === event.vector;

const isSoftware = (type: number): boolean => type === 4 || type === 6;

describe.each(Object.entries(CAUSES))('%s', (_, cause) => {
  const pairs = Object.entries({ ...EXECUTED, ...INJECTED }).filter(([, event]) => !exitsItself(event, cause));

  test.each(pairs)('while %s is delivered', (_name, event) => {
    const world = worldOf(event, cause);
    const rip = AT.code + (event.at ?? 0);
    expect(exitReason(world)).toBe(cause.reason);
    const vectoring = world.get(F.IDT_VECTORING_INFORMATION) >>> 0;
    expect(vectoring).toBe(infoOf(event.type, event.vector, event.errorCode !== undefined));
    if (event.errorCode !== undefined) expect(world.get(F.IDT_VECTORING_ERROR_CODE)).toBe(event.errorCode);
    if (event.length !== undefined) expect(world.get(F.VM_EXIT_INSTRUCTION_LENGTH)).toBe(event.length);
    expect(world.get(F.GUEST_RIP)).toBe(rip);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(event.type === 2 ? BLOCKING_BY_NMI : 0);
    if (vectoring === 0x8000_0b0e) expect(world.root.getCr2()).toBe(0x90_0000); // loaded before the delivery
    const { exception } = cause;
    if (exception === undefined) {
      expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION) >>> 31).toBe(0);
      // An injected event pushes what the VMCS has.
      if (event.type !== 3 || !Object.values(INJECTED).includes(event))
        expect(world.get(F.GUEST_RFLAGS) & RF).toBe(event.type === 3 ? RF : 0);
    } else {
      expect(world.get(F.VM_EXIT_INTERRUPTION_INFORMATION) >>> 0).toBe(exception.info);
      const code = exception.errorCode(event.vector);
      if (code >= 0) expect(world.get(F.VM_EXIT_INTERRUPTION_ERROR_CODE)).toBe(code | (isSoftware(event.type) ? 0 : 1));
      expect(world.get(F.GUEST_RFLAGS) & RF).toBe(RF);
    }
    if (cause.qualification !== undefined) {
      const mask = cause.reason === EXIT.APIC_ACCESS ? 0xf000 : -1;
      expect((world.get(F.EXIT_QUALIFICATION) & mask) >>> 0).toBe(cause.qualification(event.vector));
    }
    if (cause.physical !== undefined)
      expect(world.get(F.GUEST_PHYSICAL_ADDRESS) & ~7).toBe(cause.physical(event.vector));

    // What hypervisors do then.
    cause.repair(world, event.vector);
    world.set(F.EXCEPTION_BITMAP, 0);
    world.set(F.GUEST_INTERRUPTIBILITY_STATE, 0);
    inject(world, event.type, event.vector, event.errorCode, event.length);
    expect(exitReason(world, false)).toBe(EXIT.HLT);
    expect(world.root.getRegister(EBX)).toBe(1);
    const esp = world.get(F.GUEST_RSP);
    const eip = world.root.memory.read32(esp + (event.errorCode === undefined ? 0 : 4));
    expect(eip).toBe(rip + (event.length ?? 0));
    if (event.errorCode !== undefined) expect(world.root.memory.read32(esp)).toBe(event.errorCode);
    expect(world.get(F.GUEST_INTERRUPTIBILITY_STATE)).toBe(event.type === 2 ? BLOCKING_BY_NMI : 0);
  });
});
