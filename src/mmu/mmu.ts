/** The memory unit of one processor: linear addresses to the bus, under the translation regime that its registers describe
 *  (SDM Vol. 3, "Paging", and "VMX Support for Address Translation"). Hot paths read T; all else comes here. */
import type { Unvalidated } from '../base/errors.ts';
import { InvalidInput } from '../base/errors.ts';
import { CONTEXT, CPL, CR0, CR0_PG, CR0_WP, CR3, CR4, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMEP } from '../base/registers.ts';
import { PF, SIGNAL_EPT_MISCONFIGURATION, SIGNAL_EPT_VIOLATION, type Signal } from '../base/signal.ts';
import { type DebugTranslation, debugWalk } from './debug-walk.ts';
import { type EptOptions, eptFormat } from './ept.ts';
import { type FastContext, SUPERVISOR, SUPERVISOR_WP, UNPAGED, USER_CLASS, WRITE_HALF } from './fast-tables.ts';
import { ia32, ia32Pse } from './ia32.ts';
import { invalidate } from './invalidate.ts';
import { bareEntries, Nested } from './nested.ts';
import { type MmuCounts, type MmuObserver, newCounts, type TlbEvent } from './observer.ts';
import { type MmuState, restoreMmu, saveMmu } from './persist.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import type { TranslationCacheOptions } from './policy.ts';
import { NO_EPT, type Space } from './space.ts';
import { ENTRY_DIRTY, ENTRY_FETCHED, ENTRY_PIECE, EPT_RIGHTS_SHIFT } from './store.ts';
import { EXECUTE, READ, USER, WRITE } from './table-format.ts';
import { TranslationCaches } from './translation-caches.ts';
import { ABSENT, RESERVED, type StructureCache, UNREACHABLE, Walker } from './walker.ts';

/** #PF error code. */
const PF_PRESENT = 1;
const PF_WRITE = 2;
const PF_USER = 4;
const PF_RESERVED = 8;

/** Exit qualification of an EPT violation; bits 2:0 are the access, 5:3 the rights. */
const EPT_RIGHTS = 3;
const EPT_LINEAR_VALID = 0x80;
const EPT_FINAL = 0x100;

export interface MmuOptions {
  readonly memory: PhysicalMemory;
  readonly signal: Signal;
  /** The processor's register file. */
  readonly registers: Int32Array;
  /** Fast contexts, 2 to 31: 8 MiB each once used. @defaultValue 16 */
  readonly contexts?: number;
  /** @defaultValue unlimited */
  readonly cache?: TranslationCacheOptions;
  readonly observer?: MmuObserver;
  /** @defaultValue 36 bits of physical address, no execute-only pages */
  readonly ept?: EptOptions;
}

export class Mmu {
  /** Fast tables (fast-tables.ts). */
  readonly T: Int32Array;
  readonly counts: MmuCounts = newCounts();
  /** VPID in force, 0 outside VMX non-root operation and with VPIDs off; EPT pointer. Call `selectContext` after a change. */
  vpid = 0;
  eptpLow = 0;
  eptpHigh = 0;
  eptEnabled = false;
  readonly caches: TranslationCaches;
  readonly #memory: PhysicalMemory;
  readonly #signal: Signal;
  readonly #S: Int32Array;
  readonly #frames: number;
  readonly #eptOptions: EptOptions;
  readonly #walker: Walker;
  readonly #nested: Nested;
  readonly #structures: StructureCache | null;
  #context: FastContext;
  #space: Space;

