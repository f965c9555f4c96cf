/** A processor as plain data. What follows from other state is no part of it: decoded code, lazy flags, the block flavour. */

import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { hex } from '../base/int.ts';
import {
  ACTIVITY,
  CPL,
  CR0,
  CR0_AM,
  CR0_PE,
  CR0_PG,
  CR2,
  CR3,
  CR4,
  DEBUG_B,
  DEBUG_BREAKPOINTS,
  DEBUG_BS,
  DEBUG_BT,
  DEBUG_ENABLED,
  DEBUG_HITS,
  DEBUG_WATCH,
  DEBUGCTL,
  DR0,
  DR6,
  DR6_FIXED,
  DR7,
  DR7_FIXED,
  EAX,
  EBP,
  EBX,
  ECX,
  EDI,
  EDX,
  EFER,
  EFER_NXE,
  EFLAGS,
  EIP,
  ESI,
  ESP,
  EVENT_BOUNDARY,
  EVENT_DEBUG,
  EVENT_HALT,
  EVENTS,
  FLAG_AC,
  FLAG_KIND,
  FLAG_VM,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  PDPTE,
  PENDING_DEBUG,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from '../base/registers.ts';
import { boolean, dword, integer, list, record, word } from '../base/validate.ts';
import { pdpteHolds } from '../mmu/pae.ts';
import type { Cpu } from './cpu.ts';
import { debugRegistersChanged } from './debugging/breakpoints.ts';
import { cr4Mask } from './model.ts';
import { restoreMsrs, type SavedMsr, saveMsrs } from './msr.ts';
import { DR6_WRITABLE, DR7_WRITABLE } from './system/debug-registers.ts';

/** Registers that are one word of the register file, all of whose values are taken as they are. */
const WORDS = {
  eax: EAX, ecx: ECX, edx: EDX, ebx: EBX, esp: ESP, ebp: EBP, esi: ESI, edi: EDI, eip: EIP,
  cr0: CR0, cr2: CR2, cr3: CR3, cr4: CR4, efer: EFER,
  dr0: DR0, dr1: DR0 + 1, dr2: DR0 + 2, dr3: DR0 + 3, dr6: DR6, dr7: DR7, debugctl: DEBUGCTL,
  sysenterCs: SYSENTER_CS, sysenterEsp: SYSENTER_ESP, sysenterEip: SYSENTER_EIP,
} as const; // biome-ignore format: a table
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;
const TABLES = { gdtr: [GDTR_BASE, GDTR_LIMIT], idtr: [IDTR_BASE, IDTR_LIMIT] } as const;

/** Four PDPTE registers, two words each. */
const PDPTE_WORDS = 8;

/** Bits of EFLAGS that are always 0. Bit 1 is always 1. */
const EFLAGS_ZERO = ~0x3f_7fd7;
/** Bits of pending debug exceptions. */
const PENDING = DEBUG_B | DEBUG_ENABLED | DEBUG_BS | DEBUG_BT;

type WordName = keyof typeof WORDS;
type SegmentName = (typeof SEGMENTS)[number];

interface SegmentState {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}

interface TableState {
  readonly base: number;
  readonly limit: number;
}

/** All values unsigned. Virtual time is its owner's to save. */
export type CpuState = { readonly [name in WordName]: number } & { readonly [name in SegmentName]: SegmentState } & {
  readonly gdtr: TableState;
  readonly idtr: TableState;
  /** Name of the processor model. */
  readonly model: string;
  /** PDPTE registers: low and high word of each. */
  readonly pdptes: readonly number[];
  readonly eflags: number;
  readonly cpl: number;
  /** As VMX numbers it: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI. */
  readonly activity: number;
  /** VMX's interruptibility-state bits: blocking by STI, by MOV SS, by NMI. */
  readonly interruptibility: number;
  /** Debug exceptions that are due: B0 to B3, bit 12 if one of them is enabled, BS (14), BT (15). */
  readonly pendingDebug: number;
  /** Level of the INTR pin. */
  readonly interruptLine: boolean;
  /** An NMI waits. */
  readonly nmiPending: boolean;
  /** An INIT waits; vector of a start-up IPI that waits, −1: none; INIT leads to the reset vector. */
  readonly initPending: boolean;
  readonly startUpVector: number;
  readonly isBootstrap: boolean;
  /** The execution monitor wants to look at the next instruction boundary. */
  readonly boundaryWanted: boolean;
  /** Time-stamp counter minus virtual time. */
  readonly tscOffset: number;
  readonly msrs: readonly SavedMsr[];
};

/** The state between two instructions. */
export function saveCpu(cpu: Cpu): CpuState {
  const { S } = cpu;
  const value = (k: number): number => S[k] >>> 0;
  const words = Object.fromEntries(Object.entries(WORDS).map(([name, k]) => [name, value(k)]));
  const segments = SEGMENTS.map((name, k) => [
    name,
    {
      selector: value(SEG_SELECTOR + k),
      base: value(SEG_BASE + k),
      limit: value(SEG_LIMIT + k),
      access: value(SEG_ACCESS + k),
    },
  ]);
  const tables = Object.entries(TABLES).map(([name, [base, limit]]) => [
    name,
    { base: value(base), limit: value(limit) },
  ]);
  return {
    model: cpu.model.name,
    ...(words as Record<WordName, number>),
    pdptes: Array.from({ length: PDPTE_WORDS }, (_, k) => value(PDPTE + k)),
    eflags: cpu.boundaryFlags() >>> 0,
    pendingDebug: value(PENDING_DEBUG) | value(DEBUG_HITS),
    ...(Object.fromEntries(segments) as Record<SegmentName, SegmentState>),
    ...(Object.fromEntries(tables) as Record<keyof typeof TABLES, TableState>),
    cpl: S[CPL],
    activity: S[ACTIVITY],
    interruptibility: S[INTERRUPTIBILITY],
    interruptLine: cpu.interruptLine,
    nmiPending: cpu.nmiPending,
    initPending: cpu.initPending,
    startUpVector: cpu.startUpVector,
    isBootstrap: cpu.isBootstrap,
    boundaryWanted: (S[EVENTS] & EVENT_BOUNDARY) !== 0,
    tscOffset: cpu.tscOffset,
    msrs: saveMsrs(cpu),
  };
}

/** Checks every field, then takes the state over; on an error nothing has changed. Translations are the memory unit's to restore,
 *  after this. */
export function restoreCpu(cpu: Cpu, state: Unvalidated<CpuState>): void {
  const next = new Map<number, number>();
  if (state.model !== cpu.model.name)
    throw new InvalidInput(`cpu.model is ${String(state.model)}, this processor is a ${cpu.model.name}`);
  for (const [name, k] of Object.entries(WORDS)) next.set(k, dword(state[name as WordName], `cpu.${name}`));
  SEGMENTS.forEach((name, k) => {
    const segment = record(state[name], `cpu.${name}`);
    next.set(SEG_SELECTOR + k, word(segment.selector, `cpu.${name}.selector`));
    next.set(SEG_BASE + k, dword(segment.base, `cpu.${name}.base`));
    next.set(SEG_LIMIT + k, dword(segment.limit, `cpu.${name}.limit`));
    next.set(SEG_ACCESS + k, integer(segment.access, `cpu.${name}.access`, 0, 0x1_ffff));
  });
  for (const [name, [base, limit]] of Object.entries(TABLES)) {
    const table = record(state[name as 'gdtr'], `cpu.${name}`);
    next.set(base, dword(table.base, `cpu.${name}.base`));
    next.set(limit, word(table.limit, `cpu.${name}.limit`));
  }
  list(state.pdptes, 'cpu.pdptes', PDPTE_WORDS, PDPTE_WORDS, dword).forEach((v, k) => {
    next.set(PDPTE + k, v);
  });
  const eflags = dword(state.eflags, 'cpu.eflags');
  const cpl = integer(state.cpl, 'cpu.cpl', 0, 3);
  const activity = integer(state.activity, 'cpu.activity', 0, 3);
  const interruptibility = integer(state.interruptibility, 'cpu.interruptibility', 0, 15);
  if ((interruptibility & 4) !== 0) throw new InvalidInput('cpu.interruptibility: there is no blocking by SMI');
  const pendingDebug = integer(state.pendingDebug, 'cpu.pendingDebug', 0, PENDING);
  if ((pendingDebug & ~PENDING) !== 0) throw new InvalidInput('cpu.pendingDebug: reserved bits must be 0');
  const interruptLine = boolean(state.interruptLine, 'cpu.interruptLine');
  const nmiPending = boolean(state.nmiPending, 'cpu.nmiPending');
  const initPending = boolean(state.initPending, 'cpu.initPending');
  const startUpVector = integer(state.startUpVector, 'cpu.startUpVector', -1, activity === 3 ? 0xff : -1);
  const isBootstrap = boolean(state.isBootstrap, 'cpu.isBootstrap');
  const boundaryWanted = boolean(state.boundaryWanted, 'cpu.boundaryWanted');
  const tscOffset = integer(state.tscOffset, 'cpu.tscOffset', -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  checkControl(cpu, next, eflags, cpl);
  restoreMsrs(cpu, state.msrs); // checks before it changes anything; nothing below fails

  const { S } = cpu;
  for (const [k, value] of next) S[k] = value;
  S[FLAG_KIND] = 0;
  S[EFLAGS] = eflags;
  S[ACTIVITY] = activity;
  S[INTERRUPTIBILITY] = interruptibility;
  S[EVENTS] = EVENT_DEBUG | (activity !== 0 ? EVENT_HALT : 0) | (boundaryWanted ? EVENT_BOUNDARY : 0);
  S[PENDING_DEBUG] = pendingDebug;
  S[DEBUG_HITS] = 0;
  S[DEBUG_WATCH] &= ~DEBUG_BREAKPOINTS;
  cpu.isRepeating = false;
  debugRegistersChanged(cpu);
  cpu.interruptLine = interruptLine;
  cpu.nmiPending = nmiPending;
  cpu.initPending = initPending;
  cpu.startUpVector = startUpVector;
  cpu.isBootstrap = isBootstrap;
  cpu.tscOffset = tscOffset;
  cpu.delivering = null;
  cpu.updateInterruptEvent();
  cpu.segmentsChanged();
  cpu.setCpl(cpl);
  cpu.code.clear();
}

/** Combinations that no instruction sequence leads to, among them whatever ends in `Unimplemented`. */
function checkControl(cpu: Cpu, next: ReadonlyMap<number, number>, eflags: number, cpl: number): void {
  const of = (k: number): number => next.get(k) as number;
  const refuse = (field: string, value: number, why: string): never => {
    throw new InvalidInput(`cpu.${field} is ${hex(value)}: ${why}`);
  };
  const cr0 = of(CR0);
  const cr4 = of(CR4);
  if ((cr0 & CR0_PG) !== 0 && (cr0 & CR0_PE) === 0) refuse('cr0', cr0, 'paging needs protected mode');
  if ((cr4 & ~cr4Mask(cpu.model)) !== 0) refuse('cr4', cr4, `bits that a ${cpu.model.name} does not have`);
  const efer = cpu.model.features.has('NX') ? EFER_NXE : 0;
  if ((of(EFER) & ~efer) !== 0) refuse('efer', of(EFER), `bits that a ${cpu.model.name} does not have`);
  for (let k = 0; k < PDPTE_WORDS; k += 2)
    if (!pdpteHolds(of(PDPTE + k), of(PDPTE + k + 1), cpu.model.physicalAddressBits))
      refuse(`pdptes[${k}]`, of(PDPTE + k), 'a present entry with reserved bits is never loaded');
  if ((eflags & 2) === 0 || (eflags & EFLAGS_ZERO) !== 0) refuse('eflags', eflags, 'reserved bits must be as reset');
  if ((eflags & FLAG_VM) !== 0) checkVirtual8086(of, (why) => refuse('eflags', eflags, why), cpl);
  if (cpl === 3 && (eflags & FLAG_AC) !== 0 && (cr0 & CR0_AM) !== 0)
    refuse('eflags', eflags, 'alignment check is not implemented');
  if (((of(DR6) & ~DR6_WRITABLE) | 0) !== DR6_FIXED) refuse('dr6', of(DR6), 'reserved bits must be as reset');
  if (((of(DR7) & ~DR7_WRITABLE) | 0) !== DR7_FIXED) refuse('dr7', of(DR7), 'reserved bits must be as reset');
}

/** What holds wherever EFLAGS.VM is set (SDM Vol. 3, "Virtual-8086 Mode"). */
function checkVirtual8086(of: (k: number) => number, refuse: (why: string) => never, cpl: number): void {
  if ((of(CR0) & CR0_PE) === 0) refuse('virtual-8086 mode needs protected mode');
  if (cpl !== 3) refuse('in virtual-8086 mode CPL is 3');
  for (let segment = 0; segment < 6; segment++)
    if (
      of(SEG_BASE + segment) !== of(SEG_SELECTOR + segment) << 4 ||
      of(SEG_LIMIT + segment) !== 0xffff ||
      of(SEG_ACCESS + segment) !== 0xf3
    )
      refuse('segment registers do not hold what virtual-8086 mode loads');
}
