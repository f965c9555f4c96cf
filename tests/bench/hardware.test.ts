/** The modelled processor: its arrays against arithmetic that can be done by hand, its walks against the formulas of two-dimensional paging. */

import { describe, expect, test } from 'vitest';
import { Associative } from '../../src/bench/paging/hardware/associative.ts';
import { DataCaches } from '../../src/bench/paging/hardware/data-caches.ts';
import { PRESETS, WALK_CACHES } from '../../src/bench/paging/hardware/presets.ts';
import { ModelledProcessor } from '../../src/bench/paging/hardware/processor.ts';
import { FIRST_LEVEL, MISS, SECOND_LEVEL, Tlb } from '../../src/bench/paging/hardware/tlb.ts';
import { coldReferences, type Walk, type WalkPart } from '../../src/bench/paging/hardware/walk.ts';
import { WalkCaches } from '../../src/bench/paging/hardware/walk-caches.ts';
import { Spaces } from '../../src/bench/paging/spaces.ts';

const preset = PRESETS[0] as (typeof PRESETS)[number];

describe('a set-associative array', () => {
  test('holds as many keys of a set as it has ways, and then drives one out that was not used last', () => {
    const array = new Associative({ entries: 8, ways: 4 }, 1);
    for (const key of [0, 2, 4, 6]) array.put(key, key);
    expect([0, 2, 4, 6].map((key) => array.has(key, key))).toEqual([true, true, true, true]);
    expect(array.has(4, 4)).toBe(true);
    array.put(8, 8);
    expect([array.has(4, 4), array.has(8, 8)]).toEqual([true, true]);
    expect([0, 2, 6].filter((key) => array.has(key, key))).toHaveLength(2);
    expect(array.has(1, 1)).toBe(false);
  });

  test('another seed drives out others, the same seed the same', () => {
    const survivors = (seed: number): number[] => {
      const array = new Associative({ entries: 64, ways: 4 }, seed);
      for (let key = 0; key < 256; key++) array.put(key, key);
      return Array.from({ length: 256 }, (_, key) => key).filter((key) => array.has(key, key));
    };
    expect(survivors(1)).toHaveLength(64);
    expect(survivors(1)).toEqual(survivors(1));
    expect(survivors(1)).not.toEqual(survivors(2));
  });

  test('sets that are no power of two are refused', () => {
    expect(() => new Associative({ entries: 12, ways: 4 }, 1)).toThrow('power of two');
  });
});

test('a line is in memory, then in the first level, and falls back level by level as others come', () => {
  const caches = new DataCaches(preset.caches, 1);
  expect([caches.reference(0x1000), caches.reference(0x103f), caches.reference(0x1040)]).toEqual([3, 0, 3]);
  // 32 KiB of other lines, twice over, drive it out of the first level; the second has room for all of them
  for (let at = 0x10_0000; at < 0x10_0000 + 0x1_0000; at += 64) caches.reference(at);
  expect(caches.reference(0x1000)).toBe(1);
});

describe('the TLB', () => {
  const fill = (pages: number): Tlb => {
    const tlb = new Tlb(preset.tlb, 1);
    for (let page = 0; page < pages; page++) if (tlb.find(0, 1, page, false) === MISS) tlb.fill(0, page, 0, false);
    return tlb;
  };
  const outcomes = (tlb: Tlb, pages: number): Set<number> =>
    new Set(Array.from({ length: pages }, (_, page) => tlb.find(0, 1, page, false)));

  test('has 64 pages in the first level, 512 in the second of the first generation with EPT', () => {
    expect(outcomes(fill(64), 64)).toEqual(new Set([FIRST_LEVEL]));
    expect(outcomes(fill(512), 512).has(MISS)).toBe(false);
    expect(outcomes(fill(513), 513).has(MISS)).toBe(true);
  });

  test('a large page is one entry, of the first level only where the second has none', () => {
    const tlb = new Tlb(preset.tlb, 1);
    tlb.fill(0, 0x400, 10, false);
    expect([tlb.find(0, 1, 0x7ff, false), tlb.find(0, 1, 0x800, false)]).toEqual([FIRST_LEVEL, MISS]);
    expect(tlb.find(0, 1, 0x400, true)).toBe(MISS);
    const newer = new Tlb((PRESETS[1] as typeof preset).tlb, 1);
    newer.fill(0, 0x400, 10, false);
    expect(newer.find(0, 1, 0x400, true)).toBe(SECOND_LEVEL);
  });

  test('an entry belongs to its tag; one page can be taken out', () => {
    const tlb = fill(8);
    expect(tlb.find(5, 6, 3, false)).toBe(MISS);
    tlb.invalidate(0, 3);
    expect([3, 4].map((page) => tlb.find(0, 1, page, false))).toEqual([MISS, FIRST_LEVEL]);
  });
});

