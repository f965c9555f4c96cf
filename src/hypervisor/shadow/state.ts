/** What the parts of the shadow pager share. */

import type { RootMemory } from '../../machine/root-mode.ts';
import type { GuestMemory } from '../guest-memory.ts';
import type { FlushList } from './flush.ts';
import type { ShadowOptions, ShadowStats } from './options.ts';
import type { ReverseMaps } from './reverse-maps.ts';
import type { ShadowTable, ShadowTables } from './tables.ts';

/** The guest's control registers, as far as paging depends on them: as the guest sees them. */
export interface GuestRegisters {
  cr0: number;
  cr3: number;
  cr4: number;
}

export interface ShadowState {
  readonly host: RootMemory;
  readonly guest: GuestMemory;
  readonly registers: GuestRegisters;
  readonly tables: ShadowTables;
  readonly maps: ReverseMaps;
  readonly flush: FlushList;
  readonly options: Required<ShadowOptions>;
  readonly stats: ShadowStats;
  /** The page directory that the processor uses. */
  root: ShadowTable | null;
}
