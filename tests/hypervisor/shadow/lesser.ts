/** Processors that offer less than the machine's: the hypervisor reads capability MSRs in which some controls cannot be set. */
import type { RootMode } from '../../../src/machine/root-mode.ts';
import { IA32_VMX_PROCBASED_CTLS2 } from '../../../src/vmx/capabilities.ts';

/** What the hypervisor sees of a processor whose secondary controls lack these. */
export function without(root: RootMode, secondary: number): RootMode {
  return new Proxy(root, {
    get(target, name) {
      if (name === 'rdmsr') {
        return (index: number) => {
          const value = target.rdmsr(index);
          if (index !== IA32_VMX_PROCBASED_CTLS2 || value === 'gp') return value;
          return { lo: value.lo, hi: value.hi & ~secondary };
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
