/** Every guest-state field is loaded into its register by VM entries and saved from it by VM exits, every host-state field loaded by VM
 *  exits; where a control decides about that, the control is obeyed. Which field belongs to which register: SDM Vol. 3, "Guest-State
 *  Area", "Host-State Area", "Loading Guest State", "Saving Guest State", "Loading Host State". */
import { describe, expect, test } from 'vitest';
import {
  ACTIVITY,
  CR0,
  CR3,
  CR4,
  CS,
  DEBUGCTL,
  DR7,
  DS,
  EFER,
  EIP,
  ES,
  ESP,
  FS,
  GDTR_BASE,
  GDTR_LIMIT,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  LDTR,
  PDPTE,
  PENDING_DEBUG,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
  TR,
} from '../../src/base/registers.ts';
import { VM_ENTRY, VM_EXIT } from '../../src/vmx/controls.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import { FIELDS } from '../../src/vmx/field-table.ts';
import * as F from '../../src/vmx/fields.ts';
import { AT, baseline, control, type World } from './support.ts';

const PAT = 0x277;
const PERF_GLOBAL_CTRL = 0x38f;
/** A second directory and PAE tables, with the same translations. */
const DIRECTORY = 0x2_6000;
const POINTERS = 0x2_7000;
const PAE_DIRECTORY = 0x2_8000;

/** A register: a word of the register file, an MSR, or EFLAGS. */
type Register = number | { readonly msr: number; readonly half: 'lo' | 'hi' } | 'flags';

interface Row {
  readonly field: number;
  readonly register: Register;
  /** What the VMCS says at entry … */
  readonly loaded: number;
  /** … and what the guest leaves behind. */
  readonly changed: number;
  /** Fields that make `loaded` valid. */
  readonly with?: readonly (readonly [number, number])[];
  /** Control that has it loaded, and saved. */
  readonly entry?: number;
  readonly exit?: number | 'never';
}
type HostRow = Pick<Row, 'field' | 'register' | 'loaded' | 'with'> & { readonly exit?: number };

const msr = (index: number, half: 'lo' | 'hi' = 'lo'): Register => ({ msr: index, half });
const FLAT = 0xc093;

/** The fields of ES CS SS DS FS GS follow each other. */
function segment(s: number, access: number): Row[] {
  const selector = F.GUEST_ES_SELECTOR + 2 * s;
  const base = F.GUEST_ES_BASE + 2 * s;
  const limit = F.GUEST_ES_LIMIT + 2 * s;
  const rights = F.GUEST_ES_ACCESS_RIGHTS + 2 * s;
  const isCode = s === CS;
  return [
    { field: selector, register: SEG_SELECTOR + s, loaded: 0x28, changed: 0x3b },
    {
      field: base,
      register: SEG_BASE + s,
      loaded: 0x1000,
      changed: 0x8765_4321,
      ...(isCode ? { with: [[F.GUEST_RIP, AT.code - 0x1000]] } : {}),
    },
    {
      field: limit,
      register: SEG_LIMIT + s,
      loaded: 0x7_ffff,
      changed: 0x1234,
      with: [[rights, isCode ? 0x409b : 0x4093]],
    },
    { field: rights, register: SEG_ACCESS + s, loaded: access, changed: FLAT ^ 0x60 },
  ];
}

const LDT = [F.GUEST_LDTR_ACCESS_RIGHTS, 0x82] as const;
const PAE = [
  [F.GUEST_CR4, 0x2020],
  [F.GUEST_CR3, POINTERS],
  [F.GUEST_PDPTE0, PAE_DIRECTORY | 1],
] as const;

