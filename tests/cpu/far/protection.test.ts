import { describe, expect, test } from 'vitest';
import {
  AR_UNUSABLE,
  CR0,
  CR0_PG,
  CR2,
  CR3,
  EAX,
  ECX,
  ESP,
  FLAG_ZF,
  GDTR_BASE,
  GDTR_LIMIT,
  IDTR_BASE,
  IDTR_LIMIT,
  LDTR,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  TR,
} from '../../../src/base/registers.ts';
import { BR, GP, NP, PF, UD } from '../../../src/base/signal.ts';
import { dispatch } from '../../../src/cpu/far/index.ts';
import type { ExecutionMonitor } from '../../../src/cpu/monitor.ts';
import {
  CODE,
  CODE0,
  CONFORMING,
  DATA0,
  DATA3,
  EXECUTE_ONLY,
  EXECUTE_READ,
  FarMachine,
  FREE,
  HANDLERS,
  le32,
  READ_ONLY,
  READ_WRITE,
  STACK0,
  STACK3,
  TSS,
} from './far-machine.ts';

/** Executes 0F `opcode` EAX, ECX with a selector in CX; EAX if ZF was set, else null. */
function ask(m: FarMachine, opcode: number, selector: number, size: 2 | 4 = 4): number | null {
  m.S[EAX] = 0x5555_5555;
  m.S[ECX] = 0x7777_0000 | selector;
  expect(m.execute(...(size === 2 ? [0x66] : []), 0x0f, opcode, 0xc1)).toBeNull();
  if (m.cpu.getFlags() & FLAG_ZF) return m.S[EAX] >>> 0;
  expect(m.S[EAX]).toBe(0x5555_5555);
  return null;
}
const LAR = 2;
const LSL = 3;
const systemTypes = (m: FarMachine, opcode: number): number[] =>
  Array.from({ length: 16 }, (_, type) => type).filter((type) => {
    m.segment(FREE, { type, limit: 0x1234 });
    return ask(m, opcode, FREE) !== null;
  });

describe('LAR and LSL', () => {
  test('show the rights and the limit of a segment', () => {
    const m = new FarMachine();
    m.segment(FREE, { base: 0x1234_5678, limit: 0xf_1234, pages: true, big: true, type: READ_ONLY, dpl: 1 });
    expect(ask(m, LAR, FREE)).toBe(0x00c0_b000);
    expect(ask(m, LAR, FREE, 2)).toBe(0x5555_b000);
    expect(ask(m, LSL, FREE)).toBe(0xf123_4fff);
    expect(ask(m, LSL, FREE, 2)).toBe(0x5555_4fff);
  });

  test('know which system segments have them', () => {
    expect(systemTypes(new FarMachine(), LAR)).toEqual([1, 2, 3, 4, 5, 9, 11, 12]);
    expect(systemTypes(new FarMachine(), LSL)).toEqual([1, 2, 3, 9, 11]);
  });

  test('clear ZF for what the program may not see', () => {
    const m = new FarMachine(3);
    for (const selector of [0, 3, 0x80, CODE0, DATA0, DATA3 & ~3]) {
      const visible = selector === (DATA3 & ~3);
      expect([selector, ask(m, LAR, selector) !== null]).toEqual([selector, visible]);
      expect([selector, ask(m, LSL, selector) !== null]).toEqual([selector, visible]);
    }
    m.segment(FREE, { type: CONFORMING });
    expect(ask(m, LAR, FREE)).toBe(0x9e00);
    const inner = new FarMachine();
    expect(ask(inner, LAR, DATA0 | 1)).toBeNull();
  });

  test('do not exist in real mode', () => {
    const m = new FarMachine().real();
    expect(m.execute(0x0f, LAR, 0xc1)?.vector).toBe(UD);
    expect(m.execute(0x0f, 0x00, 0xe1)?.vector).toBe(UD);
    expect(m.execute(0x63, 0xc1)?.vector).toBe(UD);
  });
});

test('VERR and VERW tell what could be read and written', () => {
  const m = new FarMachine();
  const verify = (type: number, dpl = 0): boolean[] => {
    m.segment(FREE, { type, dpl });
    m.S[ECX] = FREE;
    return [0xe1, 0xe9].map((modrm) => {
      expect(m.execute(0x0f, 0x00, modrm)).toBeNull();
      return (m.cpu.getFlags() & FLAG_ZF) !== 0;
    });
  };
  expect(verify(READ_ONLY)).toEqual([true, false]);
  expect(verify(READ_WRITE)).toEqual([true, true]);
  expect(verify(EXECUTE_ONLY)).toEqual([false, false]);
  expect(verify(EXECUTE_READ)).toEqual([true, false]);
  expect(verify(9)).toEqual([false, false]);
  const user = new FarMachine(3);
  user.S[ECX] = DATA0;
  user.execute(0x0f, 0x00, 0xe1);
  expect(user.cpu.getFlags() & FLAG_ZF).toBe(0);
});

