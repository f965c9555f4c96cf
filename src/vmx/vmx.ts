/** The VMX extension of one logical processor: what the processor calls (ExecutionMonitor), and what reports and snapshots read.
 *  Which exits take place stands in intercept.ts and events.ts, entries and exits in entry.ts and exit.ts. */
import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import type { U64 } from '../base/int.ts';
import { boolean, integer, list, record, ticksOrNull } from '../base/validate.ts';
import type { Cpu } from '../cpu/cpu.ts';
import type { Instruction } from '../cpu/instruction.ts';
import type { ExecutionMonitor, ProcessorEvent } from '../cpu/monitor.ts';
import type { ExitName } from '../cpu/rows.ts';
import { apicFrame, connectApicPage, NO_WRITE } from './apic-page.ts';
import { capabilityMsr, FEATURE_CONTROL_LOCK, IA32_FEATURE_CONTROL } from './capabilities.ts';
import { EntryView, type FailedCheck, failedChecks } from './checks/index.ts';
import { NO_POINTER, VmxContext, type VmxSettings } from './context.ts';
import { SECONDARY } from './controls.ts';
import * as events from './events.ts';
import { exitTripleFault, noteTrapFlag } from './exit.ts';
import { imageOfWords, type VmcsImage } from './explain/image.ts';
import { vmxInstruction } from './instructions.ts';
import * as intercept from './intercept.ts';
import { selectDirtyLog } from './pml.ts';
import { guestTsc } from './time.ts';
import { followWrite, THRESHOLD_ONLY } from './virtual-apic.ts';
import { type VmcsState, validateVmcs } from './vmcs.ts';

export class Vmx implements ExecutionMonitor {
  /** The state, for the root-mode port, reports and tests. */
  readonly context: VmxContext;

  constructor(cpu: Cpu, settings: VmxSettings = {}) {
    this.context = new VmxContext(cpu, settings);
    connectApicPage(this.context);
  }

  get inVmxOperation(): boolean {
    return this.context.vmxonPointer !== NO_POINTER;
  }

  get nonRoot(): boolean {
    return this.context.nonRoot;
  }

  get interruptsExit(): boolean {
    return events.interruptsExit(this.context);
  }

  get virtualNmis(): boolean {
    return events.virtualNmis(this.context);
  }

  get iretUnblocksNmis(): boolean {
    return events.iretUnblocksNmis(this.context);
  }

  get windowWanted(): boolean {
    return this.context.virtualInterrupt || events.windowWanted(this.context);
  }

  intercept(name: ExitName, i: Instruction, operand: number): boolean {
    return this.context.nonRoot && intercept.intercept(this.context, name, i, operand);
  }

  interceptIo(i: Instruction, port: number, size: 1 | 2 | 4, input: boolean, string: boolean, linear: number): boolean {
    return this.context.nonRoot && intercept.interceptIo(this.context, i, port, size, input, string, linear);
  }

  writeControlRegister(
    cr: number,
    value: number,
    kind: 0 | 2 | 3,
    gpr: number,
    memoryOperand: boolean,
    linear: number,
  ): number | null {
    return intercept.writeControlRegister(this.context, cr, value, kind, gpr, memoryOperand, linear);
  }

  readControlRegister(cr: number, _kind: 1 | 4, gpr: number): number | null {
    return intercept.readControlRegister(this.context, cr, gpr);
  }

  controlRegisterError(cr: number, value: number): string | null {
    return intercept.controlRegisterError(this.context, cr, value);
  }

  vmxInstruction(i: Instruction): void {
    vmxInstruction(this.context, i);
  }

  readMsr(index: number): { lo: number; hi: number } | undefined {
    if (index === IA32_FEATURE_CONTROL) return { lo: this.context.featureControl, hi: 0 };
    return capabilityMsr(this.context.capabilities, index);
  }

  /** The capability MSRs are read-only; IA32_FEATURE_CONTROL can be written until it is locked. */
  writeMsr(index: number, lo: number, hi: number): boolean {
    if (index !== IA32_FEATURE_CONTROL || (this.context.featureControl & FEATURE_CONTROL_LOCK) !== 0) return false;
    if (hi !== 0 || (lo & ~5) !== 0) return false;
    this.context.featureControl = lo;
    return true;
  }

  adjustTsc(tsc: U64): U64 {
    return guestTsc(this.context, tsc);
  }

  get rdtscpEnabled(): boolean {
    return !this.context.nonRoot || this.context.secondary(SECONDARY.ENABLE_RDTSCP);
  }

  interceptEvent(event: ProcessorEvent): boolean {
    return this.context.nonRoot && events.interceptEvent(this.context, event);
  }

  interceptTaskSwitch(selector: number, source: 0 | 1 | 2 | 3): boolean {
    return this.context.nonRoot && events.interceptTaskSwitch(this.context, selector, source);
  }

  interceptInit(): boolean {
    return this.context.nonRoot && events.interceptInit(this.context);
  }

  interceptStartUp(vector: number): boolean {
    return this.context.nonRoot && events.interceptStartUp(this.context, vector);
  }

  interceptTripleFault(): boolean {
    if (!this.context.nonRoot) return false;
    exitTripleFault(this.context);
    return true;
  }

  eptEvent(): void {
    events.eptEvent(this.context);
  }

  stepped(): void {
    this.context.trapFlagPending = true;
  }

  trapFlagExit(): boolean {
    return events.trapFlagExit(this.context);
  }

  afterInstruction(): boolean {
    return this.context.nonRoot && followWrite(this.context);
  }

  boundary(): boolean {
    return events.boundary(this.context);
  }

  nextDeadline(): number {
    return this.context.deadline;
  }

