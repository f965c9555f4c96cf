/** SYSENTER and SYSEXIT. Expected values: SDM Vol. 2, SYSENTER, SYSEXIT. */
import { describe, expect, test } from 'vitest';
import {
  CR0,
  CS,
  DS,
  ECX,
  EDX,
  EFLAGS,
  ESP,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from '../../../src/base/registers.ts';
import { GP, UD } from '../../../src/base/signal.ts';
import { plainModel } from '../../../src/cpu/model.ts';
import { Machine } from '../../../src/machine/machine.ts';
import { DATA0, DATA3, FarMachine, STACK3 } from './far-machine.ts';

const ENTER = [0x0f, 0x34];
const EXIT = [0x0f, 0x35];

function machine(ring: 0 | 3): FarMachine {
  const m = new FarMachine(ring);
  m.set(SYSENTER_CS, 0x08);
  m.set(SYSENTER_ESP, 0x4_4444);
  m.set(SYSENTER_EIP, 0x5_5555);
  m.set(EDX, 0x6_6666);
  m.set(ECX, 0x7_7777);
  return m;
}

/** Selector, base, limit, access of a segment register. */
const parts = ({ S }: FarMachine, s: number): number[] =>
  [SEG_SELECTOR, SEG_BASE, SEG_LIMIT, SEG_ACCESS].map((k) => (S[k + s] as number) >>> 0);

describe('SYSENTER', () => {
  test.each([0, 3] as const)('from ring %i goes to ring 0 with flat segments, interrupts off', (ring) => {
    const m = machine(ring);
    m.set(EFLAGS, 0x3ed7);
    expect(m.execute(...ENTER)).toBeNull();
    expect([m.eip, m.esp, m.cpl]).toEqual([0x5_5555, 0x4_4444, 0]);
    expect(parts(m, CS)).toEqual([0x08, 0, 0xffff_ffff, 0xc09b]);
    expect(parts(m, SS_)).toEqual([0x10, 0, 0xffff_ffff, 0xc093]);
    expect(m.S[SEG_SELECTOR + DS]).toBe(ring === 0 ? DATA0 : DATA3);
    expect(m.cpu.getFlags()).toBe(0x3cd7);
  });

  test('looks at no descriptor, and takes the low bits of its selector for 0', () => {
    const m = machine(3);
    m.set(SYSENTER_CS, 0x1_fffb);
    expect(m.execute(...ENTER)).toBeNull();
    expect([m.cs, m.ss]).toEqual([0xfff8, 0]);
  });

  test('leaves virtual-8086 mode', () => {
    const m = machine(3);
    m.set(EFLAGS, 0x2_0202);
    expect(m.execute(...ENTER)).toBeNull();
    expect([m.cpu.getFlags(), m.cpl]).toEqual([2, 0]);
  });
});

describe('SYSEXIT', () => {
  test('goes to ring 3 behind the two segments of ring 0, flags as they are', () => {
    const m = machine(0);
    m.set(EFLAGS, 0x202);
    expect(m.execute(...EXIT)).toBeNull();
    expect([m.eip, m.esp, m.cpl]).toEqual([0x6_6666, 0x7_7777, 3]);
    expect(parts(m, CS)).toEqual([0x1b, 0, 0xffff_ffff, 0xc0fb]);
    expect(parts(m, SS_)).toEqual([0x23, 0, 0xffff_ffff, 0xc0f3]);
    expect(m.cpu.getFlags()).toBe(0x202);
  });

  test('is not for outer rings', () => {
    const m = machine(3);
    expect(m.execute(...EXIT)).toEqual({ vector: GP, errorCode: 0 });
    expect([m.cpl, m.esp]).toEqual([3, STACK3]);
  });
});

describe.each([
  ['SYSENTER', ENTER],
  ['SYSEXIT', EXIT],
])('%s', (_, bytes) => {
  test.each([0, 3, 0x1_0000])('with IA32_SYSENTER_CS = %i is #GP(0), and nothing has changed', (selector) => {
    const m = machine(0);
    m.set(SYSENTER_CS, selector);
    const esp = m.S[ESP];
    expect(m.execute(...bytes)).toEqual({ vector: GP, errorCode: 0 });
    expect(m.S[ESP]).toBe(esp);
  });

  test('in real-address mode is #GP', () => {
    const m = machine(0).real();
    expect(m.S[CR0] & 1).toBe(0);
    expect(m.execute(...bytes)?.vector).toBe(GP);
  });

  test('with LOCK is undefined', () => {
    expect(machine(0).execute(0xf0, ...bytes)).toEqual({ vector: UD, errorCode: -1 });
  });
});

test('a processor that does not show SEP has neither', () => {
  for (const bytes of [ENTER, EXIT]) {
    const m = new Machine({ memory: 0x10_0000, contexts: 3, processor: plainModel });
    m.load(Uint8Array.from(bytes), { load: 0x1000 });
    expect(m.run({ maxInstructions: 100 }).kind).toBe('triple-fault');
  }
});
