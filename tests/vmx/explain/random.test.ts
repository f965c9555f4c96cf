/** Random tables: what `explainAddress` says of an access, against what becomes of it when a guest makes it. Two walkers written apart. */
import { expect, test } from 'vitest';
import { EAX } from '../../../src/base/registers.ts';
import { defaultModel } from '../../../src/cpu/model.ts';
import { EPT_CAP, modelCapabilities } from '../../../src/vmx/capabilities.ts';
import { explainAddress } from '../../../src/vmx/explain/address.ts';
import { imageOfWords } from '../../../src/vmx/explain/image.ts';
import { guestRegime, walkMemory } from '../../../src/vmx/explain/regime.ts';
import * as F from '../../../src/vmx/fields.ts';
import { runs } from '../../effort.ts';
import { AT, baseline, writeBaseline } from '../support.ts';

const TABLE = 0x2_5000;
const PAGE = 0x2_6000;
const LINEAR = 0x40_0120;
const CASES = runs(400);

/** A generator of numbers below n, the same every time. */
function numbers(seed: number): (n: number) => number {
  let state = seed | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

test(`${CASES} random walks stop where a guest's access stops, and say why`, () => {
  const plain = modelCapabilities(defaultModel);
  const eptVpid = { ...plain.eptVpid, lo: plain.eptVpid.lo | EPT_CAP.ACCESSED_DIRTY };
  const world = baseline({ vmx: { capabilities: { ...plain, eptVpid } } });
  const { root, vmx, machine } = world;
  const next = numbers(Number(process.env.RINGLET_SEED ?? 7));
  const seen = new Map<string, number>();
  for (let n = 0; n < CASES; n++) {
    root.vmclear(AT.vmcs);
    root.vmptrld(AT.vmcs);
    writeBaseline(world);
    world.set(F.EXCEPTION_BITMAP, 1 << 14);
    const write = next(2) === 1;
    const protects = next(2) === 1;
    const eptFlags = next(2) === 1;
    if (eptFlags) world.set(F.EPT_POINTER, AT.pml4 | 0x5e);
    world.set(F.GUEST_CR0, protects ? 0x8001_0031 : 0x8000_0031);
    if (next(3) === 0) world.set(F.GUEST_CR4, 0x30_2010); // SMEP, SMAP
    if (next(2) === 0) world.set(F.GUEST_RFLAGS, 0x4_0002); // AC
    root.memory.write32(AT.eptDirectory, AT.eptTable | 7);
    for (let page = 0; page < 512; page++) root.memory.write32(AT.eptTable + 8 * page, (page << 12) | 0x37);
    /** Bits that make entries interesting, mostly the usual ones. */
    const flags = (usual: number, odd: readonly number[]): number =>
      next(3) === 0 ? (odd[next(odd.length)] ?? 0) : usual;
    root.memory.write32(AT.directory, 0xe3);
    root.memory.write32(AT.directory + 4, TABLE | flags(0x27, [0, 1, 3, 5, 7, 0x21, 0x25]));
    root.memory.write32(TABLE, PAGE | flags(0x67, [0, 1, 3, 5, 7, 0x21, 0x25, 0x63, 0x27]));
    if (next(8) === 0) root.memory.write32(AT.directory + 4, flags(0x40_00e7, [0x40_2083, 0x83, 0x81]));
    for (const page of [TABLE, PAGE, AT.directory]) {
      // the directory serves the code, too: it stays readable, and with EPT's accessed and dirty flags writable
      const odd =
        page === AT.directory
          ? eptFlags
            ? [0x37]
            : [0x35, 0x31]
          : [0, 0x31, 0x33, 0x32, 0x34, 0x35, 0x17, 0x3f, 0x30];
      root.memory.write32(AT.eptTable + 8 * (page >> 12), page | flags(0x37, odd));
    }
    root.invept(2, 0, 0);
    root.invvpid(2, 0, 0);
    world.code(write ? 0xa3 : 0xa1, LINEAR & 0xff, (LINEAR >> 8) & 0xff, (LINEAR >> 16) & 0xff, 0, 0xf4);
    const { context } = vmx;
    const image = imageOfWords(context.words, context.capabilities, machine.memory, AT.vmcs);
    const access = write ? 'write' : 'read';
    const explained = explainAddress(walkMemory(machine.memory), guestRegime(image), { linear: LINEAR, access });
    root.setRegister(EAX, 0);
    expect(root.vmlaunch()).toEqual({ kind: 'exit' });
    const reason = world.get(F.EXIT_REASON);
    const real =
      reason === 12
        ? ['translated', 0, null]
        : reason === 48
          ? ['EPT violation', world.get(F.EXIT_QUALIFICATION), world.get(F.GUEST_PHYSICAL_ADDRESS)]
          : reason === 49
            ? ['EPT misconfiguration', 0, world.get(F.GUEST_PHYSICAL_ADDRESS)]
            : ['page fault', world.get(F.VM_EXIT_INTERRUPTION_ERROR_CODE), null];
    const isEpt = explained.outcome.startsWith('EPT');
    const told = [explained.outcome, explained.code, isEpt ? explained.guestPhysical : null];
    expect(told, `case ${n}, ${access}:\n${explained.text.join('\n')}`).toEqual(real);
    seen.set(explained.outcome, (seen.get(explained.outcome) ?? 0) + 1);
  }
  // all ends have been seen
  expect([...seen.keys()].sort()).toEqual(['EPT misconfiguration', 'EPT violation', 'page fault', 'translated']);
});
