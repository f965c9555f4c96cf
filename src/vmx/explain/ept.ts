/** `explainEpt`: everything that an EPT maps, in ranges (SDM Vol. 3, "EPT Translation Mechanism"). */
import { hex, type U64 } from '../../base/int.ts';
import type { WalkMemory } from './address.ts';
import { type EntryRules, pageBytes, readEntry, rightsText, sizeText } from './entries.ts';

/** Guest-physical addresses that follow each other, mapped to host-physical ones that do, alike. */
export interface EptRange {
  readonly first: number;
  readonly last: number;
  readonly hostPhysical: number;
  /** Rights of all levels together: R 1, W 2, X 4. */
  readonly rights: number;
  readonly memoryType: number;
  readonly pageBytes: number;
}

export interface EptExplanation {
  readonly ranges: readonly EptRange[];
  readonly misconfigured: readonly {
    readonly first: number;
    readonly last: number;
    readonly at: number;
    readonly why: string;
  }[];
  /** There was more than a report can hold, or tables outside RAM. */
  readonly incomplete: boolean;
  readonly text: readonly string[];
}

/** A table may contain itself: more is not read. */
const MOST_ENTRIES = 1 << 20;
const MOST_LINES = 4096;
const MEMORY_TYPES: Readonly<Record<number, string>> = { 0: 'UC', 1: 'WC', 4: 'WT', 5: 'WP', 6: 'WB' };

/** Reads the tables below an EPT pointer. */
export function explainEpt(memory: WalkMemory, eptp: U64, rules: EntryRules): EptExplanation {
  const ranges: EptRange[] = [];
  const misconfigured: { first: number; last: number; at: number; why: string }[] = [];
  const accessedDirty = (eptp.lo & 0x40) !== 0;
  let budget = MOST_ENTRIES;
  let incomplete = false;

  const visit = (table: number, level: number, base: number, above: number): void => {
    const bytes = pageBytes('EPT', level);
    for (let index = 0; index < 512; index++) {
      if (budget-- <= 0 || ranges.length + misconfigured.length > MOST_LINES) {
        incomplete = true;
        return;
      }
      const at = table + index * 8;
      const lo = memory.peek(at);
      const hi = memory.peek(at + 4);
      if (lo === undefined || hi === undefined) {
        incomplete = true;
        return;
      }
      if ((lo & 7) === 0) continue;
      const first = base + index * bytes;
      const entry = readEntry('EPT', level, { lo, hi }, { ...rules, eptAccessedDirty: accessedDirty });
      const rights = above & lo & 7;
      if (entry.fault !== '') misconfigured.push({ first, last: first + bytes - 1, at, why: entry.fault });
      else if (!entry.leaf) visit(entry.address, level - 1, first, rights);
      else
        add({
          first,
          last: first + bytes - 1,
          hostPhysical: entry.address,
          rights,
          memoryType: (lo >>> 3) & 7,
          pageBytes: bytes,
        });
    }
  };
  const add = (range: EptRange): void => {
    const last = ranges.at(-1);
    const follows =
      last !== undefined &&
      last.last + 1 === range.first &&
      last.hostPhysical + (range.first - last.first) === range.hostPhysical &&
      last.rights === range.rights &&
      last.memoryType === range.memoryType &&
      last.pageBytes === range.pageBytes;
    if (follows) ranges[ranges.length - 1] = { ...last, last: range.last };
    else ranges.push(range);
  };
  visit((eptp.hi & 0xf_ffff) * 0x1_0000_0000 + ((eptp.lo & ~4095) >>> 0), 4, 0, 7);
  const text = [
    `EPT at host-physical ${hex((eptp.lo & ~4095) >>> 0)}${accessedDirty ? ', with accessed and dirty flags' : ''}`,
    ...ranges.map(
      (r) =>
        `  ${hex(r.first)}–${hex(r.last)} → ${hex(r.hostPhysical)}  ${rightsText(r.rights)} ${MEMORY_TYPES[r.memoryType] ?? '?'}, pages of ${sizeText(r.pageBytes)}`,
    ),
    ...misconfigured.map((m) => `  ${hex(m.first)}–${hex(m.last)} misconfigured: ${m.why} (entry at ${hex(m.at)})`),
    ...(incomplete ? ['  and more, or tables outside RAM, which are not shown'] : []),
  ];
  if (text.length === 1) text.push('  maps nothing');
  return { ranges, misconfigured, incomplete, text };
}
