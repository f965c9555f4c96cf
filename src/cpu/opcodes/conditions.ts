/** Condition codes: the low four bits of Jcc, SETcc and CMOVcc (SDM Vol. 1, Appendix B). */

import { FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from '../../base/registers.ts';

/** Each tests the flags given, an odd code for the opposite. */
export const conditions: readonly { readonly name: string; readonly flags: number }[] = [
  { name: 'O', flags: FLAG_OF },
  { name: 'NO', flags: FLAG_OF },
  { name: 'B', flags: FLAG_CF },
  { name: 'AE', flags: FLAG_CF },
  { name: 'E', flags: FLAG_ZF },
  { name: 'NE', flags: FLAG_ZF },
  { name: 'BE', flags: FLAG_CF | FLAG_ZF },
  { name: 'A', flags: FLAG_CF | FLAG_ZF },
  { name: 'S', flags: FLAG_SF },
  { name: 'NS', flags: FLAG_SF },
  { name: 'P', flags: FLAG_PF },
  { name: 'NP', flags: FLAG_PF },
  { name: 'L', flags: FLAG_SF | FLAG_OF },
  { name: 'GE', flags: FLAG_SF | FLAG_OF },
  { name: 'LE', flags: FLAG_ZF | FLAG_SF | FLAG_OF },
  { name: 'G', flags: FLAG_ZF | FLAG_SF | FLAG_OF },
];

/** Other names of the same conditions. */
export const conditionAliases: Readonly<Record<string, string>> = {
  C: 'B',
  NAE: 'B',
  NC: 'AE',
  NB: 'AE',
  Z: 'E',
  NZ: 'NE',
  NA: 'BE',
  NBE: 'A',
  PE: 'P',
  PO: 'NP',
  NGE: 'L',
  NL: 'GE',
  NG: 'LE',
  NLE: 'G',
};
