/** Flags of the integer handlers. Additions and subtractions are noted, not computed (cpu/flags.ts). */
import { FLAG_A, FLAG_KIND, FLAG_PF, FLAG_R, FLAG_SF, FLAG_ZF } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import { KIND_ADD, KIND_SUB } from '../flags.ts';

/** Arithmetic flags as after `a − b` on operands of `size` bytes. */
export function setSubtractFlags(cpu: Cpu, a: number, b: number, size: number): void {
  note(cpu, KIND_SUB, a, (a - b) | 0, size);
}

/** Arithmetic flags as after `a + b` on operands of `size` bytes. */
export function setAddFlags(cpu: Cpu, a: number, b: number, size: number): void {
  note(cpu, KIND_ADD, a, (a + b) | 0, size);
}

function note({ S }: Cpu, kind: number, a: number, result: number, size: number): void {
  S[FLAG_KIND] = kind | (size >> 1); // width 0, 1, 2
  S[FLAG_A] = a;
  S[FLAG_R] = result;
}

/** SF, ZF and PF of a byte, as EFLAGS bits. */
export function byteResultFlags(value: number): number {
  const parity = (0x9669 >> ((value ^ (value >> 4)) & 15)) & 1;
  return (value & FLAG_SF) | ((value & 0xff) === 0 ? FLAG_ZF : 0) | (parity ? FLAG_PF : 0);
}
