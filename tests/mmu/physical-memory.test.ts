import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBase64, toBase64 } from '../../src/base/base64.ts';
import { InvalidInput } from '../../src/base/errors.ts';
import { PAGE_CODE, PAGE_TRACKED, PhysicalMemory } from '../../src/mmu/physical-memory.ts';

const TOP = 0x4000;

/** A region that notes what reaches it. */
function region(start: number, length: number) {
  const log: string[] = [];
  return {
    start,
    length,
    log,
    read: (offset: number, size: number) => {
      log.push(`read ${offset} ${size}`);
      return 0x8765_4321 & (2 ** (8 * size) - 1);
    },
    write: (offset: number, size: number, value: number) => {
      log.push(`write ${offset} ${size} ${(value >>> 0).toString(16)}`);
    },
  };
}

test('reads and writes of every size and alignment agree with bytes, also over the end of RAM', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom(1, 2, 4),
          fc.oneof(fc.nat(20), fc.integer({ min: 4090, max: 4100 }), fc.integer({ min: TOP - 6, max: TOP + 6 })),
          fc.integer(),
        ),
      ),
      (writes) => {
        const memory = new PhysicalMemory(TOP);
        const bytes = new Uint8Array(TOP);
        for (const [size, at, value] of writes) {
          if (size === 1) memory.write8(at, value);
          else if (size === 2) memory.write16(at, value);
          else memory.write32(at, value);
          for (let k = 0; k < size; k++) bytes[at + k] = value >> (8 * k);
          let want = 0;
          for (let k = size - 1; k >= 0; k--) want = want * 256 + (bytes[at + k] ?? 0xff);
          expect(size === 1 ? memory.read8(at) : size === 2 ? memory.read16(at) : memory.read32(at) >>> 0).toBe(want);
        }
        expect(Buffer.compare(memory.u8, bytes)).toBe(0);
        expect(Buffer.compare(memory.readBytes(0, TOP), bytes)).toBe(0);
      },
    ),
  );
});

test('sizes that are no whole number of frames, or 2 GiB and more, are refused', () => {
  for (const bytes of [0, 4095, 4097, -4096, 0x8000_0000, Number.NaN])
    expect(() => new PhysicalMemory(bytes)).toThrow(InvalidInput);
});

test('addresses that belong to nobody read all ones and drop writes', () => {
  const memory = new PhysicalMemory(TOP);
  memory.write32(0xfee0_0000, 1);
  expect([memory.read8(TOP), memory.read16(TOP + 1), memory.read32(0xf_0000_0000), memory.read32(-4)]).toEqual([
    0xff, 0xffff, -1, -1,
  ]);
  expect(memory.floats).toBeGreaterThan(4);
});

test('device registers get whole accesses inside, bytes over an edge', () => {
  const memory = new PhysicalMemory(TOP);
  const r = region(0xfee0_0000, 16);
  memory.map(r);
  expect(memory.read32(0xfee0_0004)).toBe(0x8765_4321 | 0);
  expect(memory.read16(0xfee0_0005)).toBe(0x4321);
  expect(memory.read8(0xfee0_000f)).toBe(0x21);
  memory.write16(0xfee0_0002, 0x1_abcd);
  memory.write32(0xfee0_000e, 0x0403_0201);
  expect(memory.read32(0xfede_fffe + 0x1_0000)).toBe(0x2121_ffff);
  expect(r.log).toEqual([
    'read 4 4',
    'read 5 2',
    'read 15 1',
    'write 2 2 abcd',
    'write 14 1 1',
    'write 15 1 2',
    'read 0 1',
    'read 1 1',
  ]);
});

test('what a device register has above the size of the access is cut off', () => {
  const memory = new PhysicalMemory(TOP);
  memory.map({ start: TOP, length: 16, read: () => 0x8765_4321, write: () => undefined });
  expect([memory.read8(TOP), memory.read16(TOP), memory.read32(TOP)]).toEqual([0x21, 0x4321, 0x8765_4321 | 0]);
});

