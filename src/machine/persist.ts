/** A machine as plain data: what a machine of the same make needs to go on exactly where this one stands. */

import { InvalidInput, type Unvalidated } from '../base/errors.ts';
import { record, ticks } from '../base/validate.ts';
import { type CpuState, restoreCpu, saveCpu } from '../cpu/persist.ts';
import type { MmuState } from '../mmu/persist.ts';
import type { PhysicalMemoryState } from '../mmu/physical-memory.ts';
import type { VmxState } from '../vmx/vmx.ts';
import type { BoardState } from './board-devices.ts';
import type { Machine } from './machine.ts';

export interface MachineState {
  /** Virtual time, and the part of it that passed while the processor was halted. */
  readonly time: number;
  readonly idleTicks: number;
  readonly memory: PhysicalMemoryState;
  readonly cpu: CpuState;
  /** null: the processor has no VMX. */
  readonly vmx: VmxState | null;
  readonly mmu: MmuState;
  readonly devices: BoardState;
}

/** The state between two runs. */
export function saveMachine(machine: Machine): MachineState {
  return {
    time: machine.cpu.now(),
    idleTicks: machine.idleTicks,
    memory: machine.memory.save(),
    cpu: saveCpu(machine.cpu),
    vmx: machine.vmx?.save() ?? null,
    mmu: machine.cpu.mmu.save(),
    devices: machine.devices.save(),
  };
}

/** Takes a state over. Each part checks all that it takes before it changes, but parts that came before a wrong one have changed:
 *  a machine that threw InvalidInput is of no more use. */
export function restoreMachine(machine: Machine, state: Unvalidated<MachineState>): void {
  const { cpu, vmx } = machine;
  const time = ticks(state.time, 'time');
  const idleTicks = ticks(state.idleTicks, 'idleTicks');
  if (idleTicks > time) throw new InvalidInput(`idleTicks is ${idleTicks}, more than all the time there was (${time})`);
  if ((state.vmx === null) !== (vmx === null))
    throw new InvalidInput(
      `vmx: this machine's processor has ${vmx === null ? 'no VMX' : 'VMX'}, the saved one did not agree`,
    );
  machine.memory.restore(record(state.memory, 'memory'));
  vmx?.restore(record(state.vmx, 'vmx'));
  restoreCpu(cpu, record(state.cpu, 'cpu'));
  cpu.mmu.restore(record(state.mmu, 'mmu'));
  cpu.endTime = time;
  cpu.remaining = 0;
  machine.idleTicks = idleTicks;
  machine.devices.restore(record(state.devices, 'devices'));
  cpu.updateInterruptEvent();
}
