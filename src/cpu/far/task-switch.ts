/** The switch from one task to another (SDM Vol. 3, "Task Switching", steps 3 to 13): up to the commit point nothing changes when
 *  something faults; after it faults belong to the new task. */

import { Unimplemented } from '../../base/errors.ts';
import {
  AR_UNUSABLE,
  CPL,
  CR0,
  CR0_AM,
  CR0_PG,
  CR0_TS,
  CR3,
  CS,
  EAX,
  EIP,
  FLAG_AC,
  FLAG_NT,
  FLAG_VM,
  GDTR_BASE,
  LDTR,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  TR,
} from '../../base/registers.ts';
import { NP, TS } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { taskSwitched } from '../debugging/state.ts';
import { writeControlRegister } from '../system/control-registers.ts';
import { checkOffset } from './code.ts';
import {
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isNull,
  isPresent,
  LDT,
  named,
  readDescriptor,
  selectorError,
  setAccessed,
  setBusy,
  typeOf,
} from './descriptors.ts';
import { dataDescriptor, fetchDescriptor, install, installNull, loadVirtual8086, stackDescriptor } from './segments.ts';
import { layoutOf, readTask, TASK_FLAGS, type TaskState, type TssLayout, type TssMemory, writeTask } from './tss.ts';

/** What asked for the switch, as exit qualifications number it. */
export const TASK_CALL = 0;
export const TASK_IRET = 1;
export const TASK_JMP = 2;
export const TASK_GATE_IN_IDT = 3;
export type TaskSwitchSource = 0 | 1 | 2 | 3;

const BUSY = 2;
/** Access rights in CS until what its selector names is loaded: VMX knows no CS that cannot be used. The limit is 0. */
const NO_CODE = 0x9b;

/** #TS(selector) if the new TSS is too short for its format. Comes before a VM exit. */
export function checkTssLimit(cpu: Cpu, tss: Descriptor, ext: number): void {
  if (tss.limit >>> 0 < layoutOf(tss.access).limit)
    cpu.raise(TS, selectorError(tss.selector, ext), `TSS ${named(tss.selector)} is shorter than its format`);
}

/** Leaves the present task, whose saved EFLAGS and EIP will be `flags` and `eip`, and takes over all of the new one but what
 *  descriptors say: that is `loadTaskSegments`' part. Throws only while nothing has changed. Returns the new task's T flag, for
 *  `taskSwitched` when all is loaded. */
export function switchTask(
  cpu: Cpu,
  tss: Descriptor,
  source: TaskSwitchSource,
  flags: number,
  eip: number,
  ext: number,
): boolean {
  const { S, mmu } = cpu;
  const memory = systemMemory(cpu);
  const oldSelector = S[SEG_SELECTOR + TR];
  const oldBase = S[SEG_BASE + TR];
  const oldLayout = layoutOf(S[SEG_ACCESS + TR]);
  const layout = layoutOf(tss.access);
  const nests = source === TASK_CALL || source === TASK_GATE_IN_IDT;
  const oldRights = (S[GDTR_BASE] + (oldSelector & 0xfff8) + 5) >>> 0;
  checkMemory(cpu, tss, oldLayout, nests, ext);
  if (!nests) mmu.probeWrite(oldRights, 1, false);
  refuseMissing(cpu, readTask(memory, tss.base, layout));

  if (!nests) mmu.writeSystem8(oldRights, mmu.readSystem8(oldRights) & ~BUSY);
  writeTask(memory, oldBase, oldLayout, {
    eip,
    eflags: source === TASK_IRET ? flags & ~FLAG_NT : flags,
    general: Array.from({ length: 8 }, (_, n) => S[EAX + n]),
    selectors: Array.from({ length: 6 }, (_, n) => S[SEG_SELECTOR + n]),
  });
  if (nests) mmu.writeSystem16(tss.base >>> 0, oldSelector);
  if (source !== TASK_IRET) setBusy(cpu, tss);
  const task = readTask(memory, tss.base, layout);
  commit(cpu, tss, task, nests);
  return task.trap;
}

/** Step 5: everything that will be read or written is there. */
function checkMemory(cpu: Cpu, tss: Descriptor, oldLayout: TssLayout, nests: boolean, ext: number): void {
  const { S, mmu } = cpu;
  const selector = S[SEG_SELECTOR + TR];
  if (S[SEG_LIMIT + TR] >>> 0 < oldLayout.lastSaved)
    cpu.raise(TS, selectorError(selector, ext), `the present TSS ${named(selector)} cannot take the state of its task`);
  const saved = (S[SEG_BASE + TR] + oldLayout.eip) >>> 0;
  mmu.probeWrite(saved, oldLayout.lastSaved + 1 - oldLayout.eip, false);
  mmu.readSystem8(tss.base >>> 0);
  mmu.readSystem8((tss.base + layoutOf(tss.access).limit) >>> 0);
  if (nests) mmu.probeWrite(tss.base >>> 0, 2, false);
  mmu.probeWrite((tss.address + 5) >>> 0, 1, false);
}

