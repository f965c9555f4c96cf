/** Addressing forms of the ModRM byte (SDM Vol. 2, Tables 2-1 and 2-2). */

import { DS, EBP, EBX, EDI, ESI, SS_, ZERO } from '../base/registers.ts';

/** Base, index and default segment for ModRM.rm with 16-bit addressing (Table 2-1), mod 01 and 10. */
export const BASE_16: readonly number[] = [EBX, EBX, EBP, EBP, ESI, EDI, EBP, EBX];
export const INDEX_16: readonly number[] = [ESI, EDI, ESI, EDI, ZERO, ZERO, ZERO, ZERO];
export const SEGMENT_16: readonly number[] = [DS, DS, SS_, SS_, DS, DS, SS_, DS];
/** mod 00: rm 6 is a displacement alone. */
export const DIRECT_16 = 6;

/** Default segment of a 32-bit base register: SS for ESP and EBP. */
export const SEGMENT_32: readonly number[] = [DS, DS, DS, DS, SS_, SS_, DS, DS];
/** rm 4: a SIB byte follows. */
export const SIB = 4;
/** SIB.index 4: no index. */
export const NO_INDEX = 4;
/** mod 00: rm 5 (or SIB.base 5) is a displacement alone. */
export const DIRECT_32 = 5;
