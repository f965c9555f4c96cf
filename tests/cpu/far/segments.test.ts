import { describe, expect, test } from 'vitest';
import {
  AR_UNUSABLE,
  CS,
  DS,
  EAX,
  EBX,
  ES,
  ESI,
  ESP,
  FS,
  GS,
  INTERRUPTIBILITY,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
} from '../../../src/base/registers.ts';
import { GP, NP, SS, UD } from '../../../src/base/signal.ts';
import { loadSegment } from '../../../src/cpu/far/index.ts';
import {
  CONFORMING,
  DATA0,
  DATA3,
  EXECUTE_ONLY,
  EXECUTE_READ,
  EXPAND_DOWN,
  FarMachine,
  FREE,
  FREE2,
  le32,
  READ_ONLY,
  READ_WRITE,
  type SegmentParts,
  STACK0,
} from './far-machine.ts';

const FLAT = { limit: 0xf_ffff, pages: true, big: true } as const;
/** MOV Sreg, BX with the selector in BX. */
const moveTo = (m: FarMachine, segment: number, selector: number): ReturnType<FarMachine['execute']> => {
  m.S[EBX] = 0x7777_0000 | selector;
  return m.execute(0x8e, 0xc3 | (segment << 3));
};

describe('loading a segment register', () => {
  test('fills the hidden part and marks the descriptor as accessed', () => {
    const m = new FarMachine();
    m.segment(FREE, { base: 0x1234_5678, limit: 0x9_8765, type: READ_WRITE, big: true });
    expect(moveTo(m, FS, FREE | 3)).toEqual({ vector: GP, errorCode: FREE });
    expect(moveTo(m, FS, FREE)).toBeNull();
    expect([SEG_SELECTOR, SEG_BASE, SEG_LIMIT, SEG_ACCESS].map((part) => m.S[part + FS])).toEqual([
      FREE,
      0x1234_5678,
      0x9_8765,
      0x4093,
    ]);
    expect(m.rightsInMemory(FREE)).toBe(0x93);
  });

  test('scales a limit in pages', () => {
    const m = new FarMachine();
    m.segment(FREE, { limit: 3, pages: true, type: READ_ONLY });
    expect(moveTo(m, GS, FREE)).toBeNull();
    expect([m.S[SEG_LIMIT + GS], m.S[SEG_ACCESS + GS]]).toEqual([0x3fff, 0x8091]);
  });

  test('looks into the LDT if the selector says so', () => {
    const m = new FarMachine();
    m.segment(0x0c, { base: 0x42, type: READ_WRITE });
    expect(moveTo(m, ES, 0x0c)).toBeNull();
    expect(m.S[SEG_BASE + ES]).toBe(0x42);
    m.S[SEG_ACCESS + 6] = AR_UNUSABLE;
    expect(moveTo(m, ES, 0x0c)).toEqual({ vector: GP, errorCode: 0x0c });
  });

  test('with a null selector makes it unusable, whatever the RPL', () => {
    const m = new FarMachine(3);
    for (let selector = 0; selector < 4; selector++) {
      expect(moveTo(m, DS, selector)).toBeNull();
      expect([m.S[SEG_SELECTOR + DS], m.S[SEG_ACCESS + DS]]).toEqual([selector, AR_UNUSABLE]);
    }
    expect(m.execute(0x8e, 0x1e)).toEqual({ vector: GP, errorCode: 0 });
  });

  type Row = [string, 0 | 3, number, number, SegmentParts, { vector: number; errorCode: number } | null];
  const gp = { vector: GP, errorCode: FREE };
  test.each<Row>([
    ['DS, read-only data', 0, DS, 0, { type: READ_ONLY }, null],
    ['DS, readable code', 0, DS, 0, { type: EXECUTE_READ }, null],
    ['DS, execute-only code', 0, DS, 0, { type: EXECUTE_ONLY }, gp],
    ['DS, a TSS', 0, DS, 0, { type: 9 }, gp],
    ['DS, ring 3 data in ring 0', 0, DS, 0, { type: READ_WRITE, dpl: 3 }, null],
    ['DS, ring 0 data in ring 3', 3, DS, 3, { type: READ_WRITE }, gp],
    ['DS, ring 0 data in ring 0 with RPL 3', 0, DS, 3, { type: READ_WRITE }, gp],
    ['DS, ring 0 conforming code in ring 3', 3, DS, 3, { type: CONFORMING }, null],
    ['DS, not present', 0, DS, 0, { type: READ_WRITE, present: false }, { vector: NP, errorCode: FREE }],
    ['SS, writable data', 0, SS_, 0, { type: READ_WRITE }, null],
    ['SS, expand-down data', 0, SS_, 0, { type: EXPAND_DOWN }, null],
    ['SS, read-only data', 0, SS_, 0, { type: READ_ONLY }, gp],
    ['SS, readable code', 0, SS_, 0, { type: EXECUTE_READ }, gp],
    ['SS, ring 3 data in ring 0', 0, SS_, 0, { type: READ_WRITE, dpl: 3 }, gp],
    ['SS, ring 0 data with RPL 3', 0, SS_, 3, { type: READ_WRITE }, gp],
    ['SS, ring 3 data in ring 3', 3, SS_, 3, { type: READ_WRITE, dpl: 3 }, null],
    ['SS, not present', 0, SS_, 0, { type: READ_WRITE, present: false }, { vector: SS, errorCode: FREE }],
  ])('%s', (_, ring, segment, rpl, parts, outcome) => {
    const m = new FarMachine(ring);
    m.segment(FREE, parts);
    const before = m.S[SEG_SELECTOR + segment];
    expect(moveTo(m, segment, FREE | rpl)).toEqual(outcome);
    expect(m.S[SEG_SELECTOR + segment]).toBe(outcome === null ? FREE | rpl : before);
    if (outcome !== null) expect(m.because).not.toBe('');
  });

  test('SS refuses a null selector with #GP(0)', () => {
    expect(moveTo(new FarMachine(), SS_, 0)).toEqual({ vector: GP, errorCode: 0 });
  });

  test('beyond the table names the selector, and says so in words', () => {
    const m = new FarMachine();
    expect(moveTo(m, ES, 0x83)).toEqual({ vector: GP, errorCode: 0x80 });
    expect(m.because).toBe('selector 0083h is beyond the GDT limit');
  });

  test('CS and the registers that do not exist are #UD', () => {
    const m = new FarMachine();
    for (const segment of [CS, 6, 7]) expect(moveTo(m, segment, DATA0)?.vector).toBe(UD);
    expect(m.execute(0x8c, 0xf0)?.vector).toBe(UD);
  });

  test('in real mode shifts the selector and keeps a large limit', () => {
    const m = new FarMachine().real();
    m.S[SEG_LIMIT + DS] = -1;
    m.S[SEG_ACCESS + DS] = 0xc093;
    loadSegment(m.cpu, DS, 0xffff);
    expect([m.S[SEG_BASE + DS], m.S[SEG_LIMIT + DS], m.S[SEG_ACCESS + DS]]).toEqual([0xf_fff0, -1, 0xc093]);
    m.S[SEG_ACCESS + FS] = AR_UNUSABLE;
    m.S[SEG_LIMIT + FS] = 0;
    loadSegment(m.cpu, FS, 0x10);
    expect([m.S[SEG_BASE + FS], m.S[SEG_LIMIT + FS], m.S[SEG_ACCESS + FS]]).toEqual([0x100, 0xffff, 0x93]);
  });

  test('for another privilege level judges by that one', () => {
    const m = new FarMachine();
    loadSegment(m.cpu, SS_, DATA3, 3);
    expect(m.ss).toBe(DATA3);
  });
});

