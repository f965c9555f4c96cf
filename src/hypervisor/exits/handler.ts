/** What an exit handler is. */

import type { RootMode } from '../../machine/root-mode.ts';
import type { Vm } from '../vm.ts';

/** resume: enter the guest again where it is (a retry, an event to deliver, or the handler has moved EIP itself).
 *  done: the instruction was executed for the guest; EIP goes on and the guest's clock counts one. */
export type Outcome = 'resume' | 'done';

/** Handles one exit of the VM whose VMCS is current. Stopping the VM is `vm.stop`; the outcome then does not matter. */
export type ExitHandler = (vm: Vm, root: RootMode) => Outcome;
