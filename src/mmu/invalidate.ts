/** What is cached and what kills it (SDM Vol. 3, "Invalidation of TLBs and Paging-Structure Caches"; "Invalidating Cached
 *  Translation Information" of VMX), as one row an event. Nothing is killed beyond what its row says. */

import type { LinearStore } from './linear-store.ts';
import type { FlushTarget, MmuCounts, TlbEvent } from './observer.ts';
import { NO_EPT, type Space } from './space.ts';
import { ENTRY_PIECE, ENTRY_PIECE_2M, SHIFT_2M } from './store.ts';
import type { TranslationCaches } from './translation-caches.ts';
import { structureKey } from './walker.ts';

/** Which translations an event names. */
type Scope =
  | 'none'
  /** What would translate the address, in the space of the VPID and EPTRTA in force. */
  | 'address'
  /** The page that the address lies in, all pieces of it, under the VPID, with whatever EPTRTA. */
  | 'page'
  /** What would translate the address under the VPID, with whatever EPTRTA. */
  | 'addressOfVpid'
  | 'vpid'
  | 'vpidButGlobals'
  | 'vpidsNotZero'
  /** Under the EPTRTA, with whatever VPID. */
  | 'eptrta'
  /** Under any EPTRTA: all that came through EPT. */
  | 'anyEptrta';

export interface Invalidation {
  /** Linear and combined translations. */
  readonly linear: Scope;
  /** Page-directory entries. */
  readonly linearStructures: Scope;
  /** Guest-physical translations and EPT entries. */
  readonly guestPhysical: 'none' | 'address' | 'eptrta' | 'anyEptrta';
}

export const INVALIDATIONS: Readonly<Record<TlbEvent, Invalidation>> = {
  movToCr3: { linear: 'vpidButGlobals', linearStructures: 'vpid', guestPhysical: 'none' },
  // CR0.PG; CR4.PGE, PAE, PSE; CR4.SMEP when it is set. CR0.WP, CR4.SMAP and IA32_EFER.NXE kill nothing: rights are looked at anew
  pagingModeChange: { linear: 'vpid', linearStructures: 'vpid', guestPhysical: 'none' },
  invlpg: { linear: 'page', linearStructures: 'vpid', guestPhysical: 'none' },
  pageFault: { linear: 'page', linearStructures: 'addressOfVpid', guestPhysical: 'none' },
  // a violation by an access to a table of the guest leaves what is linear alone (NO_PAGE)
  eptViolation: { linear: 'address', linearStructures: 'address', guestPhysical: 'address' },
  // VM entry or exit with VPID off; with VPID on nothing dies
  vmTransition: { linear: 'vpid', linearStructures: 'vpid', guestPhysical: 'none' },
  invvpidAddress: { linear: 'addressOfVpid', linearStructures: 'addressOfVpid', guestPhysical: 'none' },
  invvpidSingle: { linear: 'vpid', linearStructures: 'vpid', guestPhysical: 'none' },
  invvpidAll: { linear: 'vpidsNotZero', linearStructures: 'vpidsNotZero', guestPhysical: 'none' },
  invvpidKeepGlobals: { linear: 'vpidButGlobals', linearStructures: 'vpid', guestPhysical: 'none' },
  inveptSingle: { linear: 'eptrta', linearStructures: 'eptrta', guestPhysical: 'eptrta' },
  inveptAll: { linear: 'anyEptrta', linearStructures: 'anyEptrta', guestPhysical: 'anyEptrta' },
};

/** Of page numbers, in 32-bit and in PAE tables. */
const INDEX_BITS = [10, 9];

/** Instead of a linear page number: none has to do with the event. */
export const NO_PAGE = -1;

/** Lets an event take place. */
export function invalidate(caches: TranslationCaches, counts: MmuCounts, event: TlbEvent, target: FlushTarget): void {
  const row = INVALIDATIONS[event];
  caches.audit?.flush(event, target);
  counts.flushes[event]++;
  caches.policy.events++;
  if (target.page !== NO_PAGE) {
    killLinear(caches, row.linear, target);
    killStructures(caches, row.linearStructures, target);
  }
  killGuestPhysical(caches, row.guestPhysical, target);
  if (caches.policy.draws) {
    caches.fast.clearAll();
    caches.fast.generation++;
  }
  caches.observer?.onFlush?.(event, target);
}

