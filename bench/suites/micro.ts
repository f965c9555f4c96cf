/** Single parts of ringlet. They run in a process of their own, which sends its figures as JSON. */

import { execFileSync } from 'node:child_process';
import { program } from '../build.ts';
import type { Figure } from '../harness.ts';
import { large, spread, table } from '../report.ts';
import { pairedRatios } from '../statistics.ts';
import type { Suite } from './suite.ts';

export const micro: Suite = {
  name: 'micro',
  about: 'decoder, block builder, page walks, translation caches, VM entry and exit, entry checks, assembler',
  async run({ options, print }) {
    const request = { runs: options.runs, seconds: options.seconds, only: options.only };
    const text = execFileSync(process.execPath, [program('micro'), JSON.stringify(request)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 1 << 26,
    });
    const figures = JSON.parse(text) as Figure[];
    print('Per second: median [min..max] of the rounds');
    print(
      table(
        ['part', 'unit', 'per second', 'ns each', 'against'],
        figures.map((f) => row(f, figures)),
      ),
    );
    const short = figures.filter((f) => f.microseconds < SHORTEST);
    for (const f of short) print(`${f.name}: one call takes ${f.microseconds.toFixed(1)} µs, too short to be trusted`);
    return { gates: [], failures: [], data: figures };
  },
};

/** Microseconds that a body has to take, or the measuring loop is measured with it. */
const SHORTEST = 10;

function row(f: Figure, all: readonly Figure[]): string[] {
  const other = all.find(({ name }) => name === f.against);
  const against = other === undefined ? '' : `${spread(pairedRatios(f.perSecond, other.perSecond))} × ${other.name}`;
  return [f.name, f.unit, spread(f.perSecond, large), spread(f.perSecond.map((value) => 1e9 / value)), against];
}
