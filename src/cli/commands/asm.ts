/** `ringlet asm`. */

import { writeFileSync } from 'node:fs';
import { describeProblem } from '../../asm/index.ts';
import { InvalidInput } from '../../base/errors.ts';
import { whyNot } from '../files.ts';
import { assembleFile } from '../kernel.ts';
import { say } from '../terminal.ts';

export interface AsmOptions {
  readonly output: string;
  /** NAME or NAME=VALUE. */
  readonly define?: readonly string[];
  readonly include?: readonly string[];
}

/** Assembles a file into a flat binary. Nothing is written if the source has an error. */
export function asm(file: string, options: AsmOptions): void {
  const { bytes, warnings } = assembleFile(file, {
    defines: Object.fromEntries((options.define ?? []).map(parseDefine)),
    includes: options.include ?? [],
  });
  for (const warning of warnings) say(`${describeProblem(warning)} (warning)`);
  try {
    writeFileSync(options.output, bytes);
  } catch (error) {
    throw new InvalidInput(`cannot write ${options.output}: ${whyNot(error)}`);
  }
}

/** `NAME=VALUE`, or `NAME` alone, which is defined as 1. */
export function parseDefine(text: string): [string, string] {
  const match = /^([A-Za-z_.?@$~#][\w.?@$~#]*)(?:=(.*))?$/s.exec(text);
  if (match === null) throw new InvalidInput(`-D '${text}' is no definition: write -D NAME=VALUE`);
  return [match[1], match[2] ?? '1'];
}
