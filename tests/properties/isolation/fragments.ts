/** Pieces of programs that belong together: what a processor or a hypervisor forgets easily. What each of them needs it sets up itself, so that none
 *  depends on what came before. All but the last two flush as the manual asks for. */
import fc from 'fast-check';
import { OP, type Operation } from './operations.ts';
import { entryAt, frameAt, type Places, pageOf, SPARE, TABLES } from './places.ts';

type Fragment = fc.Arbitrary<Operation[]>;
const from = <T>(list: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...list);
const table = from(TABLES);
const frame = fc.nat(7).map(frameAt);
const write = (at: number, value: number): Operation => [OP.write, at, value];
const WHOLE: Operation = [OP.whole];

/** Every page by itself. */
export const allPages = (p: Places): Operation[] => p.pages.map((page) => [OP.invalidate, page]);

/** A large page gives way to a table. One INVLPG is enough for all of it, however it was cached (SDM Vol. 3, "Details of TLB Use"). */
export const largePage = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), fc.nat(1), fc.nat(3), fc.nat(3), table)
    .map(([n, g, first, second, t]) => [
      write(p.directoryEntries[n][g], 0x87),
      WHOLE,
      [OP.read, pageOf(p, g, first)],
      [OP.read, pageOf(p, g, second)],
      write(p.directoryEntries[n][g], t | 7),
      [OP.invalidate, pageOf(p, g, first)],
      [OP.read, pageOf(p, g, second)],
    ]);

/** Two entries of a directory lead to one table, one of them with fewer rights. */
export const shared = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), table, fc.nat(3), frame, from([1, 3, 5]), fc.boolean(), fc.nat(0xffff), fc.nat(1))
    .map(([n, t, k, f, rights, user, value, strong]) => {
      const page = (g: number): number => pageOf(p, g, k) + 4;
      return [
        [OP.root, p.roots[n]],
        write(p.directoryEntries[n][strong], t | 7),
        write(p.directoryEntries[n][1 - strong], t | rights),
        write(entryAt(p, t, k), f | 7),
        WHOLE,
        write(page(strong), value),
        [OP.read, page(1 - strong)],
        user ? [OP.user, page(1 - strong), value + 1, 1] : write(page(1 - strong), value + 1),
        [OP.read, page(strong)],
        [OP.user, page(1 - strong), 0, 0],
      ];
    });

/** An entry of a table is written, CR3 loaded, another entry of it written, which is in use. */
export const rewritten = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), fc.nat(1), table, fc.nat(3), fc.integer({ min: 1, max: 3 }), frame, frame, frame)
    .map(([n, g, t, k, other, first, second, third]) => [
      [OP.root, p.roots[n]],
      write(p.directoryEntries[n][g], t | 7),
      write(entryAt(p, t, k), first | 7),
      write(entryAt(p, t, (k + other) % 4), 0),
      WHOLE,
      [OP.read, pageOf(p, g, k)],
      write(entryAt(p, t, (k + other) % 4), second | 7),
      [OP.root, p.roots[n]],
      write(entryAt(p, t, k), third | 7),
      ...allPages(p),
      [OP.read, pageOf(p, g, k)],
    ]);

/** An entry of a directory leads to another table, and pages that go through it are flushed one by one: what is remembered of the entry goes with
 *  the first of them. */
export const relinked = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), fc.nat(1), table, fc.integer({ min: 1, max: 3 }), fc.nat(3), frame, frame)
    .map(([n, g, t, other, k, first, second]) => {
      const u = TABLES[(TABLES.indexOf(t) + other) % 4];
      return [
        [OP.root, p.roots[n]],
        write(p.directoryEntries[n][g], t | 7),
        write(entryAt(p, t, k), first | 7),
        write(entryAt(p, u, k), second | 7),
        WHOLE,
        [OP.read, pageOf(p, g, k)],
        write(p.directoryEntries[n][g], u | 7),
        ...allPages(p),
        [OP.read, pageOf(p, g, k)],
      ];
    });

/** What was not present needs no flush when it is (SDM Vol. 3, "Optional Invalidation"). */
export const appearing = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), fc.nat(1), fc.nat(3), fc.integer({ min: 1, max: 3 }), frame, frame)
    .map(([n, g, k, other, f, later]) => {
      const j = (k + other) % 4;
      return [
        [OP.root, p.roots[n]],
        write(p.directoryEntries[n][g], SPARE | 7),
        write(entryAt(p, SPARE, k), f | 7),
        write(entryAt(p, SPARE, j), 0),
        WHOLE,
        [OP.read, pageOf(p, g, k)],
        [OP.user, pageOf(p, g, j), 0, 0],
        [OP.read, pageOf(p, g, j)],
        write(entryAt(p, SPARE, j), later | 7),
        [OP.read, pageOf(p, g, j)],
      ];
    });

