/** Tables and numbers for people. */

/** A table in the Markdown way: the first column to the left, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, c) => Math.max(...[head, ...rows].map((row) => (row[c] ?? '').length)));
  const pad = (cell: string, width: number, c: number): string => (c === 0 ? cell.padEnd(width) : cell.padStart(width));
  const row = (cells: readonly string[]): string =>
    `| ${widths.map((w, c) => pad(cells[c] ?? '', w, c)).join(' | ')} |`;
  const rule = `|${widths.map((w, c) => (c === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  return [row(head), rule, ...rows.map(row)].join('\n');
}

/** Three significant digits or so. */
export function figure(value: number): string {
  if (Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A count: `·` for none, with the unit's prefix if it is large. */
export function amount(value: number): string {
  if (value === 0) return '·';
  for (const [unit, prefix] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e4, 'k'],
  ] as const)
    if (value >= unit) return `${figure(value / (unit === 1e4 ? 1e3 : unit))} ${prefix}`;
  return Number.isInteger(value) ? String(value) : figure(value);
}

export const interval = ({ least, most }: { readonly least: number; readonly most: number }): string =>
  `${figure(least)} … ${figure(most)}`;

export const percent = (part: number): string => `${Math.round(100 * part)} %`;