const GUEST: readonly Row[] = [
  ...segment(ES, 0xc0f3),
  ...segment(CS, 0xc09f),
  ...segment(SS_, 0xc097),
  ...segment(DS, 0xc091),
  ...segment(FS, 0xc09b),
  ...segment(GS, 0xd093),
  { field: F.GUEST_LDTR_SELECTOR, register: SEG_SELECTOR + LDTR, loaded: 0x38, changed: 0x50 },
  { field: F.GUEST_LDTR_BASE, register: SEG_BASE + LDTR, loaded: 0x1234, changed: 0x4321, with: [LDT] },
  { field: F.GUEST_LDTR_LIMIT, register: SEG_LIMIT + LDTR, loaded: 0x27, changed: 0x37, with: [LDT] },
  { field: F.GUEST_LDTR_ACCESS_RIGHTS, register: SEG_ACCESS + LDTR, loaded: 0x82, changed: 0x1_0082 },
  { field: F.GUEST_TR_SELECTOR, register: SEG_SELECTOR + TR, loaded: 0x40, changed: 0x58 },
  { field: F.GUEST_TR_BASE, register: SEG_BASE + TR, loaded: 0x5678, changed: 0x8765 },
  { field: F.GUEST_TR_LIMIT, register: SEG_LIMIT + TR, loaded: 0x167, changed: 0x267 },
  { field: F.GUEST_TR_ACCESS_RIGHTS, register: SEG_ACCESS + TR, loaded: 0x83, changed: 0x8b },
  { field: F.GUEST_GDTR_BASE, register: GDTR_BASE, loaded: 0x9990, changed: 0xaaa0 },
  { field: F.GUEST_GDTR_LIMIT, register: GDTR_LIMIT, loaded: 0x123, changed: 0x321 },
  { field: F.GUEST_IDTR_BASE, register: IDTR_BASE, loaded: 0xbbb0, changed: 0xccc0 },
  { field: F.GUEST_IDTR_LIMIT, register: IDTR_LIMIT, loaded: 0x456, changed: 0x654 },
  { field: F.GUEST_CR0, register: CR0, loaded: 0x8005_0033, changed: 0x8001_0039 },
  { field: F.GUEST_CR3, register: CR3, loaded: DIRECTORY, changed: 0x7000 },
  { field: F.GUEST_CR4, register: CR4, loaded: 0x2018, changed: 0x2090 },
  {
    field: F.GUEST_DR7,
    register: DR7,
    loaded: 0x700,
    changed: 0x500,
    entry: VM_ENTRY.LOAD_DEBUG_CONTROLS,
    exit: VM_EXIT.SAVE_DEBUG_CONTROLS,
  },
  {
    field: F.GUEST_IA32_DEBUGCTL,
    register: DEBUGCTL,
    loaded: 2,
    changed: 1,
    entry: VM_ENTRY.LOAD_DEBUG_CONTROLS,
    exit: VM_EXIT.SAVE_DEBUG_CONTROLS,
  },
  { field: F.GUEST_RSP, register: ESP, loaded: 0x4444, changed: 0x5555 },
  { field: F.GUEST_RIP, register: EIP, loaded: AT.code + 0x10, changed: 0x6666 },
  { field: F.GUEST_RFLAGS, register: 'flags', loaded: 0x4cd7, changed: 0x4002 },
  { field: F.GUEST_IA32_SYSENTER_CS, register: SYSENTER_CS, loaded: 0x68, changed: 0x78 },
  { field: F.GUEST_IA32_SYSENTER_ESP, register: SYSENTER_ESP, loaded: 0x1_0001, changed: 0x1_0002 },
  { field: F.GUEST_IA32_SYSENTER_EIP, register: SYSENTER_EIP, loaded: 0x1_0003, changed: 0x1_0004 },
  {
    field: F.GUEST_IA32_PAT,
    register: msr(PAT),
    loaded: 0x0605_0401,
    changed: 0x0101_0101,
    entry: VM_ENTRY.LOAD_IA32_PAT,
    exit: VM_EXIT.SAVE_IA32_PAT,
  },
  {
    field: F.GUEST_IA32_PAT + 1,
    register: msr(PAT, 'hi'),
    loaded: 0x0706_0504,
    changed: 0x0000_0101,
    entry: VM_ENTRY.LOAD_IA32_PAT,
    exit: VM_EXIT.SAVE_IA32_PAT,
  },
  {
    field: F.GUEST_IA32_EFER,
    register: EFER,
    loaded: 0x800,
    changed: 0,
    entry: VM_ENTRY.LOAD_IA32_EFER,
    exit: VM_EXIT.SAVE_IA32_EFER,
  },
  {
    field: F.GUEST_IA32_PERF_GLOBAL_CTRL,
    register: msr(PERF_GLOBAL_CTRL),
    loaded: 2,
    changed: 1,
    entry: VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL,
    exit: 'never', // the control for that came later
  },
  { field: F.GUEST_INTERRUPTIBILITY_STATE, register: INTERRUPTIBILITY, loaded: 8, changed: 0 },
  ...[0, 1, 2, 3].flatMap((n): Row[] => [
    {
      field: F.GUEST_PDPTE0 + 2 * n,
      register: PDPTE + 2 * n,
      loaded: PAE_DIRECTORY | (n === 0 ? 1 : 0x19),
      changed: 0x1_2001,
      with: PAE,
    },
    { field: F.GUEST_PDPTE0 + 2 * n + 1, register: PDPTE + 2 * n + 1, loaded: n === 0 ? 0 : 9, changed: 7, with: PAE },
  ]),
];

