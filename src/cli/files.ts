/** Files, with errors that say what to change. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidInput } from '../base/errors.ts';

/** No kernel image or initial RAM disk is larger. */
const LARGEST = 0x7fff_ffff;

/** The bytes of a file. Throws InvalidInput. */
export function readBytes(path: string): Uint8Array {
  try {
    if (statSync(path).isDirectory()) throw new InvalidInput(`${path} is a directory: name a file`);
    if (statSync(path).size > LARGEST) throw new InvalidInput(`${path} is larger than 2 GiB: name a smaller file`);
    return readFileSync(path);
  } catch (error) {
    throw error instanceof InvalidInput ? error : new InvalidInput(`cannot read ${path}: ${whyNot(error)}`);
  }
}

/** The bytes of the first of these that is a file, or null. */
export function readFirst(paths: readonly string[]): Uint8Array | null {
  for (const path of paths) {
    try {
      if (statSync(path).isFile()) return readFileSync(path);
    } catch {
      // the next one
    }
  }
  return null;
}

export const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile();

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is no directory',
  ENOSPC: 'no space left',
};

/** A system error in words. */
export function whyNot(error: unknown): string {
  const code = (error as { code?: string }).code ?? '';
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

/** The folder that the package was installed into: the nearest one above this file that has guests. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!isFile(join(folder, 'guests', 'hello', 'kernel.asm'))) {
    const above = dirname(folder);
    if (above === folder) throw new InvalidInput('the guests folder of the package is missing: install ringlet again');
    folder = above;
  }
  return folder;
}
