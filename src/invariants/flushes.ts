/** Since when a cached translation may exist: the last event that has to kill it (SDM Vol. 3, "Operations that Invalidate TLBs and
 *  Paging-Structure Caches", "Operations that Invalidate Cached Mappings"), told from the manual and not from the memory unit's table. */
import type { TlbEntry, TraceEvent } from '../machine/trace-event.ts';
import type { Since } from './derive.ts';

type Flush = Extract<TraceEvent, { kind: 'flush' }>;

export class Flushes {
  readonly #all = new Map<number, number>(); // VPID: all of it
  readonly #plain = new Map<number, number>(); // VPID: all but globals
  readonly #roots = new Map<number, number>(); // EPTRTA
  readonly #pages = new Map<number, Map<number, number>>(); // VPID: linear pages
  readonly #invlpg = new Map<number, Map<number, number>>(); // VPID: linear pages that INVLPG named
  readonly #guestPages = new Map<number, Map<number, number>>(); // EPTRTA: guest-physical pages
  /** Grows with each flush. */
  version = 0;
  #everyVpid = 0;
  #everyRoot = 0;

  add(time: number, flush: Flush): void {
    this.version++;
    const { event, vpid, eptrta, page, guestPage } = flush;
    switch (event) {
      case 'movToCr3':
      case 'invvpidKeepGlobals':
        this.#plain.set(vpid, time);
        break;
      case 'pagingModeChange':
      case 'vmTransition':
      case 'invvpidSingle':
        this.#all.set(vpid, time);
        break;
      case 'invvpidAll':
        this.#everyVpid = time;
        break;
      case 'inveptSingle':
        this.#roots.set(eptrta, time);
        break;
      case 'inveptAll':
        this.#everyRoot = time;
        break;
      case 'invlpg':
        pagesOf(this.#invlpg, vpid).set(page, time);
        pagesOf(this.#pages, vpid).set(page, time);
        break;
      case 'pageFault':
      case 'invvpidAddress':
        pagesOf(this.#pages, vpid).set(page, time);
        break;
      case 'eptViolation':
        pagesOf(this.#guestPages, eptrta).set(guestPage, time);
        break;
    }
  }

  /** When what is cached of EPT under this root was thrown away last. */
  eptSince(eptrta: number): number {
    return eptrta < 0 ? 0 : Math.max(this.#everyRoot, this.#roots.get(eptrta) ?? 0);
  }

  /** When INVLPG last named an address in a large page of a guest: every piece of the page goes with it
   *  (SDM Vol. 3, "Details of TLB Use"). */
  largePageSince(vpid: number, page: number, shift: number): number {
    return inside(this.#invlpg.get(vpid), page - (page % 2 ** shift), shift);
  }

  /** When the entry was due to die last. */
  since(entry: TlbEntry): Since {
    const ept = this.eptSince(entry.eptrta);
    if (entry.kind === 'guest-physical')
      return { guest: 0, ept: Math.max(ept, inside(this.#guestPages.get(entry.eptrta), entry.page, entry.shift)) };
    if (entry.kind === 'ept-directory') return { guest: 0, ept };
    // movToCr3 spares global pages, but no entry that points to a table
    const plain = entry.global ? 0 : (this.#plain.get(entry.vpid) ?? 0);
    const guest = Math.max(
      plain,
      this.#all.get(entry.vpid) ?? 0,
      entry.vpid === 0 ? 0 : this.#everyVpid,
      entry.eptrta < 0 ? 0 : ept,
      entry.kind === 'linear' ? inside(this.#pages.get(entry.vpid), entry.page, entry.shift) : 0,
    );
    return { guest, ept };
  }
}

function pagesOf(of: Map<number, Map<number, number>>, key: number): Map<number, number> {
  const pages = of.get(key) ?? new Map<number, number>();
  of.set(key, pages);
  return pages;
}

/** The last time that a page inside [page, page + 2^shift) was named. */
function inside(pages: ReadonlyMap<number, number> | undefined, page: number, shift: number): number {
  if (pages === undefined) return 0;
  if (shift === 0) return pages.get(page) ?? 0;
  let last = 0;
  for (const [at, time] of pages) if (at - page >= 0 && at - page < 2 ** shift) last = Math.max(last, time);
  return last;
}
