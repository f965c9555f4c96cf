/** One handler for each exit reason. */

import { EXIT } from '../../vmx/exit-reasons.ts';
import { crAccess } from './control-registers.ts';
import * as events from './events.ts';
import type { ExitHandler } from './handler.ts';
import * as instructions from './instructions.ts';
import { ioInstruction } from './io.ts';
import { eptMisconfiguration, eptViolation } from './memory.ts';
import { rdmsr, wrmsr } from './msr.ts';
import { taskSwitch } from './task-switch.ts';

const HANDLERS: ReadonlyMap<number, ExitHandler> = new Map([
  [EXIT.EXCEPTION_OR_NMI, events.exceptionOrNmi],
  [EXIT.EXTERNAL_INTERRUPT, events.externalInterrupt],
  [EXIT.TRIPLE_FAULT, events.tripleFault],
  [EXIT.INTERRUPT_WINDOW, events.lookAgain],
  [EXIT.NMI_WINDOW, events.lookAgain],
  [EXIT.TASK_SWITCH, taskSwitch],
  [EXIT.CPUID, instructions.cpuid],
  [EXIT.GETSEC, instructions.undefinedInstruction],
  [EXIT.HLT, instructions.hlt],
  [EXIT.INVD, instructions.nothing],
  [EXIT.INVLPG, instructions.invlpg],
  [EXIT.RDTSC, instructions.rdtsc],
  [EXIT.RSM, instructions.undefinedInstruction],
  [EXIT.VMCALL, instructions.undefinedInstruction],
  [EXIT.VMCLEAR, instructions.undefinedInstruction],
  [EXIT.VMLAUNCH, instructions.undefinedInstruction],
  [EXIT.VMPTRLD, instructions.undefinedInstruction],
  [EXIT.VMPTRST, instructions.undefinedInstruction],
  [EXIT.VMREAD, instructions.undefinedInstruction],
  [EXIT.VMRESUME, instructions.undefinedInstruction],
  [EXIT.VMWRITE, instructions.undefinedInstruction],
  [EXIT.VMXOFF, instructions.undefinedInstruction],
  [EXIT.VMXON, instructions.undefinedInstruction],
  [EXIT.INVEPT, instructions.undefinedInstruction],
  [EXIT.INVVPID, instructions.undefinedInstruction],
  [EXIT.VMFUNC, instructions.undefinedInstruction],
  [EXIT.XSETBV, instructions.undefinedInstruction],
  [EXIT.CR_ACCESS, crAccess],
  [EXIT.IO_INSTRUCTION, ioInstruction],
  [EXIT.RDMSR, rdmsr],
  [EXIT.WRMSR, wrmsr],
  [EXIT.PAUSE, instructions.nothing],
  [EXIT.WBINVD, instructions.nothing],
  [EXIT.EPT_VIOLATION, eptViolation],
  [EXIT.EPT_MISCONFIGURATION, eptMisconfiguration],
  [EXIT.PREEMPTION_TIMER, events.lookAgain],
]);

/** The handler for a basic exit reason. */
export const handlerFor = (reason: number): ExitHandler => HANDLERS.get(reason) ?? events.unexpected;
