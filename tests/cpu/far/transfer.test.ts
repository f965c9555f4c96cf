import { describe, expect, test } from 'vitest';
import { CS, EIP, ESP, SEG_ACCESS, SEG_BASE, SEG_LIMIT, SS_, START_EIP, TR } from '../../../src/base/registers.ts';
import { GP, NP, SS, TS } from '../../../src/base/signal.ts';
import {
  CODE,
  CODE0,
  CODE3,
  CONFORMING,
  DATA0,
  DATA3,
  EXECUTE_READ,
  EXPAND_DOWN,
  FarMachine,
  FREE,
  FREE2,
  FREE3,
  farCall,
  farJump,
  le16,
  le32,
  READ_WRITE,
  STACK0,
  STACK3,
  TSS,
  TSS_SELECTOR,
} from './far-machine.ts';

const FLAT = { limit: 0xf_ffff, pages: true, big: true } as const;

describe('far JMP', () => {
  test('loads CS with the privilege level as RPL and marks the descriptor as accessed', () => {
    const m = new FarMachine();
    m.segment(FREE, { base: 0x5000, limit: 0x1234, type: EXECUTE_READ });
    expect(m.execute(...farJump(FREE, 0x1200))).toBeNull();
    expect([m.cs, m.eip]).toEqual([FREE, 0x1200]);
    expect([m.S[SEG_BASE + CS], m.S[SEG_LIMIT + CS], m.S[SEG_ACCESS + CS]]).toEqual([0x5000, 0x1234, 0x9b]);
    expect(m.rightsInMemory(FREE)).toBe(0x9b);
    expect(m.cpu.codeSize).toBe(2);
  });

  test('takes its pointer from memory too, and 16 bits of offset with a 16-bit operand', () => {
    const m = new FarMachine();
    m.write32(0x6000, 0x1234_5678);
    m.write16(0x6004, CODE0);
    expect(m.execute(0xff, 0x2d, ...le32(0x6000))).toBeNull();
    expect(m.eip).toBe(0x1234_5678);
    m.S[EIP] = CODE;
    expect(m.execute(0x66, 0xea, ...le16(0xfedc), ...le16(CODE0))).toBeNull();
    expect(m.eip).toBe(0xfedc);
  });

  test.each([
    ['a null selector', 3, {}, GP, 0],
    ['a selector beyond the GDT', 0x80, {}, GP, 0x80],
    ['a selector beyond the LDT', 0x24 | 3, {}, GP, 0x24],
    ['a data segment', FREE, { type: READ_WRITE }, GP, FREE],
    ['an LDT', FREE, { type: 2 }, GP, FREE],
    ['a busy TSS', FREE, { type: 0xb }, GP, FREE],
    ['an interrupt gate', FREE, { type: 0xe }, GP, FREE],
    ['a less privileged segment', FREE, { type: EXECUTE_READ, dpl: 3 }, GP, FREE],
    ['a less privileged conforming segment', FREE, { type: CONFORMING, dpl: 1 }, GP, FREE],
    ['an RPL above CPL', FREE | 1, { type: EXECUTE_READ }, GP, FREE],
    ['a segment that is not present', FREE, { type: EXECUTE_READ, present: false }, NP, FREE],
    ['an offset beyond the limit', FREE, { type: EXECUTE_READ, limit: 0x10f }, GP, 0],
  ])('to %s faults and changes nothing', (_, selector, parts, vector, errorCode) => {
    const m = new FarMachine();
    if ('type' in parts) m.segment(FREE, parts as { type: number });
    const before = [...m.S];
    expect(m.execute(...farJump(selector, 0x110))).toEqual({ vector, errorCode });
    expect(m.because).not.toBe('');
    expect([...m.S]).toEqual(withStart(before));
  });

  test('into conforming code of ring 0 leaves a program in ring 3 there', () => {
    const m = new FarMachine(3);
    m.segment(FREE, { ...FLAT, type: CONFORMING });
    expect(m.execute(...farJump(FREE, 0x777))).toBeNull();
    expect([m.cs, m.cpl, m.eip]).toEqual([FREE | 3, 3, 0x777]);
  });

  test('through a call gate takes selector and offset from the gate, and checks both DPLs', () => {
    const m = new FarMachine(3);
    m.gate(FREE, { type: 12, selector: CODE3 & ~3, offset: 0x4_3210, dpl: 3 });
    expect(m.execute(...farJump(FREE, 0xdead))).toBeNull();
    expect([m.cs, m.eip]).toEqual([CODE3, 0x4_3210]);
    m.gate(FREE, { type: 12, selector: CODE3, offset: 0, dpl: 2 });
    expect(m.execute(...farJump(FREE, 0))).toEqual({ vector: GP, errorCode: FREE });
    m.gate(FREE, { type: 12, selector: CODE0, offset: 0, dpl: 3 });
    expect(m.execute(...farJump(FREE, 0))).toEqual({ vector: GP, errorCode: CODE0 });
    m.gate(FREE, { type: 12, selector: CODE3, offset: 0, dpl: 3, present: false });
    expect(m.execute(...farJump(FREE, 0))).toEqual({ vector: NP, errorCode: FREE });
    m.gate(FREE, { type: 12, selector: 0, offset: 0, dpl: 3 });
    expect(m.execute(...farJump(FREE, 0))).toEqual({ vector: GP, errorCode: 0 });
  });

  test('in real mode shifts the selector and keeps the limit', () => {
    const m = new FarMachine().real();
    m.S[SEG_ACCESS + CS] = 0x9b;
    expect(m.execute(0xea, ...le16(0x0010), ...le16(0xf000))).toBeNull();
    expect([m.cs, m.S[SEG_BASE + CS], m.eip, m.S[SEG_LIMIT + CS]]).toEqual([0xf000, 0xf_0000, 0x10, 0xffff]);
    expect(m.S[SEG_ACCESS + CS]).toBe(0x93);
    expect(m.execute(0x66, 0xea, ...le32(0x1_0000), ...le16(0))).toEqual({ vector: GP, errorCode: 0 });
  });
});

