/** Page faults of a guest with shadow paging.
 *  Reference: SDM Vol. 3, "Page-Fault Exceptions", "Interrupt 8 — Double Fault Exception". */

import type { Linear } from '../../base/address.ts';
import { DF, PF, UD } from '../../base/signal.ts';
import { INTERRUPTION_TYPE, INTERRUPTION_VALID } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import { emulateInstruction } from '../emulate.ts';
import { ABSENT, HIDDEN } from '../shadow/fill.ts';
import type { ShadowPager } from '../shadow/pager.ts';
import { TRIPLE_FAULT } from '../stop-reason.ts';
import type { Vm } from '../vm.ts';
import type { Outcome } from './handler.ts';

const WRITE = 2;
const PAGE = ~0xfff;

export function pageFault(vm: Vm, pager: ShadowPager): Outcome {
  const { vcpu } = vm;
  const linear = vcpu.read(F.EXIT_QUALIFICATION) >>> 0;
  const access = vcpu.read(F.VM_EXIT_INTERRUPTION_ERROR_CODE);
  const result = pager.fault(linear, access);
  if (result >= 0) deliver(vm, linear, result);
  else if (!pager.isGettingOn(vm.retired))
    vm.stop('unsupported', `the access to ${linear.toString(16)}h does not succeed`);
  else if (result === ABSENT) absent(vm, pager, linear, access);
  else if (result !== HIDDEN) tableWrite(vm, pager, linear);
  return 'resume';
}

/** The guest's own fault. Where another exception was being delivered, both together may be a double fault. */
function deliver(vm: Vm, linear: Linear, errorCode: number): void {
  const { vcpu } = vm;
  if (vm.isStepping) vm.endStep();
  const vectoring = vcpu.read(F.IDT_VECTORING_INFORMATION);
  const isException =
    (vectoring & INTERRUPTION_VALID) !== 0 && ((vectoring >> 8) & 7) === INTERRUPTION_TYPE.HARDWARE_EXCEPTION;
  const first = isException ? vectoring & 0xff : -1;
  if (first === DF) {
    vm.stop('triple-fault', TRIPLE_FAULT);
    return;
  }
  vcpu.cr2 = linear | 0;
  if (first === PF) vm.raise(DF, 0);
  else vm.raise(PF, errorCode);
}

/** An instruction of the guest was executed so far; no event was being delivered. */
const isByInstruction = (vm: Vm): boolean => (vm.vcpu.read(F.IDT_VECTORING_INFORMATION) & INTERRUPTION_VALID) === 0;

function tableWrite(vm: Vm, pager: ShadowPager, linear: Linear): void {
  if (pager.options.emulate && !vm.isStepping && isByInstruction(vm) && emulateInstruction(vm))
    pager.stats.emulatedWrites++;
  else pager.step.allowWrite(linear);
}

/** The guest's tables lead to where it has no memory: reads yield all ones, writes are dropped. */
function absent(vm: Vm, pager: ShadowPager, linear: Linear, access: number): void {
  const { vcpu } = vm;
  const at = (vcpu.read(F.GUEST_CS_BASE) + vcpu.read(F.GUEST_RIP)) >>> 0;
  if (isByInstruction(vm)) {
    if (((at ^ linear) & PAGE) === 0) {
      vm.stats.floats++;
      vm.raise(UD); // all ones are no instruction
      return;
    }
    if (emulateInstruction(vm)) return;
  }
  vm.stats.floats++;
  if (access & WRITE) pager.step.allowScratch(linear);
  else pager.step.allowReads(linear);
}
