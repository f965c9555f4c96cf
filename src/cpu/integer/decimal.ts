/** DAA, DAS, AAA, AAS, AAM, AAD: adjustments for decimal arithmetic (SDM Vol. 1, "Decimal Arithmetic Instructions").
 *  Of the flags that the manual leaves undefined, SF, ZF and PF follow AL, the others are cleared. */
import { EAX, FLAG_AF, FLAG_CF } from '../../base/registers.ts';
import { DE } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { byteResultFlags } from './flags.ts';

const AL = EAX << 2;
const AX = EAX << 1;

/** DAA — Decimal Adjust AL After Addition. */
export const daa = (cpu: Cpu): void => adjustPacked(cpu, 1);

/** DAS — Decimal Adjust AL After Subtraction. */
export const das = (cpu: Cpu): void => adjustPacked(cpu, -1);

function adjustPacked(cpu: Cpu, sign: 1 | -1): void {
  const flags = cpu.getFlags();
  const old = cpu.S8[AL];
  let al = old;
  let out = 0;
  if ((old & 15) > 9 || (flags & FLAG_AF) !== 0) {
    al += sign * 6;
    out = FLAG_AF | (flags & FLAG_CF) | (al > 0xff || al < 0 ? FLAG_CF : 0);
  }
  if (old > 0x99 || (flags & FLAG_CF) !== 0) {
    al += sign * 0x60;
    out |= FLAG_CF;
  } else if (sign === 1) {
    out &= ~FLAG_CF;
  }
  cpu.S8[AL] = al;
  cpu.setArithmeticFlags(out | byteResultFlags(al & 0xff));
}

/** AAA — ASCII Adjust After Addition. */
export const aaa = (cpu: Cpu): void => adjustUnpacked(cpu, 0x106);

/** AAS — ASCII Adjust AL After Subtraction. */
export const aas = (cpu: Cpu): void => adjustUnpacked(cpu, -0x106);

function adjustUnpacked(cpu: Cpu, by: number): void {
  const adjust = (cpu.S8[AL] & 15) > 9 || (cpu.getFlags() & FLAG_AF) !== 0;
  if (adjust) cpu.S16[AX] += by;
  cpu.S8[AL] &= 15;
  cpu.setArithmeticFlags((adjust ? FLAG_AF | FLAG_CF : 0) | byteResultFlags(cpu.S8[AL]));
}

/** AAM — ASCII Adjust AX After Multiply: AL in the base of the immediate, two digits. */
export function aam(cpu: Cpu, i: Instruction): void {
  const base = i.immediate & 0xff;
  if (base === 0) cpu.raise(DE, -1, 'AAM with base 0');
  const al = cpu.S8[AL];
  cpu.S8[AL + 1] = al / base;
  cpu.S8[AL] = al % base;
  cpu.setArithmeticFlags(byteResultFlags(cpu.S8[AL]));
}

/** AAD — ASCII Adjust AX Before Division. */
export function aad(cpu: Cpu, i: Instruction): void {
  cpu.S16[AX] = (cpu.S8[AL] + cpu.S8[AL + 1] * (i.immediate & 0xff)) & 0xff;
  cpu.setArithmeticFlags(byteResultFlags(cpu.S8[AL]));
}
