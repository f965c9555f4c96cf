/** Block flavours: what the decoded form of a page depends on besides its bytes. */

import { AR_DB, AR_UNUSABLE, CS, DS, ES, MODE, SEG_ACCESS, SEG_BASE, SEG_LIMIT, SS_ } from '../base/registers.ts';

/** CS.D: default operand and address size 32 bits. */
export const MODE_CODE32 = 1;
/** CS, SS, DS and ES start at 0, reach to 4 GiB and allow what they are used for; the stack is 32 bits wide. */
export const MODE_FLAT = 2;
/** Blocks of one instruction: for exact stops, stepping and observers. */
export const MODE_SINGLE = 4;
export const MODES = 8;

/** Present, writable, expand-up data segment (types 2 and 3). */
const FLAT_DATA_MASK = AR_UNUSABLE | 0x9e;
const FLAT_DATA = 0x92;

const flatData = (S: Int32Array, segment: number): boolean =>
  S[SEG_BASE + segment] === 0 &&
  S[SEG_LIMIT + segment] === -1 &&
  (S[SEG_ACCESS + segment] & FLAT_DATA_MASK) === FLAT_DATA;

/** Whether the flavour in force is still right after `segment` alone was loaded. */
export function keepsMode(S: Int32Array, segment: number): boolean {
  if (segment > DS) return true;
  if (segment === CS || segment === SS_) return false;
  return flatData(S, segment) === ((S[MODE] & MODE_FLAT) !== 0);
}

/** The flavour that the segment registers ask for; remembered in MODE until a segment register changes. */
export function currentMode(S: Int32Array): number {
  if (S[MODE] >= 0) return S[MODE];
  let mode = (S[SEG_ACCESS + CS] & AR_DB) !== 0 ? MODE_CODE32 : 0;
  const flat =
    S[SEG_BASE + CS] === 0 &&
    S[SEG_LIMIT + CS] === -1 &&
    (S[SEG_ACCESS + CS] & 0x1a) >= 0x18 && // execute; what it may read is the checked forms' matter
    flatData(S, SS_) &&
    (S[SEG_ACCESS + SS_] & AR_DB) !== 0 &&
    flatData(S, DS) &&
    flatData(S, ES);
  if (flat) mode |= MODE_FLAT;
  S[MODE] = mode;
  return mode;
}
