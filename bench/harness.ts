/** The package `benchmark` as this project uses it, and the only file that imports it.
 *
 *  It says how often a function can be called in a second. Here rivals take turns, round by round, each round is one figure, and
 *  what a body returns is used, so that nobody optimises it away. */

import Benchmark from 'benchmark';
import { median, turnOrder } from './statistics.ts';

/** Something to be measured. A call should take 10 µs at least. */
export interface Body {
  readonly name: string;
  /** What is counted … */
  readonly unit: string;
  /** … and how many of it one call does. */
  readonly units: number;
  run(): number;
  /** Name of the body that it is compared with. */
  readonly against?: string;
}

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly against: string | null;
  /** Units per second, round by round. */
  readonly perSecond: readonly number[];
  /** Microseconds of one call, median. */
  readonly microseconds: number;
}

export interface Rounds {
  readonly runs: number;
  /** Seconds for each body in each round. */
  readonly seconds: number;
  readonly tell: (line: string) => void;
}

/** What the bodies returned. */
let sink = 0;

export function measureBodies(bodies: readonly Body[], rounds: Rounds): Figure[] {
  const perSecond = bodies.map((): number[] => []);
  for (const body of bodies) callsPerSecond(body, rounds.seconds / 5); // warms up; not counted
  for (let round = 0; round < rounds.runs; round++) {
    for (const k of turnOrder(bodies.length, round)) {
      const body = bodies[k] as Body;
      perSecond[k]?.push(callsPerSecond(body, rounds.seconds) * body.units);
    }
    rounds.tell(`round ${round + 1} of ${rounds.runs}`);
  }
  rounds.tell(`(${sink & 1})`);
  return bodies.map(({ name, unit, units, against = null }, k) => {
    const figures = perSecond[k] as number[];
    return { name, unit, against, perSecond: figures, microseconds: (1e6 * units) / median(figures) };
  });
}

function callsPerSecond(body: Body, seconds: number): number {
  const bench = new Benchmark(
    body.name,
    () => {
      sink = (sink + body.run()) | 0;
    },
    { maxTime: seconds, minSamples: 5 },
  );
  bench.run({ async: false });
  if (bench.error !== undefined) throw bench.error;
  return bench.hz;
}
