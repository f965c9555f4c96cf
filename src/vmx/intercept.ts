/** Which instructions and accesses leave non-root operation (SDM Vol. 3, "Instructions That Cause VM Exits",
 *  "Changes to Instruction Behavior in VMX Non-Root Operation"). Each function returns true when an exit took place. */
import { CR0, CR0_PE, CR0_PG, CR0_TS, CR3, CR4, EIP, START_EIP } from '../base/registers.ts';
import type { Instruction } from '../cpu/instruction.ts';
import type { ExitName } from '../cpu/rows.ts';
import type { VmxContext } from './context.ts';
import { PRIMARY, SECONDARY } from './controls.ts';
import { exitInstruction } from './exit.ts';
import { EXIT } from './exit-reasons.ts';
import { selectorInfo, stringIoInfo, tableInfo } from './instruction-info.ts';
import { pauseLoopTooLong } from './time.ts';
import * as W from './words.ts';
import { readX2apic, writeX2apic } from './x2apic.ts';

function exit(x: VmxContext, reason: number, qualification: number, i: Instruction): true {
  exitInstruction(x, reason, qualification, i.length, 0);
  return true;
}

/** Instructions without operands that matter, INVLPG, and the MSR instructions. */
export function intercept(x: VmxContext, name: ExitName, i: Instruction, operand: number): boolean {
  switch (name) {
    case 'CPUID':
      return exit(x, EXIT.CPUID, 0, i);
    case 'HLT':
      return x.primary(PRIMARY.HLT_EXITING) && exit(x, EXIT.HLT, 0, i);
    case 'RDMSR':
      return msrExits(x, operand, 0) ? exit(x, EXIT.RDMSR, 0, i) : readX2apic(x, operand);
    case 'WRMSR':
      return msrExits(x, operand, 0x800) ? exit(x, EXIT.WRMSR, 0, i) : writeX2apic(x, operand);
    case 'RDTSC':
      return x.primary(PRIMARY.RDTSC_EXITING) && exit(x, EXIT.RDTSC, 0, i);
    case 'RDTSCP':
      return x.primary(PRIMARY.RDTSC_EXITING) && exit(x, EXIT.RDTSCP, 0, i);
    case 'INVLPG':
      return x.primary(PRIMARY.INVLPG_EXITING) && exit(x, EXIT.INVLPG, operand, i);
    case 'PAUSE':
      return (x.primary(PRIMARY.PAUSE_EXITING) || pauseLoopTooLong(x)) && exit(x, EXIT.PAUSE, 0, i);
    case 'INVD':
      return exit(x, EXIT.INVD, 0, i);
    case 'WBINVD':
      return x.secondary(SECONDARY.WBINVD_EXITING) && exit(x, EXIT.WBINVD, 0, i);
    case 'RDPMC':
      return x.primary(PRIMARY.RDPMC_EXITING) && exit(x, EXIT.RDPMC, 0, i);
    case 'DR':
      return x.primary(PRIMARY.MOV_DR_EXITING) && exit(x, EXIT.MOV_DR, debugQualification(i), i);
    case 'GDTR_IDTR':
      return descriptorTableExit(x, EXIT.GDTR_OR_IDTR, tableInfo(i), i);
    case 'LDTR_TR':
      return descriptorTableExit(x, EXIT.LDTR_OR_TR, selectorInfo(i), i);
    default:
      // IO, CR, VMX and TASK_SWITCH have methods of their own; RSM and GETSEC do not exist.
      return false;
  }
}

/** "Descriptor-table exiting". Qualification: the displacement of a memory operand. */
function descriptorTableExit(x: VmxContext, reason: number, info: number, i: Instruction): boolean {
  if (!x.secondary(SECONDARY.DESCRIPTOR_TABLE_EXITING)) return false;
  exitInstruction(x, reason, i.memory ? i.displacement : 0, i.length, info);
  return true;
}

/** MOV DR: register 2:0, direction 4 (1: from DR), general register 11:8. */
const debugQualification = (i: Instruction): number => i.reg | ((i.opcode & 2) === 0 ? 0x10 : 0) | (i.rm << 8);

/** "MSR bitmaps": four of 1 KiB, for reading and writing the low (0 to 1FFFh) and the high range (C000_0000h to C000_1FFFh). */
function msrExits(x: VmxContext, index: number, write: number): boolean {
  if (!x.primary(PRIMARY.USE_MSR_BITMAPS)) return true;
  const high = index >>> 13 === 0xc000_0000 >>> 13;
  if (!high && index >>> 13 !== 0) return true;
  const at = (x.words[W.W_MSR_BITMAP] >>> 0) + write + (high ? 0x400 : 0) + ((index & 0x1fff) >> 3);
  return ((x.cpu.memory.read8(at) >> (index & 7)) & 1) !== 0;
}

/** IN, OUT, INS, OUTS. Qualification: size − 1 in 2:0, IN 3, string 4, REP 5, immediate 6, port 31:16. */
export function interceptIo(
  x: VmxContext,
  i: Instruction,
  port: number,
  size: number,
  input: boolean,
  string: boolean,
  linear: number,
): boolean {
  if (!ioExits(x, port, size)) return false;
  let qualification = (size - 1) | (port << 16);
  if (input) qualification |= 8;
  if (string) {
    qualification |= 0x10;
    if (i.rep !== 0) qualification |= 0x20;
    x.words[W.W_GUEST_LINEAR] = linear;
  } else if ((i.opcode & 8) === 0) qualification |= 0x40;
  exitInstruction(x, EXIT.IO_INSTRUCTION, qualification, i.length, string ? stringIoInfo(i, input) : 0);
  return true;
}

