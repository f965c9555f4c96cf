/** Data accesses whose bytes lie in two pages: both are translated before a byte is touched (SDM Vol. 1, "Alignment of Words, Doublewords,
 *  Quadwords, and Double Quadwords"). */
import type { FastContext } from './fast-tables.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import { WRITE } from './table-format.ts';
import type { Translator } from './translator.ts';

const PAGE = 4096;

/** Little-endian value of `size` bytes. `access`: WRITE for a read with write intent. */
export function readAcross(
  memory: PhysicalMemory,
  translator: Translator,
  c: FastContext,
  linear: number,
  size: number,
  access: number,
): number {
  const first = PAGE - (linear & (PAGE - 1));
  const low = translator.at(c, linear, access, first);
  const high = translator.at(c, linear + first, access, size - first);
  let value = 0;
  for (let k = 0; k < size; k++) value |= memory.read8(k < first ? low + k : high + k - first) << (8 * k);
  return value;
}

export function writeAcross(
  memory: PhysicalMemory,
  translator: Translator,
  c: FastContext,
  linear: number,
  size: number,
  v: number,
): void {
  const first = PAGE - (linear & (PAGE - 1));
  const low = translator.at(c, linear, WRITE, first);
  const high = translator.at(c, linear + first, WRITE, size - first);
  for (let k = 0; k < size; k++) memory.write8(k < first ? low + k : high + k - first, v >>> (8 * k));
}
