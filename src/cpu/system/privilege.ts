/** What comes before the operation of a system instruction: privilege, then the question whether VMX wants it
 *  (SDM Vol. 3, "Relative Priority of Faults and VM Exits"). */
import { CPL, CR0, CR0_PE, EFLAGS, FLAG_VM } from '../../base/registers.ts';
import { GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import type { Row } from '../rows.ts';

/** I/O privilege level. */
export const iopl = (cpu: Cpu): number => (cpu.S[EFLAGS] >> 12) & 3;

/** Virtual-8086 mode. EFLAGS.VM is never set in real-address mode. */
export const isVirtual8086 = (cpu: Cpu): boolean => (cpu.S[EFLAGS] & FLAG_VM) !== 0;

/** Protected mode proper: segment registers hold selectors of descriptors. False in real-address and virtual-8086 mode. */
export const isProtected = (cpu: Cpu): boolean => (cpu.S[CR0] & CR0_PE) !== 0 && (cpu.S[EFLAGS] & FLAG_VM) === 0;

/** #GP(0) in virtual-8086 mode with IOPL below 3: PUSHF, POPF, INT n and IRET are the monitor's there
 *  (SDM Vol. 3, "Sensitive Instructions"). */
export function checkSensitive(cpu: Cpu, mnemonic: string): void {
  if (isVirtual8086(cpu) && iopl(cpu) < 3) cpu.raise(GP, 0, `${mnemonic} needs IOPL 3 in virtual-8086 mode`);
}

/** Raises what the row's privilege check demands; comes before the handler of such a row. CPL is 0 in real mode, 3 in
 *  virtual-8086 mode. */
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
