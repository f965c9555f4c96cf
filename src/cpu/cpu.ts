import {
  ACTIVITY,
  AR_DB,
  ARITHMETIC_FLAGS,
  byteRegister,
  CPL,
  CR4,
  CR4_SMAP,
  CS,
  DEBUG_WATCH,
  EFLAGS,
  EIP,
  ESP,
  EVENT_DEBUG,
  EVENT_INTERRUPT,
  EVENTS,
  FLAG_AC,
  FLAG_IF,
  FLAG_KIND,
  FLAG_RF,
  FLAG_TF,
  INTERRUPTIBILITY,
  MODE,
  REGISTER_FILE_WORDS,
  SEG_ACCESS,
  SEG_LIMIT,
  SS_,
  START_EIP,
} from '../base/registers.ts';
import { GP, Signal } from '../base/signal.ts';
import { Mmu, type MmuOptions } from '../mmu/mmu.ts';
import type { MmuObserver } from '../mmu/observer.ts';
import type { PhysicalMemory } from '../mmu/physical-memory.ts';
import type { PortSpace } from '../mmu/port-space.ts';
import { CodeCache } from './code-cache.ts';
import { coreWords, TABLES_AT } from './core-words.ts';
import { DESCRIPTORS_KEPT, type Descriptor } from './far/descriptors.ts';
import { segmentCheck } from './far/segments.ts';
import { condition, readFlags, settleFlags } from './flags.ts';
import { Identification } from './identification.ts';
import type { Instruction } from './instruction.ts';
import { keepsMode } from './mode.ts';
import type { ProcessorModel } from './model.ts';
import type { ExecutionMonitor, ProcessorEvent } from './monitor.ts';
import type { CpuObserver } from './observer.ts';
import { resetRegisters } from './reset.ts';

/** Interruptibility. */
const BLOCKING_BY_NMI = 8;
const ACTIVITY_WAIT_FOR_SIPI = 3;

/** Where a processor gets the vector of an external interrupt from (INTA cycle). */
export interface InterruptController {
  /** Acknowledges the highest pending request and returns its vector. */
  acknowledge(): number;
}

export interface CpuOptions {
  readonly memory: PhysicalMemory;
  readonly ports: PortSpace;
  readonly model: ProcessorModel;
  readonly interruptController: InterruptController;
  readonly cache?: MmuOptions['cache'];
  /** Fast translation contexts; 8 MiB each once used. */
  readonly contexts?: number;
  readonly mmuObserver?: MmuObserver;
  /** Words of decoded code that are kept at most. @defaultValue all that there is room for */
  readonly codeRoom?: number;
}

/** One logical processor: its registers and what instruction semantics need. How it runs stands in run.ts. */
export class Cpu {
  /** Register file, decoded code and fast tables (core-words.ts); S is the first of them. */
  readonly core: Int32Array;
  readonly S: Int32Array;
  readonly S8: Uint8Array;
  readonly S16: Uint16Array;
  readonly signal = new Signal();
  readonly memory: PhysicalMemory;
  readonly ports: PortSpace;
  readonly model: ProcessorModel;
  readonly identification: Identification;
  readonly mmu: Mmu;
  readonly code: CodeCache;
  readonly interruptController: InterruptController;
  monitor: ExecutionMonitor | null = null;
  observer: CpuObserver | null = null;
  /** The event whose delivery is under way, for IDT-vectoring information and double faults. */
  delivering: ProcessorEvent | null = null;
  /** Level of the processor's INTR pin. */
  interruptLine = false;
  /** The instruction under way is executed by itself, with a look at the boundary behind it. */
  isAlone = false;
  /** An NMI has arrived and is not taken yet. */
  nmiPending = false;
  /** An INIT has arrived and is not taken yet; the vector of a start-up IPI that has, −1: none. */
  initPending = false;
  startUpVector = -1;
  /** The first processor of its system, which INIT sends to the reset vector; others wait for a start-up IPI then. */
  isBootstrap = true;
  /** The instruction that has just faulted is an IRET that ended blocking by NMI. */
  nmiUnblocked = false;
  /** Model-specific registers by index that are not in the register file, as two halves (msr.ts). */
  readonly msrs = new Map<number, { lo: number; hi: number }>();

