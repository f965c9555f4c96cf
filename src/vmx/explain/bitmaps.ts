/** I/O and MSR bitmaps in words (SDM Vol. 3, "I/O-Bitmap Addresses", "MSR-Bitmap Address"). */
import { hex } from '../../base/int.ts';
import type { WalkMemory } from './address.ts';

/** Numbers from first to last, both included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

export interface MsrBitmapExplanation {
  readonly read: readonly Range[];
  readonly write: readonly Range[];
  readonly text: readonly string[];
}

export interface IoBitmapExplanation {
  readonly exits: readonly Range[];
  readonly text: readonly string[];
}

const PAGE_BITS = 4096 * 8;

/** Runs of set bits in `count` bits from `at` on, numbered from `first`. Memory that is not there reads as ones. */
function setBits(memory: WalkMemory, at: number, count: number, first: number): Range[] {
  const ranges: Range[] = [];
  let start = -1;
  for (let n = 0; n <= count; n++) {
    const word = n < count ? (memory.peek(at + ((n >>> 5) << 2)) ?? -1) : 0;
    const isSet = n < count && ((word >>> (n & 31)) & 1) !== 0;
    if (isSet && start < 0) start = n;
    if (!isSet && start >= 0) {
      ranges.push({ first: first + start, last: first + n - 1 });
      start = -1;
    }
  }
  return ranges;
}

/** Ranges that touch become one. */
const joined = (ranges: readonly Range[]): Range[] =>
  ranges.reduce<Range[]>((all, range) => {
    const last = all.at(-1);
    if (last?.last === range.first - 1) all[all.length - 1] = { first: last.first, last: range.last };
    else all.push(range);
    return all;
  }, []);

const rangeText = ({ first, last }: Range, digits: number): string =>
  first === last ? hex(first, digits) : `${hex(first, digits)}–${hex(last, digits)}`;

/** Ports whose accesses exit. */
export function explainIoBitmaps(memory: WalkMemory, a: number, b: number): IoBitmapExplanation {
  const exits = joined([...setBits(memory, a, PAGE_BITS, 0), ...setBits(memory, b, PAGE_BITS, PAGE_BITS)]);
  const list = exits.map((range) => `  ${rangeText(range, 4)}`);
  const text =
    exits.length === 0 ? ['I/O bitmaps: no port exits'] : ['I/O bitmaps: accesses to these ports exit', ...list];
  return { exits, text };
}

const MSRS = 8192;
const HIGH_MSRS = 0xc000_0000;

/** MSRs whose reads and writes exit; those outside the two ranges of the bitmap always do. */
export function explainMsrBitmap(memory: WalkMemory, at: number): MsrBitmapExplanation {
  const of = (offset: number): Range[] => [
    ...setBits(memory, at + offset, MSRS, 0),
    ...setBits(memory, at + offset + 1024, MSRS, HIGH_MSRS),
  ];
  const read = of(0);
  const write = of(2048);
  const lines = (what: string, ranges: readonly Range[]): string[] =>
    ranges.length === 0
      ? [`MSR bitmap: no ${what} in 0000_0000h–0000_1FFFh and C000_0000h–C000_1FFFh exits`]
      : [`MSR bitmap: ${what}s of these exit`, ...ranges.map((range) => `  ${rangeText(range, 8)}`)];
  return { read, write, text: [...lines('read', read), ...lines('write', write)] };
}
