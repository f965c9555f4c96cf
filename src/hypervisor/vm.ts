/** A virtual machine: memory, one virtual processor, a board of devices, a clock of its own.
 *
 *  Its time is the number of instructions that it has retired, plus what it slept: an instruction that the hypervisor
 *  executes for it counts one, a retry nothing. So a guest counts and is interrupted exactly as on the bare machine. */

import { VirtualClock } from '../base/clock.ts';
import type { SerialLine } from '../devices/ports.ts';
import type { BoardDescription } from '../machine/board.ts';
import { type BoardDevices, instantiate } from '../machine/board-devices.ts';
import { PortSpace } from '../mmu/port-space.ts';
import type { FloatMemory } from './float.ts';
import type { GuestMemory } from './guest-memory.ts';
import type { GuestFormats } from './paging/formats.ts';
import type { ShadowPager } from './shadow/pager.ts';
import { VmStats } from './stats.ts';
import { guestRegisters, type VmStopReason } from './stop-reason.ts';
import type { Vcpu } from './vcpu.ts';

export interface VmParts {
  readonly number: number;
  readonly name: string;
  readonly memory: GuestMemory;
  readonly formats: GuestFormats;
  readonly float: FloatMemory | null;
  readonly vcpu: Vcpu;
  readonly shadow: ShadowPager | null;
  readonly eptPointer: number;
  readonly vpid: number;
  readonly board: BoardDescription;
  readonly serial: readonly SerialLine[];
}

export class Vm {
  readonly number: number;
  readonly name: string;
  readonly memory: GuestMemory;
  /** Of its tables. */
  readonly formats: GuestFormats;
  /** With EPT: what answers where there is no memory. */
  readonly float: FloatMemory | null;
  readonly vcpu: Vcpu;
  /** With shadow paging: its tables. */
  readonly shadow: ShadowPager | null;
  /** 0: no EPT. */
  readonly eptPointer: number;
  readonly vpid: number;
  readonly ports = new PortSpace();
  readonly devices: BoardDevices;
  readonly clock: VirtualClock;
  readonly stats = new VmStats();
  /** MSRs that the guest has written, by index. */
  readonly msrs = new Map<number, { readonly lo: number; readonly hi: number }>();
  /** Time-stamp counter as the guest sees it, minus its time. */
  tscAdjust = 0;
  /** Virtual time: ticks since the VM was made. */
  time = 0;
  /** Time at which the processor would have come back by itself: repeated instructions go no further. */
  horizon = 0;
  /** Instructions that the guest has completed. */
  retired = 0;
  /** The interrupt controller asks for the processor. */
  interruptLine = false;
  /** Nothing can happen to the VM any more unless something comes from outside. */
  idle = false;
  stopReason: VmStopReason | null = null;

  constructor(parts: VmParts) {
    this.number = parts.number;
    this.name = parts.name;
    this.memory = parts.memory;
    this.formats = parts.formats;
    this.float = parts.float;
    this.vcpu = parts.vcpu;
    this.shadow = parts.shadow;
    this.eptPointer = parts.eptPointer;
    this.vpid = parts.vpid;
    this.clock = new VirtualClock(() => this.time);
    this.devices = instantiate(parts.board, {
      ports: this.ports,
      clock: this.clock,
      interrupt: {
        set: (level) => {
          this.interruptLine = level;
        },
      },
      serial: parts.serial,
      onPowerOff: () => this.end({ kind: 'power-off' }),
      onDebugExit: (value) => this.end({ kind: 'debug-exit', value }),
    });
  }

  /** The guest executes one instruction with memory that it does not have otherwise. */
  get isStepping(): boolean {
    return this.float?.isStepping === true || this.shadow?.step.isActive === true;
  }

  /** That instruction is over. */
  endStep(): void {
    if (this.float?.isStepping === true) this.float.endStep();
    if (this.shadow?.step.isActive === true) this.shadow.step.end();
  }

  /** Bytes for one of the VM's serial ports, from outside. */
  receive(bytes: Iterable<number>, port = 0): void {
    this.devices.serial[port].receive(bytes);
    this.idle = false;
  }

  /** Instructions were retired: the processor's, or one executed for it. */
  elapse(instructions: number): void {
    this.time += instructions;
    this.retired += instructions;
  }

  /** The hypervisor has executed an instruction for the guest. Its length is in the VMCS only where the exit was
   *  due to the instruction as such, not to what it met in memory. */
  completeInstruction(length: number): void {
    this.vcpu.advance(length);
    this.elapse(1);
    this.stats.emulated++;
  }

  /** Raises an exception in the guest instead of completing the instruction. */
  raise(vector: number, errorCode = -1): void {
    this.vcpu.raise(vector, errorCode);
    this.stats.exceptions++;
  }

  /** Sleeps until `time`. */
  sleepUntil(time: number): void {
    this.stats.halted += time - this.time;
    this.time = time;
  }

  /** The guest ended its own run. */
  end(reason: VmStopReason): void {
    this.stopReason ??= reason;
  }

  /** The hypervisor cannot go on with this VM. Its VMCS is current. */
  stop(
    kind: 'triple-fault' | 'entry-failure' | 'ept-misconfiguration' | 'unsupported' | 'host-failure',
    message: string,
  ): void {
    this.end({ kind, message, registers: guestRegisters(this.vcpu) });
  }
}
