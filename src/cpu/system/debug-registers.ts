/** MOV to and from debug registers (SDM Vol. 2, "MOV—Move to/from Debug Registers"; Vol. 3, "Debug Registers"). */
import {
  CPL,
  CR4,
  CR4_DE,
  DEBUG_B,
  DEBUG_BD,
  DEBUG_BS,
  DEBUG_BT,
  DR0,
  DR6,
  DR6_FIXED,
  DR7,
  DR7_FIXED,
} from '../../base/registers.ts';
import { DB, GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { debugRegistersChanged } from '../debugging/breakpoints.ts';
import type { Instruction } from '../instruction.ts';
import { intercepted } from './privilege.ts';

/** Bits of DR6 that software can change, and of DR7: all but 15, 14, 12, 11 and 10. */
export const DR6_WRITABLE: number = DEBUG_B | DEBUG_BD | DEBUG_BS | DEBUG_BT;
export const DR7_WRITABLE: number = 0xffff_23ff | 0;
/** General detect enable. */
const GD = 0x2000;

/** The register's place in the register file. The VM exit comes even before the check of privilege and that of DR4 and DR5 (SDM Vol.
 *  3, "Instructions That Cause VM Exits Conditionally"). −1: it took place. */
function access(cpu: Cpu, i: Instruction): number {
  const { S } = cpu;
  if (intercepted(cpu, i)) return -1;
  const alias = (i.reg & 6) === 4;
  if (alias && (S[CR4] & CR4_DE) !== 0) cpu.raise(UD, -1, `with CR4.DE there is no DR${i.reg}`);
  if (S[CPL] !== 0) cpu.raise(GP, 0, 'MOV of a debug register needs CPL 0');
  if ((S[DR7] & GD) !== 0) cpu.raise(DB, -1, 'DR7.GD is set');
  return i.reg < 4 ? DR0 + i.reg : (i.reg & 1) === 0 ? DR6 : DR7;
}

/** MOV r32, DRn */
export function movFromDr(cpu: Cpu, i: Instruction): void {
  const place = access(cpu, i);
  if (place >= 0) cpu.S[i.rm] = cpu.S[place];
}

/** MOV DRn, r32 */
export function movToDr(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  const place = access(cpu, i);
  if (place < 0) return;
  const value = S[i.rm];
  if (place === DR6) S[DR6] = (value & DR6_WRITABLE) | DR6_FIXED;
  else if (place === DR7) S[DR7] = (value & DR7_WRITABLE) | DR7_FIXED;
  else S[place] = value;
  if (place !== DR6) debugRegistersChanged(cpu);
}
