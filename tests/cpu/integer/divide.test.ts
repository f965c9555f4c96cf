import fc from 'fast-check';
import { expect, test } from 'vitest';
import { runs } from '../../effort.ts';
import { Processor } from '../processor.ts';

const DIV_EBX = [0xf7, 0xf3];
const IDIV_EBX = [0xf7, 0xfb];
const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
);

test('DIV of 64 by 32 bits is exact, and raises #DE exactly where the quotient needs more than 32 bits', () => {
  const p = new Processor();
  fc.assert(
    fc.property(word, word, word, (high, low, divisor) => {
      p.set({ edx: high, eax: low, ebx: divisor });
      const vector = p.execute1(...DIV_EBX);
      const dividend = (BigInt(high) << 32n) | BigInt(low);
      const fits = divisor !== 0 && dividend / BigInt(divisor) <= 0xffff_ffffn;
      expect(vector).toBe(fits ? null : 0);
      expect(p.get('eax')).toBe(fits ? Number(dividend / BigInt(divisor)) : low);
      expect(p.get('edx')).toBe(fits ? Number(dividend % BigInt(divisor)) : high);
    }),
    { numRuns: runs(400) },
  );
});

test('IDIV of 64 by 32 bits rounds towards zero, and raises #DE exactly where the quotient does not fit', () => {
  const p = new Processor();
  fc.assert(
    fc.property(word, word, word, fc.boolean(), (upper, low, divisor, small) => {
      const high = small ? (low >= 0x8000_0000 ? 0xffff_ffff : 0) : upper;
      p.set({ edx: high, eax: low, ebx: divisor });
      const vector = p.execute1(...IDIV_EBX);
      const dividend = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
      const by = BigInt.asIntN(32, BigInt(divisor));
      const fits = by !== 0n && BigInt.asIntN(32, dividend / by) === dividend / by;
      expect(vector).toBe(fits ? null : 0);
      expect(p.get('eax')).toBe(fits ? Number(BigInt.asUintN(32, dividend / by)) : low);
      expect(p.get('edx')).toBe(fits ? Number(BigInt.asUintN(32, dividend % by)) : high);
    }),
    { numRuns: runs(400) },
  );
});

test('IDIV of the most negative byte quotient fits, one more does not', () => {
  const p = new Processor();
  p.set({ eax: 0xff80, ebx: 1 }); // −128 / 1
  expect(p.execute1(0xf6, 0xfb)).toBeNull();
  expect(p.get('eax')).toBe(0x0080);
  p.set({ eax: 0xff7f, ebx: 1 }); // −129 / 1
  expect(p.execute1(0xf6, 0xfb)).toBe(0);
});
