/** Virtual-8086 mode. Expected values: SDM Vol. 3, "8086 Emulation"; Vol. 2, "IRET/IRETD", "INT n". */
import { describe, expect, test } from 'vitest';
import {
  ACTIVITY,
  AR_UNUSABLE,
  CS,
  DS,
  EFLAGS,
  ES,
  FS,
  GS,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
} from '../../../src/base/registers.ts';
import { GP, SS, TS, UD } from '../../../src/base/signal.ts';
import { dispatch } from '../../../src/cpu/far/index.ts';
import { restoreCpu, saveCpu } from '../../../src/cpu/persist.ts';
import {
  CODE0,
  CODE3,
  CONFORMING,
  DATA0,
  EXECUTE_READ,
  FarMachine,
  FREE,
  HANDLERS,
  le16,
  STACK0,
  TSS,
} from './far-machine.ts';

const IRETD = [0xcf];
const O32 = 0x66;
const VM = 0x2_0000;
const IOPL3 = 0x3000;
const SIX = [ES, CS, SS_, DS, FS, GS];
const FLAT = { limit: 0xf_ffff, pages: true, big: true } as const;

/** The nine doublewords that IRETD takes, GS first. */
const frame = (flags: number, eip = 0x100): number[] => [
  0x7000,
  0x6000,
  0x5000,
  0x4000,
  0x3000,
  0xfffe,
  flags,
  0x2000,
  eip,
];

/** A machine at 2000:0100 in virtual-8086 mode, stack at 3000:FFFE. */
function virtual8086(flags = VM | 0x202): FarMachine {
  const m = new FarMachine();
  m.push(...frame(flags));
  expect(m.execute(...IRETD)).toBeNull();
  return m;
}

describe('IRETD that sets VM', () => {
  test('loads all segment registers as in real mode, with 64 KiB of ring 3', () => {
    const m = virtual8086(VM | IOPL3 | 0x4ed7);
    expect([m.cs, m.eip, m.ss, m.esp, m.cpl]).toEqual([0x2000, 0x100, 0x3000, 0xfffe, 3]);
    expect(SIX.map((s) => m.S[SEG_SELECTOR + s])).toEqual([0x4000, 0x2000, 0x3000, 0x5000, 0x6000, 0x7000]);
    for (const s of SIX) {
      expect(m.S[SEG_BASE + s]).toBe(m.S[SEG_SELECTOR + s] << 4);
      expect([m.S[SEG_LIMIT + s], m.S[SEG_ACCESS + s]]).toEqual([0xffff, 0xf3]);
    }
    expect(m.cpu.getFlags()).toBe(VM | IOPL3 | 0x4ed7);
    expect(m.cpu.codeSize).toBe(2);
  });

  test('refuses an EIP beyond 64 KiB, and a stack that does not hold nine doublewords', () => {
    const m = new FarMachine();
    m.push(...frame(VM | 2, 0x1_0000));
    expect(m.execute(...IRETD)).toEqual({ vector: GP, errorCode: 0 });
    const small = new FarMachine();
    small.push(...frame(VM | 2));
    small.S[SEG_LIMIT + SS_] = STACK0 - 5;
    expect(small.execute(...IRETD)).toEqual({ vector: SS, errorCode: 0 });
  });

  test('with a 16-bit operand returns within protected mode', () => {
    const m = new FarMachine();
    m.push16(2, CODE0, 0x1234);
    expect(m.execute(O32, ...IRETD)).toBeNull();
    expect([m.cs, m.cpl, m.S[EFLAGS] & VM]).toEqual([CODE0, 0, 0]);
  });
});

