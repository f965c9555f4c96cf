/** A virtual processor: its VMCS, and what a VMCS does not hold. The VMCS must be current when fields are accessed. */

import {
  CR0_PE,
  EAX,
  EBP,
  EBX,
  ECX,
  EDI,
  EDX,
  ESI,
  ESP,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_RF,
  FLAG_VM,
} from '../base/registers.ts';
import type { RootMode } from '../machine/root-mode.ts';
import {
  BLOCKING_BY_MOV_SS,
  BLOCKING_BY_STI,
  INTERRUPTION_ERROR_CODE,
  INTERRUPTION_TYPE,
  INTERRUPTION_VALID,
  PRIMARY,
  VM_ENTRY,
} from '../vmx/controls.ts';
import { vmErrorText } from '../vmx/exit-reasons.ts';
import * as F from '../vmx/fields.ts';
import { GuestDebug } from './guest-debug.ts';
import { type PagingRegisters, PDPTE_WORDS, usesPae } from './paging/registers.ts';

/** General registers that root mode holds; ESP has a VMCS field. */
const HELD = [EAX, ECX, EDX, EBX, EBP, ESI, EDI] as const;

/** An event for the next VM entry, in the format of the VM-entry fields. */
export interface PendingEvent {
  readonly information: number;
  readonly errorCode: number;
}

export class Vcpu {
  readonly #root: RootMode;
  /** Host-physical address of the VMCS. */
  readonly vmcs: number;
  readonly #primaryControls: number;
  /** By register-file index; ESP's place is unused. */
  readonly general = new Int32Array(8);
  cr2 = 0;
  readonly debug: GuestDebug;
  launched = false;
  /** Executed HLT and waits for an interrupt. */
  halted = false;
  pending: PendingEvent | null = null;
  /** RF = 1 says only that the guest's instruction is executed once more: an interrupt that comes before it pushes 0. */
  isRestarting = false;
  /** IOPL as the guest sees it, while its real-address mode is virtual-8086 mode in fact; −1: it is not. */
  virtualIopl = -1;
  /** What paging depends on, where the VMCS holds what shadow tables need. */
  shadowed: PagingRegisters | null = null;
  #windowExiting = false;

  constructor(root: RootMode, vmcs: number, primaryControls: number) {
    this.#root = root;
    this.vmcs = vmcs;
    this.#primaryControls = primaryControls;
    this.debug = new GuestDebug(root, this);
  }

  /** VMREAD, as a 32-bit pattern. */
  read(field: number): number {
    const value = this.#root.vmread(field);
    if (typeof value === 'number') return value | 0;
    throw new Error(`VMREAD of field ${field.toString(16)}h failed: ${value.ok ? '' : vmErrorText(value.error)}`);
  }

  /** VMWRITE. Of a 64-bit field the low half, which clears the high one. */
  write(field: number, value: number): void {
    const result = this.#root.vmwrite(field, value | 0);
    if (!result.ok) throw new Error(`VMWRITE of field ${field.toString(16)}h failed: ${vmErrorText(result.error)}`);
  }

  /** A general register, ESP included. */
  getRegister(index: number): number {
    return index === ESP ? this.read(F.GUEST_RSP) : this.general[index];
  }

  setRegister(index: number, value: number): void {
    if (index === ESP) this.write(F.GUEST_RSP, value);
    else this.general[index] = value;
  }

  /** Root mode's registers become the guest's, just before an entry … */
  loadGeneral(): void {
    for (const index of HELD) this.#root.setRegister(index, this.general[index]);
  }

  /** … and are the guest's still, just after an exit. */
  saveGeneral(): void {
    for (const index of HELD) this.general[index] = this.#root.getRegister(index);
  }

  /** Current privilege level: DPL of SS. */
  get cpl(): number {
    return (this.read(F.GUEST_SS_ACCESS_RIGHTS) >> 5) & 3;
  }

  /** Whether the guest's real-address mode is virtual-8086 mode. */
  get isVirtual8086(): boolean {
    return this.virtualIopl >= 0;
  }

  /** EFLAGS as the guest sees it. */
  get eflags(): number {
    const flags = this.read(F.GUEST_RFLAGS);
    return this.isVirtual8086 ? (flags & ~(FLAG_VM | FLAG_IOPL)) | this.virtualIopl : flags;
  }

  /** CR0 as the guest sees it. */
  get cr0(): number {
    const owned = this.read(F.CR0_GUEST_HOST_MASK);
    return (this.read(F.GUEST_CR0) & ~owned) | (this.read(F.CR0_READ_SHADOW) & owned);
  }

