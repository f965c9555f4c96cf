import { expect, test } from 'vitest';
import { capabilityMsr, fieldExists, vmxCapabilities } from '../../src/vmx/capabilities.ts';
import { FIELD_WORDS, FIELDS, fieldName, fieldOf } from '../../src/vmx/field-table.ts';
import * as F from '../../src/vmx/fields.ts';
import { POISON } from '../../src/vmx/vmcs.ts';
import { AT, baseline, rootMode, type World } from './support.ts';

const region = (world: World, at: number = AT.vmcs): number[] => {
  const words: number[] = [];
  for (let k = 0; k < 256; k++) words.push(world.root.memory.read32(at + 4 * k));
  return words;
};

test('the region of an active VMCS is poisoned from byte 8 on', () => {
  const world = rootMode();
  expect(new Set(region(world).slice(2))).toEqual(new Set([POISON]));
  expect(region(world)[0]).toBe((world.root.rdmsr(0x480) as { lo: number }).lo);
});

test('what software pokes into the region of an active VMCS has no effect', () => {
  const world = rootMode();
  world.set(F.GUEST_RIP, 0x1234);
  world.root.memory.fill(AT.vmcs + 8, 1016, 0xff);
  expect(world.get(F.GUEST_RIP)).toBe(0x1234);
  world.root.vmclear(AT.vmcs);
  world.root.vmptrld(AT.vmcs);
  expect(world.get(F.GUEST_RIP)).toBe(0x1234);
});

test('VMCLEAR writes every field back, and another VMPTRLD finds it', () => {
  const world = rootMode();
  const { capabilities } = world.vmx.context;
  const writable = FIELDS.filter(
    (field) => field.type !== 'read-only data' && fieldExists(field.encoding, capabilities),
  );
  writable.forEach((field, n) => {
    world.set(field.encoding, 0x1000 + n);
    if (field.width === 64) world.set(field.encoding + 1, 0x2000 + n);
  });
  world.root.vmclear(AT.vmcs);
  expect(region(world)).toContain(0x1000 + writable.findIndex((field) => field.encoding === F.GUEST_RIP));
  world.root.vmptrld(AT.vmcs);
  writable.forEach((field, n) => {
    expect(world.get(field.encoding), field.name).toBe(0x1000 + n);
    if (field.width === 64) expect(world.get(field.encoding + 1)).toBe(0x2000 + n);
  });
});

test('where a field stands in the region depends on the seed', () => {
  const place = (layoutSeed: number): number => {
    const world = rootMode({ vmx: { layoutSeed } });
    world.set(F.GUEST_RIP, 0x5eed_0001);
    world.root.vmclear(AT.vmcs);
    return region(world).indexOf(0x5eed_0001);
  };
  const places = [1, 2, 3, 4, 5].map(place);
  expect(new Set(places).size).toBeGreaterThan(2);
  expect(place(1)).toBe(places[0]);
  for (const at of places) expect(at).toBeGreaterThanOrEqual(2);
});

test('several VMCSs are active side by side', () => {
  const { root, set, get } = rootMode();
  set(F.GUEST_RIP, 1);
  root.vmclear(AT.otherVmcs);
  root.vmptrld(AT.otherVmcs);
  set(F.GUEST_RIP, 2);
  root.vmptrld(AT.vmcs);
  expect(get(F.GUEST_RIP)).toBe(1);
  root.vmptrld(AT.otherVmcs);
  expect(get(F.GUEST_RIP)).toBe(2);
});

test('a VMCS that was active at VMXOFF is lost', () => {
  const { root, set, get } = rootMode();
  set(F.GUEST_RIP, 1);
  root.vmxoff();
  root.vmxon(AT.vmxon);
  root.vmptrld(AT.vmcs);
  expect(get(F.GUEST_RIP)).toBe(POISON);
});

test('the fields are those of a 32-bit processor, at their encodings', () => {
  // Spot checks against the manual's Appendix B.
  expect(fieldOf(0x6c16)?.name).toBe('HOST_RIP');
  expect(fieldOf(0x4826)?.name).toBe('GUEST_ACTIVITY_STATE');
  expect(fieldOf(0x201b)?.name).toBe('EPT_POINTER');
  expect(fieldName(0x201b)).toBe('EPT_POINTER (high)');
  expect(fieldOf(0x0c0c)).toMatchObject({ name: 'HOST_TR_SELECTOR', type: 'host state', width: 16 });
  expect(fieldOf(0x640a)).toMatchObject({ name: 'GUEST_LINEAR_ADDRESS', type: 'read-only data', width: 'natural' });
  expect(new Set(FIELDS.map((field) => field.encoding)).size).toBe(FIELDS.length);
  for (const field of FIELDS) expect(field.encoding & ~0x6ffe).toBe(0);
  expect(FIELD_WORDS).toBeLessThanOrEqual(253);
});

test('capability MSRs of the default model', () => {
  const c = vmxCapabilities();
  const hex = (index: number) => {
    const value = capabilityMsr(c, index);
    if (value === undefined) return undefined;
    return `${(value.hi >>> 0).toString(16).padStart(8, '0')}_${(value.lo >>> 0).toString(16).padStart(8, '0')}`;
  };
  expect(hex(0x480)).toBe('00d90400_0052494e'); // 1 KiB, 32-bit addresses, WB, INS/OUTS information, TRUE MSRs
  expect(hex(0x481)).toBe('0000007f_00000016');
  expect(hex(0x482)).toBe('dfe1fbfe_0401e172');
  expect(hex(0x48e)).toBe('dfe1fbfe_04006172');
  expect(hex(0x483)).toBe('007ffdff_00036dff');
  expect(hex(0x484)).toBe('0000f1ff_000011ff');
  expect(hex(0x490)).toBe('0000f1ff_000011fb');
  expect(hex(0x485)).toBe('00000000_600401c0');
  expect(hex(0x486)).toBe('00000000_80000021');
  expect(hex(0x48a)).toBe('00000000_00000032');
  expect(hex(0x48b)).toBe('020667ff_00000000');
  expect(hex(0x48c)).toBe('00000f01_06734141');
  expect(hex(0x491)).toBe('00000000_00000001');
  expect(hex(0x492)).toBeUndefined();
});

test('the machine shows the capability MSRs to RDMSR and does not let them be written', () => {
  const { root } = baseline();
  expect(root.rdmsr(0x481)).toEqual({ lo: 0x16, hi: 0x7f });
  expect(root.wrmsr(0x481, 0, 0)).toBe('gp');
  expect(root.rdmsr(0x492)).toBe('gp');
});
