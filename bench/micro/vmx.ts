/** VM entries and exits, and the checks of VM entries. */

import { assemble } from '../../src/asm/index.ts';
import { Hypervisor } from '../../src/hypervisor/hypervisor.ts';
import { Machine } from '../../src/machine/machine.ts';
import { RootModePort } from '../../src/machine/root-mode-port.ts';
import { ALL_GROUPS, type EntryView, firstFailure } from '../../src/vmx/checks/index.ts';
import type { VmxContext } from '../../src/vmx/context.ts';
import { EXIT } from '../../src/vmx/exit-reasons.ts';
import * as F from '../../src/vmx/fields.ts';
import type { Vmcs } from '../../src/vmx/vmcs.ts';
import type { Vmx } from '../../src/vmx/vmx.ts';
import type { Body } from '../harness.ts';
import { MinimalHypervisor } from '../minimal-hypervisor.ts';

const MEBIBYTE = 1 << 20;
const TRIPS = 32;
const CHECKINGS = 256;

/** A VM whose guest executes CPUID for ever, just after its first exit. */
function world(): { root: RootModePort; context: VmxContext; loop: MinimalHypervisor } {
  const machine = new Machine({ memory: 16 * MEBIBYTE, contexts: 4 });
  const root = new RootModePort(machine);
  const image = assemble('bits 32\norg 0x100000\nagain: xor eax, eax\ncpuid\njmp again').bytes;
  const vm = new Hypervisor(root).createVm({ memory: 4 * MEBIBYTE, image });
  const loop = new MinimalHypervisor(root, vm.vcpu.general, () => {});
  if (loop.enter() !== EXIT.CPUID) throw new Error('the guest should have executed CPUID');
  return { root, context: (machine.vmx as Vmx).context, loop };
}

/** What the hypervisor writes before each entry: the time-stamp counter's offset, the timer, the next instruction. */
function writeAsHypervisor(root: RootModePort): void {
  root.vmwrite(F.GUEST_RIP, root.vmread(F.GUEST_RIP) as number);
  root.vmwrite(F.TSC_OFFSET, 1);
  root.vmwrite(F.VMX_PREEMPTION_TIMER_VALUE, 1000);
}

function check(view: EntryView, groups: number): number {
  let failed = 0;
  for (let k = 0; k < CHECKINGS; k++) {
    for (const stage of ['controls', 'host', 'guest'] as const) {
      if (firstFailure(view, stage, groups) !== null) failed++;
    }
  }
  return failed;
}

export function vmxBodies(): Body[] {
  const bare = world();
  const whole = world();
  const { root, context } = world();
  writeAsHypervisor(root);
  const changed = (context.current as Vmcs).unchecked;
  return [
    {
      // RIP stays at CPUID, so nothing but the transitions happens
      name: 'VM entry and exit',
      unit: 'round trips',
      units: TRIPS,
      run: () => {
        let reasons = 0;
        for (let k = 0; k < TRIPS; k++) reasons += bare.loop.enter();
        return reasons;
      },
    },
    {
      name: 'CPUID handled by the smallest loop',
      unit: 'round trips',
      units: TRIPS,
      against: 'VM entry and exit',
      run: () => {
        let trips = 0;
        for (let k = 0; k < TRIPS; k++) if (whole.loop.trip()) trips++;
        return trips;
      },
    },
    { name: 'entry checks, all', unit: 'entries', units: CHECKINGS, run: () => check(context.view, ALL_GROUPS) },
    {
      name: 'entry checks, changed groups',
      unit: 'entries',
      units: CHECKINGS,
      against: 'entry checks, all',
      run: () => check(context.view, changed),
    },
  ];
}
