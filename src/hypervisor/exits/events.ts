/** Exits that no instruction of the guest caused: interrupts of the host, windows, timers; and those that end a VM. */

import { GP, PF } from '../../base/signal.ts';
import { INTERRUPTION_TYPE, INTERRUPTION_VALID } from '../../vmx/controls.ts';
import { exitReasonText } from '../../vmx/exit-reasons.ts';
import * as F from '../../vmx/fields.ts';
import { deliverThroughVectors } from '../real/deliver.ts';
import { emulateRealMode } from '../real/instructions.ts';
import { TRIPLE_FAULT } from '../stop-reason.ts';
import type { ExitHandler } from './handler.ts';
import { pageFault } from './page-fault.ts';

const MASTER_PIC = 0x20;
const SLAVE_PIC = 0xa0;
const NONSPECIFIC_EOI = 0x20;

/** The next entry delivers what waits, or the turn is over: the loop around sees to both. */
export const lookAgain: ExitHandler = () => 'resume';

/** An interrupt of the host's own devices, acknowledged by the exit. Nobody waits for it; its controller hears that it is over. */
export const externalInterrupt: ExitHandler = (_vm, root) => {
  root.portWrite(SLAVE_PIC, NONSPECIFIC_EOI, 1);
  root.portWrite(MASTER_PIC, NONSPECIFIC_EOI, 1);
  return 'resume';
};

/** The exception bitmap is empty but for the page faults of a shadow pager: only an NMI of the host arrives here, and an exception that should not have. */
export const exceptionOrNmi: ExitHandler = (vm, root) => {
  const information = vm.vcpu.read(F.VM_EXIT_INTERRUPTION_INFORMATION);
  const type = (information >> 8) & 7;
  if (vm.shadow !== null && vm.vcpu.isVirtual8086) {
    if ((information & 0xff) === GP && information & INTERRUPTION_VALID) {
      emulateRealMode(vm, root, vm.shadow);
      return 'resume';
    }
    if (type === INTERRUPTION_TYPE.SOFTWARE_EXCEPTION) {
      vm.completeInstruction(vm.vcpu.read(F.VM_EXIT_INSTRUCTION_LENGTH));
      deliverThroughVectors(vm, information & 0xff);
      return 'resume';
    }
  }
  if (information & INTERRUPTION_VALID && type === INTERRUPTION_TYPE.HARDWARE_EXCEPTION) {
    if ((information & 0xff) === PF && vm.shadow !== null) return pageFault(vm, vm.shadow);
    const withCode = (information & 0x800) !== 0;
    vm.raise(information & 0xff, withCode ? vm.vcpu.read(F.VM_EXIT_INTERRUPTION_ERROR_CODE) : -1);
  }
  return 'resume';
};

export const tripleFault: ExitHandler = (vm) => {
  vm.stop('triple-fault', TRIPLE_FAULT);
  return 'resume';
};

/** An exit that this hypervisor never asked for. */
export const unexpected: ExitHandler = (vm) => {
  vm.stop('unsupported', `unexpected exit: ${exitReasonText(vm.vcpu.read(F.EXIT_REASON))}`);
  return 'resume';
};
