/** SYSENTER and SYSEXIT: from ring 3 to ring 0 and back without descriptors (SDM Vol. 2, SYSENTER, SYSEXIT). Segments get fixed contents;
 *  that the descriptors in memory say the same is software's matter. */

import {
  CPL,
  CR0,
  CR0_PE,
  CS,
  ECX,
  EDX,
  EIP,
  ESP,
  FLAG_IF,
  FLAG_VM,
  SS_,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from '../../base/registers.ts';
import { GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { setFlat } from './flat.ts';

/** Present, accessed: code that can be read, data that can be written. */
const CODE = 0x9b;
const DATA = 0x93;
const DPL_3 = 0x60;

/** IA32_SYSENTER_CS, whose bits 15:2 must not be 0; #UD and #GP(0) that both instructions have in common. */
function baseSelector(cpu: Cpu): number {
  const { S } = cpu;
  if (!cpu.model.features.has('SEP')) cpu.raise(UD, -1, 'this processor has no SYSENTER');
  if ((S[CR0] & CR0_PE) === 0) cpu.raise(GP, 0, 'SYSENTER and SYSEXIT need protected mode');
  const selector = S[SYSENTER_CS] & 0xfffc;
  if (selector === 0) cpu.raise(GP, 0, 'IA32_SYSENTER_CS is 0');
  return selector;
}

/** SYSENTER — Fast System Call. */
export function sysenter(cpu: Cpu): void {
  const { S } = cpu;
  const selector = baseSelector(cpu);
  cpu.setFlags(cpu.getFlags() & ~(FLAG_VM | FLAG_IF));
  enter(cpu, selector, 0);
  S[ESP] = S[SYSENTER_ESP];
  S[EIP] = S[SYSENTER_EIP];
}

/** SYSEXIT — Fast Return from Fast System Call. */
export function sysexit(cpu: Cpu): void {
  const { S } = cpu;
  const selector = baseSelector(cpu);
  if (S[CPL] !== 0) cpu.raise(GP, 0, 'SYSEXIT needs CPL 0');
  enter(cpu, (selector + 16) | 3, 3);
  S[ESP] = S[ECX];
  S[EIP] = S[EDX];
}

/** CS and SS become flat; the selector of SS follows that of CS. */
function enter(cpu: Cpu, selector: number, cpl: 0 | 3): void {
  const { S } = cpu;
  const dpl = cpl === 3 ? DPL_3 : 0;
  setFlat(S, CS, selector & 0xffff, CODE | dpl);
  setFlat(S, SS_, (selector + 8) & 0xffff, DATA | dpl);
  cpu.segmentsChanged();
  cpu.setCpl(cpl);
}
