/** Instructions that exit and need little: CPUID, HLT, RDTSC, caches, and those that the guest's processor does not have. */

import { EAX, EBX, ECX, EDX } from '../../base/registers.ts';
import { UD } from '../../base/signal.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import { PRIMARY, SECONDARY } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import type { Vm } from '../vm.ts';
import type { ExitHandler } from './handler.ts';

const CPUID_FEATURES = 1;
const CPUID_1_ECX_VMX = 1 << 5;
const CPUID_HIGHEST_EXTENDED = 0x8000_0000;
const CPUID_EXTENDED_FEATURES = 0x8000_0001;
const CPUID_8000_0001_EDX_RDTSCP = 1 << 27;

/** The guest's processor is the machine's, without VMX, and with RDTSCP only where a control enables it. */
export const cpuid: ExitHandler = (vm, root) => {
  const { general } = vm.vcpu;
  const leaf = general[EAX];
  const { eax, ebx, ecx, edx } = root.cpuid(leaf, general[ECX]);
  general[EAX] = eax;
  general[EBX] = ebx;
  general[ECX] = effectiveLeaf(root, leaf >>> 0) === CPUID_FEATURES ? ecx & ~CPUID_1_ECX_VMX : ecx;
  general[EDX] = leaf >>> 0 === CPUID_EXTENDED_FEATURES && !hasRdtscp(vm) ? edx & ~CPUID_8000_0001_EDX_RDTSCP : edx;
  return 'done';
};

function hasRdtscp({ vcpu }: Vm): boolean {
  const primary = vcpu.read(F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);
  if ((primary & PRIMARY.ACTIVATE_SECONDARY_CONTROLS) === 0) return false;
  return (vcpu.read(F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS) & SECONDARY.ENABLE_RDTSCP) !== 0;
}

/** The leaf whose values CPUID returns: one that does not exist yields the highest basic one. */
function effectiveLeaf(root: RootMode, leaf: number): number {
  const highest = (range: number): number => root.cpuid(range, 0).eax >>> 0;
  const exists = leaf >= CPUID_HIGHEST_EXTENDED ? leaf <= highest(CPUID_HIGHEST_EXTENDED) : leaf <= highest(0);
  return exists ? leaf : highest(0);
}

/** The virtual processor waits for an interrupt; its turn is over. A debug exception behind HLT does not let it halt. */
export const hlt: ExitHandler = (vm) => {
  const { debug } = vm.vcpu;
  vm.vcpu.halted = !debug.isPending && !debug.traps(vm.vcpu.read(F.GUEST_RFLAGS));
  return 'done';
};

/** RDTSC, where the processor does not let the offset do it. */
export const rdtsc: ExitHandler = (vm) => {
  const tsc = vm.time + vm.tscAdjust;
  vm.vcpu.general[EAX] = tsc | 0;
  vm.vcpu.general[EDX] = Math.floor(tsc / 0x1_0000_0000) | 0;
  return 'done';
};

/** INVD, WBINVD, PAUSE, MONITOR-like hints: nothing to do in a machine without caches. */
export const nothing: ExitHandler = () => 'done';

/** INVLPG: the guest's translations carry its VPID, so root mode can drop the one for it. */
export const invlpg: ExitHandler = (vm, root) => {
  if (vm.shadow !== null) {
    vm.shadow.invlpg(vm.vcpu.read(F.EXIT_QUALIFICATION) >>> 0);
    return 'done';
  }
  if (vm.vpid !== 0) root.invvpid(0, vm.vpid, vm.vcpu.read(F.EXIT_QUALIFICATION) >>> 0);
  return 'done';
};

/** VMX instructions, GETSEC, RSM, XSETBV: CPUID says that they do not exist. */
export const undefinedInstruction: ExitHandler = (vm) => {
  vm.raise(UD);
  return 'resume';
};
