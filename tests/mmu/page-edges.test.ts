/** Every kind of access at the end of a page: which page faults, and which bytes are reached (SDM Vol. 3, "Page-Fault Exceptions"). */
import { expect, test } from 'vitest';
import { machine, outcomeOf, setCpl, setRegime, type TestMachine } from './machine.ts';

const DIRECTORY = 0x1000;
const TABLE = 0x2000;
/** Linear pages 4 and 5 stand in frames 8 and 16, page 6 in frame 9, page 7 is not present. */
const FRAMES = [
  [4, 8],
  [5, 16],
  [6, 9],
] as const;
const BYTES = 0x1000;
const W = 2;
const U = 4;

function world(user = true): TestMachine {
  const m = machine(1 << 20);
  const rights = user ? 7 : 3;
  m.memory.write32(DIRECTORY, TABLE | 7);
  for (const [page, frame] of FRAMES) m.memory.write32(TABLE + 4 * page, (frame << 12) | rights);
  for (let at = 0x8000; at < 0x1_1000; at++) m.memory.write8(at, (at * 7 + (at >> 8)) & 0xff);
  setRegime(m, { cr3: DIRECTORY, paging: true, writeProtect: true, cr4: 0 });
  return m;
}

const VALUE = 0xa1b2_c3d4;
type Access = readonly [
  name: string,
  size: number,
  writes: boolean,
  system: boolean,
  run: (m: TestMachine, at: number) => number | undefined,
];
const ACCESSES: readonly Access[] = [
  ['read8', 1, false, false, (m, at) => m.mmu.read8(at)],
  ['read16', 2, false, false, (m, at) => m.mmu.read16(at)],
  ['read32', 4, false, false, (m, at) => m.mmu.read32(at)],
  ['readForWrite8', 1, true, false, (m, at) => m.mmu.readForWrite8(at)],
  ['readForWrite16', 2, true, false, (m, at) => m.mmu.readForWrite16(at)],
  ['readForWrite32', 4, true, false, (m, at) => m.mmu.readForWrite32(at)],
  ['write8', 1, true, false, (m, at) => void m.mmu.write8(at, VALUE)],
  ['write16', 2, true, false, (m, at) => void m.mmu.write16(at, VALUE)],
  ['write32', 4, true, false, (m, at) => void m.mmu.write32(at, VALUE)],
  ['readSystem8', 1, false, true, (m, at) => m.mmu.readSystem8(at)],
  ['readSystem16', 2, false, true, (m, at) => m.mmu.readSystem16(at)],
  ['readSystem32', 4, false, true, (m, at) => m.mmu.readSystem32(at)],
  ['writeSystem8', 1, true, true, (m, at) => void m.mmu.writeSystem8(at, VALUE)],
  ['writeSystem16', 2, true, true, (m, at) => void m.mmu.writeSystem16(at, VALUE)],
  ['writeSystem32', 4, true, true, (m, at) => void m.mmu.writeSystem32(at, VALUE)],
];

test.each(ACCESSES)('%s needs the next page only if it goes over the end', (_, size, writes, system, run) => {
  for (let offset = BYTES - 5; offset < BYTES; offset++) {
    const m = world();
    setCpl(m, 3);
    const found = outcomeOf(m, () => run(m, 0x6000 + offset));
    if (offset + size <= BYTES) expect(found.kind, `offset ${offset}`).toBe('translated');
    else {
      expect(found, `offset ${offset}`).toEqual({
        kind: 'page fault',
        errorCode: (writes ? W : 0) + (system ? 0 : U),
      });
      expect(m.signal.linear).toBe(0x7000);
    }
  }
});

test.each(ACCESSES)('%s reaches the frames that the pages have, and no other byte', (_, size, __, ___, run) => {
  for (let offset = BYTES - 5; offset < BYTES + 3; offset++) {
    const m = world();
    const before = m.memory.u8.slice();
    const at = (n: number): number => (offset + n < BYTES ? 0x8000 + offset + n : 0x1_0000 + offset + n - BYTES);
    const found = run(m, 0x4000 + offset);
    if (found !== undefined) {
      let value = 0;
      for (let n = size - 1; n >= 0; n--) value = value * 256 + before[at(n)];
      expect(found >>> 0, `offset ${offset}`).toBe(value);
    } else for (let n = 0; n < size; n++) before[at(n)] = (VALUE >>> (8 * n)) & 0xff;
    expect(Buffer.compare(m.memory.u8.subarray(0x8000), before.subarray(0x8000)), `offset ${offset}`).toBe(0);
  }
});

test.each(ACCESSES)('%s of a supervisor page from ring 3', (_, __, writes, system, run) => {
  const m = world(false);
  setCpl(m, 3);
  const found = outcomeOf(m, () => run(m, 0x4000));
  if (system) expect(found.kind).toBe('translated');
  else expect(found).toEqual({ kind: 'page fault', errorCode: 1 + U + (writes ? W : 0) });
});
