/** ringlet as a library: everything that it promises to its users, by subject. What is not listed here may change at any time.
 *
 *  @example
 *  const machine = new Machine({ memory: 16 << 20 });
 *  machine.load(assemble('bits 32\norg 0x100000\nmov eax, 42\nhlt').bytes);
 *  machine.run();            // { kind: 'halted' }
 *  machine.registers.eax;    // 42
 *
 *  @packageDocumentation */

// Programs: source text to bytes (the NASM dialect), and bytes to text.
export {
  type Assembled,
  type AssembledLine,
  type AssembleOptions,
  AssemblyError,
  assemble,
  type Place,
  type Problem,
} from './asm/index.ts';
// Errors, and the helper that prints an address as the manuals do.
export { InvalidInput, Unimplemented, type Unvalidated } from './base/errors.ts';
export { hex } from './base/int.ts';
export { disassembleBytes, type Line as DisassembledLine } from './cpu/disassemble.ts';
// Processor models: which features, and so which CPUID and VMX capabilities exist.
export {
  defaultModel,
  type Feature,
  type MsrRow,
  type ProcessorModel,
  plainModel,
  processorModel,
  processorModels,
} from './cpu/model.ts';
// What processors of these models have and ringlet does not: the words that `Unimplemented` uses.
export { type UnimplementedFeature, unimplementedFeatures } from './cpu/opcodes/features.ts';
// What devices need from outside.
export type { InterruptLine, SerialLine } from './devices/ports.ts';
// The hypervisor, its virtual machines and what it counts.
export type { Paging } from './hypervisor/controls.ts';
export { Hypervisor, type HypervisorOptions, type VmConfig } from './hypervisor/hypervisor.ts';
export type { VmState } from './hypervisor/persist.ts';
export type { RunLimits, RunResult } from './hypervisor/scheduler.ts';
export type { ShadowOptions, ShadowStats } from './hypervisor/shadow/options.ts';
export type { VmStats } from './hypervisor/stats.ts';
export { type GuestRegisters, printRegisters, type VmStopReason } from './hypervisor/stop-reason.ts';
export type { Vm } from './hypervisor/vm.ts';
// The machine and its board.
export { type BoardDescription, type DeviceDescription, PC } from './machine/board.ts';
export { HardwareTrace, type HardwareTraceOptions } from './machine/hardware-trace.ts';
export type { PlaceOptions } from './machine/loader/place.ts';
export type { ImageOptions } from './machine/loader/plan.ts';
export { Machine, type MachineOptions, type RunOptions, type StopReason } from './machine/machine.ts';
export type { MachineObserver } from './machine/observe.ts';
export type { MachineState } from './machine/persist.ts';
export type { Registers, SegmentValue, TableRegister, WritableRegisters } from './machine/registers.ts';
// VMX from TypeScript: the door through which the hypervisor, or another one, executes root-mode operations.
export type { Reached, RootMemory, RootMode, VmxResult } from './machine/root-mode.ts';
export { type RootModeOptions, RootModePort } from './machine/root-mode-port.ts';
export type { OwnershipChange, Regime, TlbEntry, TraceEvent } from './machine/trace-event.ts';
// Translation caching, and what the memory unit tells.
export type { FlushAudit, FlushCount, StaleUse } from './mmu/flush-audit.ts';
export { flushReport } from './mmu/flush-report.ts';
export type { FlushTarget, MmuCounts, MmuObserver, PageWalkStep, TlbEvent } from './mmu/observer.ts';
export type { TranslationCacheOptions } from './mmu/policy.ts';
export { modelCapabilities, type VmxCapabilities } from './vmx/capabilities.ts';
// VMX by the manual's numbers: exit reasons, errors, and the rules of VM entry.
export type { FailedCheck } from './vmx/checks/index.ts';
export type { EntryFailure, VmxSettings } from './vmx/context.ts';
export { EXIT, exitReasonName, exitReasonText, VM_ERROR, vmErrorText } from './vmx/exit-reasons.ts';
// VMX explained: failed entries, exits, addresses and dumps, as plain data with text.
export {
  type AddressExplanation,
  type EntryExplanation,
  type EptExplanation,
  type EptRange,
  type ExitExplanation,
  explainAddress,
  explainEntry,
  explainEpt,
  explainExit,
  explainIoBitmaps,
  explainMsrBitmap,
  explainVmcs,
  type FieldChange,
  guestRegime,
  type IoBitmapExplanation,
  imageOfObject,
  imageOfWords,
  isKvmDump,
  type MsrBitmapExplanation,
  objectOfImage,
  parseKvmDump,
  type Range as ExplainedRange,
  type UnjudgedCheck,
  unknownProcessor,
  type VmcsExplanation,
  VmcsImage,
  type WalkAccess,
  type WalkEntry,
  type WalkMemory,
  type WalkRegime,
  walkMemory,
} from './vmx/explain/index.ts';