  get cr3(): number {
    return this.shadowed?.cr3 ?? this.read(F.GUEST_CR3);
  }

  get cr4(): number {
    const owned = this.read(F.CR4_GUEST_HOST_MASK);
    return (this.read(F.GUEST_CR4) & ~owned) | (this.read(F.CR4_READ_SHADOW) & owned);
  }

  /** What paging depends on, as the guest sees it. */
  pagingRegisters(): PagingRegisters {
    if (this.shadowed !== null) return this.shadowed;
    const { cr0, cr3, cr4 } = this;
    const pdptes = new Int32Array(PDPTE_WORDS);
    if (!usesPae(cr0, cr4)) return { cr0, cr3, cr4, efer: 0, pdptes };
    for (let k = 0; k < PDPTE_WORDS; k++) pdptes[k] = this.read(F.GUEST_PDPTE0 + k);
    return { cr0, cr3, cr4, efer: this.loadsEfer ? this.read(F.GUEST_IA32_EFER) : 0, pdptes };
  }

  /** VM entries load IA32_EFER from the VMCS. */
  get loadsEfer(): boolean {
    return (this.read(F.VM_ENTRY_CONTROLS) & VM_ENTRY.LOAD_IA32_EFER) !== 0;
  }

  get interruptsEnabled(): boolean {
    return (this.read(F.GUEST_RFLAGS) & FLAG_IF) !== 0;
  }

  /** An external interrupt could be delivered at this boundary. */
  get canTakeInterrupt(): boolean {
    return (
      this.interruptsEnabled &&
      (this.read(F.GUEST_INTERRUPTIBILITY_STATE) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) === 0 &&
      !this.debug.isPending
    );
  }

  /** Asks for an exit as soon as an interrupt could be delivered, or no longer. */
  set windowExiting(wanted: boolean) {
    if (wanted === this.#windowExiting) return;
    this.#windowExiting = wanted;
    const window = wanted ? PRIMARY.INTERRUPT_WINDOW_EXITING : 0;
    this.write(F.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, this.#primaryControls | window);
  }

  /** Raises an exception in the guest at the next entry. Fault-like: EIP stays at the instruction. */
  raise(vector: number, errorCode = -1): void {
    const isProtected = (this.cr0 & CR0_PE) !== 0; // real-address mode knows no error codes
    this.debug.dropAccesses();
    const withCode = errorCode >= 0 && isProtected ? INTERRUPTION_ERROR_CODE : 0;
    this.pending = {
      information: INTERRUPTION_VALID | withCode | (INTERRUPTION_TYPE.HARDWARE_EXCEPTION << 8) | vector,
      errorCode: Math.max(errorCode, 0),
    };
  }

  /** Injection pushes RF as it is: it must be set for a fault, so that the instruction can be restarted past a breakpoint, and clear
   *  for an interrupt, even if an instruction before it was tried twice. */
  set resumeFlag(wanted: boolean) {
    const flags = this.read(F.GUEST_RFLAGS);
    const next = wanted ? flags | FLAG_RF : flags & ~FLAG_RF;
    if (next !== flags) this.write(F.GUEST_RFLAGS, next);
  }

  /** Between two iterations of a string instruction that the hypervisor carries out: what is delivered there pushes RF = 1 (SDM Vol. 1,
   *  "RF … Resume flag"; Vol. 3, "Instruction-Breakpoint Exception Condition"). */
  pauseRepetition(): void {
    this.resumeFlag = true;
    this.isRestarting = false;
    this.endShadow();
  }

  /** Moves EIP behind an instruction of `length` bytes and ends what was shadowed during it. */
  advance(length: number): void {
    const flags = this.read(F.GUEST_RFLAGS);
    if ((flags & FLAG_RF) !== 0) this.write(F.GUEST_RFLAGS, flags & ~FLAG_RF);
    if (this.debug.traps(flags)) this.debug.pendTrap();
    this.debug.commitAccesses();
    this.write(F.GUEST_RIP, this.read(F.GUEST_RIP) + length);
    this.endShadow();
  }

  /** Blocking by STI and MOV SS lasts one instruction. */
  endShadow(): void {
    const state = this.read(F.GUEST_INTERRUPTIBILITY_STATE);
    const open = state & ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
    if (open !== state) this.write(F.GUEST_INTERRUPTIBILITY_STATE, open);
  }
}
