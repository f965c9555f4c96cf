/** A small world for VMX tests: a machine in root mode through the root-mode port, one VMCS that enters a protected-mode guest
 *  with paging and EPT, every field of it valid. */
import { Machine, type MachineOptions } from '../../src/machine/machine.ts';
import type { Reached } from '../../src/machine/root-mode.ts';
import { type RootModeOptions, RootModePort } from '../../src/machine/root-mode-port.ts';
import {
  defaultVmxOptions,
  EPT_CAP,
  fieldExists,
  type VmxCapabilities,
  vmxCapabilities,
} from '../../src/vmx/capabilities.ts';
import { PIN_BASED, PRIMARY, SECONDARY, VM_ENTRY, VM_EXIT } from '../../src/vmx/controls.ts';
import { FIELDS } from '../../src/vmx/field-table.ts';
import * as F from '../../src/vmx/fields.ts';
import type { Vmx } from '../../src/vmx/vmx.ts';

/** Host-physical addresses. */
export const AT = {
  hostGdt: 0x1000,
  hostIdt: 0x2000,
  hostTss: 0x3000,
  hostDirectory: 0x4000,
  vmxon: 0x5000,
  vmcs: 0x6000,
  otherVmcs: 0x7000,
  ioA: 0x8000,
  ioB: 0x9000,
  msrBitmap: 0xa000,
  pml4: 0xb000,
  pdpt: 0xc000,
  eptDirectory: 0xd000,
  eptTable: 0xe000,
  hostStack: 0x1_0000,
  msrArea: 0x1_1000,
  linked: 0x1_2000,
  code: 0x2_0000,
  gdt: 0x2_1000,
  idt: 0x2_2000,
  directory: 0x2_3000,
  tss: 0x2_4000,
  stack: 0x3_0000,
} as const;

/** Everything but these bits of EPT_VPID_CAP. */
export const withoutEpt = (lacks: number): VmxCapabilities => {
  const { lo, hi } = defaultVmxOptions.eptVpid;
  return vmxCapabilities({ ...defaultVmxOptions, eptVpid: { lo: lo & ~lacks, hi } });
};
export const WITHOUT_FLAGS: VmxCapabilities = withoutEpt(EPT_CAP.ACCESSED_DIRTY);

export const CODE = 0x08;
export const DATA = 0x10;
export const TSS = 0x18;

export interface World {
  readonly machine: Machine;
  readonly root: RootModePort;
  readonly vmx: Vmx;
  /** VMWRITE that must succeed. */
  set(field: number, value: number): void;
  get(field: number): number;
  /** Guest code at EIP 2_0000h. */
  code(...bytes: number[]): void;
}

/** A GDT with flat code, flat data and a TSS. */
function writeGdt(root: RootModePort, at: number, tss: number): void {
  const entries: readonly (readonly [number, number])[] = [
    [0, 0],
    [0x0000_ffff, 0x00cf_9b00],
    [0x0000_ffff, 0x00cf_9300],
    [0x67 | ((tss & 0xffff) << 16), (tss & 0xff00_0000) | 0x8900 | ((tss >> 16) & 0xff)],
  ];
  entries.forEach(([lo, hi], n) => {
    root.memory.write32(at + 8 * n, lo);
    root.memory.write32(at + 8 * n + 4, hi);
  });
}

/** An interrupt gate of the guest's IDT. */
export function gate(world: World, vector: number, offset: number): void {
  world.root.memory.write32(AT.idt + 8 * vector, (CODE << 16) | (offset & 0xffff));
  world.root.memory.write32(AT.idt + 8 * vector + 4, (offset & 0xffff_0000) | 0x8e00);
}

