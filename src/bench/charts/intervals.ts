/** Intervals side by side: for each group a row for each series, a bar for the part in the middle, whiskers from least to most. */

import { type Area, axisX, colour, legend, titles } from './frame.ts';
import { logScale } from './scale.ts';
import { element, line, picture, text } from './svg.ts';

export interface Whisker {
  readonly least: number;
  readonly most: number;
  /** Ends of the bar. */
  readonly lower: number;
  readonly upper: number;
}

export interface IntervalChart {
  readonly title: string;
  readonly subtitle: string;
  /** Name of the axis, which is logarithmic. */
  readonly axis: string;
  readonly series: readonly string[];
  /** A value for each series; null: there is none. */
  readonly groups: readonly { readonly name: string; readonly values: readonly (Whisker | null)[] }[];
  /** Where a line is drawn through the chart: neither gain nor loss. */
  readonly neutral: number;
}

const WIDTH = 860;
const ROW = 11;
const GAP = 9;
const LEFT = 130;
const TOP = 78;

export function intervalChart(chart: IntervalChart): string {
  const group = chart.series.length * ROW + GAP;
  const area: Area = { left: LEFT, right: WIDTH - 24, top: TOP, bottom: TOP + chart.groups.length * group };
  const known = chart.groups.flatMap(({ values }) => values.filter((v) => v !== null));
  const least = Math.min(chart.neutral, ...known.map((v) => v.least));
  const most = Math.max(chart.neutral, ...known.map((v) => v.most));
  const x = logScale(least, most, area.left, area.right);
  const rows = chart.groups.flatMap(({ name, values }, g) => {
    const top = area.top + g * group + GAP / 2;
    return [
      text(area.left - 8, top + (values.length * ROW) / 2 + 4, name, { 'text-anchor': 'end' }),
      ...values.flatMap((v, s) => (v === null ? [] : whisker(v, x.at, top + s * ROW + ROW / 2, colour(s)))),
    ];
  });
  return picture(WIDTH, area.bottom + 48, chart.title, [
    ...titles(12, chart.title, chart.subtitle),
    ...legend(area.left, 60, chart.series),
    ...axisX(area, x, chart.axis),
    line(x.at(chart.neutral), area.top, x.at(chart.neutral), area.bottom, { 'stroke-dasharray': '4 3' }),
    ...rows,
  ]);
}

function whisker(v: Whisker, at: (value: number) => number, y: number, stroke: string): string[] {
  const [a, b] = [at(v.least), at(v.most)];
  const half = ROW / 2 - 2;
  return [
    line(a, y, b, y, { stroke }),
    line(a, y - half, a, y + half, { stroke }),
    line(b, y - half, b, y + half, { stroke }),
    element('rect', {
      ...{ x: at(v.lower), y: y - half, width: Math.max(2, at(v.upper) - at(v.lower)), height: 2 * half },
      fill: stroke,
    }),
  ];
}
