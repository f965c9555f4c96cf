/** The shadow pager of one VM: the processor walks tables of the hypervisor, which are made from the guest's as they are needed.
 *  The memory of the hypervisor that this takes is set aside when the VM is made. */

import type { GuestPhysical, Linear } from '../../base/address.ts';
import { CR0_NE, CR0_PG, CR4_SMAP, CR4_VMXE, FLAG_AC } from '../../base/registers.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import { VM_ENTRY } from '../../vmx/controls.ts';
import * as F from '../../vmx/fields.ts';
import type { Controls } from '../controls.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { PAGE_BYTES } from '../paging/entry.ts';
import type { GuestFormats } from '../paging/formats.ts';
import { IA32_EFER, PDPTE_WORDS, readPdptes, usesPae } from '../paging/registers.ts';
import { enterVirtual8086, leaveVirtual8086, realField } from '../real/state.ts';
import type { Vcpu } from '../vcpu.ts';
import { audit } from './audit.ts';
import { checkRoot } from './directories.ts';
import { handleFault } from './fill.ts';
import { FlushList } from './flush.ts';
import { type Phase, phaseFor, realEfer, writeRegisters } from './modes.ts';
import { type ShadowOptions, ShadowStats, shadowOptions } from './options.ts';
import { ReverseMaps } from './reverse-maps.ts';
import { makeRoom, tableOf, zapAll, zapRoot } from './room.ts';
import { rootFor } from './roots.ts';
import type { ShadowState } from './state.ts';
import { type StandIns, Step } from './step.ts';
import { noteWrite, syncPage, syncRoot } from './sync.ts';
import { type ShadowTable, ShadowTables } from './tables.ts';

/** Page faults that one instruction may take, with the event that it delivers. */
const MOST_FAULTS = 1000;

export interface PagerParts {
  readonly root: RootMode;
  readonly memory: GuestMemory;
  readonly formats: GuestFormats;
  readonly vcpu: Vcpu;
  readonly vpid: number;
  readonly controls: Controls;
  readonly options: ShadowOptions;
  readonly standIns: StandIns;
  /** Yields a page of the host for each table. */
  readonly newPage: () => number;
}

export class ShadowPager {
  readonly stats = new ShadowStats();
  readonly step: Step;
  readonly #state: ShadowState;
  readonly #vcpu: Vcpu;
  readonly #controls: Controls;
  readonly #root: RootMode;
  /** Roots that were in use, the last one at the end. */
  readonly #roots: ShadowTable[] = [];
  #phase: Phase = 'shadow';
  /** Faults since the guest last completed an instruction, and how many it had completed then. */
  #faults = 0;
  #retired = -1;

  constructor({ root, memory, formats, vcpu, vpid, controls, options, standIns, newPage }: PagerParts) {
    const all = shadowOptions(options, memory.bytes / PAGE_BYTES);
    this.#vcpu = vcpu;
    this.#controls = controls;
    this.#root = root;
    const pages = Array.from({ length: all.tables }, newPage);
    this.#state = {
      host: root.memory,
      guest: memory,
      formats,
      registers: { cr0: 0, cr3: 0, cr4: 0, efer: 0, pdptes: new Int32Array(PDPTE_WORDS) },
      tables: new ShadowTables(root.memory, pages, all.bypass ? newPage() : 0),
      maps: new ReverseMaps(),
      largeMaps: new ReverseMaps(),
      flush: new FlushList(root, vpid, this.stats),
      options: all,
      stats: this.stats,
      root: null,
    };
    this.step = new Step(this.#state, standIns);
    vcpu.shadowed = this.#state.registers;
    memory.onWrite = (address, bytes) => this.#noteWrite(address, bytes);
  }

  get options(): Required<ShadowOptions> {
    return this.#state.options;
  }

  /** Bits of CR4 that the guest may set. */
  get cr4Bits(): number {
    return this.#controls.cr4Allowed & ~CR4_VMXE;
  }

