/** Runs the properties of tests/properties/isolation until one is broken, and prints which, after how many cases: one case of each, then the
 *  next of each, so that what one property notices at once does not have to wait for the others. Bundled with a planted fault, and run in
 *  a process of its own. Arguments: cases of each property, seed. */
import fc from 'fast-check';
import { type Case, type IsolationProperty, PROPERTIES } from '../properties/isolation/properties.ts';

const [cases = 0, seed = 0] = process.argv.slice(2).map(Number);
const start = performance.now();
const all = PROPERTIES.map((property) => fc.sample(property.cases, { numRuns: cases, seed }));

function firstWrong(property: IsolationProperty, c: Case): string {
  try {
    return property.holds(c)[0] ?? '';
  } catch (error) {
    return String(error).split('\n')[0];
  }
}

function search(): { property: number; cases: number; why: string } | null {
  for (let n = 0; n < cases; n++)
    for (const [k, property] of PROPERTIES.entries()) {
      const why = firstWrong(property, all[k][n]);
      if (why !== '') return { property: k + 1, cases: n + 1, why };
    }
  return null;
}

const verdict = search();
console.log(JSON.stringify({ verdict, milliseconds: Math.round(performance.now() - start) }));
