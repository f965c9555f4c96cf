/** The reference: nasm, where it is installed. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const version = ((): string | null => {
  try {
    return execFileSync('nasm', ['-v'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
})();

/** Whether nasm is here; says so once where it is not. */
export const hasNasm = version !== null;
if (!hasNasm) console.warn('nasm is not installed: comparisons with it are skipped');

/** What nasm makes of a source, or what it complains about. `files` stand beside the source. */
export function nasm(
  source: string,
  defines: Readonly<Record<string, string>> = {},
  files: Readonly<Record<string, string | Uint8Array>> = {},
  includePaths: readonly string[] = [],
): Uint8Array | string {
  const folder = mkdtempSync(join(tmpdir(), 'ringlet-asm-'));
  try {
    for (const [name, content] of Object.entries({ 'source.asm': source, ...files }))
      writeFileSync(join(folder, name), content);
    const flags = Object.entries(defines).map(([name, value]) => `-D${name}=${value}`);
    const paths = includePaths.map((path) => `-I${path}/`);
    const args = ['-w-all', '-f', 'bin', ...flags, ...paths, 'source.asm', '-o', 'out.bin'];
    const run = spawnSync('nasm', args, { cwd: folder, encoding: 'utf8' });
    return run.status === 0 ? readFileSync(join(folder, 'out.bin')) : run.stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