test('ARPL raises an RPL and never lowers it', () => {
  const m = new FarMachine(3);
  m.S[EAX] = 0x1234_0011;
  m.S[ECX] = 2;
  m.execute(0x63, 0xc8);
  expect([m.S[EAX], m.cpu.getFlags() & FLAG_ZF]).toEqual([0x1234_0012, FLAG_ZF]);
  m.S[ECX] = 1;
  m.execute(0x63, 0xc8);
  expect([m.S[EAX], m.cpu.getFlags() & FLAG_ZF]).toEqual([0x1234_0012, 0]);
  m.write16(0x6000, 0x20);
  m.execute(0x63, 0x0d, ...le32(0x6000));
  expect(m.read16(0x6000)).toBe(0x21);
});

test('BOUND compares signed, both bounds included', () => {
  const m = new FarMachine();
  m.write32(0x6000, -5);
  m.write32(0x6004, 7);
  const bound = (index: number): number | undefined => {
    m.S[EAX] = index;
    return m.execute(0x62, 0x05, ...le32(0x6000))?.vector;
  };
  expect([-6, -5, 0, 7, 8].map(bound)).toEqual([BR, undefined, undefined, undefined, BR]);
  m.write16(0x6000, -5);
  m.write16(0x6002, 7);
  m.S[EAX] = 0x1234_fffb;
  expect(m.execute(0x66, 0x62, 0x05, ...le32(0x6000))).toBeNull();
});

describe('descriptor-table registers', () => {
  test('LGDT and LIDT load 32 bits of base, or 24 with a 16-bit operand', () => {
    const m = new FarMachine();
    m.write16(0x6000, 0x1234);
    m.write32(0x6002, 0xdead_beef);
    m.execute(0x0f, 0x01, 0x15, ...le32(0x6000));
    expect([m.S[GDTR_LIMIT], m.S[GDTR_BASE] >>> 0]).toEqual([0x1234, 0xdead_beef]);
    m.execute(0x66, 0x0f, 0x01, 0x1d, ...le32(0x6000));
    expect([m.S[IDTR_LIMIT], m.S[IDTR_BASE] >>> 0]).toEqual([0x1234, 0x00ad_beef]);
  });

  test('SGDT and SIDT store six bytes with either operand size', () => {
    const m = new FarMachine(3);
    m.S[GDTR_BASE] = 0xdead_beef | 0;
    m.execute(0x66, 0x0f, 0x01, 0x05, ...le32(0x6000));
    expect([m.read16(0x6000), m.read32(0x6002)]).toEqual([0x7f, 0xdead_beef]);
    m.execute(0x0f, 0x01, 0x0d, ...le32(0x6000));
    expect([m.read16(0x6000), m.read32(0x6002)]).toEqual([0x7ff, 0x2000]);
  });

  test('LTR marks the TSS as busy, and takes none that is', () => {
    const m = new FarMachine();
    m.segment(FREE, { base: 0x7000, limit: 0x67, type: 9 });
    m.S[EAX] = FREE;
    expect(m.execute(0x0f, 0x00, 0xd8)).toBeNull();
    expect([SEG_SELECTOR, SEG_BASE, SEG_LIMIT, SEG_ACCESS].map((part) => m.S[part + TR])).toEqual([
      FREE,
      0x7000,
      0x67,
      0x8b,
    ]);
    expect(m.rightsInMemory(FREE)).toBe(0x8b);
    expect(m.execute(0x0f, 0x00, 0xd8)).toEqual({ vector: GP, errorCode: FREE });
  });

  test.each<[string, number[], number, object, number, number]>([
    ['LTR of a null selector', [0xd8], 0, {}, GP, 0],
    ['LTR from the LDT', [0xd8], 0x0c, { type: 9 }, GP, 0x0c],
    ['LTR of an LDT', [0xd8], FREE, { type: 2 }, GP, FREE],
    ['LTR of a TSS that is not present', [0xd8], FREE, { type: 9, present: false }, NP, FREE],
    ['LLDT of a TSS', [0xd0], FREE, { type: 9 }, GP, FREE],
    ['LLDT beyond the GDT', [0xd0], 0x90, {}, GP, 0x90],
    ['LLDT of an LDT that is not present', [0xd0], FREE, { type: 2, present: false }, NP, FREE],
  ])('%s faults', (_, modrm, selector, parts, vector, errorCode) => {
    const m = new FarMachine();
    if ('type' in parts) m.segment(selector, parts as { type: number });
    m.S[EAX] = selector;
    expect(m.execute(0x0f, 0x00, ...modrm)).toEqual({ vector, errorCode });
  });

  test('LLDT of a null selector leaves no LDT; SLDT and STR read the selectors', () => {
    const m = new FarMachine();
    m.S[EAX] = 0;
    expect(m.execute(0x0f, 0x00, 0xd0)).toBeNull();
    expect(m.S[SEG_ACCESS + LDTR]).toBe(AR_UNUSABLE);
    m.S[EAX] = -1;
    m.execute(0x0f, 0x00, 0xc0);
    expect(m.S[EAX]).toBe(0);
    m.execute(0x66, 0x0f, 0x00, 0xc8);
    expect(m.S[EAX]).toBe(0x28);
  });

  test('loads need ring 0', () => {
    const m = new FarMachine(3);
    for (const bytes of [
      [0x0f, 0x00, 0xd0],
      [0x0f, 0x00, 0xd8],
      [0x0f, 0x01, 0x15, 0, 0, 0, 0],
    ])
      expect(m.execute(...bytes)).toEqual({ vector: GP, errorCode: 0 });
    expect(m.execute(0x0f, 0x00, 0xc0)).toBeNull();
  });

  test('may leave to the execution monitor, after the privilege check and before the operand is touched', () => {
    const m = new FarMachine();
    const asked: string[] = [];
    m.cpu.monitor = {
      nonRoot: true,
      intercept: (name: string) => asked.push(name) > 0,
    } as unknown as ExecutionMonitor;
    for (const bytes of [
      [0x0f, 0x01, 0x15, ...le32(0x6000)],
      [0x0f, 0x00, 0xd8],
      [0x0f, 0x02, 0xc1],
    ])
      m.execute(...bytes);
    expect(asked).toEqual(['GDTR_IDTR', 'LDTR_TR']);
    expect(m.S[GDTR_LIMIT]).toBe(0x7f);
    m.cpu.setCpl(3);
    expect(m.execute(0x0f, 0x00, 0xd8)).toEqual({ vector: GP, errorCode: 0 });
    expect(asked).toHaveLength(2);
  });
});

