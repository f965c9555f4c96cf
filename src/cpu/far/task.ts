/** Who may switch to which task (SDM Vol. 3, "Task Switching", steps 1 to 4; Vol. 2, "JMP", "CALL", "IRET", "INT n"). In VMX
 *  non-root operation a switch leaves to the hypervisor after these checks (SDM Vol. 3, "Treatment of Task Switches"). */

import { CPL, EIP, SEG_ACCESS, SEG_BASE, TR } from '../../base/registers.ts';
import { GP, NP, TS } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { taskSwitched } from '../debugging/state.ts';
import {
  type Descriptor,
  dplOf,
  isNull,
  isPresent,
  named,
  readDescriptor,
  selectorError,
  TSS16_AVAILABLE,
  TSS16_BUSY,
  TSS32_AVAILABLE,
  TSS32_BUSY,
  typeOf,
} from './descriptors.ts';
import { checkRoom, currentStack, pushFrame, setStackPointer } from './stack.ts';
import {
  checkTssLimit,
  loadTaskSegments,
  switchTask,
  TASK_GATE_IN_IDT,
  TASK_IRET,
  type TaskSwitchSource,
} from './task-switch.ts';

/** The TSS that JMP or CALL names directly: in the GDT, open to CPL and RPL, available, present. */
export function namedTss(cpu: Cpu, d: Descriptor): Descriptor {
  requireOpen(cpu, d, 'TSS');
  return checkTss(cpu, d.selector, GP, 0, TSS16_AVAILABLE, TSS32_AVAILABLE);
}

/** The TSS behind a task gate that JMP or CALL names. */
export function gatedTss(cpu: Cpu, gate: Descriptor): Descriptor {
  requireOpen(cpu, gate, 'task gate');
  if (!isPresent(gate))
    cpu.raise(NP, selectorError(gate.selector, 0), `task gate ${named(gate.selector)} is not present`);
  return checkTss(cpu, gate.low >>> 16, GP, 0, TSS16_AVAILABLE, TSS32_AVAILABLE);
}

/** The TSS that the link field of the present one names: IRET with NT set goes back to it. */
export function linkedTss(cpu: Cpu): Descriptor {
  const selector = cpu.mmu.readSystem16(cpu.S[SEG_BASE + TR] >>> 0) & 0xffff;
  return checkTss(cpu, selector, TS, 0, TSS16_BUSY, TSS32_BUSY);
}

function requireOpen(cpu: Cpu, d: Descriptor, what: string): void {
  if (dplOf(d) < Math.max(cpu.S[CPL], d.selector & 3))
    cpu.raise(GP, selectorError(d.selector, 0), `${what} ${named(d.selector)} is not open to this privilege level`);
}

/** A TSS must be in the GDT, of one of two types, present, and long enough. */
function checkTss(cpu: Cpu, selector: number, vector: number, ext: number, type16: number, type32: number): Descriptor {
  const error = selectorError(selector, ext);
  const d = isNull(selector) || selector & 4 ? null : readDescriptor(cpu, selector);
  if (d === null) return cpu.raise(vector, error, `${named(selector)} of a TSS is not in the GDT`);
  if (typeOf(d) !== type16 && typeOf(d) !== type32)
    cpu.raise(vector, error, `${named(selector)} is not a TSS in the right state`);
  if (!isPresent(d)) cpu.raise(NP, error, `TSS ${named(selector)} is not present`);
  checkTssLimit(cpu, d, ext);
  return d;
}

/** The switch that an instruction asks for, up to the commit point. Returns the new task's T flag; null: a VM exit took its place. */
export function leaveTask(cpu: Cpu, tss: Descriptor, source: TaskSwitchSource): boolean | null {
  if (cpu.monitor?.nonRoot && cpu.monitor.interceptTaskSwitch(tss.selector, source)) return null;
  const trap = switchTask(cpu, tss, source, cpu.settleFlags(), cpu.S[EIP], 0);
  if (source === TASK_IRET) cpu.endNmiBlocking();
  return trap;
}

/** An event that goes through a task gate of the IDT: `flags` and `eip` are what the interrupted task continues with. False: a VM
 *  exit took its place. A fault after the commit point is met during delivery, with S[EIP] the new task's. */
export function enterTaskGate(
  cpu: Cpu,
  gate: Descriptor,
  errorCode: number,
  flags: number,
  eip: number,
  ext: number,
): boolean {
  const tss = checkTss(cpu, gate.low >>> 16, GP, ext, TSS16_AVAILABLE, TSS32_AVAILABLE);
  if (cpu.monitor?.nonRoot && cpu.monitor.interceptTaskSwitch(tss.selector, TASK_GATE_IN_IDT)) return false;
  const trap = switchTask(cpu, tss, TASK_GATE_IN_IDT, flags, eip, ext);
  loadTaskSegments(cpu, ext);
  if (errorCode >= 0) pushErrorCode(cpu, errorCode, ext);
  taskSwitched(cpu, trap);
  return true;
}

/** The error code goes on the new task's stack, in the width of its TSS. */
function pushErrorCode(cpu: Cpu, errorCode: number, ext: number): void {
  const slot = cpu.S[SEG_ACCESS + TR] & 8 ? 4 : 2;
  const stack = currentStack(cpu, ext);
  checkRoom(cpu, stack, slot, slot);
  setStackPointer(cpu, pushFrame(cpu, stack, slot, [errorCode]));
}
