/** VM-entry checks in groups: which rows have to be looked at again, which fails first, and which fail at all. */
import { CR0_PE, CR0_PG, CR4_PAE, FLAG_IF, FLAG_TF, FLAG_VM } from '../../base/registers.ts';
import { PRIMARY } from '../controls.ts';
import { FIELD_WORDS, fieldName, WORD, widthOf } from '../field-table.ts';
import * as F from '../fields.ts';
import type { EntryCheck, EntryView } from './check.ts';
import { entryControls, executionControls, exitControls } from './controls.ts';
import { guestControlRegisters, guestDescriptorTables, guestFlags } from './guest-registers.ts';
import { guestSegments } from './guest-segments.ts';
import { guestNonRegisterState, guestPdptes } from './guest-state.ts';
import { hostState } from './host.ts';

export type { EntryCheck } from './check.ts';
export { EntryView } from './check.ts';

/** Controls fail with VM-instruction error 7, host state with 8, guest state with exit reason 33. */
export type Stage = 'controls' | 'host' | 'guest';

export interface CheckGroup {
  readonly name: string;
  readonly stage: Stage;
  readonly checks: readonly EntryCheck[];
  /** Bits of a field that decide, where the others cannot matter to any row of the group. */
  readonly onlyBits: ReadonlyMap<number, number>;
}

const group = (
  name: string,
  stage: Stage,
  checks: readonly EntryCheck[],
  onlyBits: readonly (readonly [number, number])[] = [],
): CheckGroup => ({ name, stage, checks, onlyBits: new Map(onlyBits) });

/** In the manual's order. A group's place is its bit in the masks below. */
export const CHECK_GROUPS: readonly CheckGroup[] = [
  group('VM-execution control fields', 'controls', executionControls),
  group('VM-exit control fields', 'controls', exitControls),
  group('VM-entry control fields', 'controls', entryControls, [[F.GUEST_CR0, CR0_PE]]),
  group('host state', 'host', hostState),
  group('guest control registers', 'guest', guestControlRegisters),
  group('guest segment registers', 'guest', guestSegments, [
    [F.GUEST_RFLAGS, FLAG_VM],
    [F.GUEST_CR0, CR0_PE],
  ]),
  group('guest descriptor tables', 'guest', guestDescriptorTables),
  group('guest RFLAGS', 'guest', guestFlags, [[F.GUEST_CR0, CR0_PE]]),
  group('guest non-register state', 'guest', guestNonRegisterState, [[F.GUEST_RFLAGS, FLAG_IF | FLAG_TF]]),
  group('guest PDPTEs', 'guest', guestPdptes, [
    [F.GUEST_CR0, CR0_PG],
    [F.GUEST_CR4, CR4_PAE],
  ]),
];

/** Every row, in the manual's order. */
export const ENTRY_CHECKS: readonly EntryCheck[] = CHECK_GROUPS.flatMap((g) => g.checks);

/** All groups have to be looked at. */
export const ALL_GROUPS: number = (1 << CHECK_GROUPS.length) - 1;

const stageGroups = (stage: Stage): number =>
  CHECK_GROUPS.reduce((mask, g, i) => (g.stage === stage ? mask | (1 << i) : mask), 0);
const CONTROLS_GROUPS = stageGroups('controls');
const HOST_GROUPS = stageGroups('host');
const GUEST_GROUPS = stageGroups('guest');
const VOLATILE_GROUPS = CHECK_GROUPS.reduce(
  (mask, g, i) => (g.checks.some((c) => c.volatile) ? mask | (1 << i) : mask),
  0,
);

/** Set in WORD_GROUPS where some group looks at certain bits only (SELECTIVE). */
const HAS_SELECTIVE = 1 << 30;
/** For each word of a VMCS the groups that a change of it concerns. */
const WORD_GROUPS = new Int32Array(FIELD_WORDS);
/** Words of which a group looks at certain bits only. */
const SELECTIVE: { readonly word: number; readonly bits: number; readonly groups: number }[] = [];
CHECK_GROUPS.forEach((g, i) => {
  for (const field of new Set(g.checks.flatMap((c) => c.fields))) {
    const word = WORD[field];
    const bits = g.onlyBits.get(field);
    if (bits !== undefined) {
      SELECTIVE.push({ word, bits, groups: 1 << i });
      WORD_GROUPS[word] |= HAS_SELECTIVE;
      continue;
    }
    WORD_GROUPS[word] |= 1 << i;
    if (widthOf(field) === 64) WORD_GROUPS[word + 1] |= 1 << i;
  }
});

/** Groups that have to be looked at again after the bits `difference` of a word have changed. */
export function groupsOfChange(word: number, difference: number): number {
  let groups = WORD_GROUPS[word];
  if ((groups & HAS_SELECTIVE) === 0) return groups;
  groups &= ~HAS_SELECTIVE;
  for (const s of SELECTIVE) if (s.word === word && (s.bits & difference) !== 0) groups |= s.groups;
  return groups;
}

/** A row that does not hold, with what its reader needs. */
export interface FailedCheck {
  readonly id: string;
  readonly section: string;
  readonly message: string;
  /** The fields that decide, the one at fault first; high halves of 64-bit fields apart. */
  readonly fields: readonly { readonly name: string; readonly encoding: number; readonly value: number }[];
  readonly stage: Stage;
}

/** The first row of a stage that does not hold, looking only at the groups in `unchecked`; null if all hold. */
export function firstFailure(view: EntryView, stage: Stage, unchecked: number): EntryCheck | null {
  let groups = unchecked & groupsOfStage(stage);
  if (mayBeVolatile(view)) groups |= VOLATILE_GROUPS & groupsOfStage(stage);
  while (groups !== 0) {
    const bit = groups & -groups;
    groups ^= bit;
    for (const check of CHECK_GROUPS[31 - Math.clz32(bit)].checks) if (!check.holds(view)) return check;
  }
  return null;
}

/** The groups of a stage, to be taken out of `unchecked` once they hold. */
export const groupsOfStage = (stage: Stage): number =>
  stage === 'controls' ? CONTROLS_GROUPS : stage === 'host' ? HOST_GROUPS : GUEST_GROUPS;

/** Could a volatile row fail? They look at the virtual TPR, the link pointer and PAE page tables. */
function mayBeVolatile(view: EntryView): boolean {
  return (
    view.primary(PRIMARY.USE_TPR_SHADOW) ||
    (view.low(F.VMCS_LINK_POINTER) & view.high(F.VMCS_LINK_POINTER)) !== -1 ||
    (view.low(F.GUEST_CR4) & CR4_PAE) !== 0
  );
}

/** A failed row in full. */
export function describeFailure(view: EntryView, check: EntryCheck): FailedCheck {
  const stage = (CHECK_GROUPS.find((g) => g.checks.includes(check)) as CheckGroup).stage;
  const fields = check.fields.flatMap((encoding) => {
    const low = { name: fieldName(encoding), encoding, value: view.low(encoding) >>> 0 };
    if (widthOf(encoding) !== 64) return [low];
    return [low, { name: fieldName(encoding + 1), encoding: encoding + 1, value: view.high(encoding) >>> 0 }];
  });
  return { id: check.id, section: check.section, message: check.message(view), fields, stage };
}

/** Every row that does not hold, in the manual's order. Rows that another failed row implies are left out. */
export function failedChecks(view: EntryView): FailedCheck[] {
  const failed = ENTRY_CHECKS.filter((check) => !check.holds(view));
  const implied = new Set(failed.flatMap((check) => check.implies));
  return failed.filter((check) => !implied.has(check.id)).map((check) => describeFailure(view, check));
}
