/** A plane with bands between two lines through it, and points: where one of two ways is the better one. Both axes are logarithmic. */

import { type Area, axisX, axisY, colour, legend, titles } from './frame.ts';
import { logScale } from './scale.ts';
import { element, picture, text } from './svg.ts';

export interface BandChart {
  readonly title: string;
  readonly subtitle: string;
  readonly axisX: string;
  readonly axisY: string;
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
  /** Bands y = slope * x, between two slopes. */
  readonly bands: readonly { readonly name: string; readonly least: number; readonly most: number }[];
  readonly points: readonly { readonly name: string; readonly x: number; readonly y: number; readonly fill: string }[];
  /** Words for the regions above and below the bands. */
  readonly above: string;
  readonly below: string;
}

const WIDTH = 860;
const HEIGHT = 560;

export function bandChart(chart: BandChart): string {
  const area: Area = { left: 76, right: WIDTH - 24, top: 78, bottom: HEIGHT - 48 };
  const x = logScale(...chart.x, area.left, area.right);
  const y = logScale(...chart.y, area.bottom, area.top);
  const clip = 'inside';
  const bands = chart.bands.map(({ least, most }, i) => {
    const corner = (slope: number, at: number): string => `${x.at(at)},${unclamped(y, slope * at)}`;
    const points = [corner(least, x.least), corner(least, x.most), corner(most, x.most), corner(most, x.least)];
    return element('polygon', {
      ...{ points: points.join(' '), fill: colour(i), 'fill-opacity': 0.25, stroke: colour(i) },
      'clip-path': `url(#${clip})`,
    });
  });
  const points = chart.points.flatMap((p) => [
    element('circle', { cx: x.at(p.x), cy: y.at(p.y), r: 4, fill: p.fill, stroke: '#fff' }),
    text(x.at(p.x) + 6, y.at(p.y) - 5, p.name),
  ]);
  return picture(WIDTH, HEIGHT, chart.title, [
    ...titles(12, chart.title, chart.subtitle),
    ...legend(
      area.left,
      60,
      chart.bands.map(({ name }) => name),
    ),
    element('clipPath', { id: clip }, [
      element('rect', {
        ...{ x: area.left, y: area.top },
        ...{ width: area.right - area.left, height: area.bottom - area.top },
      }),
    ]),
    ...axisX(area, x, chart.axisX),
    ...axisY(area, y, chart.axisY),
    ...bands,
    text(area.left + 12, area.top + 20, chart.above, { 'font-style': 'italic', fill: '#555' }),
    text(area.right - 12, area.bottom - 12, chart.below, {
      'font-style': 'italic',
      fill: '#555',
      'text-anchor': 'end',
    }),
    ...points,
  ]);
}

/** The place of a value that may lie outside the scale. */
function unclamped(scale: ReturnType<typeof logScale>, value: number): number {
  const [a, b] = [scale.at(scale.least), scale.at(scale.most)];
  return a + (Math.log(value / scale.least) / Math.log(scale.most / scale.least)) * (b - a);
}