describe('an access through a segment', () => {
  const offsets = [
    0, 1, 0xfff, 0x1000, 0x1001, 0xfffc, 0xfffd, 0xffff, 0x1_0000, 0xffff_fffc, 0xffff_fffd, 0xffff_ffff,
  ];
  /** Which of the offsets a doubleword may be read from. */
  const allowed = (parts: SegmentParts, write = false): number[] => {
    const m = new FarMachine();
    m.segment(FREE, { base: 0x10, ...parts });
    m.hold(FS, FREE);
    return offsets.filter((offset) => {
      try {
        expect(m.cpu.segmentCheck(FS, offset, 4, write) >>> 0).toBe((offset + 0x10) >>> 0);
        return true;
      } catch (thrown) {
        expect(thrown).toBe(m.cpu.signal);
        expect([m.cpu.signal.vector, m.cpu.signal.errorCode]).toEqual([GP, 0]);
        return false;
      }
    });
  };

  test('must end within the limit, counted in bytes', () => {
    expect(allowed({ limit: 0x1003, type: READ_WRITE })).toEqual([0, 1, 0xfff, 0x1000]);
    expect(allowed({ limit: 0x1003, type: READ_ONLY })).toEqual([0, 1, 0xfff, 0x1000]);
    expect(allowed({ limit: 0xffff, type: READ_WRITE })).toEqual([0, 1, 0xfff, 0x1000, 0x1001, 0xfffc]);
    expect(allowed({ limit: 2, type: READ_WRITE })).toEqual([]);
    expect(allowed({ ...FLAT, type: READ_WRITE })).toEqual(offsets);
  });

  test('must lie above the limit of an expand-down segment, below 64 KiB or 4 GiB', () => {
    expect(allowed({ limit: 0xfff, type: EXPAND_DOWN })).toEqual([0x1000, 0x1001, 0xfffc]);
    expect(allowed({ limit: 0x1000, type: EXPAND_DOWN, big: true })).toEqual([
      0x1001, 0xfffc, 0xfffd, 0xffff, 0x1_0000, 0xffff_fffc,
    ]);
    expect(allowed({ limit: 0xffff, type: EXPAND_DOWN })).toEqual([]);
  });

  test('must be one that the type allows', () => {
    const all = { ...FLAT };
    expect(allowed({ ...all, type: READ_ONLY }, true)).toEqual([]);
    expect(allowed({ ...all, type: EXECUTE_READ })).toEqual(offsets);
    expect(allowed({ ...all, type: CONFORMING })).toEqual(offsets);
    expect(allowed({ ...all, type: EXECUTE_READ }, true)).toEqual([]);
    expect(allowed({ ...all, type: EXECUTE_ONLY })).toEqual([]);
    expect(allowed({ ...all, type: EXPAND_DOWN - 2, limit: 0 }, true)).toEqual([]);
  });

  test('through a null selector is #GP(0), through SS out of bounds #SS(0)', () => {
    const m = new FarMachine();
    moveTo(m, ES, 0);
    expect(() => m.cpu.segmentCheck(ES, 0, 1, false)).toThrow();
    expect([m.cpu.signal.vector, m.cpu.signal.because]).toEqual([GP, 'ES: the segment register holds a null selector']);
    m.segment(FREE, { type: READ_WRITE, limit: 0xff });
    m.hold(SS_, FREE);
    expect(() => m.cpu.segmentCheck(SS_, 0xfe, 4, false)).toThrow();
    expect([m.cpu.signal.vector, m.cpu.signal.errorCode]).toEqual([SS, 0]);
  });
});

