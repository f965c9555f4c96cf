/** Writes data.inc for oracle.asm: the valid VMCS, and either the cases of cases.ts or the breaks of the entry checks.
 *
 *  To record anew:  npx tsx tests/vmx/bochs/data.ts exits > data.inc   (or: checks)
 *                   nasm -f bin -o oracle.bin oracle.asm
 *  and boot oracle.bin, a multiboot kernel, in Bochs with COM1 going to a file. It ends by writing END. */
import { ENTRY_CHECKS } from '../../../src/vmx/checks/index.ts';
import { FIELDS } from '../../../src/vmx/field-table.ts';
import { BREAKS } from '../breaks.ts';
import { BASELINE } from '../support.ts';
import { EXIT_CASES, type ExitCase } from './cases.ts';

type Pair = readonly [number, number];

const halves = (fields: readonly (readonly [number, number, number?])[]): Pair[] =>
  fields.flatMap(([field, value, high]): Pair[] =>
    high === undefined
      ? [[field, value]]
      : [
          [field, value],
          [field + 1, high],
        ],
  );
const dwords = (pairs: readonly Pair[]): string =>
  [` dd ${pairs.length}`, ...pairs.map(([a, b]) => ` dd ${a >>> 0}, ${b >>> 0}`)].join('\n');

function test([name, code, fields = [], memory = []]: ExitCase): string {
  const padded = [...code, ...Array<number>((4 - (code.length % 4)) % 4).fill(0xf4)];
  return [`; ${name}`, dwords(fields), dwords(memory), ` dd ${code.length}`, ` db ${padded.join(', ')}`].join('\n');
}

/** The breaks that say something about a processor with other capabilities, too. */
const checks: ExitCase[] = ENTRY_CHECKS.filter(({ id }) => !/\.end$|vm-pe$/.test(id)).map(({ id }) => [
  id,
  [0xf4],
  halves(BREAKS[id]?.fields ?? []),
  BREAKS[id]?.memory ?? [],
]);

const zero = FIELDS.filter((field) => field.type !== 'read-only data').map(({ encoding }): Pair => [encoding, 0]);
const tests = process.argv[2] === 'checks' ? checks : EXIT_CASES;
process.stdout.write(
  [`baseline:`, dwords([...zero, ...halves(BASELINE)]), `tests: dd ${tests.length}`, ...tests.map(test), ''].join('\n'),
);
