/** The VMX test kernels on Bochs: `npm run test:bochs`, or with names of images behind `--`. Prints what each of them reports, and
 *  compares the tests that fail with the record in guests/vmx-suite/bochs.txt. Skipped where Bochs is missing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assemble } from '../../src/asm/index.ts';
import { missing, runInBochs } from './machine.ts';

const GUESTS = join(import.meta.dirname, '..', '..', 'guests');
const SUITE = join(GUESTS, 'vmx-suite');
const MODEL = 'corei7_icelake_u';
const SECONDS = 180;
const SILENCE = 20;

function image(name: string): Uint8Array {
  const include = (path: string): string | null => {
    const found = [SUITE, join(GUESTS, 'include')].map((folder) => join(folder, path)).find((file) => existsSync(file));
    return found === undefined ? null : readFileSync(found, 'latin1');
  };
  return assemble(readFileSync(join(SUITE, `${name}.asm`), 'latin1'), { include, file: `${name}.asm` }).bytes;
}

/** `image: test` for each test that is recorded as failing; `hangs` for those behind which the image does not go on. `*` instead of a
 *  test: any test of the image may fail. */
const recorded = new Map(
  readFileSync(join(SUITE, 'bochs.txt'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => [line.replace(': hangs: ', ': '), line.includes(': hangs: ')] as const),
);

const lacks = missing();
if (lacks !== '') {
  console.log(`skipped: ${lacks} is not installed`);
  process.exit(0);
}
const all = readdirSync(SUITE)
  .filter((file) => file.endsWith('.asm'))
  .map((file) => file.slice(0, -4));
const names = process.argv.length > 2 ? process.argv.slice(2) : all;
let surprises = 0;
for (const name of names) {
  const output = await runInBochs(image(name), {
    model: MODEL,
    until: /^DONE .*\n/m,
    seconds: SECONDS,
    silence: SILENCE,
  });
  const lines = output.split('\n');
  const count = (word: string): number => lines.filter((line) => line.startsWith(`${word} `)).length;
  const hangs = !lines.some((line) => line.startsWith('DONE '));
  const failed = [...new Set(lines.filter((l) => l.startsWith('FAIL ')).map((l) => `${name}: ${l.slice(5)}`))];
  console.log(
    `${name}: ${count('PASS')} passed, ${count('FAIL')} failed, ${count('SKIP')} skipped${hangs ? ', did not end' : ''}`,
  );
  const expected = [...recorded.keys()].filter((key) => key.startsWith(`${name}: `));
  const any = recorded.has(`${name}: *`);
  const unrecorded = failed.filter((key) => !any && !recorded.has(key));
  const passing = expected.filter((key) => !any && recorded.get(key) === false && !failed.includes(key));
  const isHangKnown = hangs === expected.some((key) => recorded.get(key) === true);
  for (const key of unrecorded) console.log(`  fails, and is not recorded: ${key}`);
  for (const key of passing) console.log(`  is recorded as failing, and was not seen to fail: ${key}`);
  if (!isHangKnown)
    console.log(`  ${hangs ? 'did not end, which is not recorded' : 'is recorded as not ending, and ended'}`);
  surprises += unrecorded.length + passing.length + (isHangKnown ? 0 : 1);
}
process.exit(surprises === 0 ? 0 : 1);
