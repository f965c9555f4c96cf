/** What is pending, and what debug exceptions, task switches and VM transitions make of it and of DR6, DR7 and IA32_DEBUGCTL
 *  (SDM Vol. 3, "Debug Exceptions"). */

import {
  DEBUG_B,
  DEBUG_BD,
  DEBUG_BS,
  DEBUG_BT,
  DEBUG_HITS,
  DEBUG_WATCH,
  DEBUGCTL,
  DR6,
  DR7,
  EFLAGS,
  EVENT_DEBUG,
  EVENTS,
  FLAG_RF,
  FLAG_TF,
  PENDING_DEBUG,
} from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import { debugRegistersChanged } from './breakpoints.ts';

/** General detect enable, and the local enables that a task switch clears: LE, L0 to L3. */
const DR7_GD = 0x2000;
const DR7_LOCAL = 0x155;
/** IA32_DEBUGCTL: last branch records, single step on branches. Both end with a debug exception. */
const LBR_BTF = 3;

/** What accesses since the last boundary have met becomes pending. */
export function collectHits(S: Int32Array): void {
  S[PENDING_DEBUG] |= S[DEBUG_HITS];
  S[DEBUG_HITS] = 0;
}

/** Whether the next instruction has to be executed alone. If not, RF ends here: nothing can see it any more. */
export function needsSteps(cpu: Cpu): boolean {
  const { S } = cpu;
  if ((S[DEBUG_WATCH] | S[PENDING_DEBUG] | (S[EFLAGS] & FLAG_TF)) !== 0) return true;
  S[EFLAGS] &= ~FLAG_RF;
  S[EVENTS] &= ~EVENT_DEBUG;
  return false;
}

/** An event begins another context: the trap of the instruction that it interrupts, or that asked for it, is lost ("INT n clears
 *  TF"); breakpoints that were met stay pending. */
export function forgetTrap(cpu: Cpu): void {
  cpu.trap = 0;
  cpu.S[PENDING_DEBUG] &= ~DEBUG_BS;
}

/** VM entries and VM exits begin with nothing pending. */
export function forgetDebugging(cpu: Cpu): void {
  cpu.trap = 0;
  cpu.isRepeating = false;
  cpu.S[PENDING_DEBUG] = 0;
  cpu.S[DEBUG_HITS] = 0;
}

/** Notes a debug exception that the processor itself is about to deliver. B0 to B3 are those of this exception, the other bits of
 *  DR6 stay until software clears them. */
export function noteDebugException(cpu: Cpu, debug: number): void {
  const { S } = cpu;
  S[DR6] = (S[DR6] & ~DEBUG_B) | (debug & (DEBUG_B | DEBUG_BD | DEBUG_BS | DEBUG_BT));
  S[DR7] &= ~DR7_GD;
  S[DEBUGCTL] &= ~LBR_BTF;
}

/** For task switches, when the new task's state is loaded: local breakpoints are disabled; `trap`, the T bit of the new task's TSS,
 *  makes a debug exception before its first instruction (SDM Vol. 3, "Task-Switch Exception Condition"). */
export function taskSwitched(cpu: Cpu, trap: boolean): void {
  const { S } = cpu;
  S[DR7] &= ~DR7_LOCAL;
  debugRegistersChanged(cpu);
  if (!trap) return;
  S[PENDING_DEBUG] |= DEBUG_BT;
  S[EVENTS] |= EVENT_DEBUG;
}
