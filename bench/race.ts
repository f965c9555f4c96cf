/** A race: one image, several emulators, in turn, run by run. */

import type { Image } from './images.ts';
import { type Launch, measure } from './measure.ts';
import { turnOrder } from './statistics.ts';

export interface Contestant {
  readonly name: string;
  /** How to run an image; a string says why this one cannot be run. */
  launch(image: Image): Launch | string;
}

/** One contestant's part of a race. */
export interface Lane {
  readonly name: string;
  /** Milliseconds, run by run. Runs of one place in the lists of two lanes were neighbours. */
  readonly times: number[];
  /** Why it did not finish. */
  error: string | null;
  /** True if it is nobody's fault: the contestant cannot run this image. */
  skipped: boolean;
}

export interface Race {
  readonly image: Image;
  readonly lanes: readonly Lane[];
  /** Instructions between the marks, null if nobody knows. */
  instructions: number | null;
  /** What everybody has to print: known before, or what the first one printed. */
  checksum: string | null;
}

export interface RaceRules {
  readonly runs: number;
  /** Seconds after which a run has failed. */
  readonly timeout: number;
  /** Is told of progress. */
  readonly tell: (line: string) => void;
}

export async function race(image: Image, contestants: readonly Contestant[], rules: RaceRules): Promise<Race> {
  const lanes = contestants.map(({ name }): Lane => ({ name, times: [], error: null, skipped: false }));
  const result: Race = { image, lanes, instructions: image.instructions, checksum: image.checksum };
  for (let run = 0; run < rules.runs; run++) {
    for (const k of turnOrder(contestants.length, run)) {
      const lane = lanes[k] as Lane;
      if (lane.error === null) await runOnce(contestants[k] as Contestant, lane, result, rules);
    }
  }
  return result;
}

async function runOnce(contestant: Contestant, lane: Lane, result: Race, rules: RaceRules): Promise<void> {
  const { image } = result;
  const launch = contestant.launch(image);
  const measured = typeof launch === 'string' ? { error: launch, skipped: true } : await measure(launch, rules.timeout);
  if ('error' in measured) {
    lane.error = measured.error;
    lane.skipped = measured.skipped;
  } else {
    result.checksum ??= measured.checksum;
    result.instructions ??= measured.instructions;
    if (measured.checksum !== result.checksum) {
      lane.error = `wrong checksum ${measured.checksum}, expected ${result.checksum}`;
    } else lane.times.push(measured.milliseconds);
  }
  const trouble = lane.skipped ? 'left out' : 'FAILED';
  const time = `${lane.times.at(-1)?.toFixed(1)} ms`;
  rules.tell(`${image.name} ${lane.name}: ${lane.error === null ? time : `${trouble}: ${lane.error}`}`);
}

/** Lanes that went wrong, in words. */
export const failures = (races: readonly Race[]): string[] =>
  races.flatMap(({ image, lanes }) =>
    lanes.filter((l) => l.error !== null && !l.skipped).map((l) => `${image.name} on ${l.name}: ${l.error}`),
  );

/** The finished lane of this name. */
export const laneOf = ({ lanes }: Race, name: string): Lane | undefined =>
  lanes.find((lane) => lane.name === name && lane.error === null);
