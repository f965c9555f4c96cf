/** CLI, STI, CLAC, STAC, PUSHF, POPF: the flags that are not arithmetic (SDM Vol. 1, "EFLAGS Register"). */
import { Unimplemented } from '../../base/errors.ts';
import {
  CPL,
  CR0,
  CR0_AM,
  ESP,
  FLAG_AC,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_RF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  INTERRUPTIBILITY,
} from '../../base/registers.ts';
import { UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { checkSensitive, iopl } from './privilege.ts';

/** Interruptibility: blocking by STI. */
const BLOCKING_BY_STI = 1;

/** Bits 21:0 without those that are always 0. Bit 1 is always 1. */
const POPPED = 0x24_7fd5;

/** CLI — Clear Interrupt Flag. */
export function cli(cpu: Cpu): void {
  cpu.setFlags(cpu.getFlags() & ~FLAG_IF);
}

/** STI — Set Interrupt Flag: interrupts stay out for one more instruction if they were off. */
export function sti(cpu: Cpu): void {
  const flags = cpu.getFlags();
  if ((flags & FLAG_IF) !== 0) return;
  cpu.S[INTERRUPTIBILITY] |= BLOCKING_BY_STI;
  cpu.setFlags(flags | FLAG_IF);
}

/** CLAC, STAC — Clear, Set AC Flag in EFLAGS: whether SMAP lets supervisor accesses at user pages. #UD outside CPL 0. */
export function clac(cpu: Cpu): void {
  needSmap(cpu);
  cpu.setFlags(cpu.getFlags() & ~FLAG_AC);
}

export function stac(cpu: Cpu): void {
  needSmap(cpu);
  cpu.setFlags(cpu.getFlags() | FLAG_AC);
}

function needSmap(cpu: Cpu): void {
  if (!cpu.model.features.has('SMAP')) cpu.raise(UD, -1, 'this processor has no SMAP');
  if (cpu.S[CPL] !== 0) cpu.raise(UD, -1, 'CLAC and STAC need CPL 0');
}

/** PUSHF, PUSHFD. */
export function pushf(cpu: Cpu, i: Instruction): void {
  checkSensitive(cpu, 'PUSHF');
  const flags = cpu.getFlags();
  if (i.operandSize === 2) cpu.push16(flags & 0xffff);
  else cpu.push32(flags & ~(FLAG_VM | FLAG_RF));
}

/** POPF, POPFD: which flags change depends on CPL and IOPL, without a fault. */
export function popf(cpu: Cpu, i: Instruction): void {
  checkSensitive(cpu, 'POPF');
  const { S } = cpu;
  const esp = S[ESP];
  const old = cpu.getFlags();
  const popped = i.operandSize === 2 ? (old & ~0xffff) | cpu.pop16() : cpu.pop32() & ~(FLAG_VIP | FLAG_VIF);
  let change = POPPED;
  if (S[CPL] !== 0) change &= ~FLAG_IOPL;
  if (S[CPL] > iopl(cpu)) change &= ~FLAG_IF;
  const flags = (popped & change) | (old & ~change & ~(FLAG_RF | FLAG_VIP | FLAG_VIF));
  const missing = unimplementedFlags(cpu, flags);
  if (missing !== null) {
    S[ESP] = esp;
    throw new Unimplemented(missing);
  }
  cpu.setFlags(flags);
}

/** The feature that these flags would ask for at the current privilege, or null. */
function unimplementedFlags(cpu: Cpu, flags: number): string | null {
  if ((flags & FLAG_AC) !== 0 && (cpu.S[CR0] & CR0_AM) !== 0 && cpu.S[CPL] === 3) return 'alignment check';
  return null;
}
