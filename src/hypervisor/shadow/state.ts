/** What the parts of the shadow pager share. */

import type { RootMemory } from '../../machine/root-mode.ts';
import type { GuestMemory } from '../guest-memory.ts';
import type { GuestFormats } from '../paging/formats.ts';
import type { PagingRegisters } from '../paging/registers.ts';
import type { FlushList } from './flush.ts';
import type { ShadowOptions, ShadowStats } from './options.ts';
import type { ReverseMaps } from './reverse-maps.ts';
import type { ShadowTable, ShadowTables } from './tables.ts';

export interface ShadowState {
  readonly host: RootMemory;
  readonly guest: GuestMemory;
  readonly formats: GuestFormats;
  readonly registers: PagingRegisters;
  readonly tables: ShadowTables;
  readonly maps: ReverseMaps;
  /** The same for each 2 MiB of the guest, and the entries of shadow directories that map them as a large page. */
  readonly largeMaps: ReverseMaps;
  readonly flush: FlushList;
  readonly options: Required<ShadowOptions>;
  readonly stats: ShadowStats;
  /** The root that the processor uses. */
  root: ShadowTable | null;
}
