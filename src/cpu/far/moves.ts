/** MOV, PUSH and POP of segment registers, LDS LES LFS LGS LSS (SDM Vol. 2). */

import { CS, DS, ES, ESP, FS, GS, INTERRUPTIBILITY, SEG_SELECTOR, SS_ } from '../../base/registers.ts';
import { UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { loadSegment } from './segments.ts';
import { peek } from './stack.ts';

/** Interruptibility: interrupts wait until the instruction after a load of SS. */
const BLOCKING_BY_MOV_SS = 2;

/** MOV Sw, Ew */
export function movToSegment(cpu: Cpu, i: Instruction): void {
  if (i.reg === CS || i.reg > GS) cpu.raise(UD, -1, 'MOV to CS or to a segment register that does not exist');
  loadSegment(cpu, i.reg, cpu.readOperand16(i) & 0xffff);
  if (i.reg === SS_) cpu.S[INTERRUPTIBILITY] |= BLOCKING_BY_MOV_SS;
}

/** MOV Ev, Sw: 16 bits to memory, zero-extended to a register. */
export function movFromSegment(cpu: Cpu, i: Instruction): void {
  if (i.reg > GS) cpu.raise(UD, -1, 'MOV from a segment register that does not exist');
  storeSelector(cpu, i, cpu.S[SEG_SELECTOR + i.reg]);
}

/** Stores a selector as MOV, SLDT and STR do. */
export function storeSelector(cpu: Cpu, i: Instruction, selector: number): void {
  if (i.memory || i.operandSize === 2) cpu.writeOperand16(i, selector & 0xffff);
  else cpu.writeOperand32(i, selector & 0xffff);
}

/** Segment register of 06 0E 16 1E, 0F A0, 0F A8, and of the POPs one above them. */
const pushed = (i: Instruction): number => (i.opcode < 0x20 ? (i.opcode >> 3) & 3 : i.opcode < 0xa8 ? FS : GS);

/** PUSH Sreg. With a 32-bit operand recent processors write the low word and leave the upper half of the slot alone. */
export function pushSegment(cpu: Cpu, i: Instruction): void {
  const at = (cpu.S[ESP] - i.operandSize) & cpu.stackMask;
  const linear = cpu.segmentCheck(SS_, at, i.operandSize, true);
  cpu.mmu.write16(linear, cpu.S[SEG_SELECTOR + pushed(i)] & 0xffff);
  cpu.adjustStack(-i.operandSize);
}

/** POP Sreg. */
export function popSegment(cpu: Cpu, i: Instruction): void {
  const segment = pushed(i);
  const selector = peek(cpu, 0, i.operandSize) & 0xffff;
  // The stack pointer moves in the width of the old stack; a load of SS must not change that.
  const mask = cpu.stackMask;
  loadSegment(cpu, segment, selector);
  cpu.S[ESP] = (cpu.S[ESP] & ~mask) | ((cpu.S[ESP] + i.operandSize) & mask);
  if (segment === SS_) cpu.S[INTERRUPTIBILITY] |= BLOCKING_BY_MOV_SS;
}

const POINTER_SEGMENTS: Readonly<Record<number, number>> = { 196: ES, 197: DS, 178: SS_, 180: FS, 181: GS };

/** LES, LDS, LSS, LFS, LGS: the register is written only after the segment register could be loaded. */
export function loadFarPointer(cpu: Cpu, i: Instruction): void {
  const size = i.operandSize;
  const linear = cpu.linearAddress(i, size + 2, false);
  const offset = size === 4 ? cpu.mmu.read32(linear) : cpu.mmu.read16(linear);
  const selector = cpu.mmu.read16((linear + size) >>> 0);
  loadSegment(cpu, POINTER_SEGMENTS[i.opcode], selector);
  if (size === 4) cpu.S[i.reg] = offset;
  else cpu.S16[i.reg << 1] = offset;
}
