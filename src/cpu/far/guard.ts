/** What comes before the operation of an instruction: its privilege check, then the question whether VMX wants it
 *  (SDM Vol. 3, "Relative Priority of Faults and VM Exits"). */

import { CPL, CR0, CR0_PE } from '../../base/registers.ts';
import { GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Handler } from '../rows.ts';

/** `handler` behind the privilege check and the intercept that the instruction's row declares. */
export function guarded(handler: Handler<Cpu>): Handler<Cpu> {
  return (cpu, i) => {
    const { privilege, exits, mnemonic } = i.row;
    if (privilege === 'protected' || privilege === 'protected cpl0')
      if ((cpu.S[CR0] & CR0_PE) === 0) cpu.raise(UD, -1, `${mnemonic} exists in protected mode only`);
    if (privilege === 'cpl0' || privilege === 'protected cpl0')
      if (cpu.S[CPL] !== 0) cpu.raise(GP, 0, `${mnemonic} needs CPL 0`);
    if (exits !== null && cpu.monitor?.nonRoot && cpu.monitor.intercept(exits, i, 0)) return;
    handler(cpu, i);
  };
}