  /** IA32_EFER as the guest sees it, low half. */
  get efer(): number {
    return this.#state.registers.efer;
  }

  /** Handles a #PF: the error code of the guest's own fault, or what `fill.ts` says. */
  fault(linear: Linear, errorCode: number): number {
    const { registers } = this.#state;
    // SMAP spares what the supervisor does explicitly with EFLAGS.AC set; what it does for code of ring 3 is implicit.
    const vcpu = this.#vcpu;
    const isSpared = (registers.cr4 & CR4_SMAP) === 0 || (vcpu.cpl !== 3 && (vcpu.eflags & FLAG_AC) !== 0);
    return handleFault(this.#state, linear, errorCode, isSpared);
  }

  /** Whether the guest completes instructions between its faults: what needs more than this never succeeds. */
  isGettingOn(retired: number): boolean {
    this.#faults = retired === this.#retired ? this.#faults + 1 : 0;
    this.#retired = retired;
    return this.#faults < MOST_FAULTS;
  }

  /** The guest's CR0, CR3 and CR4 are these from now on. */
  setRegisters(cr0: number, cr3: number, cr4: number): void {
    const { registers } = this.#state;
    registers.cr0 = cr0;
    registers.cr3 = cr3;
    registers.cr4 = cr4;
    const before = this.#phase;
    const phase = phaseFor(cr0, before, this.#controls);
    if (phase === 'ept') zapAll(this.#state); // the guest's writes to its tables are not seen
    if (phase !== before && before === 'virtual-8086') leaveVirtual8086(this.#vcpu);
    if (phase !== before && phase === 'virtual-8086') enterVirtual8086(this.#vcpu);
    this.#phase = phase;
    writeRegisters(this.#vcpu, this.#controls, phase, registers, this.options.bypass);
    if (phase !== 'ept') this.#loadRoot();
    this.#state.flush.all();
  }

  /** WRMSR of IA32_EFER. */
  setEfer(value: number): void {
    const { registers } = this.#state;
    registers.efer = value;
    this.setRegisters(registers.cr0, registers.cr3, registers.cr4);
  }

  /** MOV to CR3. False, and nothing changed, if a PDPTE has reserved bits. */
  loadCr3(value: number): boolean {
    const { registers, flush } = this.#state;
    if (usesPae(registers.cr0, registers.cr4) && !this.loadPdptes(value)) return false;
    registers.cr3 = value;
    if (this.#phase !== 'ept') {
      if ((registers.cr0 & CR0_PG) !== 0) this.#loadRoot();
    } else this.#vcpu.write(F.GUEST_CR3, value);
    flush.notGlobal();
    return true;
  }

  /** Loads the PDPTE registers as for this value of CR3; the same. They count when CR3 or the mode is set the next time. */
  loadPdptes(cr3: number): boolean {
    const { guest, formats, registers } = this.#state;
    const words = readPdptes(guest, formats, cr3);
    if (words !== null) registers.pdptes.set(words);
    return words !== null;
  }

  /** INVLPG: the entry for this address is as in the guest's tables again. */
  invlpg(linear: Linear): void {
    this.stats.invlpgs++;
    syncPage(this.#state, linear);
  }

  /** The hypervisor has found that the guest faults there: what is cached of the page is gone. */
  faulted(linear: Linear): void {
    syncPage(this.#state, linear);
  }

  /** Just before the guest runs. */
  beforeEntry(): void {
    this.#state.flush.run();
    if ((this.#controls.entry & VM_ENTRY.LOAD_IA32_EFER) === 0) this.#writeEfer();
  }

  /** Where VM entries do not load IA32_EFER, the guest runs with what root mode has. */
  #writeEfer(): void {
    const now = this.#root.rdmsr(IA32_EFER);
    const wanted = realEfer(this.#phase, this.#state.registers);
    if (now !== 'gp' && now.lo !== wanted) this.#root.wrmsr(IA32_EFER, wanted, 0);
  }

  /** Gives all shadow tables up, for instance because the guest's memory is about to be replaced. */
  forget(): void {
    if (this.step.isActive) this.step.end();
    zapAll(this.#state);
    this.#roots.length = 0;
  }

  /** Which fields of a saved state are the pager's alone. */
  holds(field: number): boolean {
    return isPdpte(field) || field === F.GUEST_IA32_EFER;
  }

  /** The VMCS holds the state of another VM, in the guest's own terms: takes its control registers over. */
  restored(fields: ReadonlyMap<number, number>): void {
    const vcpu = this.#vcpu;
    const { registers } = this.#state;
    registers.efer = fields.get(F.GUEST_IA32_EFER) ?? 0;
    for (let k = 0; k < PDPTE_WORDS; k++) registers.pdptes[k] = fields.get(F.GUEST_PDPTE0 + k) ?? 0;
    vcpu.virtualIopl = -1;
    this.#phase = this.#controls.real === null ? 'shadow' : 'ept';
    const cr0 = (vcpu.read(F.GUEST_CR0) & ~CR0_NE) | (vcpu.read(F.CR0_READ_SHADOW) & CR0_NE);
    this.setRegisters(cr0, vcpu.read(F.GUEST_CR3), vcpu.read(F.GUEST_CR4) & ~CR4_VMXE);
  }

  /** Compares every shadow entry with the guest's tables, if asked to. Throws if one allows what it must not. */
  audit(): void {
    if (!this.options.audit || this.step.isActive) return;
    const found = audit(this.#state);
    if (found !== null) throw new Error(`shadow audit: ${found}`);
  }

  /** The guest's own value of a VMCS field that the pager has replaced, null for any other. */
  guestField(field: number): number | null {
    const { cr3, efer, pdptes } = this.#state.registers;
    if (isPdpte(field)) return pdptes[field - F.GUEST_PDPTE0];
    switch (field) {
      case F.GUEST_CR0:
        return this.#vcpu.cr0 | this.#controls.cr0Required;
      case F.CR0_READ_SHADOW:
        return this.#vcpu.cr0;
      case F.GUEST_CR3:
        return cr3;
      case F.GUEST_IA32_EFER:
        return efer;
      case F.GUEST_CR4:
        return this.#vcpu.cr4 | this.#controls.cr4Required;
      case F.CR4_READ_SHADOW:
        return this.#vcpu.cr4;
      default:
        return this.#vcpu.isVirtual8086 ? realField(this.#vcpu, field) : null;
    }
  }

  #loadRoot(): void {
    const s = this.#state;
    const { guestFrame, role } = rootFor(s.registers);
    if (s.tables.find(guestFrame, role) === undefined) this.stats.rootMisses++;
    else this.stats.rootHits++;
    makeRoom(s, 1);
    const root = tableOf(s, guestFrame, role);
    s.root = root;
    this.#vcpu.write(F.GUEST_CR3, root.address);
    checkRoot(s, root);
    syncRoot(s, root);
    this.#keepRoot(root);
  }

  #keepRoot(root: ShadowTable): void {
    const known = this.#roots.indexOf(root);
    if (known >= 0) this.#roots.splice(known, 1);
    this.#roots.push(root);
    if (this.#roots.length <= this.options.roots) return;
    const oldest = this.#roots.shift();
    if (oldest?.alive && oldest.isRoot) zapRoot(this.#state, oldest);
  }

  #noteWrite(address: GuestPhysical, bytes: number): void {
    const last = address + bytes - 1;
    for (let at = address; at <= last; at += PAGE_BYTES - (at % PAGE_BYTES)) {
      const first = at % PAGE_BYTES;
      noteWrite(this.#state, Math.floor(at / PAGE_BYTES), first, Math.min(first + last - at, PAGE_BYTES - 1));
    }
  }
}

const isPdpte = (field: number): boolean => field >= F.GUEST_PDPTE0 && field < F.GUEST_PDPTE0 + PDPTE_WORDS;
