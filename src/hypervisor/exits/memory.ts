/** EPT violations and misconfigurations. All of a VM's memory is mapped, so a violation is an access to an address where there
 *  is none. Reference: SDM Vol. 3, "Exit Qualification for EPT Violations". */

import { hex, join64 } from '../../base/int.ts';
import { UD } from '../../base/signal.ts';
import { INTERRUPTION_VALID } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import { emulateInstruction } from '../emulate.ts';
import type { Vm } from '../vm.ts';
import type { ExitHandler } from './handler.ts';

// Exit qualification
const WRITE = 1 << 1;
const FETCH = 1 << 2;
const LINEAR_VALID = 1 << 7;
const FINAL_TRANSLATION = 1 << 8; // clear: an access to one of the guest's paging structures

const guestPhysical = (vm: Vm): number =>
  join64(vm.vcpu.read(F.GUEST_PHYSICAL_ADDRESS), vm.vcpu.read(F.GUEST_PHYSICAL_ADDRESS + 1));

export const eptViolation: ExitHandler = (vm) => {
  const { vcpu } = vm;
  const qualification = vcpu.read(F.EXIT_QUALIFICATION);
  const address = guestPhysical(vm);
  if (vm.memory.toHost(address) >= 0) {
    vm.stop(
      'host-failure',
      `EPT violation at ${hex(address)}, which is mapped (qualification ${hex(qualification, 3)})`,
    );
    return 'resume';
  }
  const isByInstruction =
    (qualification & LINEAR_VALID) !== 0 &&
    (qualification & FINAL_TRANSLATION) !== 0 &&
    (vcpu.read(F.IDT_VECTORING_INFORMATION) & INTERRUPTION_VALID) === 0;
  if (isByInstruction && qualification & FETCH) {
    vm.stats.floats++;
    vm.raise(UD); // all ones are no instruction
  } else if (!isByInstruction || !emulateInstruction(vm)) {
    vm.stats.floats++;
    if (qualification & WRITE) vm.float?.allowStep(address);
    else vm.float?.allowReads(address);
  }
  return 'resume';
};

export const eptMisconfiguration: ExitHandler = (vm) => {
  vm.stop('ept-misconfiguration', `the EPT entry for guest-physical ${hex(guestPhysical(vm))} has reserved bits set`);
  return 'resume';
};
