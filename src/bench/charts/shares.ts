/** Parts of a whole: a bar for each row, cut into the shares of each kind. */

import { type Area, axisX, colour, legend, titles } from './frame.ts';
import { linearScale } from './scale.ts';
import { element, picture, text } from './svg.ts';

export interface ShareChart {
  readonly title: string;
  readonly subtitle: string;
  readonly axis: string;
  /** Names of what the whole consists of. */
  readonly kinds: readonly string[];
  /** Amounts by kind. */
  readonly groups: readonly {
    readonly name: string;
    readonly rows: readonly { readonly name: string; readonly amounts: readonly number[] }[];
  }[];
}

const WIDTH = 860;
const ROW = 12;
const GAP = 10;
const LEFT = 200;
const TOP = 78;
const WHOLE = 100;

export function shareChart(chart: ShareChart): string {
  const rows = chart.groups.reduce((sum, { rows }) => sum + rows.length, 0);
  const bottom = TOP + rows * ROW + chart.groups.length * GAP;
  const area: Area = { left: LEFT, right: WIDTH - 24, top: TOP, bottom };
  const x = linearScale(WHOLE, area.left, area.right);
  let y = area.top;
  const bars = chart.groups.flatMap((group) => {
    y += GAP / 2;
    const name = text(12, y + (group.rows.length * ROW) / 2 + 4, group.name);
    const lines = group.rows.flatMap((row) => {
      const here = y;
      y += ROW;
      const label = text(area.left - 6, here + ROW - 2, row.name, { 'text-anchor': 'end', 'font-size': 10 });
      return [label, ...segments(row.amounts, x.at, here)];
    });
    y += GAP / 2;
    return [name, ...lines];
  });
  return picture(WIDTH, bottom + 48, chart.title, [
    ...titles(12, chart.title, chart.subtitle),
    ...legend(area.left, 60, chart.kinds),
    ...axisX(area, x, chart.axis),
    ...bars,
  ]);
}

function segments(amounts: readonly number[], at: (value: number) => number, y: number): string[] {
  const sum = amounts.reduce((s, n) => s + n, 0);
  let before = 0;
  return amounts.flatMap((n, kind) => {
    const from = before;
    before += n;
    if (n === 0) return [];
    const [a, b] = [at((WHOLE * from) / sum), at((WHOLE * before) / sum)];
    return [element('rect', { x: a, y: y + 1, width: b - a, height: ROW - 2, fill: colour(kind) })];
  });
}
