/** Task switches always exit: by an instruction, or by an event that leads through a task gate and is delivered here then.
 *  Reference: SDM Vol. 3, "Exit Qualification for Task Switches", "Information for VM Exits That Occur During Event Delivery". */

import { AR_DB, AR_UNUSABLE, DEBUG_B, DEBUG_BT, ESP, SS_, TR } from '../../base/registers.ts';
import { DB, DE, DF, GP, NP, PF, SS, TS } from '../../base/signal.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import { BLOCKING_BY_NMI, INTERRUPTION_ERROR_CODE, INTERRUPTION_TYPE, INTERRUPTION_VALID } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import { segmentOf, selectorOf } from '../guest-descriptors.ts';
import { CannotEmulate, GuestLinear, GuestPageFault } from '../guest-linear.ts';
import { GuestSegment } from '../guest-segments.ts';
import { BY_GATE_IN_IDT, BY_IRET, GuestFault, TaskSwitch } from '../task-switch.ts';
import type { Vm } from '../vm.ts';
import { tripleFault } from './events.ts';
import type { ExitHandler } from './handler.ts';

const T = INTERRUPTION_TYPE;
const GENERAL_DETECT = 0x2000; // of DR7
const CONTRIBUTORY: readonly number[] = [DE, TS, NP, SS, GP];

/** The event whose delivery asked for the switch. */
interface Vectored {
  readonly vector: number;
  readonly type: number;
  /** −1: none. */
  readonly errorCode: number;
}

export const taskSwitch: ExitHandler = (vm, root) => {
  const { vcpu } = vm;
  const qualification = vcpu.read(F.EXIT_QUALIFICATION);
  const source = qualification >>> 30;
  const event = source === BY_GATE_IN_IDT ? vectored(vm) : null;
  const isProgram = event === null || event.type >= T.SOFTWARE_INTERRUPT;
  const ext = event === null || event.type === T.SOFTWARE_INTERRUPT || event.type === T.SOFTWARE_EXCEPTION ? 0 : 1;
  const flags = vcpu.read(F.GUEST_RFLAGS);
  // What a program asks for is done when the task goes on.
  const eip = vcpu.read(F.GUEST_RIP) + (isProgram ? vcpu.read(F.VM_EXIT_INSTRUCTION_LENGTH) : 0);
  const action = new TaskSwitch(vm, root, qualification & 0xffff, source, ext);
  // An instruction that switches counts; INT n and its like only if nothing comes in between.
  const counts = event === null ? 1 : 0;
  let committed = 0;
  try {
    const trap = action.leave({ flags, eip });
    committed = counts;
    vcpu.endShadow();
    if (source === BY_IRET) unblockNmi(vm);
    action.loadSegments();
    if (event !== null && event.errorCode >= 0) pushErrorCode(vm, event.errorCode, ext);
    vm.elapse(isProgram ? 1 : 0);
    if (isProgram) vm.stats.emulated++;
    if (trap) raiseTaskTrap(vm, root);
  } catch (error) {
    vm.elapse(committed);
    if (vm.shadow !== null) fitStack(vm);
    fail(vm, root, event, error);
  }
  return 'resume';
};

/** #DB before the first instruction of a task whose TSS asks for it. An injected exception leaves DR6 and DR7 alone. */
function raiseTaskTrap(vm: Vm, root: RootMode): void {
  root.setDebugRegister(6, (root.getDebugRegister(6) & ~DEBUG_B) | DEBUG_BT);
  vm.vcpu.write(F.GUEST_DR7, vm.vcpu.read(F.GUEST_DR7) & ~GENERAL_DETECT);
  vm.raise(DB);
}

function vectored(vm: Vm): Vectored | null {
  const { vcpu } = vm;
  const information = vcpu.read(F.IDT_VECTORING_INFORMATION);
  if ((information & INTERRUPTION_VALID) === 0) return null;
  const errorCode = information & INTERRUPTION_ERROR_CODE ? vcpu.read(F.IDT_VECTORING_ERROR_CODE) : -1;
  return { vector: information & 0xff, type: (information >> 8) & 7, errorCode };
}

/** The error code goes on the new task's stack, in the width of its TSS. */
function pushErrorCode(vm: Vm, errorCode: number, ext: number): void {
  const { vcpu } = vm;
  const size = segmentOf(vcpu, TR).access & 8 ? 4 : 2;
  const stack = segmentOf(vcpu, SS_);
  const mask = stack.access & AR_DB ? -1 : 0xffff;
  const esp = vcpu.getRegister(ESP);
  const at = (esp - size) & mask;
  if (!new GuestSegment(vcpu, SS_).allows(at, size, true)) throw new GuestFault(SS, ext);
  new GuestLinear(vm).write((stack.base + (at >>> 0)) >>> 0, size, errorCode);
  vcpu.debug.commitAccesses();
  vcpu.setRegister(ESP, (esp & ~mask) | at);
}

/** Without unrestricted guest VM entry wants RPL of SS to be CPL, even of an SS that cannot be used because its load has failed. The
 *  guest can tell by what the next switch saves alone. */
function fitStack(vm: Vm): void {
  const { vcpu } = vm;
  const selector = selectorOf(vcpu, SS_);
  if ((segmentOf(vcpu, SS_).access & AR_UNUSABLE) !== 0 && (selector & 3) !== vcpu.cpl)
    vcpu.write(F.GUEST_SS_SELECTOR, (selector & ~3) | vcpu.cpl);
}

function unblockNmi(vm: Vm): void {
  const state = vm.vcpu.read(F.GUEST_INTERRUPTIBILITY_STATE);
  if (state & BLOCKING_BY_NMI) vm.vcpu.write(F.GUEST_INTERRUPTIBILITY_STATE, state & ~BLOCKING_BY_NMI);
}

/** A fault of the guest; with an event under way it may become a double fault (SDM Vol. 3, "Interrupt 8—Double Fault Exception"). */
function fail(vm: Vm, root: RootMode, event: Vectored | null, error: unknown): void {
  if (error instanceof CannotEmulate) vm.stop('unsupported', `task switch with ${error.message}`);
  else if (error instanceof GuestPageFault) {
    vm.vcpu.cr2 = error.linear | 0;
    vm.shadow?.faulted(error.linear);
    raiseDuring(vm, root, event, PF, error.errorCode);
  } else if (error instanceof GuestFault) raiseDuring(vm, root, event, error.vector, error.errorCode);
  else throw error;
}

function raiseDuring(vm: Vm, root: RootMode, event: Vectored | null, vector: number, errorCode: number): void {
  const first = event !== null && event.type === T.HARDWARE_EXCEPTION ? event.vector : -1;
  const escalates = first === PF || first === DF || (CONTRIBUTORY.includes(first) && vector !== PF);
  if (!escalates) vm.raise(vector, errorCode);
  else if (first === DF) tripleFault(vm, root);
  else vm.raise(DF, 0);
}
