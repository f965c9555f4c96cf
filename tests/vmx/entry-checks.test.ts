import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { vmxCapabilities } from '../../src/vmx/capabilities.ts';
import { entryChecksDocument } from '../../src/vmx/checks/document.ts';
import {
  ALL_GROUPS,
  CHECK_GROUPS,
  ENTRY_CHECKS,
  EntryView,
  firstFailure,
  groupsOfChange,
} from '../../src/vmx/checks/index.ts';
import { fieldName } from '../../src/vmx/field-table.ts';
import * as F from '../../src/vmx/fields.ts';
import { BREAKS } from './breaks.ts';
import { AT, baseline, WITHOUT_FLAGS, type World, writeBaseline } from './support.ts';

let world: World;
let full: World;
let withoutFlags: World;
beforeAll(() => {
  full = baseline({ vmx: { checkEverything: true, capabilities: vmxCapabilities() } });
  withoutFlags = baseline({ vmx: { checkEverything: true, capabilities: WITHOUT_FLAGS } });
  for (const each of [full, withoutFlags]) each.code(0xf4);
  world = full;
});
afterEach(() => {
  world = full;
});

/** Writes the baseline and breaks one check. */
function breakOne(id: string): void {
  world = BREAKS[id]?.withoutFlags === true ? withoutFlags : full;
  writeBaseline(world);
  world.root.memory.fill(AT.eptTable, 32, 0);
  const broken = BREAKS[id];
  if (broken === undefined) throw new Error(`no break for ${id}`);
  for (const [field, value, high] of broken.fields) {
    world.set(field, value);
    if (high !== undefined) world.set(field + 1, high);
  }
  for (const [at, value] of broken.memory ?? []) world.root.memory.write32(at, value);
}

const stages = CHECK_GROUPS.flatMap((group) => group.checks.map((check) => ({ id: check.id, stage: group.stage })));

describe('each entry check, broken alone', () => {
  test.each(stages)('$id fails the entry as $stage checks do, and is reported first', ({ id, stage }) => {
    breakOne(id);
    const reached = world.root.vmlaunch();
    const failure = world.vmx.context.lastEntryFailure;
    expect(failure?.rows[0]?.id).toBe(id);
    if (stage === 'guest') {
      expect(reached).toEqual({ kind: 'exit' });
      expect(world.get(F.EXIT_REASON)).toBe(0x8000_0021);
      expect(world.get(F.EXIT_QUALIFICATION)).toBe(BREAKS[id]?.qualification ?? 0);
    } else {
      const error = stage === 'controls' ? 7 : 8;
      expect(reached).toEqual({ kind: 'vmfail', error });
      expect(world.get(F.VM_INSTRUCTION_ERROR)).toBe(error);
    }
  });

  test.each(stages)('$id is what failedChecks names first, with field and value', ({ id, stage }) => {
    breakOne(id);
    const first = world.vmx.failedChecks()[0];
    expect(first?.id).toBe(id);
    expect(first?.stage).toBe(stage);
    expect(first?.message.length).toBeGreaterThan(5);
    expect(first?.fields[0]?.value).toBe(world.get(first?.fields[0]?.encoding as number));
  });
});

test('there is a break for every check, and a check for every break', () => {
  expect(Object.keys(BREAKS).sort()).toEqual(ENTRY_CHECKS.map((check) => check.id).sort());
});

test('the baseline breaks nothing and enters', () => {
  writeBaseline(world);
  expect(world.vmx.failedChecks()).toEqual([]);
  expect(world.root.vmlaunch()).toEqual({ kind: 'exit' });
  expect(world.get(F.EXIT_REASON)).toBe(12);
  expect(world.root.vmclear(AT.vmcs)).toEqual({ ok: true });
  expect(world.root.vmptrld(AT.vmcs)).toEqual({ ok: true });
});

/** A view that notes which fields are read. */
class NotingView extends EntryView {
  readonly read = new Set<number>();
  override low(field: number): number {
    this.read.add(field);
    return super.low(field);
  }
  override high(field: number): number {
    this.read.add(field);
    return super.high(field);
  }
}

test('a check reads no field that it does not declare', () => {
  const { context } = world.vmx;
  for (const id of Object.keys(BREAKS)) {
    breakOne(id);
    for (const check of ENTRY_CHECKS) {
      const view = new NotingView(context.words, AT.vmcs, context.capabilities, world.machine.memory);
      check.holds(view);
      const undeclared = [...view.read].filter((field) => !check.fields.includes(field));
      expect(undeclared.map(fieldName), check.id).toEqual([]);
    }
  }
});

/** Valid states of different kinds: fields that differ from the baseline. */
const STATES: readonly (readonly [string, readonly (readonly [number, number])[]])[] = [
  ['protected mode with EPT', []],
  ['an injected exception', [[F.VM_ENTRY_INTERRUPTION_INFORMATION, 0x8000_0b0d]]],
  [
    'an injected interrupt in real mode',
    [
      [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0xa2],
      [F.GUEST_CR0, 0x30],
      [F.GUEST_RFLAGS, 0x202],
      [F.VM_ENTRY_INTERRUPTION_INFORMATION, 0x8000_0020],
    ],
  ],
  [
    'PDPTEs that would be wrong if paging were on',
    [
      [F.SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0xa2],
      [F.GUEST_CR0, 0x31],
      [F.GUEST_CR4, 0x2030],
      [F.GUEST_PDPTE1, 3],
    ],
  ],
  ['PDPTEs that would be wrong with PAE', [[F.GUEST_PDPTE1, 3]]],
  ['data segments that virtual-8086 mode would not have', [[F.GUEST_DS_BASE, 0x1234]]],
  [
    'blocking by STI',
    [
      [F.GUEST_RFLAGS, 0x202],
      [F.GUEST_INTERRUPTIBILITY_STATE, 1],
    ],
  ],
  [
    'a postponed single-step trap',
    [
      [F.GUEST_RFLAGS, 0x302],
      [F.GUEST_INTERRUPTIBILITY_STATE, 1],
      [F.GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000],
    ],
  ],
  ['HLT', [[F.GUEST_ACTIVITY_STATE, 1]]],
  ['everything that counts entries', [[F.VM_ENTRY_MSR_LOAD_COUNT, 1]]],
];

test.each(STATES)('after any change of one bit the changed groups tell what all groups tell: %s', (_, fields) => {
  writeBaseline(world);
  for (const [field, value] of fields) world.set(field, value);
  expect(world.vmx.failedChecks()).toEqual([]);
  const { context } = world.vmx;
  const words = context.words.slice();
  const view = new EntryView(words, AT.vmcs, context.capabilities, world.machine.memory);
  for (let word = 0; word < words.length; word++) {
    for (let bit = 0; bit < 32; bit++) {
      words[word] ^= 1 << bit;
      const changed = groupsOfChange(word, 1 << bit);
      for (const stage of ['controls', 'host', 'guest'] as const) {
        const found = firstFailure(view, stage, changed)?.id;
        const all = firstFailure(view, stage, ALL_GROUPS)?.id;
        if (found !== all) expect(`word ${word} bit ${bit}: ${found}`).toBe(all);
      }
      words[word] ^= 1 << bit;
    }
  }
});

test('docs/entry-checks.md says what the rows say (npm run docs writes it)', async () => {
  await expect(entryChecksDocument()).toMatchFileSnapshot('../../docs/entry-checks.md');
});
