/** The memory unit of one processor: linear addresses to the bus, under the translation regime that its registers describe
 *  (SDM Vol. 3, "Paging", and "VMX Support for Address Translation"). Hot paths read T; all else comes here. */
import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { CONTEXT, CR0, CR0_PG, CR4, CR4_PAE, CR4_PGE, CR4_PSE, CR4_SMEP, SYSTEM_CONTEXT } from '../base/registers.ts';
import type { Signal } from '../base/signal.ts';
import { readAcross, writeAcross } from './across.ts';
import type { DebugTranslation } from './debug-walk.ts';
import { type EptFormats, type EptOptions, eptFormats } from './ept.ts';
import { HELD, WRITE_HALF } from './fast-tables.ts';
import { Faults } from './faults.ts';
import type { FlushAudit } from './flush-audit.ts';
import type { Place } from './flush-path.ts';
import { Inspection, type NamedAccess } from './inspection.ts';
import { invalidate } from './invalidate.ts';
import { Nested } from './nested.ts';
import { type MmuCounts, type MmuObserver, newCounts, type PageWalkStep, type TlbEvent } from './observer.ts';
import { type MmuState, restoreMmu, saveMmu } from './persist.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import type { TranslationCacheOptions } from './policy.ts';
import { Regime } from './regime.ts';
import { NO_EPT } from './space.ts';
import { EXECUTE, READ, WRITE } from './table-format.ts';
import { TranslationCaches } from './translation-caches.ts';
import { Translator } from './translator.ts';
import { Walker } from './walker.ts';

export interface MmuOptions {
  readonly memory: PhysicalMemory;
  readonly signal: Signal;
  /** The processor's register file. */
  readonly registers: Int32Array;
  /** Fast contexts, 3 to 31: 8 MiB each once used. @defaultValue 16 */
  readonly contexts?: number;
  /** Where the fast tables shall stand: fastTableWords(contexts) words. @defaultValue an array of their own */
  readonly fastTables?: Int32Array;
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
  readonly #S: Int32Array;
  readonly #inspection: Inspection;
  readonly #nested: Nested;
  readonly #faults: Faults;
  #formats: EptFormats;
  readonly #regime: Regime;
  readonly #translator: Translator;
  /** The APIC-access page of the guest that ran last. */
  #guestApicFrame = -1;

