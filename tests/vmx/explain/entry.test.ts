import { beforeAll, describe, expect, test } from 'vitest';
import { vmxCapabilities } from '../../../src/vmx/capabilities.ts';
import { ENTRY_CHECKS } from '../../../src/vmx/checks/index.ts';
import { explainEntry } from '../../../src/vmx/explain/entry.ts';
import { imageOfObject, imageOfWords, objectOfImage, type VmcsImage } from '../../../src/vmx/explain/image.ts';
import { fieldOf } from '../../../src/vmx/field-table.ts';
import * as F from '../../../src/vmx/fields.ts';
import { BREAKS } from '../breaks.ts';
import { AT, baseline, WITHOUT_FLAGS, type World, writeBaseline } from '../support.ts';

let world: World;
let full: World;
let withoutFlags: World;
beforeAll(() => {
  full = world = baseline({ vmx: { capabilities: vmxCapabilities() } });
  withoutFlags = baseline({ vmx: { capabilities: WITHOUT_FLAGS } });
});

/** The baseline with one row broken, as an image. */
function broken(id: string): VmcsImage {
  world = BREAKS[id]?.withoutFlags === true ? withoutFlags : full;
  writeBaseline(world);
  world.root.memory.fill(AT.eptTable, 32, 0);
  for (const [field, value, high] of BREAKS[id]?.fields ?? []) {
    world.set(field, value);
    if (high !== undefined) world.set(field + 1, high);
  }
  for (const [at, value] of BREAKS[id]?.memory ?? []) world.root.memory.write32(at, value);
  return image();
}

function image(): VmcsImage {
  const { context } = world.vmx;
  return imageOfWords(context.words, context.capabilities, world.machine.memory, AT.vmcs);
}

describe('each entry check, broken', () => {
  test.each(ENTRY_CHECKS.map(({ id }) => id))('%s is named, and a small change makes the state valid', (id) => {
    const given = broken(id);
    const explained = explainEntry(given);
    expect(explained.rows[0]?.id).toBe(id);
    expect(explained.outcome).not.toBe('enters');
    expect(explained.text.join('\n')).toContain(`${id}   (SDM Vol. 3, "${explained.rows[0]?.section}")`);
    expect(explained.unjudged).toEqual([]);
    const changes = explained.nearest;
    expect(changes?.length).toBeGreaterThan(0);
    // no more fields than were written to break it
    expect(changes?.length).toBeLessThanOrEqual(BREAKS[id]?.fields.length ?? 0);
    for (const { encoding, to } of changes ?? []) given.set(encoding, to.lo, to.hi);
    expect(explainEntry(given).rows).toEqual([]);
  });
});

test('a row whose failure makes another one fail always says so, and no other does', () => {
  const undeclared: string[] = [];
  // in the break of this row a second one is broken as well; here it is broken alone
  const alone: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
    'guest.ss.rpl': [
      [F.GUEST_SS_SELECTOR, 0x10],
      [F.GUEST_CS_SELECTOR, 0x0b],
    ],
  };
  for (const a of ENTRY_CHECKS) {
    broken(a.id);
    for (const [field, value] of alone[a.id] ?? []) world.set(field, value);
    const view = image().view();
    expect(a.holds(view), a.id).toBe(false);
    for (const b of ENTRY_CHECKS) {
      if (a !== b && !b.holds(view) && !a.implies.includes(b.id)) undeclared.push(`${a.id} → ${b.id}`);
      if (b.holds(view)) expect(a.implies).not.toContain(b.id);
    }
  }
  expect(undeclared).toEqual([]);
});

test('several rows are all named, the first decides, and the change repairs all of them', () => {
  writeBaseline(world);
  world.set(F.GUEST_RFLAGS, 0);
  world.set(F.GUEST_TR_ACCESS_RIGHTS, 0x89);
  world.set(F.GUEST_CS_LIMIT, 0x1_2345);
  world.set(F.VMCS_LINK_POINTER, 0);
  const explained = explainEntry(image());
  expect(explained.rows.map((row) => row.id)).toEqual([
    'guest.cs.granularity',
    'guest.tr.type',
    'guest.rflags.bit-1',
    'guest.link-pointer.revision',
  ]);
  expect(explained).toMatchObject({ outcome: 'exit', number: 33 });
  expect(explained.nearest?.map(({ name, from, to }) => [name, from.lo, to.lo])).toContainEqual(['GUEST_RFLAGS', 0, 2]);
});

