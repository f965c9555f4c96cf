/** v86 (npm package `v86`), the fastest x86 emulator for JavaScript engines: with its WebAssembly translator, and interpreting alone. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../build.ts';
import type { Contestant } from '../race.ts';

/** `directory` has node_modules/v86. A string says why there is none. */
export function v86(directory: string | null, jit: boolean): Contestant | string {
  if (directory === null) return 'give --v86 DIR, a folder in which "npm install v86" was run';
  if (!existsSync(join(directory, 'node_modules', 'v86', 'build', 'libv86.mjs'))) {
    return `${directory} has no node_modules/v86: run "npm install v86" there`;
  }
  const mode = jit ? 'jit' : 'no-jit';
  return {
    name: jit ? 'v86' : 'v86-nojit',
    launch: (image) => ({
      command: [process.execPath, program('v86-driver'), directory, image.file, mode],
      serial: 'stdout',
    }),
  };
}
