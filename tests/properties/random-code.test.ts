/** Random programs under the kernel of kernel.asm: whatever they do, the host lives, a VM keeps to its memory, and it does not matter how
 *  a program is run. RINGLET_SEED repeats a run, RINGLET_EFFORT makes it longer. */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { rows } from '../../src/cpu/opcodes/index.ts';
import { EFFORT, runs } from '../effort.ts';
import { imageOf, listing, type Program, programs, programsOf, rawPrograms } from './programs.ts';
import { Bare, differences, Nested, type Outcome } from './run.ts';

const LIMIT = 6000;
const ENOUGH = 100;
/** The same programs in every ordinary run; others each time when there is time for many. */
const SEED = Number(process.env.RINGLET_SEED ?? (EFFORT > 1 ? Date.now() & 0x7fff_ffff : 20_26));

const hits = new Float64Array(rows.length);
const ends = new Map<string, number>();
const lengths: number[] = [];
const bare = new Bare();
const other = new Bare();
const nested = new Nested();

const count = (row: number): void => {
  if (row >= 0) hits[row] = (hits[row] as number) + 1;
};

function note(outcome: Outcome): void {
  ends.set(outcome.end, (ends.get(outcome.end) ?? 0) + 1);
  lengths.push(outcome.instructions);
}

/** Throws with the smallest program that breaks the property, as a listing and as an image to boot. */
function assertHolds(
  arbitrary: fc.Arbitrary<Program>,
  cases: number,
  holds: (image: Uint8Array, seed: number) => string[],
): void {
  const broken = (program: Program, seed: number): string[] => holds(imageOf(program), seed);
  const result = fc.check(
    fc.property(arbitrary, fc.nat(), (program, seed) => broken(program, seed).length === 0),
    { numRuns: runs(cases), seed: SEED, interruptAfterTimeLimit: 30_000 + 60_000 * EFFORT },
  );
  if (!result.failed) return;
  if (result.counterexample === null) throw result.errorInstance;
  const [program, seed] = result.counterexample;
  const path = join(tmpdir(), `ringlet-counterexample-${SEED}.bin`);
  writeFileSync(path, imageOf(program));
  let found: string[];
  try {
    found = broken(program, seed);
  } catch (error) {
    found = [error instanceof Error ? String(error.stack) : String(error)];
  }
  throw new Error(
    `RINGLET_SEED=${SEED}, after ${result.numRuns} programs and ${result.numShrinks} simplifications:\n${found.join('\n')}\n\n` +
      `${listing(program)}\n\nThe image: ringlet run ${path} --load 0x100000 --memory 2M --max-instructions ${LIMIT}`,
  );
}

/** A program runs the same in one go, in slices, instruction by instruction with nothing decoded in advance, saved and restored on the way. */
function alike(image: Uint8Array, seed: number): string[] {
  const whole = bare.run(image, LIMIT);
  note(whole);
  let state = seed | 1;
  const sliced = bare.run(image, LIMIT, () => {
    state = (Math.imul(state, 0x19_660d) + 0x3c6e_f35f) | 0;
    return 1 + ((state >>> 8) % 700);
  });
  const single = bare.runSingly(image, LIMIT, count);
  const moved = bare.runMoved(image, LIMIT, (seed >>> 3) % LIMIT, other);
  return [
    ...differences(whole, sliced).map((d) => `whole and in slices: ${d}`),
    ...differences(whole, single).map((d) => `whole and in steps: ${d}`),
    ...differences(whole, moved).map((d) => `whole and moved to another machine: ${d}`),
  ];
}

test('programs of random instructions run the same in every way', () => {
  assertHolds(programs, 10, alike);
});

test('programs of random instructions, or bytes, run in a VM as on the bare machine', () => {
  assertHolds(fc.oneof(programs, rawPrograms), 16, (image) =>
    differences(bare.run(image, LIMIT), nested.run(image, LIMIT)),
  );
});

test('programs of random bytes run the same in every way', () => {
  assertHolds(rawPrograms, 6, alike);
});

test('a VM neither writes nor reaches memory that is not its own', () => {
  assertHolds(fc.oneof(programs, rawPrograms), 8, (image) => {
    nested.run(image, LIMIT);
    return nested.trespasses();
  });
});

test('programs are long, and reach every row of the opcode table', () => {
  for (let round = 0; EFFORT >= 10 && round < 300; round++) {
    const rare = rows.flatMap((_, n) => ((hits[n] as number) < ENOUGH ? [n] : []));
    if (rare.length === 0) break;
    for (const program of fc.sample(programsOf(rare), { numRuns: 2, seed: SEED + round })) {
      const image = imageOf(program);
      note(bare.runSingly(image, LIMIT, count, false));
    }
  }
  const rarest = [...hits.keys()].sort((a, b) => (hits[a] as number) - (hits[b] as number));
  const name = (n: number): string => `${rows[n]?.mnemonic} ${rows[n]?.operands.join(', ')} ${hits[n]}`;
  if (EFFORT >= 10)
    expect(hits[rarest[0] as number], rarest.slice(0, 10).map(name).join('; ')).toBeGreaterThanOrEqual(ENOUGH);
  lengths.sort((a, b) => a - b);
  expect(lengths[lengths.length >> 1]).toBeGreaterThanOrEqual(1000);
});

afterAll(() => {
  const seen = hits.filter((n) => n > 0).length;
  const enough = hits.filter((n) => n >= ENOUGH).length;
  const text = [...ends].sort((a, b) => b[1] - a[1]).map(([end, n]) => `${end} ${n}`);
  console.log(
    `random code: seed ${SEED}, ${lengths.length} programs, median ${lengths[lengths.length >> 1]} instructions; ` +
      `${seen} of ${rows.length} rows executed, ${enough} at least ${ENOUGH} times; ends: ${text.join(', ')}`,
  );
});