  /** Instructions left in the run, the present one included (handlers that repeat take theirs off). */
  remaining = 0;
  /** Descriptors as they were last read (far/descriptors.ts). */
  readonly descriptors: (Descriptor | undefined)[] = new Array(DESCRIPTORS_KEPT).fill(undefined);
  /** 1 while an instruction executes; a VM exit that takes its place sets it to 0: it does not count as retired. */
  retires = 1;
  /** DEBUG_BS while an instruction executes that began with EFLAGS.TF set. Whatever leads to another context sets it to 0. */
  trap = 0;
  /** A string instruction with iterations left has stopped after one of them, at S[START_EIP]. */
  isRepeating = false;
  /** Virtual time at which `remaining` would be 0. */
  endTime = 0;
  /** Earliest end that somebody asked the run under way for. */
  cut = Number.POSITIVE_INFINITY;
  /** TSC = now() + tscOffset (WRMSR to IA32_TSC changes it). */
  tscOffset = 0;

  constructor(options: CpuOptions) {
    const contexts = options.contexts ?? 16;
    this.core = coreWords(contexts);
    this.S = this.core.subarray(0, REGISTER_FILE_WORDS);
    this.S8 = new Uint8Array(this.core.buffer, 0, 4 * REGISTER_FILE_WORDS);
    this.S16 = new Uint16Array(this.core.buffer, 0, 2 * REGISTER_FILE_WORDS);
    this.memory = options.memory;
    this.ports = options.ports;
    this.model = options.model;
    this.identification = new Identification(options.model);
    this.interruptController = options.interruptController;
    this.mmu = new Mmu({
      memory: options.memory,
      signal: this.signal,
      registers: this.S,
      ...(options.cache ? { cache: options.cache } : {}),
      contexts,
      fastTables: this.core.subarray(TABLES_AT),
      ...(options.mmuObserver ? { observer: options.mmuObserver } : {}),
    });
    this.code = new CodeCache(this, options.codeRoom);
    this.reset();
  }

  /** Registers as after power-up (SDM Vol. 3, "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT"). */
  reset(): void {
    resetRegisters(this.S, this.model.signature);
    this.msrs.clear();
    this.nmiPending = false;
    this.initPending = false;
    this.startUpVector = -1;
    this.delivering = null;
    this.monitor?.reset();
    this.mmu.selectContext();
  }

  /** Virtual time: instructions retired since reset. Exact inside handlers and between runs. */
  now(): number {
    return this.endTime - this.remaining;
  }

  /** Makes the run under way end at virtual time `at`, but not before the present instruction is done. */
  shorten(at: number): void {
    if (at < this.cut) this.cut = at;
    const less = Math.min(this.endTime - this.cut, this.remaining - 1);
    if (less <= 0) return;
    this.remaining -= less;
    this.endTime -= less;
  }

  // ---- flags ----

  getFlags(): number {
    return readFlags(this.S);
  }

  /** Sets all of EFLAGS. Privilege and IOPL rules are the caller's. */
  setFlags(value: number): void {
    const S = this.S;
    const change = S[EFLAGS] ^ value;
    S[FLAG_KIND] = 0;
    S[EFLAGS] = value | 2;
    if (((value & (FLAG_TF | FLAG_RF)) | S[DEBUG_WATCH]) !== 0) S[EVENTS] |= EVENT_DEBUG;
    if ((change & FLAG_AC) !== 0 && (S[CR4] & CR4_SMAP) !== 0) this.mmu.selectContext();
    this.updateInterruptEvent();
  }

  /** Sets the six arithmetic flags to those bits of `bits`. */
  setArithmeticFlags(bits: number): void {
    this.S[FLAG_KIND] = 0;
    this.S[EFLAGS] = (this.S[EFLAGS] & ~ARITHMETIC_FLAGS) | (bits & ARITHMETIC_FLAGS);
  }

