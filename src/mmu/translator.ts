/** The slow path from a linear address to the bus: looks into the caches, walks the tables, caches and copies what it found. */
import { CR3, CR4, CR4_PAE, CR4_PGE, PDPTE, SYSTEM_CONTEXT } from '../base/registers.ts';
import { type FastContext, HELD_WRITES, NO_WRITES, UNPAGED, USER_CLASS, WRITE_HALF, WRITES } from './fast-tables.ts';
import { type Faults, PF_FETCH, PF_PRESENT, PF_RESERVED, UNPAGED_RIGHTS } from './faults.ts';
import type { Nested } from './nested.ts';
import type { MmuCounts, MmuObserver } from './observer.ts';
import { PDPTE_LEVEL, pageDirectory, pdpteHolds, pointerTable } from './pae.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { permitsData, type Regime } from './regime.ts';
import { SettledWalk } from './settled-walk.ts';
import { NO_EPT, type Space } from './space.ts';
import {
  ENTRY_DIRTY,
  ENTRY_FETCHED,
  ENTRY_PIECE,
  ENTRY_PIECE_2M,
  ENTRY_SUPPRESS_VE,
  EPT_RIGHTS_SHIFT,
  SHIFT_2M,
  SHIFT_4K,
  type Store,
} from './store.ts';
import { EXECUTE, READ, WRITE } from './table-format.ts';
import type { TranslationCaches } from './translation-caches.ts';
import { ABSENT, bareEntries, RESERVED, type StructureCache, UNREACHABLE, WALKED, type Walker } from './walker.ts';

/** What a translator works with. */
export interface TranslatorParts {
  readonly memory: PhysicalMemory;
  readonly registers: Int32Array;
  readonly caches: TranslationCaches;
  readonly counts: MmuCounts;
  readonly faults: Faults;
  readonly walker: Walker;
  readonly nested: Nested;
  readonly regime: Regime;
  /** May want to see each step of a walk, now or later. */
  readonly observer: MmuObserver | null;
}

/** What one (VPID, EPTRTA) stands for in every store. */
interface SelectedSpaces {
  readonly vpid: number;
  readonly eptrta: number;
  readonly epoch: number;
  readonly linear: Space;
  readonly linearStructures: Space;
  readonly guestPhysical: Space;
  readonly eptStructures: Space;
}

export class Translator {
  /** The context in force. */
  context: FastContext;
  #apicFrame = -1;
  /** Bus address for an access to it, or the signal. */
  onApicAccess: (offset: number, access: number) => number = () => 0;
  /** Is told of data accesses that are translated: of all of those to watched pages (FastTables.watched). */
  onAccess: ((linear: number, bytes: number, write: boolean) => void) | null = null;
  readonly #T: Int32Array;
  readonly #S: Int32Array;
  readonly #frames: number;
  readonly #memory: PhysicalMemory;
  readonly #caches: TranslationCaches;
  readonly #counts: MmuCounts;
  readonly #faults: Faults;
  readonly #walker: Walker;
  readonly #nested: Nested;
  /** Remembered page-directory entries; null where every walk reads them. */
  readonly #structures: StructureCache | null;
  /** Null where somebody watches each step, or caches of table entries are part of every walk. */
  readonly #settled: SettledWalk | null;
  readonly #observer: MmuObserver | null;
  readonly #regime: Regime;
  #space: Space;
  /** The spaces in force, and those that were before. */
  #spaces: SelectedSpaces | null = null;
  #otherSpaces: SelectedSpaces | null = null;
  /** What `contextFor` last found beside the context in force; its key tells whether it still is that. */
  #other: FastContext | null = null;

