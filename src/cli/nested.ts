/** Kernels in VMs, side by side under the hypervisor. */

import { InvalidInput } from '../base/errors.ts';
import { Hypervisor } from '../hypervisor/hypervisor.ts';
import type { RunResult } from '../hypervisor/scheduler.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { Machine } from '../machine/machine.ts';
import { RootModePort } from '../machine/root-mode-port.ts';
import { MEMORY_LIMIT } from './numbers.ts';
import type { RunPlan, VmPlan } from './plan.ts';
import type { Consoles } from './serial.ts';
import type { Advance, Outcome, Session, SessionVm } from './session.ts';

const MEBIBYTE = 0x10_0000;
/** What the hypervisor needs for itself, and per VM besides its memory's page tables (8 bytes for each page of 4 KiB). */
const OWN_BYTES = 2 * MEBIBYTE;
const VM_BYTES = 256 * 1024;
const SHADOW_BYTES = 640 * 1024;
/** Shadow tables take one page for so many of the guest, and so much more. */
const SHADOW_SHARE = 25;

/** Memory of a machine that can hold these guests. Throws InvalidInput if none can. */
export function hostMemory(guests: readonly number[], withShadow = false): number {
  const shadow = (bytes: number): number => (withShadow ? bytes / SHADOW_SHARE + SHADOW_BYTES : 0);
  const needed = guests.reduce((sum, bytes) => sum + bytes + bytes / 256 + VM_BYTES + shadow(bytes), OWN_BYTES);
  const bytes = Math.ceil(needed / MEBIBYTE) * MEBIBYTE;
  if (bytes < MEMORY_LIMIT) return bytes;
  throw new InvalidInput(
    `guests and hypervisor need ${bytes / MEBIBYTE} MiB, a machine has less than 2048: give less --memory`,
  );
}

export class NestedSession implements Session {
  readonly machine: Machine;
  readonly hypervisor: Hypervisor;
  readonly vms: readonly SessionVm[];
  readonly #port: RootModePort;
  readonly #consoles: Consoles;
  readonly #paging: 'nested' | 'shadow';
  /** State of each VM after the last stretch. */
  #states: RunResult['vms'] = [];

  constructor(plan: RunPlan, consoles: Consoles) {
    this.#consoles = consoles;
    this.#paging = plan.mode === 'shadow' ? 'shadow' : 'nested';
    this.machine = new Machine({
      memory: hostMemory(
        plan.vms.map((vm) => vm.memory),
        plan.mode === 'shadow',
      ),
      processor: plan.processor,
      translationCache: plan.tlb,
    });
    this.#port = new RootModePort(this.machine);
    this.hypervisor = new Hypervisor(this.#port);
    this.vms = plan.vms.map((vm, i) => this.#create(vm, i));
  }

  #create(plan: VmPlan, number: number): SessionVm {
    const vm = this.hypervisor.createVm({
      ...plan.kernel,
      image: plan.kernel.bytes,
      name: plan.name,
      memory: plan.memory,
      paging: this.#paging,
      commandLine: plan.commandLine,
      modules: plan.initrd === null ? [] : [{ bytes: plan.initrd }],
      serial: [{ transmit: (byte) => this.#consoles.transmit(number, byte) }],
    });
    const outcome = (): Outcome => this.#outcome(vm);
    return {
      name: plan.name,
      symbols: plan.symbols,
      ports: vm.ports,
      stats: vm.stats,
      shadow: vm.shadow?.stats ?? null,
      get retired() {
        return vm.retired;
      },
      get halted() {
        return vm.stats.halted;
      },
      get outcome() {
        return outcome();
      },
    };
  }

  get retired(): number {
    return this.hypervisor.vms.reduce((sum, vm) => sum + vm.retired, 0);
  }

  get rootReferences(): number {
    return this.#port.memory.references;
  }

  run(instructions: number): Advance {
    const result = this.hypervisor.run({ maxInstructions: instructions, until: () => this.#consoles.seen });
    this.#states = result.vms;
    if (this.#consoles.seen) return 'seen';
    return result.kind === 'limit' ? 'limit' : 'ended';
  }

  receive(bytes: Uint8Array): void {
    this.hypervisor.vms[0].receive(bytes);
  }

  get hasRoom(): boolean {
    return this.hypervisor.vms[0].devices.serial[0].waiting === 0;
  }

  get awaitsInput(): boolean {
    const vm = this.hypervisor.vms[0];
    if (!vm.idle || vm.stopReason !== null || !vm.devices.serial[0].wantsInput) return false;
    this.#port.vmptrld(vm.vcpu.vmcs);
    return vm.vcpu.interruptsEnabled;
  }

  current(): number {
    return this.machine.vmx?.nonRoot ? this.owner() : -1;
  }

  owner(): number {
    const address = this.machine.vmx?.context.current?.address;
    return this.hypervisor.vms.findIndex((vm) => vm.vcpu.vmcs === address);
  }

  #outcome(vm: Vm): Outcome {
    const state = this.#states[vm.number]?.state ?? { kind: 'running' };
    switch (state.kind) {
      case 'running':
      case 'halted':
      case 'power-off':
      case 'debug-exit':
      case 'unimplemented':
        return state;
      case 'triple-fault':
        return { kind: 'triple-fault', registers: state.registers };
      default:
        return { kind: 'vm-stopped', message: state.message, registers: state.registers };
    }
  }
}
