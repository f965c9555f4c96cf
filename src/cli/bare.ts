/** A kernel on the bare machine. */

import { EFLAGS, FLAG_IF } from '../base/registers.ts';
import type { GuestRegisters } from '../hypervisor/stop-reason.ts';
import { Machine, type StopReason } from '../machine/machine.ts';
import type { RunPlan } from './plan.ts';
import type { Consoles } from './serial.ts';
import type { Advance, Outcome, Session, SessionVm } from './session.ts';

export class BareSession implements Session {
  readonly machine: Machine;
  readonly vms: readonly SessionVm[];
  readonly rootReferences = 0;
  #outcome: Outcome = { kind: 'running' };

  constructor(plan: RunPlan, consoles: Consoles) {
    const vm = plan.vms[0];
    const machine = new Machine({
      memory: vm.memory,
      processor: plan.processor,
      translationCache: plan.tlb,
      serial: [{ transmit: (byte) => consoles.transmit(0, byte) }],
    });
    machine.load(vm.kernel.bytes, {
      ...vm.kernel,
      commandLine: vm.commandLine,
      modules: vm.initrd === null ? [] : [{ bytes: vm.initrd }],
    });
    consoles.onSeen = () => machine.stop('expected text');
    this.machine = machine;
    const outcome = (): Outcome => this.#outcome;
    this.vms = [
      {
        name: vm.name,
        symbols: vm.symbols,
        ports: machine.ports,
        stats: null,
        shadow: null,
        get retired() {
          return machine.instructions;
        },
        get halted() {
          return machine.idleTicks;
        },
        get outcome() {
          return outcome();
        },
      },
    ];
  }

  get retired(): number {
    return this.machine.instructions;
  }

  run(instructions: number): Advance {
    this.#outcome = { kind: 'running' };
    const stop = this.machine.run({ maxInstructions: instructions });
    if (stop.kind === 'limit') return 'limit';
    if (stop.kind === 'stopped') return 'seen';
    this.#outcome = outcomeOf(stop, this.machine);
    return 'ended';
  }

  receive(bytes: Uint8Array): void {
    this.machine.devices.serial[0].receive(bytes);
  }

  get hasRoom(): boolean {
    return this.machine.devices.serial[0].waiting === 0;
  }

  get awaitsInput(): boolean {
    const isOpen = (this.machine.cpu.S[EFLAGS] & FLAG_IF) !== 0;
    return this.#outcome.kind === 'halted' && isOpen && this.machine.devices.serial[0].wantsInput;
  }

  current(): number {
    return 0;
  }

  owner(): number {
    return 0;
  }
}

/** The machine's registers, as a guest's are reported. */
export function machineRegisters(machine: Machine): GuestRegisters {
  const { eax, ecx, edx, ebx, esp, ebp, esi, edi, eip, eflags, cs, cr0, cr2, cr3, cr4 } = machine.registers;
  return { eax, ecx, edx, ebx, esp, ebp, esi, edi, eip, eflags, cs: cs.selector, cr0, cr2, cr3, cr4 };
}

function outcomeOf(stop: Exclude<StopReason, { kind: 'limit' | 'stopped' }>, machine: Machine): Outcome {
  switch (stop.kind) {
    case 'triple-fault':
      return { kind: 'triple-fault', registers: machineRegisters(machine) };
    case 'unimplemented':
      return { kind: 'unimplemented', error: stop.error, registers: machineRegisters(machine) };
    default:
      return stop;
  }
}
