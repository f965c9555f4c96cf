/** Which register each guest-state field is saved from and loaded into: the table behind VM entry and VM exit.
 *  Parallel arrays: encoding, index in the register file, word of the VMCS. `npm run generate` makes straight code of them
 *  (state-copy.generated.ts).
 *
 *  Not here, because they are computed: CR0 (some bits stay as they are), RFLAGS (kept lazily), RIP (depends on the exit). */
import {
  ACTIVITY,
  CR3,
  CR4,
  ESP,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from '../base/registers.ts';
import { wordOf } from './field-table.ts';
import * as F from './fields.ts';

/** ES CS SS DS FS GS LDTR TR: registers and fields stand in the same order. */
const SEGMENTS = [0, 1, 2, 3, 4, 5, 6, 7];

const PAIRS: readonly (readonly [register: number, field: number])[] = [
  [CR3, F.GUEST_CR3],
  [CR4, F.GUEST_CR4],
  [ESP, F.GUEST_RSP],
  ...SEGMENTS.map((s) => [SEG_SELECTOR + s, F.GUEST_ES_SELECTOR + 2 * s] as const),
  ...SEGMENTS.map((s) => [SEG_BASE + s, F.GUEST_ES_BASE + 2 * s] as const),
  ...SEGMENTS.map((s) => [SEG_LIMIT + s, F.GUEST_ES_LIMIT + 2 * s] as const),
  ...SEGMENTS.map((s) => [SEG_ACCESS + s, F.GUEST_ES_ACCESS_RIGHTS + 2 * s] as const),
  [GDTR_BASE, F.GUEST_GDTR_BASE],
  [GDTR_LIMIT, F.GUEST_GDTR_LIMIT],
  [IDTR_BASE, F.GUEST_IDTR_BASE],
  [IDTR_LIMIT, F.GUEST_IDTR_LIMIT],
  [SYSENTER_CS, F.GUEST_IA32_SYSENTER_CS],
  [SYSENTER_ESP, F.GUEST_IA32_SYSENTER_ESP],
  [SYSENTER_EIP, F.GUEST_IA32_SYSENTER_EIP],
  [INTERRUPTIBILITY, F.GUEST_INTERRUPTIBILITY_STATE],
  [ACTIVITY, F.GUEST_ACTIVITY_STATE],
];

export const GUEST_FIELDS: readonly number[] = PAIRS.map(([, field]) => field);
export const GUEST_REGISTERS: Int32Array = Int32Array.from(PAIRS, ([register]) => register);
export const GUEST_WORDS: Int32Array = Int32Array.from(PAIRS, ([, field]) => wordOf(field));
