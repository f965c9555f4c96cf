/** The store by page against a list of translations, and its limits. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newCounts } from '../../src/mmu/observer.ts';
import { GENERATIONS, PageStore } from '../../src/mmu/page-store.ts';
import { runs } from '../effort.ts';

interface Translation {
  readonly vpid: number;
  readonly global: boolean;
  readonly first: number;
  readonly shift: number;
  frame: number;
  contexts: number;
}

/** Pages at both ends of what a leaf holds, of what a large page holds, and of all. */
const page = fc.constantFrom(0, 1, 0x1ff, 0x200, 0x3ff, 0x400, 0x7_fdff, 0x7_fe00, 0x8_0000, 0xf_fbff, 0xf_ffff);
const step = fc.record({
  do: fc.constantFrom('insert', 'insert', 'insert', 'find', 'remove', 'retire', 'retire both'),
  vpid: fc.nat(2),
  page,
  shift: fc.constantFrom(0, 0, 9, 10),
  global: fc.boolean(),
  frame: fc.nat(3),
});

/** Most leaves alive at once in this test: 3 VPIDs, global or not, 7 of 4-KiB pages, 3 of 2 MiB, 1 of 4 MiB; and leaf 0. */
const ENOUGH = 3 * 2 * 11 + 1;

test.each([ENOUGH, 4096])(
  'finds what a list of translations holds, and says what it drops, with %i leaves',
  (limit) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const dropped: unknown[] = [];
        const counts = newCounts();
        const store = new PageStore(
          counts,
          (first, shift, mask) => dropped.push([first, shift, mask]),
          () => expect.fail('there is room'),
          limit,
        );
        let list: Translation[] = [];
        const held = (vpid: number, at: number): Translation | undefined =>
          [false, true, undefined]
            .flatMap((global) =>
              list.filter(
                (t) => t.vpid === vpid && (global === undefined ? t.shift > 0 : t.shift === 0 && t.global === global),
              ),
            )
            .filter((t) => at >> t.shift === t.first >> t.shift)
            .sort(
              (a, b) =>
                Number(a.shift > 0) - Number(b.shift > 0) || Number(a.global) - Number(b.global) || a.shift - b.shift,
            )[0];
        const forget = (t: Translation): void => {
          list = list.filter((other) => other !== t);
          expect(dropped.pop()).toEqual([t.first, t.shift, t.contexts]);
        };
        for (const s of steps) {
          const space = store.spaces.get(s.vpid, -1);
          const first = (s.page >> s.shift) << s.shift;
          const tag = s.global ? space.global : space.plain;
          if (s.do === 'insert') {
            const before: Translation[] = [];
            let same: Translation | undefined;
            for (let t = held(s.vpid, s.page); t !== undefined; t = held(s.vpid, s.page)) {
              list = list.filter((other) => other !== t);
              if (t.shift === s.shift && t.global === s.global) {
                same = t;
                break;
              }
              before.push(t);
            }
            const stays = same !== undefined && same.frame === s.frame;
            if (same !== undefined && !stays) before.push(same);
            const e = store.insert(space, s.page, s.shift, s.global, s.frame, 0xf_fff0 + s.frame, 0x707);
            expect(dropped.splice(0)).toEqual(before.map((t) => [t.first, t.shift, t.contexts]));
            const copied = (s.page & 1) === 0;
            if (copied) store.noteCopy(e, s.vpid);
            list.push({
              vpid: s.vpid,
              global: s.global,
              first,
              shift: s.shift,
              frame: s.frame,
              contexts: (copied ? 1 << s.vpid : 0) | (stays ? (same as Translation).contexts : 0),
            });
          } else if (s.do === 'remove') {
            const e = store.find(space, s.page);
            if (e >= 0) {
              const t = held(s.vpid, s.page) as Translation;
              store.remove(e);
              forget(t);
            }
          } else if (s.do !== 'find') {
            for (const dead of s.do === 'retire' ? [tag] : [space.plain, space.global]) {
              store.retire(dead);
              list = list.filter((t) => t.vpid !== s.vpid || t.global !== dead.global);
            }
          }
          const e = store.find(space, s.page);
          const t = held(s.vpid, s.page);
          expect(e >= 0).toBe(t !== undefined);
          if (t !== undefined) {
            expect([store.frameOf(e), store.shift(e), store.tagOf(e).global]).toEqual([t.frame, t.shift, t.global]);
            expect([store.guestFrameOf(e), store.flagsOf(e)]).toEqual([0xf_fff0 + t.frame, 0x707]);
          }
          expect(dropped).toEqual([]);
        }
        for (const vpid of [0, 1, 2])
          for (const global of [false, true]) {
            const space = store.spaces.get(vpid, -1);
            const tag = global ? space.global : space.plain;
            const mine = list.filter((t) => t.vpid === vpid && t.global === global);
            expect([...store.entries(tag)]).toHaveLength(mine.length);
            expect([tag.count, tag.large]).toEqual([mine.length, mine.filter((t) => t.shift > 0).length]);
          }
        expect(counts.evictions).toBe(0);
      }),
      { numRuns: runs(60) },
    );
  },
);

test('leaves in which nothing lives are used again; when all live, everything gives way at once', () => {
  const counts = newCounts();
  let emptied = 0;
  const store = new PageStore(
    counts,
    () => {},
    () => emptied++,
    4,
  );
  const fill = (vpid: number, region: number): number => {
    const e = store.insertKey(store.spaces.get(vpid, -1).plain, region * 1024 + 5, region, 0, 0x707);
    return e;
  };
  const found = (vpid: number, region: number): boolean =>
    store.find(store.spaces.get(vpid, -1), region * 1024 + 5) >= 0;
  for (let region = 0; region < 20; region++) {
    store.retire(store.spaces.get(1, -1).plain);
    fill(1, region);
    expect([found(1, region), found(1, region - 1)]).toEqual([true, false]);
  }
  fill(2, 0);
  fill(3, 0);
  expect([counts.evictions, emptied]).toEqual([0, 0]);
  expect([found(1, 19), found(2, 0), found(3, 0)]).toEqual([true, true, true]);
  fill(4, 0);
  expect([counts.evictions, emptied]).toEqual([3, 1]);
  expect([found(1, 19), found(2, 0), found(3, 0), found(4, 0)]).toEqual([false, false, false, true]);
});

test('generations that come round again bring nothing back', () => {
  const store = new PageStore(
    newCounts(),
    () => {},
    () => {},
  );
  const space = store.spaces.get(0, -1);
  store.insertKey(space.plain, 7, 9, 0, 0x707);
  expect(space.plain.generation).toBe(1);
  space.plain.generation = GENERATIONS - 1;
  store.insertKey(space.plain, 8, 9, 0, 0x707);
  store.retire(space.plain);
  expect([store.find(space, 7), store.find(space, 8)]).toEqual([-1, -1]);
  expect(space.plain.generation).toBe(1);
});
