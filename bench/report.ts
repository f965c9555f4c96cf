/** Tables and verdicts for people; the numbers behind them go to --json. */

import { type Summary, summary } from './statistics.ts';

/** A table in the Markdown way: the first column to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => (row[c] ?? '').length)));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((w, c) => (c === 0 ? (row[c] ?? '').padEnd(w) : (row[c] ?? '').padStart(w))).join(' | ')} |`;
  const rule = `|${widths.map((w, c) => (c === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** Three significant digits or so. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A large number with its unit's prefix: 12.3 M. */
export function large(value: number): string {
  if (!Number.isFinite(value)) return '–';
  for (const [unit, prefix] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const) {
    if (value >= unit) return `${figure(value / unit)} ${prefix}`;
  }
  return figure(value);
}

/** median [min..max] */
export function spread(values: readonly number[], show: (value: number) => string = figure): string {
  if (values.length === 0) return '–';
  const s: Summary = summary(values);
  return `${show(s.median)} [${show(s.min)}..${show(s.max)}]`;
}

/** A bound that a figure has to keep. */
export interface Gate {
  readonly what: string;
  readonly value: number;
  readonly least: number;
  readonly passed: boolean;
}

export const gate = (what: string, value: number, least: number): Gate => ({
  what,
  value,
  least,
  passed: value >= least,
});

export const describeGate = (g: Gate): string =>
  `${g.passed ? 'PASS' : 'FAIL'}  ${g.what}: ${figure(g.value)}, at least ${g.least} wanted`;
