/** The root-mode port: how TypeScript software executes as VMX root-mode software on a machine.
 *  It can do what root-mode machine code can do, and nothing more; each operation is executed by the same
 *  implementation that serves machine code. Memory references are counted. */

import type { Unimplemented } from '../base/errors.ts';

/** Host-physical memory as root-mode software reaches it. Addresses and lengths in bytes. */
export interface RootMemory {
  /** Size of RAM in bytes: frames 0 to bytes / 4096 − 1 exist. */
  readonly bytes: number;
  read8(at: number): number;
  read16(at: number): number;
  read32(at: number): number;
  write8(at: number, value: number): void;
  write16(at: number, value: number): void;
  write32(at: number, value: number): void;
  readBytes(at: number, length: number): Uint8Array;
  writeBytes(at: number, bytes: Uint8Array): void;
  fill(at: number, length: number, value: number): void;
  /** References made so far (one per aligned 4 bytes). */
  readonly references: number;
}

/** Outcome of a VMX instruction that does not enter (SDM Vol. 3, "Conventions"). error: VM-instruction error, 0 for VMfailInvalid. */
export type VmxResult = { readonly ok: true } | { readonly ok: false; readonly error: number };

/** Why root mode was reached again. */
export type Reached =
  | { readonly kind: 'exit' } // HOST_RIP is the gate; read EXIT_REASON …
  | { readonly kind: 'vmfail'; readonly error: number } // VMLAUNCH/VMRESUME failed before entering; 0: VMfailInvalid
  | { readonly kind: 'abort'; readonly indicator: number }
  | { readonly kind: 'shutdown'; readonly why: string } // the host itself triple-faulted or ran into the weeds
  | { readonly kind: 'budget' } // the machine's own instruction limit was reached while the guest ran; call `resumeInterrupted`
  | { readonly kind: 'stopped'; readonly why: string } // somebody outside asked the machine to stop
  | { readonly kind: 'unimplemented'; readonly error: Unimplemented }; // the guest needs what the machine does not have; only `kick` helps

export interface RootMode {
  readonly memory: RootMemory;
  /** General registers by register-file index (EAX … EDI), as root-mode code holds them. */
  getRegister(index: number): number;
  setRegister(index: number, value: number): void;
  getCr2(): number;
  setCr2(value: number): void;
  /** DR0 to DR3 and DR6, by number: VM entries and exits leave them alone. DR7 is in the VMCS. */
  getDebugRegister(index: 0 | 1 | 2 | 3 | 6): number;
  setDebugRegister(index: 0 | 1 | 2 | 3 | 6, value: number): void;
  getControlRegister(cr: 0 | 3 | 4): number;
  setControlRegister(cr: 0 | 3 | 4, value: number): void;
  /** CPUID; 32-bit patterns. */
  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number };
  rdmsr(index: number): { lo: number; hi: number } | 'gp';
  wrmsr(index: number, lo: number, hi: number): true | 'gp';
  portRead(port: number, size: 1 | 2 | 4): number;
  portWrite(port: number, value: number, size: 1 | 2 | 4): void;
  /** Loads root-mode segmentation and tables: protected mode, flat, GDT/IDT/TSS at the given host-physical addresses. */
  loadTables(tables: {
    gdt: number;
    gdtLimit: number;
    idt: number;
    idtLimit: number;
    tr: number;
    cs: number;
    data: number;
  }): void;

  vmxon(at: number): VmxResult;
  vmxoff(): VmxResult;
  vmclear(at: number): VmxResult;
  vmptrld(at: number): VmxResult;
  /** All ones (2^64 − 1 has no exact number): −1 if there is no current VMCS. */
  vmptrst(): number;
  vmread(field: number): number | VmxResult;
  vmwrite(field: number, value: number): VmxResult;
  invept(type: number, eptpLow: number, eptpHigh: number): VmxResult;
  invvpid(type: number, vpid: number, linear: number): VmxResult;
  /** A linear address that HOST_RIP may name: reaching it returns from vmlaunch/vmresume. */
  readonly gate: number;
  vmlaunch(): Reached;
  vmresume(): Reached;
  /** Not in any processor either: tells whoever judges isolation that the frames are this VM's alone; that it may reach them with
   *  `rights` (bit 0 read, 1 write, 2 execute), as others may; that it has no claim on them any more. `vm`: the address of its VMCS. */
  own(vm: number, frame: number, frames?: number): void;
  share(vm: number, frame: number, frames: number, rights: number): void;
  release(vm: number, frame: number, frames?: number): void;
  /** Not in any processor: what was wrong with the last VM entry that failed, a line for each rule that the VMCS breaks. */
  explainEntry(): readonly string[];
  /** Goes on after `budget` or `stopped`, without entering anew. */
  resumeInterrupted(): Reached;
  /** Makes a guest that `budget`, `stopped` or `unimplemented` left running exit, as an NMI from outside would. */
  kick(): Reached;
  /** Virtual time of the machine (retired instructions). */
  now(): number;
}
