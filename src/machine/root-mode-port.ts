/** The root-mode port on a machine: TypeScript software in the place of root-mode machine code.
 *
 *  While it works, the processor stands at the gate: a linear address whose code and stack have to be there as for any host. After a
 *  VM exit the processor fetches from HOST_RIP through the page tables of HOST_CR3 and uses the stack at HOST_RSP; if that fails, it
 *  takes the exception, as silicon would, and the port reports what comes of it. The gate lies in frame 0, which the hypervisor
 *  leaves to it and maps to itself. */

import { InvalidInput } from '../base/errors.ts';
import { hex } from '../base/int.ts';
import {
  ACTIVITY,
  AR_P,
  CONTEXT,
  CPL,
  CR0,
  CR0_PE,
  CR2,
  CR3,
  CR4,
  CS,
  DR0,
  DR6,
  DR6_FIXED,
  DS,
  EIP,
  ES,
  ESP,
  FS,
  GDTR_BASE,
  GDTR_LIMIT,
  GS,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  LDTR,
  SS_,
  TR,
} from '../base/registers.ts';
import { NMI } from '../base/signal.ts';
import type { Cpu } from '../cpu/cpu.ts';
import { type Descriptor, isCode, readDescriptor, setBusy } from '../cpu/far/descriptors.ts';
import { dispatch, exceptionEvent } from '../cpu/far/events.ts';
import { install, installNull, loadSegment } from '../cpu/far/segments.ts';
import { readMsr, writeMsr } from '../cpu/msr.ts';
import { writeControlRegister } from '../cpu/system/control-registers.ts';
import { DR6_WRITABLE } from '../cpu/system/debug-registers.ts';
import { NO_POINTER, type VmxContext } from '../vmx/context.ts';
import { INTERRUPTION_TYPE } from '../vmx/controls.ts';
import { interceptEvent } from '../vmx/events.ts';
import { checkVmxon } from '../vmx/instructions.ts';
import * as op from '../vmx/operations.ts';
import type { Machine, RunOptions, StopReason } from './machine.ts';
import { CountedMemory } from './root-memory.ts';
import type { Reached, RootMode, VmxResult } from './root-mode.ts';

export interface RootModeOptions {
  /** Linear address of the gate, in a page that the hypervisor maps to itself. @defaultValue 0FF0h */
  readonly gate?: number;
  /** The run ends with `budget` when the machine has retired so many instructions. @defaultValue no limit */
  readonly maxInstructions?: number;
  /** Looked at now and then while a guest runs: true ends the run with `stopped`. */
  readonly until?: () => boolean;
}

const OK: VmxResult = { ok: true };
const EXITED: Reached = { kind: 'exit' };
const VM_EXIT = 'VM exit';
/** Bytes of stack that a host uses first of all, as PUSHA does. */
const STACK_BYTES = 32;
/** Instructions that a host may run before it reaches the gate; it has no business to run any. */
const WEEDS = 1000;

export class RootModePort implements RootMode {
  readonly memory: CountedMemory;
  readonly gate: number;
  /** Limit of retired instructions; may be moved while the port is used. */
  maxInstructions: number;
  /** Why the machine itself stopped, after `stopped`: power-off, debug exit, Unimplemented … */
  machineStop: StopReason | null = null;
  readonly #machine: Machine;
  readonly #cpu: Cpu;
  readonly #x: VmxContext;
  readonly #unlimited: RunOptions;
  /** Context and generation for which the gate was fetched last. */
  #gateContext = -1;
  #gateGeneration = -1;

  constructor(machine: Machine, options: RootModeOptions = {}) {
    if (machine.vmx === null) throw new InvalidInput(`processor model '${machine.cpu.model.name}' has no VMX`);
    this.#machine = machine;
    this.#cpu = machine.cpu;
    this.#x = machine.vmx.context;
    this.memory = new CountedMemory(machine.memory);
    this.gate = options.gate ?? 0xff0;
    this.maxInstructions = options.maxInstructions ?? Number.POSITIVE_INFINITY;
    this.#unlimited = options.until === undefined ? {} : { until: options.until };
    this.#x.onExit = () => machine.stop(VM_EXIT);
    this.#cpu.S[EIP] = this.gate;
  }

  // ---- registers ----

  getRegister(index: number): number {
    return this.#cpu.S[index];
  }

  setRegister(index: number, value: number): void {
    this.#cpu.S[index] = value;
  }

  getCr2(): number {
    return this.#cpu.S[CR2];
  }

  getDebugRegister(index: 0 | 1 | 2 | 3 | 6): number {
    return this.#cpu.S[DR0 + (index === 6 ? DR6 - DR0 : index)];
  }

  /** As MOV to a debug register does it. */
  setDebugRegister(index: 0 | 1 | 2 | 3 | 6, value: number): void {
    const { S } = this.#cpu;
    if (index === 6) S[DR6] = (value & DR6_WRITABLE) | DR6_FIXED;
    else S[DR0 + index] = value;
  }