describe('moving segment registers', () => {
  test('MOV SS and POP SS hold interrupts off for one instruction, other loads do not', () => {
    const m = new FarMachine();
    moveTo(m, DS, DATA0);
    expect(m.S[INTERRUPTIBILITY]).toBe(0);
    moveTo(m, SS_, DATA0);
    expect(m.S[INTERRUPTIBILITY]).toBe(2);
    m.S[INTERRUPTIBILITY] = 0;
    m.push(DATA0);
    expect(m.execute(0x17)).toBeNull();
    expect([m.S[INTERRUPTIBILITY], m.esp]).toEqual([2, STACK0]);
  });

  test('MOV from one zero-extends into a register and stores a word', () => {
    const m = new FarMachine();
    m.S[EAX] = -1;
    m.execute(0x66, 0x8c, 0xd8);
    expect(m.S[EAX] >>> 0).toBe(0xffff_0000 + DATA0);
    m.execute(0x8c, 0xd8);
    expect(m.S[EAX]).toBe(DATA0);
    m.write32(0x6000, 0x9999_9999);
    m.execute(0x8c, 0x1d, ...le32(0x6000));
    expect(m.read32(0x6000)).toBe(0x9999_0000 + DATA0);
  });

  test('PUSH of one takes a whole slot of which it writes the low word', () => {
    const m = new FarMachine();
    m.write32(STACK0 - 4, 0x9999_9999);
    m.execute(0x0f, 0xa8);
    expect([m.esp, m.read32(STACK0 - 4)]).toEqual([STACK0 - 4, 0x9999_0000 + DATA0]);
    for (const [bytes, segment] of [
      [[0x06], ES],
      [[0x0e], CS],
      [[0x16], SS_],
      [[0x1e], DS],
      [[0x0f, 0xa0], FS],
    ] as const) {
      m.execute(0x66, ...bytes);
      expect(m.stack(1, 2)).toEqual([m.S[SEG_SELECTOR + segment]]);
    }
    expect(m.esp).toBe(STACK0 - 14);
  });

  test('POP of one that faults leaves the stack pointer', () => {
    const m = new FarMachine();
    m.push(0xffff_0100);
    expect(m.execute(0x0f, 0xa1)).toEqual({ vector: GP, errorCode: 0x100 });
    expect(m.esp).toBe(STACK0 - 4);
    m.write32(STACK0 - 4, 0xffff_0000 | DATA3);
    expect(m.execute(0x0f, 0xa1)).toBeNull();
    expect([m.esp, m.S[SEG_SELECTOR + FS]]).toEqual([STACK0, DATA3]);
  });

  test('LDS LES LSS LFS LGS load the pair, or nothing', () => {
    for (const [opcode, segment] of [
      [[0xc5], DS],
      [[0xc4], ES],
      [[0x0f, 0xb2], SS_],
      [[0x0f, 0xb4], FS],
      [[0x0f, 0xb5], GS],
    ] as const) {
      const m = new FarMachine();
      m.segment(FREE2, { ...FLAT, type: READ_WRITE });
      m.write32(0x6000, 0x1234_5678);
      m.write16(0x6004, FREE2);
      expect(m.execute(...opcode, 0x35, ...le32(0x6000))).toBeNull();
      expect([m.S[ESI], m.S[SEG_SELECTOR + segment]]).toEqual([0x1234_5678, FREE2]);
      expect(m.S[INTERRUPTIBILITY]).toBe(0);
      const n = new FarMachine();
      n.write16(0x6004, 0x88);
      expect(n.execute(...opcode, 0x35, ...le32(0x6000))).toEqual({ vector: GP, errorCode: 0x88 });
      expect(n.S[ESI]).toBe(0);
    }
  });

  test('POP SS moves the stack pointer in the width of the old stack', () => {
    const m = new FarMachine();
    m.segment(FREE, { type: READ_WRITE });
    m.S[ESP] = 0x1_fffc;
    m.write32(0x1_fffc, FREE);
    expect(m.execute(0x17)).toBeNull();
    expect(m.esp).toBe(0x2_0000);
  });
});