  settleFlags(): number {
    return settleFlags(this.S);
  }

  condition(cc: number): boolean {
    return condition(this.S, cc);
  }

  // ---- interrupts ----

  /** Level of the INTR pin, driven by the interrupt controller. */
  setInterruptLine(level: boolean): void {
    this.interruptLine = level;
    this.updateInterruptEvent();
  }

  /** Recomputes whether the loop has to come out for an interrupt: the line is up and software, or the execution monitor, lets
   *  it through, or the monitor waits for the moment when software would. */
  updateInterruptEvent(): void {
    const enabled = (this.S[EFLAGS] & FLAG_IF) !== 0;
    const monitor = this.monitor;
    const due = enabled
      ? this.interruptLine || monitor?.windowWanted === true
      : this.interruptLine && monitor?.interruptsExit === true;
    if (due || this.nmiDue || this.initDue || this.startUpVector >= 0) this.S[EVENTS] |= EVENT_INTERRUPT;
    else this.S[EVENTS] &= ~EVENT_INTERRUPT;
  }

  /** EFLAGS as an event between two instructions finds them: RF is 1 between two iterations of a string instruction (SDM Vol. 3,
   *  "Instruction-Breakpoint Exception Condition"). */
  boundaryFlags(): number {
    const between = this.isRepeating && this.S[EIP] === this.S[START_EIP];
    return between ? this.getFlags() | FLAG_RF : this.getFlags();
  }

  /** An edge on the NMI pin. */
  signalNmi(): void {
    this.nmiPending = true;
    this.updateInterruptEvent();
  }

  /** An NMI waits and none is being handled; a guest with virtual NMIs does not block real ones. */
  get nmiDue(): boolean {
    return (
      this.nmiPending && ((this.S[INTERRUPTIBILITY] & BLOCKING_BY_NMI) === 0 || this.monitor?.virtualNmis === true)
    );
  }

  /** What IRET does to blocking by NMI, before EFLAGS are set. True if there was one and it has ended. */
  endNmiBlocking(): boolean {
    if ((this.S[INTERRUPTIBILITY] & BLOCKING_BY_NMI) === 0 || this.monitor?.iretUnblocksNmis === false) return false;
    this.S[INTERRUPTIBILITY] &= ~BLOCKING_BY_NMI;
    return true;
  }

  /** An INIT arrives, from outside or from a local APIC. It waits while the processor is in VMX root operation. */
  signalInit(): void {
    this.initPending = true;
    this.updateInterruptEvent();
  }

  /** A start-up IPI with that vector arrives. Only a processor that waits for it takes notice. */
  signalStartUp(vector: number): void {
    if (this.S[ACTIVITY] !== ACTIVITY_WAIT_FOR_SIPI) return;
    this.startUpVector = vector & 0xff;
    this.updateInterruptEvent();
  }

  /** An INIT waits, and nothing blocks it: VMX root operation does, and in a guest the wait for a start-up IPI. */
  get initDue(): boolean {
    if (!this.initPending) return false;
    const { monitor } = this;
    if (monitor?.inVmxOperation !== true) return true;
    return monitor.nonRoot && this.S[ACTIVITY] !== ACTIVITY_WAIT_FOR_SIPI;
  }

  // ---- privilege, modes ----

  get codeSize(): 2 | 4 {
    return (this.S[SEG_ACCESS + CS] & AR_DB) !== 0 ? 4 : 2;
  }

  /** Which bits of ESP the stack uses. */
  get stackMask(): number {
    return (this.S[SEG_ACCESS + SS_] & AR_DB) !== 0 ? -1 : 0xffff;
  }

  setCpl(cpl: number): void {
    this.S[CPL] = cpl;
    this.mmu.selectContext();
  }

  /** To be called after the hidden parts of segment registers have changed. */
  segmentsChanged(): void {
    this.S[MODE] = -1;
  }

