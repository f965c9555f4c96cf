/** Processors by generation: sizes, latencies, what an exit costs. Where they come from: docs/paging-benchmark.md. What vendors do not tell is a range. */

import type { Geometry } from './associative.ts';
import type { TlbGeometry } from './tlb.ts';
import type { WalkCacheGeometry } from './walk-caches.ts';

export interface ProcessorGeometry {
  readonly tlb: TlbGeometry;
  readonly walkCaches: WalkCacheGeometry;
  /** In lines of 64 bytes, first level first. */
  readonly caches: readonly Geometry[];
}

/** Least and most. */
export type Range = readonly [number, number];

export interface Preset {
  readonly name: string;
  readonly about: string;
  readonly tlb: TlbGeometry;
  readonly caches: readonly Geometry[];
  /** Cycles by level: three caches, memory. */
  readonly latencies: readonly [number, number, number, number];
  /** Cycles for a translation from the second level of the TLB. */
  readonly secondLevelHit: number;
  /** Cycles of an exit and the entry after it, nothing between them. */
  readonly transition: Range;
  /** Cycles of a VMREAD or VMWRITE. */
  readonly vmcsAccess: Range;
}

const KIBIBYTE = 1024;
const cache = (kibibytes: number, ways: number): Geometry => ({ entries: (kibibytes * KIBIBYTE) / 64, ways });
const array = (entries: number, ways: number): Geometry => ({ entries, ways });

const SPLIT = {
  data4K: array(64, 4),
  dataLarge: array(32, 4),
  code4K: array(128, 4),
} as const;

export const PRESETS: readonly Preset[] = [
  {
    name: '2009',
    about: 'the first with EPT and VPID (Nehalem)',
    tlb: { ...SPLIT, codeLarge: array(8, 8), second: array(512, 4), secondHasLarge: false },
    caches: [cache(32, 8), cache(256, 8), cache(8192, 16)],
    latencies: [4, 10, 40, 220],
    secondLevelHit: 7,
    transition: [1000, 2000],
    vmcsAccess: [20, 60],
  },
  {
    name: '2013',
    about: 'large pages in the second level of the TLB, accessed and dirty flags in EPT, VMCS shadowing (Haswell)',
    tlb: { ...SPLIT, codeLarge: array(8, 8), second: array(1024, 8), secondHasLarge: true },
    caches: [cache(32, 8), cache(256, 8), cache(8192, 16)],
    latencies: [4, 12, 36, 230],
    secondLevelHit: 8,
    transition: [600, 1300],
    vmcsAccess: [15, 40],
  },
  {
    name: '2019',
    about: 'a larger second level, slower exits by measures against speculation (Ice Lake)',
    tlb: { ...SPLIT, codeLarge: array(16, 16), second: array(1536, 12), secondHasLarge: true },
    caches: [cache(48, 12), cache(512, 8), cache(8192, 16)],
    latencies: [5, 13, 42, 280],
    secondLevelHit: 7,
    transition: [900, 2200],
    vmcsAccess: [15, 40],
  },
];

/** Vendors do not publish these: the results hold for whatever lies between. */
export const WALK_CACHES: Readonly<Record<'small' | 'large', WalkCacheGeometry>> = {
  small: { directory: array(8, 4), ept: array(8, 4), nested: array(8, 4) },
  large: { directory: array(32, 4), ept: array(64, 4), nested: array(128, 4) },
};
