/** The workloads, as images. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type Ringlet = typeof import('../../src/index.ts');

export interface Workload {
  readonly name: string;
  readonly about: string;
  readonly file: string;
  readonly defines: Readonly<Record<string, number>>;
}

const workload = (file: string, about: string, defines: Record<string, number> = {}, name = file): Workload => ({
  ...{ name, about, file, defines },
});

export const WORKLOADS: readonly Workload[] = [
  workload('syscall', 'system calls from ring 3'),
  workload('fault', 'pages mapped at their first touch'),
  workload('protect', 'page-table modification with INVLPG'),
  workload('fork', 'an address space copied, pages copied on write'),
  workload('churn', 'pages mapped and unmapped at once'),
  workload('switch', 'context switches over eight address spaces'),
  workload('isolate', 'CR3 loaded twice a service'),
  workload('stride', 'one word of each of 256 pages', { PAGES: 256 }, 'stride 256'),
  workload('stride', 'one word of each of 4,096 pages', { PAGES: 4096 }, 'stride 4096'),
  workload('gups', 'random updates of 32 MiB'),
  workload('chase', 'pointers through 2,048 pages'),
  workload('store', 'a hash table of 4 MiB'),
];

const HERE = import.meta.dirname;
const INCLUDES = [HERE, join(HERE, '..', '..', 'guests', 'include')];

function include(path: string): string | null {
  for (const folder of INCLUDES)
    try {
      return readFileSync(join(folder, path), 'utf8');
    } catch {
      // in the other one
    }
  return null;
}

/** The image of a workload. `large`: the guest maps its own memory by 4-MiB pages. */
export function imageOf(ringlet: Ringlet, { file, defines }: Workload, rounds: number, large: boolean): Uint8Array {
  const source = readFileSync(join(HERE, `${file}.asm`), 'utf8');
  return ringlet.assemble(source, {
    ...{ file: `${file}.asm`, include },
    defines: { ...defines, ROUNDS: rounds, ...(large ? { LARGE_PAGES: 1 } : {}) },
  }).bytes;
}