/** "I/O bitmaps": A for ports 0 to 7FFFh, B for 8000h to FFFFh; an access that wraps around always exits. */
function ioExits(x: VmxContext, port: number, size: number): boolean {
  if (!x.primary(PRIMARY.USE_IO_BITMAPS)) return x.primary(PRIMARY.UNCONDITIONAL_IO_EXITING);
  if (port + size > 0x1_0000) return true;
  for (let p = port; p < port + size; p++) {
    const bitmap = x.words[p < 0x8000 ? W.W_IO_BITMAP_A : W.W_IO_BITMAP_B] >>> 0;
    if (((x.cpu.memory.read8(bitmap + ((p & 0x7fff) >> 3)) >> (p & 7)) & 1) !== 0) return true;
  }
  return false;
}

/** Kinds of access to a control register, as the qualification has them in 5:4. */
const MOV_TO = 0;
const CLTS = 2;

/** Writes of control registers: guest/host masks, read shadows, CR3 targets. The value to load, or null after an exit. */
export function writeControlRegister(
  x: VmxContext,
  cr: number,
  value: number,
  kind: number,
  gpr: number,
  memoryOperand: boolean,
  linear: number,
): number | null {
  const w = x.words;
  const S = x.cpu.S;
  if (cr === 3) {
    if (!x.primary(PRIMARY.CR3_LOAD_EXITING) || isCr3Target(w, value)) return value;
    return leaveForCr(x, 3 | (gpr << 8));
  }
  if (cr === 4) {
    const mask = w[W.W_CR4_MASK];
    if (((value ^ w[W.W_CR4_SHADOW]) & mask) !== 0) return leaveForCr(x, 4 | (gpr << 8));
    return (value & ~mask) | (S[CR4] & mask);
  }
  const mask = w[W.W_CR0_MASK];
  const shadow = w[W.W_CR0_SHADOW];
  if (kind === MOV_TO) {
    if (((value ^ shadow) & mask) !== 0) return leaveForCr(x, gpr << 8);
    return (value & ~mask) | (S[CR0] & mask);
  }
  if (kind === CLTS) {
    if ((mask & CR0_TS) === 0) return S[CR0] & ~CR0_TS;
    return (shadow & CR0_TS) !== 0 ? leaveForCr(x, CLTS << 4) : S[CR0];
  }
  // LMSW: sets PE but never clears it; MP, EM and TS follow the operand.
  const sets = (value & mask & ~shadow & CR0_PE) !== 0;
  if (sets || ((value ^ shadow) & mask & 0xe) !== 0) {
    if (memoryOperand) w[W.W_GUEST_LINEAR] = linear;
    return leaveForCr(x, (3 << 4) | (memoryOperand ? 1 << 6 : 0) | (value << 16));
  }
  const written = 0xe & ~mask;
  return (S[CR0] & ~written) | (value & written) | (value & CR0_PE & ~mask);
}

function isCr3Target(w: Int32Array, value: number): boolean {
  for (let n = 0; n < w[W.W_CR3_TARGETS]; n++) if (w[W.W_CR3_TARGET_0 + n] === value) return true;
  return false;
}

/** Length by the instruction pointer: the handler of the instruction is still running. */
function leaveForCr(x: VmxContext, qualification: number): null {
  const S = x.cpu.S;
  exitInstruction(x, EXIT.CR_ACCESS, qualification, (S[EIP] - S[START_EIP]) & 15, 0);
  return null;
}

/** MOV from CR and SMSW (`kind` 4): masked bits come from the read shadow. Null after an exit. */
export function readControlRegister(x: VmxContext, cr: number, gpr: number): number | null {
  const w = x.words;
  const S = x.cpu.S;
  if (cr === 3) {
    if (!x.primary(PRIMARY.CR3_STORE_EXITING)) return S[CR3];
    return leaveForCr(x, 3 | (1 << 4) | (gpr << 8));
  }
  const mask = cr === 4 ? w[W.W_CR4_MASK] : w[W.W_CR0_MASK];
  const real = cr === 4 ? S[CR4] : S[CR0];
  return (real & ~mask) | (w[cr === 4 ? W.W_CR4_SHADOW : W.W_CR0_SHADOW] & mask);
}

/** CR0 and CR4 in VMX operation (SDM Vol. 3, "Restrictions on VMX Operation"): why a value is not acceptable, or null. */
export function controlRegisterError(x: VmxContext, cr: number, value: number): string | null {
  const c = x.capabilities;
  if (cr === 0) {
    const free = x.nonRoot && x.secondary(SECONDARY.UNRESTRICTED_GUEST) ? CR0_PE | CR0_PG : 0;
    const missing = c.cr0Fixed0 & ~free & ~value;
    if (missing !== 0) return 'CR0.PE, NE and PG must be 1 in VMX operation';
    return (value & ~c.cr0Fixed1) === 0 ? null : 'CR0 has a bit that must be 0 in VMX operation';
  }
  if (cr === 4) {
    if ((c.cr4Fixed0 & ~value) !== 0) return 'CR4.VMXE must be 1 in VMX operation';
    return (value & ~c.cr4Fixed1) === 0 ? null : 'CR4 has a bit that must be 0 in VMX operation';
  }
  return null;
}
