/** DIV, IDIV. A quotient that does not fit, and a divisor of 0, raise #DE; all flags stay as they are (the manual leaves them
 *  undefined). */

import { s8, s16, u32 } from '../../base/int.ts';
import { EAX, EDX } from '../../base/registers.ts';
import { DE } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';

function overflow(cpu: Cpu): never {
  return cpu.raise(DE, -1, 'the quotient does not fit');
}

/** DIV — Unsigned Divide. */
export function div(cpu: Cpu, i: Instruction): void {
  const { S, S8, S16 } = cpu;
  if ((i.opcode & 1) === 0) {
    const divisor = cpu.readOperand8(i);
    const dividend = S16[EAX << 1];
    if (dividend >> 8 >= divisor) overflow(cpu);
    S8[EAX << 2] = dividend / divisor;
    S8[(EAX << 2) + 1] = dividend % divisor;
  } else if (i.operandSize === 2) {
    const divisor = cpu.readOperand16(i);
    if (S16[EDX << 1] >= divisor) overflow(cpu);
    const dividend = S16[EDX << 1] * 0x1_0000 + S16[EAX << 1];
    S16[EAX << 1] = Math.floor(dividend / divisor);
    S16[EDX << 1] = dividend % divisor;
  } else {
    const divisor = u32(cpu.readOperand32(i));
    if (u32(S[EDX]) >= divisor) overflow(cpu);
    const { quotient, remainder } = divide64(u32(S[EDX]), u32(S[EAX]), divisor);
    S[EAX] = quotient;
    S[EDX] = remainder;
  }
}

/** IDIV — Signed Divide: rounds towards zero, the remainder has the dividend's sign. */
export function idiv(cpu: Cpu, i: Instruction): void {
  const { S8, S16 } = cpu;
  if ((i.opcode & 1) === 0) {
    const divisor = s8(cpu.readOperand8(i));
    const dividend = s16(S16[EAX << 1]);
    const quotient = divisor === 0 ? overflow(cpu) : Math.trunc(dividend / divisor);
    if (quotient !== s8(quotient)) overflow(cpu);
    S8[EAX << 2] = quotient;
    S8[(EAX << 2) + 1] = dividend % divisor;
  } else if (i.operandSize === 2) {
    const divisor = s16(cpu.readOperand16(i));
    const dividend = (S16[EDX << 1] << 16) | S16[EAX << 1];
    const quotient = divisor === 0 ? overflow(cpu) : Math.trunc(dividend / divisor);
    if (quotient !== s16(quotient)) overflow(cpu);
    S16[EAX << 1] = quotient;
    S16[EDX << 1] = dividend % divisor;
  } else {
    divideSigned64(cpu, cpu.readOperand32(i));
  }
}

/** EDX:EAX by a 32-bit divisor, on magnitudes. */
function divideSigned64(cpu: Cpu, divisor: number): void {
  const { S } = cpu;
  const negative = S[EDX] < 0;
  const low = negative ? u32(-S[EAX]) : u32(S[EAX]);
  const high = negative ? u32(~S[EDX] + (low === 0 ? 1 : 0)) : S[EDX];
  const magnitude = Math.abs(divisor);
  if (high >= magnitude) overflow(cpu);
  const { quotient, remainder } = divide64(high, low, magnitude);
  const minus = negative !== divisor < 0;
  if (quotient > (minus ? 0x8000_0000 : 0x7fff_ffff)) overflow(cpu);
  S[EAX] = minus ? -quotient : quotient;
  S[EDX] = negative ? -remainder : remainder;
}

/** Divides high · 2^32 + low by `divisor`, all unsigned, high < divisor. Two digits of 16 bits: each step divides a number below
 *  2^48, where the floor of a floating-point quotient is exact. */
function divide64(high: number, low: number, divisor: number): { quotient: number; remainder: number } {
  const upper = high * 0x1_0000 + (low >>> 16);
  const first = Math.floor(upper / divisor);
  const rest = (upper - first * divisor) * 0x1_0000 + (low & 0xffff);
  const second = Math.floor(rest / divisor);
  return { quotient: first * 0x1_0000 + second, remainder: rest - second * divisor };
}
