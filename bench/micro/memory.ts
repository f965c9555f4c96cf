/** From linear addresses to memory: page walks with and without EPT, and the caches in front of them. */

import { CR0, CR0_PG, CR0_WP, CR3, REGISTER_FILE_WORDS } from '../../src/base/registers.ts';
import { Signal } from '../../src/base/signal.ts';
import { Mmu } from '../../src/mmu/mmu.ts';
import { PhysicalMemory } from '../../src/mmu/physical-memory.ts';
import type { Body } from '../harness.ts';

const PAGE = 4096;
/** Pages that a body looks at, from 4 MiB on. */
const PAGES = 512;
const FIRST = 0x40_0000;
/** Frames. */
const DIRECTORY = 1;
const PAGE_TABLE = 2;
const PML4 = 8;
const PDPT = 9;
const EPT_DIRECTORY = 10;
const EPT_TABLES = 16;
const PRESENT_WRITABLE_USED = 0x63; // accessed and dirty: the walks write nothing
const EPT_ALL = 7;
const EPT_WRITE_BACK = 6 << 3;
const EPTP_WALK_4 = 0x1e;

/** A memory unit with PAGES pages of 4 KiB mapped to themselves; under EPT with pages of 4 KiB, all of memory mapped to itself. */
function unit(ept: boolean): Mmu {
  const memory = new PhysicalMemory(16 << 20);
  const S = new Int32Array(REGISTER_FILE_WORDS);
  const mmu = new Mmu({ memory, signal: new Signal(), registers: S, contexts: 4 });
  memory.write32(DIRECTORY * PAGE + (FIRST >>> 22) * 4, (PAGE_TABLE * PAGE) | PRESENT_WRITABLE_USED);
  for (let k = 0; k < PAGES; k++) memory.write32(PAGE_TABLE * PAGE + k * 4, (FIRST + k * PAGE) | PRESENT_WRITABLE_USED);
  memory.write32(PML4 * PAGE, (PDPT * PAGE) | EPT_ALL);
  memory.write32(PDPT * PAGE, (EPT_DIRECTORY * PAGE) | EPT_ALL);
  for (let frame = 0; frame < memory.bytes / PAGE; frame++) {
    const table = (EPT_TABLES + (frame >> 9)) * PAGE;
    memory.write32(EPT_DIRECTORY * PAGE + (frame >> 9) * 8, table | EPT_ALL);
    memory.write32(table + (frame & 511) * 8, (frame * PAGE) | EPT_WRITE_BACK | EPT_ALL);
  }
  S[CR3] = DIRECTORY * PAGE;
  S[CR0] = CR0_PG | CR0_WP;
  mmu.eptEnabled = ept;
  mmu.eptpLow = (PML4 * PAGE) | EPTP_WALK_4;
  mmu.controlRegistersChanged(0, 0);
  return mmu;
}

/** Forgets everything and reads a byte of each page. */
function walks(mmu: Mmu): number {
  mmu.movToCr3();
  let sum = 0;
  for (let k = 0; k < PAGES; k++) sum += mmu.read8(FIRST + k * PAGE);
  return sum;
}

export function memoryBodies(): Body[] {
  const bare = unit(false);
  const nested = unit(true);
  const filled = unit(false);
  walks(filled);
  return [
    { name: 'page walk', unit: 'walks', units: PAGES, run: () => walks(bare) },
    { name: 'page walk through EPT', unit: 'walks', units: PAGES, against: 'page walk', run: () => walks(nested) },
    {
      // fetchPage does not look at the fast tables
      name: 'TLB hit',
      unit: 'translations',
      units: PAGES * 2,
      against: 'page walk',
      run: () => {
        let sum = 0;
        for (let k = 0; k < PAGES; k++)
          sum ^= filled.fetchPage(FIRST + k * PAGE) ^ filled.fetchPage(FIRST + k * PAGE + 8);
        return sum;
      },
    },
    {
      name: 'fast table hit',
      unit: 'reads',
      units: PAGES * 8,
      against: 'TLB hit',
      run: () => {
        let sum = 0;
        for (let k = 0; k < PAGES; k++) {
          for (let at = FIRST + k * PAGE, n = 0; n < 8; n++, at += 64) sum += filled.read32(at);
        }
        return sum;
      },
    },
  ];
}
