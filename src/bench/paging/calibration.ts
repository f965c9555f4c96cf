/** The charge for what the hypervisor does, held against a shadow pager in machine code whose instructions do retire: instructions, references and VMCS accesses of
 *  each kind of exit, and what the model charges for the same kind of exit of the hypervisor that is measured. */

import { assemble } from '../../asm/index.ts';
import { InvalidInput } from '../../base/errors.ts';
import { EIP } from '../../base/registers.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { Vm } from '../../hypervisor/vm.ts';
import { Machine } from '../../machine/machine.ts';
import { ObservedRoot } from './observed-root.ts';
import { RANGES } from './parameters.ts';
import { imageOf, type Sources, WORKLOADS } from './workloads.ts';

/** Kinds of exit; the assembled pager has numbers for them, from 1 up in this order. */
export const KINDS = ['hidden fault', 'true fault', 'table write', 'INVLPG', 'CR3 load'] as const;
export type Kind = (typeof KINDS)[number];

/** Of one exit of a kind, on the average. */
export interface Effort {
  readonly exits: number;
  readonly references: number;
  readonly vmcsAccesses: number;
}

export interface Calibration {
  readonly kind: Kind;
  /** Of the pager in machine code. */
  readonly assembled: Effort & { readonly instructions: number };
  /** Of the hypervisor. */
  readonly measured: Effort & { readonly operations: number };
  /** Instructions that the model charges for that, VMREAD and VMWRITE among them, least and most. */
  readonly charged: readonly [number, number];
}

const ROUNDS = 3;
const MEMORY = 32 << 20;
const VMREAD = 0x78;
const VMWRITE = 0x79;

/** Sums by kind, as they grow. */
interface Tally {
  exits: number;
  instructions: number;
  references: number;
  vmcsAccesses: number;
  operations: number;
}

const emptyTally = (): Record<Kind, Tally> =>
  Object.fromEntries(
    KINDS.map((kind) => [kind, { exits: 0, instructions: 0, references: 0, vmcsAccesses: 0, operations: 0 }]),
  ) as Record<Kind, Tally>;

export function calibrate(sources: Sources): Calibration[] {
  const assembled = assembledPager(sources);
  const measured = measuredPager(sources);
  return KINDS.map((kind) => {
    const [a, m] = [each(assembled[kind]), each(measured[kind])];
    const charge = (end: 0 | 1): number =>
      RANGES.perExit[end] +
      m.references * RANGES.perReference[end] +
      m.operations * RANGES.perOperation[end] +
      m.vmcsAccesses;
    return { kind, assembled: a, measured: m, charged: [charge(0), charge(1)] };
  });
}

function each({ exits, ...sums }: Tally): Tally {
  const of = (sum: number): number => sum / Math.max(1, exits);
  return {
    exits,
    instructions: of(sums.instructions),
    references: of(sums.references),
    vmcsAccesses: of(sums.vmcsAccesses),
    operations: of(sums.operations),
  };
}

/** Runs the assembled pager with its guest; the last round counts. */
function assembledPager(sources: Sources): Record<Kind, Tally> {
  const source = sources('pager.asm');
  if (source === null) throw new InvalidInput('the workload pager.asm is missing: install ringlet again');
  const { bytes, symbols } = assemble(source, { file: 'pager.asm', include: sources, defines: { ROUNDS } });
  const address = (name: string): number => symbols.get(name) ?? 0;
  const [kindAt, round] = [address('kind'), address('round')];
  const machine = new Machine({ memory: MEMORY });
  machine.load(bytes);
  const tally = emptyTally();
  const { cpu, memory } = machine;
  let rounds = 0;
  let now = { instructions: 0, references: 0, vmcsAccesses: 0 };
  machine.observe({
    onInstruction: () => {
      const eip = cpu.S[EIP];
      if (machine.vmx?.nonRoot === true) {
        if (eip === round) rounds++;
        return;
      }
      now.instructions++;
      const opcode = memory.peek32(eip & ~3) >>> ((eip & 3) * 8);
      const low = (eip & 3) === 3 ? (opcode & 0xff) | ((memory.peek32((eip & ~3) + 4) & 0xff) << 8) : opcode & 0xffff;
      if ((low & 0xff) === 0x0f && (low >>> 8 === VMREAD || low >>> 8 === VMWRITE)) now.vmcsAccesses++;
    },
    onDataAccess: () => {
      if (machine.vmx?.nonRoot === false) now.references++;
    },
    onExit: () => {
      now = { instructions: 0, references: 0, vmcsAccesses: 0 };
    },
    onEntry: () => {
      const kind = KINDS[memory.peek32(kindAt) - 1];
      if (rounds !== ROUNDS || kind === undefined) return;
      add(tally[kind], now);
    },
  });
  machine.run();
  return tally;
}

function add(to: Tally, more: Partial<Tally>): void {
  to.exits++;
  to.instructions += more.instructions ?? 0;
  to.references += more.references ?? 0;
  to.vmcsAccesses += more.vmcsAccesses ?? 0;
  to.operations += more.operations ?? 0;
}

/** Workloads of the benchmark that make these kinds of exit; page tables are written through emulation and faults exit, as with the assembled pager. */
const BUSY = ['fault', 'protect', 'switch 8'];

function measuredPager(sources: Sources): Record<Kind, Tally> {
  const tally = emptyTally();
  for (const workload of WORKLOADS.filter(({ name }) => BUSY.includes(name))) {
    const machine = new Machine({ memory: 3 * MEMORY, contexts: 4 });
    const root = new ObservedRoot(machine);
    let before: Snapshot | null = null;
    const onExit = (vm: Vm): void => {
      const after = snapshot(root, vm);
      if (before !== null) {
        const kind = kindOf(before, after);
        if (kind !== null) add(tally[kind], difference(before, after));
      }
      before = after;
    };
    const hypervisor = new Hypervisor(root, { onExit });
    const image = imageOf(workload, sources, ROUNDS, false).bytes;
    hypervisor.createVm({ memory: 2 * MEMORY, image, paging: 'shadow', shadow: { unsync: false, bypass: false } });
    hypervisor.run();
  }
  return tally;
}

interface Snapshot {
  readonly references: number;
  readonly vmcsAccesses: number;
  readonly operations: number;
  readonly made: number;
  readonly counts: Readonly<Record<Kind, number>>;
}

/** Taken at each exit before it is handled: two of them have one exit's handling between them. */
function snapshot(root: ObservedRoot, vm: Vm): Snapshot {
  const s = vm.shadow?.stats;
  if (s === undefined) throw new Error('the VM has no shadow tables');
  return {
    references: root.memory.references,
    vmcsAccesses: root.operations.vmcsAccesses,
    operations: s.fills + s.drops + s.syncs + s.made + s.zaps,
    made: s.made,
    counts: {
      'hidden fault': s.hiddenFaults,
      'true fault': s.trueFaults,
      'table write': s.tableWrites,
      INVLPG: s.invlpgs,
      'CR3 load': s.rootHits + s.rootMisses,
    },
  };
}

/** What the exit was about; null: something else, or new tables had to be made, which no round after the first one needs. */
function kindOf(before: Snapshot, after: Snapshot): Kind | null {
  if (after.made !== before.made) return null;
  const grown = KINDS.filter((kind) => after.counts[kind] > before.counts[kind]);
  return grown.includes('table write') ? 'table write' : (grown[0] ?? null);
}

const difference = (a: Snapshot, b: Snapshot): Partial<Tally> => ({
  references: b.references - a.references,
  vmcsAccesses: b.vmcsAccesses - a.vmcsAccesses,
  operations: b.operations - a.operations,
});