const isAddress = (scope: Scope): boolean => scope === 'address' || scope === 'addressOfVpid' || scope === 'page';

/** The spaces that a scope is about. */
function spacesOf(store: LinearStore, scope: Scope, target: FlushTarget): readonly Space[] {
  switch (scope) {
    case 'none':
      return [];
    case 'address':
      return store.spaces.ofVpid(target.vpid).filter((s) => s.eptrta === target.eptrta);
    case 'page':
    case 'addressOfVpid':
    case 'vpid':
    case 'vpidButGlobals':
      return store.spaces.ofVpid(target.vpid);
    case 'vpidsNotZero':
      return [...store.spaces.all()].filter((s) => s.vpid !== 0);
    case 'eptrta':
      return [...store.spaces.all()].filter((s) => s.eptrta === target.eptrta);
    case 'anyEptrta':
      return [...store.spaces.all()].filter((s) => s.eptrta !== NO_EPT);
  }
}

function killStructures({ linearStructures }: TranslationCaches, scope: Scope, target: FlushTarget): void {
  for (const { plain } of spacesOf(linearStructures, scope, target))
    if (!isAddress(scope)) linearStructures.retire(plain);
    else for (const bits of INDEX_BITS) linearStructures.removeKey(plain, structureKey(target.page, 2, bits));
}

function killLinear(caches: TranslationCaches, scope: Scope, target: FlushTarget): void {
  const { linear, fast } = caches;
  if (scope === 'none') return;
  for (const space of spacesOf(linear, scope, target)) {
    if (scope === 'page') killPage(linear, space, target.page);
    else if (isAddress(scope)) linear.removePage(space, target.page);
    else {
      linear.retire(space.plain);
      if (scope !== 'vpidButGlobals') linear.retire(space.global);
    }
  }
  if (isAddress(scope)) return; // the entries named their slots
  fast.generation++;
  for (const c of fast.contexts) {
    if (scope === 'vpidButGlobals') {
      if (c.vpid === target.vpid) fast.clearPlain(c);
    } else if (
      (scope === 'vpid' && c.vpid === target.vpid) ||
      (scope === 'vpidsNotZero' && c.vpid !== 0) ||
      (scope === 'eptrta' && c.eptrta === target.eptrta) ||
      (scope === 'anyEptrta' && c.eptrta !== NO_EPT)
    )
      fast.clear(c);
  }
}

/** A page may be cached in pieces where EPT has smaller pages than the guest: they go together
 *  (SDM Vol. 3, "Details of TLB Use": INVLPG invalidates any and all of them). */
function killPage(store: LinearStore, space: Space, page: number): void {
  store.removePage(space, page);
  if (space.plain.pieces + space.global.pieces === 0) return;
  const first = page & ~0x3ff;
  for (let p = first; p < first + 0x400; p++) {
    const e = store.peek(space, p);
    if (e < 0 || (store.flagsOf(e) & ENTRY_PIECE) === 0) continue;
    const same = (store.flagsOf(e) & ENTRY_PIECE_2M) === 0 || p >>> SHIFT_2M === page >>> SHIFT_2M;
    if (same) store.remove(e);
  }
}

function killGuestPhysical(caches: TranslationCaches, scope: Invalidation['guestPhysical'], target: FlushTarget): void {
  const { guestPhysical, eptStructures, fast } = caches;
  if (scope === 'none') return;
  caches.front?.clear();
  for (const space of spacesOf(guestPhysical, scope, { ...target, vpid: 0 }))
    if (scope === 'address') guestPhysical.removePage(space, target.guestPage);
    else guestPhysical.retire(space.plain);
  for (const space of spacesOf(eptStructures, scope, { ...target, vpid: 0 }))
    if (scope !== 'address') eptStructures.retire(space.plain);
    else for (let l = 2; l <= 4; l++) eptStructures.removeKey(space.plain, structureKey(target.guestPage, l, 9));
  if (scope !== 'address') fast.generation++;
}
