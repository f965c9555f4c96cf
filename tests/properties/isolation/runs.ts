/** Runs programs on the bare machine and in a VM of ringlet's hypervisor; what a guest could see of it, and what the judge says.
 *  A machine serves many programs, one after the other. */
import { Hypervisor, type VmConfig } from '../../../src/hypervisor/hypervisor.ts';
import type { VmState } from '../../../src/hypervisor/persist.ts';
import type { RunLimits } from '../../../src/hypervisor/scheduler.ts';
import type { Vm } from '../../../src/hypervisor/vm.ts';
import { Judge, type Violation } from '../../../src/invariants/index.ts';
import { HardwareTrace } from '../../../src/machine/hardware-trace.ts';
import { Machine } from '../../../src/machine/machine.ts';
import type { MachineState } from '../../../src/machine/persist.ts';
import { RootModePort } from '../../../src/machine/root-mode-port.ts';
import type { TranslationCacheOptions } from '../../../src/mmu/policy.ts';
import { imageOf, LOG_END, type Operation } from './operations.ts';
import { frameAt, LOG, MEMORY_BYTES, ORIGIN, type Places, placesOf } from './places.ts';

/** What a program sees, and leaves behind. */
export interface Seen {
  readonly log: number[];
  /** Words of tables. */
  readonly entries: number[];
  readonly contents: number[];
}

export interface Ran extends Seen {
  readonly end: string;
  readonly violations: readonly Violation[];
}

export type Runner = (program: readonly Operation[], pae: boolean) => Ran;

const MOST = 100_000;
/** Two contexts of the fast tables serve a guest in two rings, two more the host. */
export const CONTEXTS = 4;
/** So many programs on one machine: the judge remembers all of them. */
const PROGRAMS = 100;

/** An end for VMs that exit again and again without getting on. */
export function bounded(maxInstructions: number): RunLimits {
  let exits = 0;
  return { maxInstructions, until: () => ++exits > MOST };
}

/** What stands in a guest's memory when it has ended. */
export function leftBehind(places: Places, read: (guestPhysical: number) => number): Seen {
  const log: number[] = [];
  const end = read(LOG_END);
  for (let at = LOG; at < end && at < LOG + 0x4000; at += 4) log.push(read(at) >>> 0);
  return {
    log,
    entries: places.words.map((at) => read(at) >>> 0),
    contents: Array.from({ length: 12 }, (_, f) => read(frameAt(f) + 4) >>> 0),
  };
}

/** The bare machine. Where nobody judges, the memory unit goes shorter ways. */
export function bare(translationCache: TranslationCacheOptions, isJudged = true): Runner {
  let made: { machine: Machine; trace: HardwareTrace | null; initial: MachineState } | null = null;
  let judge = new Judge();
  return (program, pae) => {
    if (made === null) {
      const machine = new Machine({ memory: MEMORY_BYTES, contexts: CONTEXTS, translationCache });
      const trace = isJudged ? new HardwareTrace(machine, (event) => judge.add(event)) : null;
      machine.load(Uint8Array.of(0xf4), { load: ORIGIN });
      made = { machine, trace, initial: machine.save() };
    }
    const { machine, trace, initial } = made;
    machine.restore(initial);
    judge = new Judge();
    trace?.restart();
    machine.memory.writeBytes(ORIGIN, imageOf(program, pae));
    const end = machine.run({ maxInstructions: MOST }).kind;
    trace?.snapshot();
    return { end, ...leftBehind(placesOf(pae), (at) => machine.memory.read32(at)), violations: judge.violations };
  };
}

/** A VM of ringlet's hypervisor. */
export function inVm(
  translationCache: TranslationCacheOptions,
  config: Pick<VmConfig, 'largePages' | 'paging'>,
  isJudged = true,
): Runner {
  let made: { hypervisor: Hypervisor; vm: Vm; judge: Judge; trace: HardwareTrace | null; initial: VmState } | null =
    null;
  let count = 0;
  return (program, pae) => {
    if (made === null || ++count % PROGRAMS === 0) {
      const machine = new Machine({ memory: 0x60_0000, contexts: CONTEXTS, translationCache });
      const judge = new Judge();
      const trace = isJudged ? new HardwareTrace(machine, (event) => judge.add(event)) : null;
      const hypervisor = new Hypervisor(new RootModePort(machine));
      const image = Uint8Array.of(0xf4);
      const vm = hypervisor.createVm({ memory: MEMORY_BYTES, image, load: ORIGIN, ...config });
      made = { hypervisor, vm, judge, trace, initial: hypervisor.save(vm) };
    }
    const { hypervisor, vm, judge, trace, initial } = made;
    hypervisor.restore(vm, initial);
    vm.memory.writeBytes(ORIGIN, imageOf(program, pae));
    const before = judge.violations.length;
    hypervisor.run(bounded(MOST));
    trace?.snapshot();
    return {
      end: vm.stopReason?.kind ?? 'limit',
      ...leftBehind(placesOf(pae), (at) => vm.memory.read32(at)),
      violations: judge.violations.slice(before),
    };
  };
}

/** Room for the hypervisor, three guests and one that stores where no memory is. */
const COMPANY_BYTES = 0xc0_0000;
const empty = new Map<string, { machine: Machine; trace: HardwareTrace; initial: MachineState; judge: Judge }>();

/** A machine in which nothing has run yet: always the same for a way of caching, as it was at first. */
export function emptyMachine(translationCache: TranslationCacheOptions): {
  machine: Machine;
  judge: Judge;
  trace: HardwareTrace;
} {
  const key = JSON.stringify(translationCache);
  let made = empty.get(key);
  if (made === undefined) {
    const machine = new Machine({ memory: COMPANY_BYTES, contexts: CONTEXTS, translationCache });
    const initial = machine.save();
    const trace = new HardwareTrace(machine, (event) => empty.get(key)?.judge.add(event));
    made = { machine, trace, initial, judge: new Judge() };
    empty.set(key, made);
  }
  made.machine.restore(made.initial);
  made.judge = new Judge();
  made.trace.restart();
  return made;
}
