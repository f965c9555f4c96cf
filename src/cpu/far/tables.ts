/** Descriptor-table registers: LGDT LIDT SGDT SIDT, LLDT LTR SLDT STR (SDM Vol. 2; Vol. 3, "Memory-Management Registers"). */

import { CPL, GDTR_BASE, GDTR_LIMIT, IDTR_BASE, IDTR_LIMIT, LDTR, SEG_SELECTOR, TR } from '../../base/registers.ts';
import { GP, NP } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import {
  type Descriptor,
  isNull,
  isPresent,
  LDT,
  named,
  readDescriptor,
  selectorError,
  setBusy,
  TSS16_AVAILABLE,
  TSS32_AVAILABLE,
  typeOf,
} from './descriptors.ts';
import { storeSelector } from './moves.ts';
import { install, installNull } from './segments.ts';

export function lgdt(cpu: Cpu, i: Instruction): void {
  loadTable(cpu, i, GDTR_BASE, GDTR_LIMIT);
}

export function lidt(cpu: Cpu, i: Instruction): void {
  loadTable(cpu, i, IDTR_BASE, IDTR_LIMIT);
}

/** A 16-bit operand size loads 24 bits of the base. */
function loadTable(cpu: Cpu, i: Instruction, base: number, limit: number): void {
  const linear = cpu.linearAddress(i, 6, false);
  const newLimit = cpu.mmu.read16(linear);
  const newBase = cpu.mmu.read32((linear + 2) >>> 0);
  cpu.S[limit] = newLimit;
  cpu.S[base] = i.operandSize === 2 ? newBase & 0xff_ffff : newBase;
}

export function sgdt(cpu: Cpu, i: Instruction): void {
  storeTable(cpu, i, cpu.S[GDTR_BASE], cpu.S[GDTR_LIMIT]);
}

export function sidt(cpu: Cpu, i: Instruction): void {
  storeTable(cpu, i, cpu.S[IDTR_BASE], cpu.S[IDTR_LIMIT]);
}

/** Stores all 32 bits of the base with either operand size, as the manual's procedure does. */
function storeTable(cpu: Cpu, i: Instruction, base: number, limit: number): void {
  const linear = cpu.linearAddress(i, 6, true);
  cpu.mmu.probeWrite(linear >>> 0, 6, cpu.S[CPL] === 3);
  cpu.mmu.write16(linear, limit & 0xffff);
  cpu.mmu.write32((linear + 2) >>> 0, base);
}

export function lldt(cpu: Cpu, i: Instruction): void {
  const selector = cpu.readOperand16(i) & 0xffff;
  if (isNull(selector)) {
    installNull(cpu, LDTR, selector);
    return;
  }
  const d = systemDescriptor(cpu, selector);
  if (typeOf(d) !== LDT) cpu.raise(GP, selectorError(selector, 0), `${named(selector)} is not an LDT`);
  if (!isPresent(d)) cpu.raise(NP, selectorError(selector, 0), `LDT ${named(selector)} is not present`);
  install(cpu, LDTR, selector, d);
}

export function ltr(cpu: Cpu, i: Instruction): void {
  const selector = cpu.readOperand16(i) & 0xffff;
  if (isNull(selector)) cpu.raise(GP, 0, 'LTR with a null selector');
  const d = systemDescriptor(cpu, selector);
  if (typeOf(d) !== TSS16_AVAILABLE && typeOf(d) !== TSS32_AVAILABLE)
    cpu.raise(GP, selectorError(selector, 0), `${named(selector)} is not an available TSS`);
  if (!isPresent(d)) cpu.raise(NP, selectorError(selector, 0), `TSS ${named(selector)} is not present`);
  setBusy(cpu, d);
  install(cpu, TR, selector, d);
}

/** LDTs and TSSs are described in the GDT only. */
function systemDescriptor(cpu: Cpu, selector: number): Descriptor {
  const d = selector & 4 ? null : readDescriptor(cpu, selector);
  return d ?? cpu.raise(GP, selectorError(selector, 0), `${named(selector)} is not within the GDT`);
}

export function sldt(cpu: Cpu, i: Instruction): void {
  storeSelector(cpu, i, cpu.S[SEG_SELECTOR + LDTR]);
}

export function str(cpu: Cpu, i: Instruction): void {
  storeSelector(cpu, i, cpu.S[SEG_SELECTOR + TR]);
}
