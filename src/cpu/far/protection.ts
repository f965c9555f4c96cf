/** Instructions that ask about protection: LAR, LSL, VERR, VERW, ARPL, BOUND (SDM Vol. 2; Vol. 3, "Pointer Validation"). */

import { AR_S, CPL, FLAG_ZF } from '../../base/registers.ts';
import { BR } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import {
  CALL_GATE16,
  CALL_GATE32,
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isNull,
  isWritableData,
  LDT,
  readDescriptor,
  TASK_GATE,
  TSS16_AVAILABLE,
  TSS16_BUSY,
  TSS32_AVAILABLE,
  TSS32_BUSY,
  TYPE_READABLE,
  typeOf,
} from './descriptors.ts';

const LSL_TYPES: readonly number[] = [TSS16_AVAILABLE, LDT, TSS16_BUSY, TSS32_AVAILABLE, TSS32_BUSY];
const LAR_TYPES: readonly number[] = [...LSL_TYPES, CALL_GATE16, TASK_GATE, CALL_GATE32];

/** The access-rights bytes of a descriptor's upper half that LAR shows; the limit bits between them are undefined. */
const LAR_MASK = 0x00f0_ff00;

/** The descriptor of `selector` if CPL and RPL may see it; null otherwise, without any fault but those of memory. */
function visible(cpu: Cpu, selector: number): Descriptor | null {
  if (isNull(selector)) return null;
  const d = readDescriptor(cpu, selector);
  if (d === null) return null;
  const open = (isCode(d) && isConforming(d)) || dplOf(d) >= Math.max(cpu.S[CPL], selector & 3);
  return open ? d : null;
}

function setZero(cpu: Cpu, zero: boolean): void {
  const flags = cpu.getFlags();
  cpu.setArithmeticFlags(zero ? flags | FLAG_ZF : flags & ~FLAG_ZF);
}

function writeRegister(cpu: Cpu, i: Instruction, value: number): void {
  if (i.operandSize === 4) cpu.S[i.reg] = value;
  else cpu.S16[i.reg << 1] = value;
}

export function lar(cpu: Cpu, i: Instruction): void {
  const d = visible(cpu, cpu.readOperand16(i) & 0xffff);
  const valid = d !== null && ((d.access & AR_S) !== 0 || LAR_TYPES.includes(typeOf(d)));
  if (valid) writeRegister(cpu, i, d.high & LAR_MASK);
  setZero(cpu, valid);
}

export function lsl(cpu: Cpu, i: Instruction): void {
  const d = visible(cpu, cpu.readOperand16(i) & 0xffff);
  const valid = d !== null && ((d.access & AR_S) !== 0 || LSL_TYPES.includes(typeOf(d)));
  if (valid) writeRegister(cpu, i, d.limit);
  setZero(cpu, valid);
}

export function verr(cpu: Cpu, i: Instruction): void {
  const d = visible(cpu, cpu.readOperand16(i) & 0xffff);
  setZero(cpu, d !== null && (d.access & AR_S) !== 0 && (!isCode(d) || (d.access & TYPE_READABLE) !== 0));
}

export function verw(cpu: Cpu, i: Instruction): void {
  const d = visible(cpu, cpu.readOperand16(i) & 0xffff);
  setZero(cpu, d !== null && isWritableData(d));
}

/** ARPL Ew, Gw: raises the RPL of a selector to that of its user. */
export function arpl(cpu: Cpu, i: Instruction): void {
  const rpl = cpu.S[i.reg] & 3;
  const linear = i.memory ? cpu.linearAddress(i, 2, true) : 0;
  const selector = i.memory ? cpu.mmu.readForWrite16(linear) : cpu.S16[i.rm << 1];
  const raised = (selector & 3) < rpl;
  if (raised) {
    if (i.memory) cpu.mmu.write16(linear, (selector & ~3) | rpl);
    else cpu.S16[i.rm << 1] = (selector & ~3) | rpl;
  }
  setZero(cpu, raised);
}

/** BOUND Gv, Ma: #BR unless lower ≤ register ≤ upper, signed. */
export function bound(cpu: Cpu, i: Instruction): void {
  const size = i.operandSize;
  const linear = cpu.linearAddress(i, 2 * size, false);
  const read = (at: number): number => (size === 4 ? cpu.mmu.read32(at) | 0 : (cpu.mmu.read16(at) << 16) >> 16);
  const index = size === 4 ? cpu.S[i.reg] : (cpu.S[i.reg] << 16) >> 16;
  const lower = read(linear);
  const upper = read((linear + size) >>> 0);
  if (index < lower || index > upper) cpu.raise(BR, -1, `${index} is outside the bounds ${lower} to ${upper}`);
}
