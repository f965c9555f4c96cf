/** What a suite of benchmarks is. */

import type { ImageMaker } from '../images.ts';
import type { Options } from '../options.ts';
import { type Race, type RaceRules, race } from '../race.ts';
import type { Gate } from '../report.ts';
import { summary } from '../statistics.ts';

export interface SuiteContext {
  readonly options: Options;
  readonly maker: ImageMaker;
  /** Progress. */
  readonly tell: (line: string) => void;
  /** Results. */
  readonly print: (text: string) => void;
}

export interface SuiteResult {
  readonly gates: readonly Gate[];
  /** What did not run as it should, in words. */
  readonly failures: readonly string[];
  /** Numbers for --json. */
  readonly data: unknown;
}

export interface Suite {
  readonly name: string;
  readonly about: string;
  run(context: SuiteContext): Promise<SuiteResult>;
}

export const rulesOf = ({ options, tell }: SuiteContext): RaceRules => ({
  runs: options.runs,
  timeout: options.timeout,
  tell,
});

/** Races each image in turn. */
export async function raceAll(
  images: readonly Parameters<typeof race>[0][],
  contestants: Parameters<typeof race>[1],
  context: SuiteContext,
): Promise<Race[]> {
  const races: Race[] = [];
  for (const image of images) races.push(await race(image, contestants, rulesOf(context)));
  return races;
}

/** Races as plain data: every time in milliseconds. */
export const raceData = (races: readonly Race[]): unknown =>
  races.map(({ image, lanes, instructions, checksum }) => ({
    image: image.name,
    rounds: image.rounds,
    instructions,
    checksum,
    lanes: lanes.map(({ name, times, error }) => ({ name, error, ...(times.length ? summary(times) : {}), times })),
  }));

/** Millions of instructions in a second. */
export const mips = (instructions: number | null, milliseconds: number): number =>
  instructions === null ? Number.NaN : instructions / milliseconds / 1000;
