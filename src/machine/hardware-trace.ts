/** Writes the event trace of a machine (trace-event.ts). A frame that a walk reads becomes a tracked one: from then on every version of
 *  its words is told, whether a guest, root-mode software or the processor itself writes it. Attach it before the machine runs. */
import { CR0, CR0_PG, CR3, CR4, CR4_PAE, EFER, EFER_NXE, PDPTE } from '../base/registers.ts';
import type { TlbEvent } from '../mmu/observer.ts';
import { PAGE_TRACKED } from '../mmu/physical-memory.ts';
import { SECONDARY } from '../vmx/controls.ts';
import { W_PML_ADDRESS, W_PML_INDEX } from '../vmx/words.ts';
import { CachedTranslations } from './hardware-state.ts';
import type { Machine } from './machine.ts';
import { attachOwnershipPort } from './ownership-port.ts';
import type { Regime, TraceEvent } from './trace-event.ts';

export interface HardwareTraceOptions {
  /** Tell everything that is cached at each VM entry and exit. @defaultValue true */
  readonly snapshots?: boolean;
  /** Where machine code declares ownership: the first of four ports. @defaultValue 6E0h */
  readonly ownershipPort?: number;
}

const WORDS = 1024;
const NO_EPT = -1;
/** Of the EPT pointer. */
const EPT_FLAGS = 0x40;
/** Entries of a page-modification log. */
const LOG_ENTRIES = 512;

export class HardwareTrace {
  readonly #machine: Machine;
  readonly #sink: (event: TraceEvent) => void;
  readonly #snapshots: boolean;
  /** Words of tracked frames, as last told. */
  readonly #known = new Map<number, Int32Array>();
  /** Frames among them that may have changed since. */
  readonly #dirty = new Set<number>();
  #regime: Regime | null = null;
  readonly #cached: CachedTranslations;
  #logIndex = 0;

  constructor(machine: Machine, sink: (event: TraceEvent) => void, options: HardwareTraceOptions = {}) {
    this.#machine = machine;
    this.#cached = new CachedTranslations(machine.cpu.mmu);
    this.#sink = sink;
    this.#snapshots = options.snapshots ?? true;
    sink({ kind: 'machine', bytes: machine.memory.bytes });
    attachOwnershipPort(machine, options.ownershipPort ?? 0x6e0);
    machine.memory.onFlaggedWrite = (frame, flags) => {
      if ((flags & PAGE_TRACKED) === 0) return;
      this.#tell(frame); // what an earlier write has left there
      this.#dirty.add(frame);
    };
    machine.observe({
      onPageWalkStep: ({ at }) => this.#walked(at),
      onFlush: (event, target) => this.#flushed(event, target),
      onOwnership: (change) => sink(change),
      onEntry: () => this.#entered(),
      onExit: (reason) => this.#exited(reason),
    });
  }

  /** Begins another trace, after the machine was restored from a state with nothing cached. */
  restart(): void {
    this.#known.clear();
    this.#dirty.clear();
    this.#regime = null;
    this.#sink({ kind: 'machine', bytes: this.#machine.memory.bytes });
  }

  /** Tells every word that has changed, and what is cached now. */
  snapshot(): void {
    this.#catchUp();
    this.#sink({ kind: 'tlb', entries: this.#cached.read() });
  }

  #walked(at: number): void {
    this.#catchUp();
    this.#tellRegime();
    const frame = Math.floor(at / 4096);
    const { memory } = this.#machine;
    if (this.#known.has(frame) || frame >= memory.bytes / 4096) return;
    const words = memory.i32.slice(frame * WORDS, (frame + 1) * WORDS);
    this.#known.set(frame, words);
    memory.setPageFlag(frame, PAGE_TRACKED);
    const present: [number, number][] = [];
    words.forEach((value, index) => {
      if (value !== 0) present.push([index, value]);
    });
    this.#sink({ kind: 'table', frame, words: present });
  }