  constructor(options: MmuOptions) {
    const { memory, contexts = 16, cache = { kind: 'unlimited' }, observer = null } = options;
    if (!(Number.isInteger(contexts) && contexts >= 2 && contexts <= 31))
      throw new InvalidInput(`fast contexts: ${contexts}, must be 2 to 31`);
    this.#memory = memory;
    this.#signal = options.signal;
    this.#S = options.registers;
    this.#frames = memory.bytes >>> 12;
    this.#eptOptions = options.ept ?? { physicalAddressBits: 36, executeOnly: false };
    this.caches = new TranslationCaches(cache, contexts, this.#frames);
    this.T = this.caches.fast.T;
    this.#walker = new Walker(memory, this.counts, observer);
    this.#nested = new Nested(eptFormat(this.#eptOptions), new Walker(memory, this.counts, observer), this.caches);
    const { linear, linearStructures, eptStructures, policy } = this.caches;
    this.#structures = policy.stalest
      ? { store: linearStructures, tag: linearStructures.spaces.get(0, NO_EPT).plain }
      : null;
    if (policy.stalest)
      this.#nested.structures = { store: eptStructures, tag: eptStructures.spaces.get(0, NO_EPT).plain };
    this.#space = linear.spaces.get(0, NO_EPT);
    this.#context = this.caches.fast.select(0, NO_EPT, UNPAGED, null);
    memory.onPageFlagged((frame) => this.caches.fast.killWriteSlots(frame));
    this.selectContext();
  }

  // ------------------------------------------------------------------------------------------------ translation regime

  /** Puts the context into force that the registers, VPID and EPT pointer ask for. */
  selectContext(): void {
    const S = this.#S;
    const cr0 = S[CR0];
    const cls =
      (cr0 & CR0_PG) === 0 ? UNPAGED : S[CPL] === 3 ? USER_CLASS : (cr0 & CR0_WP) !== 0 ? SUPERVISOR_WP : SUPERVISOR;
    const eptrta = this.eptEnabled ? eptrtaOf(this.eptpLow, this.eptpHigh) : NO_EPT;
    let c = this.#context;
    if (c.class !== cls || c.vpid !== this.vpid || c.eptrta !== eptrta) {
      const sameSpace = c.vpid === this.vpid && c.eptrta === eptrta;
      c = this.caches.fast.select(this.vpid, eptrta, cls, c);
      this.#context = c;
      if (!sameSpace) this.#selectSpace(this.vpid, eptrta);
    }
    S[CONTEXT] = c.base;
  }

  #selectSpace(vpid: number, eptrta: number): void {
    const { linear, linearStructures, guestPhysical, eptStructures } = this.caches;
    this.#space = linear.spaces.get(vpid, eptrta);
    if (this.#structures !== null) this.#structures.tag = linearStructures.spaces.get(vpid, eptrta).plain;
    const nested = this.#nested;
    nested.root = eptrta;
    nested.space = guestPhysical.spaces.get(0, eptrta);
    if (nested.structures !== null) nested.structures.tag = eptStructures.spaces.get(0, eptrta).plain;
  }

  /** Increments when a translation that a fetch may have used is dropped, or a context base gets another meaning: what fetchPage
   *  returned holds for one value of S[CONTEXT] and of this. */
  get fetchGeneration(): number {
    return this.caches.fast.generation;
  }

  // ------------------------------------------------------------------------------------------------ accesses at the current CPL

  read8(linear: number): number {
    return this.#memory.read8(this.#at(this.#context, linear, READ));
  }

  read16(linear: number): number {
    const c = this.#context;
    if ((linear & 0xfff) <= 0xffe) return this.#memory.read16(this.#at(c, linear, READ));
    return this.#readAcross(c, linear, 2, READ);
  }

  read32(linear: number): number {
    const c = this.#context;
    if ((linear & 0xfff) <= 0xffc) return this.#memory.read32(this.#at(c, linear, READ));
    return this.#readAcross(c, linear, 4, READ);
  }

  write8(linear: number, v: number): void {
    this.#memory.write8(this.#at(this.#context, linear, WRITE), v);
  }

  write16(linear: number, v: number): void {
    const c = this.#context;
    if ((linear & 0xfff) <= 0xffe) this.#memory.write16(this.#at(c, linear, WRITE), v);
    else this.#writeAcross(c, linear, 2, v);
  }

  write32(linear: number, v: number): void {
    const c = this.#context;
    if ((linear & 0xfff) <= 0xffc) this.#memory.write32(this.#at(c, linear, WRITE), v);
    else this.#writeAcross(c, linear, 4, v);
  }

  /** Reads with write intent, for read-modify-write instructions: the write that follows cannot fault. */
  readForWrite8(linear: number): number {
    return this.#memory.read8(this.#at(this.#context, linear, WRITE));
  }

  readForWrite16(linear: number): number {
    const c = this.#context;
    if ((linear & 0xfff) <= 0xffe) return this.#memory.read16(this.#at(c, linear, WRITE));
    return this.#readAcross(c, linear, 2, WRITE);
  }

  readForWrite32(linear: number): number {
    const c = this.#context;
    if ((linear & 0xfff) <= 0xffc) return this.#memory.read32(this.#at(c, linear, WRITE));
    return this.#readAcross(c, linear, 4, WRITE);
  }

  // ------------------------------------------------------------------------------------------------ implicit supervisor accesses

  /** Accesses to descriptor tables, TSS and inner stacks: supervisor accesses whatever the CPL. */
  readSystem8(linear: number): number {
    return this.#memory.read8(this.#at(this.#contextFor(false), linear, READ));
  }

  readSystem16(linear: number): number {
    const c = this.#contextFor(false);
    if ((linear & 0xfff) <= 0xffe) return this.#memory.read16(this.#at(c, linear, READ));
    return this.#readAcross(c, linear, 2, READ);
  }

  readSystem32(linear: number): number {
    const c = this.#contextFor(false);
    if ((linear & 0xfff) <= 0xffc) return this.#memory.read32(this.#at(c, linear, READ));
    return this.#readAcross(c, linear, 4, READ);
  }

  writeSystem8(linear: number, v: number): void {
    this.#memory.write8(this.#at(this.#contextFor(false), linear, WRITE), v);
  }

  writeSystem16(linear: number, v: number): void {
    const c = this.#contextFor(false);
    if ((linear & 0xfff) <= 0xffe) this.#memory.write16(this.#at(c, linear, WRITE), v);
    else this.#writeAcross(c, linear, 2, v);
  }

  writeSystem32(linear: number, v: number): void {
    const c = this.#contextFor(false);
    if ((linear & 0xfff) <= 0xffc) this.#memory.write32(this.#at(c, linear, WRITE), v);
    else this.#writeAcross(c, linear, 4, v);
  }

  // ------------------------------------------------------------------------------------------------ probes

  /** Makes sure that `bytes` bytes can be written, page by page upwards. Sets accessed and dirty flags, writes nothing else. */
  probeWrite(linear: number, bytes: number, user: boolean): void {
    if (bytes <= 0) return;
    const c = this.#contextFor(user);
    this.#at(c, linear, WRITE);
    for (let done = 4096 - (linear & 0xfff); done < bytes; done += 4096) this.#at(c, linear + done, WRITE);
  }

  /** Bus address of the byte if its page is RAM that the fast path may read, filling its slot; −1 if only the slow path will do. */
  ramForRead(linear: number): number {
    return this.#ram(linear, READ, 0);
  }

  /** The same for writes. */
  ramForWrite(linear: number): number {
    return this.#ram(linear, WRITE, WRITE_HALF);
  }

  #ram(linear: number, access: number, half: number): number {
    const c = this.#context;
    this.#at(c, linear, access);
    const e = this.T[c.base + half + (linear >>> 12)];
    return (e & 0xfff) === 0 ? e ^ linear : -1;
  }

