/** Random programs for the kernel of guest.asm, and where it has things. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { assemble } from '../../../src/asm/index.ts';

export const ORIGIN = 0x10_0000;
export const DIRECTORIES: readonly number[] = [0x11_0000, 0x11_1000];
export const TABLES: readonly number[] = [0x11_2000, 0x11_3000, 0x11_4000, 0x11_5000];
export const LOG = 0x13_0000;
export const MEMORY_BYTES = 0x20_0000;
/** Linear pages that programs use: four in each of two directory entries. */
export const PAGES: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7].map(
  (k) => 0x40_0000 * (1 + (k >> 2)) + 0x1000 * (k & 3),
);
/** Frames 0 to 7, and those of the large page. */
export const frameAt = (frame: number): number => (frame < 8 ? 0x12_0000 + frame * 4096 : (frame - 8) * 4096);
/** Words of tables that programs edit. */
export const ENTRIES: readonly number[] = [
  ...DIRECTORIES.flatMap((at) => [at + 4, at + 8]),
  ...TABLES.flatMap((at) => [at, at + 4, at + 8, at + 12]),
];

/** Operations by their numbers in guest.asm. */
export const OP = {
  end: 0,
  read: 1,
  write: 2,
  execute: 3,
  user: 4,
  invalidate: 5,
  root: 6,
  whole: 7,
  protect: 8,
  yield: 9,
} as const;
export type Operation = readonly [op: number, a?: number, b?: number, c?: number];

const kernel = assemble(readFileSync(new URL('guest.asm', import.meta.url), 'utf8'));
/** Where the kernel keeps the end of its log. */
export const LOG_END = kernel.symbols.get('at_log') ?? 0;
if (kernel.bytes.length > 0x1_0000) throw new Error('the kernel is too long');

/** A kernel image with this list of operations. */
export function imageOf(program: readonly Operation[]): Uint8Array {
  const words = Int32Array.from(
    [...program, [OP.end] as Operation].flatMap(([op, a = 0, b = 0, c = 0]) => [op, a, b, c]),
  );
  const image = new Uint8Array(kernel.bytes.length + words.byteLength);
  image.set(kernel.bytes);
  image.set(new Uint8Array(words.buffer), kernel.bytes.length);
  return image;
}

/** A program as text. */
export function listing(program: readonly Operation[]): string {
  const names = Object.keys(OP);
  return program
    .map(([op, ...rest]) => `${names[op]} ${rest.map((n = 0) => (n >>> 0).toString(16)).join(' ')}`)
    .join('\n');
}

const from = <T>(list: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...list);

/** An access to a page: read or execute its name, read or write its word, in ring 0 or 3. */
const access: fc.Arbitrary<Operation[]> = fc
  .tuple(from(PAGES), from(['read', 'name', 'write', 'execute']), fc.boolean(), fc.nat(0xffff))
  .map(([page, kind, user, value]) => {
    const at = kind === 'name' || kind === 'execute' ? page : page + 4;
    const n = kind === 'write' ? 1 : kind === 'execute' ? 2 : 0;
    if (user) return [[OP.user, at, value, n]];
    return [kind === 'execute' ? [OP.execute, at] : kind === 'write' ? [OP.write, at, value] : [OP.read, at]];
  });

const flags = fc.tuple(fc.nat(9), fc.nat(3)).map(([absent, rights]) => (absent === 0 ? 0 : 1) | (rights << 1));
const edit = (globals: boolean): fc.Arbitrary<Operation[]> =>
  fc
    .tuple(from(ENTRIES), flags, fc.nat(7), fc.nat(3), fc.boolean(), fc.nat(5))
    .map(([at, bits, frame, table, global, large]) => {
      const isDirectory = at < TABLES[0];
      const entry = isDirectory ? (large === 0 ? 0x80 | bits : TABLES[table] | bits) : frameAt(frame) | bits;
      return [[OP.write, at, globals && global && (!isDirectory || large === 0) ? entry | 0x100 : entry]];
    });
