/** Builds the properties with a planted fault and runs them. The product has no switch for it: the piece is replaced while it is bundled. */
import { type ExecFileException, execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { PlantedFault } from './planted.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAMS = join(ROOT, 'tests/properties/isolation/operations.ts');

export const sourceOf = (fault: PlantedFault): string => readFileSync(join(ROOT, 'src', fault.file), 'utf8');

export interface Verdict {
  /** Null: nothing was noticed in time. `property` 0: the run ended in an error. */
  readonly killed: { readonly property: number; readonly cases: number; readonly why: string } | null;
  readonly milliseconds: number;
}

/** The properties, so many cases of each; null: nothing planted. */
export async function runPlanted(fault: PlantedFault | null, cases: number, seed: number): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), 'ringlet-fault-'));
  try {
    const outfile = join(folder, 'properties.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'run.ts')],
      bundle: true,
      format: 'esm',
      platform: 'node',
      outfile,
      define: { 'import.meta.url': JSON.stringify(pathToFileURL(PROGRAMS).href) },
      plugins: [
        {
          name: 'plant',
          setup({ onLoad }) {
            onLoad({ filter: /[\\/](src|tests)[\\/].*\.ts$/ }, ({ path }) => {
              if (fault === null || path !== join(ROOT, 'src', fault.file)) return null;
              return { contents: planted(fault), loader: 'ts' };
            });
          },
        },
      ],
    });
    const start = performance.now();
    const { error, stdout, stderr } = await ran(outfile, cases, seed);
    const milliseconds = Math.round(performance.now() - start);
    if (error?.killed) return { killed: null, milliseconds };
    if (error !== null) {
      const why = stderr.match(/^\w*Error.*$/m)?.[0] ?? 'an error';
      return { killed: { property: 0, cases: 1, why }, milliseconds };
    }
    const printed = JSON.parse(stdout);
    return { killed: printed.verdict, milliseconds: printed.milliseconds };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const ran = (
  script: string,
  cases: number,
  seed: number,
): Promise<{ error: ExecFileException | null; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    const words = [script, String(cases), String(seed)];
    execFile(process.execPath, words, { timeout: 400_000 }, (error, stdout, stderr) =>
      resolve({ error, stdout, stderr }),
    );
  });

/** The file with the fault in it. Throws if the piece is not there exactly once. */
export function planted(fault: PlantedFault): string {
  const parts = sourceOf(fault).split(fault.piece);
  if (parts.length !== 2)
    throw new Error(`${fault.what}: the piece stands ${parts.length - 1} times in src/${fault.file}:\n${fault.piece}`);
  return parts.join(fault.instead);
}
