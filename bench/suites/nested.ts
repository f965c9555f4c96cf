/** What it costs to run under the hypervisor: the same kernel on the bare machine and in a VM. */

import { image, kernel } from '../images.ts';
import { wanted } from '../options.ts';
import { failures, laneOf, type Race } from '../race.ts';
import { figure, type Gate, gate, spread, table } from '../report.ts';
import { ringlet } from '../rivals/ringlet.ts';
import { geometricMean, median, pairedRatios } from '../statistics.ts';
import type { Way } from '../ways.ts';
import { mips, raceAll, raceData, type Suite } from './suite.ts';

const KERNELS = ['sort', 'bytes', 'strings', 'cold'];
const NESTED: readonly Way[] = ['nested', 'nested-large'];
const PAGES: Readonly<Record<string, string>> = { nested: 'EPT 4 KiB', 'nested-large': 'EPT 2 MiB' };
/** Speed in a VM, of that on the bare machine. */
const LEAST = 0.9;

export const nested: Suite = {
  name: 'nested',
  about: `kernels in a VM as against the bare machine; at least ${LEAST} of its speed`,
  async run(context) {
    const { options, maker, print } = context;
    const images = [
      ...KERNELS.filter((name) => wanted(options, name)).map((name) => kernel(name, maker)),
      ...options.images.map((path) => image(path, maker)),
    ];
    const races = await raceAll(images, [ringlet('bare'), ...NESTED.map((way) => ringlet(way))], context);

    print(`Speed in a VM / speed on the bare machine: median [min..max] of ${options.runs} pairs`);
    const rows = races.map((r) => [r.image.name, bareSpeed(r), ...NESTED.map((way) => spread(ratios(r, way)))]);
    const means = NESTED.map((way) => geometricMean(races.map((r) => median(ratios(r, way))).filter(Number.isFinite)));
    const head = ['kernel', 'bare, MIPS', ...NESTED.map((way) => PAGES[way] as string)];
    print(table(head, [...rows, ['geometric mean', '', ...means.map(figure)]]));
    const gates = races.flatMap((r) => NESTED.flatMap((way) => gateOf(r, way)));
    return { gates, failures: failures(races), data: raceData(races) };
  },
};

const bareSpeed = (race: Race): string =>
  spread((laneOf(race, 'bare')?.times ?? []).map((time) => mips(race.instructions, time)));

const ratios = (race: Race, way: Way): number[] =>
  pairedRatios(laneOf(race, 'bare')?.times ?? [], laneOf(race, way)?.times ?? []);

function gateOf(race: Race, way: Way): Gate[] {
  const pairs = ratios(race, way);
  return pairs.length === 0 ? [] : [gate(`${race.image.name}, ${PAGES[way]}`, median(pairs), LEAST)];
}
