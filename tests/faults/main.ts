/** Plants every fault in turn and writes docs/kill-table.md: which property noticed it, after how many cases, in which time. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runPlanted } from './plant.ts';
import { PLANTED } from './planted.ts';

const CASES = Number(process.env.RINGLET_CASES ?? 60);
const SEED = Number(process.env.RINGLET_SEED ?? 2026);
const PROPERTY_NAMES = ['error', 'equivalence', 'possibility', 'transparency', 'confinement', 'company'];

/** Numbers of some of the faults: nothing is written then. */
const ONLY = process.argv.slice(2).map(Number);
/** So many at a time. */
const WORKERS = Number(process.env.RINGLET_WORKERS ?? 2);
const lines: string[] = [];
let survivors = 0;
let next = 0;

async function work(): Promise<void> {
  for (let n = next++; n < PLANTED.length; n = next++) {
    if (ONLY.length > 0 && !ONLY.includes(n + 1)) continue;
    const fault = PLANTED[n];
    const { killed, milliseconds } = await runPlanted(fault, CASES, SEED);
    const seconds = (milliseconds / 1000).toFixed(1);
    if (killed === null) survivors++;
    const by = killed === null ? '**none**' : PROPERTY_NAMES[killed.property];
    const why = killed?.why.replace(/\|/g, '\\|').slice(0, 110) ?? '';
    lines[n] =
      `| ${n + 1} | ${fault.what} | \`${fault.file}\` | ${by} | ${killed?.cases ?? ''} | ${seconds} | ${why} |`;
    console.log(lines[n]);
  }
}
await Promise.all(Array.from({ length: WORKERS }, work));

if (ONLY.length === 0)
  writeFileSync(
    join(import.meta.dirname, '../../docs/kill-table.md'),
    `# Planted faults

Written by \`npm run test:faults\`. Each fault is planted alone, in a copy of the sources made for the purpose; then the properties of
[isolation](isolation.md) are tried with up to ${CASES} random cases each (seed ${SEED}), until one of them is broken. ${PLANTED.length - survivors} of ${PLANTED.length} were noticed.
The property is the first one that noticed; the number of cases is that property's, the time that of the run, on a machine with other work to do.

| | fault | file in \`src\` | noticed by | cases | seconds | what it said |
| --- | --- | --- | --- | --- | --- | --- |
${lines.join('\n')}
`,
  );
process.exitCode = survivors === 0 ? 0 : 1;
