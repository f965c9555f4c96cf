import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { entryChecksDocument } from '../../src/vmx/checks/document.ts';
import { CHECK_GROUPS, ENTRY_CHECKS, EntryView } from '../../src/vmx/checks/index.ts';
import { FIELDS, fieldName } from '../../src/vmx/field-table.ts';
import * as F from '../../src/vmx/fields.ts';
import { BREAKS } from './breaks.ts';
import { AT, baseline, type World, writeBaseline } from './support.ts';

let world: World;
beforeAll(() => {
  world = baseline({ vmx: { checkEverything: true } });
  world.code(0xf4);
});

/** Writes the baseline and breaks one check. */
function breakOne(id: string): void {
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

test('looking at the changed groups only finds what looking at all groups finds', () => {
  // The world compares at each entry and throws if they differ.
  let state = 12345;
  const random = (n: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fff_ffff;
    return state % n;
  };
  const writable = FIELDS.filter((field) => field.type !== 'read-only data');
  const ids = Object.keys(BREAKS);
  for (let round = 0; round < 60; round++) {
    writeBaseline(world);
    for (let step = 0; step < 8; step++) {
      if (random(3) === 0) {
        for (const [field, value] of BREAKS[ids[random(ids.length)] as string]?.fields ?? []) world.set(field, value);
      } else {
        const field = writable[random(writable.length)] as (typeof writable)[number];
        world.set(field.encoding, world.get(field.encoding) ^ (1 << random(32)));
      }
      // Only failing entries: the guest would run with whatever state this is.
      if (world.vmx.failedChecks().length > 0) world.root.vmlaunch();
    }
  }
});

test('docs/entry-checks.md is what the rows say', () => {
  expect(readFileSync(new URL('../../docs/entry-checks.md', import.meta.url), 'utf8')).toBe(entryChecksDocument());
});
