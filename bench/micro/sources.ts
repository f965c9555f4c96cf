/** Programs that the micro-benchmarks work on: kernels of bench/kernels. */

import { readFileSync } from 'node:fs';
import { type Assembled, assemble } from '../../src/asm/index.ts';

/** From dist/bench, where this is bundled to. */
const KERNELS = new URL('../../bench/kernels/', import.meta.url);

export const textOf = (file: string): string => readFileSync(new URL(file, KERNELS), 'utf8');

const COMMON: string = textOf('common.inc');

export const assembleKernel = (name: string, source: string = textOf(`${name}.asm`)): Assembled =>
  assemble(source, { file: `${name}.asm`, include: (path) => (path === 'common.inc' ? COMMON : null) });
