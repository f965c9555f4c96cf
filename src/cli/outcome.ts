/** What became of a VM, as a sentence and as an exit status. */

import type { RunEnding } from './drive.ts';
import type { Outcome, SessionVm } from './session.ts';
import * as status from './status.ts';

/** Exit status of the run. The first VM that ended, and not with 0, decides; after that, whether one is still running. */
export function statusOf(ending: RunEnding, vms: readonly SessionVm[], expects: boolean): number {
  if (ending === 'seen') return status.DONE;
  if (ending === 'interrupted') return status.INTERRUPTED;
  if (expects) return status.TEXT_NOT_SEEN;
  const ends = vms.filter((vm) => vm.outcome.kind !== 'running').map((vm) => vmStatus(vm.outcome));
  return ends.find((s) => s !== status.DONE) ?? (ends.length < vms.length ? status.LIMIT : status.DONE);
}

function vmStatus(outcome: Outcome): number {
  switch (outcome.kind) {
    case 'power-off':
    case 'halted':
      return status.DONE;
    case 'running':
      return status.LIMIT;
    case 'debug-exit':
      return status.debugExitStatus(outcome.value);
    case 'triple-fault':
      return status.TRIPLE_FAULT;
    case 'unimplemented':
      return status.UNIMPLEMENTED;
    case 'vm-stopped':
      return status.VM_STOPPED;
  }
}

/** A few words about how a VM stands. */
export function statusText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'power-off':
      return 'powered off';
    case 'halted':
      return 'halted for ever: HLT, and no event can come';
    case 'running':
      return 'still running';
    case 'debug-exit':
      return `wrote ${outcome.value} to the debug-exit port`;
    case 'triple-fault':
      return 'triple fault';
    case 'unimplemented':
      return `needs ${outcome.error.feature}, which is not implemented yet`;
    case 'vm-stopped':
      return `stopped by the hypervisor: ${outcome.message}`;
  }
}
