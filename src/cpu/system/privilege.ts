/** What comes before the operation of a system instruction: privilege, then the question whether VMX wants it
 *  (SDM Vol. 3, "Relative Priority of Faults and VM Exits"). */
import { CPL, CR0, CR0_PE, EFLAGS } from '../../base/registers.ts';
import { GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import type { Row } from '../rows.ts';

/** I/O privilege level. */
export const iopl = (cpu: Cpu): number => (cpu.S[EFLAGS] >> 12) & 3;

/** Protected mode. Virtual-8086 mode does not exist yet. */
export const isProtected = (cpu: Cpu): boolean => (cpu.S[CR0] & CR0_PE) !== 0;

/** Raises what the row's privilege check demands; comes before the handler of such a row. In real mode CPL is 0. */
export function checkPrivilege(cpu: Cpu, row: Row): void {
  const { privilege, mnemonic } = row;
  if ((privilege === 'protected' || privilege === 'protected cpl0') && !isProtected(cpu)) {
    cpu.raise(UD, -1, `${mnemonic} exists in protected mode only`);
  }
  if ((privilege === 'cpl0' || privilege === 'protected cpl0') && cpu.S[CPL] !== 0) {
    cpu.raise(GP, 0, `${mnemonic} needs CPL 0`);
  }
  if (privilege === 'iopl' && cpu.S[CPL] > iopl(cpu)) cpu.raise(GP, 0, `${mnemonic} needs CPL ≤ IOPL`);
}

/** Whether a VM exit took the instruction's place; then the state is the host's and the handler has to return at once. */
export function intercepted(cpu: Cpu, i: Instruction, operand = 0): boolean {
  const { monitor } = cpu;
  return i.row.exits !== null && monitor?.nonRoot === true && monitor.intercept(i.row.exits, i, operand);
}
