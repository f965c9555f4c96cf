/** What page tables could have given, walked with every version that their entries have had in a span of time (SDM Vol. 3, "32-Bit
 *  Paging", "PAE Paging", "EPT Translation Mechanism", "Caching Translation Information"). A walker of its own: it shares nothing with the memory unit. */
import type { Regime } from '../machine/trace-event.ts';
import type { TableHistory } from './history.ts';

const NO_EPT = -1;
const CR4_PSE = 0x10;
const CR4_PAE = 0x20;
const EPT_ACCESSED = 0x100;
export const EPT_DIRTY = 0x200;

/** One way that a guest-physical page may have gone through EPT. */
export interface EptLeaf {
  readonly frame: number;
  readonly rights: number;
  readonly shift: number;
  /** Accessed flags of all entries on the way, dirty flag of the last one. */
  readonly accessed: boolean;
  readonly dirty: boolean;
}

/** One way that a linear page may have gone through the guest's tables. */
export interface LinearLeaf {
  readonly guestFrame: number;
  /** Bit 0 read, 1 write, 2 execute, 3 user. */
  readonly rights: number;
  readonly shift: number;
  readonly global: boolean;
  readonly accessed: boolean;
  readonly dirty: boolean;
}

/** An entry that points to a table: where, with which rights so far, and at which level it stands. */
export interface TablePointer {
  readonly table: number;
  readonly rights: number;
  readonly level: number;
  readonly accessed: boolean;
}

/** Every EPT leaf for a guest-physical page since `time`; `tables` gets the entries above it. */
export function eptLeaves(
  history: TableHistory,
  eptrta: number,
  page: number,
  time: number,
  tables: TablePointer[] = [],
): EptLeaf[] {
  const found: EptLeaf[] = [];
  const descend = (table: number, level: number, rights: number, above: boolean): void => {
    const index = Math.floor(page / 512 ** (level - 1)) % 512;
    for (const low of history.versions(table * 4096 + index * 8, time)) {
      if ((low & 7) === 0 || (low & 3) === 2) continue; // absent, or W without R
      const now = rights & low & 7;
      const accessed = above && (low & EPT_ACCESSED) !== 0;
      const isPage = level === 1 || (low & 0x80) !== 0;
      for (const high of history.versions(table * 4096 + index * 8 + 4, time)) {
        const next = (low >>> 12) + (high & 0xfffff) * 0x10_0000;
        const shift = 9 * (level - 1);
        if (isPage) {
          const frame = next - (next % 2 ** shift) + (page % 2 ** shift);
          found.push({ frame, rights: now, shift, accessed, dirty: (low & EPT_DIRTY) !== 0 });
        } else {
          tables.push({ table: next, rights: now, level, accessed });
          descend(next, level - 1, now, accessed);
        }
      }
    }
  };
  descend(eptrta, 4, 7, true);
  return found;
}

/** The EPT entry that maps a guest-physical page now: its address and its low word; null if there is none. */
export function eptLeafNow(history: TableHistory, eptrta: number, page: number): { at: number; low: number } | null {
  let table = eptrta;
  for (let level = 4; ; level--) {
    const at = table * 4096 + (Math.floor(page / 512 ** (level - 1)) % 512) * 8;
    const low = history.now(at);
    if ((low & 7) === 0) return null;
    if (level === 1 || (low & 0x80) !== 0) return { at, low };
    table = (low >>> 12) + (history.now(at + 4) & 0xf_ffff) * 0x10_0000;
  }
}

/** A span of time, for the guest's tables and for EPT. */
export interface Since {
  readonly guest: number;
  readonly ept: number;
}

/** Every leaf of the guest's tables for a linear page in a regime since a time; `tables` gets the directory entries above it. */
export function linearLeaves(
  history: TableHistory,
  regime: Regime,
  page: number,
  since: Since,
  tables: TablePointer[] = [],
): LinearLeaf[] {
  if (!regime.paging) return [];
  const pae = (regime.cr4 & CR4_PAE) !== 0;
  const bits = pae ? 9 : 10;
  const hasLarge = pae || (regime.cr4 & CR4_PSE) !== 0;
  const found: LinearLeaf[] = [];
  const root = pae ? pointedTo(regime.pdptes, page >>> 18) : regime.cr3 >>> 12;
  if (root < 0) return [];
  for (const directory of hostFrames(history, regime.eptrta, root, since)) {
    for (const pde of entries(history, regime, directory, (page >>> bits) & (2 ** bits - 1), since)) {
      if ((pde.low & 0x80) !== 0 && hasLarge) {
        const inside = page & (2 ** bits - 1);
        const first = pde.frame - (pde.frame % 2 ** bits);
        found.push({ guestFrame: first + inside, shift: bits, ...leafFlags(pde, pde) });
        continue;
      }
      tables.push({ table: pde.frame, rights: pde.rights, level: 2, accessed: (pde.low & 0x20) !== 0 });
      for (const table of hostFrames(history, regime.eptrta, pde.frame, since))
        for (const pte of entries(history, regime, table, page & (2 ** bits - 1), since))
          found.push({ guestFrame: pte.frame, shift: 0, ...leafFlags(pde, pte) });
    }
  }
  return found;
}

/** A present entry of a guest's table. */
interface Entry {
  readonly low: number;
  readonly frame: number;
  readonly rights: number;
}

/** Every present version of the entry of this index. */
function entries(history: TableHistory, regime: Regime, table: number, index: number, since: Since): Entry[] {
  const pae = (regime.cr4 & CR4_PAE) !== 0;
  const at = table * 4096 + index * (pae ? 8 : 4);
  const found: Entry[] = [];
  for (const low of history.versions(at, since.guest)) {
    if ((low & 1) === 0) continue;
    for (const high of pae ? history.versions(at + 4, since.guest) : [0]) {
      // R/W is bit 1, U/S bit 2; XD the highest bit of the high word
      const execute = high < 0 && regime.nxe ? 0 : 4;
      const rights = 1 | execute | (low & 2) | ((low & 4) << 1);
      found.push({ low, frame: (low >>> 12) + (high & 0xf_ffff) * 0x10_0000, rights });
    }
  }
  return found;
}

/** Where a PDPTE register points to, −1 if it is not present. */
const pointedTo = (pdptes: readonly number[], n: number): number => {
  const low = pdptes[2 * n] ?? 0;
  return (low & 1) === 0 ? -1 : (low >>> 12) + ((pdptes[2 * n + 1] ?? 0) & 0xf_ffff) * 0x10_0000;
};

const leafFlags = (pde: Entry, leaf: Entry): Omit<LinearLeaf, 'guestFrame' | 'shift'> => ({
  rights: pde.rights & leaf.rights,
  global: (leaf.low & 0x100) !== 0,
  accessed: (pde.low & leaf.low & 0x20) !== 0,
  dirty: (leaf.low & 0x40) !== 0,
});

/** Where a frame that a guest's table names may have been. */
function hostFrames(history: TableHistory, eptrta: number, frame: number, since: Since): readonly number[] {
  if (eptrta === NO_EPT) return [frame];
  return [...new Set(eptLeaves(history, eptrta, frame, since.ept).map((leaf) => leaf.frame))];
}
