/** What a figure depends on besides the code. */

import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

export interface Environment {
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly processor: string;
  readonly processors: number;
  readonly memoryGiB: number;
  /** Mean numbers of processes that ran or waited in the last 1, 5 and 15 minutes. */
  readonly load: readonly number[];
  readonly date: string;
  /** The commit that was measured, `-dirty` if files were changed since; null outside a repository. */
  readonly revision: string | null;
}

export function environment(): Environment {
  const all = cpus();
  return {
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform} ${process.arch}`,
    processor: all[0]?.model.trim() ?? 'unknown',
    processors: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg().map((value) => Math.round(value * 100) / 100),
    date: new Date().toISOString(),
    revision: revision(),
  };
}

function revision(): string | null {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

export function describeEnvironment(e: Environment): string {
  const busy = (e.load[0] ?? 0) > e.processors / 2 ? '  (busy: trust nothing but paired ratios, and these little)' : '';
  return [
    `ringlet ${e.revision ?? 'without a repository'}, Node ${e.node}, V8 ${e.v8}, ${e.platform}`,
    `${e.processors} × ${e.processor}, ${e.memoryGiB} GiB, load ${e.load.join(' ')}${busy}`,
  ].join('\n');
}
