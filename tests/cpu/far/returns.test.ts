import { describe, expect, test } from 'vitest';
import { Unimplemented } from '../../../src/base/errors.ts';
import {
  AR_UNUSABLE,
  CR0,
  CR0_AM,
  DS,
  EFLAGS,
  ES,
  ESP,
  FS,
  GS,
  INTERRUPTIBILITY,
  SEG_ACCESS,
  SEG_SELECTOR,
  SS_,
} from '../../../src/base/registers.ts';
import { GP, NP, SS } from '../../../src/base/signal.ts';
import {
  CODE0,
  CODE3,
  CONFORMING,
  DATA0,
  DATA3,
  EXECUTE_READ,
  FarMachine,
  FREE,
  FREE2,
  le16,
  READ_WRITE,
  STACK0,
} from './far-machine.ts';

const FLAT = { limit: 0xf_ffff, pages: true, big: true } as const;
const RETF = [0xcb];
const IRETD = [0xcf];

describe('far RET', () => {
  test('to the same level pops offset and selector, and releases parameters', () => {
    const m = new FarMachine();
    m.push(CODE0, 0x4_0000);
    expect(m.execute(0xca, ...le16(12))).toBeNull();
    expect([m.cs, m.eip, m.esp]).toEqual([CODE0, 0x4_0000, STACK0 + 12]);
  });

  test('with a 16-bit operand pops words', () => {
    const m = new FarMachine();
    m.push16(CODE0, 0xfedc);
    expect(m.execute(0x66, ...RETF)).toBeNull();
    expect([m.cs, m.eip, m.esp]).toEqual([CODE0, 0xfedc, STACK0]);
  });

  test('to ring 3 takes SS:ESP from behind the parameters and releases them on both stacks', () => {
    const m = new FarMachine();
    m.push(DATA3, 0x3_0000, 0x222, 0x111, CODE3, 0x4_0000);
    expect(m.execute(0xca, ...le16(8))).toBeNull();
    expect([m.cs, m.ss, m.cpl, m.eip, m.esp]).toEqual([CODE3, DATA3, 3, 0x4_0000, 0x3_0008]);
  });

  test('to ring 3 takes away data segments of ring 0, but not conforming code and not those of ring 3', () => {
    const m = new FarMachine();
    m.segment(FREE, { ...FLAT, type: CONFORMING });
    m.hold(ES, FREE);
    m.hold(FS, DATA3);
    m.push(DATA3, 0x3_0000, CODE3, 0x4_0000);
    expect(m.execute(...RETF)).toBeNull();
    expect([ES, FS, GS, DS].map((segment) => m.S[SEG_SELECTOR + segment])).toEqual([FREE, DATA3, 0, 0]);
    expect([GS, DS].map((segment) => m.S[SEG_ACCESS + segment])).toEqual([AR_UNUSABLE, AR_UNUSABLE]);
  });

  test('to a 16-bit stack changes only SP', () => {
    const m = new FarMachine();
    m.segment(FREE, { type: READ_WRITE, dpl: 3 });
    m.push(FREE | 3, 0x5555_1234, CODE3, 0x4_0000);
    expect(m.execute(...RETF)).toBeNull();
    expect(m.esp).toBe(((STACK0 - 16) & 0xffff_0000) | 0x1234);
  });

  test.each<[string, number[], number, number]>([
    ['a null CS', [2, 0], GP, 0],
    ['a CS beyond the GDT', [0x88, 0], GP, 0x88],
    ['a data segment as CS', [DATA0, 0], GP, DATA0],
    ['a CS whose DPL is not its RPL', [CODE0 | 3, 0], GP, CODE0],
    ['a CS that is not present', [FREE, 0], NP, FREE],
    ['an offset beyond the limit', [FREE2, 0x100], GP, 0],
    ['a null SS', [0, 0x100, CODE3, 0], GP, 0],
    ['an SS of ring 0', [DATA0, 0x100, CODE3, 0], GP, DATA0],
    ['an SS whose DPL is 0 although its RPL is 3', [DATA0 | 3, 0x100, CODE3, 0], GP, DATA0],
    ['an SS that is code', [CODE3, 0x100, CODE3, 0], GP, CODE3 & ~3],
    ['an SS that is not present', [0x4b, 0x100, CODE3, 0], SS, 0x48],
  ])('with %s faults and changes nothing', (_, frame, vector, errorCode) => {
    for (const [name, instruction, flags] of [
      ['RET', RETF, []],
      ['IRET', IRETD, [2]],
    ] as const) {
      const m = new FarMachine();
      m.segment(FREE, { ...FLAT, type: EXECUTE_READ, present: false });
      m.segment(FREE2, { type: EXECUTE_READ, limit: 0xff });
      m.segment(0x48, { ...FLAT, type: READ_WRITE, dpl: 3, present: false });
      m.push(...frame.slice(0, -2), ...flags, ...frame.slice(-2));
      const esp = m.esp;
      expect([name, m.execute(...instruction)]).toEqual([name, { vector, errorCode }]);
      expect([m.cs, m.ss, m.esp, m.cpl]).toEqual([CODE0, DATA0, esp, 0]);
      expect(m.because).not.toBe('');
    }
  });

  test('to conforming code asks for a DPL that is at most its RPL', () => {
    const m = new FarMachine();
    m.segment(FREE, { ...FLAT, type: CONFORMING, dpl: 0 });
    m.push(DATA3, 0x3_0000, FREE | 3, 0x4_0000);
    expect(m.execute(...RETF)).toBeNull();
    expect([m.cs, m.cpl, m.eip]).toEqual([FREE | 3, 3, 0x4_0000]);
    const n = new FarMachine();
    n.segment(FREE, { ...FLAT, type: CONFORMING, dpl: 1 });
    n.push(FREE, 0x4_0000);
    expect(n.execute(...RETF)).toEqual({ vector: GP, errorCode: FREE });
  });

  test('to a more privileged level is refused', () => {
    const m = new FarMachine(3);
    m.push(CODE0, 0x4_0000);
    expect(m.execute(...RETF)).toEqual({ vector: GP, errorCode: CODE0 });
  });

  test('beyond the end of the stack is #SS(0)', () => {
    const m = new FarMachine();
    m.segment(FREE, { type: READ_WRITE, limit: 0x1007, big: true });
    m.hold(SS_, FREE);
    m.S[ESP] = 0x1002;
    expect(m.execute(...RETF)).toEqual({ vector: SS, errorCode: 0 });
  });

  test('in real mode pops IP and CS', () => {
    const m = new FarMachine().real();
    m.push16(0x300, 0x44);
    expect(m.execute(0xca, ...le16(6))).toBeNull();
    expect([m.cs, m.eip, m.esp]).toEqual([0x300, 0x44, 0x2006]);
  });
});

