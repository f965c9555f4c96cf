/** Shares the processor among VMs, in turn. */

import type { VmStopReason } from './stop-reason.ts';
import type { Turn } from './turn.ts';
import type { Vm } from './vm.ts';

export interface RunLimits {
  /** Stop when the VMs have retired so many instructions together, exactly. @defaultValue no limit */
  readonly maxInstructions?: number;
  /** Let no VM's virtual time go beyond this. @defaultValue no limit */
  readonly maxTime?: number;
  /** Looked at after each exit: true ends the run. */
  readonly until?: () => boolean;
}

export interface RunResult {
  /** ended: every VM has stopped or is halted with nothing to wake it · limit: instructions or time ·
   *  until: `until` returned true · interrupted: the machine was stopped; `run` goes on where it was. */
  readonly kind: 'ended' | 'limit' | 'until' | 'interrupted';
  /** State of each VM: why it stopped, halted with nothing to wake it, or still able to run. */
  readonly vms: readonly {
    readonly name: string;
    readonly state: VmStopReason | { kind: 'halted' } | { kind: 'running' };
  }[];
}

export class Scheduler {
  readonly #vms: readonly Vm[];
  readonly #turn: Turn;
  readonly #slice: number;
  readonly #onExit: ((vm: Vm, reason: number) => void) | undefined;
  /** Whose turn is next. */
  #next = 0;
  /** What the VM whose turn it is has left of its slice. */
  #left = 0;

  constructor(vms: readonly Vm[], turn: Turn, slice: number, onExit?: (vm: Vm, reason: number) => void) {
    this.#vms = vms;
    this.#turn = turn;
    this.#slice = slice;
    this.#onExit = onExit;
  }

  run(limits: RunLimits): RunResult {
    let instructions = limits.maxInstructions ?? Number.POSITIVE_INFINITY;
    const time = limits.maxTime ?? Number.POSITIVE_INFINITY;
    for (;;) {
      const vm = this.#choose(time);
      if (vm === null) return this.#result(this.#vms.some(canRun) ? 'limit' : 'ended');
      if (this.#left === 0) this.#left = this.#slice;
      const before = vm.retired;
      const end = this.#turn.run(vm, {
        slice: this.#left,
        instructions,
        time,
        until: limits.until,
        onExit: this.#onExit,
      });
      const retired = vm.retired - before;
      instructions -= retired;
      this.#left = Math.max(0, this.#left - retired);
      if (end === 'halted') vm.idle = true;
      const isOver = end === 'slice' || end === 'halted' || end === 'stopped' || vm.time >= time;
      if (isOver || this.#left === 0) {
        this.#left = 0;
        this.#next = (vm.number + 1) % this.#vms.length;
      }
      if (end === 'until' || end === 'interrupted') return this.#result(end);
      if (instructions <= 0) return this.#result('limit');
    }
  }

  /** The next VM in turn that can do something. */
  #choose(time: number): Vm | null {
    for (let i = 0; i < this.#vms.length; i++) {
      const vm = this.#vms[(this.#next + i) % this.#vms.length];
      if (!canRun(vm) || vm.time >= time) continue;
      if (i > 0) this.#left = 0;
      return vm;
    }
    return null;
  }

  #result(kind: RunResult['kind']): RunResult {
    const vms = this.#vms.map((vm) => ({
      name: vm.name,
      state: vm.stopReason ?? ({ kind: vm.idle ? 'halted' : 'running' } as const),
    }));
    return { kind, vms };
  }
}

const canRun = (vm: Vm): boolean => vm.stopReason === null && !vm.idle;
