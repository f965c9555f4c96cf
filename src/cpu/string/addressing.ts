/** What the string instructions share: element size, index registers, the counter, and one element at a time through the MMU
 *  (SDM Vol. 1, "String Operations"). */
import { DS, ECX, EDI, EFLAGS, ES, ESI, FLAG_DF } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';

/** Bytes of an element: 1, 2 or 4. */
export const elementSize = (i: Instruction): 1 | 2 | 4 => ((i.opcode & 1) === 0 ? 1 : i.operandSize);

/** ESI's segment may be overridden; EDI's never. */
export const sourceSegment = (i: Instruction): number => (i.segmentOverride ? i.segment : DS);

/** DF: towards lower addresses. */
export const backwards = (cpu: Cpu): boolean => (cpu.S[EFLAGS] & FLAG_DF) !== 0;

/** How far an index register moves for each element. */
export const direction = (cpu: Cpu, size: number): number => (backwards(cpu) ? -size : size);

/** ESI or EDI, in the width of the address size: the offset in the segment, a pattern if it has 32 bits. */
export const index = (cpu: Cpu, i: Instruction, register: number): number =>
  i.addressSize === 2 ? cpu.S16[register << 1] : cpu.S[register];

/** ECX in the width of the address size, unsigned. */
export const counter = (cpu: Cpu, i: Instruction): number => index(cpu, i, ECX) >>> 0;

/** Adds to ECX, ESI or EDI in the width of the address size. */
export function advance(cpu: Cpu, i: Instruction, register: number, by: number): void {
  if (i.addressSize === 2) cpu.S16[register << 1] += by;
  else cpu.S[register] += by;
}

/** Linear address of the source element, checked for reading. */
export const sourceAddress = (cpu: Cpu, i: Instruction, size: number): number =>
  cpu.segmentCheck(sourceSegment(i), index(cpu, i, ESI), size, false);

/** Linear address of the destination element. */
export const destinationAddress = (cpu: Cpu, i: Instruction, size: number, write: boolean): number =>
  cpu.segmentCheck(ES, index(cpu, i, EDI), size, write);

/** Reads an element through the MMU, unsigned (32 bits: a pattern). */
export const load = (cpu: Cpu, linear: number, size: number): number =>
  size === 1 ? cpu.mmu.read8(linear) : size === 2 ? cpu.mmu.read16(linear) : cpu.mmu.read32(linear);

/** Writes an element through the MMU. */
export function store(cpu: Cpu, linear: number, size: number, value: number): void {
  if (size === 1) cpu.mmu.write8(linear, value);
  else if (size === 2) cpu.mmu.write16(linear, value);
  else cpu.mmu.write32(linear, value);
}
