/** Events of a guest in real-address mode go through its vector table. Reference: SDM Vol. 3, "Interrupt and Exception Handling" of
 *  "8086 Emulation"; Vol. 2, "INT n/INTO/INT3/INT1—Call to Interrupt Procedure", REAL-ADDRESS-MODE. */

import { CS, FLAG_AC, FLAG_IF, FLAG_RF, FLAG_TF } from '../../base/registers.ts';
import * as F from '../../vmx/fields.ts';
import { GuestLinear } from '../guest-linear.ts';
import { TRIPLE_FAULT } from '../stop-reason.ts';
import type { Vm } from '../vm.ts';
import { loadVirtualSegment, moveStack, setFlags } from './state.ts';

/** Bytes of an entry: offset, segment. */
const ENTRY_BYTES = 4;

export function deliverThroughVectors(vm: Vm, vector: number): void {
  const { vcpu } = vm;
  const at = vector * ENTRY_BYTES;
  if (at + ENTRY_BYTES - 1 > vcpu.read(F.GUEST_IDTR_LIMIT) >>> 0) {
    vm.stop('triple-fault', TRIPLE_FAULT); // neither can #GP nor #DF be delivered, whose entries lie behind or before
    return;
  }
  const memory = new GuestLinear(vm);
  const entry = memory.read((vcpu.read(F.GUEST_IDTR_BASE) + at) >>> 0, 4);
  const flags = vcpu.eflags;
  for (const word of [flags, vcpu.read(F.GUEST_CS_SELECTOR), vcpu.read(F.GUEST_RIP)]) {
    memory.write(moveStack(vcpu, -2).after, 2, word & 0xffff);
  }
  setFlags(vcpu, flags & ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF));
  loadVirtualSegment(vcpu, CS, entry >>> 16);
  vcpu.write(F.GUEST_RIP, entry & 0xffff);
  vcpu.debug.commitAccesses();
  vcpu.endShadow();
}
