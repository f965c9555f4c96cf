/** The assembler: lines that became bytes. */

import type { Body } from '../harness.ts';
import { assembleKernel, textOf } from './sources.ts';

export function assemblerBodies(): Body[] {
  const source = textOf('bytes.asm');
  const units = assembleKernel('bytes', source).lines.length;
  return [{ name: 'assemble', unit: 'lines', units, run: () => assembleKernel('bytes', source).bytes.length }];
}
