/** Translation for debuggers, disassembly and reports: the same walker over memory that it only looks at. */
import { type EptOptions, eptFormat } from './ept.ts';
import { Nested } from './nested.ts';
import { type MmuObserver, newCounts } from './observer.ts';
import { PDPTE_LEVEL } from './pae.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { NO_EPT } from './space.ts';
import { READ, type TableFormat, USER, WRITE } from './table-format.ts';
import { bareEntries, RESERVED, UNREACHABLE, WALKED, Walker } from './walker.ts';

export type DebugTranslation =
  | {
      readonly ok: true;
      readonly hostPhysical: number;
      readonly guestPhysical: number;
      /** By the guest's tables; all true with paging off. */
      readonly writable: boolean;
      readonly user: boolean;
      /** Size of the guest's page, and of the EPT page (0 without EPT). */
      readonly pageBytes: number;
      readonly eptPageBytes: number;
    }
  | {
      readonly ok: false;
      readonly why: 'not present' | 'reserved bit' | 'not allowed' | 'EPT violation' | 'EPT misconfiguration';
      /** Guest-physical address that EPT refused, or level of the table entry that ended the walk. */
      readonly guestPhysical?: number;
      readonly level?: number;
    };

export interface DebugRegime {
  /** Format of the tables; null with paging off. */
  readonly format: TableFormat | null;
  /** Frame of the page directory; −1 if no PDPTE register names one. */
  readonly root: number;
  readonly eptrta: number;
  /** EPT has accessed and dirty flags: reading a guest's table counts as a write to it. */
  readonly eptFlags: boolean;
  /** Whether rights of the guest's tables allow the access. */
  allows(rights: number): boolean;
  readonly access: number;
  readonly linear: number;
}

/** Follows the tables for one address; reads RAM only, writes nothing. */
export function debugWalk(
  memory: PhysicalMemory,
  ept: EptOptions,
  regime: DebugRegime,
  observer: MmuObserver | null = null,
): DebugTranslation {
  const words = { read32: (at: number) => memory.peek32(at), write32: () => {} };
  const counts = newCounts();
  const nested = new Nested(eptFormat(ept, regime.eptFlags), new Walker(words, counts, observer), null, counts);
  nested.root = regime.eptrta;
  const offset = regime.linear & 0xfff;
  const refused = (): DebugTranslation => ({
    ok: false,
    why: nested.misconfigured ? 'EPT misconfiguration' : 'EPT violation',
    guestPhysical: nested.failedPage * 4096 + nested.failedOffset,
  });

  let page = regime.linear >>> 12;
  let rights = WRITE | USER;
  let pageBytes = 4096;
  if (regime.format !== null) {
    if (regime.root < 0) return { ok: false, why: 'not present', level: PDPTE_LEVEL };
    const walker = new Walker(words, counts, observer);
    const entries = regime.eptrta === NO_EPT ? bareEntries : nested;
    const outcome = walker.walk(regime.format, entries, regime.root, page, null);
    if (outcome === UNREACHABLE) return refused();
    if (outcome !== WALKED)
      return { ok: false, why: outcome === RESERVED ? 'reserved bit' : 'not present', level: walker.level };
    if (!regime.allows(walker.rights)) return { ok: false, why: 'not allowed', level: walker.level };
    page = walker.frame;
    rights = walker.rights;
    pageBytes = 4096 << walker.shift;
  }
  let frame = page;
  if (regime.eptrta !== NO_EPT) {
    if (!nested.translate(page, offset, regime.access || READ, false)) return refused();
    frame = nested.frame;
  }
  return {
    ok: true,
    hostPhysical: frame * 4096 + offset,
    guestPhysical: page * 4096 + offset,
    writable: (rights & WRITE) !== 0,
    user: (rights & USER) !== 0,
    pageBytes,
    eptPageBytes: regime.eptrta === NO_EPT ? 0 : 4096 << nested.shift,
  };
}