  /** The same for one of them: a data segment that is as flat as the flavour in force says changes nothing. */
  segmentChanged(segment: number): void {
    const S = this.S;
    if (!keepsMode(S, segment)) S[MODE] = -1;
  }

  /** Raises an exception: fills the signal and throws it. `because`: a short sentence for reports. */
  raise(vector: number, errorCode = -1, because = ''): never {
    return this.signal.raise(vector, errorCode, because);
  }

  /** Near transfer of control to `offset` in CS. */
  jump(offset: number): void {
    this.checkTarget(offset);
    this.S[EIP] = offset;
  }

  /** #GP(0) unless `offset` lies within CS. */
  checkTarget(offset: number): void {
    if (offset >>> 0 > this.S[SEG_LIMIT + CS] >>> 0) this.raise(GP, 0, 'target lies beyond the limit of CS');
  }

  // ---- operands of a decoded instruction ----

  /** Offset of the memory operand within its segment. */
  effectiveAddress(i: Instruction): number {
    const S = this.S;
    const offset = (S[i.base] + (S[i.index] << i.scale) + i.displacement) | 0;
    return i.addressSize === 2 ? offset & 0xffff : offset;
  }

  /** Linear address of the memory operand, after the segment's checks. */
  linearAddress(i: Instruction, size: number, write: boolean): number {
    return segmentCheck(this, i.segment, this.effectiveAddress(i), size, write);
  }

  /** Linear address of `offset` in a segment register, after limit and type checks; #GP(0) or #SS(0). */
  segmentCheck(segment: number, offset: number, size: number, write: boolean): number {
    return segmentCheck(this, segment, offset, size, write);
  }

  readOperand8(i: Instruction): number {
    return i.memory ? this.mmu.read8(this.linearAddress(i, 1, false)) : this.S8[byteRegister(i.rm)];
  }

  readOperand16(i: Instruction): number {
    return i.memory ? this.mmu.read16(this.linearAddress(i, 2, false)) : this.S16[i.rm << 1];
  }

  readOperand32(i: Instruction): number {
    return i.memory ? this.mmu.read32(this.linearAddress(i, 4, false)) : this.S[i.rm];
  }

  writeOperand8(i: Instruction, value: number): void {
    if (i.memory) this.mmu.write8(this.linearAddress(i, 1, true), value);
    else this.S8[byteRegister(i.rm)] = value;
  }

  writeOperand16(i: Instruction, value: number): void {
    if (i.memory) this.mmu.write16(this.linearAddress(i, 2, true), value);
    else this.S16[i.rm << 1] = value;
  }

  writeOperand32(i: Instruction, value: number): void {
    if (i.memory) this.mmu.write32(this.linearAddress(i, 4, true), value);
    else this.S[i.rm] = value;
  }

  // ---- stack ----

  /** Moves the stack pointer by `bytes`, within the width of the stack. */
  adjustStack(bytes: number): void {
    const S = this.S;
    const mask = this.stackMask;
    S[ESP] = (S[ESP] & ~mask) | ((S[ESP] + bytes) & mask);
  }

  push16(value: number): void {
    const at = (this.S[ESP] - 2) & this.stackMask;
    this.mmu.write16(segmentCheck(this, SS_, at, 2, true), value & 0xffff);
    this.adjustStack(-2);
  }

  push32(value: number): void {
    const at = (this.S[ESP] - 4) & this.stackMask;
    this.mmu.write32(segmentCheck(this, SS_, at, 4, true), value);
    this.adjustStack(-4);
  }

  pop16(): number {
    const value = this.mmu.read16(segmentCheck(this, SS_, this.S[ESP] & this.stackMask, 2, false));
    this.adjustStack(2);
    return value;
  }

  pop32(): number {
    const value = this.mmu.read32(segmentCheck(this, SS_, this.S[ESP] & this.stackMask, 4, false));
    this.adjustStack(4);
    return value;
  }
}
