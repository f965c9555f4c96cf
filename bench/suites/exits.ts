/** VM exits per second: kernels that do little else than cause them, under the smallest loop and under the whole hypervisor. */

import { kernel } from '../images.ts';
import { wanted } from '../options.ts';
import { failures, laneOf, type Race } from '../race.ts';
import { large, spread, table } from '../report.ts';
import { ringlet } from '../rivals/ringlet.ts';
import { pairedRatios } from '../statistics.ts';
import type { Way } from '../ways.ts';
import { raceAll, raceData, type Suite } from './suite.ts';

/** Kernels, and the exits of each of their rounds. */
const KERNELS: Readonly<Record<string, { readonly title: string; readonly exits: number }>> = {
  exits: { title: 'CPUID', exits: 1 },
  ports: { title: 'IN and OUT', exits: 2 },
};
const WAYS: readonly Way[] = ['minimal', 'nested'];

export const exits: Suite = {
  name: 'exits',
  about: 'VM exits and entries per second: CPUID and port accesses, with the smallest loop and with the hypervisor',
  async run(context) {
    const { options, maker, print } = context;
    const images = Object.keys(KERNELS)
      .filter((name) => wanted(options, name))
      .map((name) => kernel(name, maker));
    const races = await raceAll(
      images,
      WAYS.map((way) => ringlet(way)),
      context,
    );

    print('Round trips (exit, handling, entry) per second: median [min..max]; the last columns compare in pairs');
    const head = ['exit', 'smallest loop', 'hypervisor', 'hypervisor / loop', 'µs each'];
    print(table(head, races.map(row)));
    return { gates: [], failures: failures(races), data: raceData(races) };
  },
};

function row(race: Race): string[] {
  const { title, exits: each } = KERNELS[race.image.name] as { title: string; exits: number };
  const trips = (race.image.rounds ?? 0) * each;
  const times = (way: Way): readonly number[] => laneOf(race, way)?.times ?? [];
  return [
    title,
    ...WAYS.map((way) =>
      spread(
        times(way).map((time) => (trips / time) * 1000),
        large,
      ),
    ),
    spread(pairedRatios(times('minimal'), times('nested'))),
    spread(times('nested').map((time) => (time * 1000) / trips)),
  ];
}