describe('in virtual-8086 mode', () => {
  test.each<[string, number[]]>([
    ['CLI', [0xfa]],
    ['STI', [0xfb]],
    ['PUSHF', [0x9c]],
    ['PUSHFD', [O32, 0x9c]],
    ['POPF', [0x9d]],
    ['INT n', [0xcd, 0x21]],
    ['IRET', [0xcf]],
  ])('%s raises #GP(0) with IOPL 2 and changes nothing', (_, bytes) => {
    const m = virtual8086(VM | 0x2202);
    expect(m.execute(...bytes)).toEqual({ vector: GP, errorCode: 0 });
    expect([m.esp, m.cpu.getFlags()]).toEqual([0xfffe, VM | 0x2202]);
  });

  test('the same instructions work with IOPL 3, and leave VM and IOPL alone', () => {
    const m = virtual8086(VM | IOPL3 | 0x202);
    expect(m.execute(0xfa)).toBeNull();
    expect(m.cpu.getFlags()).toBe(VM | IOPL3 | 2);
    expect(m.execute(O32, 0x9c)).toBeNull(); // VM and RF are not pushed
    expect(m.stack(1)).toEqual([IOPL3 | 2]);
    m.write32(0x3_fffa, 0xcd5);
    expect(m.execute(O32, 0x9d)).toBeNull();
    expect(m.cpu.getFlags()).toBe(VM | IOPL3 | 0xcd7);
  });

  test('IRET with IOPL 3 pops IP, CS and FLAGS as in real mode', () => {
    const m = virtual8086(VM | IOPL3 | 0x202);
    m.push16(0x4ed7 & ~0x100, 0x2222, 0x333);
    expect(m.execute(...IRETD)).toBeNull();
    expect([m.cs, m.S[SEG_BASE + CS], m.eip, m.esp]).toEqual([0x2222, 0x2_2220, 0x333, 0xfffe]);
    expect(m.cpu.getFlags()).toBe(VM | IOPL3 | (0x4ed7 & ~0x100));
    expect([m.S[SEG_ACCESS + CS], m.cpl]).toEqual([0xf3, 3]);
  });

  test.each<[string, number[], number]>([
    ['HLT', [0xf4], GP],
    ['CLTS', [0x0f, 0x06], GP],
    ['LGDT', [0x0f, 0x01, 0x16, 0, 0], GP],
    ['MOV CR0', [0x0f, 0x22, 0xc0], GP],
    ['INVLPG', [0x0f, 0x01, 0x3e, 0, 0], GP],
    ['LMSW', [0x0f, 0x01, 0xf0], GP],
    ['LLDT', [0x0f, 0x00, 0xd0], UD],
    ['LTR', [0x0f, 0x00, 0xd8], UD],
    ['SLDT', [0x0f, 0x00, 0xc0], UD],
    ['STR', [0x0f, 0x00, 0xc8], UD],
    ['LAR', [0x0f, 0x02, 0xc0], UD],
    ['LSL', [0x0f, 0x03, 0xc0], UD],
    ['VERR', [0x0f, 0x00, 0xe0], UD],
    ['VERW', [0x0f, 0x00, 0xe8], UD],
    ['ARPL', [0x63, 0xc0], UD],
  ])('%s faults even with IOPL 3', (_, bytes, vector) => {
    const m = virtual8086(VM | IOPL3 | 2);
    expect(m.execute(...bytes)?.vector).toBe(vector);
  });

  test('segment loads and far transfers need no descriptors', () => {
    const m = virtual8086();
    m.push16(0x1234);
    expect(m.execute(0x1f)).toBeNull(); // POP DS
    expect([m.S[SEG_SELECTOR + DS], m.S[SEG_BASE + DS], m.S[SEG_ACCESS + DS]]).toEqual([0x1234, 0x1_2340, 0xf3]);
    expect(m.execute(0x9a, ...le16(0x20), ...le16(0x2100))).toBeNull();
    expect([m.cs, m.eip, ...m.stack(2, 2)]).toEqual([0x2100, 0x20, 0x106, 0x2000]);
    expect(m.execute(0xcb)).toBeNull();
    expect([m.cs, m.eip, m.S[SEG_ACCESS + CS]]).toEqual([0x2000, 0x106, 0xf3]);
  });

  test('only the bit map of the TSS decides about ports, whatever IOPL is', () => {
    const m = virtual8086(VM | IOPL3 | 2);
    const IN_60 = [0xe4, 0x60];
    m.write16(TSS + 102, 0x68);
    expect(m.execute(...IN_60)).toEqual({ vector: GP, errorCode: 0 }); // a TSS without a bit map
    const n = virtual8086(VM | 2);
    n.S[SEG_LIMIT + 7] = 0x67 + 0x20;
    n.write16(TSS + 102, 0x68);
    n.memory.writeBytes(TSS + 0x68, new Uint8Array(0x20).fill(0xff));
    expect(n.execute(...IN_60)).toEqual({ vector: GP, errorCode: 0 });
    n.write16(TSS + 0x68 + 12, 0xfffe);
    expect(n.execute(...IN_60)).toBeNull();
  });
});