  #flushed(event: TlbEvent, target: { vpid: number; eptrta: number; page: number; guestPage: number }): void {
    this.#catchUp();
    this.#tellRegime();
    const { vpid, eptrta, page, guestPage } = target;
    this.#sink({ kind: 'flush', event, vpid, eptrta, page, guestPage });
  }

  #entered(): void {
    this.#catchUp();
    const { mmu } = this.#machine.cpu;
    const eptp = mmu.eptEnabled ? mmu.eptpLow : NO_EPT;
    this.#sink({ kind: 'entry', vmcs: this.#vmcs(), vpid: mmu.vpid, eptp });
    this.#logIndex = this.#machine.vmx?.context.words[W_PML_INDEX] ?? 0;
    if (this.#snapshots) this.snapshot();
  }

  #exited(reason: number): void {
    if (this.#snapshots) this.snapshot();
    else this.#catchUp();
    const logged = this.#logged();
    this.#sink({ kind: 'exit', vmcs: this.#vmcs(), reason, ...(logged === null ? {} : { logged }) });
  }

  /** Pages that stand in the log below where it began at the entry (SDM Vol. 3, "Page-Modification Logging"); null: there is no log. */
  #logged(): number[] | null {
    const context = this.#machine.vmx?.context;
    if (context === undefined || !context.secondary(SECONDARY.ENABLE_PML)) return null;
    const { memory } = this.#machine;
    const base = context.words[W_PML_ADDRESS] >>> 0;
    const pages: number[] = [];
    for (let n = this.#logIndex; n < LOG_ENTRIES && n !== context.words[W_PML_INDEX]; n = (n - 1) & 0xffff)
      pages.push((memory.read32(base + 8 * n) >>> 12) + (memory.read32(base + 8 * n + 4) & 0xf_ffff) * 0x10_0000);
    return pages;
  }

  #vmcs(): number {
    return this.#machine.vmx?.context.current?.address ?? -1;
  }

  /** Tells the regime if it is another one than before. */
  #tellRegime(): void {
    const { S, mmu } = this.#machine.cpu;
    const regime = {
      vpid: mmu.vpid,
      eptrta: mmu.eptEnabled ? (mmu.eptpLow >>> 12) | ((mmu.eptpHigh & 0xff) << 20) : NO_EPT,
      paging: (S[CR0] & CR0_PG) !== 0,
      cr3: S[CR3] >>> 0,
      cr4: S[CR4] >>> 0,
      nxe: (S[EFER] & EFER_NXE) !== 0,
      eptFlags: mmu.eptEnabled && (mmu.eptpLow & EPT_FLAGS) !== 0,
      pdptes: (S[CR4] & CR4_PAE) === 0 ? [] : [...S.subarray(PDPTE, PDPTE + 8)],
    };
    if (this.#regime !== null && isSame(regime, this.#regime)) return;
    this.#regime = regime;
    this.#sink({ kind: 'regime', ...regime });
  }

  #catchUp(): void {
    for (const frame of this.#dirty) this.#tell(frame);
    this.#dirty.clear();
  }

  /** Tells the words of a frame that are others than told before. */
  #tell(frame: number): void {
    const known = this.#known.get(frame);
    if (known === undefined || !this.#dirty.has(frame)) return;
    const { i32 } = this.#machine.memory;
    for (let k = 0; k < WORDS; k++) {
      const value = i32[frame * WORDS + k];
      if (value === known[k]) continue;
      known[k] = value;
      this.#sink({ kind: 'write', at: frame * 4096 + k * 4, value });
    }
  }
}

const isSame = (a: Regime, b: Regime): boolean =>
  a.vpid === b.vpid &&
  a.eptrta === b.eptrta &&
  a.paging === b.paging &&
  a.cr3 === b.cr3 &&
  a.cr4 === b.cr4 &&
  a.nxe === b.nxe &&
  a.eptFlags === b.eptFlags &&
  a.pdptes.length === b.pdptes.length &&
  a.pdptes.every((word, k) => word === b.pdptes[k]);