describe('far CALL', () => {
  test('pushes CS and the offset of the next instruction', () => {
    const m = new FarMachine();
    m.segment(FREE, { ...FLAT, type: EXECUTE_READ });
    expect(m.execute(...farCall(FREE, 0x100))).toBeNull();
    expect(m.stack(2)).toEqual([CODE + 7, CODE0]);
    expect([m.cs, m.eip, m.esp]).toEqual([FREE, 0x100, STACK0 - 8]);
  });

  test('with a 16-bit operand pushes words', () => {
    const m = new FarMachine();
    expect(m.execute(0x66, 0x9a, ...le16(0x100), ...le16(CODE0))).toBeNull();
    expect(m.stack(2, 2)).toEqual([(CODE + 6) & 0xffff, CODE0]);
  });

  test('faults with #SS(0) before it changes anything if the stack is full', () => {
    const m = new FarMachine();
    m.segment(FREE, { type: EXPAND_DOWN, limit: 0xffff, big: true });
    m.hold(SS_, FREE);
    m.S[ESP] = 0x1_0007;
    expect(m.execute(...farCall(CODE0, 0x100))).toEqual({ vector: SS, errorCode: 0 });
    expect(m.esp).toBe(0x1_0007);
    m.S[ESP] = 0x1_0008;
    expect(m.execute(...farCall(CODE0, 0x100))).toBeNull();
  });

  test('in real mode pushes CS:IP and wraps the stack at 64 KiB', () => {
    const m = new FarMachine().real();
    m.S[ESP] = 0xabcd_0002;
    expect(m.execute(0x9a, ...le16(0x10), ...le16(0x200))).toBeNull();
    expect([m.read16(0), m.read16(0xfffe)]).toEqual([0, 0x1005]);
    expect([m.cs, m.eip, m.esp]).toEqual([0x200, 0x10, 0xabcd_fffe]);
  });

  test('in real mode with one byte below the top of the segment faults', () => {
    const m = new FarMachine().real();
    m.S[ESP] = 1;
    expect(m.execute(0x9a, ...le16(0x10), ...le16(0x200))).toEqual({ vector: SS, errorCode: 0 });
  });
});

