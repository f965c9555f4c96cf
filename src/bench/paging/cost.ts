/** Cycles, from facts and parameters. */

import type { Facts } from './facts.ts';
import type { Preset } from './hardware/presets.ts';
import type { ProcessorCounts } from './hardware/processor.ts';
import type { Parameters } from './parameters.ts';

/** A cost as a sum of amounts, each times what one of it costs: so that it can be taken at many corners quickly. */
export interface Amounts {
  readonly instructions: number;
  /** Cycles of latency beyond the first level, of data of the guest and of the hypervisor. */
  readonly dataLatency: number;
  /** Cycles of latency of walks, the first level included. */
  readonly walkLatency: number;
  /** Cycles that depend on no parameter: translations from the second level. */
  readonly fixed: number;
  readonly events: number;
  readonly flushes: number;
  readonly flagUpdates: number;
  readonly exits: number;
  readonly vmcsAccesses: number;
  readonly references: number;
  readonly operations: number;
}

/** What the facts of a run are on one of the processors that watched it. */
export function amountsOf(f: Facts, p: ProcessorCounts, { latencies, secondLevelHit }: Preset): Amounts {
  const first = latencies[0];
  const beyond = (at: readonly number[]): number => at.reduce((sum, n, level) => sum + n * (latency(level) - first), 0);
  const latency = (level: number): number => latencies[level] as number;
  return {
    instructions: f.instructions,
    dataLatency: beyond(p.dataAt) + beyond(p.rootAt),
    walkLatency: p.walkReferencesAt.reduce((sum, n, level) => sum + n * latency(level), 0),
    fixed: p.secondLevelHits * secondLevelHit,
    events: f.delivered,
    flushes: f.cr3Loads + f.invlpgs + f.flushes,
    flagUpdates: f.flagUpdates,
    exits: f.exits,
    vmcsAccesses: f.vmcsAccesses,
    references: f.rootReferences,
    operations: f.shadowOperations,
  };
}

export function cycles(a: Amounts, p: Parameters): number {
  const ofHypervisor = a.exits * p.perExit + a.references * p.perReference + a.operations * p.perOperation;
  return (
    (a.instructions + ofHypervisor) * p.instruction +
    a.dataLatency * p.dataExposed +
    a.walkLatency * p.walkExposed +
    a.fixed +
    a.events * p.event +
    a.flushes * p.flush +
    a.flagUpdates * p.flagUpdate +
    a.exits * (p.transition + p.indirect) +
    a.vmcsAccesses * p.vmcsAccess
  );
}