/** Guest state that cannot be looked at this way, and where it is. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  VMCS_LINK_POINTER: 'is no register (shadow-vmcs.test.ts)',
  GUEST_INTERRUPT_STATUS: 'is no register (virtual-apic.test.ts)',
  PML_INDEX: 'is no register (guest-memory.test.ts)',
  VMX_PREEMPTION_TIMER_VALUE: 'counts (events.test.ts)',
  GUEST_SMBASE: 'is saved and loaded in SMM only',
  GUEST_ACTIVITY_STATE: 'below; a guest that is not active executes nothing (nmi.test.ts)',
  GUEST_PENDING_DEBUG_EXCEPTIONS: 'below; what is loaded is delivered at once (debugging.test.ts)',
  HOST_RIP: 'names the gate of root mode (root-mode.test.ts)',
};

function get({ machine, root }: World, register: Register): number {
  const { cpu } = machine;
  if (register === 'flags') return cpu.getFlags() >>> 0;
  if (typeof register === 'number') return (cpu.S[register] as number) >>> 0;
  const value = root.rdmsr(register.msr);
  return value === 'gp' ? -1 : value[register.half] >>> 0;
}

function put({ machine, root }: World, register: Register, value: number): void {
  const { cpu } = machine;
  if (register === 'flags') cpu.setFlags(value);
  else if (typeof register === 'number') cpu.S[register] = value;
  else {
    const { lo, hi } = root.rdmsr(register.msr) as { lo: number; hi: number };
    const isLow = register.half === 'lo';
    expect(root.wrmsr(register.msr, isLow ? value : lo, isLow ? hi : value)).toBe(true);
  }
}

/** A guest of NOPs. */
function world(): World {
  const w = baseline({ contexts: 4 });
  const { memory } = w.root;
  memory.fill(AT.code, 64, 0x90);
  memory.write32(DIRECTORY, 0x83);
  memory.write32(POINTERS, PAE_DIRECTORY | 1);
  memory.write32(PAE_DIRECTORY, 0x83);
  memory.write32(PAE_DIRECTORY + 4, 0);
  return w;
}

/** Enters, and stops in the guest behind three instructions. */
function enter(w: World): void {
  w.root.maxInstructions = w.machine.instructions + 3;
  expect(w.root.vmlaunch()).toEqual({ kind: 'budget' });
}

