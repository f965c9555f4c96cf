/** The micro-benchmarks' process: node dist/bench/micro.js '{"runs":…,"seconds":…,"only":…}'. Figures as JSON on standard output.
 *  It is bundled with the options of the package, because what it measures is not among the package's exports. */

import { measureBodies } from '../harness.ts';
import { assemblerBodies } from './assembler.ts';
import { codeBodies } from './code.ts';
import { memoryBodies } from './memory.ts';
import { vmxBodies } from './vmx.ts';

const { runs, seconds, only } = JSON.parse(process.argv[2] ?? '{}') as {
  runs: number;
  seconds: number;
  only: string[] | null;
};
const bodies = [...codeBodies(), ...memoryBodies(), ...vmxBodies(), ...assemblerBodies()].filter(
  ({ name }) => only === null || only.some((part) => name.includes(part)),
);
const tell = (line: string): void => console.error(`micro: ${line}`);
console.log(JSON.stringify(measureBodies(bodies, { runs, seconds, tell })));