describe('with paging', () => {
  const DIRECTORY = 0x8_0000;
  const TABLE = 0x8_1000;
  /** Maps the first megabyte to itself, open to user code, except for the page at `hole`. */
  function paged(m: FarMachine, hole: number): FarMachine {
    m.write32(DIRECTORY, TABLE | 7);
    for (let page = 0; page < 0x100; page++) m.write32(TABLE + page * 4, (page << 12) | 7);
    m.write32(TABLE + (hole >> 12) * 4, 0);
    m.S[CR3] = DIRECTORY;
    m.S[CR0] |= CR0_PG;
    m.cpu.mmu.controlRegistersChanged(1, 0);
    return m;
  }

  test('a delivery frame that reaches into a missing page makes #PF and leaves the stack alone', () => {
    const m = paged(new FarMachine(), STACK0 - 0x1000);
    m.S[ESP] = STACK0 + 8;
    const before = m.read32(STACK0 + 4);
    const old = m.cpu.signal;
    expect(m.execute(0xcd, 0x30)).toBeNull();
    // The page fault cannot be delivered on this stack either: double fault, then shutdown.
    expect(old.vector).toBe(PF);
    expect([m.S[CR2], m.eip, m.esp]).toEqual([STACK0 - 4, CODE, STACK0 + 8]);
    expect(m.read32(STACK0 + 4)).toBe(before);
  });

  test('from ring 3 the stack of ring 0 is written with supervisor rights, the frame of ring 3 code with its own', () => {
    const m = paged(new FarMachine(3), 0x9_f000);
    m.write32(TABLE + ((STACK0 - 1) >> 12) * 4, (STACK0 - 0x1000) | 3);
    m.write32(TABLE + (TSS >> 12) * 4, TSS | 3);
    m.write32(TABLE, 3);
    m.write32(TABLE + 4, 0x1003);
    dispatch(m.cpu, { vector: 0x30, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
    expect([m.eip, m.cpl, m.esp]).toEqual([HANDLERS + 0x300, 0, STACK0 - 20]);
    expect(m.stack(5)).toEqual([CODE, 0x1b, 2, STACK3, DATA3]);
  });

  test('a descriptor whose accessed bit cannot be written is not loaded', () => {
    const m = paged(new FarMachine(3), 0x9_f000);
    m.segment(FREE, { type: READ_WRITE, dpl: 3 });
    m.write32(TABLE + 4, 0x1001);
    m.S[CR0] |= 0x1_0000;
    m.cpu.mmu.controlRegistersChanged(m.S[CR0] & ~0x1_0000, 0);
    m.S[EAX] = FREE | 3;
    expect(m.execute(0x8e, 0xe0)).toEqual({ vector: PF, errorCode: 3 });
    expect(m.S[SEG_SELECTOR + 4]).toBe(DATA3);
  });
});
