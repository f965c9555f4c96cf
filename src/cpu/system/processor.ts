/** HLT, PAUSE, INVLPG, INVD, WBINVD, and the door to the VMX instructions. */
import { ACTIVITY, EVENT_HALT, EVENTS, SEG_BASE } from '../../base/registers.ts';
import { UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { intercepted, isProtected } from './privilege.ts';

/** VMX activity state: HLT. */
const HALTED = 1;

/** HLT — Halt: nothing executes until an event arrives. */
export function hlt(cpu: Cpu, i: Instruction): void {
  if (intercepted(cpu, i)) return;
  cpu.S[ACTIVITY] = HALTED;
  cpu.S[EVENTS] |= EVENT_HALT;
}

/** PAUSE — Spin Loop Hint. */
export function pause(cpu: Cpu, i: Instruction): void {
  intercepted(cpu, i);
}

/** INVLPG — Invalidate TLB Entries. The address is not accessed, so no segment limit is checked. */
export function invlpg(cpu: Cpu, i: Instruction): void {
  const linear = (cpu.S[SEG_BASE + i.segment] + cpu.effectiveAddress(i)) | 0;
  if (intercepted(cpu, i, linear)) return;
  cpu.mmu.invlpg(linear);
}

/** INVD, WBINVD: there are no caches to empty; only privilege and the VM exit show. */
export function invalidateCaches(cpu: Cpu, i: Instruction): void {
  intercepted(cpu, i);
}

/** VMXON … INVVPID, VMCALL, VMFUNC. Their privilege check comes after the VM exit and is the monitor's, as is whether the
 *  processor is in VMX operation at all. VMCALL exits from real and virtual-8086
 *  mode, too, and VMFUNC works there. */
export function vmx(cpu: Cpu, i: Instruction): void {
  const { monitor } = cpu;
  if (monitor === null) throw cpu.raise(UD, -1, 'this processor has no VMX');
  if (!isProtected(cpu) && !(monitor.nonRoot && (i.row.mnemonic === 'VMCALL' || i.row.mnemonic === 'VMFUNC')))
    cpu.raise(UD, -1, `${i.row.mnemonic} exists in protected mode only`);
  monitor.vmxInstruction(i);
}
