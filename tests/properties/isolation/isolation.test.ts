/** Memory isolation and equivalence of the ways to run a guest, for random guests and random acts of a hypervisor. The same cases in every
 *  ordinary run; `npm run test:properties` tries 10,000 others of each. RINGLET_SEED repeats a run. A case that breaks a property
 *  is made small and written to a folder, as images to boot. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EFFORT } from '../../effort.ts';
import { imageOf, listing } from './operations.ts';
import { type Case, PROPERTIES } from './properties.ts';

const SEED = Number(process.env.RINGLET_SEED ?? (EFFORT > 1 ? Date.now() & 0x7fff_ffff : 20_26));
const CASES = EFFORT > 1 ? 1000 * EFFORT : 20;
/** An ordinary run ends in time. */
const LIMIT = EFFORT > 1 ? {} : { interruptAfterTimeLimit: 60_000 };

/** Writes the images of a case, and what to do with them; the text for the report. */
function written(c: Case, name: string): string {
  const folder = join(process.env.RINGLET_COUNTEREXAMPLES ?? tmpdir(), `ringlet-isolation-${SEED}-${name}`);
  mkdirSync(folder, { recursive: true });
  const tlb = c.cache.kind === 'stalest' && c.cache.seed !== undefined ? `stalest:${c.cache.seed}` : c.cache.kind;
  const commands = c.programs.map((program, n) => {
    const path = join(folder, `vm${n}.bin`);
    writeFileSync(path, imageOf(program, c.pae));
    return `ringlet run ${path} --load 0x100000 --memory 2M --tlb ${tlb}     # and with --mode bare`;
  });
  const text = [...commands, '', ...c.programs.map(listing), '', JSON.stringify(c)].join('\n');
  writeFileSync(join(folder, 'case.txt'), text);
  return text;
}

test.each(PROPERTIES.map((p, n) => [p.name, n] as const))('%s', (_, n) => {
  const property = PROPERTIES[n];
  const start = performance.now();
  let tried = 0;
  const result = fc.check(
    fc.property(property.cases, (c) => {
      if (++tried % 1000 === 0) console.log(`isolation ${n + 1}: seed ${SEED}, ${tried} cases so far`);
      return property.holds(c).length === 0;
    }),
    { numRuns: CASES, seed: SEED, ...LIMIT },
  );
  const took = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`isolation ${n + 1}: seed ${SEED}, ${result.numRuns} cases in ${took} s`);
  if (!result.failed) return;
  if (result.counterexample === null) throw result.errorInstance;
  const [smallest] = result.counterexample;
  const wrong = property.holds(smallest).join('\n');
  expect.fail(
    `RINGLET_SEED=${SEED}, after ${result.numRuns} cases and ${result.numShrinks} simplifications:\n${wrong}\n\n${written(smallest, String(n + 1))}`,
  );
});
