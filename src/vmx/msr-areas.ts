/** MSR-load and MSR-store areas (SDM Vol. 3, "Loading MSRs", "Saving MSRs"): 16 bytes for each entry. */
import { readMsr, writeMsr } from '../cpu/msr.ts';
import { loadMsrEntry, storable } from './checks/msr-load.ts';
import type { VmxContext } from './context.ts';

/** What became of an area: the number of the entry at fault, from 1, and the rule; 0 if all went well. */
export interface AreaResult {
  entry: number;
  rule: string;
}

const DONE: AreaResult = { entry: 0, rule: '' };

/** Loads the MSRs of an area, until an entry is refused. More entries than the processor promises to handle are refused, too. */
export function loadMsrArea(x: VmxContext, address: number, count: number): AreaResult {
  const { memory } = x.cpu;
  for (let n = 0; n < count >>> 0; n++) {
    if (n >= x.capabilities.msrAreaEntries) return { entry: n + 1, rule: 'msr-load.count' };
    const at = (address >>> 0) + 16 * n;
    const entry = {
      index: memory.read32(at),
      reserved: memory.read32(at + 4),
      lo: memory.read32(at + 8),
      hi: memory.read32(at + 12),
    };
    const rule = loadMsrEntry(entry, (index, lo, hi) => writeMsr(x.cpu, index, lo, hi));
    if (rule !== null) return { entry: n + 1, rule };
  }
  return DONE;
}

/** Stores the MSRs that an area names; false if one of them cannot be. */
export function storeMsrArea(x: VmxContext, address: number, count: number): boolean {
  const { memory } = x.cpu;
  for (let n = 0; n < count >>> 0; n++) {
    if (n >= x.capabilities.msrAreaEntries) return false;
    const at = (address >>> 0) + 16 * n;
    const index = memory.read32(at) >>> 0;
    const value = storable(index, memory.read32(at + 4)) ? readMsr(x.cpu, index) : null;
    if (value === null) return false;
    memory.write32(at + 8, value.lo);
    memory.write32(at + 12, value.hi);
  }
  return true;
}
