/** What a workload causes in each mode, counted: deterministic, the same on every host. */

import type { Hypervisor as HypervisorType, Machine as MachineType, ShadowOptions } from '../../src/index.ts';

type Ringlet = typeof import('../../src/index.ts');

export const MODES = ['bare', 'shadow', 'nested 4K', 'nested 2M'] as const;
export type Mode = (typeof MODES)[number];

const MEBIBYTE = 1 << 20;
const GUEST_MEMORY = 64 * MEBIBYTE;
const HYPERVISOR_MEMORY = 32 * MEBIBYTE;
/** Entries of the modelled TLB. */
const TLB_ENTRIES = 1536;

export interface Counts {
  readonly instructions: number;
  readonly walks: number;
  /** Table entries read by walks, those of EPT included; nothing of a walk is cached. */
  readonly walkReferences: number;
  readonly tlbMisses: number;
  /** Page faults of the guest itself. */
  readonly trueFaults: number;
  readonly hiddenFaults: number;
  /** Writes to guest tables that exited. */
  readonly tableWrites: number;
  readonly cr3Exits: number;
  readonly invlpgExits: number;
  readonly eptViolations: number;
  readonly exits: number;
  /** Flushes that the hypervisor made: INVVPID and INVEPT. */
  readonly flushes: number;
  /** References of the hypervisor to physical memory. */
  readonly rootReferences: number;
}

export type CountName = keyof Counts;

export interface Way {
  readonly mode: Mode;
  /** Replacement in the modelled TLB. */
  readonly seed: number;
  readonly shadow?: ShadowOptions;
}

/** Runs an image to its end. Throws an Error if it does not end as it should. */
export function count(ringlet: Ringlet, image: Uint8Array, { mode, seed, shadow }: Way): Counts {
  const translationCache = { kind: 'modelled', entries: TLB_ENTRIES, seed } as const;
  const output: number[] = [];
  const serial = [{ transmit: (byte: number) => void output.push(byte) }];
  if (mode === 'bare') {
    const machine = new ringlet.Machine({ memory: GUEST_MEMORY, translationCache, serial, contexts: 4 });
    machine.load(image);
    machine.run();
    expectDone(output, mode);
    return bareCounts(machine);
  }
  const machine = new ringlet.Machine({ memory: GUEST_MEMORY + HYPERVISOR_MEMORY, translationCache, contexts: 6 });
  const root = new ringlet.RootModePort(machine);
  const hypervisor = new ringlet.Hypervisor(root);
  const vm = hypervisor.createVm({
    memory: GUEST_MEMORY,
    image,
    serial,
    largePages: mode === 'nested 2M',
    paging: mode === 'shadow' ? 'shadow' : 'nested',
    ...(shadow === undefined ? {} : { shadow }),
  });
  const setUp = root.memory.references;
  hypervisor.run();
  expectDone(output, mode);
  return vmCounts(machine, vm, root.memory.references - setUp);
}

function expectDone(output: readonly number[], mode: Mode): void {
  const text = String.fromCharCode(...output);
  if (text !== 'done\n') throw new Error(`${mode}: the workload printed ${JSON.stringify(text.slice(0, 200))}`);
}

function bareCounts(machine: MachineType): Counts {
  const { walks, walkReferences, tlbMisses, pageFaults } = machine.cpu.mmu.counts;
  return {
    ...{ instructions: machine.instructions, walks, walkReferences, tlbMisses, trueFaults: pageFaults },
    ...{ hiddenFaults: 0, tableWrites: 0, cr3Exits: 0, invlpgExits: 0, eptViolations: 0, exits: 0, flushes: 0 },
    rootReferences: 0,
  };
}

type Vm = ReturnType<HypervisorType['createVm']>;

function vmCounts(machine: MachineType, vm: Vm, rootReferences: number): Counts {
  const { walks, walkReferences, tlbMisses, pageFaults, eptViolations, flushes } = machine.cpu.mmu.counts;
  const exits: Readonly<Record<string, number>> = vm.stats.exitsByName;
  const pager = vm.shadow?.stats;
  return {
    ...{ instructions: vm.retired, walks, walkReferences, tlbMisses, eptViolations, rootReferences },
    trueFaults: pager?.trueFaults ?? pageFaults,
    hiddenFaults: pager?.hiddenFaults ?? 0,
    tableWrites: pager?.tableWrites ?? 0,
    cr3Exits: exits.CR_ACCESS ?? 0,
    invlpgExits: exits.INVLPG ?? 0,
    exits: Object.values(exits).reduce((sum, n) => sum + n, 0),
    flushes: flushes.invvpidAddress + flushes.invvpidSingle + flushes.invvpidAll + flushes.invvpidKeepGlobals,
  };
}

/** What the rounds between two runs cost, for each round: start-up cancels out. */
export function perRound(few: Counts, many: Counts, rounds: number): Counts {
  const names = Object.keys(few) as CountName[];
  return Object.fromEntries(names.map((name) => [name, (many[name] - few[name]) / rounds])) as unknown as Counts;
}
