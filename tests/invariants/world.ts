/** Worlds whose hardware a judge watches. */
import { Judge, type Violation } from '../../src/invariants/index.ts';
import { HardwareTrace } from '../../src/machine/hardware-trace.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { TraceEvent } from '../../src/machine/trace-event.ts';

export interface Watched {
  readonly judge: Judge;
  readonly events: TraceEvent[];
  /** Looks at what is cached now, too; what was wrong so far. */
  verdict(): readonly Violation[];
}

/** Lets a judge watch the machine from now on. */
export function watch(machine: Machine): Watched {
  const judge = new Judge();
  const events: TraceEvent[] = [];
  const trace = new HardwareTrace(machine, (event) => {
    events.push(event);
    judge.add(event);
  });
  return {
    judge,
    events,
    verdict() {
      trace.snapshot();
      return judge.violations;
    },
  };
}

/** Which properties were broken, each once. */
export const broken = (violations: readonly Violation[]): string[] =>
  [...new Set(violations.map((v) => v.property))].sort();
