/** MSRs that fields of the VMCS hold instead of an area: IA32_PAT, IA32_EFER, IA32_PERF_GLOBAL_CTRL (SDM Vol. 3, "Loading Guest Control
 *  Registers, Debug Registers, and MSRs", "Saving Control Registers, Debug Registers, and MSRs", "Loading Host Control Registers,
 *  Debug Registers, and MSRs"). */
import { IA32_EFER, IA32_PAT, IA32_PERF_GLOBAL_CTRL, readMsr, writeMsr } from '../cpu/msr.ts';
import type { VmxContext } from './context.ts';
import { VM_ENTRY, VM_EXIT } from './controls.ts';
import { setWord } from './set-word.ts';
import * as W from './words.ts';

/** An MSR, the control that has it loaded or saved, and the low word of the field. */
type MsrField = readonly [control: number, index: number, word: number];

const LOADED_ON_ENTRY: readonly MsrField[] = [
  [VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL, IA32_PERF_GLOBAL_CTRL, W.W_GUEST_PERF],
  [VM_ENTRY.LOAD_IA32_PAT, IA32_PAT, W.W_GUEST_PAT],
  [VM_ENTRY.LOAD_IA32_EFER, IA32_EFER, W.W_GUEST_EFER],
];
const SAVED_ON_EXIT: readonly MsrField[] = [
  [VM_EXIT.SAVE_IA32_PAT, IA32_PAT, W.W_GUEST_PAT],
  [VM_EXIT.SAVE_IA32_EFER, IA32_EFER, W.W_GUEST_EFER],
];
const LOADED_ON_EXIT: readonly MsrField[] = [
  [VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL, IA32_PERF_GLOBAL_CTRL, W.W_HOST_PERF],
  [VM_EXIT.LOAD_IA32_PAT, IA32_PAT, W.W_HOST_PAT],
  [VM_EXIT.LOAD_IA32_EFER, IA32_EFER, W.W_HOST_EFER],
];

const controls = (fields: readonly MsrField[]): number => fields.reduce((mask, [control]) => mask | control, 0);
/** VM-entry controls, and VM-exit controls, that load such an MSR. */
export const ENTRY_MSRS: number = controls(LOADED_ON_ENTRY);
export const EXIT_MSRS: number = controls(LOADED_ON_EXIT);

function load(x: VmxContext, asked: number, fields: readonly MsrField[]): void {
  const w = x.words;
  for (const [control, index, word] of fields)
    if ((asked & control) !== 0) writeMsr(x.cpu, index, w[word], w[word + 1]); // entry checks have looked at the value
}

export const loadGuestMsrs = (x: VmxContext): void => load(x, x.words[W.W_ENTRY_CONTROLS], LOADED_ON_ENTRY);

export const loadHostMsrs = (x: VmxContext): void => load(x, x.words[W.W_EXIT_CONTROLS], LOADED_ON_EXIT);

export function saveGuestMsrs(x: VmxContext): void {
  for (const [control, index, word] of SAVED_ON_EXIT) {
    if ((x.words[W.W_EXIT_CONTROLS] & control) === 0) continue;
    const value = readMsr(x.cpu, index);
    setWord(x, word, value?.lo ?? 0);
    setWord(x, word + 1, value?.hi ?? 0);
  }
}
