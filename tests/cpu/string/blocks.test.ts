import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTIVITY, ECX, EDI, EIP, ESI, EVENTS, FLAG_CF, FLAG_ZF } from '../../../src/base/registers.ts';
import { runs } from '../../effort.ts';
import { CODE, DATA, Processor } from '../processor.ts';

const LONG = 1000; // a budget with which blocks are not taken apart

/** Bytes as the memory of each test begins: no two neighbours alike. */
const pattern = (length: number): Uint8Array => Uint8Array.from({ length }, (_, k) => (k * 37 + (k >> 8)) & 0xff);

function processor(esi: number, edi: number): Processor {
  const p = new Processor();
  p.memory.writeBytes(DATA, pattern(0x4000));
  p.set({ eax: 0x8899_aabb, esi, edi });
  return p;
}

describe.each([1, 2, 4])('a single string instruction of %i bytes inside a block', (size) => {
  const prefix = size === 2 ? [0x66] : [];
  const wide = size === 1 ? 0 : 1;
  // Aligned; not aligned; across a page.
  const places = [
    [DATA + 0x100, DATA + 0x2200],
    [DATA + 0x101, DATA + 0x2203],
    [DATA + 0x1000 - 1, DATA + 0x3000 - 1],
  ] as const;

  test.each([
    ['up', 0xfc, 1],
    ['down', 0xfd, -1],
  ])('goes %s by its size, three times', (_, direction, sign) => {
    for (const [source, target] of places) {
      const at = (base: number, n: number): number => base + sign * n * size;
      const bytes = pattern(0x4000);
      const element = (base: number, n: number): number[] => [...bytes.subarray(at(base, n) - DATA).subarray(0, size)];

      const moved = processor(source, target);
      moved.load(direction, ...[0, 1, 2].flatMap(() => [...prefix, 0xa4 | wide]), 0xb3, 7); // movs ×3; mov bl, 7
      expect(moved.run(LONG)).toBe('halted');
      for (let n = 0; n < 3; n++) expect([...moved.memory.readBytes(at(target, n), size)]).toEqual(element(source, n));
      expect([moved.get('esi'), moved.get('edi')]).toEqual([at(source, 3), at(target, 3)]);
      expect(moved.get('ebx') & 0xff).toBe(7);

      const stored = processor(source, target);
      stored.load(direction, ...[0, 1].flatMap(() => [...prefix, 0xaa | wide])); // stos ×2
      expect(stored.run(LONG)).toBe('halted');
      for (let n = 0; n < 2; n++)
        expect([...stored.memory.readBytes(at(target, n), size)]).toEqual([0xbb, 0xaa, 0x99, 0x88].slice(0, size));
      expect([stored.get('esi'), stored.get('edi')]).toEqual([source, at(target, 2)]);

      const loaded = processor(source, target);
      loaded.load(direction, ...[0, 1].flatMap(() => [...prefix, 0xac | wide])); // lods ×2
      expect(loaded.run(LONG)).toBe('halted');
      const eax = [0xbb, 0xaa, 0x99, 0x88];
      eax.splice(0, size, ...element(source, 1));
      expect(loaded.get('eax')).toBe(new DataView(Uint8Array.from(eax).buffer).getUint32(0, true));
      expect([loaded.get('esi'), loaded.get('edi')]).toEqual([at(source, 2), target]);

      const scanned = processor(source, target);
      scanned.memory.writeBytes(target, Uint8Array.of(0xbb, 0xaa, 0x99, 0x88).subarray(0, size));
      scanned.load(direction, ...prefix, 0xae | wide); // scas
      expect(scanned.run(LONG)).toBe('halted');
      expect(scanned.cpu.getFlags() & (FLAG_ZF | FLAG_CF)).toBe(FLAG_ZF);
      expect(scanned.get('edi')).toBe(at(target, 1));
    }
  });
});

test('STOS over the next instruction of its block takes effect', () => {
  const p = processor(0, CODE + 1);
  p.set({ eax: 0x90, ebx: 0 });
  p.load(0xaa, 0x43, 0x43); // stosb; inc ebx twice
  expect(p.run(LONG)).toBe('halted');
  expect(p.get('ebx')).toBe(1);
});

