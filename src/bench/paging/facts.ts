/** What a run causes: numbers only, so that those of a round are a difference divided by rounds. The same on every host. */

import type { ProcessorCounts } from './hardware/processor.ts';

export interface Facts {
  /** Retired by the guest, those included that the hypervisor executes for it. */
  readonly instructions: number;
  /** By the TLB of the machine: 1,536 entries, fully associative. Nothing else of a walk is cached there. */
  readonly walks: number;
  readonly walkReferences: number;
  readonly tlbMisses: number;
  /** Table entries whose accessed or dirty flag a walk set. */
  readonly flagUpdates: number;
  /** Events delivered in the guest: its own faults, INT n. */
  readonly delivered: number;
  /** Page faults of the guest itself, as its handler sees them. */
  readonly trueFaults: number;
  readonly hiddenFaults: number;
  /** Writes to guest tables that exited. */
  readonly tableWrites: number;
  /** Changes of the shadow tables' own books: entries made or taken out, tables compared, tables made or given up. */
  readonly shadowOperations: number;
  readonly exits: number;
  readonly cr3Exits: number;
  readonly invlpgExits: number;
  readonly eptViolations: number;
  /** Flushes by the hypervisor. */
  readonly flushes: number;
  /** CR3 loads and INVLPGs that took effect in the guest without an exit. */
  readonly cr3Loads: number;
  readonly invlpgs: number;
  /** Of the hypervisor: words of memory, VMREAD and VMWRITE. */
  readonly rootReferences: number;
  readonly vmcsAccesses: number;
  /** Of each modelled processor. */
  readonly processors: readonly ProcessorCounts[];
}

export type FactName = Exclude<keyof Facts, 'processors'>;

type Numbers = number | readonly Numbers[] | { readonly [name: string]: Numbers };

/** (b − a) / rounds, number by number. */
export function perRound<T>(a: T, b: T, rounds: number): T {
  const combine = (x: Numbers, y: Numbers): Numbers => {
    if (typeof x === 'number') return ((y as number) - x) / rounds;
    if (Array.isArray(x)) return x.map((item: Numbers, i) => combine(item, (y as readonly Numbers[])[i] as Numbers));
    const [from, to] = [x, y] as Record<string, Numbers>[];
    return Object.fromEntries(Object.keys(from).map((name) => [name, combine(from[name], to[name])]));
  };
  return combine(a as Numbers, b as Numbers) as T;
}
