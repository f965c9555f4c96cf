/** Charts: scales that cover their values, pictures that are well-formed. */

import { expect, test } from 'vitest';
import { bandChart } from '../../src/bench/charts/bands.ts';
import { intervalChart } from '../../src/bench/charts/intervals.ts';
import { label, linearScale, logScale } from '../../src/bench/charts/scale.ts';
import { shareChart } from '../../src/bench/charts/shares.ts';
import { element, text } from '../../src/bench/charts/svg.ts';

test('a logarithmic scale ends at 1, 2 or 5 times a power of ten, and equal factors are equal distances', () => {
  const scale = logScale(0.7, 83, 0, 100);
  expect(scale.ticks).toEqual([0.5, 1, 2, 5, 10, 20, 50, 100]);
  expect([scale.at(0.5), scale.at(100)]).toEqual([0, 100]);
  expect(scale.at(10) - scale.at(1)).toBeCloseTo(scale.at(100) - scale.at(10));
  expect(scale.at(1000)).toBe(100);
});

test('a linear scale begins at 0', () => {
  const scale = linearScale(7, 10, 20);
  expect(scale.ticks).toEqual([0, 2, 4, 6, 8]);
  expect([scale.at(0), scale.at(4), scale.at(8)]).toEqual([10, 15, 20]);
  expect([label(20_000), label(3_000_000), label(0.5)]).toEqual(['20k', '3M', '0.5']);
});

/** Every element is closed, in order. */
function isWellFormed(svg: string): boolean {
  const open: string[] = [];
  for (const [, end, name, attributes] of svg.matchAll(/<(\/?)([\w]+)((?:\s[\w-]+="[^"<]*")*\s*\/?)>/g)) {
    if (end) {
      if (open.pop() !== name) return false;
    } else if (!attributes?.endsWith('/')) open.push(name as string);
  }
  return open.length === 0 && svg.replace(/<\/?\w+(?:\s[\w-]+="[^"<]*")*\s*\/?>/g, '').indexOf('<') < 0;
}

test('what words mean to XML is quoted', () => {
  expect(text(1, 2, 'a < b & "c"')).toBe('<text x="1" y="2">a &lt; b &amp; &quot;c&quot;</text>');
  expect(element('rect', { width: 1.23456 })).toBe('<rect width="1.23"/>');
});

test('intervals have a row for each value, with legend and axis', () => {
  const svg = intervalChart({
    ...{ title: 'A & B', subtitle: 's', axis: 'times', series: ['one', 'two'], neutral: 1 },
    groups: [
      { name: 'g', values: [{ least: 0.5, most: 8, lower: 1, upper: 2 }, null] },
      {
        name: 'h',
        values: [
          { least: 1, most: 1, lower: 1, upper: 1 },
          { least: 2, most: 3, lower: 2, upper: 2 },
        ],
      },
    ],
  });
  expect(isWellFormed(svg)).toBe(true);
  expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
  expect([...svg.matchAll(/<rect[^>]*height="7"/g)]).toHaveLength(3);
  for (const word of ['A &amp; B', 'one', 'two', 'times', '>g<', '>h<', '>0.5<', '>10<']) expect(svg).toContain(word);
  expect(svg).not.toContain('NaN');
});

test('bands lie between two lines through the plane', () => {
  const svg = bandChart({
    ...{
      title: 't',
      subtitle: 's',
      axisX: 'x',
      axisY: 'y',
      x: [0.01, 100],
      y: [0.01, 100],
      above: 'up',
      below: 'down',
    },
    bands: [{ name: 'b', least: 0.01, most: 1 }],
    points: [{ name: 'p', x: 1, y: 1, fill: '#000' }],
  });
  expect(isWellFormed(svg)).toBe(true);
  const [, points] = /<polygon points="([^"]*)"/.exec(svg) ?? [];
  const [, , topRight, topLeft] = (points ?? '').split(' ').map((pair) => pair.split(',').map(Number));
  // the upper edge is y = x: from corner to corner
  expect(topLeft).toEqual([76, 512]);
  expect(topRight).toEqual([836, 78]);
  expect(svg).not.toContain('NaN');
});

test('shares fill their bar', () => {
  const rows = [
    { name: 'r', amounts: [1, 0, 3] },
    { name: 'empty', amounts: [0, 0, 0] },
  ];
  const svg = shareChart({
    ...{ title: 't', subtitle: 's', axis: '%', kinds: ['a', 'b', 'c'], groups: [{ name: 'g', rows }] },
  });
  expect(isWellFormed(svg)).toBe(true);
  const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="10" fill="(#\w+)"/g)]
    .map(([, x, width, fill]) => [Number(x), Number(width), fill])
    .filter(([x]) => Number(x) >= 200 && !svg.includes(`x="${x}" y="51"`));
  // from 200 to 836: a quarter, then three
  expect(bars).toContainEqual([359, 477, '#009e73']);
  expect(svg).not.toContain('NaN');
});