/** Comes back at once, by an NMI. */
function leave(w: World): void {
  expect(w.root.kick()).toEqual({ kind: 'exit' });
  expect(w.get(F.EXIT_REASON)).toBe(EXIT.EXCEPTION_OR_NMI);
}

const nameOf = (field: number): string => {
  const row = FIELDS.find((f) => f.encoding === (field & ~1));
  return `${row?.name}${field & 1 ? ' (high)' : ''}`;
};
const named = <R extends HostRow | Row>(rows: readonly R[]): [string, R][] =>
  rows.map((row) => [nameOf(row.field), row]);

function arrange(row: HostRow | Row): World {
  const w = world();
  for (const [field, value] of row.with ?? []) w.set(field, value);
  w.set(row.field, row.loaded);
  return w;
}

describe('guest state', () => {
  test.each(named(GUEST))('%s is loaded by VM entry, and saved by VM exit', (_, row) => {
    const w = arrange(row);
    if (row.entry !== undefined) control(w, F.VM_ENTRY_CONTROLS, row.entry);
    if (typeof row.exit === 'number') control(w, F.VM_EXIT_CONTROLS, row.exit);
    enter(w);
    expect(get(w, row.register)).toBe(row.register === EIP ? row.loaded + 3 : row.loaded);
    put(w, row.register, row.changed);
    leave(w);
    expect(w.get(row.field) >>> 0).toBe(row.exit === 'never' ? row.loaded : row.changed);
  });

  const CONTROLLED = GUEST.filter((row) => row.entry !== undefined);

  test.each(named(CONTROLLED))('%s is neither loaded nor saved without its controls', (_, row) => {
    const w = arrange(row);
    control(w, F.VM_ENTRY_CONTROLS, row.entry ?? 0, false);
    if (typeof row.exit === 'number') control(w, F.VM_EXIT_CONTROLS, row.exit, false);
    const before = get(w, row.register);
    expect(before).not.toBe(row.loaded);
    enter(w);
    expect(get(w, row.register)).toBe(before);
    put(w, row.register, row.changed);
    leave(w);
    expect(w.get(row.field)).toBe(row.loaded);
  });

  test('what no entry loads for a moment only is saved', () => {
    const w = world();
    enter(w);
    w.machine.cpu.S[ACTIVITY] = 1;
    w.machine.cpu.S[PENDING_DEBUG] = 0x4001;
    leave(w);
    expect(w.get(F.GUEST_ACTIVITY_STATE)).toBe(1);
    expect(w.get(F.GUEST_PENDING_DEBUG_EXCEPTIONS)).toBe(0x4001);
  });

  test('PDPTE registers are saved only where PAE paging and EPT are on', () => {
    const w = world();
    w.set(F.GUEST_PDPTE1, 0x1234);
    enter(w);
    w.machine.cpu.S[PDPTE + 2] = 0x4321;
    leave(w);
    expect(w.get(F.GUEST_PDPTE1)).toBe(0x1234);
  });
});

