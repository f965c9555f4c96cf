import { expect, test } from 'vitest';
import { CONTEXT, CR0, CR0_PG, CR3, REGISTER_FILE_WORDS } from '../../src/base/registers.ts';
import { PF, SIGNAL_EXCEPTION, Signal } from '../../src/base/signal.ts';
import { Mmu } from '../../src/mmu/mmu.ts';
import { PhysicalMemory } from '../../src/mmu/physical-memory.ts';

function machine() {
  const memory = new PhysicalMemory(1 << 22);
  const signal = new Signal();
  const S = new Int32Array(REGISTER_FILE_WORDS);
  const mmu = new Mmu({ memory, signal, registers: S, contexts: 4 });
  return { memory, signal, S, mmu };
}

test('with paging off a linear address is the physical one', () => {
  const { memory, S, mmu } = machine();
  mmu.write32(0x1234, 0x89abcdef);
  expect(memory.read32(0x1234)).toBe(0x89abcdef | 0);
  expect(mmu.T[S[CONTEXT] + 1]).toBe(0);
  expect(mmu.read32(0x8000_0000)).toBe(-1);
});

test('a page table is followed, its accessed and dirty flags are set, a fault says why', () => {
  const { memory, S, mmu, signal } = machine();
  memory.write32(0x1000 + 4 * 4, 0x2007);
  memory.write32(0x2000 + 5 * 4, 0x3007);
  memory.write32(0x3018, 1234);
  S[CR3] = 0x1000;
  S[CR0] |= CR0_PG;
  mmu.controlRegistersChanged(0, 0);
  const a = (4 << 22) | (5 << 12) | 0x18;
  expect(mmu.read32(a)).toBe(1234);
  expect(memory.read32(0x1010)).toBe(0x2027);
  expect(memory.read32(0x2014)).toBe(0x3027);
  mmu.write32(a, 5);
  expect(memory.read32(0x2014)).toBe(0x3067);
  expect(mmu.T[S[CONTEXT] + (a >>> 12)]).toBe(((a & ~0xfff) ^ 0x3000) | 0);
  expect(() => mmu.read32(a + 0x1000)).toThrow();
  expect(signal).toMatchObject({ kind: SIGNAL_EXCEPTION, vector: PF, errorCode: 0, linear: a + 0x1000 });
});