test('however a run is cut, string instructions leave the same behind and take the same time', () => {
  // mov ecx, 150; rep movsb; mov ecx, 60; rep stosd; lodsb; mov ecx, 200; repe cmpsb; mov ecx, 90; repne scasb; inc ebx
  const program = [
    ...[0xb9, 150, 0, 0, 0, 0xf3, 0xa4, 0xb9, 60, 0, 0, 0, 0xf3, 0xab, 0xac],
    ...[0xb9, 200, 0, 0, 0, 0xf3, 0xa6, 0xb9, 90, 0, 0, 0, 0xf2, 0xae, 0x43],
  ];
  const p = new Processor();
  const outcome = (slices: readonly number[]): unknown => {
    p.memory.writeBytes(DATA, pattern(0x4000));
    p.set({ eax: 0x8899_aabb, ebx: 0, ecx: 0, esi: DATA + 0xfd0, edi: DATA + 0x1fe3 });
    p.cpu.setFlags(2);
    p.S[ACTIVITY] = 0;
    p.S[EVENTS] = 0;
    p.load(...program);
    const start = p.cpu.now();
    let end = 'budget';
    for (const slice of slices) {
      if (end !== 'budget') break;
      const before = p.cpu.now();
      end = p.run(slice);
      if (end === 'budget') expect(p.cpu.now() - before).toBe(slice);
    }
    if (end === 'budget') end = p.run(10_000);
    return [
      end,
      p.cpu.now() - start,
      p.S[EIP],
      [...p.S.subarray(0, 8)],
      p.cpu.getFlags(),
      Buffer.from(p.memory.readBytes(DATA, 0x4000)).toString('latin1'),
    ];
  };
  const whole = outcome([]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 260 }), { maxLength: 8 }), (slices) => {
      expect(outcome(slices)).toEqual(whole);
    }),
    { numRuns: runs(60) },
  );
});

test('REPNE SCASB finds what indexOf finds, and REPE SCASB what is unlike, from every alignment', () => {
  const p = processor(0, 0);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 7 }),
      fc.array(fc.constantFrom(0, 1, 0x7f, 0x80, 0x81, 0xff), { minLength: 1, maxLength: 90 }),
      fc.constantFrom(0, 1, 0x80, 0xff),
      fc.boolean(),
      (offset, bytes, value, whileEqual) => {
        p.memory.writeBytes(DATA + offset, Uint8Array.from(bytes));
        p.set({ ecx: bytes.length, edi: DATA + offset, eax: value });
        p.execute1(whileEqual ? 0xf3 : 0xf2, 0xae);
        const found = bytes.findIndex((b) => (b === value) !== whileEqual);
        const n = found < 0 ? bytes.length : found + 1;
        expect([p.S[EDI], p.S[ECX]]).toEqual([DATA + offset + n, bytes.length - n]);
        const last = bytes[n - 1] as number;
        expect(p.cpu.getFlags() & FLAG_ZF).toBe(last === value ? FLAG_ZF : 0);
        expect(p.cpu.getFlags() & FLAG_CF).toBe(value < last ? FLAG_CF : 0);
      },
    ),
    { numRuns: runs(300) },
  );
});

test('REPE CMPSD stops behind the first pair that differs, whatever byte of it does', () => {
  for (const [first, second] of [
    [DATA, DATA + 0x2000],
    [DATA + 1, DATA + 0x2001],
    [DATA + 2, DATA + 0x2003],
  ] as const) {
    for (let byte = 0; byte < 4; byte++) {
      const p = processor(first, second);
      p.memory.writeBytes(second, p.memory.readBytes(first, 400));
      const at = second + 60 * 4 + byte;
      p.memory.write8(at, p.memory.read8(at) ^ 0x80);
      p.set({ ecx: 100 });
      p.execute1(0xf3, 0xa7);
      expect([p.S[ECX], p.S[ESI], p.S[EDI]]).toEqual([39, first + 61 * 4, second + 61 * 4]);
      expect(p.cpu.getFlags() & FLAG_ZF).toBe(0);
    }
  }
});