  constructor(parts: TranslatorParts) {
    const { memory, caches, nested } = parts;
    this.#T = caches.fast.T;
    this.#S = parts.registers;
    this.#frames = memory.bytes >>> 12;
    this.#memory = memory;
    this.#caches = caches;
    this.#counts = parts.counts;
    this.#faults = parts.faults;
    this.#walker = parts.walker;
    this.#nested = nested;
    const { linear, linearStructures, eptStructures, policy } = caches;
    const cache = (store: Store): StructureCache | null =>
      policy.stalest ? { store, tag: store.spaces.get(0, NO_EPT).plain } : null;
    this.#structures = cache(linearStructures);
    nested.structures = cache(eptStructures);
    this.#regime = parts.regime;
    this.#settled = policy.stalest ? null : new SettledWalk(memory);
    this.#observer = parts.observer;
    this.#space = linear.spaces.get(0, NO_EPT);
    this.context = caches.fast.select(0, NO_EPT, UNPAGED, null);
    this.#selectSpace();
  }

  /** The APIC-access page of a guest, −1: none. It is in no fast table. */
  set apicFrame(frame: number) {
    this.#apicFrame = frame;
    this.#nested.apicFrame = frame;
  }

  /** Puts the context of this VPID, EPT root and class into force. `anew`: the spaces of the stores are others than they were. */
  select(vpid: number, eptrta: number, cls: number, anew = false): void {
    const c = this.context;
    const other = this.#other;
    if (other !== null && other.class === cls && other.vpid === vpid && other.eptrta === eptrta) {
      // There and back again between rings.
      this.#caches.fast.use(other);
      this.context = other;
    } else this.context = this.#caches.fast.select(vpid, eptrta, cls, c);
    if (this.context !== c) this.#other = c;
    if (anew || c.vpid !== vpid || c.eptrta !== eptrta) this.#selectSpace();
  }

  /** Puts the spaces of the context in force, in every store, into force. */
  #selectSpace(): void {
    const { vpid, eptrta } = this.context;
    let spaces = this.#spaces;
    this.#spaces = this.#otherSpaces; // VM entries and exits go there and back again
    this.#otherSpaces = spaces;
    const epoch = this.#epoch();
    spaces = this.#spaces;
    if (spaces === null || spaces.epoch !== epoch || spaces.vpid !== vpid || spaces.eptrta !== eptrta)
      spaces = this.#lookUpSpaces(vpid, eptrta);
    this.#spaces = spaces;
    const nested = this.#nested;
    this.#space = spaces.linear;
    if (this.#structures !== null) this.#structures.tag = spaces.linearStructures.plain;
    nested.root = eptrta;
    nested.space = spaces.guestPhysical;
    if (nested.structures !== null) nested.structures.tag = spaces.eptStructures.plain;
  }

