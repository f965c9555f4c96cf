/** I/O instructions reach the VM's own devices.
 *  Reference: SDM Vol. 3, "Exit Qualification for I/O Instructions", "VM-Exit Instruction-Information Field … INS or OUTS". */

import { EAX, ECX, EDI, ES, ESI, FLAG_DF } from '../../base/registers.ts';
import { PF } from '../../base/signal.ts';
import type { AccessSize } from '../../mmu/port-space.ts';
import * as F from '../../vmx/fields.ts';
import { CannotEmulate, GuestLinear, GuestPageFault } from '../guest-linear.ts';
import { GuestSegment } from '../guest-segments.ts';
import type { Vm } from '../vm.ts';
import type { ExitHandler, Outcome } from './handler.ts';

// Exit qualification
const SIZE = 0x7; // bytes minus one
const IN = 0x8;
const STRING = 0x10;
const REP = 0x20;

// Instruction information
const ADDRESS_SIZE = 0x380;
const ADDRESS_16 = 0;
const SEGMENT_SHIFT = 15; // of OUTS; INS uses ES

export const ioInstruction: ExitHandler = (vm) => {
  const qualification = vm.vcpu.read(F.EXIT_QUALIFICATION);
  const size = ((qualification & SIZE) + 1) as AccessSize;
  const port = qualification >>> 16;
  if (qualification & STRING) return stringIo(vm, qualification, port, size);
  const { general } = vm.vcpu;
  if (qualification & IN) {
    const value = vm.ports.read(port, size);
    const keep = size === 4 ? 0 : -1 << (size * 8);
    general[EAX] = (general[EAX] & keep) | value;
  } else vm.ports.write(port, general[EAX], size);
  vm.vcpu.debug.notePort(port, size);
  return 'done';
};

/** INS and OUTS: iterations until the count is used up, an alarm falls due, or an interrupt waits. */
function stringIo(vm: Vm, qualification: number, port: number, size: AccessSize): Outcome {
  const { vcpu } = vm;
  const isInput = (qualification & IN) !== 0;
  const information = vcpu.read(F.VM_EXIT_INSTRUCTION_INFORMATION);
  const wide = (information & ADDRESS_SIZE) !== ADDRESS_16;
  const segment = new GuestSegment(vcpu, isInput ? ES : (information >> SEGMENT_SHIFT) & 7);
  const index = isInput ? EDI : ESI;
  const step = vcpu.read(F.GUEST_RFLAGS) & FLAG_DF ? -size : size;
  const move = (register: number, by: number): void => {
    const old = vcpu.general[register];
    vcpu.general[register] = wide ? old + by : (old & ~0xffff) | ((old + by) & 0xffff);
  };
  const count = (): number => (wide ? vcpu.general[ECX] >>> 0 : vcpu.general[ECX] & 0xffff);
  // The processor has added the segment base; what moves is the offset in it.
  const offset = (): number => (wide ? vcpu.general[index] : vcpu.general[index] & 0xffff);
  const base = vcpu.read(F.GUEST_LINEAR_ADDRESS) - offset();

  try {
    const memory = new GuestLinear(vm);
    if (qualification & REP && count() === 0) return 'done';
    if (qualification & REP && isInput) {
      const at = (vcpu.read(F.GUEST_CS_BASE) + vcpu.read(F.GUEST_RIP)) >>> 0;
      memory.watch(at, vcpu.read(F.VM_EXIT_INSTRUCTION_LENGTH));
    }
    for (;;) {
      if (!segment.allows(offset(), size, isInput)) {
        vm.raise(segment.vector, 0);
        return 'resume';
      }
      const at = (base + offset()) >>> 0;
      if (isInput) {
        memory.translate(at, true); // a fault comes before the port is read
        memory.translate((at + size - 1) >>> 0, true);
        memory.write(at, size, vm.ports.read(port, size));
      } else vm.ports.write(port, memory.read(at, size), size);
      move(index, step);
      const isPort = vcpu.debug.notePort(port, size);
      const hit = vcpu.debug.commitAccesses() || isPort;
      if (!(qualification & REP)) return 'done';
      move(ECX, -1);
      if (count() === 0) return 'done';
      vm.elapse(1);
      const isStepped = vcpu.debug.traps(vcpu.read(F.GUEST_RFLAGS));
      if (isStepped) vcpu.debug.pendTrap();
      if (isStepped || hit) break;
      const isAlarmDue = vm.clock.next <= vm.time; // the device may just have set it
      if (vm.time >= vm.horizon || isAlarmDue || memory.wroteWatched || vm.interruptLine || vm.stopReason !== null)
        break;
    }
  } catch (error) {
    if (error instanceof GuestPageFault) {
      vcpu.cr2 = error.linear | 0;
      vm.shadow?.faulted(error.linear);
      vm.raise(PF, error.errorCode);
    } else if (error instanceof CannotEmulate) vm.stop('unsupported', `string I/O with ${error.message}`);
    else throw error;
    return 'resume';
  }
  vcpu.pauseRepetition();
  return 'resume'; // the processor executes the rest
}