  setCr2(value: number): void {
    this.#cpu.S[CR2] = value;
  }

  getControlRegister(cr: 0 | 3 | 4): number {
    return this.#cpu.S[cr === 0 ? CR0 : cr === 3 ? CR3 : CR4];
  }

  setControlRegister(cr: 0 | 3 | 4, value: number): void {
    this.#guarded(() => writeControlRegister(this.#cpu, cr, value | 0));
  }

  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number } {
    return this.#cpu.identification.leaf(leaf, subleaf);
  }

  rdmsr(index: number): { lo: number; hi: number } | 'gp' {
    return readMsr(this.#cpu, index >>> 0) ?? 'gp';
  }

  wrmsr(index: number, lo: number, hi: number): true | 'gp' {
    return writeMsr(this.#cpu, index >>> 0, lo | 0, hi | 0) || 'gp';
  }

  portRead(port: number, size: 1 | 2 | 4): number {
    return this.#machine.ports.read(port, size);
  }

  portWrite(port: number, value: number, size: 1 | 2 | 4): void {
    this.#machine.ports.write(port, value, size);
  }

  loadTables(tables: {
    gdt: number;
    gdtLimit: number;
    idt: number;
    idtLimit: number;
    tr: number;
    cs: number;
    data: number;
  }): void {
    const cpu = this.#cpu;
    const S = cpu.S;
    this.#guarded(() => {
      S[GDTR_BASE] = tables.gdt | 0;
      S[GDTR_LIMIT] = tables.gdtLimit & 0xffff;
      S[IDTR_BASE] = tables.idt | 0;
      S[IDTR_LIMIT] = tables.idtLimit & 0xffff;
      if ((S[CR0] & CR0_PE) === 0) writeControlRegister(cpu, 0, S[CR0] | CR0_PE);
      cpu.setCpl(0);
      const code = this.#descriptor(tables.cs);
      if (!isCode(code)) throw new InvalidInput(`selector ${hex(tables.cs, 4)} must name a code segment`);
      install(cpu, CS, tables.cs, code);
      for (const segment of [SS_, DS, ES, FS, GS]) loadSegment(cpu, segment, tables.data);
      installNull(cpu, LDTR, 0);
      const tss = this.#descriptor(tables.tr);
      setBusy(cpu, tss);
      install(cpu, TR, tables.tr, tss);
      cpu.segmentsChanged();
      cpu.setFlags(2);
      S[INTERRUPTIBILITY] = 0;
      S[EIP] = this.gate;
    });
  }

  #descriptor(selector: number): Descriptor {
    const d = readDescriptor(this.#cpu, selector);
    if (d === null || (d.access & AR_P) === 0)
      throw new InvalidInput(`selector ${hex(selector, 4)} must name a present descriptor of the GDT`);
    return d;
  }

  // ---- VMX instructions ----

  vmxon(at: number): VmxResult {
    return this.#guarded(() => {
      if (this.#x.vmxonPointer === NO_POINTER) checkVmxon(this.#x);
      return result(op.vmxon(this.#x, at | 0, highHalf(at)));
    });
  }

  vmxoff(): VmxResult {
    this.#inRoot('VMXOFF');
    return result(op.vmxoff(this.#x));
  }

  vmclear(at: number): VmxResult {
    this.#inRoot('VMCLEAR');
    return result(op.vmclear(this.#x, at | 0, highHalf(at)));
  }

  vmptrld(at: number): VmxResult {
    this.#inRoot('VMPTRLD');
    return result(op.vmptrld(this.#x, at | 0, highHalf(at)));
  }

  vmptrst(): number {
    this.#inRoot('VMPTRST');
    return op.vmptrst(this.#x);
  }

  vmread(field: number): number | VmxResult {
    this.#inRoot('VMREAD');
    const done = op.vmread(this.#x, field);
    return done === op.SUCCEED ? this.#x.readValue >>> 0 : result(done);
  }

  vmwrite(field: number, value: number): VmxResult {
    this.#inRoot('VMWRITE');
    return result(op.vmwrite(this.#x, field, value | 0));
  }

  invept(type: number, eptpLow: number, eptpHigh: number): VmxResult {
    this.#inRoot('INVEPT');
    return result(op.invept(this.#x, type, eptpLow | 0, eptpHigh | 0));
  }

  invvpid(type: number, vpid: number, linear: number): VmxResult {
    this.#inRoot('INVVPID');
    return result(op.invvpid(this.#x, type, vpid, 0, linear | 0));
  }

  vmlaunch(): Reached {
    return this.#enter(true);
  }

  vmresume(): Reached {
    return this.#enter(false);
  }

  own(vm: number, frame: number, frames = 1): void {
    this.#machine.onOwnership?.({ kind: 'own', vm, frame, frames, rights: 7 });
  }

  share(vm: number, frame: number, frames: number, rights: number): void {
    this.#machine.onOwnership?.({ kind: 'share', vm, frame, frames, rights });
  }

  release(vm: number, frame: number, frames = 1): void {
    this.#machine.onOwnership?.({ kind: 'release', vm, frame, frames, rights: 0 });
  }

  explainEntry(): readonly string[] {
    return (this.#x.lastEntryFailure?.rows ?? []).map(({ id, message, fields }) => {
      const [at] = fields;
      return at === undefined ? `${id}: ${message}` : `${id}: ${at.name} = ${hex(at.value)}, ${message}`;
    });
  }

  resumeInterrupted(): Reached {
    return this.#run();
  }

  kick(): Reached {
    if (!this.#x.nonRoot) return EXITED;
    this.#cpu.delivering = null;
    const nmi = { vector: NMI, type: INTERRUPTION_TYPE.NMI, errorCode: -1, instructionLength: 0, address: 0 };
    if (!interceptEvent(this.#x, nmi)) return { kind: 'stopped', why: 'the guest takes NMIs itself' };
    return this.#run();
  }

  now(): number {
    return this.#cpu.now();
  }

  #enter(launch: boolean): Reached {
    this.#inRoot(launch ? 'VMLAUNCH' : 'VMRESUME');
    const done = op.vmentry(this.#x, launch);
    if (done !== op.SUCCEED) return { kind: 'vmfail', error: Math.max(done, 0) };
    return this.#run();
  }

  /** Lets the machine run until the gate is reached or something else ends it. */
  #run(): Reached {
    const x = this.#x;
    const S = this.#cpu.S;
    let weeds = 0;
    for (;;) {
      if (x.aborted !== 0) return { kind: 'abort', indicator: x.aborted };
      if (!x.nonRoot) {
        if (this.#atGate()) return EXITED;
        if (S[ACTIVITY] === 2) return { kind: 'shutdown', why: 'triple fault in VMX root operation' };
        if (weeds >= WEEDS) return { kind: 'shutdown', why: `the host runs at ${hex(S[EIP])}, not at the gate` };
      }
      const left = this.maxInstructions - this.#machine.instructions;
      if (left <= 0) return { kind: 'budget' };
      const before = this.#machine.instructions;
      const limit = x.nonRoot ? left : Math.min(left, WEEDS);
      const stop = this.#machine.run(
        limit === Number.POSITIVE_INFINITY ? this.#unlimited : { ...this.#unlimited, maxInstructions: limit },
      );
      if (!x.nonRoot) weeds += this.#machine.instructions - before;
      if (stop.kind === 'stopped' && stop.why === VM_EXIT) weeds = 0;
      else if (stop.kind === 'triple-fault') return { kind: 'shutdown', why: 'triple fault in VMX root operation' };
      else if (stop.kind !== 'limit') {
        this.machineStop = stop;
        if (stop.kind === 'unimplemented') return stop;
        return { kind: 'stopped', why: stop.kind === 'stopped' ? stop.why : stop.kind };
      }
    }
  }

  /** The processor has come to the gate: its code can be fetched there and its stack be used. If not, the host takes the exception. */
  #atGate(): boolean {
    const cpu = this.#cpu;
    const S = cpu.S;
    if (S[EIP] !== this.gate || S[ACTIVITY] !== 0) return false;
    try {
      if (this.#gateContext !== S[CONTEXT] || this.#gateGeneration !== cpu.mmu.fetchGeneration) {
        if (cpu.mmu.fetchPage(this.gate) !== this.gate) return false;
        this.#gateContext = S[CONTEXT];
        this.#gateGeneration = cpu.mmu.fetchGeneration;
      }
      cpu.mmu.probeWrite((S[ESP] - STACK_BYTES) >>> 0, STACK_BYTES, S[CPL] === 3);
      return true;
    } catch (thrown) {
      if (thrown !== cpu.signal) throw thrown;
      dispatch(cpu, exceptionEvent(cpu, cpu.signal));
      return false;
    }
  }

  #inRoot(name: string): void {
    if (this.#x.vmxonPointer === NO_POINTER) throw new Error(`#UD: ${name} outside VMX operation`);
    if (this.#x.nonRoot) throw new Error(`${name}: a guest is running; call resumeInterrupted first`);
  }

  /** Runs what may raise an exception: in TypeScript software it is a mistake, told as an error. */
  #guarded<T>(run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      const { signal } = this.#cpu;
      if (thrown !== signal) throw thrown;
      throw new Error(`exception ${signal.vector} in root-mode software: ${signal.because}`);
    }
  }
}

/** Bits 63:32 of an address given as a number. */
const highHalf = (at: number): number => Math.floor(at / 0x1_0000_0000) | 0;

const result = (done: number): VmxResult => (done === op.SUCCEED ? OK : { ok: false, error: Math.max(done, 0) });
