/** Hardware task switches are left out: software that ringlet targets uses the TSS for its stacks only. In VMX non-root
 *  operation they leave to the hypervisor, as the manual wants, after the checks that come before the switch
 *  (SDM Vol. 3, "Treatment of Task Switches"). */

import { Unimplemented } from '../../base/errors.ts';
import { CPL, SEG_BASE, TR } from '../../base/registers.ts';
import { GP, NP, TS } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
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

/** What asked for the switch, as exit qualifications number it. */
export const TASK_CALL = 0;
export const TASK_IRET = 1;
export const TASK_JMP = 2;
export const TASK_GATE_IN_IDT = 3;
export type TaskSwitchSource = 0 | 1 | 2 | 3;

/** JMP or CALL to an available TSS. */
export function switchTask(cpu: Cpu, d: Descriptor, source: TaskSwitchSource): void {
  if (dplOf(d) < Math.max(cpu.S[CPL], d.selector & 3))
    cpu.raise(GP, selectorError(d.selector, 0), `TSS ${named(d.selector)} is not open to this privilege level`);
  if (!isPresent(d)) cpu.raise(NP, selectorError(d.selector, 0), `TSS ${named(d.selector)} is not present`);
  leave(cpu, d.selector, source);
}

/** JMP or CALL to a task gate. */
export function switchTaskByGate(cpu: Cpu, gate: Descriptor, source: TaskSwitchSource): void {
  if (dplOf(gate) < Math.max(cpu.S[CPL], gate.selector & 3))
    cpu.raise(
      GP,
      selectorError(gate.selector, 0),
      `task gate ${named(gate.selector)} is not open to this privilege level`,
    );
  if (!isPresent(gate))
    cpu.raise(NP, selectorError(gate.selector, 0), `task gate ${named(gate.selector)} is not present`);
  enterTaskGate(cpu, gate, source, 0);
}

/** The TSS that a task gate names must be in the GDT, available and present. */
export function enterTaskGate(cpu: Cpu, gate: Descriptor, source: TaskSwitchSource, ext: number): void {
  const selector = gate.low >>> 16;
  const tss = checkTss(cpu, selector, GP, ext, TSS16_AVAILABLE, TSS32_AVAILABLE);
  if (!isPresent(tss)) cpu.raise(NP, selectorError(selector, ext), `TSS ${named(selector)} is not present`);
  leave(cpu, selector, source);
}

/** IRET with NT set: back to the task whose TSS the link field of the present one names. */
export function returnFromTask(cpu: Cpu): void {
  const selector = cpu.mmu.readSystem16(cpu.S[SEG_BASE + TR] >>> 0);
  const tss = checkTss(cpu, selector, TS, 0, TSS16_BUSY, TSS32_BUSY);
  if (!isPresent(tss)) cpu.raise(NP, selectorError(selector, 0), `TSS ${named(selector)} is not present`);
  leave(cpu, selector, TASK_IRET);
}

function checkTss(cpu: Cpu, selector: number, vector: number, ext: number, type16: number, type32: number): Descriptor {
  const error = selectorError(selector, ext);
  const d = isNull(selector) || selector & 4 ? null : readDescriptor(cpu, selector);
  if (d === null) return cpu.raise(vector, error, `${named(selector)} of a TSS is not in the GDT`);
  if (typeOf(d) !== type16 && typeOf(d) !== type32)
    cpu.raise(vector, error, `${named(selector)} is not a TSS in the right state`);
  return d;
}

function leave(cpu: Cpu, selector: number, source: TaskSwitchSource): void {
  if (cpu.monitor?.nonRoot && cpu.monitor.interceptTaskSwitch(selector, source)) return;
  throw new Unimplemented('hardware task switch');
}
