/** PDPTE registers across VM entries and VM exits (SDM Vol. 3, "Loading Page-Directory-Pointer-Table Entries", "Saving Non-Register
 *  State", "Checking and Loading Host Page-Directory-Pointer-Table Entries"). */
import { CR0, CR0_PG, CR3, CR4, CR4_PAE, PDPTE } from '../base/registers.ts';
import type { VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';
import { setWord } from './set-word.ts';
import * as W from './words.ts';

const WORDS = 8;

const usesPae = (S: Int32Array): boolean => (S[CR0] & CR0_PG) !== 0 && (S[CR4] & CR4_PAE) !== 0;

/** VM entry, after the control registers and translation are the guest's: from the VMCS with EPT, else from memory. The checks of the
 *  entry have seen to it that they may be loaded. */
export function loadGuestPdptes(x: VmxContext): void {
  const { S, mmu } = x.cpu;
  if (!usesPae(S)) return;
  if (x.secondary(SECONDARY.ENABLE_EPT)) for (let k = 0; k < WORDS; k++) S[PDPTE + k] = x.words[W.W_PDPTES + k];
  else mmu.loadPointers(S[CR3]);
}

/** VM exit, while the control registers are still the guest's. */
export function saveGuestPdptes(x: VmxContext): void {
  const { S } = x.cpu;
  if (!usesPae(S) || !x.secondary(SECONDARY.ENABLE_EPT)) return;
  for (let k = 0; k < WORDS; k++) setWord(x, W.W_PDPTES + k, S[PDPTE + k]);
}

/** VM exit, when the host's control registers are loaded. False: one of them may not be loaded, which is a VMX abort. */
export function loadHostPdptes(x: VmxContext): boolean {
  const { S, mmu } = x.cpu;
  return !usesPae(S) || mmu.loadPointers(S[CR3]);
}
