/** RDMSR and WRMSR. The guest's own copy hides the machine's; MSRs of VMX do not exist for it. */

import { EAX, ECX, EDX } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import { IA32_FEATURE_CONTROL, IA32_VMX_BASIC } from '../../vmx/capabilities.ts';
import * as F from '../../vmx/fields.ts';
import { isHeld } from '../guest-msrs.ts';
import { IA32_EFER } from '../paging/registers.ts';
import type { Vm } from '../vm.ts';
import type { ExitHandler } from './handler.ts';

const IA32_TIME_STAMP_COUNTER = 0x10;
const LAST_VMX_MSR = 0x493;

/** In the VMCS, too; but the guest may not write it freely. */
const IA32_DEBUGCTL = 0x1d9;

/** MSRs that are in the VMCS: the guest reaches them without an exit. */
export const PASSED_THROUGH: readonly number[] = [0x174, 0x175, 0x176]; // SYSENTER_CS, _ESP, _EIP

const isHidden = (index: number): boolean =>
  index === IA32_FEATURE_CONTROL || (index >= IA32_VMX_BASIC && index <= LAST_VMX_MSR);

function read(vm: Vm, root: RootMode, index: number): { lo: number; hi: number } | 'gp' {
  if (index === IA32_TIME_STAMP_COUNTER) {
    const tsc = vm.time + vm.tscAdjust;
    return { lo: tsc | 0, hi: Math.floor(tsc / 0x1_0000_0000) | 0 };
  }
  if (isHidden(index)) return 'gp';
  if (index === IA32_DEBUGCTL) return { lo: vm.vcpu.read(F.GUEST_IA32_DEBUGCTL), hi: 0 };
  // In the VMCS where VM entries load it, but with shadow paging the pager's: it knows when NX counts.
  if (index === IA32_EFER && vm.shadow !== null && root.rdmsr(index) !== 'gp') return { lo: vm.shadow.efer, hi: 0 };
  if (index === IA32_EFER && vm.vcpu.loadsEfer) return { lo: vm.vcpu.read(F.GUEST_IA32_EFER), hi: 0 };
  return vm.msrs.get(index) ?? root.rdmsr(index);
}

export const rdmsr: ExitHandler = (vm, root) => {
  const value = read(vm, root, vm.vcpu.general[ECX] >>> 0);
  if (value === 'gp') {
    vm.raise(GP, 0);
    return 'resume';
  }
  vm.vcpu.general[EAX] = value.lo;
  vm.vcpu.general[EDX] = value.hi;
  return 'done';
};

export const wrmsr: ExitHandler = (vm, root) => {
  const { general } = vm.vcpu;
  const index = general[ECX] >>> 0;
  const lo = general[EAX];
  const hi = general[EDX];
  if (index === IA32_TIME_STAMP_COUNTER) {
    // As on the machine: the low half can be written, the high half becomes 0.
    vm.tscAdjust = (lo >>> 0) - vm.time;
    return 'done';
  }
  // Let the processor judge the value, then give it its own back, but where the guest's has to be in the processor.
  const own = isHidden(index) ? 'gp' : root.rdmsr(index);
  if (own === 'gp' || root.wrmsr(index, lo, hi) === 'gp') {
    vm.raise(GP, 0);
    return 'resume';
  }
  if (!isHeld(index)) root.wrmsr(index, own.lo, own.hi);
  if (index === IA32_DEBUGCTL) vm.vcpu.write(F.GUEST_IA32_DEBUGCTL, lo);
  else if (index === IA32_EFER && vm.shadow !== null) vm.shadow.setEfer(lo);
  else if (index === IA32_EFER && vm.vcpu.loadsEfer) vm.vcpu.write(F.GUEST_IA32_EFER, lo);
  else vm.msrs.set(index, { lo, hi });
  return 'done';
};
