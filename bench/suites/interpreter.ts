/** The interpreter on kernels that only compute, beside other emulators. */

import { image, kernel } from '../images.ts';
import { wanted } from '../options.ts';
import { failures, laneOf, type Race } from '../race.ts';
import { figure, gate, spread, table } from '../report.ts';
import { rivals } from '../rivals/index.ts';
import { ringlet } from '../rivals/ringlet.ts';
import { geometricMean, median, pairedRatios } from '../statistics.ts';
import { mips, raceAll, raceData, type Suite } from './suite.ts';

const KERNELS = ['sort', 'bytes', 'strings', 'cold'];
const SUBJECT = 'ringlet';
/** How many times as fast as an interpreter ringlet has to be, as the geometric mean over the kernels. */
const LEAST: Readonly<Record<string, number>> = { 'v86-nojit': 2, bochs: 1.8 };

export const interpreter: Suite = {
  name: 'interpreter',
  about: 'kernels on the bare machine, beside v86, QEMU and Bochs, as far as installed',
  async run(context) {
    const { options, maker, print, tell } = context;
    const images = [
      ...KERNELS.filter((name) => wanted(options, name)).map((name) => kernel(name, maker)),
      ...options.images.map((path) => image(path, maker)),
    ];
    const contestants = [ringlet('bare', SUBJECT), ...rivals(options, maker, tell)];
    const races = await raceAll(images, contestants, context);
    const names = contestants.map(({ name }) => name);
    const others = names.filter((name) => name !== SUBJECT);

    print('Million instructions per second: median [min..max]');
    print(
      table(
        ['kernel', ...names],
        races.map((r) => [r.image.name, ...names.map((name) => speeds(r, name))]),
      ),
    );
    if (others.length === 0) return { gates: [], failures: failures(races), data: raceData(races) };

    const rows = races.map((r) => [r.image.name, ...others.map((name) => spread(advantage(r, name)))]);
    print(`\nTimes as fast as …: median [min..max] of ${options.runs} pairs`);
    const means = others.map((name) =>
      geometricMean(races.map((r) => median(advantage(r, name))).filter(Number.isFinite)),
    );
    print(table(['kernel', ...others], [...rows, ['geometric mean', ...means.map(figure)]]));
    const gates = others.flatMap((name, i) => {
      const least = LEAST[name];
      const mean = means[i] as number;
      return least === undefined || Number.isNaN(mean) ? [] : [gate(`ringlet / ${name}, geometric mean`, mean, least)];
    });
    return { gates, failures: failures(races), data: raceData(races) };
  },
};

const speeds = (race: Race, name: string): string =>
  spread((laneOf(race, name)?.times ?? []).map((time) => mips(race.instructions, time)));

/** How many times as long the rival took, pair by pair. */
const advantage = (race: Race, name: string): number[] =>
  pairedRatios(laneOf(race, name)?.times ?? [], laneOf(race, SUBJECT)?.times ?? []);
