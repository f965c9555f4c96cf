/** npm run bench: runs suites of benchmarks on the built package and prints what came out. docs/benchmarks.md explains it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtPackage } from './build.ts';
import { describeEnvironment, environment } from './environment.ts';
import { HELP, type Options, parseOptions } from './options.ts';
import { describeGate } from './report.ts';
import { exits } from './suites/exits.ts';
import { interpreter } from './suites/interpreter.ts';
import { micro } from './suites/micro.ts';
import { nested } from './suites/nested.ts';
import type { Suite, SuiteResult } from './suites/suite.ts';

const SUITES: readonly Suite[] = [interpreter, nested, exits, micro];
const FEWEST_RUNS = 5;

const tell = (line: string): void => console.error(line);
const print = (text: string): void => console.log(text);

const list = (): string => SUITES.map(({ name, about }) => `${name.padEnd(12)} ${about}`).join('\n');

function chosen(options: Options): Suite[] {
  if (options.suites.length === 0) return [...SUITES];
  return options.suites.map((name) => {
    const suite = SUITES.find((s) => s.name === name);
    if (suite === undefined) throw new Error(`there is no suite ${name}: choose from\n${list()}`);
    return suite;
  });
}

/** True if nothing failed and every gate was passed. */
async function run(options: Options): Promise<boolean> {
  const suites = chosen(options);
  const ringlet = await builtPackage(tell);
  const scratch = mkdtempSync(join(tmpdir(), 'ringlet-bench-'));
  const before = environment();
  const results: Record<string, SuiteResult> = {};
  try {
    print(describeEnvironment(before));
    if (options.runs < FEWEST_RUNS) print(`${options.runs} runs only: good for a trial, not for a figure`);
    const maker = { assemble: ringlet.assemble, scale: options.scale, scratch };
    for (const suite of suites) {
      print(`\n## ${suite.name}: ${suite.about}\n`);
      const result = await suite.run({ options, maker, tell, print });
      results[suite.name] = result;
      for (const gate of result.gates) print(describeGate(gate));
      for (const failure of result.failures) print(`FAILED  ${failure}`);
    }
    print(`\nload at the end: ${environment().load.join(' ')}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  if (options.json !== null) {
    writeFileSync(options.json, `${JSON.stringify({ before, after: environment(), options, results }, null, 1)}\n`);
  }
  return Object.values(results).every((r) => r.failures.length === 0 && r.gates.every((gate) => gate.passed));
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) print(`${HELP}\n\nSuites:\n${list()}`);
  else if (options.list) print(list());
  else if (!(await run(options))) process.exitCode = 1;
} catch (error) {
  tell(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
