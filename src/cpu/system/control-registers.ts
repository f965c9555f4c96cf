/** MOV to and from control registers, CLTS, LMSW, SMSW (SDM Vol. 3, "Control Registers"). */
import { hex } from '../../base/int.ts';
import {
  CR0,
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR2,
  CR3,
  CR4,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMEP,
} from '../../base/registers.ts';
import { GP, UD } from '../../base/signal.ts';
import type { Cpu } from '../cpu.ts';
import type { Instruction } from '../instruction.ts';
import { cr4Mask } from '../model.ts';

/** Bits of CR0 that exist; writes to the others are ignored. ET is always 1. */
const CR0_BITS = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** What LMSW writes: PE, MP, EM, TS. */
const MACHINE_STATUS = 0xf;

/** Bits whose change loads the PDPTE registers (SDM Vol. 3, "PDPTE Registers"). */
const CR0_LOADS_PDPTES = CR0_CD | CR0_NW | CR0_PG;
const CR4_LOADS_PDPTES = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;

/** How an access came about, as VMX numbers it in the exit qualification. */
const MOV_TO = 0;
const MOV_FROM = 1;
const CLTS = 2;
const LMSW = 3;
const SMSW = 4;

const existing = (cr: number): boolean => cr === 0 || (cr >= 2 && cr <= 4);

/** MOV CRn, r32. */
export function movToCr(cpu: Cpu, i: Instruction): void {
  if (!existing(i.reg)) cpu.raise(UD, -1, `there is no CR${i.reg}`);
  let value = cpu.S[i.rm];
  if (cpu.monitor?.nonRoot && i.reg !== 2) {
    const allowed = cpu.monitor.writeControlRegister(i.reg, value, MOV_TO, i.rm, false, 0);
    if (allowed === null) return;
    value = allowed;
  }
  writeControlRegister(cpu, i.reg, value);
}

/** MOV r32, CRn. */
export function movFromCr(cpu: Cpu, i: Instruction): void {
  if (!existing(i.reg)) cpu.raise(UD, -1, `there is no CR${i.reg}`);
  const value = readControlRegister(cpu, i.reg, MOV_FROM, i.rm);
  if (value !== null) cpu.S[i.rm] = value;
}

/** CLTS — Clear Task-Switched Flag in CR0. */
export function clts(cpu: Cpu): void {
  let value: number | null = cpu.S[CR0] & ~CR0_TS;
  if (cpu.monitor?.nonRoot) value = cpu.monitor.writeControlRegister(0, value, CLTS, 0, false, 0);
  if (value !== null) writeControlRegister(cpu, 0, value);
}

/** LMSW — Load Machine Status Word: can set PE but not clear it. */
export function lmsw(cpu: Cpu, i: Instruction): void {
  const { S, monitor } = cpu;
  const linear = i.memory ? cpu.linearAddress(i, 2, false) : 0;
  const source = i.memory ? cpu.mmu.read16(linear) : cpu.S16[i.rm << 1];
  let value: number | null = (S[CR0] & ~(MACHINE_STATUS & ~CR0_PE)) | (source & MACHINE_STATUS);
  if (monitor?.nonRoot) value = monitor.writeControlRegister(0, source, LMSW, 0, i.memory, linear);
  if (value !== null) writeControlRegister(cpu, 0, value);
}

/** SMSW — Store Machine Status Word: 16 bits to memory, all of CR0 to a 32-bit register. */
export function smsw(cpu: Cpu, i: Instruction): void {
  const value = readControlRegister(cpu, 0, SMSW, i.rm);
  if (value === null) return;
  if (i.memory || i.operandSize === 2) cpu.writeOperand16(i, value & 0xffff);
  else cpu.S[i.rm] = value;
}

/** What software sees of a control register; null after a VM exit. */
function readControlRegister(cpu: Cpu, cr: number, kind: typeof MOV_FROM | typeof SMSW, gpr: number): number | null {
  if (cpu.monitor?.nonRoot && cr !== 2) return cpu.monitor.readControlRegister(cr, kind, gpr);
  return cpu.S[[CR0, CR0, CR2, CR3, CR4][cr]];
}

/** Writes CR0, CR2, CR3 or CR4 with the checks of MOV to CR, and all that follows from the change. */
export function writeControlRegister(cpu: Cpu, cr: number, value: number): void {
  const { S } = cpu;
  if (cr === 2) S[CR2] = value;
  else if (cr === 0) writeCr0(cpu, (value & CR0_BITS) | CR0_ET);
  else if (cr === 4) writeCr4(cpu, value);
  else {
    loadPdptes(cpu, S[CR0], S[CR4], value);
    S[CR3] = value;
    cpu.mmu.movToCr3();
  }
}

/** Loads the PDPTE registers if these values mean PAE paging; #GP(0), and nothing changed, if one may not be loaded. */
function loadPdptes(cpu: Cpu, cr0: number, cr4: number, cr3: number): void {
  if ((cr0 & CR0_PG) === 0 || (cr4 & CR4_PAE) === 0 || cpu.mmu.loadPointers(cr3)) return;
  cpu.raise(GP, 0, 'a page-directory-pointer-table entry has a reserved bit set');
}

function writeCr0(cpu: Cpu, value: number): void {
  const { S } = cpu;
  if ((value & CR0_PG) !== 0 && (value & CR0_PE) === 0) cpu.raise(GP, 0, 'CR0.PG without CR0.PE');
  if ((value & CR0_NW) !== 0 && (value & CR0_CD) === 0) cpu.raise(GP, 0, 'CR0.NW without CR0.CD');
  checkFixedBits(cpu, 0, value);
  const old = S[CR0];
  if (old === value) return;
  if (((old ^ value) & CR0_LOADS_PDPTES) !== 0) loadPdptes(cpu, value, S[CR4], S[CR3]);
  S[CR0] = value;
  cpu.mmu.controlRegistersChanged(old, S[CR4]);
}

function writeCr4(cpu: Cpu, value: number): void {
  const { S } = cpu;
  const reserved = value & ~cr4Mask(cpu.model);
  if (reserved !== 0) cpu.raise(GP, 0, `CR4 bits ${hex(reserved)} are reserved on ${cpu.model.name}`);
  checkFixedBits(cpu, 4, value);
  const old = S[CR4];
  if (((old ^ value) & CR4_LOADS_PDPTES) !== 0) loadPdptes(cpu, S[CR0], value, S[CR3]);
  S[CR4] = value;
  cpu.mmu.controlRegistersChanged(S[CR0], old);
}

/** In VMX operation some bits must be 1 (SDM Vol. 3, "Restrictions on VMX Operation"). */
function checkFixedBits(cpu: Cpu, cr: number, value: number): void {
  if (!cpu.monitor?.inVmxOperation) return;
  const error = cpu.monitor.controlRegisterError(cr, value);
  if (error !== null) cpu.raise(GP, 0, error);
}