  /** The entry checks that a VMCS breaks, in the manual's order: the current one, or an active one by its address. */
  failedChecks(address?: number): FailedCheck[] {
    const x = this.context;
    const vmcs = address === undefined ? x.current : x.store.active(address);
    if (vmcs === null || vmcs === undefined) return [];
    return failedChecks(new EntryView(vmcs.words, vmcs.address, x.capabilities, x.cpu.memory));
  }

  /** A VMCS as a value, for the functions that explain: the current one, or an active one by its address; null if there is none. */
  image(address?: number): VmcsImage | null {
    const x = this.context;
    const vmcs = address === undefined ? x.current : x.store.active(address);
    if (vmcs === null || vmcs === undefined) return null;
    return imageOfWords(vmcs.words, x.capabilities, x.cpu.memory, vmcs.address);
  }

  /** Power-up: out of VMX operation, everything forgotten but what firmware did. */
  reset(): void {
    const x = this.context;
    const { mmu } = x.cpu;
    mmu.vpid = 0;
    mmu.eptEnabled = false;
    mmu.vmTransition();
    mmu.invvpid(2, 0, 0);
    mmu.invept(2, 0, 0);
    x.store.drop();
    x.setCurrent(null);
    x.vmxonPointer = NO_POINTER;
    x.nonRoot = false;
    x.deadline = Number.POSITIVE_INFINITY;
    x.apicWrite = NO_WRITE;
    x.virtualInterrupt = false;
    mmu.leaveApicFrame();
    x.firstPause = -1;
    x.lastPause = -1;
    x.trapFlagPending = false;
    x.aborted = 0;
    x.lastEntryFailure = null;
  }

  save(): VmxState {
    const x = this.context;
    return {
      vmxonPointer: x.vmxonPointer,
      current: x.current?.address ?? NO_POINTER,
      nonRoot: x.nonRoot,
      featureControl: x.featureControl,
      apicWrite: x.apicWrite,
      virtualInterrupt: x.virtualInterrupt,
      firstPause: x.firstPause,
      lastPause: x.lastPause,
      deadline: Number.isFinite(x.deadline) ? x.deadline : null,
      trapFlagPending: x.trapFlagPending,
      aborted: x.aborted,
      active: x.store.save(),
    };
  }

  /** Takes the state over after checking every field; nothing changes if one is wrong. */
  restore(state: Unvalidated<VmxState>): void {
    const x = this.context;
    const vmxonPointer = pointer(state.vmxonPointer, 'vmx.vmxonPointer');
    const current = pointer(state.current, 'vmx.current');
    const nonRoot = boolean(state.nonRoot, 'vmx.nonRoot');
    const featureControl = integer(state.featureControl, 'vmx.featureControl', 0, 5);
    const apicWrite = integer(state.apicWrite, 'vmx.apicWrite', NO_WRITE, THRESHOLD_ONLY);
    const virtualInterrupt = boolean(state.virtualInterrupt, 'vmx.virtualInterrupt');
    const firstPause = integer(state.firstPause, 'vmx.firstPause', -1, Number.MAX_SAFE_INTEGER);
    const lastPause = integer(state.lastPause, 'vmx.lastPause', firstPause, Number.MAX_SAFE_INTEGER);
    const deadline = ticksOrNull(state.deadline, 'vmx.deadline');
    const trapFlagPending = boolean(state.trapFlagPending, 'vmx.trapFlagPending');
    const aborted = integer(state.aborted, 'vmx.aborted', 0, 6);
    const active = list(state.active, 'vmx.active', 0, 0x1_0000, (value, field) =>
      validateVmcs(record(value, field) as Unvalidated<VmcsState>, field),
    );
    const addresses = new Set(active.map((vmcs) => vmcs.address));
    if (addresses.size !== active.length) throw new InvalidInput('vmx.active: two VMCSs have the same address');
    if (current !== NO_POINTER && !addresses.has(current))
      throw new InvalidInput('vmx.current: that VMCS is not active');
    if (vmxonPointer === NO_POINTER && active.length > 0)
      throw new InvalidInput('vmx.active: there cannot be an active VMCS outside VMX operation');
    if (nonRoot && current === NO_POINTER) throw new InvalidInput('vmx.nonRoot: there is no current VMCS');
    x.store.restore(active);
    x.setCurrent(x.store.active(current) ?? null);
    if (nonRoot) selectDirtyLog(x);
    x.vmxonPointer = vmxonPointer;
    x.nonRoot = nonRoot;
    x.featureControl = featureControl;
    x.apicWrite = apicWrite;
    x.virtualInterrupt = virtualInterrupt;
    if (nonRoot) x.cpu.mmu.setApicFrame(apicFrame(x));
    else x.cpu.mmu.leaveApicFrame();
    x.firstPause = firstPause;
    x.lastPause = lastPause;
    x.deadline = deadline ?? Number.POSITIVE_INFINITY;
    x.trapFlagPending = trapFlagPending;
    noteTrapFlag(x);
    x.aborted = aborted;
    x.lastEntryFailure = null;
  }
}

/** The address of a region, or NO_POINTER. */
function pointer(value: unknown, field: string): number {
  const address = integer(value, field, NO_POINTER, 0xffff_f000);
  if (address !== NO_POINTER && (address & 0xfff) !== 0) throw new InvalidInput(`${field}: must be a multiple of 4096`);
  return address;
}

/** A processor's VMX state as plain data; addresses are −1 where there is none. */
export interface VmxState {
  readonly vmxonPointer: number;
  readonly current: number;
  readonly nonRoot: boolean;
  readonly featureControl: number;
  readonly apicWrite: number;
  readonly virtualInterrupt: boolean;
  readonly firstPause: number;
  readonly lastPause: number;
  readonly deadline: number | null;
  readonly trapFlagPending: boolean;
  readonly aborted: number;
  readonly active: readonly VmcsState[];
}