  constructor(options: MmuOptions) {
    const { memory, signal, registers, contexts = 16, cache = { kind: 'unlimited' }, observer = null } = options;
    if (!(Number.isInteger(contexts) && contexts >= 3 && contexts <= 31))
      throw new InvalidInput(`fast contexts: ${contexts}, must be 3 to 31`);
    const counts = this.counts;
    const caches = new TranslationCaches(cache, contexts, memory.bytes >>> 12, counts, options.fastTables);
    this.#memory = memory;
    this.#S = registers;
    const ept = options.ept ?? { physicalAddressBits: 36, executeOnly: false };
    this.caches = caches;
    caches.observer = observer;
    this.T = caches.fast.T;
    this.#formats = eptFormats(ept);
    const nested = new Nested(this.#formats.plain, new Walker(memory, counts, observer), caches, counts);
    const walker = new Walker(memory, counts, observer);
    const faults = new Faults(signal, caches, counts);
    this.#nested = nested;
    this.#faults = faults;
    faults.advancedInformation = ept.advancedInformation === true;
    const regime = new Regime(registers, ept.physicalAddressBits);
    this.#regime = regime;
    this.#translator = new Translator({ memory, registers, caches, counts, faults, walker, nested, regime, observer });
    const hasEptFlags = (): boolean => (this.eptpLow & EPTP_FLAGS) !== 0;
    this.#inspection = new Inspection({ memory, caches, regime, translator: this.#translator, hasEptFlags }, ept);
    memory.onPageFlagged((frame) => caches.fast.killWriteSlots(frame));
    this.selectContext();
  }

  // ------------------------------------------------------------------------------------------------ translation regime

  /** What EPT entries may be on this processor. */
  configureEpt(options: EptOptions): void {
    this.#inspection.eptOptions = options;
    this.#formats = eptFormats(options);
    this.#faults.advancedInformation = options.advancedInformation === true;
    this.eptPointerChanged();
  }

  /** Page-modification logging: called with each guest-physical page whose D is about to be set; false: there is no room. */
  set dirtyLog(log: ((guestPage: number) => boolean) | null) {
    this.#nested.log = log;
  }

  /** The EPT pointer got another value: what is cached stays (SDM Vol. 3, "EPTP switching"). */
  eptPointerChanged(): void {
    this.#nested.format = (this.eptpLow & EPTP_FLAGS) !== 0 ? this.#formats.flags : this.#formats.plain;
    this.selectContext();
  }

  /** Puts the context into force that the registers, VPID and EPT pointer ask for. */
  selectContext(): void {
    this.#select(false);
  }

  #select(anew: boolean): void {
    const S = this.#S;
    const cls = this.#regime.classInForce();
    const eptrta = this.eptEnabled ? eptrtaOf(this.eptpLow, this.eptpHigh) : NO_EPT;
    const t = this.#translator;
    const c = t.context;
    if (anew || c.class !== cls || c.vpid !== this.vpid || c.eptrta !== eptrta) t.select(this.vpid, eptrta, cls, anew);
    const rules = this.#regime.fetchRules();
    if (t.context.fetchRules !== rules) {
      t.context.fetchRules = rules;
      this.caches.fast.generation++;
    }
    S[CONTEXT] = t.context.base;
    S[SYSTEM_CONTEXT] = t.contextFor(false).base;
  }

  /** Increments when a translation that a fetch may have used is dropped, or a context base gets another meaning: what fetchPage
   *  returned holds for one value of S[CONTEXT] and of this. */
  get fetchGeneration(): number {
    return this.caches.fast.generation;
  }

