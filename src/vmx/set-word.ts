import { groupsOfChange } from './checks/index.ts';
import type { VmxContext } from './context.ts';

/** A word of the current VMCS gets a value; what entry checks made of the old one is forgotten if it differs. */
export function setWord(x: VmxContext, word: number, value: number): void {
  const w = x.words;
  const difference = w[word] ^ value;
  if (difference === 0) return;
  w[word] = value;
  if (x.current !== null) x.current.unchecked |= groupsOfChange(word, difference);
}