test('the text says what, where, and what would be valid', () => {
  const { text } = explainEntry(broken('execution.cr3-targets'));
  expect(text).toEqual([
    'VM entry fails: VM-instruction error 7, VM entry with invalid control field(s)',
    `1 of ${ENTRY_CHECKS.length} rules does not hold:`,
    '  execution.cr3-targets   (SDM Vol. 3, "VM-Execution Control Fields")',
    '    CR3_TARGET_COUNT = 0000_0005h: must not exceed 4, the number of CR3-target values',
    'the nearest state in which all these rules hold:',
    '  CR3_TARGET_COUNT: 0000_0005h → 0000_0004h',
  ]);
});

test('a valid state enters, and there is nothing to change', () => {
  writeBaseline(world);
  expect(explainEntry(image())).toMatchObject({ outcome: 'enters', number: 0, rows: [], nearest: [] });
});

test('an MSR that an entry cannot load is named with its number', () => {
  writeBaseline(world);
  world.root.memory.fill(AT.msrArea, 32, 0);
  world.root.memory.write32(AT.msrArea, 0xc000_0100);
  world.set(F.VM_ENTRY_MSR_LOAD_ADDRESS, AT.msrArea);
  world.set(F.VM_ENTRY_MSR_LOAD_COUNT, 1);
  let text: readonly string[] = [];
  const stop = world.machine.observe({
    onEntryFailure: (failure) => {
      text = explainEntry(image(), failure).text;
    },
  });
  world.root.vmlaunch();
  stop();
  expect(text.slice(0, 4)).toEqual([
    'VM entry fails: exit reason 34, VM-entry failure due to MSR loading, qualification 1',
    `1 of ${ENTRY_CHECKS.length} rules does not hold:`,
    '  msr-load.base   (SDM Vol. 3, "Loading MSRs")',
    '    entry 1 of the VM-entry MSR-load area cannot be loaded: the index must not be C000_0100h (IA32_FS_BASE) or C000_0101h (IA32_GS_BASE)',
  ]);
});

test('what is not known is not judged', () => {
  const partial = imageOfObject({ GUEST_RFLAGS: '0h' }, world.vmx.context.capabilities, { partial: true });
  const { rows, unjudged, judged } = explainEntry(partial);
  expect(rows.map((row) => row.id)).toEqual(['guest.rflags.bit-1']);
  expect(judged + unjudged.length).toBe(ENTRY_CHECKS.length);
  expect(unjudged.find(({ id }) => id === 'guest.cr0.fixed')?.why).toBe('GUEST_CR0 is not known');
});

test('an image goes to an object and back', () => {
  const given = broken('guest.tr.type');
  const again = imageOfObject(objectOfImage(given), given.capabilities);
  expect(again.words).toEqual(given.words);
});

test.each([
  [{ GUEST_CR9: 1 }, 'there is no field'],
  [{ GUEST_CR0: 'abc' }, 'is no number'],
  [{ GUEST_CS_SELECTOR: 0x1_0000 }, 'has 16 bits'],
  [{ EXIT_REASON: '0x100000000' }, 'has 32 bits'],
  [[], 'VMCS'],
])('%j is refused', (object, message) => {
  expect(() => imageOfObject(object as never, world.vmx.context.capabilities)).toThrow(message);
});

test('encodings serve as names', () => {
  const given = imageOfObject({ '0x6800': 0x31, '681Eh': '0x1234' }, world.vmx.context.capabilities);
  expect([given.low(F.GUEST_CR0), given.low(F.GUEST_RIP)]).toEqual([0x31, 0x1234]);
  expect(fieldOf(F.GUEST_RIP)?.name).toBe('GUEST_RIP');
});
