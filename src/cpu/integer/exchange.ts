/** CMPXCHG, CMPXCHG8B, XADD. The destination is always written, so a page that may only be read faults in any case. */
import { EAX, EBX, ECX, EDX, FLAG_ZF } from '../../base/registers.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { setAddFlags, setSubtractFlags } from './flags.ts';

const operandBytes = (i: Instruction): 1 | 2 | 4 => ((i.opcode & 1) === 0 ? 1 : i.operandSize);

/** Index in the byte view of an 8-bit register. */
const byteIndex = (register: number): number => ((register & 3) << 2) | (register >> 2);

function getRegister(cpu: Cpu, register: number, size: number): number {
  return size === 1 ? cpu.S8[byteIndex(register)] : size === 2 ? cpu.S16[register << 1] : cpu.S[register];
}

function setRegister(cpu: Cpu, register: number, size: number, value: number): void {
  if (size === 1) cpu.S8[byteIndex(register)] = value;
  else if (size === 2) cpu.S16[register << 1] = value;
  else cpu.S[register] = value;
}

/** Reads memory that will be written; afterwards the write cannot fault. */
function readForWrite(cpu: Cpu, linear: number, size: number): number {
  const { mmu } = cpu;
  return size === 1 ? mmu.readForWrite8(linear) : size === 2 ? mmu.readForWrite16(linear) : mmu.readForWrite32(linear);
}

function write(cpu: Cpu, linear: number, size: number, value: number): void {
  if (size === 1) cpu.mmu.write8(linear, value & 0xff);
  else if (size === 2) cpu.mmu.write16(linear, value & 0xffff);
  else cpu.mmu.write32(linear, value);
}

/** CMPXCHG — Compare and Exchange with the accumulator. */
export function cmpxchg(cpu: Cpu, i: Instruction): void {
  const size = operandBytes(i);
  const linear = i.memory ? cpu.linearAddress(i, size, true) : 0;
  const old = i.memory ? readForWrite(cpu, linear, size) : getRegister(cpu, i.rm, size);
  const accumulator = getRegister(cpu, EAX, size);
  const equal = accumulator === old;
  const value = equal ? getRegister(cpu, i.reg, size) : old;
  if (i.memory) write(cpu, linear, size, value);
  else if (equal) setRegister(cpu, i.rm, size, value);
  if (!equal) setRegister(cpu, EAX, size, old);
  setSubtractFlags(cpu, accumulator, old, size);
}

/** CMPXCHG8B — Compare and Exchange 8 Bytes. Only ZF changes. */
export function cmpxchg8b(cpu: Cpu, i: Instruction): void {
  const { S, mmu } = cpu;
  const linear = cpu.linearAddress(i, 8, true);
  const low = mmu.readForWrite32(linear) | 0;
  const high = mmu.readForWrite32((linear + 4) | 0) | 0;
  const equal = low === S[EAX] && high === S[EDX];
  mmu.write32(linear, equal ? S[EBX] : low);
  mmu.write32((linear + 4) | 0, equal ? S[ECX] : high);
  if (!equal) {
    S[EAX] = low;
    S[EDX] = high;
  }
  const flags = cpu.getFlags();
  cpu.setArithmeticFlags(equal ? flags | FLAG_ZF : flags & ~FLAG_ZF);
}

/** XADD — Exchange and Add. */
export function xadd(cpu: Cpu, i: Instruction): void {
  const size = operandBytes(i);
  const linear = i.memory ? cpu.linearAddress(i, size, true) : 0;
  const old = i.memory ? readForWrite(cpu, linear, size) : getRegister(cpu, i.rm, size);
  const added = getRegister(cpu, i.reg, size);
  const sum = (old + added) | 0;
  if (i.memory) write(cpu, linear, size, sum);
  setRegister(cpu, i.reg, size, old);
  if (!i.memory) setRegister(cpu, i.rm, size, sum);
  setAddFlags(cpu, old, added, size);
}
