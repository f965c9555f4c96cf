/** One VM's turn on the processor: enter, exit, handle, until the turn is over. */

import { low32 } from '../base/int.ts';
import type { Reached, RootMode } from '../machine/root-mode.ts';
import { ENTRY_FAILURE, EXIT, exitReasonText, vmErrorText } from '../vmx/exit-reasons.ts';
import * as F from '../vmx/fields.ts';
import { handlerFor } from './exits/index.ts';
import { GuestMsrs } from './guest-msrs.ts';
import { deliverPending, keepInterruptedEvent, noteResumeFlag } from './injection.ts';
import { guestRegisters } from './stop-reason.ts';
import type { Vm } from './vm.ts';

/** slice: others may run · halted: only something from outside can wake the VM · stopped: see its stopReason ·
 *  limit: as many instructions as the turn may retire, or the time that it may reach · until: the caller has seen enough ·
 *  interrupted: the machine itself was stopped while the guest ran; the next turn goes on there. */
export type TurnEnd = 'slice' | 'halted' | 'stopped' | 'limit' | 'until' | 'interrupted';

export interface TurnLimits {
  /** Instructions after which it is another VM's turn. */
  readonly slice: number;
  /** Instructions that may be retired at all. */
  readonly instructions: number;
  /** Virtual time that the VM may reach. */
  readonly time: number;
  readonly until: (() => boolean) | undefined;
  /** What the observer is told after each exit. */
  readonly onExit: ((vm: Vm, reason: number) => void) | undefined;
}

/** A halted VM that so many alarms in a row did not wake is taken to be halted for ever, as on the bare machine. */
const FRUITLESS_ALARMS = 10_000;
const LONGEST_TIMER = 0xffff_ffff;

export class Turn {
  readonly #root: RootMode;
  /** The processor's time-stamp counter minus the machine's virtual time. */
  readonly #hostTsc: number;
  readonly #msrs: GuestMsrs;

  constructor(root: RootMode, hostTsc: number) {
    this.#root = root;
    this.#hostTsc = hostTsc;
    this.#msrs = new GuestMsrs(root);
  }

