/** Runs a workload in one of the modes, watched by modelled processors, and returns what a round of it caused. */

import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { ShadowOptions } from '../../hypervisor/shadow/options.ts';
import type { Vm } from '../../hypervisor/vm.ts';
import { Machine } from '../../machine/machine.ts';
import { type Facts, perRound } from './facts.ts';
import type { ModelledProcessor } from './hardware/processor.ts';
import { ObservedRoot } from './observed-root.ts';
import { Watcher } from './watcher.ts';
import type { Image } from './workloads.ts';

export const MODES = ['bare', 'shadow', 'nested 4K', 'nested 2M'] as const;
export type Mode = (typeof MODES)[number];

export const isNested = (mode: Mode): boolean => mode.startsWith('nested');

const MEBIBYTE = 1 << 20;
const GUEST_MEMORY = 64 * MEBIBYTE;
const HYPERVISOR_MEMORY = 32 * MEBIBYTE;
/** The machine's own TLB, whose counts are facts, too. */
const TRANSLATION_CACHE = { kind: 'modelled', entries: 1536, seed: 1 } as const;

export interface Way {
  readonly mode: Mode;
  readonly processors: readonly ModelledProcessor[];
  /** Rounds that only warm up, and rounds that are counted: the image has their sum. */
  readonly warm: number;
  readonly counted: number;
  readonly shadow?: ShadowOptions;
}

/** Throws an Error if the workload does not end as it should. */
export function run(image: Image, way: Way): Facts {
  const output: number[] = [];
  const serial = [{ transmit: (byte: number) => void output.push(byte) }];
  const facts = way.mode === 'bare' ? runBare(image, way, serial) : runVm(image, way, serial);
  const text = String.fromCharCode(...output);
  if (text !== 'done\n') throw new Error(`${way.mode}: the workload printed ${JSON.stringify(text.slice(0, 200))}`);
  return facts;
}

type Serial = readonly { transmit: (byte: number) => void }[];

/** Takes `read` before the first round that is counted and after the last one. */
class Rounds {
  #marks = 0;
  #before: Facts | null = null;
  #result: Facts | null = null;
  readonly #way: Way;
  read: () => Facts = () => {
    throw new Error('nothing to read');
  };

  constructor(way: Way) {
    this.#way = way;
  }

  mark(): void {
    const { warm, counted } = this.#way;
    const done = this.#marks++;
    if (done === warm) this.#before = this.read();
    else if (done === warm + counted && this.#before !== null)
      this.#result = perRound(this.#before, this.read(), counted);
  }

  get result(): Facts {
    if (this.#result === null) throw new Error(`the workload went through ${this.#marks} rounds only`);
    return this.#result;
  }
}

function runBare(image: Image, way: Way, serial: Serial): Facts {
  const machine = new Machine({ memory: GUEST_MEMORY, translationCache: TRANSLATION_CACHE, serial, contexts: 4 });
  machine.load(image.bytes);
  const rounds = new Rounds(way);
  const watcher = new Watcher(machine, way.processors, image, () => rounds.mark());
  rounds.read = () => ({
    ...machineFacts(machine, watcher, way),
    ...{ instructions: machine.instructions, exits: 0, cr3Exits: 0, invlpgExits: 0 },
    ...{ hiddenFaults: 0, tableWrites: 0, shadowOperations: 0 },
    ...{ flushes: 0, rootReferences: 0, vmcsAccesses: 0 },
  });
  machine.run();
  return rounds.result;
}

function runVm(image: Image, way: Way, serial: Serial): Facts {
  const { mode, shadow } = way;
  const memory = GUEST_MEMORY + HYPERVISOR_MEMORY;
  const machine = new Machine({ memory, translationCache: TRANSLATION_CACHE, contexts: 6 });
  const root = new ObservedRoot(machine);
  const hypervisor = new Hypervisor(root);
  const vm = hypervisor.createVm({
    ...{ memory: GUEST_MEMORY, image: image.bytes, serial, largePages: mode === 'nested 2M' },
    paging: mode === 'shadow' ? 'shadow' : 'nested',
    ...(shadow === undefined ? {} : { shadow }),
  });
  const rounds = new Rounds(way);
  const watcher = new Watcher(machine, way.processors, image, () => rounds.mark());
  root.memory.onReference = (at) => watcher.root(at);
  rounds.read = () => ({
    ...machineFacts(machine, watcher, way),
    ...vmFacts(vm),
    // this is inside the guest: what it has retired since the last entry is not in its books yet
    instructions: vm.retired + root.now() - root.enteredAt,
    ...{ flushes: root.operations.flushes, vmcsAccesses: root.operations.vmcsAccesses },
    rootReferences: root.memory.references,
  });
  hypervisor.run();
  return rounds.result;
}

function machineFacts(machine: Machine, watcher: Watcher, { processors }: Way) {
  watcher.settle();
  const { walks, walkReferences, tlbMisses, accessedDirtyUpdates, flushes, eptViolations } = machine.cpu.mmu.counts;
  return {
    ...{ walks, walkReferences, tlbMisses, eptViolations, flagUpdates: accessedDirtyUpdates },
    ...{ delivered: watcher.delivered, trueFaults: watcher.faults },
    ...{ cr3Loads: flushes.movToCr3, invlpgs: flushes.invlpg },
    processors: processors.map(({ counts }) => counts),
  };
}

function vmFacts(vm: Vm) {
  const exits: Readonly<Record<string, number>> = vm.stats.exitsByName;
  const pager = vm.shadow?.stats;
  return {
    hiddenFaults: pager?.hiddenFaults ?? 0,
    tableWrites: pager?.tableWrites ?? 0,
    shadowOperations: pager === undefined ? 0 : pager.fills + pager.drops + pager.syncs + pager.made + pager.zaps,
    exits: vm.stats.totalExits,
    cr3Exits: exits.CR_ACCESS ?? 0,
    invlpgExits: exits.INVLPG ?? 0,
  };
}