const look: fc.Arbitrary<Operation[]> = from(ENTRIES).map((at) => [[OP.read, at]]);
const protect: fc.Arbitrary<Operation[]> = fc.boolean().map((on) => [[OP.protect, on ? 0x1_0000 : 0]]);
const yielding: fc.Arbitrary<Operation[]> = fc.constant([[OP.yield]]);

/** A large page gives way to a table. One INVLPG is enough for all of it, however it was cached (SDM Vol. 3, "Details of TLB Use"). */
const largePage: fc.Arbitrary<Operation[]> = fc
  .tuple(from(DIRECTORIES), fc.nat(1), fc.nat(3), fc.nat(3), from(TABLES))
  .map(([directory, n, first, second, table]) => {
    const page = (k: number): number => 0x40_0000 * (n + 1) + 0x1000 * k;
    const at = directory + 4 * (n + 1);
    return [
      [OP.write, at, 0x87],
      [OP.whole],
      [OP.read, page(first)],
      [OP.read, page(second)],
      [OP.write, at, table | 7],
      [OP.invalidate, page(first)],
      [OP.read, page(second)],
    ];
  });

/** What must follow an edit or a change of CR3: everything; or each page; or a reload, where nothing is global. */
const ALL_PAGES: readonly Operation[] = PAGES.map((page) => [OP.invalidate, page]);

/** The tables at the beginning: D0 shows T0 and T1, D1 T2 and T3, each with frames. */
const beginning: readonly Operation[] = [
  ...DIRECTORIES.flatMap((at, k): Operation[] => [
    [OP.write, at + 4, TABLES[2 * k] | 7],
    [OP.write, at + 8, TABLES[2 * k + 1] | 7],
  ]),
  ...TABLES.flatMap((at, k) =>
    [0, 1, 2, 3].map((n): Operation => [OP.write, at + 4 * n, frameAt((4 * k + n * 3) % 8) | 7]),
  ),
  [OP.whole],
];

/** Programs that flush as the manual asks for: after each edit, and with each change of CR3. */
export const carefulPrograms: fc.Arbitrary<Operation[]> = fc.boolean().chain((globals) => {
  const flush = from<readonly Operation[]>(
    globals ? [[[OP.whole]], ALL_PAGES] : [[[OP.whole]], ALL_PAGES, [[OP.root]]],
  );
  const switching: fc.Arbitrary<Operation[]> = from(DIRECTORIES).map((at) =>
    globals ? [[OP.root, at], [OP.whole]] : [[OP.root, at]],
  );
  const careful = fc.tuple(edit(globals), flush).map(([e, f]) => [...e, ...f]);
  return fc
    .array(
      fc.oneof(
        { weight: 8, arbitrary: access },
        { weight: 4, arbitrary: careful },
        { weight: 2, arbitrary: look },
        { weight: 1, arbitrary: largePage },
        { weight: 1, arbitrary: switching },
        { weight: 1, arbitrary: protect },
        { weight: 1, arbitrary: yielding },
      ),
      { minLength: 1, maxLength: 60, size: 'max' },
    )
    .map((parts) => withRoots([...beginning, ...parts.flat()]));
});

/** Programs that flush when they like. */
export const carelessPrograms: fc.Arbitrary<Operation[]> = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: access },
      { weight: 4, arbitrary: edit(true) },
      { weight: 1, arbitrary: look },
      { weight: 1, arbitrary: from(DIRECTORIES).map((at): Operation[] => [[OP.root, at]]) },
      { weight: 1, arbitrary: from(PAGES).map((page): Operation[] => [[OP.invalidate, page]]) },
      { weight: 1, arbitrary: fc.constant<Operation[]>([[OP.whole]]) },
      { weight: 1, arbitrary: protect },
      { weight: 1, arbitrary: yielding },
    ),
    { minLength: 1, maxLength: 60, size: 'max' },
  )
  .map((parts) => [...beginning, ...parts.flat()]);

/** A reload of CR3 without a value reloads the one in force. */
function withRoots(program: readonly Operation[]): Operation[] {
  let root = DIRECTORIES[0];
  return program.map((operation) => {
    if (operation[0] !== OP.root) return operation;
    root = operation[1] ?? root;
    return [OP.root, root];
  });
}
