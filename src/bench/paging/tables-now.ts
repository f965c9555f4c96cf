/** Reads the walk for a linear address from the tables as they are in memory now. */

import { CR4, CR4_PAE, CR4_PGE } from '../../base/registers.ts';
import type { Machine } from '../../machine/machine.ts';
import type { PageWalkStep } from '../../mmu/observer.ts';
import type { Walk, WalkPart } from './hardware/walk.ts';

const GLOBAL = 0x100;
const EPT_INDEX_BITS = 9;

/** The walk in the regime that is in force; null with paging off and no EPT: there is none. */
export function walkNow({ cpu }: Machine, linear: number): Walk | null {
  const directoryShift = (cpu.S[CR4] & CR4_PAE) !== 0 ? 9 : 10;
  const parts: WalkPart[] = [];
  let ept: number[] = [];
  let eptLevel = 1;
  let guest: PageWalkStep | null = null;
  const { ok } = cpu.mmu.walkTo(linear, (step) => {
    if (step.format === 'EPT') {
      ept.push(step.at);
      eptLevel = step.level;
      return;
    }
    guest = step;
    parts.push({ ept, entry: step.at });
    ept = [];
  });
  const hasEpt = ept.length > 0;
  if (ok || hasEpt) parts.push({ ept, entry: -1 });
  const leaf = guest as PageWalkStep | null;
  if (leaf === null && !hasEpt) return null;
  const eptShift = hasEpt ? EPT_INDEX_BITS * (eptLevel - 1) : Number.POSITIVE_INFINITY;
  const guestShift = leaf === null ? Number.POSITIVE_INFINITY : leaf.level === 2 ? directoryShift : 0;
  const global = leaf !== null && (leaf.low & GLOBAL) !== 0 && (cpu.S[CR4] & CR4_PGE) !== 0;
  return { parts, complete: ok, directoryShift, shift: Math.min(eptShift, guestShift, EPT_INDEX_BITS + 1), global };
}
