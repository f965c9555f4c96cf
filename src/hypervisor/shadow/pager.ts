/** The shadow pager of one VM: the processor walks tables of the hypervisor, which are made from the guest's as they are needed.
 *  The memory of the hypervisor that this takes is set aside when the VM is made. */

import type { GuestPhysical, Linear } from '../../base/address.ts';
import {
  CR0_NE,
  CR0_PG,
  CR0_WP,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_VMXE,
  FLAG_AC,
} from '../../base/registers.ts';
import type { RootMode } from '../../machine/root-mode.ts';
import * as F from '../../vmx/fields.ts';
import type { Controls } from '../controls.ts';
import type { GuestMemory } from '../guest-memory.ts';
import { enterVirtual8086, leaveVirtual8086, realField } from '../real/state.ts';
import type { Vcpu } from '../vcpu.ts';
import { audit } from './audit.ts';
import { ENTRY_BYTES, frameOf, PAGE_BYTES } from './entries.ts';
import { handleFault } from './fill.ts';
import { FlushList } from './flush.ts';
import { type Phase, phaseFor, writeRegisters } from './modes.ts';
import { type ShadowOptions, ShadowStats, shadowOptions } from './options.ts';
import { ReverseMaps } from './reverse-maps.ts';
import * as role from './role.ts';
import { makeRoom, tableOf, zap, zapAll } from './room.ts';
import type { ShadowState } from './state.ts';
import { type StandIns, Step } from './step.ts';
import { noteWrite, syncPage, syncRoot } from './sync.ts';
import { type ShadowTable, ShadowTables } from './tables.ts';

/** Page faults that one instruction may take, with the event that it delivers. */
const MOST_FAULTS = 1000;

export interface PagerParts {
  readonly root: RootMode;
  readonly memory: GuestMemory;
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
  /** Page directories that were in use, the last one at the end. */
  readonly #roots: ShadowTable[] = [];
  #phase: Phase = 'shadow';
  /** Faults since the guest last completed an instruction, and how many it had completed then. */
  #faults = 0;
  #retired = -1;

  constructor({ root, memory, vcpu, vpid, controls, options, standIns, newPage }: PagerParts) {
    const all = shadowOptions(options, memory.bytes / PAGE_BYTES);
    this.#vcpu = vcpu;
    this.#controls = controls;
    this.#state = {
      host: root.memory,
      guest: memory,
      registers: { cr0: 0, cr3: 0, cr4: 0 },
      tables: new ShadowTables(root.memory, Array.from({ length: all.tables }, newPage)),
      maps: new ReverseMaps(),
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
    writeRegisters(this.#vcpu, this.#controls, phase, registers);
    if (phase !== 'ept') this.#loadRoot();
    this.#state.flush.all();
  }

  /** MOV to CR3. */
  loadCr3(value: number): void {
    this.#state.registers.cr3 = value;
    if (this.#phase !== 'ept') {
      if ((this.#state.registers.cr0 & CR0_PG) !== 0) this.#loadRoot();
    } else this.#vcpu.write(F.GUEST_CR3, value);
    this.#state.flush.notGlobal();
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
  }

  /** Gives all shadow tables up, for instance because the guest's memory is about to be replaced. */
  forget(): void {
    if (this.step.isActive) this.step.end();
    zapAll(this.#state);
    this.#roots.length = 0;
  }

  /** The VMCS holds the state of another VM, in the guest's own terms: takes its control registers over. */
  restored(): void {
    const vcpu = this.#vcpu;
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
    const { cr3 } = this.#state.registers;
    switch (field) {
      case F.GUEST_CR0:
        return this.#vcpu.cr0 | this.#controls.cr0Required;
      case F.CR0_READ_SHADOW:
        return this.#vcpu.cr0;
      case F.GUEST_CR3:
        return cr3;
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
    const { cr0, cr3, cr4 } = s.registers;
    const isPaging = (cr0 & CR0_PG) !== 0;
    const frame = isPaging ? frameOf(cr3) : 0;
    const rootRole = isPaging
      ? role.DIRECTORY |
        ((cr0 & CR0_WP) !== 0 ? 0 : role.WP_CLEAR) |
        ((cr4 & CR4_PSE) !== 0 ? role.PSE : 0) |
        ((cr4 & CR4_PGE) !== 0 ? role.PGE : 0) |
        ((cr4 & (CR4_SMEP | CR4_SMAP)) !== 0 ? role.GUARDED : 0)
      : role.PAGING_OFF;
    if (s.tables.find(frame, rootRole) === undefined) this.stats.rootMisses++;
    else this.stats.rootHits++;
    makeRoom(s, 1);
    const root = tableOf(s, frame, rootRole);
    s.root = root;
    this.#vcpu.write(F.GUEST_CR3, root.address);
    syncRoot(s, root);
    this.#keepRoot(root);
  }

  #keepRoot(root: ShadowTable): void {
    const known = this.#roots.indexOf(root);
    if (known >= 0) this.#roots.splice(known, 1);
    this.#roots.push(root);
    if (this.#roots.length <= this.options.roots) return;
    const oldest = this.#roots.shift();
    if (oldest?.alive && oldest.isDirectory) zap(this.#state, oldest);
  }

  #noteWrite(address: GuestPhysical, bytes: number): void {
    const last = address + bytes - 1;
    for (let at = address; at <= last; at += PAGE_BYTES - (at % PAGE_BYTES)) {
      const end = Math.min(last, at - (at % PAGE_BYTES) + PAGE_BYTES - 1);
      const index = (place: number): number => Math.floor((place % PAGE_BYTES) / ENTRY_BYTES);
      noteWrite(this.#state, Math.floor(at / PAGE_BYTES), index(at), index(end));
    }
  }
}
