/** PUSHA, POPA, ENTER: several stack accesses in one instruction, all or none of which take place. */
import { CPL, EBP, ESP, SS_ } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';

/** Linear address of a stack element, checked. `offset` is taken in the width of the stack. */
const stackAddress = (cpu: Cpu, offset: number, size: number, write: boolean): number =>
  cpu.segmentCheck(SS_, offset & cpu.stackMask, size, write);

/** Makes sure that an element can be written. */
function probe(cpu: Cpu, offset: number, size: number): void {
  cpu.mmu.probeWrite(stackAddress(cpu, offset, size, true), size, cpu.S[CPL] === 3);
}

function write(cpu: Cpu, offset: number, size: number, value: number): void {
  const linear = stackAddress(cpu, offset, size, true);
  if (size === 2) cpu.mmu.write16(linear, value & 0xffff);
  else cpu.mmu.write32(linear, value);
}

function read(cpu: Cpu, offset: number, size: number): number {
  const linear = stackAddress(cpu, offset, size, false);
  return size === 2 ? cpu.mmu.read16(linear) : cpu.mmu.read32(linear);
}

function setStackPointer(cpu: Cpu, value: number): void {
  const mask = cpu.stackMask;
  cpu.S[ESP] = (cpu.S[ESP] & ~mask) | (value & mask);
}

/** PUSHA, PUSHAD — Push All General-Purpose Registers, in the order of their numbers. */
export function pusha(cpu: Cpu, i: Instruction): void {
  const { S } = cpu;
  const size = i.operandSize;
  for (let r = 0; r < 8; r++) probe(cpu, S[ESP] - (r + 1) * size, size);
  for (let r = 0; r < 8; r++) write(cpu, S[ESP] - (r + 1) * size, size, S[r]);
  setStackPointer(cpu, S[ESP] - 8 * size);
}

/** POPA, POPAD — Pop All General-Purpose Registers; the value for ESP is skipped. */
export function popa(cpu: Cpu, i: Instruction): void {
  const { S, S16 } = cpu;
  const size = i.operandSize;
  const values = [7, 6, 5, 4, 3, 2, 1, 0].map((place) => read(cpu, S[ESP] + place * size, size));
  for (let r = 0; r < 8; r++) {
    if (r === ESP) continue;
    if (size === 2) S16[r << 1] = values[r];
    else S[r] = values[r];
  }
  setStackPointer(cpu, S[ESP] + 8 * size);
}

/** ENTER — Make Stack Frame for Procedure Parameters. First the pass that may fault, then the one that writes. */
export function enter(cpu: Cpu, i: Instruction): void {
  const { S, S16 } = cpu;
  const size = i.operandSize;
  const bytes = i.immediate & 0xffff;
  const level = i.immediate2 & 31;
  const pushes = level === 0 ? 1 : level + 1;
  const frame = S[ESP] - size; // where EBP goes
  const last = frame - (pushes - 1) * size;

  for (let n = 0; n < pushes; n++) probe(cpu, frame - n * size, size);
  for (let n = 1; n < level; n++) read(cpu, S[EBP] - n * size, size);
  probe(cpu, last - bytes, size);

  write(cpu, frame, size, S[EBP]);
  for (let n = 1; n < level; n++) write(cpu, frame - n * size, size, read(cpu, S[EBP] - n * size, size));
  const mask = cpu.stackMask;
  const framePointer = (S[ESP] & ~mask) | (frame & mask);
  if (level > 0) write(cpu, last, size, framePointer);
  if (size === 2) S16[EBP << 1] = framePointer;
  else S[EBP] = framePointer;
  setStackPointer(cpu, last - bytes);
}
