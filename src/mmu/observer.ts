/** What the memory unit tells: counts that every run keeps, and page-walk steps for whoever asks for them. */

/** One entry read in a walk. */
export interface PageWalkStep {
  /** Format of the table: 'IA-32', 'IA-32 with PSE' or 'EPT'. */
  readonly format: string;
  readonly level: number;
  /** Bus address and contents of the entry. */
  readonly at: number;
  readonly low: number;
  readonly high: number;
}

export interface MmuObserver {
  onPageWalkStep?(step: PageWalkStep): void;
  /** A data access that does not fault, to one page: implicit ones, too, no fetches and no page walks. Watching it is slow: nothing is copied into
   *  the fast tables. `physical`: its bus address. */
  onDataAccess?(linear: number, bytes: number, write: boolean, physical: number): void;
  /** An event has killed what it kills. Fields of `target` that it does not use are 0. */
  onFlush?(event: TlbEvent, target: FlushTarget): void;
}

/** What an event that kills translations is about: tags and page numbers. */
export interface FlushTarget {
  readonly vpid: number;
  readonly eptrta: number;
  /** Linear page number. */
  readonly page: number;
  /** Guest-physical page number. */
  readonly guestPage: number;
}

/** Architectural events that may kill cached translations (rows in invalidate.ts). */
export type TlbEvent =
  | 'movToCr3'
  | 'pagingModeChange'
  | 'invlpg'
  | 'pageFault'
  | 'eptViolation'
  | 'vmTransition'
  | 'invvpidAddress'
  | 'invvpidSingle'
  | 'invvpidAll'
  | 'invvpidKeepGlobals'
  | 'inveptSingle'
  | 'inveptAll';

/** Plain numbers since reset. Nothing in them depends on the fast tables. */
export interface MmuCounts {
  /** Walks of a guest's or the machine's linear address, or with paging off of a guest-physical one. */
  walks: number;
  /** Table entries read by walks, those of EPT included. */
  walkReferences: number;
  /** Walks because nothing was cached. */
  tlbMisses: number;
  /** Walks because of a write through an entry whose D was clear. */
  dirtyWalks: number;
  /** Walks because a cached entry forbade the access. */
  rightsWalks: number;
  /** Accessed and dirty flags written, in entries. */
  accessedDirtyUpdates: number;
  /** Cached translations that gave way for want of room. */
  evictions: number;
  pageFaults: number;
  eptViolations: number;
  eptMisconfigurations: number;
  /** Events by kind, whether or not they found something to kill. */
  readonly flushes: Record<TlbEvent, number>;
}

/** All zero. */
export const newCounts = (): MmuCounts => ({
  walks: 0,
  walkReferences: 0,
  tlbMisses: 0,
  dirtyWalks: 0,
  rightsWalks: 0,
  accessedDirtyUpdates: 0,
  evictions: 0,
  pageFaults: 0,
  eptViolations: 0,
  eptMisconfigurations: 0,
  flushes: {
    movToCr3: 0,
    pagingModeChange: 0,
    invlpg: 0,
    pageFault: 0,
    eptViolation: 0,
    vmTransition: 0,
    invvpidAddress: 0,
    invvpidSingle: 0,
    invvpidAll: 0,
    invvpidKeepGlobals: 0,
    inveptSingle: 0,
    inveptAll: 0,
  },
});
