/** What every chart has: title, axes, legend. */

import { label, type Scale } from './scale.ts';
import { element, line, text } from './svg.ts';

/** Colours that people who do not tell red from green tell apart (Okabe and Ito). */
export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#666666'] as const;

export const colour = (i: number): string => COLOURS[i % COLOURS.length] as string;

export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export const titles = (left: number, title: string, subtitle: string): string[] => [
  text(left, 20, title, { 'font-size': 15, 'font-weight': 'bold' }),
  text(left, 37, subtitle, { fill: '#555' }),
];

export const legend = (left: number, top: number, names: readonly string[]): string[] => {
  let x = left;
  return names.flatMap((name, i) => {
    const here = x;
    x += 26 + name.length * 7;
    return [
      element('rect', { x: here, y: top - 9, width: 12, height: 10, fill: colour(i) }),
      text(here + 16, top, name),
    ];
  });
};

/** The horizontal axis at the bottom, with lines through the chart. */
export const axisX = ({ left, right, top, bottom }: Area, scale: Scale, name: string): string[] => [
  ...scale.ticks.flatMap((t) => [
    line(scale.at(t), top, scale.at(t), bottom, { stroke: '#ddd' }),
    text(scale.at(t), bottom + 15, label(t), { 'text-anchor': 'middle' }),
  ]),
  line(left, bottom, right, bottom),
  text((left + right) / 2, bottom + 33, name, { 'text-anchor': 'middle' }),
];

/** The vertical axis on the left. */
export const axisY = ({ left, right, top, bottom }: Area, scale: Scale, name: string): string[] => [
  ...scale.ticks.flatMap((t) => [
    line(left, scale.at(t), right, scale.at(t), { stroke: '#ddd' }),
    text(left - 6, scale.at(t) + 4, label(t), { 'text-anchor': 'end' }),
  ]),
  line(left, top, left, bottom),
  text(16, (top + bottom) / 2, name, {
    'text-anchor': 'middle',
    transform: `rotate(-90 16 ${(top + bottom) / 2})`,
  }),
];
