/** Plants every fault in turn and writes docs/kill-table.md: which property noticed it, after how many cases, in which time. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runPlanted } from './plant.ts';
import { PLANTED } from './planted.ts';

const CASES = Number(process.env.RINGLET_CASES ?? 60);
const SEED = Number(process.env.RINGLET_SEED ?? 2026);
const PROPERTY_NAMES = ['error', 'equivalence', 'possibility', 'transparency', 'confinement', 'company'];

/** Numbers of some of the faults, the first is 1: only these rows of the table are written anew. */
const ONLY = process.argv.slice(2).map(Number);
/** So many at a time. */
const WORKERS = Number(process.env.RINGLET_WORKERS ?? 2);
const TABLE = join(import.meta.dirname, '../../docs/kill-table.md');

/** What the table says of a fault, without its number. */
const known = new Map<string, string>();
for (const line of readFileSync(TABLE, 'utf8').split('\n')) {
  const [, what, rest] = line.match(/^\| \d+ \| (.*?) \|(.*)$/) ?? [];
  if (what !== undefined && rest !== undefined) known.set(what, rest);
}

const chosen = PLANTED.filter((_, n) => ONLY.length === 0 || ONLY.includes(n + 1));
const queue = [...chosen];
async function work(): Promise<void> {
  for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
    const { killed, milliseconds } = await runPlanted(fault, CASES, SEED);
    const by = killed === null ? '**none**' : PROPERTY_NAMES[killed.property];
    const why = killed?.why.replace(/\|/g, '\\|').slice(0, 110) ?? '';
    const file = fault.file.replace(/^\.\.\//, '');
    const rest = ` \`${file}\` | ${by} | ${killed?.cases ?? ''} | ${(milliseconds / 1000).toFixed(1)} | ${why} |`;
    known.set(fault.what, rest);
    console.log(`| ${PLANTED.indexOf(fault) + 1} | ${fault.what} |${rest}`);
  }
}
await Promise.all(Array.from({ length: WORKERS }, work));

const rows = PLANTED.map(({ what }, n) => `| ${n + 1} | ${what} |${known.get(what) ?? ' | not run yet | | | |'}`);
const unnoticed = rows.filter((row) => row.includes('**none**') || row.includes('not run yet')).length;
writeFileSync(
  TABLE,
  `# Planted faults

Written by \`npm run test:faults\`; with numbers as arguments it writes their rows only. Each fault is planted alone, in a copy of the sources made for
the purpose; then the properties of [isolation](isolation.md) are tried, one case of each by turns, up to ${CASES} random cases each (seed ${SEED}), until one
is broken. ${PLANTED.length - unnoticed} of ${PLANTED.length} were noticed. The property is the first one that noticed; the number of cases is that property's, the time that of the run,
on a machine with other work to do. Files are in \`src\`, or in \`tests\` where it is the hypervisor of the tests that makes the mistake.

| | fault | file | noticed by | cases | seconds | what it said |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`,
);
process.exitCode = unnoticed === 0 ? 0 : 1;