  /** Bus address of a byte to be executed; −1 if it is not RAM. */
  fetchPage(linear: number): number {
    const at = this.#translate(this.#context, linear, EXECUTE);
    return at < this.#memory.bytes ? at : -1;
  }

  // ------------------------------------------------------------------------------------------------ events (rows in invalidate.ts)

  /** MOV to CR3 took place. */
  movToCr3(): void {
    this.#event('movToCr3', this.vpid, 0, 0, 0);
  }

  /** MOV to CR0 or CR4, LMSW or a task switch took place; the arguments are the values before. */
  controlRegistersChanged(oldCr0: number, oldCr4: number): void {
    const cr0 = (oldCr0 ^ this.#S[CR0]) & CR0_PG;
    const cr4 = (oldCr4 ^ this.#S[CR4]) & (CR4_PGE | CR4_PAE | CR4_PSE | CR4_SMEP);
    if (cr0 !== 0 || cr4 !== 0) this.#event('pagingModeChange', this.vpid, 0, 0, 0);
    this.selectContext();
  }

  invlpg(linear: number): void {
    this.#event('invlpg', this.vpid, 0, linear >>> 12, 0);
  }

  /** What a page fault kills. The accesses above do this themselves when they raise #PF. */
  pageFaulted(linear: number): void {
    this.#event('pageFault', this.vpid, 0, linear >>> 12, 0);
  }

  /** INVVPID with a valid type (0 to 3) and descriptor. */
  invvpid(type: number, vpid: number, linear: number): void {
    const kinds: readonly TlbEvent[] = ['invvpidAddress', 'invvpidSingle', 'invvpidAll', 'invvpidKeepGlobals'];
    const kind = kinds[type];
    if (kind !== undefined) this.#event(kind, vpid, 0, linear >>> 12, 0);
  }

  /** INVEPT with a valid type (1 or 2) and descriptor. */
  invept(type: number, eptpLow: number, eptpHigh: number): void {
    if (type === 1) this.#event('inveptSingle', 0, eptrtaOf(eptpLow, eptpHigh), 0, 0);
    else if (type === 2) this.#event('inveptAll', 0, 0, 0, 0);
  }

  /** VM entry or VM exit. VPIDs are off if the VPID is 0 on both sides of it: the one of the last selectContext, and the present one. */
  vmTransition(): void {
    if (this.vpid === 0 && this.#context.vpid === 0) this.#event('vmTransition', 0, 0, 0, 0);
    this.selectContext();
  }

  #event(event: TlbEvent, vpid: number, eptrta: number, page: number, guestPage: number): void {
    invalidate(this.caches, this.counts, event, { vpid, eptrta, page, guestPage });
  }

  // ------------------------------------------------------------------------------------------------ debugging and snapshots

  /** Where the tables in memory lead to now, whatever is cached; changes nothing. */
  physicalOf(linear: number, access: 'read' | 'write' | 'fetch' = 'read'): DebugTranslation {
    const c = this.#context;
    return debugWalk(this.#memory, this.#eptOptions, {
      paging: c.class !== UNPAGED,
      root: this.#S[CR3] >>> 12,
      pse: (this.#S[CR4] & CR4_PSE) !== 0,
      eptrta: c.eptrta,
      allows: (rights) => permits(rights, access === 'write' ? WRITE : access === 'fetch' ? EXECUTE : READ, c.class),
      access: access === 'write' ? WRITE : access === 'fetch' ? EXECUTE : READ,
      linear,
    });
  }

  save(): MmuState {
    return saveMmu(this);
  }

  /** Takes over caches and counts. The registers are restored by their owner, before this. */
  restore(state: Unvalidated<MmuState>): void {
    restoreMmu(this, state);
    this.#selectSpace(this.#context.vpid, this.#context.eptrta);
    this.selectContext();
  }

  // ------------------------------------------------------------------------------------------------ the way to an address

  /** The context of user or supervisor accesses in the space in force. */
  #contextFor(user: boolean): FastContext {
    const c = this.#context;
    if (c.class === UNPAGED || (c.class === USER_CLASS) === user) return c;
    const cls = user ? USER_CLASS : (this.#S[CR0] & CR0_WP) !== 0 ? SUPERVISOR_WP : SUPERVISOR;
    return this.caches.fast.select(c.vpid, c.eptrta, cls, c);
  }

  /** Bus address for a data access: from the fast tables, else by translation. */
  #at(c: FastContext, linear: number, access: number): number {
    const e = this.T[c.base + (access === WRITE ? WRITE_HALF : 0) + (linear >>> 12)];
    return (e & 0xfff) === 0 ? e ^ linear : this.#translate(c, linear, access);
  }

  #readAcross(c: FastContext, linear: number, size: number, access: number): number {
    const first = 4096 - (linear & 0xfff);
    const low = this.#at(c, linear, access);
    const high = this.#at(c, linear + first, access);
    let value = 0;
    for (let k = 0; k < size; k++) value |= this.#memory.read8(k < first ? low + k : high + k - first) << (8 * k);
    return value;
  }

