/** Watches the use of cached translations: which were used although the tables say otherwise by now, hence which flush was relied on
 *  and not done; and which flushes dropped nothing that differed from the tables (SDM Vol. 3, "Operations that Invalidate TLBs and
 *  Paging-Structure Caches", "Guidelines for Use of the INVVPID and INVEPT Instructions").
 *
 *  While it watches, the fast tables stay empty, so that every data access is seen. Instruction fetches are seen when the processor
 *  looks the page up anew, which it does after each write to a table. */
import type { DebugTranslation } from './debug-walk.ts';
import { type ChangedEntry, differs, firstChange, type Path, type Place, touchedFrames } from './flush-path.ts';
import { TableWrites } from './flush-writes.ts';
import { INVALIDATIONS, type Invalidation, NO_PAGE } from './invalidate.ts';
import type { FlushTarget, PageWalkStep, TlbEvent } from './observer.ts';
import { PAGE_TRACKED, type PhysicalMemory } from './physical-memory.ts';
import { NO_EPT } from './space.ts';

/** A translation that was used although the tables no longer give it. */
export interface StaleUse {
  readonly linear: number;
  readonly access: 'read' | 'write' | 'fetch';
  readonly vpid: number;
  /** EPTP[51:12], −1 without EPT. */
  readonly eptrta: number;
  readonly global: boolean;
  /** Host-physical frame that was used, and what the tables give now. */
  readonly frame: number;
  readonly now: DebugTranslation;
  /** The table entry that differs from what it was when the translation was made; null if another table is in force as a whole. */
  readonly changed: ChangedEntry | null;
  /** The last write to that entry, and the first use since. */
  readonly written: Place | null;
  readonly used: Place;
  /** The flush that would have been needed. */
  readonly needed: string;
  count: number;
}

export interface FlushCount {
  readonly event: TlbEvent;
  done: number;
  /** Flushes that dropped nothing that differed. */
  superfluous: number;
  /** The places of those, with how many there were at each. */
  readonly places: FlushPlace[];
}

/** An instruction that flushes, and how often for nothing. */
export interface FlushPlace {
  readonly eip: number;
  readonly nonRoot: boolean;
  superfluous: number;
}

/** What the audit asks of the memory unit. */
export interface AuditSource {
  readonly memory: PhysicalMemory;
  walk(cls: number, linear: number, access: number, steps: PageWalkStep[]): DebugTranslation;
  root(page: number): number;
  readonly eptFlags: boolean;
  where(): Place;
  /** A table has been written to: the next fetch has to be looked up anew. */
  tablesChanged(): void;
}

const ACCESS = { 1: 'read', 2: 'write', 4: 'fetch' } as const;
const WRITE = 2;
/** Reports kept; guests are not trusted to make few. */
const MOST = 1000;
const MOST_PATHS = 1 << 18;
const MOST_PLACES = 1000;
/** Not by software: faults, and VM entries and exits without VPID. */
const AUTOMATIC: readonly TlbEvent[] = ['pageFault', 'eptViolation', 'vmTransition'];

export class FlushAudit {
  readonly stale: StaleUse[] = [];
  readonly flushes = new Map<TlbEvent, FlushCount>();
  readonly #source: AuditSource;
  readonly #paths = new Map<string, Map<number, Path>>();
  readonly #known = new Map<string, StaleUse>();
  readonly #writes = new TableWrites();
  #count = 0;
  /** The processor itself is writing, flags of table entries. */
  walking = false;

  constructor(source: AuditSource) {
    this.#source = source;
    const { memory } = source;
    const before = memory.onFlaggedWrite;
    memory.onFlaggedWrite = (frame, flags, at, length) => {
      before?.(frame, flags, at, length);
      if ((flags & PAGE_TRACKED) === 0 || this.walking) return;
      this.#writes.note(at, length, source.where());
      source.tablesChanged();
    };
  }

