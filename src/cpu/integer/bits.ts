/** BT, BTS, BTR, BTC, BSF, BSR, and two small ones that read a table or a flag: XLAT, SALC. */

import { s16 } from '../../base/int.ts';
import { EAX, EBX, FLAG_CF, FLAG_ZF } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';

/** What becomes of the tested bit. */
type Change = (value: number, mask: number) => number;

/** BT — Bit Test. */
export const bt = (cpu: Cpu, i: Instruction): void => testBit(cpu, i, null);
/** BTS — Bit Test and Set. */
export const bts = (cpu: Cpu, i: Instruction): void => testBit(cpu, i, (value, mask) => value | mask);
/** BTR — Bit Test and Reset. */
export const btr = (cpu: Cpu, i: Instruction): void => testBit(cpu, i, (value, mask) => value & ~mask);
/** BTC — Bit Test and Complement. */
export const btc = (cpu: Cpu, i: Instruction): void => testBit(cpu, i, (value, mask) => value ^ mask);

/** Opcode of the group whose bit number is an immediate. */
const IMMEDIATE_FORM = 0xba;

/** CF takes the bit; ZF stays; OF, SF, AF and PF are undefined and stay, too. */
function testBit(cpu: Cpu, i: Instruction, change: Change | null): void {
  const { S, S16 } = cpu;
  const size = i.operandSize;
  const bits = size * 8;
  const number = i.opcode === IMMEDIATE_FORM ? i.immediate & (bits - 1) : size === 2 ? s16(S[i.reg]) : S[i.reg];
  const mask = 1 << (number & (bits - 1));
  let value: number;
  if (i.memory) {
    value = memoryBit(cpu, i, number, mask, change);
  } else {
    value = size === 2 ? S16[i.rm << 1] : S[i.rm];
    if (change !== null && size === 2) S16[i.rm << 1] = change(value, mask);
    else if (change !== null) S[i.rm] = change(value, mask);
  }
  cpu.setArithmeticFlags((cpu.getFlags() & ~FLAG_CF) | ((value & mask) !== 0 ? FLAG_CF : 0));
}

/** A bit number from a register reaches beyond the addressed word, in both directions. Returns the word before the change. */
function memoryBit(cpu: Cpu, i: Instruction, number: number, mask: number, change: Change | null): number {
  const { mmu } = cpu;
  const size = i.operandSize;
  const word = size === 2 ? (number >> 4) << 1 : (number >> 5) << 2;
  const offset = cpu.effectiveAddress(i) + word;
  const linear = cpu.segmentCheck(i.segment, i.addressSize === 2 ? offset & 0xffff : offset | 0, size, change !== null);
  if (change === null) return size === 2 ? mmu.read16(linear) : mmu.read32(linear);
  const value = size === 2 ? mmu.readForWrite16(linear) : mmu.readForWrite32(linear);
  if (size === 2) mmu.write16(linear, change(value, mask) & 0xffff);
  else mmu.write32(linear, change(value, mask));
  return value;
}

/** BSF — Bit Scan Forward. */
export const bsf = (cpu: Cpu, i: Instruction): void => scanBits(cpu, i, (value) => 31 - Math.clz32(value & -value));
/** BSR — Bit Scan Reverse. */
export const bsr = (cpu: Cpu, i: Instruction): void => scanBits(cpu, i, (value) => 31 - Math.clz32(value));

/** Of 0 there is no bit: ZF = 1, and the destination stays as it is. The other flags are undefined and stay. */
function scanBits(cpu: Cpu, i: Instruction, find: (value: number) => number): void {
  const value = i.operandSize === 2 ? cpu.readOperand16(i) : cpu.readOperand32(i);
  const flags = cpu.getFlags();
  if (value === 0) {
    cpu.setArithmeticFlags(flags | FLAG_ZF);
    return;
  }
  if (i.operandSize === 2) cpu.S16[i.reg << 1] = find(value);
  else cpu.S[i.reg] = find(value);
  cpu.setArithmeticFlags(flags & ~FLAG_ZF);
}

/** XLAT — Table Look-up Translation: AL indexes the table at (E)BX. */
export function xlat(cpu: Cpu, i: Instruction): void {
  const offset = cpu.S[EBX] + cpu.S8[EAX << 2];
  const linear = cpu.segmentCheck(i.segment, i.addressSize === 2 ? offset & 0xffff : offset | 0, 1, false);
  cpu.S8[EAX << 2] = cpu.mmu.read8(linear);
}

/** SALC — Set AL from Carry (D6, undocumented until the Pentium Pro's manuals). */
export function salc(cpu: Cpu): void {
  cpu.S8[EAX << 2] = (cpu.getFlags() & FLAG_CF) !== 0 ? 0xff : 0;
}