test('a region may not overlap RAM or another region', () => {
  const memory = new PhysicalMemory(TOP);
  memory.map(region(0x1_0000, 0x1000));
  for (const [start, length] of [
    [TOP - 1, 2],
    [0x1_0fff, 1],
    [0xffff, 2],
    [0xff00, 0x10_000],
    [0x2_0000, 0],
    [0.5, 1],
  ])
    expect(() => memory.map(region(start, length))).toThrow(InvalidInput);
  memory.map(region(0xffff, 1));
  memory.map(region(0x1_1000, 1));
});

test('a write of any kind to a frame with code is announced before it lands', () => {
  const writes: [write: (m: PhysicalMemory) => void, at: number, length: number][] = [
    [(m) => m.write8(0x1004, 1), 0x1004, 1],
    [(m) => m.write16(0x1003, 0x100), 0x1003, 2],
    [(m) => m.write32(0x0ffd, 1 << 24), 0x1000, 1], // its last byte
    [(m) => m.write32(0x1ffe, 1), 0x1ffe, 2],
    [(m) => m.write32(0x1004, 1), 0x1004, 4],
    [(m) => m.writeBytes(0xff8, new Uint8Array(16).fill(1)), 0x1000, 8],
  ];
  for (const [write, at, length] of writes) {
    const memory = new PhysicalMemory(TOP);
    const seen: number[][] = [];
    memory.setPageFlag(1, PAGE_CODE);
    memory.onCodeWrite = (...range) => {
      expect(memory.u8.every((b) => b === 0)).toBe(true);
      seen.push(range);
      memory.clearPageFlag(1, PAGE_CODE);
    };
    write(memory);
    write(memory);
    expect(seen).toEqual([[at, length]]);
    expect(memory.u8.some((b) => b !== 0)).toBe(true);
  }
});

test('writes to frames with other flags are announced to whoever set them', () => {
  const memory = new PhysicalMemory(TOP);
  const seen: number[][] = [];
  memory.onFlaggedWrite = (frame, flags) => seen.push([frame, flags]);
  memory.setPageFlag(2, PAGE_TRACKED);
  memory.write8(0x2fff, 1);
  memory.write8(0x3000, 1);
  expect(seen).toEqual([[2, PAGE_TRACKED]]);
});

test('a saved memory restores exactly, through JSON', () => {
  const memory = new PhysicalMemory(TOP);
  memory.writeBytes(0x1ffe, Uint8Array.of(1, 2, 3, 255));
  const state = JSON.parse(JSON.stringify(memory.save()));
  expect(state.frames.length).toBe(2);
  const other = new PhysicalMemory(TOP);
  other.u8.fill(7);
  let dropped = 0;
  other.setPageFlag(3, PAGE_CODE);
  other.onCodeWrite = () => dropped++;
  other.restore(state);
  expect(Buffer.compare(other.u8, memory.u8)).toBe(0);
  expect(dropped).toBe(1);
  expect(other.pageFlags[3]).toBe(0);
});

test('a state of another size, or with a frame that is wrong, is refused and changes nothing', () => {
  const memory = new PhysicalMemory(TOP);
  memory.u8.fill(9);
  const page = toBase64(new Uint8Array(4096));
  for (const state of [
    {},
    { bytes: TOP * 2, frames: [] },
    { bytes: TOP, frames: 1 },
    { bytes: TOP, frames: [[4, page]] },
    { bytes: TOP, frames: [[-1, page]] },
    {
      bytes: TOP,
      frames: [
        [0, page],
        [0, page],
      ],
    },
    { bytes: TOP, frames: [[0, page.slice(4)]] },
    { bytes: TOP, frames: [[0, `!${page.slice(1)}`]] },
    { bytes: TOP, frames: [[0, 5]] },
    { bytes: TOP, frames: [0] },
  ]) {
    expect(() => memory.restore(state)).toThrow(InvalidInput);
    expect(memory.u8.every((b) => b === 9)).toBe(true);
  }
});

test('base64 agrees with that of Node, and only canonical text is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.string({ maxLength: 9 }), (bytes, text) => {
      const encoded = Buffer.from(bytes).toString('base64');
      expect(toBase64(bytes)).toBe(encoded);
      expect(fromBase64(encoded)).toEqual(bytes);
      const read = fromBase64(text);
      if (read !== null) expect(toBase64(read)).toBe(text);
    }),
  );
});
