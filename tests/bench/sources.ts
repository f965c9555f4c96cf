/** The sources of the workloads, as the command line finds them. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sources } from '../../src/bench/paging/workloads.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const FOLDERS = [join(ROOT, 'bench', 'paging'), join(ROOT, 'guests', 'include')];

export const sources: Sources = (name) => {
  const path = FOLDERS.map((folder) => join(folder, name)).find((p) => existsSync(p));
  return path === undefined ? null : readFileSync(path, 'utf8');
};
