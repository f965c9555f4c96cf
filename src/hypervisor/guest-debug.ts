/** Debugging inside a guest: registers that no VMCS holds, and the traps of instructions that the hypervisor executes for it.
 *  Reference: SDM Vol. 3, "Debug Registers", "Guest Non-Register State" (pending debug exceptions). */

import { CR4_DE, DEBUG_BS, DEBUG_ENABLED, DR6_FIXED, FLAG_TF } from '../base/registers.ts';
import type { RootMode } from '../machine/root-mode.ts';
import * as F from '../vmx/fields.ts';

/** DR0 to DR3, DR6. */
const NUMBERS = [0, 1, 2, 3, 6] as const;
/** IA32_DEBUGCTL: EFLAGS.TF traps taken branches only. */
const BTF = 2;
/** R/W fields of DR7. */
const ON_WRITE = 1;
const ON_IO = 2;
const ON_ACCESS = 3;

/** Access to the fields of the VMCS that is current. */
export interface DebugFields {
  read(field: number): number;
  write(field: number, value: number): void;
}

export class GuestDebug {
  /** DR0 DR1 DR2 DR3 DR6 while another VM, or none, has its turn. */
  readonly registers: Int32Array = Int32Array.of(0, 0, 0, 0, DR6_FIXED);
  readonly #root: RootMode;
  readonly #fields: DebugFields;
  /** What the instruction that is carried out has met so far. */
  #accesses = 0;

  constructor(root: RootMode, fields: DebugFields) {
    this.#root = root;
    this.#fields = fields;
  }

  /** The processor's debug registers become the guest's for a turn … */
  load(): void {
    NUMBERS.forEach((number, k) => {
      this.#root.setDebugRegister(number, this.registers[k] as number);
    });
  }

  /** … and are kept when it is over. */
  save(): void {
    NUMBERS.forEach((number, k) => {
      this.registers[k] = this.#root.getDebugRegister(number);
    });
  }

  /** Debug exceptions wait for the next entry: nothing may be injected before them, and the guest does not halt. */
  get isPending(): boolean {
    return (this.#fields.read(F.GUEST_PENDING_DEBUG_EXCEPTIONS) & (DEBUG_ENABLED | DEBUG_BS)) !== 0;
  }

  /** Whether single step traps the instruction that is executed for the guest. */
  traps(flags: number): boolean {
    return (flags & FLAG_TF) !== 0 && (this.#fields.read(F.GUEST_IA32_DEBUGCTL) & BTF) === 0;
  }

  /** Makes the single-step trap pending. */
  pendTrap(): void {
    this.#pend(DEBUG_BS);
  }

  /** The hypervisor has read or written a port for the guest. True: a breakpoint on it is pending. */
  notePort(port: number, bytes: number): boolean {
    const dr7 = this.#fields.read(F.GUEST_DR7);
    if ((dr7 & 0xff) === 0 || (this.#fields.read(F.GUEST_CR4) & CR4_DE) === 0) return false;
    const hits = this.#hits(dr7, port, bytes, (kind) => kind === ON_IO);
    if (hits !== 0) this.#pend(hits);
    return hits !== 0;
  }

  /** The hypervisor has read or written memory for the instruction that it carries out. */
  noteAccess(linear: number, bytes: number, write: boolean): void {
    const dr7 = this.#fields.read(F.GUEST_DR7);
    if ((dr7 & 0xff) === 0) return;
    this.#accesses |= this.#hits(dr7, linear, bytes, (kind) => kind === ON_ACCESS || (kind === ON_WRITE && write));
  }

  /** That instruction, or an iteration of it, is done: breakpoints on what it accessed become pending. True: there was one. */
  commitAccesses(): boolean {
    if (this.#accesses === 0) return false;
    this.#pend(this.#accesses);
    this.#accesses = 0;
    return true;
  }

  /** It was not completed: what a faulting instruction has met it will meet again. */
  dropAccesses(): void {
    this.#accesses = 0;
  }

  /** Enabled breakpoints of such a kind that have a byte in common. */
  #hits(dr7: number, at: number, bytes: number, isWanted: (kind: number) => boolean): number {
    let hits = 0;
    for (const n of [0, 1, 2, 3] as const) {
      if (((dr7 >> (2 * n)) & 3) === 0 || !isWanted((dr7 >>> (16 + 4 * n)) & 3)) continue;
      const length = [1, 2, 8, 4][(dr7 >>> (18 + 4 * n)) & 3] as number;
      const start = (this.#root.getDebugRegister(n) & -length) >>> 0;
      if (at < start + length && start < at + bytes) hits |= (1 << n) | DEBUG_ENABLED;
    }
    return hits;
  }

  #pend(bits: number): void {
    const field = F.GUEST_PENDING_DEBUG_EXCEPTIONS;
    this.#fields.write(field, this.#fields.read(field) | bits);
  }
}
