/** SVG as text: elements with attributes, nothing that a picture of a chart does not need. */

export type Attributes = Readonly<Record<string, string | number>>;

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const quoted = (text: string): string => text.replace(/[&<>"]/g, (c) => ESCAPES[c] as string);

/** Two decimals are more than a screen shows. */
const value = (v: string | number): string => (typeof v === 'number' ? String(Math.round(v * 100) / 100) : quoted(v));

/** An element around others. */
export const element = (name: string, attributes: Attributes, inside: readonly string[] = []): string => {
  const list = Object.entries(attributes).map(([key, v]) => ` ${key}="${value(v)}"`);
  return inside.length === 0
    ? `<${name}${list.join('')}/>`
    : `<${name}${list.join('')}>\n${inside.join('\n')}\n</${name}>`;
};

/** A piece of text. */
export const text = (x: number, y: number, words: string, attributes: Attributes = {}): string => {
  const list = Object.entries({ x, y, ...attributes }).map(([key, v]) => ` ${key}="${value(v)}"`);
  return `<text${list.join('')}>${quoted(words)}</text>`;
};

export const line = (x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string =>
  element('line', { x1, y1, x2, y2, stroke: '#333', ...attributes });

/** A whole picture, white behind. `title` is read to those who do not see it. */
export const picture = (width: number, height: number, title: string, inside: readonly string[]): string =>
  `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      viewBox: `0 0 ${value(width)} ${value(height)}`,
      width,
      height,
      'font-family': 'sans-serif',
      'font-size': 12,
      role: 'img',
    },
    [`<title>${quoted(title)}</title>`, element('rect', { width, height, fill: '#fff' }), ...inside],
  )}\n`;
