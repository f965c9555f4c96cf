/** Runs recorded instruction vectors through the processor: `npm run test:vectors -- DIR`. DIR holds `sst286/*.MOO.gz`,
 *  `test386-ee-reference.txt.gz` and `test-i386-alu.txt.gz`; its README tells where they come from. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { SetReport } from './report.ts';
import { runSst286 } from './sst286.ts';
import { runTestI386 } from './test-i386.ts';
import { runTest386 } from './test386.ts';

const sets: readonly [string, (path: string) => SetReport][] = [
  ['sst286', runSst286],
  ['test386-ee-reference.txt.gz', runTest386],
  ['test-i386-alu.txt.gz', runTestI386],
];

const folder = process.argv[2];
if (folder === undefined) {
  console.error('usage: npm run test:vectors -- DIR   (the folder with the recorded vectors)');
  process.exit(2);
}
let failed = 0;
for (const [name, run] of sets) {
  const path = join(folder, name);
  if (!existsSync(path)) {
    console.error(`${path} does not exist: give the folder that holds it`);
    process.exit(2);
  }
  const report = run(path);
  console.log(String(report));
  failed += report.failed;
}
process.exit(failed === 0 ? 0 : 1);