/** A machine in VMX root operation with a current, cleared VMCS in which nothing is written yet. */
export function rootMode(options: MachineOptions & RootModeOptions = {}): World {
  const machine = new Machine({ memory: 0x40_0000, contexts: 6, ...options });
  const root = new RootModePort(machine, options);
  const vmx = machine.vmx as Vmx;
  const { memory } = root;
  writeGdt(root, AT.hostGdt, AT.hostTss);
  memory.write32(AT.hostDirectory, 0x83); // 4 MiB, identity
  root.setControlRegister(4, 0x2010); // VMXE, PSE
  root.loadTables({ gdt: AT.hostGdt, gdtLimit: 0x1f, idt: AT.hostIdt, idtLimit: 0x7ff, tr: TSS, cs: CODE, data: DATA });
  root.setControlRegister(3, AT.hostDirectory);
  root.setControlRegister(0, 0x8001_0031 | 0);
  const revision = (root.rdmsr(0x480) as { lo: number }).lo;
  for (const region of [AT.vmxon, AT.vmcs, AT.otherVmcs, AT.linked]) memory.write32(region, revision);
  succeed(root.vmxon(AT.vmxon));
  succeed(root.vmclear(AT.vmcs));
  succeed(root.vmptrld(AT.vmcs));
  return {
    machine,
    root,
    vmx,
    set: (field, value) => succeed(root.vmwrite(field, value)),
    get: (field) => {
      const value = root.vmread(field);
      if (typeof value !== 'number') throw new Error(`VMREAD ${field.toString(16)} failed`);
      return value;
    },
    code: (...bytes) => memory.writeBytes(AT.code, Uint8Array.from(bytes)),
  };
}

function succeed(result: { ok: boolean; error?: number }): void {
  if (!result.ok) throw new Error(`VMfail ${result.error}`);
}

/** The valid VMCS of these tests, field by field: [field, value] or [field, value, high half]. */
export const BASELINE: readonly (readonly [number, number, number?])[] = [
  [F.PIN_BASED_VM_EXECUTION_CONTROLS, 0x16 | PIN_BASED.EXTERNAL_INTERRUPT_EXITING | PIN_BASED.NMI_EXITING],
  [
    F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS,
    0x0400_6172 |
      PRIMARY.HLT_EXITING |
      PRIMARY.USE_IO_BITMAPS |
      PRIMARY.USE_MSR_BITMAPS |
      PRIMARY.USE_TSC_OFFSETTING |
      PRIMARY.ACTIVATE_SECONDARY_CONTROLS,
  ],
  [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, SECONDARY.ENABLE_EPT | SECONDARY.ENABLE_VPID],
  [F.VM_EXIT_CONTROLS, 0x0003_6dfb | VM_EXIT.ACKNOWLEDGE_INTERRUPT_ON_EXIT | VM_EXIT.SAVE_DEBUG_CONTROLS],
  [F.VM_ENTRY_CONTROLS, 0x11fb | VM_ENTRY.LOAD_DEBUG_CONTROLS],
  [F.VIRTUAL_PROCESSOR_IDENTIFIER, 1],
  [F.IO_BITMAP_A_ADDRESS, AT.ioA, 0],
  [F.IO_BITMAP_B_ADDRESS, AT.ioB, 0],
  [F.MSR_BITMAP_ADDRESS, AT.msrBitmap, 0],
  [F.EPT_POINTER, AT.pml4 | 0x1e, 0],
  [F.VMCS_LINK_POINTER, -1, -1],
  [F.HOST_CR0, 0x8001_0031 | 0],
  [F.HOST_CR3, AT.hostDirectory],
  [F.HOST_CR4, 0x2010],
  [F.HOST_CS_SELECTOR, CODE],
  [F.HOST_SS_SELECTOR, DATA],
  [F.HOST_DS_SELECTOR, DATA],
  [F.HOST_ES_SELECTOR, DATA],
  [F.HOST_FS_SELECTOR, 0],
  [F.HOST_GS_SELECTOR, 0],
  [F.HOST_TR_SELECTOR, TSS],
  [F.HOST_TR_BASE, AT.hostTss],
  [F.HOST_GDTR_BASE, AT.hostGdt],
  [F.HOST_IDTR_BASE, AT.hostIdt],
  [F.HOST_RSP, AT.hostStack],
  [F.GUEST_CR0, 0x8001_0031 | 0],
  [F.GUEST_CR3, AT.directory],
  [F.GUEST_CR4, 0x2010],
  [F.GUEST_DR7, 0x400],
  [F.GUEST_RFLAGS, 2],
  [F.GUEST_RIP, AT.code],
  [F.GUEST_RSP, AT.stack],
  [F.GUEST_CS_SELECTOR, CODE],
  [F.GUEST_SS_SELECTOR, DATA],
  [F.GUEST_DS_SELECTOR, DATA],
  [F.GUEST_ES_SELECTOR, DATA],
  [F.GUEST_FS_SELECTOR, DATA],
  [F.GUEST_GS_SELECTOR, DATA],
  [F.GUEST_TR_SELECTOR, TSS],
  ...[F.GUEST_CS_LIMIT, F.GUEST_SS_LIMIT, F.GUEST_DS_LIMIT, F.GUEST_ES_LIMIT, F.GUEST_FS_LIMIT, F.GUEST_GS_LIMIT].map(
    (field) => [field, -1] as const,
  ),
  [F.GUEST_CS_ACCESS_RIGHTS, 0xc09b],
  ...[
    F.GUEST_SS_ACCESS_RIGHTS,
    F.GUEST_DS_ACCESS_RIGHTS,
    F.GUEST_ES_ACCESS_RIGHTS,
    F.GUEST_FS_ACCESS_RIGHTS,
    F.GUEST_GS_ACCESS_RIGHTS,
  ].map((field) => [field, 0xc093] as const),
  [F.GUEST_LDTR_ACCESS_RIGHTS, 0x1_0000],
  [F.GUEST_TR_ACCESS_RIGHTS, 0x8b],
  [F.GUEST_TR_LIMIT, 0x67],
  [F.GUEST_TR_BASE, AT.tss],
  [F.GUEST_GDTR_BASE, AT.gdt],
  [F.GUEST_GDTR_LIMIT, 0x1f],
  [F.GUEST_IDTR_BASE, AT.idt],
  [F.GUEST_IDTR_LIMIT, 0x7ff],
];

