/** JMP, CALL and IRET that end in another task (SDM Vol. 2, "JMP", "CALL", "IRET/IRETD"). */

import { SIGNAL_EXCEPTION } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { forgetTrap, taskSwitched } from '../debugging/state.ts';
import type { Descriptor } from './descriptors.ts';
import { dispatch, exceptionEvent } from './events.ts';
import { gatedTss, leaveTask, linkedTss, namedTss } from './task.ts';
import { loadTaskSegments, TASK_IRET, type TaskSwitchSource } from './task-switch.ts';

/** JMP or CALL to a TSS. */
export function switchToTss(cpu: Cpu, d: Descriptor, source: TaskSwitchSource): void {
  switchTo(cpu, namedTss(cpu, d), source);
}

/** JMP or CALL to a task gate. */
export function switchByGate(cpu: Cpu, gate: Descriptor, source: TaskSwitchSource): void {
  switchTo(cpu, gatedTss(cpu, gate), source);
}

/** IRET with NT set. */
export function returnFromTask(cpu: Cpu): void {
  switchTo(cpu, linkedTss(cpu), TASK_IRET);
}

/** Behind the commit point the instruction is done: a fault is the new task's, at its first instruction. */
function switchTo(cpu: Cpu, tss: Descriptor, source: TaskSwitchSource): void {
  const trap = leaveTask(cpu, tss, source);
  if (trap === null) return;
  // The single-step trap of the old task went with it.
  forgetTrap(cpu);
  try {
    loadTaskSegments(cpu, 0);
    taskSwitched(cpu, trap);
  } catch (thrown) {
    if (thrown !== cpu.signal || cpu.signal.kind !== SIGNAL_EXCEPTION) throw thrown;
    dispatch(cpu, exceptionEvent(cpu, cpu.signal));
  }
}
