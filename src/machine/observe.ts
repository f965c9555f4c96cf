/** Whoever wants to watch a machine: tracers, debuggers, web pages. Observers change nothing, and cost nothing while there are none. */

import type { CpuObserver } from '../cpu/observer.ts';
import type { MmuObserver } from '../mmu/observer.ts';
import type { AccessSize } from '../mmu/port-space.ts';
import type { VmxObserver } from '../vmx/context.ts';
import type { Machine } from './machine.ts';
import type { OwnershipChange } from './trace-event.ts';

/** What can be watched; each call comes at the moment that it names, with the registers of that moment. */
export interface MachineObserver extends CpuObserver, MmuObserver, VmxObserver {
  /** An access to port space; the value is what was read or is written. */
  onPort?(port: number, size: AccessSize, value: number, input: boolean): void;
  /** Root-mode software declares whose some frames are. */
  onOwnership?(change: OwnershipChange): void;
}

/** The observers of one machine. Hooks are set in its parts only while somebody wants them. */
export class Observers {
  readonly #machine: Machine;
  readonly #walks: MmuObserver;
  readonly #all: MachineObserver[] = [];

  /** `walks`: the object that the memory unit tells of page walks. */
  constructor(machine: Machine, walks: MmuObserver) {
    this.#machine = machine;
    this.#walks = walks;
  }

  /** Adds an observer; the function that comes back takes it away again. */
  add(observer: MachineObserver): () => void {
    this.#all.push(observer);
    this.#connect();
    return () => {
      const place = this.#all.indexOf(observer);
      if (place >= 0) this.#all.splice(place, 1);
      this.#connect();
    };
  }

  #connect(): void {
    const { cpu, ports, vmx } = this.#machine;
    const all = [...this.#all];
    const watched = (name: keyof MachineObserver): boolean => all.some((o) => o[name] !== undefined);
    const onInstruction: CpuObserver['onInstruction'] = () => {
      for (const o of all) o.onInstruction?.();
    };
    const onEvent: CpuObserver['onEvent'] = (event, injected) => {
      for (const o of all) o.onEvent?.(event, injected);
    };
    const onPageWalkStep: MmuObserver['onPageWalkStep'] = (step) => {
      for (const o of all) o.onPageWalkStep?.(step);
    };
    const onDataAccess: MmuObserver['onDataAccess'] = (linear, bytes, write, physical) => {
      for (const o of all) o.onDataAccess?.(linear, bytes, write, physical);
    };
    const onFlush: MmuObserver['onFlush'] = (event, target) => {
      for (const o of all) o.onFlush?.(event, target);
    };
    const onOwnership: MachineObserver['onOwnership'] = (change) => {
      for (const o of all) o.onOwnership?.(change);
    };
    const onPort: MachineObserver['onPort'] = (port, size, value, input) => {
      for (const o of all) o.onPort?.(port, size, value, input);
    };
    const onEntry = (): void => {
      for (const o of all) o.onEntry?.();
    };
    const onExit: VmxObserver['onExit'] = (reason) => {
      for (const o of all) o.onExit?.(reason);
    };
    const onEntryFailure: VmxObserver['onEntryFailure'] = (failure) => {
      for (const o of all) o.onEntryFailure?.(failure);
    };
    cpu.observer =
      watched('onInstruction') || watched('onEvent')
        ? { ...(watched('onInstruction') ? { onInstruction } : {}), ...(watched('onEvent') ? { onEvent } : {}) }
        : null;
    if (watched('onPageWalkStep')) this.#walks.onPageWalkStep = onPageWalkStep;
    else delete this.#walks.onPageWalkStep;
    if (watched('onDataAccess')) this.#walks.onDataAccess = onDataAccess;
    else delete this.#walks.onDataAccess;
    cpu.mmu.showsEachAccess = watched('onDataAccess');
    if (watched('onFlush')) this.#walks.onFlush = onFlush;
    else delete this.#walks.onFlush;
    this.#machine.onOwnership = watched('onOwnership') ? onOwnership : null;
    ports.onAccess = watched('onPort') ? onPort : null;
    const watchesVmx = watched('onEntry') || watched('onExit') || watched('onEntryFailure');
    if (vmx !== null) vmx.context.observer = watchesVmx ? { onEntry, onExit, onEntryFailure } : null;
  }
}
