/** The VMX instructions themselves (SDM Vol. 3, "VMX Instruction Reference"), after the operands are fetched. Each has one
 *  implementation and two doors: machine code (instructions.ts) and the root-mode port.
 *
 *  Result: SUCCEED, FAIL_INVALID, or a VM-instruction error that has been written to the current VMCS. */
import { offers } from './capabilities.ts';
import { groupsOfChange } from './checks/index.ts';
import { NO_POINTER, type VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';
import { enter } from './entry.ts';
import { VM_ERROR } from './exit-reasons.ts';
import { ENCODINGS, WORD_MASK } from './field-table.ts';
import { hasInvept, hasInvvpid, invept as invalidateEpt, invvpid as invalidateVpid } from './invalidation.ts';
import type { Vmcs } from './vmcs.ts';
import { W_ERROR } from './words.ts';

export const SUCCEED = 0;
/** VMfailInvalid. */
export const FAIL_INVALID = -1;

/** VMfail(error): VMfailValid with a current VMCS, VMfailInvalid without. */
export function fail(x: VmxContext, error: number): number {
  if (x.current === null) return FAIL_INVALID;
  x.words[W_ERROR] = error;
  return error;
}

/** A physical address that can name a region: aligned to 4 KiB, 32 bits. */
const validRegion = (lo: number, hi: number): boolean => (lo & 0xfff) === 0 && hi === 0;

/** VMXON, after the checks that fault. */
export function vmxon(x: VmxContext, lo: number, hi: number): number {
  if (x.vmxonPointer !== NO_POINTER) return fail(x, VM_ERROR.VMXON_IN_ROOT);
  if (!validRegion(lo, hi)) return FAIL_INVALID;
  if (x.cpu.memory.read32(lo >>> 0) !== x.capabilities.revision) return FAIL_INVALID;
  x.vmxonPointer = lo >>> 0;
  x.setCurrent(null);
  return SUCCEED;
}

/** VMXOFF. VMCSs that were not cleared before are lost. */
export function vmxoff(x: VmxContext): number {
  x.store.drop();
  x.setCurrent(null);
  x.vmxonPointer = NO_POINTER;
  x.cpu.updateInterruptEvent(); // an INIT may have waited
  return SUCCEED;
}

export function vmclear(x: VmxContext, lo: number, hi: number): number {
  if (!validRegion(lo, hi)) return fail(x, VM_ERROR.VMCLEAR_INVALID_ADDRESS);
  const address = lo >>> 0;
  if (address === x.vmxonPointer) return fail(x, VM_ERROR.VMCLEAR_VMXON_POINTER);
  x.store.clear(address);
  if (x.current?.address === address) x.setCurrent(null);
  return SUCCEED;
}

export function vmptrld(x: VmxContext, lo: number, hi: number): number {
  if (!validRegion(lo, hi)) return fail(x, VM_ERROR.VMPTRLD_INVALID_ADDRESS);
  const address = lo >>> 0;
  if (address === x.vmxonPointer) return fail(x, VM_ERROR.VMPTRLD_VMXON_POINTER);
  const head = x.cpu.memory.read32(address);
  const shadows = offers(x.capabilities.secondary, SECONDARY.VMCS_SHADOWING);
  if ((head & 0x7fff_ffff) !== x.capabilities.revision || (head < 0 && !shadows))
    return fail(x, VM_ERROR.VMPTRLD_INCORRECT_REVISION);
  x.setCurrent(x.store.activate(address));
  return SUCCEED;
}

/** VMPTRST: the address of the current VMCS, −1 for all ones. */
export const vmptrst = (x: VmxContext): number => (x.current === null ? -1 : x.current.address);

/** Word of a field that this processor has, or −1. */
const wordOfExisting = (x: VmxContext, encoding: number): number =>
  encoding >>> 0 < ENCODINGS ? x.fieldWords[encoding] : -1;

/** VMREAD, of the current VMCS or in non-root operation the linked one. On success the value is left in the context's `readValue`. */
export function vmread(x: VmxContext, encoding: number, vmcs: Vmcs | null = x.current): number {
  if (vmcs === null) return FAIL_INVALID;
  const word = wordOfExisting(x, encoding);
  if (word < 0) return fail(x, VM_ERROR.UNSUPPORTED_COMPONENT);
  x.readValue = vmcs.words[word];
  return SUCCEED;
}

/** VMWRITE. The full encoding of a 64-bit field takes a 32-bit operand with zeros above it. */
export function vmwrite(x: VmxContext, encoding: number, value: number, vmcs: Vmcs | null = x.current): number {
  if (vmcs === null) return FAIL_INVALID;
  const word = wordOfExisting(x, encoding);
  if (word < 0) return fail(x, VM_ERROR.UNSUPPORTED_COMPONENT);
  if (((encoding >> 10) & 3) === 1 && !x.capabilities.writesReadOnlyFields)
    return fail(x, VM_ERROR.READ_ONLY_COMPONENT);
  put(vmcs, word, value & WORD_MASK[word]);
  const full64 = ((encoding >> 13) & 3) === 1 && (encoding & 1) === 0;
  if (full64) put(vmcs, word + 1, 0);
  return SUCCEED;
}

/** A word of any active VMCS gets a value. */
function put(vmcs: Vmcs, word: number, value: number): void {
  const difference = vmcs.words[word] ^ value;
  if (difference === 0) return;
  vmcs.words[word] = value;
  vmcs.unchecked |= groupsOfChange(word, difference);
}

/** VMLAUNCH and VMRESUME: SUCCEED means that guest state, or after a late failure host state, is loaded. */
export function vmentry(x: VmxContext, launch: boolean, retiring: 0 | 1 = 0): number {
  if (x.current === null || x.current.shadow) return FAIL_INVALID;
  const error = enter(x, x.current, launch, retiring);
  return error === 0 ? SUCCEED : fail(x, error);
}

/** VMCALL in root operation: there is no dual-monitor treatment of SMM. */
export const vmcall = (x: VmxContext): number => fail(x, VM_ERROR.VMCALL_IN_ROOT);

export function invept(x: VmxContext, type: number, eptpLow: number, eptpHigh: number): number {
  return invalidateEpt(x, type, eptpLow, eptpHigh) ? SUCCEED : fail(x, VM_ERROR.INVALID_INVALIDATION_OPERAND);
}

export function invvpid(x: VmxContext, type: number, word0: number, word1: number, linear: number): number {
  return invalidateVpid(x, type, word0, word1, linear) ? SUCCEED : fail(x, VM_ERROR.INVALID_INVALIDATION_OPERAND);
}

export { hasInvept, hasInvvpid };
