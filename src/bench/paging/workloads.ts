/** The workloads: small kernels with a fixed amount of work. Their sources are files of the package, found by whoever runs them. */

import { type Assembled, assemble } from '../../asm/index.ts';
import { InvalidInput } from '../../base/errors.ts';

export interface Workload {
  readonly name: string;
  readonly about: string;
  /** Without `.asm`. */
  readonly file: string;
  readonly defines: Readonly<Record<string, number>>;
}

/** The text of a source or include file of the benchmark; null: there is none. */
export type Sources = (name: string) => string | null;

const workload = (file: string, about: string, defines: Record<string, number> = {}, name = file): Workload => ({
  ...{ name, about, file, defines },
});

export const WORKLOADS: readonly Workload[] = [
  workload('syscall', 'system calls from ring 3'),
  workload('fault', 'pages mapped at their first touch'),
  workload('segv', 'faults at pages that are not there'),
  workload('protect', 'page-table modification with INVLPG'),
  workload('fork', 'an address space copied, pages copied on write'),
  workload('exec', 'fork, another program with demand paging, exit'),
  workload('churn', 'pages mapped and unmapped at once'),
  ...[2, 8, 32].map((k) =>
    workload('switch', `context switches over ${k} address spaces`, { SPACES: k }, `switch ${k}`),
  ),
  workload('isolate', 'CR3 loaded twice a service'),
  ...[256, 1024, 4096].map((pages) =>
    workload('stride', `one word of each of ${pages} pages in turn`, { PAGES: pages }, `stride ${pages}`),
  ),
  ...[256, 1024, 4096].map((pages) =>
    workload('touch', `random words of ${pages} pages`, { PAGES: pages }, `touch ${pages}`),
  ),
  ...[64, 512, 4096].map((every) =>
    workload('mix', `a miss each access, two table writes each ${every}`, { EVERY: every }, `mix ${every}`),
  ),
  workload('gups', 'random updates of 32 MiB'),
  workload('chase', 'pointers through 2,048 pages'),
  workload('store', 'a hash table of 4 MiB'),
  workload('compile', 'demand paging, a growing heap, mapped files, calls, switches'),
];

/** A workload, assembled. */
export interface Image {
  readonly bytes: Uint8Array;
  /** Where each round begins; after the last one the instruction there is executed once more. */
  readonly mark: number;
  /** The handler of the guest's page faults. */
  readonly fault: number;
}

const MARK = 'start.round';
const FAULT = 'fault';

/** `large`: the guest maps its own memory by 4-MiB pages. */
export function imageOf({ file, defines }: Workload, sources: Sources, rounds: number, large: boolean): Image {
  const name = `${file}.asm`;
  const source = sources(name);
  if (source === null) throw new InvalidInput(`the workload ${name} is missing: install ringlet again`);
  const assembled: Assembled = assemble(source, {
    ...{ file: name, include: sources },
    defines: { ...defines, ROUNDS: rounds, ...(large ? { LARGE_PAGES: 1 } : {}) },
  });
  const address = (label: string): number => {
    const found = assembled.symbols.get(label);
    if (found === undefined) throw new InvalidInput(`${name} has no label ${label}: see paging.inc`);
    return found;
  };
  return { bytes: assembled.bytes, mark: address(MARK), fault: address(FAULT) };
}