/** PAE: a table is edited while it is in use; then another PDPTE leads to it, and one of its entries is flushed by that. */
export const waiting = (p: Places): Fragment =>
  fc.tuple(fc.nat(1), table, fc.nat(3), frame, frame, fc.boolean()).map(([n, t, k, first, second, goes]) => {
    const entry = entryAt(p, t, k);
    return [
      write(p.pointers[n][0], p.pointers[n][1] | 1),
      [OP.root, p.roots[n]],
      write(p.directoryEntries[n][1], t | 7),
      write(entry, first | 7),
      WHOLE,
      [OP.read, pageOf(p, 1, k)],
      write(entry, goes ? 0 : second | 7),
      write(p.pointers[1 - n][0], p.pointers[n][1] | 1),
      [OP.root, p.roots[1 - n]],
      WHOLE,
      [OP.read, pageOf(p, 1, k)],
      write(p.pointers[1 - n][0], p.pointers[1 - n][1] | 1),
      WHOLE,
    ];
  });

/** Two directories that differ, by turns, and nothing is written in between. */
export const alternation = (p: Places): Fragment =>
  fc.tuple(table, table, fc.nat(1), fc.nat(3), frame, frame).map(([t, u, g, k, first, second]) => {
    const looks: Operation[] = [0, 1, 0, 1].flatMap((n): Operation[] => [
      [OP.root, p.roots[n]],
      [OP.read, pageOf(p, g, k)],
    ]);
    return [
      write(p.directoryEntries[0][g], t | 7),
      write(p.directoryEntries[1][g], u | 7),
      write(entryAt(p, t, k), first | 7),
      write(entryAt(p, u, k), second | 7),
      WHOLE,
      ...looks,
      WHOLE,
    ];
  });

/** PAE: a PDPTE is edited, which must have no effect before the registers are loaded (SDM Vol. 3, "PDPTE Registers"). */
export const pointerEdit = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), fc.nat(2), fc.nat(3), fc.boolean(), fc.boolean())
    .map(([n, value, k, yields, reloads]) => [
      write(p.pointers[n][0], value === 2 ? 0 : p.pointers[value][1] | 1),
      ...(yields ? [[OP.yield] as Operation] : []),
      [OP.read, pageOf(p, 1, k)],
      ...(reloads ? [WHOLE, [OP.read, pageOf(p, 1, k)] as Operation] : []),
    ]);

/** A page of the kernel goes away without a flush; but then ring 3 takes a page fault there, which is one (SDM Vol. 3, "Operations that
 *  Invalidate TLBs and Paging-Structure Caches"). Careless. */
export const faulting = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(1), fc.nat(1), table, fc.nat(3), frame, fc.boolean())
    .map(([n, g, t, k, f, moves]) => [
      [OP.root, p.roots[n]],
      write(p.directoryEntries[n][g], t | 3),
      write(entryAt(p, t, k), f | 7),
      WHOLE,
      [OP.read, pageOf(p, g, k)],
      write(entryAt(p, t, k), moves ? (f ^ 0x1000) | 3 : 0),
      [OP.user, pageOf(p, g, k), 0, 0],
      [OP.read, pageOf(p, g, k)],
    ]);

/** The page of a table, mapped as data by a global entry in another table, is mapped away: only another page that goes through the same
 *  entry is flushed. What is written through the old translation afterwards may change the table. 32-bit paging only. Careless. */
export const openWindow = (p: Places): Fragment =>
  fc
    .tuple(fc.nat(3), fc.integer({ min: 1, max: 3 }), fc.array(frame, { minLength: 6, maxLength: 6 }))
    .map(([i, other, [a, b, c, d, e, f]]) => {
      const [outer, inner] = [TABLES[i], TABLES[(i + other) % 4]];
      const window = pageOf(p, 0, 3) + 4;
      const [d0, d1] = p.directoryEntries;
      const within = entryAt(p, inner, 1);
      return [
        [OP.root, p.roots[0]],
        ...[d0[0], d0[1]].map((at) => write(at, outer | 7)),
        write(d1[0], inner | 7),
        write(entryAt(p, outer, 3), inner | 0x107),
        write(entryAt(p, outer, 0), a | 7),
        write(within, a | 7),
        write(entryAt(p, inner, 3), d | 7),
        WHOLE,
        [OP.root, p.roots[1]],
        [OP.read, pageOf(p, 0, 1)],
        [OP.root, p.roots[0]],
        [OP.read, pageOf(p, 1, 0)],
        write(window, b | 7),
        write(entryAt(p, outer, 3), c | 7),
        [OP.invalidate, pageOf(p, 1, 3)],
        [OP.root, p.roots[1]],
        [OP.read, pageOf(p, 0, 1)],
        write(window, e | 7),
        WHOLE,
        [OP.read, within],
        [OP.read, pageOf(p, 0, 1)],
        write(within, f | 7),
        WHOLE,
      ];
    });