/** Writes the baseline into the current VMCS, and 0 into every other field. */
export function writeBaseline(world: World): void {
  for (const field of FIELDS) {
    if (field.type !== 'read-only data' && fieldExists(field.encoding, world.vmx.context.capabilities))
      world.set(field.encoding, 0);
  }
  for (const [field, value, high] of BASELINE) {
    world.set(field, value);
    if (high !== undefined) world.set(field + 1, high);
  }
  world.set(F.HOST_RIP, world.root.gate);
}

/** Root mode with the baseline written: `vmlaunch` enters the guest. The guest sees host memory through an identity EPT. */
export function baseline(options: MachineOptions & RootModeOptions = {}): World {
  const world = rootMode(options);
  const { memory } = world.root;
  writeGdt(world.root, AT.gdt, AT.tss);
  memory.write32(AT.directory, 0x83);
  memory.write32(AT.pml4, AT.pdpt | 7);
  memory.write32(AT.pdpt, AT.eptDirectory | 7);
  memory.write32(AT.eptDirectory, 0x00_00b7); // 2 MiB, WB
  memory.write32(AT.eptDirectory + 8, 0x20_00b7);
  writeBaseline(world);
  return world;
}

/** Sets or clears control bits. */
export function control(world: World, field: number, bits: number, on = true): void {
  world.set(field, on ? world.get(field) | bits : world.get(field) & ~bits);
}

/** Launches (or resumes), and checks that the outcome is an exit; returns the exit-reason field. */
export function exitReason(world: World, launch = true): number {
  const reached: Reached = launch ? world.root.vmlaunch() : world.root.vmresume();
  if (reached.kind !== 'exit') throw new Error(`no exit: ${JSON.stringify(reached)}`);
  return world.get(F.EXIT_REASON);
}