/** n levels of the guest, m of EPT; addresses as if each table stood alone. */
function walkOf(n: number, m: number, linearPage: number): Walk {
  const ept = (k: number): number[] => Array.from({ length: m }, (_, level) => (k * 8 + level) * 4096 + linearPage * 8);
  const parts: WalkPart[] = Array.from({ length: n }, (_, k) => ({ ept: ept(k), entry: (0x100 + k) * 4096 }));
  return { parts: [...parts, { ept: ept(n), entry: -1 }], complete: true, directoryShift: 10, shift: 0, global: false };
}

describe('walks', () => {
  // (n + 1)(m + 1) − 1, and n without EPT
  test.each([
    [0, 4, 4],
    [1, 0, 1],
    [1, 4, 9],
    [1, 3, 7],
    [1, 2, 5],
    [2, 0, 2],
    [2, 4, 14],
    [2, 3, 11],
    [2, 2, 8],
  ])('%i levels of the guest and %i of EPT are %i references, nothing cached', (n, m, references) => {
    const walk = walkOf(n, m, 5);
    expect(coldReferences(walk)).toBe(references);
    const caches = new WalkCaches(WALK_CACHES.large, 1);
    let read = 0;
    caches.walk(walk, 5, { directories: 1, guestPhysical: 2 }, () => read++);
    expect(read).toBe(references);
  });

  test('what the caches hold is not read again: a directory entry, EPT entries that point to tables, whole pages', () => {
    const caches = new WalkCaches(WALK_CACHES.large, 1);
    const tags = { directories: 1, guestPhysical: 2 };
    const count = (walk: Walk, page: number, t = tags): number => {
      let read = 0;
      caches.walk(walk, page, t, () => read++);
      return read;
    };
    const walk = walkOf(2, 4, 5);
    expect(count(walk, 5)).toBe(14);
    // the page table's entry, and nothing of EPT: the page is known
    expect(count(walk, 5)).toBe(1);
    // CR3 was loaded: the directory entry again, its table and the page table's are known to EPT
    expect(count(walk, 5, { directories: 3, guestPhysical: 2 })).toBe(2);
    // INVEPT: everything but the guest's directory entry, which leads to a table that is translated already
    expect(count(walk, 5, { directories: 3, guestPhysical: 4 })).toBe(5);
    // a neighbouring page, its last EPT entry in the same table
    const last = walk.parts[2] as WalkPart;
    const ept = [...last.ept.slice(0, 3), (last.ept[3] as number) + 8];
    expect(count({ ...walk, parts: [...walk.parts.slice(0, 2), { ept, entry: -1 }] }, 6, tags)).toBe(2);
  });
});

test('a processor walks at a miss, fills its TLB, and counts what it read', () => {
  const processor = new ModelledProcessor({ ...preset, walkCaches: WALK_CACHES.small }, 1);
  const space = new Spaces().of(1, 7);
  const walk = walkOf(2, 4, 5);
  processor.translate(space, 5, false, () => walk);
  processor.translate(space, 5, false, () => {
    throw new Error('it is in the TLB');
  });
  processor.translate(space, 5, true, () => walk);
  const { walks, walkReferences, secondLevelHits, histogram } = processor.counts;
  expect({ walks, walkReferences, secondLevelHits }).toEqual({ walks: 1, walkReferences: 14, secondLevelHits: 1 });
  expect(histogram[14]).toBe(1);
});

describe('names of what is cached', () => {
  const target = { vpid: 1, eptrta: 7, page: 5, guestPage: 0 };
  const names = (event: Parameters<Spaces['flush']>[0], t = target) => {
    const spaces = new Spaces();
    const space = spaces.of(1, 7);
    const before = { ...space };
    const { spaces: single } = spaces.flush(event, t);
    const renamed = (Object.keys(before) as (keyof typeof before)[]).filter((k) => before[k] !== space[k]);
    return [renamed.filter((k) => typeof before[k] === 'number').sort(), single.length];
  };

  // SDM Vol. 3, "Operations that Invalidate TLBs and Paging-Structure Caches", "Operations that Invalidate Cached Mappings"
  test('an event takes what the manual says', () => {
    expect(names('movToCr3')).toEqual([['directories', 'plain'], 0]);
    expect(names('pagingModeChange')).toEqual([['directories', 'global', 'plain'], 0]);
    expect(names('invlpg')).toEqual([['directories'], 1]);
    expect(names('pageFault')).toEqual([[], 1]);
    expect(names('invvpidAddress')).toEqual([[], 1]);
    expect(names('invvpidSingle')).toEqual([['directories', 'global', 'plain'], 0]);
    expect(names('invvpidSingle', { ...target, vpid: 2 })).toEqual([[], 0]);
    expect(names('inveptSingle')).toEqual([['directories', 'global', 'guestPhysical', 'plain'], 0]);
    expect(names('inveptSingle', { ...target, eptrta: 8 })).toEqual([[], 0]);
    expect(names('eptViolation')).toEqual([['guestPhysical'], 1]);
  });
});