  run(vm: Vm, limits: TurnLimits): TurnEnd {
    vm.stats.turns++;
    if (this.#root.vmptrst() !== vm.vcpu.vmcs) this.#root.vmptrld(vm.vcpu.vmcs);
    vm.vcpu.debug.load();
    this.#msrs.load(vm);
    const end = this.#run(vm, limits);
    this.#msrs.save(vm);
    vm.vcpu.debug.save();
    return end;
  }

  #run(vm: Vm, limits: TurnLimits): TurnEnd {
    const start = vm.retired;
    for (;;) {
      vm.clock.runDue();
      if (vm.stopReason !== null) return 'stopped';
      if (limits.until?.()) return 'until';
      const done = vm.retired - start;
      if (done >= limits.instructions || vm.time >= limits.time) return 'limit';
      if (done >= limits.slice) return 'slice';
      if (vm.vcpu.halted) {
        const end = this.#sleep(vm, limits);
        if (end !== null) return end;
      }
      const isDelivering = deliverPending(vm);
      const room = Math.min(limits.slice, limits.instructions) - done;
      const bound = Math.min(room, vm.clock.next - vm.time, limits.time - vm.time);
      this.#prepareEntry(vm, vm.isStepping ? (isDelivering ? 0 : 1) : bound);
      if (!this.#enter(vm)) return vm.stopReason === null ? 'interrupted' : 'stopped';
      const reason = vm.vcpu.read(F.EXIT_REASON);
      vm.stats.countExit(reason & 0xffff);
      limits.onExit?.(vm, reason & 0xffff);
      if (reason & ENTRY_FAILURE) {
        this.#refuse(vm, exitReasonText(reason));
        return 'stopped';
      }
      if (vm.isStepping && !mayNeedMore(reason & 0xffff)) vm.endStep();
      keepInterruptedEvent(vm);
      if (handlerFor(reason & 0xffff)(vm, this.#root) === 'done') {
        vm.completeInstruction(vm.vcpu.read(F.VM_EXIT_INSTRUCTION_LENGTH));
      }
      vm.vcpu.debug.dropAccesses();
      vm.shadow?.audit();
      if (vm.vcpu.halted && !vm.interruptLine && vm.stopReason === null) return 'slice'; // nothing to do before its next alarm
    }
  }

  /** Lets a halted VM's clock jump from alarm to alarm until one raises its interrupt line. Null: it is awake. */
  #sleep(vm: Vm, limits: TurnLimits): TurnEnd | null {
    if (!vm.vcpu.interruptsEnabled) return 'halted';
    for (let alarms = 0; !vm.interruptLine; alarms++) {
      const next = vm.clock.next;
      if (next === Number.POSITIVE_INFINITY || alarms >= FRUITLESS_ALARMS) return 'halted';
      vm.sleepUntil(Math.min(next, limits.time));
      if (next > limits.time) return 'limit';
      vm.clock.runDue();
    }
    vm.vcpu.halted = false;
    return null;
  }

  #prepareEntry(vm: Vm, instructions: number): void {
    const { vcpu } = vm;
    vm.horizon = vm.time + instructions;
    const offset = vm.time + vm.tscAdjust - (this.#root.now() + this.#hostTsc);
    vcpu.write(F.TSC_OFFSET, offset | 0);
    vcpu.write(F.TSC_OFFSET + 1, Math.floor(offset / 0x1_0000_0000));
    vcpu.write(F.VMX_PREEMPTION_TIMER_VALUE, low32(Math.min(instructions, LONGEST_TIMER)));
    vm.shadow?.beforeEntry();
    vcpu.loadGeneral();
    this.#root.setCr2(vcpu.cr2);
  }

  /** Root mode again: takes the guest's registers and time. */
  #exited(vm: Vm, enteredAt: number): void {
    vm.vcpu.launched = true;
    vm.vcpu.saveGeneral();
    noteResumeFlag(vm);
    vm.vcpu.cr2 = this.#root.getCr2();
    vm.elapse(this.#root.now() - enteredAt);
  }

  /** The processor would not enter the guest. */
  #refuse(vm: Vm, what: string): void {
    vm.stop('entry-failure', [what, ...this.#root.explainEntry()].join('\n'));
  }

  /** Runs the guest until it exits. False: it did not, see the VM's stop reason; without one, the machine was stopped. */
  #enter(vm: Vm): boolean {
    const root = this.#root;
    const { vcpu } = vm;
    const enteredAt = root.now();
    vm.stats.entries++;
    const reached: Reached = vcpu.launched ? root.vmresume() : root.vmlaunch();
    switch (reached.kind) {
      case 'exit':
        this.#exited(vm, enteredAt);
        return true;
      case 'unimplemented':
        root.kick();
        this.#exited(vm, enteredAt);
        vm.end({ kind: 'unimplemented', error: reached.error, registers: guestRegisters(vcpu) });
        return false;
      case 'budget':
      case 'stopped':
        root.kick();
        this.#exited(vm, enteredAt);
        if (vm.isStepping) vm.endStep();
        return false;
      case 'vmfail':
        this.#refuse(vm, vmErrorText(reached.error));
        return false;
      case 'abort':
        vm.end({ kind: 'host-failure', message: `VMX abort, indicator ${reached.indicator}`, registers: NOWHERE });
        return false;
      case 'shutdown':
        vm.end({ kind: 'host-failure', message: `root mode shut down: ${reached.why}`, registers: NOWHERE });
        return false;
    }
  }
}

/** While memory is lent for one instruction: exits after which it goes on needing it, and perhaps more. */
const mayNeedMore = (reason: number): boolean => reason === EXIT.EPT_VIOLATION || reason === EXIT.EXCEPTION_OR_NMI;

/** After an abort there is no VMCS left to read registers from. */
const NOWHERE = {
  eax: 0,
  ecx: 0,
  edx: 0,
  ebx: 0,
  esp: 0,
  ebp: 0,
  esi: 0,
  edi: 0,
  eip: 0,
  eflags: 0,
  cs: 0,
  cr0: 0,
  cr2: 0,
  cr3: 0,
  cr4: 0,
} as const;
