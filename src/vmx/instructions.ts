/** VMX instructions as machine code: exits in non-root operation, privilege, operands, flags (SDM Vol. 3, "VMX Instruction
 *  Reference", "Conventions"). What they do stands in operations.ts. */
import { CPL, CR0, CR4, CR4_VMXE, FLAG_CF, FLAG_ZF } from '../base/registers.ts';
import { GP, UD } from '../base/signal.ts';
import type { Instruction } from '../cpu/instruction.ts';
import { FEATURE_CONTROL_LOCK, FEATURE_CONTROL_VMX_OUTSIDE_SMX } from './capabilities.ts';
import { NO_POINTER, type VmxContext } from './context.ts';
import { exitInstruction } from './exit.ts';
import { EXIT } from './exit-reasons.ts';
import { fieldInfo, invalidationInfo, pointerInfo } from './instruction-info.ts';
import { controlRegisterError } from './intercept.ts';
import * as op from './operations.ts';
import { linkedVmcs, shadowedFieldExits } from './shadow-vmcs.ts';
import { vmfunc } from './vm-functions.ts';
import type { Vmcs } from './vmcs.ts';
import { W_VMREAD_BITMAP, W_VMWRITE_BITMAP } from './words.ts';

interface VmxInstruction {
  readonly reason: number;
  readonly info: (i: Instruction) => number;
  /** Whether the processor has it. */
  readonly exists: (x: VmxContext) => boolean;
  readonly execute: (x: VmxContext, i: Instruction) => void;
}

const none = (): number => 0;
const always = (): boolean => true;

const TABLE: Readonly<Record<string, VmxInstruction>> = {
  VMCALL: { reason: EXIT.VMCALL, info: none, exists: always, execute: (x) => finish(x, op.vmcall(x)) },
  VMCLEAR: {
    reason: EXIT.VMCLEAR,
    info: pointerInfo,
    exists: always,
    execute: (x, i) => withPointer(x, i, (lo, hi) => op.vmclear(x, lo, hi)),
  },
  VMLAUNCH: { reason: EXIT.VMLAUNCH, info: none, exists: always, execute: (x) => enter(x, true) },
  VMRESUME: { reason: EXIT.VMRESUME, info: none, exists: always, execute: (x) => enter(x, false) },
  VMPTRLD: {
    reason: EXIT.VMPTRLD,
    info: pointerInfo,
    exists: always,
    execute: (x, i) => withPointer(x, i, (lo, hi) => op.vmptrld(x, lo, hi)),
  },
  VMPTRST: { reason: EXIT.VMPTRST, info: pointerInfo, exists: always, execute: storePointer },
  VMREAD: { reason: EXIT.VMREAD, info: fieldInfo, exists: always, execute: (x, i) => readField(x, i) },
  VMWRITE: { reason: EXIT.VMWRITE, info: fieldInfo, exists: always, execute: (x, i) => writeField(x, i) },
  VMXOFF: { reason: EXIT.VMXOFF, info: none, exists: always, execute: (x) => finish(x, op.vmxoff(x)) },
  VMXON: {
    reason: EXIT.VMXON,
    info: pointerInfo,
    exists: always,
    execute: (x) => finish(x, op.vmxon(x, 0, 0)), // in root operation already: the operand is not looked at
  },
  INVEPT: { reason: EXIT.INVEPT, info: invalidationInfo, exists: op.hasInvept, execute: invalidateEpt },
  INVVPID: { reason: EXIT.INVVPID, info: invalidationInfo, exists: op.hasInvvpid, execute: invalidateVpid },
};

/** One VMX instruction, after #UD for mode and prefixes. */
export function vmxInstruction(x: VmxContext, i: Instruction): void {
  const { cpu } = x;
  const name = i.row.mnemonic;
  if (name === 'VMFUNC') {
    vmfunc(x, i);
    return;
  }
  const instruction = TABLE[name];
  if (instruction === undefined || !instruction.exists(x)) cpu.raise(UD, -1, `this processor has no ${name}`);
  if (x.vmxonPointer === NO_POINTER) {
    if (name !== 'VMXON') cpu.raise(UD, -1, `${name} outside VMX operation`);
    checkVmxon(x);
    withPointer(x, i, (lo, hi) => op.vmxon(x, lo, hi));
    return;
  }
  if (x.nonRoot) {
    if (shadowed(x, name, i)) return;
    exitInstruction(x, instruction.reason, i.memory ? i.displacement : 0, i.length, instruction.info(i));
    return;
  }
  requireCpl0(x, name);
  instruction.execute(x, i);
}