const systemMemory = ({ mmu }: Cpu): TssMemory => ({
  read16: (linear) => mmu.readSystem16(linear),
  read32: (linear) => mmu.readSystem32(linear),
  write16: (linear, value) => mmu.writeSystem16(linear, value),
  write32: (linear, value) => mmu.writeSystem32(linear, value),
});

/** Better to stop before the switch than in the middle of the new task. */
function refuseMissing(cpu: Cpu, task: TaskState): void {
  const cpl = task.eflags & FLAG_VM ? 3 : (task.selectors[CS] as number) & 3;
  if (cpl === 3 && (task.eflags & FLAG_AC) !== 0 && (cpu.S[CR0] & CR0_AM) !== 0)
    throw new Unimplemented('alignment check');
}

/** Steps 9 to 12: TR, CR0.TS, CR3, registers. Segment registers get their selectors and cannot be used yet. */
function commit(cpu: Cpu, tss: Descriptor, task: TaskState, nests: boolean): void {
  const { S } = cpu;
  install(cpu, TR, tss.selector, tss);
  S[CR0] |= CR0_TS;
  S[EIP] = task.eip;
  for (let n = 0; n < 8; n++) S[EAX + n] = task.general[n] as number;
  const cpl = task.eflags & FLAG_VM ? 3 : (task.selectors[CS] as number) & 3;
  for (let n = 0; n < 6; n++) installNull(cpu, n, task.selectors[n] as number);
  installNull(cpu, LDTR, task.ldt);
  S[SEG_ACCESS + CS] = NO_CODE | (cpl << 5);
  S[SEG_ACCESS + SS_] |= cpl << 5;
  taskSwitched(cpu, false);
  cpu.setFlags((task.eflags & TASK_FLAGS) | (nests ? FLAG_NT : 0));
  cpu.setCpl(cpl);
  // The TLB is flushed only by a change of CR3 (SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches").
  if (task.cr3 !== null && (S[CR0] & CR0_PG) !== 0 && task.cr3 !== S[CR3]) writeControlRegister(cpu, 3, task.cr3);
}

/** Step 13, in the new task's context: #TS, #NP, #SS for the selector concerned, #GP for EIP. A segment register whose turn has not
 *  come stays unusable. The order among the segments is left to the processor by the manual. */
export function loadTaskSegments(cpu: Cpu, ext: number): void {
  const { S } = cpu;
  loadLdt(cpu, S[SEG_SELECTOR + LDTR], ext);
  if (cpu.getFlags() & FLAG_VM) {
    for (let n = 0; n < 6; n++) loadVirtual8086(cpu, n, S[SEG_SELECTOR + n]);
  } else {
    loadCode(cpu, S[SEG_SELECTOR + CS], ext);
    const stack = stackDescriptor(cpu, S[SEG_SELECTOR + SS_], S[CPL], TS, ext);
    setAccessed(cpu, stack);
    install(cpu, SS_, stack.selector, stack);
    for (let n = 0; n < 6; n++) if ((S[SEG_ACCESS + n] & AR_UNUSABLE) !== 0) loadData(cpu, n, S[SEG_SELECTOR + n], ext);
  }
  checkOffset(cpu, S[SEG_LIMIT + CS], S[EIP], ext);
}

function loadLdt(cpu: Cpu, selector: number, ext: number): void {
  if (isNull(selector)) return;
  const error = selectorError(selector, ext);
  const d =
    (selector & 4 ? null : readDescriptor(cpu, selector)) ??
    cpu.raise(TS, error, `${named(selector)} of the new task is not within the GDT`);
  if (typeOf(d) !== LDT) cpu.raise(TS, error, `${named(selector)} of the new task is not an LDT`);
  if (!isPresent(d)) cpu.raise(TS, error, `LDT ${named(selector)} of the new task is not present`);
  install(cpu, LDTR, selector, d);
}

function loadCode(cpu: Cpu, selector: number, ext: number): void {
  const error = selectorError(selector, ext);
  if (isNull(selector)) cpu.raise(TS, ext, 'the selector for CS in the new TSS is null');
  const d = fetchDescriptor(cpu, selector, TS, ext);
  if (!isCode(d)) cpu.raise(TS, error, `${named(selector)} for CS in the new TSS is not a code segment`);
  if (isConforming(d) ? dplOf(d) > (selector & 3) : dplOf(d) !== (selector & 3))
    cpu.raise(TS, error, `DPL ${dplOf(d)} of ${named(selector)} for CS in the new TSS does not suit its RPL`);
  if (!isPresent(d)) cpu.raise(NP, error, `${named(selector)} for CS in the new TSS is not present`);
  setAccessed(cpu, d);
  install(cpu, CS, selector, d);
}

function loadData(cpu: Cpu, segment: number, selector: number, ext: number): void {
  if (isNull(selector)) return;
  const d = dataDescriptor(cpu, selector, cpu.S[CPL], TS, ext);
  setAccessed(cpu, d);
  install(cpu, segment, selector, d);
}