describe('CALL through a call gate', () => {
  const gateToRing0 = (m: FarMachine, count: number, type = 12): void =>
    m.gate(FREE, { type, selector: CODE0 | 3, offset: 0x5_4321, dpl: 3, count });

  test('of the same privilege pushes no stack pointer', () => {
    const m = new FarMachine();
    m.gate(FREE, { type: 12, selector: CODE0, offset: 0x5_4321, count: 3 });
    expect(m.execute(...farCall(FREE, 0))).toBeNull();
    expect([m.cs, m.eip, m.esp]).toEqual([CODE0, 0x5_4321, STACK0 - 8]);
    expect(m.stack(2)).toEqual([CODE + 7, CODE0]);
  });

  test('asks for a DPL that is at least CPL and the RPL of its selector', () => {
    const m = new FarMachine();
    m.gate(FREE, { type: 12, selector: CODE0, offset: 0x5_4321, dpl: 1 });
    expect(m.execute(...farCall(FREE | 2, 0))).toEqual({ vector: GP, errorCode: FREE });
    expect(m.execute(...farCall(FREE | 1, 0))).toBeNull();
  });

  test('to ring 0 switches the stack and copies the parameters in order', () => {
    const m = new FarMachine(3);
    gateToRing0(m, 3);
    m.push(0x111, 0x222, 0x333);
    expect(m.execute(...farCall(FREE | 3, 0))).toBeNull();
    expect([m.cs, m.ss, m.cpl, m.eip, m.esp]).toEqual([CODE0, DATA0, 0, 0x5_4321, STACK0 - 28]);
    expect(m.stack(7)).toEqual([CODE + 7, CODE3, 0x333, 0x222, 0x111, STACK3 - 12, DATA3]);
  });

  test('of 16 bits pushes and copies words and uses 16 bits of the offset', () => {
    const m = new FarMachine(3);
    gateToRing0(m, 2, 4);
    m.push16(0x1111, 0x2222);
    expect(m.execute(...farCall(FREE, 0))).toBeNull();
    expect([m.cs, m.eip, m.esp]).toEqual([CODE0, 0x4321, STACK0 - 12]);
    expect(m.stack(6, 2)).toEqual([(CODE + 7) & 0xffff, CODE3, 0x2222, 0x1111, (STACK3 - 4) & 0xffff, DATA3]);
  });

  test('into conforming code stays in its ring', () => {
    const m = new FarMachine(3);
    m.segment(FREE2, { ...FLAT, type: CONFORMING });
    m.gate(FREE, { type: 12, selector: FREE2, offset: 0x10, dpl: 3, count: 5 });
    expect(m.execute(...farCall(FREE, 0))).toBeNull();
    expect([m.cs, m.cpl, m.esp]).toEqual([FREE2 | 3, 3, STACK3 - 8]);
  });

  test('takes the stack from a 16-bit TSS if TR holds one', () => {
    const m = new FarMachine(3);
    gateToRing0(m, 0);
    m.S[SEG_ACCESS + TR] = 0x83;
    m.write16(TSS + 2, 0x8000);
    m.write16(TSS + 4, DATA0);
    expect(m.execute(...farCall(FREE, 0))).toBeNull();
    expect([m.ss, m.esp]).toEqual([DATA0, 0x8000 - 16]);
  });

  const writable = { ...FLAT, type: READ_WRITE };
  test.each<[string, (m: FarMachine) => void, number, number]>([
    ['a TSS that is too short', (m) => m.set(SEG_LIMIT + TR, 8), TS, TSS_SELECTOR],
    ['a null SS0', (m) => m.write16(TSS + 8, 0), TS, 0],
    ['an SS0 beyond the GDT', (m) => m.write16(TSS + 8, 0x100), TS, 0x100],
    ['an SS0 whose RPL is not 0', (m) => m.write16(TSS + 8, DATA0 | 1), TS, DATA0],
    ['an SS0 whose DPL is not 0', (m) => m.segment(FREE3, { ...writable, dpl: 1 }), TS, FREE3],
    ['an SS0 that is code', (m) => m.segment(FREE3, { ...FLAT, type: EXECUTE_READ }), TS, FREE3],
    ['an SS0 that is read-only', (m) => m.segment(FREE3, { ...FLAT, type: 0x10 }), TS, FREE3],
    ['an SS0 that is not present', (m) => m.segment(FREE3, { ...writable, present: false }), SS, FREE3],
    ['an SS0 that is too small', (m) => m.segment(FREE3, { ...writable, limit: 0x10, pages: false }), SS, FREE3],
    ['code that is not present', (m) => m.segment(CODE0, { ...FLAT, type: EXECUTE_READ, present: false }), NP, CODE0],
    ['code that is too short', (m) => m.segment(CODE0, { type: EXECUTE_READ, limit: 0xfff }), GP, 0],
  ])('to ring 0 with %s faults and changes nothing', (_, spoil, vector, errorCode) => {
    const m = new FarMachine(3);
    gateToRing0(m, 1);
    m.write16(TSS + 8, FREE3);
    m.segment(FREE3, writable);
    spoil(m);
    const before = [...m.S];
    const bytes = [...m.memory.readBytes(STACK0 - 64, 64)];
    expect(m.execute(...farCall(FREE, 0))).toEqual({ vector, errorCode });
    expect([...m.S]).toEqual(withStart(before));
    expect([...m.memory.readBytes(STACK0 - 64, 64)]).toEqual(bytes);
  });
});

/** The register file as it was, but for the note of where the instruction started. */
function withStart(before: number[]): number[] {
  const after = [...before];
  after[START_EIP] = CODE;
  return after;
}
