/** VMFUNC (SDM Vol. 3, "VM Functions", "EPTP Switching"): what a guest may have done without an exit. */
import { EAX, ECX } from '../base/registers.ts';
import { UD } from '../base/signal.ts';
import type { Instruction } from '../cpu/instruction.ts';
import type { VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';
import { exitInstruction } from './exit.ts';
import { EXIT } from './exit-reasons.ts';
import { validEptp } from './invalidation.ts';
import { setWord } from './set-word.ts';
import * as W from './words.ts';

const LIST_ENTRIES = 512;

/** Function EAX; at any CPL, in any mode. */
export function vmfunc(x: VmxContext, i: Instruction): void {
  const { cpu, words } = x;
  if (!x.nonRoot) cpu.raise(UD, -1, 'VMFUNC exists in VMX non-root operation only');
  if (!x.secondary(SECONDARY.ENABLE_VM_FUNCTIONS)) cpu.raise(UD, -1, "'enable VM functions' is 0");
  const leaf = cpu.S[EAX] >>> 0;
  if (leaf > 63) cpu.raise(UD, -1, 'there are 64 VM functions');
  const enabled = ((words[W.W_VM_FUNCTIONS + (leaf >>> 5)] >>> (leaf & 31)) & 1) !== 0;
  // Function 0 is the only one that the capability MSR offers, so the only one that can be enabled.
  if (!enabled || !switchEptp(x, cpu.S[ECX] >>> 0)) exitInstruction(x, EXIT.VMFUNC, 0, i.length, 0);
}

/** EPTP switching. Translations of either pointer stay cached. False: no such entry, or one with which VM entry would fail. */
function switchEptp(x: VmxContext, index: number): boolean {
  if (index >= LIST_ENTRIES) return false;
  const { mmu, memory } = x.cpu;
  const at = (x.words[W.W_EPTP_LIST] >>> 0) + 8 * index;
  const lo = memory.read32(at);
  const hi = memory.read32(at + 4);
  if (!validEptp(x, lo, hi)) return false;
  setWord(x, W.W_EPTP, lo);
  setWord(x, W.W_EPTP + 1, hi);
  if (x.secondary(SECONDARY.EPT_VIOLATION_VE)) setWord(x, W.W_EPTP_INDEX, index);
  mmu.eptpLow = lo;
  mmu.eptpHigh = hi;
  mmu.eptPointerChanged();
  return true;
}