  /** Names the frame whose accesses in the guest about to be entered are for `onApicAccess`; −1: none. */
  setApicFrame(frame: number): void {
    this.#translator.apicFrame = frame;
    if (frame === this.#guestApicFrame) return;
    this.#guestApicFrame = frame;
    if (frame < 0) return;
    this.caches.fast.clearAll();
    this.caches.fast.generation++;
  }

  /** In root operation there is no such frame. */
  leaveApicFrame(): void {
    this.#translator.apicFrame = -1;
  }

  set onApicAccess(redirect: (offset: number, access: number) => number) {
    this.#translator.onApicAccess = redirect;
  }

  // ------------------------------------------------------------------------------------------------ accesses at the current CPL

  read8(linear: number): number {
    return this.#memory.read8(this.#translator.at(this.#translator.context, linear, READ, 1));
  }

  read16(linear: number): number {
    const c = this.#translator.context;
    if ((linear & 0xfff) <= 0xffe) return this.#memory.read16(this.#translator.at(c, linear, READ, 2));
    return readAcross(this.#memory, this.#translator, c, linear, 2, READ);
  }

  read32(linear: number): number {
    const c = this.#translator.context;
    if ((linear & 0xfff) <= 0xffc) return this.#memory.read32(this.#translator.at(c, linear, READ, 4));
    return readAcross(this.#memory, this.#translator, c, linear, 4, READ);
  }

  write8(linear: number, v: number): void {
    this.#memory.write8(this.#translator.at(this.#translator.context, linear, WRITE, 1), v);
  }

  write16(linear: number, v: number): void {
    const c = this.#translator.context;
    if ((linear & 0xfff) <= 0xffe) this.#memory.write16(this.#translator.at(c, linear, WRITE, 2), v);
    else writeAcross(this.#memory, this.#translator, c, linear, 2, v);
  }

  write32(linear: number, v: number): void {
    const c = this.#translator.context;
    if ((linear & 0xfff) <= 0xffc) this.#memory.write32(this.#translator.at(c, linear, WRITE, 4), v);
    else writeAcross(this.#memory, this.#translator, c, linear, 4, v);
  }

  /** Reads with write intent, for read-modify-write instructions: the write that follows cannot fault. */
  readForWrite8(linear: number): number {
    return this.#memory.read8(this.#translator.at(this.#translator.context, linear, WRITE, 1));
  }

  readForWrite16(linear: number): number {
    const c = this.#translator.context;
    if ((linear & 0xfff) <= 0xffe) return this.#memory.read16(this.#translator.at(c, linear, WRITE, 2));
    return readAcross(this.#memory, this.#translator, c, linear, 2, WRITE);
  }

  readForWrite32(linear: number): number {
    const c = this.#translator.context;
    if ((linear & 0xfff) <= 0xffc) return this.#memory.read32(this.#translator.at(c, linear, WRITE, 4));
    return readAcross(this.#memory, this.#translator, c, linear, 4, WRITE);
  }

  // ------------------------------------------------------------------------------------------------ implicit supervisor accesses

  /** Accesses to descriptor tables, TSS and inner stacks: supervisor accesses whatever the CPL. */
  readSystem8(linear: number): number {
    return this.#memory.read8(this.#translator.at(this.#translator.contextFor(false), linear, READ, 1));
  }

  readSystem16(linear: number): number {
    const c = this.#translator.contextFor(false);
    if ((linear & 0xfff) <= 0xffe) return this.#memory.read16(this.#translator.at(c, linear, READ, 2));
    return readAcross(this.#memory, this.#translator, c, linear, 2, READ);
  }

  readSystem32(linear: number): number {
    const c = this.#translator.contextFor(false);
    if ((linear & 0xfff) <= 0xffc) return this.#memory.read32(this.#translator.at(c, linear, READ, 4));
    return readAcross(this.#memory, this.#translator, c, linear, 4, READ);
  }

  writeSystem8(linear: number, v: number): void {
    this.#memory.write8(this.#translator.at(this.#translator.contextFor(false), linear, WRITE, 1), v);
  }

  writeSystem16(linear: number, v: number): void {
    const c = this.#translator.contextFor(false);
    if ((linear & 0xfff) <= 0xffe) this.#memory.write16(this.#translator.at(c, linear, WRITE, 2), v);
    else writeAcross(this.#memory, this.#translator, c, linear, 2, v);
  }

  writeSystem32(linear: number, v: number): void {
    const c = this.#translator.contextFor(false);
    if ((linear & 0xfff) <= 0xffc) this.#memory.write32(this.#translator.at(c, linear, WRITE, 4), v);
    else writeAcross(this.#memory, this.#translator, c, linear, 4, v);
  }

  // ------------------------------------------------------------------------------------------------ probes

  /** Makes sure that `bytes` bytes can be written, page by page upwards. Sets accessed and dirty flags, writes nothing else. */
  probeWrite(linear: number, bytes: number, user: boolean): void {
    if (bytes <= 0) return;
    const c = this.#translator.contextFor(user);
    this.#translator.at(c, linear, WRITE, 0);
    for (let done = 4096 - (linear & 0xfff); done < bytes; done += 4096)
      this.#translator.at(c, linear + done, WRITE, 0);
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
    const c = this.#translator.context;
    const at = c.base + half + (linear >>> 12);
    const known = this.T[at];
    if ((known & 1) === 0) return known ^ linear;
    this.#translator.at(c, linear, access, 0);
    const e = this.T[at];
    if ((e & 1) === 0) return e ^ linear;
    if ((e & HELD) !== HELD) return -1;
    const physical = (e & -4096) ^ linear;
    if (this.#memory.pageFlags[physical >>> 12] !== 0) return -1;
    this.caches.fast.release(at, physical >>> 12);
    return physical;
  }

  /** Bus address of a byte to be executed; −1 if it is not RAM. */
  fetchPage(linear: number): number {
    const at = this.#translator.translate(this.#translator.context, linear, EXECUTE);
    return at < this.#memory.bytes ? at : -1;
  }

  /** Whether `watch` has a listener. */
  get isWatching(): boolean {
    return this.#translator.onAccess !== null;
  }

  /** Tells `onAccess` of every data access to these linear pages from now on, of some others too; not of fetches and page walks.
   *  Null: of none. */
  watch(pages: readonly number[], onAccess: ((linear: number, bytes: number, write: boolean) => void) | null): void {
    const { fast } = this.caches;
    this.#translator.onAccess = onAccess;
    fast.watched = onAccess === null ? null : new Set(pages);
    fast.clearAll();
  }

  /** Whether every data access takes the slow path, so that an observer sees each of them. */
  set showsEachAccess(on: boolean) {
    const { fast } = this.caches;
    if (fast.copiesNothing === on) return;
    fast.copiesNothing = on;
    fast.clearAll();
  }

  // ------------------------------------------------------------------------------------------------ events (rows in invalidate.ts)

  /** MOV to CR3 took place. */
  movToCr3(): void {
    this.#event('movToCr3', this.vpid, 0, 0, 0);
  }

  /** MOV to CR0 or CR4, LMSW or a task switch took place; the arguments are the values before. */
  controlRegistersChanged(oldCr0: number, oldCr4: number): void {
    const cr0 = (oldCr0 ^ this.#S[CR0]) & CR0_PG;
    const cr4 = ((oldCr4 ^ this.#S[CR4]) & (CR4_PGE | CR4_PAE | CR4_PSE)) | (~oldCr4 & this.#S[CR4] & CR4_SMEP);
    if (cr0 !== 0 || cr4 !== 0) this.#event('pagingModeChange', this.vpid, 0, 0, 0);
    this.selectContext();
  }

  /** Loads the PDPTE registers from the table that a value of CR3 points to; throws the signal where EPT refuses. False, and nothing
   *  changed, if an entry has a reserved bit. */
  loadPointers(cr3: number): boolean {
    return this.#translator.loadPointers(cr3);
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

  /** VM entry or VM exit, with VPIDs on or off: on, where nothing is said, if the VPID of the last selectContext or the present one is
   *  not 0. */
  vmTransition(vpids: boolean = this.vpid !== 0 || this.#translator.context.vpid !== 0): void {
    if (!vpids) this.#event('vmTransition', 0, 0, 0, 0);
    this.eptPointerChanged();
  }

  #event(event: TlbEvent, vpid: number, eptrta: number, page: number, guestPage: number): void {
    invalidate(this.caches, this.counts, event, { vpid, eptrta, page, guestPage });
  }

  // ------------------------------------------------------------------------------------------------ debugging and snapshots

  /** Where the tables in memory lead to now, whatever is cached; changes nothing. */
  physicalOf(linear: number, access: NamedAccess = 'read'): DebugTranslation {
    return this.#inspection.physicalOf(linear, access);
  }

  /** The same for a read, whatever the guest's tables say of rights; each entry on the way is told. */
  walkTo(linear: number, onPageWalkStep: (step: PageWalkStep) => void): DebugTranslation {
    return this.#inspection.walkTo(linear, onPageWalkStep);
  }

  /** From now on each use of a translation is compared with the tables. Slow; `where` tells the moment, for reports. */
  auditFlushes(where: () => Place): FlushAudit {
    return this.#inspection.auditFlushes(where);
  }

  save(): MmuState {
    return saveMmu(this);
  }

  /** Takes over caches and counts. The registers are restored by their owner, before this. */
  restore(state: Unvalidated<MmuState>): void {
    restoreMmu(this, state);
    this.eptPointerChanged();
    this.#select(true);
  }
}

/** EPT pointer: accessed and dirty flags are on. */
const EPTP_FLAGS = 0x40;

/** EPTP[51:12] as a number of at most 28 bits: addresses have at most 40. */
const eptrtaOf = (low: number, high: number): number => (low >>> 12) | ((high & 0xff) << 20);