describe('an event in virtual-8086 mode', () => {
  test('goes to ring 0 with nine doublewords; segment registers are null in the handler', () => {
    const m = virtual8086(VM | 0x4202); // NT, too
    dispatch(m.cpu, { vector: 0x20, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
    expect([m.cs, m.eip, m.ss, m.esp, m.cpl]).toEqual([CODE0, HANDLERS + 0x200, DATA0, STACK0 - 36, 0]);
    expect(m.stack(9)).toEqual([0x100, 0x2000, VM | 0x4202, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000]);
    expect(m.cpu.getFlags()).toBe(2);
    for (const s of [ES, DS, FS, GS]) {
      expect(m.S[SEG_SELECTOR + s]).toBe(0);
      expect(m.S[SEG_ACCESS + s]).toBe(AR_UNUSABLE);
    }
    expect(m.execute(...IRETD)).toBeNull(); // and back
    expect([m.cs, m.eip, m.ss, m.esp, m.cpl]).toEqual([0x2000, 0x100, 0x3000, 0xfffe, 3]);
    expect([m.S[SEG_SELECTOR + GS], m.cpu.getFlags()]).toEqual([0x7000, VM | 0x4202]);
  });

  test('with an error code pushes ten, through a 16-bit gate ten words', () => {
    const m = virtual8086();
    m.idt(GP, { selector: CODE0, offset: 0x4_0000, type: 15 });
    m.step(0xf4);
    expect(m.esp).toBe(STACK0 - 40);
    expect(m.stack(3)).toEqual([0, 0x100, 0x2000]);
    expect(m.cpu.getFlags()).toBe(0x202); // a trap gate
    const n = virtual8086();
    n.idt(GP, { selector: CODE0, offset: 0x4444, type: 6 });
    n.step(0xf4);
    expect([n.eip, n.esp]).toEqual([0x4444, STACK0 - 20]);
    expect(n.stack(10, 2)).toEqual([0, 0x100, 0x2000, 0x202, 0xfffe, 0x3000, 0x4000, 0x5000, 0x6000, 0x7000]);
  });

  test.each<[string, Parameters<FarMachine['segment']>[1]]>([
    ['ring 3', { ...FLAT, type: EXECUTE_READ, dpl: 3 }],
    ['ring 1', { ...FLAT, type: EXECUTE_READ, dpl: 1 }],
    ['conforming code', { ...FLAT, type: CONFORMING }],
  ])('whose gate leads to %s raises #GP for that code segment', (_, parts) => {
    const m = virtual8086(VM | IOPL3 | 2);
    m.segment(FREE, parts);
    m.idt(0x21, { selector: FREE, offset: 0x4_0000, type: 14, dpl: 3 });
    m.step(0xcd, 0x21);
    expect([m.eip, m.esp]).toEqual([HANDLERS + GP * 16, STACK0 - 40]);
    expect(m.stack(2)).toEqual([FREE, 0x100]);
  });

  test('by INT n with IOPL 3 asks for a gate of DPL 3; INT3 does whatever IOPL is', () => {
    const m = virtual8086(VM | IOPL3 | 2);
    m.step(0xcd, 0x21);
    expect([m.eip, m.stack(1)[0]]).toEqual([HANDLERS + GP * 16, 0x21 * 8 + 2]);
    const n = virtual8086();
    n.idt(3, { selector: CODE0, offset: 0x4_0000, type: 14, dpl: 3 });
    n.step(0xcc);
    expect([n.eip, n.stack(1)[0]]).toEqual([0x4_0000, 0x101]);
  });

  test('injected as INT n by a VM entry with IOPL below 3 raises #GP(0)', () => {
    const m = virtual8086();
    m.idt(0x21, { selector: CODE0, offset: 0x4_0000, type: 14, dpl: 3 });
    dispatch(m.cpu, { vector: 0x21, type: 4, errorCode: -1, instructionLength: 2, address: 0 }, true);
    expect([m.eip, m.stack(1)[0]]).toEqual([HANDLERS + GP * 16, 0]);
  });

  test('looks for the stack of ring 0 in the TSS', () => {
    const m = virtual8086();
    m.write32(TSS + 8, CODE3);
    dispatch(m.cpu, { vector: 0x20, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
    expect(m.cpu.S[ACTIVITY]).toBe(2); // #TS, and no stack for its handler or that of the double fault either
    expect([m.cpu.signal.vector, m.cpu.signal.errorCode]).toEqual([TS, (CODE3 & ~3) | 1]);
  });
});

test('virtual-8086 mode can be saved and restored, but not with other segments', () => {
  const m = virtual8086();
  const state = saveCpu(m.cpu);
  const other = new FarMachine();
  restoreCpu(other.cpu, state);
  expect(saveCpu(other.cpu)).toEqual(state);
  expect(() => restoreCpu(other.cpu, { ...state, cpl: 0 })).toThrow('CPL is 3');
  expect(() => restoreCpu(other.cpu, { ...state, ds: { ...state.ds, limit: 0xf_ffff } })).toThrow('segment registers');
  expect(() => restoreCpu(other.cpu, { ...state, cr0: 0x10 })).toThrow('protected mode');
});
