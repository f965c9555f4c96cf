/** The judge of an event trace: reads it from the beginning and tells every event after which a property does not hold.
 *
 *    isolation   no VM can read, write or execute a frame that is not its own or shared with it
 *    revocation  after a release and the flush that the manual asks for, nothing that is cached leads to the frame any more
 *    ownership   a frame has one owner
 *    translation every cached entry can be derived from tables that existed since its last required flush
 *    dirty       … and its accessed and dirty flags were set in those tables, EPT's too; no write passes unseen a dirty flag of EPT that is
 *                clear, and each that is set is in the page-modification log, so that no write is lost to whoever reads them
 *
 *  It knows hardware only: memory, tags, table entries; never a hypervisor's own objects. */
import type { Regime, TlbEntry, TraceEvent } from '../machine/trace-event.ts';
import { eptLeaves, type LinearLeaf, linearLeaves, type Since, type TablePointer } from './derive.ts';
import { DirtyFlags } from './dirty.ts';
import { Flushes } from './flushes.ts';
import { TableHistory } from './history.ts';
import { Ownership } from './ownership.ts';

export type Property = 'isolation' | 'revocation' | 'ownership' | 'translation' | 'dirty';

export interface Violation {
  readonly property: Property;
  /** Number of the event in the trace, from 0. */
  readonly at: number;
  readonly message: string;
}

interface Running {
  readonly vmcs: number;
  readonly vpid: number;
  readonly eptrta: number;
}

const hex = (n: number): string => `${(n >>> 0).toString(16).toUpperCase()}h`;

export class Judge {
  readonly violations: Violation[] = [];
  readonly ownership: Ownership = new Ownership();
  readonly #history = new TableHistory();
  readonly #flushes = new Flushes();
  readonly #dirty = new DirtyFlags(this.#history);
  /** By EPT root: whether it had accessed and dirty flags, and since when. */
  readonly #eptFlags = new Map<number, { time: number; on: boolean }[]>();
  /** Regimes of each (VPID, EPTRTA), with the time at which each began. */
  readonly #regimes = new Map<string, { time: number; regime: Regime }[]>();
  /** Entries that were found good, and since when they may exist. */
  readonly #good = new WeakMap<TlbEntry, Since>();
  /** What stood when an entry was judged last: while it stands, so does the judgement. */
  readonly #judged = new WeakMap<
    TlbEntry,
    { readonly vm: Running | null; readonly owned: number; readonly flushed: number }
  >();
  readonly #vms = new Map<string, Running>();
  #running: Running | null = null;
  #time = 0;