  #writeAcross(c: FastContext, linear: number, size: number, v: number): void {
    const first = 4096 - (linear & 0xfff);
    const low = this.#at(c, linear, WRITE);
    const high = this.#at(c, linear + first, WRITE);
    for (let k = 0; k < size; k++) this.#memory.write8(k < first ? low + k : high + k - first, v >>> (8 * k));
  }

  /** Bus address of a linear one; sets flags, caches, fills the fast tables; throws the signal. */
  #translate(c: FastContext, linear: number, access: number): number {
    const page = linear >>> 12;
    const offset = linear & 0xfff;
    if (c.class === UNPAGED) return this.#translateUnpaged(c, linear, access);
    const store = this.caches.linear;
    let e = store.find(this.#space, page);
    if (e < 0) {
      this.counts.tlbMisses++;
      e = this.#walk(c, linear, access);
    } else {
      const flags = store.flags[e];
      if (!permits(flags, access, c.class)) {
        if (this.caches.policy.stalest)
          this.#pageFault(linear, PF_PRESENT, access, c.class, 'the cached translation forbids it');
        this.counts.rightsWalks++;
        e = this.#walk(c, linear, access);
      } else if (((flags >>> EPT_RIGHTS_SHIFT) & access) === 0) {
        if (this.caches.policy.stalest) {
          const guestPage = store.guestFrame[e] | (page & ((1 << store.shift(e)) - 1));
          this.#eptViolation(linear, guestPage, offset, access, flags >>> EPT_RIGHTS_SHIFT, true);
        }
        this.counts.rightsWalks++;
        e = this.#walk(c, linear, access);
      } else if (access === WRITE && (flags & ENTRY_DIRTY) === 0) {
        this.counts.dirtyWalks++;
        e = this.#walk(c, linear, access);
      }
    }
    const flags = store.flags[e];
    if (access === EXECUTE) store.flags[e] = flags | ENTRY_FETCHED;
    const frame = store.frame[e] | (page & ((1 << store.shift(e)) - 1));
    if (frame < this.#frames && permits(flags, READ, c.class) && ((flags >>> EPT_RIGHTS_SHIFT) & READ) !== 0) {
      const writable =
        (flags & ENTRY_DIRTY) !== 0 &&
        ((flags >>> EPT_RIGHTS_SHIFT) & WRITE) !== 0 &&
        permits(flags, WRITE, c.class) &&
        this.#memory.pageFlags[frame] === 0;
      this.caches.fast.fill(c, page, frame, writable, store.tagOf(e).global);
      store.mask[e] = store.mask[e] | (1 << c.index);
    }
    return frame * 4096 + offset;
  }

  /** CR0.PG = 0: the linear address is the physical one, of the guest if EPT is on (unrestricted guest). */
  #translateUnpaged(c: FastContext, linear: number, access: number): number {
    const page = linear >>> 12;
    let frame = page;
    let rights = READ | WRITE | EXECUTE;
    if (c.eptrta !== NO_EPT) {
      const nested = this.#nested;
      const ok = nested.translate(page, linear & 0xfff, access, true);
      if (nested.walked) {
        this.counts.walks++;
        this.counts.tlbMisses++;
      }
      if (!ok) this.#eptFailure(linear, true);
      frame = nested.frame;
      rights = nested.rights;
      const store = this.caches.guestPhysical;
      if (access === EXECUTE) store.flags[nested.entry] = store.flags[nested.entry] | ENTRY_FETCHED;
      store.mask[nested.entry] = store.mask[nested.entry] | (1 << c.index);
    }
    if (frame < this.#frames && (rights & READ) !== 0)
      this.caches.fast.fill(c, page, frame, (rights & WRITE) !== 0 && this.#memory.pageFlags[frame] === 0, false);
    return frame * 4096 + (linear & 0xfff);
  }

  /** Walks the tables for an access and caches what it finds; the entry. */
  #walk(c: FastContext, linear: number, access: number): number {
    const page = linear >>> 12;
    const walker = this.#walker;
    const nested = c.eptrta === NO_EPT ? null : this.#nested;
    const entries = nested ?? bareEntries;
    const format = (this.#S[CR4] & CR4_PSE) !== 0 ? ia32Pse : ia32;
    this.counts.walks++;
    const outcome = walker.walk(format, entries, this.#S[CR3] >>> 12, page, this.#structures);
    if (outcome === UNREACHABLE) this.#eptFailure(linear, false);
    if (outcome === ABSENT)
      this.#pageFault(
        linear,
        0,
        access,
        c.class,
        walker.level === 2 ? 'the page-directory entry is not present' : 'the page-table entry is not present',
      );
    if (outcome === RESERVED)
      this.#pageFault(
        linear,
        PF_PRESENT | PF_RESERVED,
        access,
        c.class,
        'a reserved bit is set in the page-directory entry',
      );
    if (!permits(walker.rights, access, c.class))
      this.#pageFault(
        linear,
        PF_PRESENT,
        access,
        c.class,
        access === WRITE ? 'the page may not be written' : 'the page is a supervisor page',
      );
    if (!walker.markUsed(format, entries, page, access === WRITE, this.#structures)) this.#eptFailure(linear, false);

    let { frame, shift } = walker;
    const guestFrame = frame;
    let flags = walker.rights | (walker.dirty ? ENTRY_DIRTY : 0);
    if (nested === null) flags |= (READ | WRITE | EXECUTE) << EPT_RIGHTS_SHIFT;
    else {
      if (!nested.translate(frame, linear & 0xfff, access, this.caches.policy.stalest)) this.#eptFailure(linear, true);
      frame = nested.frame;
      flags |= nested.rights << EPT_RIGHTS_SHIFT;
      if (nested.shift < shift) {
        shift = nested.shift;
        flags |= ENTRY_PIECE;
      }
    }
    const inside = (1 << shift) - 1;
    const store = this.caches.linear;
    const global = walker.global && (this.#S[CR4] & CR4_PGE) !== 0;
    const e = store.insert(this.#space, page, shift, global, frame & ~inside, guestFrame & ~inside, flags);
    this.counts.evictions = store.evictions + this.caches.guestPhysical.evictions;
    return e;
  }

  // ------------------------------------------------------------------------------------------------ faults

  #pageFault(linear: number, cause: number, access: number, cls: number, because: string): never {
    this.counts.pageFaults++;
    this.pageFaulted(linear);
    this.#signal.linear = linear >>> 0;
    const code = cause | (access === WRITE ? PF_WRITE : 0) | (cls === USER_CLASS ? PF_USER : 0);
    return this.#signal.raise(PF, code, because);
  }

  #eptFailure(linear: number, final: boolean): never {
    const n = this.#nested;
    if (!n.misconfigured)
      return this.#eptViolation(linear, n.failedPage, n.failedOffset, n.failedAccess, n.rights, final);
    this.counts.eptMisconfigurations++;
    return this.#eptSignal(
      SIGNAL_EPT_MISCONFIGURATION,
      linear,
      n.failedPage,
      n.failedOffset,
      0,
      'an EPT entry is misconfigured',
    );
  }

  #eptViolation(linear: number, page: number, offset: number, access: number, rights: number, final: boolean): never {
    this.counts.eptViolations++;
    this.#event('eptViolation', this.#context.vpid, this.#context.eptrta, linear >>> 12, page);
    const qualification = access | ((rights & 7) << EPT_RIGHTS) | EPT_LINEAR_VALID | (final ? EPT_FINAL : 0);
    return this.#eptSignal(SIGNAL_EPT_VIOLATION, linear, page, offset, qualification, 'EPT does not allow the access');
  }

  #eptSignal(
    kind: number,
    linear: number,
    page: number,
    offset: number,
    qualification: number,
    because: string,
  ): never {
    const signal = this.#signal;
    signal.kind = kind;
    signal.linear = linear >>> 0;
    signal.guestPhysicalLow = ((page << 12) | offset) >>> 0;
    signal.guestPhysicalHigh = page >>> 20;
    signal.qualification = qualification;
    signal.because = because;
    throw signal;
  }
}

/** EPTP[51:12] as a number of at most 28 bits: addresses have at most 40. */
const eptrtaOf = (low: number, high: number): number => (low >>> 12) | ((high & 0xff) << 20);

/** Whether rights by the guest's tables allow the access to this class (SDM Vol. 3, "Access Rights"). */
function permits(rights: number, access: number, cls: number): boolean {
  if (cls === USER_CLASS) return (rights & USER) !== 0 && (rights & access) !== 0;
  return (rights & access) !== 0 || (access === WRITE && cls === SUPERVISOR);
}
