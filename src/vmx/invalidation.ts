/** Operands of INVEPT and INVVPID (SDM Vol. 3, "VMX Instruction Reference"). Each returns whether the operand is valid. */
import { EPT_CAP, offers, VPID_CAP } from './capabilities.ts';
import { withinPhysicalWidth } from './checks/check.ts';
import type { VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';

/** INVEPT types by number. */
const INVEPT_TYPES = [0, EPT_CAP.INVEPT_SINGLE_CONTEXT, EPT_CAP.INVEPT_ALL_CONTEXT];
/** INVVPID types by number. */
const INVVPID_TYPES = [
  VPID_CAP.INDIVIDUAL_ADDRESS,
  VPID_CAP.SINGLE_CONTEXT,
  VPID_CAP.ALL_CONTEXT,
  VPID_CAP.SINGLE_CONTEXT_RETAINING_GLOBALS,
];

/** Does the processor have INVEPT? */
export const hasInvept = (x: VmxContext): boolean =>
  offers(x.capabilities.secondary, SECONDARY.ENABLE_EPT) && (x.capabilities.eptVpid.lo & EPT_CAP.INVEPT) !== 0;

/** Does the processor have INVVPID? */
export const hasInvvpid = (x: VmxContext): boolean =>
  offers(x.capabilities.secondary, SECONDARY.ENABLE_VPID) && (x.capabilities.eptVpid.hi & VPID_CAP.INVVPID) !== 0;

/** An EPT pointer with which VM entry would not fail. */
export function validEptp(x: VmxContext, lo: number, hi: number): boolean {
  const offered = x.capabilities.eptVpid.lo;
  const type = lo & 7;
  if (type !== 0 && type !== 6) return false;
  if ((offered & (type === 0 ? EPT_CAP.MEMORY_TYPE_UC : EPT_CAP.MEMORY_TYPE_WB)) === 0) return false;
  if (((lo >> 3) & 7) !== 3 || (lo & 0xf80) !== 0) return false;
  if ((lo & 0x40) !== 0 && (offered & EPT_CAP.ACCESSED_DIRTY) === 0) return false;
  return withinPhysicalWidth({ lo, hi }, x.capabilities.physicalAddressBits);
}

/** INVEPT: single-context (1), all-context (2). False: VMfail(28). */
export function invept(x: VmxContext, type: number, eptpLow: number, eptpHigh: number): boolean {
  const needed = INVEPT_TYPES[type >>> 0] ?? 0;
  if (needed === 0 || (x.capabilities.eptVpid.lo & needed) === 0) return false;
  if (type === 1 && !validEptp(x, eptpLow, eptpHigh)) return false;
  x.cpu.mmu.invept(type, eptpLow, eptpHigh);
  return true;
}

/** INVVPID: individual address (0), single context (1), all contexts (2), single context retaining globals (3).
 *  `descriptor`: the four words of the operand: VPID and reserved bits, linear address. False: VMfail(28). */
export function invvpid(x: VmxContext, type: number, word0: number, word1: number, linear: number): boolean {
  const needed = INVVPID_TYPES[type >>> 0] ?? 0;
  if (needed === 0 || (x.capabilities.eptVpid.hi & needed) === 0) return false;
  if (word0 >>> 16 !== 0 || word1 !== 0) return false;
  if (type !== 2 && word0 === 0) return false;
  x.cpu.mmu.invvpid(type, word0, linear);
  return true;
}
