/** MSRs that fields of the VMCS hold instead of an area: IA32_PAT, IA32_EFER, IA32_PERF_GLOBAL_CTRL (SDM Vol. 3, "Loading Guest Control
 *  Registers, Debug Registers, and MSRs", "Saving Control Registers, Debug Registers, and MSRs", "Loading Host Control Registers,
 *  Debug Registers, and MSRs"). */
import { EFER } from '../base/registers.ts';
import { IA32_EFER, IA32_PAT, IA32_PERF_GLOBAL_CTRL, readMsr, writeMsr } from '../cpu/msr.ts';
import type { VmxContext } from './context.ts';
import { VM_ENTRY, VM_EXIT } from './controls.ts';
import { setWord } from './set-word.ts';
import * as W from './words.ts';

// IA32_EFER stands apart: hypervisors have it switched at each transition, and as a rule it stays the same.

/** An MSR, the control that has it loaded or saved, and the low word of the field. */
type MsrField = readonly [control: number, index: number, word: number];

const LOADED_ON_ENTRY: readonly MsrField[] = [
  [VM_ENTRY.LOAD_IA32_PERF_GLOBAL_CTRL, IA32_PERF_GLOBAL_CTRL, W.W_GUEST_PERF],
  [VM_ENTRY.LOAD_IA32_PAT, IA32_PAT, W.W_GUEST_PAT],
];
const SAVED_ON_EXIT: readonly MsrField[] = [[VM_EXIT.SAVE_IA32_PAT, IA32_PAT, W.W_GUEST_PAT]];
const LOADED_ON_EXIT: readonly MsrField[] = [
  [VM_EXIT.LOAD_IA32_PERF_GLOBAL_CTRL, IA32_PERF_GLOBAL_CTRL, W.W_HOST_PERF],
  [VM_EXIT.LOAD_IA32_PAT, IA32_PAT, W.W_HOST_PAT],
];

const controls = (fields: readonly MsrField[]): number => fields.reduce((mask, [control]) => mask | control, 0);
const ON_ENTRY = controls(LOADED_ON_ENTRY);
const AT_EXIT = controls(LOADED_ON_EXIT);
const SAVED = controls(SAVED_ON_EXIT);
/** VM-entry controls, and VM-exit controls, that load such an MSR. */
export const ENTRY_MSRS: number = ON_ENTRY | VM_ENTRY.LOAD_IA32_EFER;
export const EXIT_MSRS: number = AT_EXIT | VM_EXIT.LOAD_IA32_EFER;

// Entry checks have looked at the values.

function load(x: VmxContext, asked: number, fields: readonly MsrField[]): void {
  const w = x.words;
  for (const [control, index, word] of fields)
    if ((asked & control) !== 0) writeMsr(x.cpu, index, w[word], w[word + 1]);
}

function loadEfer(x: VmxContext, word: number): void {
  const w = x.words;
  if (w[word] !== x.cpu.S[EFER] || w[word + 1] !== 0) writeMsr(x.cpu, IA32_EFER, w[word], w[word + 1]);
}

export function loadGuestMsrs(x: VmxContext): void {
  const asked = x.words[W.W_ENTRY_CONTROLS];
  if ((asked & VM_ENTRY.LOAD_IA32_EFER) !== 0) loadEfer(x, W.W_GUEST_EFER);
  if ((asked & ON_ENTRY) !== 0) load(x, asked, LOADED_ON_ENTRY);
}

export function loadHostMsrs(x: VmxContext): void {
  const asked = x.words[W.W_EXIT_CONTROLS];
  if ((asked & VM_EXIT.LOAD_IA32_EFER) !== 0) loadEfer(x, W.W_HOST_EFER);
  if ((asked & AT_EXIT) !== 0) load(x, asked, LOADED_ON_EXIT);
}

export function saveGuestMsrs(x: VmxContext): void {
  const asked = x.words[W.W_EXIT_CONTROLS];
  if ((asked & VM_EXIT.SAVE_IA32_EFER) !== 0) {
    setWord(x, W.W_GUEST_EFER, x.cpu.S[EFER]);
    setWord(x, W.W_GUEST_EFER + 1, 0);
  }
  if ((asked & SAVED) !== 0) saveOthers(x, asked);
}

function saveOthers(x: VmxContext, asked: number): void {
  for (const [control, index, word] of SAVED_ON_EXIT) {
    if ((asked & control) === 0) continue;
    const value = readMsr(x.cpu, index);
    setWord(x, word, value?.lo ?? 0);
    setWord(x, word + 1, value?.hi ?? 0);
  }
}
