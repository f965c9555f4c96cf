/** IN, OUT and the permission to use a port (SDM Vol. 1, "Protected-Mode I/O"). */
import { hex } from '../../base/int.ts';
import { AR_UNUSABLE, CPL, EAX, EDX, SEG_ACCESS, SEG_BASE, SEG_LIMIT, TR } from '../../base/registers.ts';
import { GP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import { notePort } from '../debugging/breakpoints.ts';
import type { Instruction } from '../instruction.ts';
import { iopl, isProtected, isVirtual8086 } from './privilege.ts';

/** Where a 32-bit TSS holds the offset of its I/O permission bit map. */
const IO_MAP_BASE = 102;
/** System segment type of an available or busy 32-bit TSS, with the busy bit masked. */
const TSS32 = 9;
const BUSY = 2;

/** Raises #GP(0) unless CPL ≤ IOPL or the TSS permits each of the ports; in virtual-8086 mode the TSS alone decides. */
export function checkIoPermission(cpu: Cpu, port: number, size: number): void {
  if (isProtected(cpu) ? cpu.S[CPL] <= iopl(cpu) : !isVirtual8086(cpu)) return;
  if (!permittedByTss(cpu, port, size)) cpu.raise(GP, 0, `port ${hex(port, 4)} is not permitted at CPL ${cpu.S[CPL]}`);
}

function permittedByTss(cpu: Cpu, port: number, size: number): boolean {
  const { S, mmu } = cpu;
  const access = S[SEG_ACCESS + TR];
  const limit = S[SEG_LIMIT + TR] >>> 0;
  if ((access & AR_UNUSABLE) !== 0 || (access & 15 & ~BUSY) !== TSS32 || limit < IO_MAP_BASE + 1) return false;
  // The processor always reads two bytes of the map, so that an access may straddle a byte boundary.
  const at = mmu.readSystem16(S[SEG_BASE + TR] + IO_MAP_BASE) + (port >> 3);
  if (at + 1 > limit) return false;
  const denied = mmu.readSystem16(S[SEG_BASE + TR] + at) >> (port & 7);
  return (denied & ((1 << size) - 1)) === 0;
}

/** Bytes of an IN, OUT, INS or OUTS. */
export const ioSize = (i: Instruction): 1 | 2 | 4 => ((i.opcode & 1) === 0 ? 1 : i.operandSize);

/** The port: DX for opcodes EC to EF, else the immediate byte. */
const portOf = (cpu: Cpu, i: Instruction): number => ((i.opcode & 8) !== 0 ? cpu.S16[EDX << 1] : i.immediate & 0xff);

/** IN — Input From Port. */
export function in_(cpu: Cpu, i: Instruction): void {
  const port = portOf(cpu, i);
  const size = ioSize(i);
  checkIoPermission(cpu, port, size);
  if (cpu.monitor?.nonRoot && cpu.monitor.interceptIo(i, port, size, true, false, 0)) return;
  const value = cpu.ports.read(port, size);
  notePort(cpu, port, size);
  if (size === 1) cpu.S8[EAX << 2] = value;
  else if (size === 2) cpu.S16[EAX << 1] = value;
  else cpu.S[EAX] = value;
}

/** OUT — Output to Port. */
export function out(cpu: Cpu, i: Instruction): void {
  const port = portOf(cpu, i);
  const size = ioSize(i);
  checkIoPermission(cpu, port, size);
  if (cpu.monitor?.nonRoot && cpu.monitor.interceptIo(i, port, size, false, false, 0)) return;
  const { S } = cpu;
  cpu.ports.write(port, size === 1 ? S[EAX] & 0xff : size === 2 ? S[EAX] & 0xffff : S[EAX] >>> 0, size);
  notePort(cpu, port, size);
}