  /** Changes when a store has forgotten spaces. */
  #epoch(): number {
    const { linear, linearStructures, guestPhysical, eptStructures } = this.#caches;
    return (
      linear.spaces.epoch + linearStructures.spaces.epoch + guestPhysical.spaces.epoch + eptStructures.spaces.epoch
    );
  }

  #lookUpSpaces(vpid: number, eptrta: number): SelectedSpaces {
    const caches = this.#caches;
    const linear = caches.linear.spaces.get(vpid, eptrta);
    const linearStructures = caches.linearStructures.spaces.get(vpid, eptrta);
    const guestPhysical = caches.guestPhysical.spaces.get(0, eptrta);
    const eptStructures = caches.eptStructures.spaces.get(0, eptrta);
    return { vpid, eptrta, epoch: this.#epoch(), linear, linearStructures, guestPhysical, eptStructures };
  }

  /** The context of user or implicit supervisor accesses in the space in force. */
  contextFor(user: boolean): FastContext {
    const c = this.context;
    if (c.class === UNPAGED) return c;
    const cls = user ? USER_CLASS : this.#regime.systemClass();
    if (c.class === cls) return c;
    const other = this.#other;
    if (other !== null && other.class === cls && other.vpid === c.vpid && other.eptrta === c.eptrta) return other;
    const { fast } = this.#caches;
    this.#other = fast.select(c.vpid, c.eptrta, cls, c, user ? fast.at(this.#S[SYSTEM_CONTEXT]) : null);
    return this.#other;
  }

  /** Bus address for a data access of so many bytes in one page, 0 if it is only a probe: from the fast tables, else by translation. */
  at(c: FastContext, linear: number, access: number, bytes: number): number {
    const e = this.#T[c.base + (access === WRITE ? WRITE_HALF : 0) + (linear >>> 12)];
    if ((e & 3) !== 1) return (e & -4096) ^ linear;
    const physical = this.translate(c, linear, access);
    if (bytes > 0) {
      this.onAccess?.(linear, bytes, access === WRITE);
      this.#observer?.onDataAccess?.(linear, bytes, access === WRITE, physical);
    }
    return physical;
  }

  /** Bus address of a linear one; sets flags, caches, fills the fast tables; throws the signal. */
  translate(c: FastContext, linear: number, access: number): number {
    const page = linear >>> 12;
    const offset = linear & 0xfff;
    if (this.#caches.audit !== null) this.#caches.audit.walking = true;
    if (c.class === UNPAGED) return this.#unpaged(c, linear, access);
    const store = this.#caches.linear;
    let e = store.find(this.#space, page);
    if (e < 0) {
      this.#counts.tlbMisses++;
      e = this.#walk(c, linear, access, true);
    } else {
      const flags = store.flagsOf(e);
      if (!this.#regime.permits(flags, access, c.class)) {
        if (this.#caches.policy.stalest)
          this.#pageFault(c, linear, PF_PRESENT, access, 'the cached translation forbids it');
        this.#counts.rightsWalks++;
        e = this.#walk(c, linear, access);
      } else if (((flags >>> EPT_RIGHTS_SHIFT) & access) === 0) {
        if (this.#caches.policy.stalest) {
          const guestPage = store.guestFrameOf(e) | (page & ((1 << store.shift(e)) - 1));
          const suppressVe = (flags & ENTRY_SUPPRESS_VE) !== 0;
          this.#faults.eptViolation(
            c,
            linear,
            guestPage,
            offset,
            access,
            flags >>> EPT_RIGHTS_SHIFT,
            flags,
            suppressVe,
          );
        }
        this.#counts.rightsWalks++;
        e = this.#walk(c, linear, access);
      } else if (access === WRITE && (flags & ENTRY_DIRTY) === 0) {
        this.#counts.dirtyWalks++;
        e = this.#walk(c, linear, access);
      }
    }
    const flags = store.flagsOf(e);
    if (access === EXECUTE) store.noteFetch(e);
    const frame = store.frameOf(e) | (page & ((1 << store.shift(e)) - 1));
    if (frame === this.#apicFrame) return this.onApicAccess(offset, access);
    const { audit } = this.#caches;
    if (audit !== null) {
      audit.walking = false;
      audit.used(c.vpid, c.eptrta, c.class, linear, access, frame, store.tagOf(e).global);
    } else if (
      frame < this.#frames &&
      permitsData(flags, READ, c.class) &&
      ((flags >>> EPT_RIGHTS_SHIFT) & READ) !== 0
    ) {
      const writable =
        (flags & ENTRY_DIRTY) !== 0 &&
        ((flags >>> EPT_RIGHTS_SHIFT) & WRITE) !== 0 &&
        permitsData(flags, WRITE, c.class);
      this.#caches.fast.fill(c, page, frame, this.#writes(frame, writable), store.tagOf(e).global);
      store.noteCopy(e, c.index);
    }
    return frame * 4096 + offset;
  }

  #writes(frame: number, allowed: boolean): number {
    return !allowed ? NO_WRITES : this.#memory.pageFlags[frame] === 0 ? WRITES : HELD_WRITES;
  }

  /** CR0.PG = 0: the linear address is the physical one, of the guest if EPT is on (unrestricted guest). */
  #unpaged(c: FastContext, linear: number, access: number): number {
    const page = linear >>> 12;
    let frame = page;
    if (this.#caches.audit !== null) this.#caches.audit.walking = true;
    let rights = READ | WRITE | EXECUTE;
    let dirty = true;
    if (c.eptrta !== NO_EPT) {
      const nested = this.#nested;
      const ok = nested.translate(page, linear & 0xfff, access, true, true);
      if (nested.walked) {
        this.#counts.walks++;
        if (nested.missed) this.#counts.tlbMisses++;
        else if (nested.wasClean) this.#counts.dirtyWalks++;
        else this.#counts.rightsWalks++;
      }
      if (!ok) this.#faults.eptFailure(c, linear, this.#nested, UNPAGED_RIGHTS);
      frame = nested.frame;
      rights = nested.rights;
      dirty = nested.dirty;
      const store = this.#caches.guestPhysical;
      if (access === EXECUTE) store.flags[nested.entry] = store.flags[nested.entry] | ENTRY_FETCHED;
      store.mask[nested.entry] = store.mask[nested.entry] | (1 << c.index);
    }
    if (frame === this.#apicFrame) return this.onApicAccess(linear & 0xfff, access);
    const { audit } = this.#caches;
    if (audit !== null) {
      audit.walking = false;
      if (c.eptrta !== NO_EPT) audit.used(c.vpid, c.eptrta, c.class, linear, access, frame, false);
    } else if (frame < this.#frames && (rights & READ) !== 0)
      this.#caches.fast.fill(c, page, frame, this.#writes(frame, dirty && (rights & WRITE) !== 0), false);
    return frame * 4096 + (linear & 0xfff);
  }

  /** Walks the tables for an access and caches what it finds; the entry. */
  #walk(c: FastContext, linear: number, access: number, missed = false): number {
    const page = linear >>> 12;
    const nested = c.eptrta === NO_EPT ? null : this.#nested;
    this.#counts.walks++;
    let frame: number;
    let shift = SHIFT_4K;
    let flags: number;
    let global: boolean;
    const { walkReferences } = this.#counts;
    // Who watches walks has to see each step of them.
    const settled = this.#observer?.onPageWalkStep === undefined ? this.#settled : null;
    if (
      settled !== null &&
      this.#walkSettled(settled, page, access, nested) &&
      this.#regime.permits(settled.rights, access, c.class)
    ) {
      this.#counts.walkReferences += 2;
      frame = settled.frame;
      flags = settled.rights | (settled.dirty ? ENTRY_DIRTY : 0);
      global = settled.global;
    } else {
      this.#counts.walkReferences = walkReferences;
      this.#walkAtLength(c, linear, access, nested);
      const walker = this.#walker;
      frame = walker.frame;
      shift = walker.shift;
      flags = walker.rights | (walker.dirty ? ENTRY_DIRTY : 0);
      global = walker.global;
    }
    const guestFrame = frame;
    if (nested === null) flags |= (READ | WRITE | EXECUTE) << EPT_RIGHTS_SHIFT;
    else {
      if (!nested.translate(frame, linear & 0xfff, access, this.#caches.policy.cachesWalks))
        this.#faults.eptFailure(c, linear, this.#nested, flags);
      frame = nested.frame;
      flags |= nested.rights << EPT_RIGHTS_SHIFT;
      // a write that finds D clear in either table walks both again
      if (!nested.dirty) flags &= ~ENTRY_DIRTY;
      if (nested.suppressVe) flags |= ENTRY_SUPPRESS_VE;
      if (nested.shift < shift) {
        flags |= shift === SHIFT_2M ? ENTRY_PIECE | ENTRY_PIECE_2M : ENTRY_PIECE;
        shift = nested.shift;
      }
    }
    const inside = (1 << shift) - 1;
    const store = this.#caches.linear;
    global &&= (this.#S[CR4] & CR4_PGE) !== 0;
    if (missed && shift === SHIFT_4K && !this.#caches.policy.draws)
      return store.insertKey(global ? this.#space.global : this.#space.plain, page, frame, guestFrame, flags);
    return store.insert(this.#space, page, shift, global, frame & ~inside, guestFrame & ~inside, flags);
  }

  #walkSettled(settled: SettledWalk, page: number, access: number, nested: Nested | null): boolean {
    const S = this.#S;
    if ((S[CR4] & CR4_PAE) === 0) return settled.walk(nested, S[CR3] >>> 12, page, access === WRITE);
    const root = pageDirectory(S, page);
    return root >= 0 && settled.walkPae(nested, this.#regime.format(), root, page, access === WRITE);
  }

  /** Walks with everything that may come up; sets accessed and dirty flags. The result is the walker's. */
  #walkAtLength(c: FastContext, linear: number, access: number, nested: Nested | null): void {
    const page = linear >>> 12;
    const walker = this.#walker;
    const entries = nested ?? bareEntries;
    const format = this.#regime.format();
    const root = this.#regime.root(page);
    if (root < 0) this.#refuse(c, linear, access, ABSENT, PDPTE_LEVEL);
    const outcome = walker.walk(format, entries, root, page, this.#structures);
    if (outcome !== WALKED || !this.#regime.permits(walker.rights, access, c.class))
      this.#refuse(c, linear, access, outcome, walker.level);
    if (!walker.markUsed(format, entries, page, access === WRITE, this.#structures))
      this.#faults.eptFailure(c, linear, this.#nested, -1);
  }

  /** A walk ended so that the access cannot be made. */
  #refuse(c: FastContext, linear: number, access: number, outcome: number, level: number): never {
    if (outcome === UNREACHABLE) return this.#faults.eptFailure(c, linear, this.#nested, -1);
    const entry = ENTRY_NAMES[level];
    if (outcome === ABSENT) return this.#pageFault(c, linear, 0, access, `the ${entry} is not present`);
    return outcome === RESERVED
      ? this.#pageFault(c, linear, PF_PRESENT | PF_RESERVED, access, `a reserved bit is set in the ${entry}`)
      : this.#pageFault(c, linear, PF_PRESENT, access, this.#regime.refusal(this.#walker.rights, access, c.class));
  }

  #pageFault(c: FastContext, linear: number, cause: number, access: number, because: string): never {
    const told = access === EXECUTE && this.#regime.tellsFetches();
    return this.#faults.pageFault(c, linear, told ? cause | PF_FETCH : cause, access, because);
  }

  // ------------------------------------------------------------------------------------------------ PDPTE registers

  /** Loads the PDPTE registers from the table that a value of CR3 points to, through EPT if it is on (SDM Vol. 3, "PDPTE Registers").
   *  False, and nothing changed, if one of the entries has a reserved bit. */
  loadPointers(cr3: number): boolean {
    const address = pointerTable(cr3);
    const at = this.#locatePointers(address);
    if (at < 0) this.#faults.pointerTableFailure(this.context, this.#nested);
    const words = Array.from({ length: 8 }, (_, k) => this.#memory.read32(at + 4 * k));
    for (let k = 0; k < 8; k += 2)
      if (!pdpteHolds(words[k], words[k + 1], this.#regime.physicalAddressBits)) return false;
    this.#S.set(words, PDPTE);
    return true;
  }

  /** Bus address of a page-directory-pointer table. Unlike other accesses to tables of a guest this is a read for EPT in any case. */
  #locatePointers(address: number): number {
    if (this.context.eptrta === NO_EPT) return address;
    return this.#nested.locateFor(READ, address >>> 12, address & 0xfff);
  }
}

/** The entries of a walk by level. */
const ENTRY_NAMES = ['', 'page-table entry', 'page-directory entry', 'page-directory-pointer-table entry'];