const HOST: readonly HostRow[] = [
  { field: F.HOST_ES_SELECTOR, register: SEG_SELECTOR + ES, loaded: 0x28 },
  { field: F.HOST_CS_SELECTOR, register: SEG_SELECTOR + CS, loaded: 0x30 },
  { field: F.HOST_SS_SELECTOR, register: SEG_SELECTOR + SS_, loaded: 0x38 },
  { field: F.HOST_DS_SELECTOR, register: SEG_SELECTOR + DS, loaded: 0x40 },
  { field: F.HOST_FS_SELECTOR, register: SEG_SELECTOR + FS, loaded: 0x48 },
  { field: F.HOST_GS_SELECTOR, register: SEG_SELECTOR + GS, loaded: 0x50 },
  { field: F.HOST_TR_SELECTOR, register: SEG_SELECTOR + TR, loaded: 0x58 },
  { field: F.HOST_FS_BASE, register: SEG_BASE + FS, loaded: 0x1111 },
  { field: F.HOST_GS_BASE, register: SEG_BASE + GS, loaded: 0x2222 },
  { field: F.HOST_TR_BASE, register: SEG_BASE + TR, loaded: 0x3333 },
  { field: F.HOST_GDTR_BASE, register: GDTR_BASE, loaded: 0x4444 },
  { field: F.HOST_IDTR_BASE, register: IDTR_BASE, loaded: 0x5555 },
  { field: F.HOST_CR0, register: CR0, loaded: 0x8005_003b },
  { field: F.HOST_CR3, register: CR3, loaded: DIRECTORY },
  { field: F.HOST_CR4, register: CR4, loaded: 0x2098 },
  { field: F.HOST_RSP, register: ESP, loaded: 0x9_8765 },
  { field: F.HOST_IA32_SYSENTER_CS, register: SYSENTER_CS, loaded: 0x60 },
  { field: F.HOST_IA32_SYSENTER_ESP, register: SYSENTER_ESP, loaded: 0x6666 },
  { field: F.HOST_IA32_SYSENTER_EIP, register: SYSENTER_EIP, loaded: 0x7777 },
  { field: F.HOST_IA32_PAT, register: msr(PAT), loaded: 0x0605_0401, exit: VM_EXIT.LOAD_IA32_PAT },
  { field: F.HOST_IA32_EFER, register: EFER, loaded: 0x800, exit: VM_EXIT.LOAD_IA32_EFER },
  {
    field: F.HOST_IA32_PERF_GLOBAL_CTRL,
    register: msr(PERF_GLOBAL_CTRL),
    loaded: 2,
    exit: VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL,
  },
];

describe('host state', () => {
  test.each(named(HOST))('%s is loaded by VM exit', (_, row) => {
    const w = arrange(row);
    if (typeof row.exit === 'number') control(w, F.VM_EXIT_CONTROLS, row.exit);
    enter(w);
    leave(w);
    expect(get(w, row.register)).toBe(row.loaded);
    expect(w.get(row.field) >>> 0).toBe(row.loaded); // exits do not write there
  });

  test.each(named(HOST.filter((row) => row.exit !== undefined)))('%s is not loaded without its control', (_, row) => {
    const w = arrange(row);
    control(w, F.VM_EXIT_CONTROLS, row.exit as number, false);
    const before = get(w, row.register);
    expect(before).not.toBe(row.loaded);
    enter(w);
    leave(w);
    expect(get(w, row.register)).toBe(before);
  });

  test('what has no field gets fixed values', () => {
    const w = world();
    w.set(F.GUEST_RFLAGS, 0x8d7);
    enter(w);
    leave(w);
    const { S } = w.machine.cpu;
    expect(w.machine.cpu.getFlags()).toBe(2);
    expect([GDTR_LIMIT, IDTR_LIMIT, DR7, DEBUGCTL, ACTIVITY].map((k) => S[k])).toEqual([0xffff, 0xffff, 0x400, 0, 0]);
    expect([CS, SS_, TR, LDTR].map((s) => (S[SEG_ACCESS + s] as number) & 0x1_f0ff)).toEqual([
      0xc09b, 0xc093, 0x8b, 0x1_0000,
    ]);
    expect([ES, CS, SS_, DS].map((s) => [S[SEG_BASE + s], S[SEG_LIMIT + s]])).toEqual([
      [0, -1],
      [0, -1],
      [0, -1],
      [0, -1],
    ]);
    expect(S[SEG_LIMIT + TR]).toBe(0x67);
  });
});

test('no field of the guest-state and host-state areas is missing here', () => {
  const here = new Set([...GUEST, ...HOST].map((row) => nameOf(row.field & ~1)));
  const missing = FIELDS.filter(({ type }) => type === 'guest state' || type === 'host state')
    .map(({ name }) => name)
    .filter((name) => !here.has(name));
  expect(missing.sort()).toEqual(Object.keys(ELSEWHERE).sort());
});
