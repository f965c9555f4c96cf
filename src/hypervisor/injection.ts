/** What a guest gets delivered at its next VM entry.
 *  Reference: SDM Vol. 3, "Event Injection", "Information for VM Exits That Occur During Event Delivery". */

import { DB } from '../base/signal.ts';
import { INTERRUPTION_ERROR_CODE, INTERRUPTION_TYPE, INTERRUPTION_VALID } from '../vmx/controls.ts';
import { EXIT } from '../vmx/exit-reasons.ts';
import * as F from '../vmx/fields.ts';
import { deliverThroughVectors } from './real/deliver.ts';
import type { Vcpu } from './vcpu.ts';
import type { Vm } from './vm.ts';

const EVENT_BITS = 0x8000_0fff | 0; // valid, error code, type, vector: the same in both formats

/** The last exit came between two instructions. */
function wasBetweenInstructions(vcpu: Vcpu): boolean {
  const reason = vcpu.read(F.EXIT_REASON) & 0xffff;
  if (reason === EXIT.EXCEPTION_OR_NMI)
    return ((vcpu.read(F.VM_EXIT_INTERRUPTION_INFORMATION) >> 8) & 7) === INTERRUPTION_TYPE.NMI;
  return reason === EXIT.EXTERNAL_INTERRUPT || reason === EXIT.INTERRUPT_WINDOW || reason === EXIT.PREEMPTION_TIMER;
}

/** Arranges the delivery of one event, the most urgent first, and an interrupt window for what has to wait.
 *  Returns whether an event will be delivered. */
export function deliverPending(vm: Vm): boolean {
  const { vcpu } = vm;
  let delivers = true;
  if (vcpu.pending !== null) {
    const { information, errorCode } = vcpu.pending;
    vcpu.pending = null;
    if (vcpu.isVirtual8086) return deliverNow(vm, information & 0xff);
    // A debug exception that the hypervisor raises is a trap: the instruction before it is done.
    const fault = ((information >> 8) & 7) === INTERRUPTION_TYPE.HARDWARE_EXCEPTION && (information & 0xff) !== DB;
    vcpu.resumeFlag = fault;
    vcpu.write(F.VM_ENTRY_INTERRUPTION_INFORMATION, information);
    if (information & INTERRUPTION_ERROR_CODE) vcpu.write(F.VM_ENTRY_EXCEPTION_ERROR_CODE, errorCode);
  } else if (vm.interruptLine && vcpu.canTakeInterrupt) {
    const vector = vm.devices.acknowledge();
    vm.stats.interrupts++;
    if (vcpu.isVirtual8086) return deliverNow(vm, vector);
    if (vcpu.isRestarting) vcpu.resumeFlag = false;
    vcpu.write(
      F.VM_ENTRY_INTERRUPTION_INFORMATION,
      INTERRUPTION_VALID | (INTERRUPTION_TYPE.EXTERNAL_INTERRUPT << 8) | vector,
    );
  } else delivers = false;
  vcpu.windowExiting = vm.interruptLine;
  return delivers;
}

/** In real-address mode that is virtual-8086 mode in fact the processor cannot deliver it. */
function deliverNow(vm: Vm, vector: number): boolean {
  deliverThroughVectors(vm, vector);
  vm.vcpu.windowExiting = vm.interruptLine;
  return false;
}

/** What RF in the guest's EFLAGS means after an exit: one because of a fault or of EPT saved 1 whatever it was; one between two
 *  instructions saved what the guest has (SDM Vol. 3, "Saving RIP, RSP, RFLAGS, and SSP"). */
export function noteResumeFlag({ vcpu }: Vm): void {
  vcpu.isRestarting = !wasBetweenInstructions(vcpu);
}

/** An exit cut the delivery of an event short: it is delivered again. Software interrupts are not, because EIP is still at
 *  the instruction, which the guest executes once more; nor are those that wanted a task switch, whose handler delivers them. */
export function keepInterruptedEvent(vm: Vm): void {
  const { vcpu } = vm;
  if ((vcpu.read(F.EXIT_REASON) & 0xffff) === EXIT.TASK_SWITCH) return;
  const vectoring = vcpu.read(F.IDT_VECTORING_INFORMATION);
  if ((vectoring & INTERRUPTION_VALID) === 0 || ((vectoring >> 8) & 7) >= INTERRUPTION_TYPE.SOFTWARE_INTERRUPT) return;
  vcpu.pending = {
    information: vectoring & EVENT_BITS,
    errorCode: vectoring & INTERRUPTION_ERROR_CODE ? vcpu.read(F.IDT_VECTORING_ERROR_CODE) : 0,
  };
  vm.stats.reinjections++;
}
