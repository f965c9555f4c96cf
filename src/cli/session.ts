/** A run under way, bare or nested: what the run loop, reports and statistics know of it. */

import type { Unimplemented } from '../base/errors.ts';
import type { ShadowStats } from '../hypervisor/shadow/options.ts';
import type { VmStats } from '../hypervisor/stats.ts';
import type { GuestRegisters } from '../hypervisor/stop-reason.ts';
import type { Machine } from '../machine/machine.ts';
import type { PortSpace } from '../mmu/port-space.ts';
import type { SymbolTable } from './symbols.ts';

/** What became of a VM. */
export type Outcome =
  | { readonly kind: 'running' | 'power-off' | 'halted' }
  | { readonly kind: 'debug-exit'; readonly value: number }
  | { readonly kind: 'triple-fault'; readonly registers: GuestRegisters }
  | { readonly kind: 'unimplemented'; readonly error: Unimplemented; readonly registers: GuestRegisters }
  | { readonly kind: 'vm-stopped'; readonly message: string; readonly registers: GuestRegisters };

/** One VM of a run; in bare mode the machine itself. */
export interface SessionVm {
  readonly name: string;
  readonly symbols: SymbolTable;
  readonly ports: PortSpace;
  readonly retired: number;
  /** Ticks that it slept. */
  readonly halted: number;
  /** What the hypervisor counted, if there is one. */
  readonly stats: VmStats | null;
  /** With shadow paging: what the pager counted. */
  readonly shadow: ShadowStats | null;
  readonly outcome: Outcome;
}

/** limit: the instructions are used up · ended: no VM can go on · seen: the expected text appeared. */
export type Advance = 'limit' | 'ended' | 'seen';

export interface Session {
  readonly machine: Machine;
  readonly vms: readonly SessionVm[];
  /** Instructions that all VMs have retired. */
  readonly retired: number;
  /** References to memory that the hypervisor made itself. */
  readonly rootReferences: number;
  /** Lets the VMs retire up to `instructions` more, exactly. */
  run(instructions: number): Advance;
  /** Bytes for the first VM's first serial port. */
  receive(bytes: Uint8Array): void;
  /** The first VM has taken all bytes that it was sent. */
  readonly hasRoom: boolean;
  /** The first VM is halted, and a byte on its serial port would wake it. */
  readonly awaitsInput: boolean;
  /** Number of the VM that the processor executes, −1 for root mode. */
  current(): number;
  /** Number of the VM whose VMCS is current. */
  owner(): number;
}
