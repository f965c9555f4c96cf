/** Runs the properties of tests/properties/isolation until one is broken, and prints which, after how many cases. Bundled with a planted fault,
 *  and run in a process of its own. Arguments: cases of each property, seed. */
import fc from 'fast-check';
import { PROPERTIES } from '../properties/isolation/properties.ts';

const [cases = 0, seed = 0] = process.argv.slice(2).map(Number);
const start = performance.now();
let verdict: { property: number; cases: number; why: string } | null = null;
for (const [n, property] of PROPERTIES.entries()) {
  let tried = 0;
  let why = '';
  const broken = fc.check(
    fc.property(property.cases, (c) => {
      tried++;
      try {
        const [first] = property.holds(c);
        why = first ?? '';
      } catch (error) {
        why = String(error).split('\n')[0];
      }
      return why === '';
    }),
    { numRuns: cases, seed, endOnFailure: true },
  ).failed;
  if (!broken) continue;
  verdict = { property: n + 1, cases: tried, why };
  break;
}
console.log(JSON.stringify({ verdict, milliseconds: Math.round(performance.now() - start) }));