  /** A translation was used for an access. */
  used(
    vpid: number,
    eptrta: number,
    cls: number,
    linear: number,
    access: number,
    frame: number,
    global: boolean,
  ): void {
    const steps: PageWalkStep[] = [];
    const now = this.#source.walk(cls, linear, access, steps);
    const page = linear >>> 12;
    const key = `${vpid}/${eptrta}`;
    const old = this.#paths.get(key)?.get(page);
    if (now.ok && Math.floor(now.hostPhysical / 4096) === frame && !this.#losesDirty(steps, access)) {
      this.#remember(key, {
        vpid,
        eptrta,
        page,
        steps,
        root: this.#source.root(page),
        global,
        linear: true,
        upper: true,
        ept: true,
      });
      return;
    }
    const changed = old === undefined ? null : firstChange(old, steps);
    const known = `${key}/${page}/${changed?.at}/${changed?.low}`;
    const before = this.#known.get(known);
    if (before !== undefined) before.count++;
    if (before !== undefined || this.stale.length === MOST) return;
    const use: StaleUse = {
      linear: linear >>> 0,
      access: ACCESS[access as keyof typeof ACCESS],
      vpid,
      eptrta,
      global,
      frame,
      now,
      changed,
      written: changed === null ? null : this.#writes.last(changed.at, changed.format.startsWith('IA-32') ? 4 : 8),
      used: this.#source.where(),
      needed: neededFlush(changed, linear, vpid, eptrta, global),
      count: 1,
    };
    this.#known.set(known, use);
    this.stale.push(use);
  }

  /** An event is about to kill what it kills. */
  flush(event: TlbEvent, target: FlushTarget): void {
    this.walking = false;
    const row = INVALIDATIONS[event];
    let useful = false;
    for (const paths of this.#paths.values())
      for (const path of paths.values()) if (this.#drop(path, row, event, target)) useful = true;
    if (AUTOMATIC.includes(event)) return;
    const count = this.flushes.get(event) ?? { event, done: 0, superfluous: 0, places: [] };
    this.flushes.set(event, count);
    count.done++;
    if (useful) return;
    count.superfluous++;
    const { eip, nonRoot } = this.#source.where();
    const place = count.places.find((p) => p.eip === eip && p.nonRoot === nonRoot);
    if (place !== undefined) place.superfluous++;
    else if (count.places.length < MOST_PLACES) count.places.push({ eip, nonRoot, superfluous: 1 });
  }

  /** Notes what of a path is cached no more; true if some of that differed from the tables. */
  #drop(path: Path, row: Invalidation, event: TlbEvent, target: FlushTarget): boolean {
    const { memory } = this.#source;
    const linear = path.linear && target.page !== NO_PAGE && covers(row.linear, path, target);
    const upper = path.upper && target.page !== NO_PAGE && covers(row.linearStructures, path, target);
    const ept = path.ept && path.eptrta !== NO_EPT && coversEpt(row.guestPhysical, path, target);
    const byRegister = event === 'movToCr3' || event === 'pagingModeChange';
    let useful = linear && (differs(memory, path, 'all') || (byRegister && path.root !== this.#source.root(path.page)));
    if (upper && differs(memory, path, 'upper')) useful = true;
    if (ept && differs(memory, path, 'ept')) useful = true;
    if (linear) path.linear = false;
    if (upper) path.upper = false;
    if (ept) path.ept = false;
    return useful;
  }

  #remember(key: string, path: Path): void {
    let paths = this.#paths.get(key);
    if (this.#count > MOST_PATHS) {
      this.#paths.clear();
      this.#count = 0;
      paths = undefined;
    }
    if (paths === undefined) {
      paths = new Map();
      this.#paths.set(key, paths);
    }
    if (!paths.has(path.page)) this.#count++;
    paths.set(path.page, path);
    for (const frame of touchedFrames(path)) this.#source.memory.setPageFlag(frame, PAGE_TRACKED);
  }

  /** A write by a cached translation with D, while the table entry has none: nobody will know of it. */
  #losesDirty(steps: readonly PageWalkStep[], access: number): boolean {
    if (access !== WRITE) return false;
    const leaf = steps.filter((s) => s.format !== 'EPT').at(-1);
    if (leaf !== undefined && (leaf.low & 0x40) === 0) return true;
    const ept = steps.at(-1);
    return ept?.format === 'EPT' && this.#source.eptFlags && (ept.low & 0x200) === 0;
  }
}

/** Whether an event that kills this of linear and combined translations kills the one of the path. */
function covers(scope: Invalidation['linear'], path: Path, target: FlushTarget): boolean {
  const ofVpid = path.vpid === target.vpid;
  switch (scope) {
    case 'none':
      return false;
    case 'address':
      return ofVpid && path.eptrta === target.eptrta && path.page === target.page;
    case 'page':
    case 'addressOfVpid':
      return ofVpid && path.page === target.page;
    case 'vpid':
      return ofVpid;
    case 'vpidButGlobals':
      return ofVpid && !path.global;
    case 'vpidsNotZero':
      return path.vpid !== 0;
    case 'eptrta':
      return path.eptrta === target.eptrta;
    case 'anyEptrta':
      return path.eptrta !== NO_EPT;
  }
}

/** The same for what is cached of EPT alone. */
function coversEpt(scope: Invalidation['guestPhysical'], path: Path, target: FlushTarget): boolean {
  if (scope === 'anyEptrta') return true;
  return scope === 'eptrta' && path.eptrta === target.eptrta;
}

const hex = (value: number): string => `${(value >>> 0).toString(16).toUpperCase().padStart(8, '0')}h`;

function neededFlush(
  changed: ChangedEntry | null,
  linear: number,
  vpid: number,
  eptrta: number,
  global: boolean,
): string {
  if (changed?.format === 'EPT') return `INVEPT of EPT root ${hex(eptrta * 4096)}`;
  const address = hex(linear & -4096);
  const own = `INVLPG ${address} or ${global ? 'a change of CR4.PGE (the page is global)' : 'a load of CR3'}`;
  return vpid === 0 ? own : `${own}; from root operation INVVPID of VPID ${vpid}`;
}