describe('IRET', () => {
  const ALL = 0x003f_7fd5 & ~0x2_0000 & ~0x100; // every flag but VM and TF

  test('at ring 0 takes all flags from the stack', () => {
    const m = new FarMachine();
    m.push(ALL, CODE0, 0x4_0000);
    expect(m.execute(...IRETD)).toBeNull();
    expect([m.eip, m.esp]).toEqual([0x4_0000, STACK0]);
    expect(m.cpu.getFlags()).toBe(ALL | 2);
  });

  test('with a 16-bit operand leaves the upper flags alone', () => {
    const m = new FarMachine();
    m.cpu.setFlags(0x20_0002);
    m.push16(0x3246, CODE0, 0x1234);
    expect(m.execute(0x66, ...IRETD)).toBeNull();
    expect(m.cpu.getFlags()).toBe(0x20_3246);
    expect([m.eip, m.esp]).toEqual([0x1234, STACK0]);
  });

  test('at ring 3 keeps IOPL, and IF unless IOPL lets the program set it', () => {
    const m = new FarMachine(3);
    m.cpu.setFlags(0x202);
    m.push(0x3046, CODE3, 0x4_0000);
    expect(m.execute(...IRETD)).toBeNull();
    expect(m.cpu.getFlags()).toBe(0x246);
    m.cpu.setFlags(0x3202);
    m.push(0x0046, CODE3, 0x4_0000);
    expect(m.execute(...IRETD)).toBeNull();
    expect(m.cpu.getFlags()).toBe(0x3046);
  });

  test('to ring 3 loads SS:ESP and judges the flags by the old level', () => {
    const m = new FarMachine();
    m.push(DATA3, 0x3_0000, 0x3202, CODE3, 0x4_0000);
    expect(m.execute(...IRETD)).toBeNull();
    expect([m.cs, m.ss, m.cpl, m.eip, m.esp]).toEqual([CODE3, DATA3, 3, 0x4_0000, 0x3_0000]);
    expect(m.cpu.getFlags()).toBe(0x3202);
    expect(m.S[SEG_SELECTOR + DS]).toBe(0);
  });

  test('ends the blocking of NMIs', () => {
    const m = new FarMachine();
    m.S[INTERRUPTIBILITY] = 8;
    m.push(2, CODE0, 0x4_0000);
    m.execute(...IRETD);
    expect(m.S[INTERRUPTIBILITY]).toBe(0);
  });

  test('ignores VM in ring 3, and asks for alignment checks only where CR0 does', () => {
    const m = new FarMachine(3);
    m.push(0x6_0002, CODE3, 0x1_0000, 0x6_0002, CODE3, 0x1_0000);
    expect(m.execute(...IRETD)).toBeNull();
    expect(m.S[EFLAGS]).toBe(0x4_0002);
    m.S[CR0] |= CR0_AM;
    expect(() => m.execute(...IRETD)).toThrow(new Unimplemented('alignment check'));
  });

  test('in real mode pops IP, CS and FLAGS', () => {
    const m = new FarMachine().real();
    m.cpu.setFlags(0x20_0002);
    m.push16(0x7ed7, 0x300, 0x44);
    expect(m.execute(...IRETD)).toBeNull();
    expect([m.cs, m.eip, m.esp, m.cpu.getFlags()]).toEqual([0x300, 0x44, 0x2000, 0x20_7ed7]);
  });
});
