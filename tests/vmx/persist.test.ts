import { expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { FIELD_WORDS } from '../../src/vmx/field-table.ts';
import * as F from '../../src/vmx/fields.ts';
import type { VmxState } from '../../src/vmx/vmx.ts';
import { AT, baseline, type World } from './support.ts';

function running(): World {
  const world = baseline();
  world.code(0x40, 0xeb, 0xfd);
  world.root.maxInstructions = 100;
  world.set(F.TSC_OFFSET, -5);
  world.set(F.TSC_OFFSET + 1, -1);
  world.root.vmlaunch();
  return world;
}

const copy = (state: VmxState): VmxState => JSON.parse(JSON.stringify(state)) as VmxState;

test('what was saved is what is saved after it was restored', () => {
  const world = running();
  const state = copy(world.vmx.save());
  expect(state).toMatchObject({
    nonRoot: true,
    current: AT.vmcs,
    vmxonPointer: AT.vmxon,
    firstPause: -1,
    lastPause: -1,
    deadline: null,
  });
  const other = baseline();
  other.vmx.restore(state);
  expect(copy(other.vmx.save())).toEqual(state);
});

test('a restored VMCS is the current one, with its fields', () => {
  const world = baseline();
  world.set(F.GUEST_RSP, 0x4321);
  const state = copy(world.vmx.save());
  const other = baseline();
  other.vmx.restore(state);
  expect(other.get(F.GUEST_RSP)).toBe(0x4321);
  other.code(0xf4);
  expect(other.root.vmlaunch()).toEqual({ kind: 'exit' });
});

test.each<[string, (state: Record<string, unknown>) => void]>([
  ['vmxonPointer', (s) => Object.assign(s, { vmxonPointer: 0x5001 })],
  ['current', (s) => Object.assign(s, { current: AT.otherVmcs })],
  ['nonRoot', (s) => Object.assign(s, { nonRoot: 'yes' })],
  ['nonRoot', (s) => Object.assign(s, { nonRoot: true, current: -1 })],
  ['active', (s) => Object.assign(s, { vmxonPointer: -1 })],
  ['active', (s) => Object.assign(s, { active: [...(s.active as unknown[]), ...(s.active as unknown[])] })],
  ['active[0].words', (s) => Object.assign((s.active as object[])[0] as object, { words: [1, 2, 3] })],
  ['active[0].words', (s) => Object.assign((s.active as { words: unknown[] }[])[0]?.words as object, { 3: 1.5 })],
  ['active[0].launched', (s) => Object.assign((s.active as object[])[0] as object, { launched: 1 })],
  ['featureControl', (s) => Object.assign(s, { featureControl: 99 })],
  ['firstPause', (s) => Object.assign(s, { firstPause: 0.5 })],
  ['lastPause', (s) => Object.assign(s, { firstPause: 7, lastPause: 5 })],
  ['deadline', (s) => Object.assign(s, { deadline: -1 })],
  ['aborted', (s) => Object.assign(s, { aborted: null })],
  ['trapFlagPending', (s) => Object.assign(s, { trapFlagPending: 1 })],
])('a wrong %s is refused by name, and nothing changes', (field, corrupt) => {
  const world = running();
  const before = copy(world.vmx.save());
  const state = copy(before) as unknown as Record<string, unknown>;
  corrupt(state);
  let message = '';
  try {
    world.vmx.restore(state);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInput);
    message = (error as Error).message;
  }
  expect(message).toContain(`vmx.${field}`);
  expect(copy(world.vmx.save())).toEqual(before);
});

test('a saved VMCS has a word for each field', () => {
  expect(running().vmx.save().active[0]?.words.length).toBe(FIELD_WORDS);
});