/** VMREAD and VMWRITE of a field that shadowing leaves to the guest: they reach the linked VMCS. */
function shadowed(x: VmxContext, name: string, i: Instruction): boolean {
  if (name !== 'VMREAD' && name !== 'VMWRITE') return false;
  const bitmap = name === 'VMREAD' ? W_VMREAD_BITMAP : W_VMWRITE_BITMAP;
  if (shadowedFieldExits(x, x.cpu.S[i.reg], bitmap)) return false;
  requireCpl0(x, name);
  if (name === 'VMREAD') readField(x, i, linkedVmcs(x));
  else writeField(x, i, linkedVmcs(x));
  return true;
}

function requireCpl0(x: VmxContext, name: string): void {
  if (x.cpu.S[CPL] !== 0) x.cpu.raise(GP, 0, `${name} needs CPL 0`);
}

/** What VMXON demands of the processor. Raises. */
export function checkVmxon(x: VmxContext): void {
  const { cpu } = x;
  const { S } = cpu;
  if ((S[CR4] & CR4_VMXE) === 0) cpu.raise(UD, -1, 'VMXON needs CR4.VMXE');
  requireCpl0(x, 'VMXON');
  const error = controlRegisterError(x, 0, S[CR0]) ?? controlRegisterError(x, 4, S[CR4]);
  if (error !== null) cpu.raise(GP, 0, error);
  const wanted = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
  if ((x.featureControl & wanted) !== wanted)
    cpu.raise(GP, 0, 'IA32_FEATURE_CONTROL does not allow VMXON, or is not locked');
}

/** VMsucceed, VMfailInvalid, VMfailValid. */
function finish(x: VmxContext, result: number): void {
  x.cpu.setArithmeticFlags(result === op.SUCCEED ? 0 : result === op.FAIL_INVALID ? FLAG_CF : FLAG_ZF);
}

/** VMLAUNCH and VMRESUME leave no flags behind: the guest's, or the host's, are loaded. */
function enter(x: VmxContext, launch: boolean): void {
  const result = op.vmentry(x, launch, 1);
  if (result !== op.SUCCEED) finish(x, result);
}

/** An instruction whose operand is a physical address of 64 bits in memory. */
function withPointer(x: VmxContext, i: Instruction, run: (lo: number, hi: number) => number): void {
  const { cpu } = x;
  const linear = cpu.linearAddress(i, 8, false);
  const lo = cpu.mmu.read32(linear);
  const hi = cpu.mmu.read32((linear + 4) | 0);
  finish(x, run(lo, hi));
}

function storePointer(x: VmxContext, i: Instruction): void {
  const { cpu } = x;
  const linear = cpu.linearAddress(i, 8, true);
  const pointer = op.vmptrst(x);
  cpu.mmu.probeWrite(linear, 8, cpu.S[CPL] === 3);
  cpu.mmu.write32(linear, pointer);
  cpu.mmu.write32((linear + 4) | 0, pointer === -1 ? -1 : 0);
  finish(x, op.SUCCEED);
}

/** VMREAD r/m32, r32: the field is checked before the destination is accessed; a fault leaves flags and VMCS alone. */
function readField(x: VmxContext, i: Instruction, vmcs: Vmcs | null = x.current): void {
  const { cpu } = x;
  const result = op.vmread(x, cpu.S[i.reg], vmcs);
  if (result === op.SUCCEED) cpu.writeOperand32(i, x.readValue);
  finish(x, result);
}

/** VMWRITE r32, r/m32: the source is read first. */
function writeField(x: VmxContext, i: Instruction, vmcs: Vmcs | null = x.current): void {
  const { cpu } = x;
  const result = vmcs === null ? op.FAIL_INVALID : op.vmwrite(x, cpu.S[i.reg], cpu.readOperand32(i), vmcs);
  finish(x, result);
}

function invalidateEpt(x: VmxContext, i: Instruction): void {
  const { cpu } = x;
  const linear = cpu.linearAddress(i, 16, false);
  const lo = cpu.mmu.read32(linear);
  const hi = cpu.mmu.read32((linear + 4) | 0);
  cpu.mmu.read32((linear + 12) | 0); // the whole descriptor is accessed
  finish(x, op.invept(x, cpu.S[i.reg], lo, hi));
}

function invalidateVpid(x: VmxContext, i: Instruction): void {
  const { cpu } = x;
  const at = cpu.linearAddress(i, 16, false);
  const word0 = cpu.mmu.read32(at);
  const word1 = cpu.mmu.read32((at + 4) | 0);
  const linear = cpu.mmu.read32((at + 8) | 0);
  cpu.mmu.read32((at + 12) | 0);
  finish(x, op.invvpid(x, cpu.S[i.reg], word0, word1, linear));
}
