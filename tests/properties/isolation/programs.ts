/** Random programs for the kernel of guest.asm. */
import fc from 'fast-check';
import {
  allPages,
  alternation,
  appearing,
  faulting,
  largePage,
  openWindow,
  pointerEdit,
  relinked,
  rewritten,
  shared,
  waiting,
} from './fragments.ts';
import { OP, type Operation } from './operations.ts';
import { entryAt, frameAt, type Places, TABLES } from './places.ts';

const from = <T>(list: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...list);
type Part = { readonly weight: number; readonly arbitrary: fc.Arbitrary<Operation[]> };
const part = (weight: number, arbitrary: fc.Arbitrary<Operation[]>): Part => ({ weight, arbitrary });

/** An access to a page: read or execute its name, read or write its word, in ring 0 or 3. */
const access = (p: Places): fc.Arbitrary<Operation[]> =>
  fc
    .tuple(from(p.pages), from(['read', 'name', 'write', 'execute']), fc.boolean(), fc.nat(0xffff))
    .map(([page, kind, user, value]) => {
      const at = kind === 'name' || kind === 'execute' ? page : page + 4;
      const n = kind === 'write' ? 1 : kind === 'execute' ? 2 : 0;
      if (user) return [[OP.user, at, value, n]];
      return [kind === 'execute' ? [OP.execute, at] : kind === 'write' ? [OP.write, at, value] : [OP.read, at]];
    });

/** Present, with these rights, and perhaps accessed and dirty already. */
const flags = fc
  .tuple(fc.nat(9), fc.nat(3), from([0, 0, 0x20, 0x60]))
  .map(([absent, rights, used]) => (absent === 0 ? 0 : 1) | (rights << 1) | used);

function edit(p: Places, globals: boolean): fc.Arbitrary<Operation[]> {
  const directories = p.directoryEntries.flat();
  const entries = [...directories, ...TABLES.flatMap((t) => [0, 1, 2, 3].map((k) => entryAt(p, t, k)))];
  return fc
    .tuple(from(entries), flags, fc.nat(7), fc.nat(3), fc.boolean(), fc.nat(5), fc.nat(3))
    .map(([at, bits, frame, table, global, large, disabled]) => {
      const isDirectory = directories.includes(at);
      const entry = isDirectory ? (large === 0 ? 0x80 | bits : TABLES[table] | bits) : frameAt(frame) | bits;
      const low = globals && global && (!isDirectory || large === 0) ? entry | 0x100 : entry;
      return [
        ...(p.pae ? [[OP.write, at + 4, disabled === 0 ? 0x8000_0000 : 0] as Operation] : []),
        [OP.write, at, low],
      ];
    });
}

const protect: fc.Arbitrary<Operation[]> = fc.boolean().map((on) => [[OP.protect, on ? 0x1_0000 : 0]]);
const yielding: fc.Arbitrary<Operation[]> = fc.constant([[OP.yield]]);
const common = (p: Places): Part[] => [
  part(8, access(p)),
  part(1, protect),
  part(1, yielding),
  part(
    1,
    from(p.words).map((at): Operation[] => [[OP.read, at]]),
  ),
  part(1, appearing(p)),
  ...(p.pae ? [part(1, pointerEdit(p)), part(1, waiting(p))] : []),
];

/** The tables at the beginning: the first root shows T0 and T1, the second T2 and T3, each with frames. The kernel's own page is global or not. */
const beginning = (p: Places): fc.Arbitrary<Operation[]> =>
  fc
    .boolean()
    .map((global) => [
      ...p.kernelEntries.map((at): Operation => [OP.write, at, global ? 0x1e3 : 0xe3]),
      ...p.directoryEntries.flatMap((entries, n) =>
        entries.map((at, g): Operation => [OP.write, at, TABLES[2 * n + g] | 7]),
      ),
      ...TABLES.flatMap((t, k) =>
        [0, 1, 2, 3].map((n): Operation => [OP.write, entryAt(p, t, n), frameAt((4 * k + n * 3) % 8) | 7]),
      ),
      [OP.whole],
    ]);

const programOf = (p: Places, parts: Part[]): fc.Arbitrary<Operation[]> =>
  fc
    .tuple(beginning(p), fc.array(fc.oneof(...parts), { minLength: 1, maxLength: 60, size: 'max' }))
    .map(([first, rest]) => [...first, ...rest.flat()]);

/** Programs that flush as the manual asks for: after each edit, and with each change of CR3. */
export const carefulPrograms = (p: Places): fc.Arbitrary<Operation[]> =>
  fc.boolean().chain((globals) => {
    // everything; or each page; or a reload of CR3, where nothing is global
    const ways: Operation[][] = [[[OP.whole]], allPages(p)];
    const flush = from(globals ? ways : [...ways, [[OP.root] as Operation]]);
    const switching = from(p.roots).map((at): Operation[] => (globals ? [[OP.root, at], [OP.whole]] : [[OP.root, at]]));
    const careful = fc.tuple(edit(p, globals), flush).map(([e, f]): Operation[] => [...e, ...f]);
    return programOf(p, [
      ...common(p),
      part(4, careful),
      part(1, switching),
      part(1, largePage(p)),
      part(1, shared(p)),
      part(1, rewritten(p)),
      part(1, relinked(p)),
      ...(globals ? [] : [part(1, alternation(p))]),
    ]).map((program) => withRoots(p, program));
  });

/** Programs that flush when they like. */
export const carelessPrograms = (p: Places): fc.Arbitrary<Operation[]> =>
  programOf(p, [
    ...common(p),
    part(4, edit(p, true)),
    part(
      1,
      from(p.roots).map((at): Operation[] => [[OP.root, at]]),
    ),
    part(
      1,
      from(p.pages).map((page): Operation[] => [[OP.invalidate, page]]),
    ),
    part(1, fc.constant<Operation[]>([[OP.whole]])),
    part(1, faulting(p)),
    ...(p.pae ? [] : [part(1, openWindow(p))]),
  ]);

/** A reload of CR3 without a value reloads the one in force. */
function withRoots(p: Places, program: readonly Operation[]): Operation[] {
  let root = p.roots[0];
  return program.map((operation) => {
    if (operation[0] !== OP.root) return operation;
    root = operation[1] ?? root;
    return [OP.root, root];
  });
}
