import { expect, test } from 'vitest';
import { compute } from '../../src/hypervisor/emulate-alu.ts';

// Expected values: worked by hand from SDM Vol. 1, "Status Flags". Flags: CF 1, PF 4, AF 10h, ZF 40h, SF 80h, OF 800h.
test.each([
  ['add', 0x7f, 0x01, 1, 0, 0x80, 0x890],
  ['add', 0xffff_ffff | 0, 1, 4, 0, 0, 0x55],
  ['adc', 0xff, 0x00, 1, 1, 0x100, 0x55],
  ['sub', 0x00, 0x01, 1, 0, -1, 0x95],
  ['sub', 0x8000, 0x0001, 2, 0, 0x7fff, 0x814],
  ['sbb', 0, 0xff, 1, 1, -256, 0x55],
  ['cmp', 5, 5, 4, 1, 0, 0x44],
  ['and', 0xf0, 0x0f, 1, 1, 0, 0x44],
  ['or', 0x8000_0000 | 0, 1, 4, 0x801, 0x8000_0001 | 0, 0x80],
  ['xor', 0xff, 0xff, 1, 0, 0, 0x44],
  ['inc', 0x7fff_ffff, 0, 4, 1, 0x8000_0000 | 0, 0x895],
  ['dec', 0, 0, 1, 0, -1, 0x94],
  ['neg', 1, 0, 4, 0, -1, 0x95],
  ['not', 0, 0, 4, 0x8d5, -1, 0x8d5],
] as const)('%s %i, %i (%i bytes)', (operation, a, b, size, before, value, flags) => {
  const result = compute(operation, a, b, size, before);
  expect([result.value, result.flags]).toEqual([value, flags]);
  expect(result.stores).toBe(operation !== 'cmp');
});