  /** Takes the next event; what it breaks is added to `violations` and comes back. */
  add(event: TraceEvent): readonly Violation[] {
    const before = this.violations.length;
    const time = this.#time;
    switch (event.kind) {
      case 'machine':
        break;
      case 'table':
        this.#history.begin(time, event.frame, event.words);
        break;
      case 'write':
        if (this.#running !== null) this.#dirty.write(event.at, event.value);
        this.#history.write(time, event.at, event.value);
        break;
      case 'regime':
        this.#noteRegime(event);
        break;
      case 'flush':
        this.#flushes.add(time, event);
        break;
      case 'entry':
        this.#dirty.entered();
        this.#running = this.#vmOf(event.vmcs, event.vpid, event.eptp === -1 ? -1 : event.eptp >>> 12);
        break;
      case 'exit':
        if (event.logged !== undefined) this.#checkLog(event.logged);
        this.#running = null;
        break;
      case 'own':
      case 'share':
      case 'release':
        for (const { frame, vm, owner } of this.ownership.declare(event, time))
          this.#tell('ownership', `frame ${hex(frame)} is given to VM ${hex(vm)}, but belongs to VM ${hex(owner)}`);
        break;
      case 'tlb':
        for (const entry of event.entries) {
          this.#check(entry);
          this.#checkBlind(entry);
        }
        break;
    }
    this.#time++;
    return this.violations.slice(before);
  }

  #tell(property: Property, message: string): void {
    this.violations.push({ property, at: this.#time, message });
  }

  #noteRegime(regime: Regime): void {
    const key = `${regime.vpid}/${regime.eptrta}`;
    const known = this.#regimes.get(key) ?? [];
    known.push({ time: this.#time, regime });
    this.#regimes.set(key, known);
    const flags = this.#eptFlags.get(regime.eptrta) ?? [];
    if (flags.at(-1)?.on !== regime.eptFlags) flags.push({ time: this.#time, on: regime.eptFlags });
    this.#eptFlags.set(regime.eptrta, flags);
  }

  /** Whether what has been cached of this EPT since then had to set accessed and dirty flags. */
  #hasFlags(eptrta: number, since: number): boolean {
    const known = this.#eptFlags.get(eptrta) ?? [];
    return known.every(({ on }, n) => on || (known[n + 1]?.time ?? Number.POSITIVE_INFINITY) <= since);
  }

  /** Each page that has become dirty stands in the log. */
  #checkLog(logged: readonly number[]): void {
    if (this.#running === null) return;
    for (const at of this.#dirty.unlogged(this.#running.eptrta, logged))
      this.#tell('dirty', `the dirty flag of the EPT entry at ${hex(at)} was set, and its page not logged`);
  }

  /** The VM that runs does not write past a clear dirty flag. */
  #checkBlind(entry: TlbEntry): void {
    const vm = this.#running;
    if (vm === null || entry.eptrta !== vm.eptrta || vm.eptrta < 0) return;
    if (!(entry.kind === 'guest-physical' || (entry.kind === 'linear' && entry.vpid === vm.vpid))) return;
    if (this.#eptFlags.get(vm.eptrta)?.at(-1)?.on !== true || !this.#dirty.isBlind(entry)) return;
    this.#tell('dirty', `${describe(entry)} lets writes through, though the dirty flag is clear that they should set`);
  }

  /** Regimes in which an entry that may exist since `time` can have been made. */
  #regimesSince(entry: TlbEntry, time: number): readonly Regime[] {
    const known = this.#regimes.get(`${entry.vpid}/${entry.eptrta}`) ?? [];
    let first = known.length - 1;
    while (first > 0 && known[first].time > time) first--;
    return known.slice(Math.max(first, 0)).map(({ regime }) => regime);
  }

  /** The same VM is the same object. */
  #vmOf(vmcs: number, vpid: number, eptrta: number): Running {
    const key = `${vmcs}/${vpid}/${eptrta}`;
    const known = this.#vms.get(key) ?? { vmcs, vpid, eptrta };
    this.#vms.set(key, known);
    return known;
  }

  #check(entry: TlbEntry): void {
    const last = this.#judged.get(entry);
    const vm = this.#running;
    const owned = this.ownership.version;
    const flushed = this.#flushes.version;
    if (last?.vm === vm && last.owned === owned && last.flushed === flushed) return;
    const before = this.violations.length;
    if (last?.vm !== vm || last.owned !== owned) this.#checkReach(entry);
    if (last?.flushed !== flushed) this.#checkOrigin(entry);
    if (this.violations.length === before) this.#judged.set(entry, { vm, owned, flushed });
    else this.#judged.delete(entry);
  }

  #checkOrigin(entry: TlbEntry): void {
    const since = this.#flushes.since(entry);
    const good = this.#good.get(entry);
    if (good?.guest === since.guest && good.ept === since.ept) return; // more versions can only add to what can be derived
    const wrong = this.#underivable(entry, since);
    if (wrong === null) this.#good.set(entry, since);
    else
      this.#tell(wrong, `${describe(entry)} cannot come from tables since event ${Math.max(since.guest, since.ept)}`);
  }

  /** Null if the entry can be derived; else what is wrong with it. */
  #underivable(entry: TlbEntry, since: Since): 'translation' | 'dirty' | null {
    const { kind, eptrta, page } = entry;
    const flags = eptrta >= 0 && this.#hasFlags(eptrta, since.ept);
    if (kind === 'guest-physical') {
      const leaves = eptLeaves(this.#history, eptrta, page, since.ept).filter(
        (l) => l.frame === entry.frame && l.rights === (entry.rights & 7) && l.shift === entry.shift,
      );
      if (leaves.some((l) => !flags || isNoted(l, entry.dirty))) return null;
      return leaves.length > 0 ? 'dirty' : 'translation';
    }
    if (kind === 'ept-directory') {
      const tables: TablePointer[] = [];
      eptLeaves(this.#history, eptrta, page, since.ept, tables);
      const same = tables.filter(
        (t) => t.table === entry.frame && t.rights === (entry.rights & 7) && t.level === entry.level,
      );
      if (same.some((t) => !flags || t.accessed)) return null;
      return same.length > 0 ? 'dirty' : 'translation';
    }
    let almost = false;
    for (const regime of this.#regimesSince(entry, since.guest)) {
      const tables: TablePointer[] = [];
      const leaves = linearLeaves(this.#history, regime, page, since, tables);
      if (kind === 'directory') {
        for (const t of tables) {
          if (t.table !== entry.frame || t.rights !== entry.rights) continue;
          if (t.accessed) return null;
          almost = true;
        }
        continue;
      }
      for (const leaf of leaves) {
        if (leaf.rights !== entry.rights || (entry.global && !leaf.global)) continue;
        if (leaf.shift > entry.shift && !this.#isPiece(entry, regime, since, leaf)) continue;
        if (!this.#leadsTo(leaf.guestFrame, leaf.shift, entry, since, false)) continue;
        const isSeen = !flags || this.#leadsTo(leaf.guestFrame, leaf.shift, entry, since, true);
        if (isSeen && isNoted(leaf, entry.dirty)) return null;
        almost = true;
      }
    }
    return almost ? 'dirty' : 'translation';
  }

  /** Whether the entry can be a piece of this large page: the page must have been there since INVLPG last named any part of it. */
  #isPiece(entry: TlbEntry, regime: Regime, since: Since, leaf: LinearLeaf): boolean {
    const named = this.#flushes.largePageSince(entry.vpid, entry.page, leaf.shift);
    if (named <= since.guest) return true;
    return linearLeaves(this.#history, regime, entry.page, { guest: named, ept: since.ept }).some(
      (l) => l.shift === leaf.shift && l.guestFrame === leaf.guestFrame && l.rights === leaf.rights,
    );
  }

  /** Whether a guest frame can lead to the frame that the entry names; `noted`: with the flags set that this sets in EPT. */
  #leadsTo(guestFrame: number, shift: number, entry: TlbEntry, since: Since, noted: boolean): boolean {
    if (entry.eptrta < 0) return guestFrame === entry.frame && shift === entry.shift && guestFrame === entry.guestFrame;
    return eptLeaves(this.#history, entry.eptrta, guestFrame, since.ept).some((leaf) => {
      const size = Math.min(shift, leaf.shift);
      const first = 2 ** size;
      return (
        size === entry.shift &&
        leaf.rights === entry.eptRights &&
        (!noted || isNoted(leaf, entry.dirty)) &&
        leaf.frame - (leaf.frame % first) === entry.frame &&
        guestFrame - (guestFrame % first) === entry.guestFrame
      );
    });
  }

  /** Whether the VM that runs could get by this entry to where it must not. */
  #checkReach(entry: TlbEntry): void {
    const running = this.#running;
    if (running === null || entry.eptrta !== running.eptrta) return;
    if (entry.kind !== 'linear' && entry.kind !== 'guest-physical') return;
    if (entry.kind === 'linear' && entry.vpid !== running.vpid) return;
    const rights = entry.kind === 'linear' ? entry.rights & entry.eptRights & 7 : entry.rights & 7;
    for (let frame = entry.frame; frame < entry.frame + 2 ** entry.shift; frame++) {
      const allowed = this.ownership.allowed(running.vmcs, frame);
      if ((rights & ~allowed) === 0) continue;
      const released = this.ownership.releasedAt(running.vmcs, frame);
      const property = released >= 0 && this.#flushes.since(entry).ept > released ? 'revocation' : 'isolation';
      const past = released < 0 ? 'which was never its own' : `which it gave back in event ${released}`;
      this.#tell(property, `VM ${hex(running.vmcs)} reaches frame ${hex(frame)}, ${past}: ${describe(entry)}`);
      return;
    }
  }
}

/** Whether flags tell of accesses by an entry, `dirty`: of writes, too. */
const isNoted = (leaf: { readonly accessed: boolean; readonly dirty: boolean }, dirty: boolean): boolean =>
  leaf.accessed && (leaf.dirty || !dirty);

function describe(entry: TlbEntry): string {
  const { kind, vpid, eptrta, page, frame, rights, eptRights, level } = entry;
  const tag = eptrta < 0 ? `VPID ${vpid}` : `VPID ${vpid}, EPT ${hex(eptrta)}`;
  const what = level > 0 ? `${kind} entry of level ${level}` : kind;
  return `${what} page ${hex(page)} → frame ${hex(frame)} (${tag}, rights ${rights & 15}/${eptRights})`;
}

/** Judges a whole trace. */
export function judge(trace: Iterable<TraceEvent>): readonly Violation[] {
  const judging = new Judge();
  for (const event of trace) judging.add(event);
  return judging.violations;
}
