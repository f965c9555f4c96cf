/** The smallest loop around a VM: enter, look at the exit reason, do what it says, step over the instruction. It shows what VM entries
 *  and exits cost by themselves; the hypervisor of the package adds clocks, devices, injection and statistics.
 *
 *  The VMCS is current and filled. General registers stay in the processor between exit and entry. */

import { EAX, EBX, ECX, EDX } from '../src/base/registers.ts';
import type { RootMode } from '../src/machine/root-mode.ts';
import { ENTRY_FAILURE, EXIT } from '../src/vmx/exit-reasons.ts';
import * as F from '../src/vmx/fields.ts';

const COM1 = 0x3f8;
const LINE_CONTROL = COM1 + 3;
const DIVISOR_ACCESS = 0x80;
const LINE_STATUS = COM1 + 5;
const SCRATCH = COM1 + 7;
const TRANSMITTER_EMPTY = 0x60;
const DEBUG_EXIT = 0xf4;
/** Exit qualification for I/O instructions. */
const INPUT = 0x8;
const LONGEST_TIMER = -1;

export class MinimalHypervisor {
  readonly #root: RootMode;
  readonly #transmit: (byte: number) => void;
  #scratch = 0;
  /** The first register is the divisor's. */
  #divisor = false;
  #launched = false;

  constructor(root: RootMode, general: Int32Array, transmit: (byte: number) => void) {
    this.#root = root;
    this.#transmit = transmit;
    general.forEach((value, index) => {
      root.setRegister(index, value);
    });
    root.vmwrite(F.VMX_PREEMPTION_TIMER_VALUE, LONGEST_TIMER);
  }

  /** Runs the guest until it writes to port F4h or halts. */
  run(): void {
    while (this.trip());
  }

  /** One entry, one exit, and what the exit asks for. False: the guest has ended. */
  trip(): boolean {
    const root = this.#root;
    switch (this.enter()) {
      case EXIT.CPUID: {
        const { eax, ebx, ecx, edx } = root.cpuid(root.getRegister(EAX), root.getRegister(ECX));
        root.setRegister(EAX, eax);
        root.setRegister(EBX, ebx);
        root.setRegister(ECX, ecx);
        root.setRegister(EDX, edx);
        break;
      }
      case EXIT.IO_INSTRUCTION:
        if (!this.#io(this.#read(F.EXIT_QUALIFICATION))) return false;
        break;
      case EXIT.PREEMPTION_TIMER:
        return true;
      case EXIT.HLT:
        return false;
      default:
        throw new Error(`exit reason ${this.#read(F.EXIT_REASON)} is none that this loop knows`);
    }
    root.vmwrite(F.GUEST_RIP, this.#read(F.GUEST_RIP) + this.#read(F.VM_EXIT_INSTRUCTION_LENGTH));
    return true;
  }

  /** Entry and exit alone: the basic exit reason. */
  enter(): number {
    const root = this.#root;
    const reached = this.#launched ? root.vmresume() : root.vmlaunch();
    if (reached.kind !== 'exit')
      throw new Error(`no VM exit: ${JSON.stringify(reached)} ${root.explainEntry().join('; ')}`);
    this.#launched = true;
    const reason = this.#read(F.EXIT_REASON);
    if (reason & ENTRY_FAILURE) throw new Error(`VM entry failed: ${root.explainEntry().join('; ')}`);
    return reason & 0xffff;
  }

  /** Byte accesses to what the kernels use. */
  #io(qualification: number): boolean {
    const root = this.#root;
    const port = qualification >>> 16;
    if (qualification & INPUT) {
      const value = port === LINE_STATUS ? TRANSMITTER_EMPTY : port === SCRATCH ? this.#scratch : 0xff;
      root.setRegister(EAX, (root.getRegister(EAX) & ~0xff) | value);
      return true;
    }
    const value = root.getRegister(EAX) & 0xff;
    if (port === LINE_CONTROL) this.#divisor = (value & DIVISOR_ACCESS) !== 0;
    else if (port === COM1 && !this.#divisor) this.#transmit(value);
    else if (port === SCRATCH) this.#scratch = value;
    return port !== DEBUG_EXIT;
  }

  #read(field: number): number {
    const value = this.#root.vmread(field);
    if (typeof value !== 'number') throw new Error(`VMREAD of field ${field.toString(16)}h failed`);
    return value | 0;
  }
}
