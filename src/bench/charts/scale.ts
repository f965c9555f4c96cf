/** Scales: from numbers to places on a chart, with the numbers that an axis shows. */

export interface Scale {
  readonly least: number;
  readonly most: number;
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** Each decade in three parts. */
const MANTISSAS = [1, 2, 5];

/** Logarithmic, widened to whole ticks. Values must be above 0. */
export function logScale(least: number, most: number, from: number, to: number): Scale {
  const ticks = logTicks(least, most);
  const [a, b] = [ticks[0] as number, ticks[ticks.length - 1] as number];
  const span = Math.log(b / a) || 1;
  const at = (value: number): number => from + (Math.log(Math.min(Math.max(value, a), b) / a) / span) * (to - from);
  return { least: a, most: b, at, ticks };
}

function logTicks(least: number, most: number): number[] {
  const all: number[] = [];
  const first = Math.floor(Math.log10(least));
  const last = Math.ceil(Math.log10(most));
  for (let power = first; power <= last; power++) for (const m of MANTISSAS) all.push(tick(m, power));
  const below = Math.max(0, all.filter((t) => t <= least).length - 1);
  const above = all.findIndex((t) => t >= most);
  return all.slice(below, (above < 0 ? all.length - 1 : above) + 1);
}

/** Without the noise of multiplying by a power of ten. */
const tick = (mantissa: number, power: number): number => Number(`${mantissa}e${power}`);

/** From 0, in steps of 1, 2 or 5 times a power of ten. */
export function linearScale(most: number, from: number, to: number): Scale {
  const rough = (most || 1) / 5;
  const power = Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => tick(m, power)).find((s) => s >= rough) as number;
  const count = Math.ceil((most || 1) / step);
  const ticks = Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
  const end = count * step;
  return { least: 0, most: end, at: (v) => from + (Math.min(Math.max(v, 0), end) / end) * (to - from), ticks };
}

/** A number as an axis shows it. */
export const label = (value: number): string =>
  value >= 1e6 ? `${value / 1e6}M` : value >= 1e4 ? `${value / 1e3}k` : String(value);
