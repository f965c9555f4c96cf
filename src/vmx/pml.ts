/** Page-modification logging (SDM Vol. 3, "Page-Modification Logging"): each EPT dirty flag that is about to be set leaves the
 *  guest-physical address of its page in a log of 512 entries, which is filled from its end. */
import type { VmxContext } from './context.ts';
import { SECONDARY } from './controls.ts';
import { setWord } from './set-word.ts';
import * as W from './words.ts';

const ENTRIES = 512;

/** Notes a page. False, and nothing happens, if the index is beyond the log: then the write leaves the guest instead. */
function logPage(x: VmxContext, page: number): boolean {
  const index = x.words[W.W_PML_INDEX];
  if (index >= ENTRIES) return false;
  const at = (x.words[W.W_PML_ADDRESS] >>> 0) + 8 * index;
  x.cpu.memory.write32(at, page << 12);
  x.cpu.memory.write32(at + 4, page >>> 20);
  setWord(x, W.W_PML_INDEX, (index - 1) & 0xffff);
  return true;
}

/** Lets the memory unit log, or not, as the current VMCS says. */
export function selectDirtyLog(x: VmxContext): void {
  x.cpu.mmu.dirtyLog = x.secondary(SECONDARY.ENABLE_PML) ? (page) => logPage(x, page) : null;
}
