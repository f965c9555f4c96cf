/** Hardware task switches. Expected values: SDM Vol. 3, "Task Management", above all "Task Switching" and its tables. */
import { describe, expect, test } from 'vitest';
import {
  AR_UNUSABLE,
  CR0,
  CR3,
  CS,
  DR6,
  DR7,
  DS,
  EAX,
  EBX,
  EDI,
  ES,
  FS,
  GS,
  LDTR,
  SEG_ACCESS,
  SEG_BASE,
  SEG_LIMIT,
  SEG_SELECTOR,
  SS_,
  TR,
} from '../../../src/base/registers.ts';
import { GP, NP, SS, TS } from '../../../src/base/signal.ts';
import { debugBoundary } from '../../../src/cpu/debugging/boundary.ts';
import { dispatch } from '../../../src/cpu/far/index.ts';
import {
  CODE,
  CODE0,
  CODE3,
  CONFORMING,
  DATA0,
  DATA3,
  EXECUTE_ONLY,
  EXECUTE_READ,
  FarMachine,
  type Fault,
  FREE,
  FREE2,
  FREE3,
  farCall,
  farJump,
  HANDLERS,
  LDT_SELECTOR,
  READ_ONLY,
  READ_WRITE,
  STACK0,
  TSS,
  TSS_SELECTOR,
} from './far-machine.ts';

/** The second task: its TSS, code and stack. */
const TSS2 = 0x5_0000;
const CODE2 = 0x6_0000;
const STACK2 = 0x7_0000;
const IRETD = [0xcf];
const FLAT = { limit: 0xf_ffff, pages: true, big: true } as const;
const [NT, VM] = [0x4000, 0x2_0000];

// Offsets in a 32-bit TSS
const [LINK, CR3_AT, EIP_AT, EFLAGS_AT, EAX_AT, ESP_AT] = [0, 0x1c, 0x20, 0x24, 0x28, 0x38];
const SELECTORS = 0x48;
const [LDT_AT, TRAP_AT] = [0x60, 0x64];
const SEGMENTS = [CODE0, DATA0, DATA0, DATA0, 0];

/** Two tasks: the present one, and an available one behind FREE (its TSS) and FREE2 (a task gate). */
function twoTasks(ring: 0 | 3 = 0): FarMachine {
  const m = new FarMachine(ring);
  m.segment(FREE, { base: TSS2, limit: 0x67, type: 9, dpl: ring });
  m.gate(FREE2, { selector: FREE, offset: 0, type: 5, dpl: ring });
  m.write32(TSS2 + EIP_AT, CODE2);
  m.write32(TSS2 + EFLAGS_AT, 0x8d7);
  for (let n = 0; n < 8; n++) m.write32(TSS2 + EAX_AT + 4 * n, 0x1111_0000 * (n + 1));
  m.write32(TSS2 + ESP_AT, STACK2);
  m.write32(TSS2 + 4, STACK2 + 0x1000);
  m.write32(TSS2 + 8, DATA0);
  [DATA0, ...SEGMENTS].forEach((selector, n) => {
    m.write32(TSS2 + SELECTORS + 4 * n, selector);
  });
  return m;
}

/** Rights byte of a TSS descriptor: busy? */
const busy = (m: FarMachine, selector: number): boolean => (m.rightsInMemory(selector) & 2) !== 0;
const flags = (m: FarMachine): number => m.cpu.getFlags();

describe('JMP to a TSS', () => {
  test('saves the old task, loads the new one, and moves the busy bit', () => {
    const m = twoTasks();
    for (let n = 0; n < 8; n++) if (n !== 4) m.set(EAX + n, 0x10 + n);
    m.cpu.setFlags(0x3_0ad7 & ~VM);
    m.set(DR7, 0x7ff);
    m.write32(TSS + CR3_AT, 0x77_7000);
    m.write32(TSS + LDT_AT, 0x55);
    expect(m.execute(...farJump(FREE, 0x1234))).toBeNull(); // the offset is ignored
    expect([m.read32(TSS + EIP_AT), m.read32(TSS + EFLAGS_AT)]).toEqual([CODE + 7, 0x1_0ad7]);
    expect(Array.from({ length: 8 }, (_, n) => m.read32(TSS + EAX_AT + 4 * n))).toEqual([
      0x10,
      0x11,
      0x12,
      0x13,
      STACK0,
      0x15,
      0x16,
      0x17,
    ]);
    expect([0, 1, 2, 3, 4, 5].map((n) => m.read16(TSS + SELECTORS + 4 * n))).toEqual([
      DATA0,
      CODE0,
      DATA0,
      DATA0,
      DATA0,
      DATA0,
    ]);
    expect([m.read32(TSS + CR3_AT), m.read32(TSS + LDT_AT)]).toEqual([0x77_7000, 0x55]); // not written

    expect([m.cs, m.eip, m.ss, m.esp, m.cpl]).toEqual([CODE0, CODE2, DATA0, STACK2, 0]);
    expect([m.S[EAX], m.S[EBX], m.S[EDI]]).toEqual([0x1111_0000, 0x4444_0000, 0x8888_0000 | 0]);
    expect([m.S[SEG_SELECTOR + GS], m.S[SEG_ACCESS + GS]]).toEqual([0, AR_UNUSABLE]);
    expect([m.S[SEG_BASE + DS], m.S[SEG_LIMIT + DS]]).toEqual([0, -1]);
    expect(m.S[SEG_ACCESS + LDTR]).toBe(AR_UNUSABLE);
    expect(flags(m)).toBe(0x8d7);
    expect([m.S[SEG_SELECTOR + TR], m.S[SEG_BASE + TR], m.S[SEG_LIMIT + TR], m.S[SEG_ACCESS + TR]]).toEqual([
      FREE,
      TSS2,
      0x67,
      0x8b,
    ]);
    expect([busy(m, TSS_SELECTOR), busy(m, FREE), m.read16(TSS2 + LINK)]).toEqual([false, true, 0]);
    expect(m.S[CR0] & 8).toBe(8); // TS
    expect(m.S[DR7]).toBe(0x6aa); // local breakpoints and LE are off
    expect(m.S[CR3]).toBe(0); // paging is off
  });

  test('leaves NT to the new TSS, and through a task gate does the same', () => {
    const m = twoTasks();
    m.write32(TSS2 + EFLAGS_AT, NT | 2);
    expect(m.execute(...farJump(FREE2, 0))).toBeNull();
    expect([m.eip, flags(m), busy(m, TSS_SELECTOR), busy(m, FREE)]).toEqual([CODE2, NT | 2, false, true]);
  });

  test.each<[string, (m: FarMachine) => void, Fault]>([
    ['a busy TSS', (m) => m.segment(FREE, { base: TSS2, limit: 0x67, type: 11 }), { vector: GP, errorCode: FREE }],
    [
      'an absent TSS',
      (m) => m.segment(FREE, { type: 9, limit: 0x67, present: false }),
      { vector: NP, errorCode: FREE },
    ],
    ['a short TSS', (m) => m.segment(FREE, { base: TSS2, limit: 0x66, type: 9 }), { vector: TS, errorCode: FREE }],
    [
      'a short 16-bit TSS',
      (m) => m.segment(FREE, { base: TSS2, limit: 0x2a, type: 1 }),
      { vector: TS, errorCode: FREE },
    ],
    [
      'with a present TSS that is too short',
      (m) => m.set(SEG_LIMIT + TR, 0x5e),
      { vector: TS, errorCode: TSS_SELECTOR },
    ],
  ])('%s changes nothing', (_, prepare, fault) => {
    const m = twoTasks();
    prepare(m);
    expect(m.execute(...farJump(FREE, 0))).toEqual(fault);
    expect([m.S[SEG_SELECTOR + TR], m.eip, m.read32(TSS + EIP_AT), busy(m, TSS_SELECTOR)]).toEqual([
      TSS_SELECTOR,
      CODE,
      0,
      true,
    ]);
  });

  test('asks for privilege, at the TSS or at the gate alone', () => {
    const m = twoTasks(3);
    m.segment(FREE, { base: TSS2, limit: 0x67, type: 9 });
    expect(m.execute(...farJump(FREE, 0))).toEqual({ vector: GP, errorCode: FREE });
    m.gate(FREE2, { selector: FREE, offset: 0, type: 5, dpl: 2 });
    expect(m.execute(...farJump(FREE2, 0))).toEqual({ vector: GP, errorCode: FREE2 });
    m.gate(FREE2, { selector: FREE, offset: 0, type: 5, dpl: 3, present: false });
    expect(m.execute(...farJump(FREE2, 0))).toEqual({ vector: NP, errorCode: FREE2 });
    m.gate(FREE2, { selector: FREE | 4, offset: 0, type: 5, dpl: 3 });
    expect(m.execute(...farJump(FREE2, 0))).toEqual({ vector: GP, errorCode: FREE | 4 });
    m.gate(FREE2, { selector: FREE, offset: 0, type: 5, dpl: 3 });
    expect(m.execute(...farJump(FREE2, 0))).toBeNull();
    expect([m.cpl, m.eip]).toEqual([0, CODE2]);
  });

  test('does not take a TSS that an LDT describes', () => {
    const m = twoTasks();
    m.segment(4, { base: TSS2, limit: 0x67, type: 9 });
    expect(m.execute(...farJump(4, 0))).toEqual({ vector: GP, errorCode: 4 });
  });
});

describe('CALL and IRET', () => {
  test('nest: both are busy, the link leads back, NT is set; IRET returns and clears both', () => {
    const m = twoTasks();
    m.cpu.setFlags(0x202);
    expect(m.execute(...farCall(FREE, 0))).toBeNull();
    expect([busy(m, TSS_SELECTOR), busy(m, FREE), m.read16(TSS2 + LINK)]).toEqual([true, true, TSS_SELECTOR]);
    expect([m.eip, m.esp, flags(m)]).toEqual([CODE2, STACK2, 0x8d7 | NT]);
    m.set(EAX, 0xabc);
    expect(m.execute(...IRETD)).toBeNull();
    expect([m.eip, m.esp, flags(m), m.S[SEG_SELECTOR + TR]]).toEqual([CODE + 7, STACK0, 0x202, TSS_SELECTOR]);
    expect([busy(m, TSS_SELECTOR), busy(m, FREE)]).toEqual([true, false]);
    expect([m.read32(TSS2 + EIP_AT), m.read32(TSS2 + EFLAGS_AT), m.read32(TSS2 + EAX_AT)]).toEqual([
      CODE2 + 1,
      0x8d7,
      0xabc,
    ]);
  });

  test.each<[string, number, Fault]>([
    ['available', 9, { vector: TS, errorCode: FREE }],
    ['not a TSS', 2, { vector: TS, errorCode: FREE }],
  ])('IRET to a task that is %s raises #TS', (_, type, fault) => {
    const m = twoTasks();
    m.segment(FREE, { base: TSS2, limit: 0x67, type });
    m.cpu.setFlags(NT | 2);
    m.write16(TSS, FREE);
    expect(m.execute(...IRETD)).toEqual(fault);
    m.write16(TSS, FREE | 4);
    expect(m.execute(...IRETD)).toEqual({ vector: TS, errorCode: FREE | 4 });
    m.write16(TSS, 0x7f8);
    expect(m.execute(...IRETD)).toEqual({ vector: TS, errorCode: 0x7f8 });
    m.segment(FREE, { base: TSS2, limit: 0x67, type: 11, present: false });
    m.write16(TSS, FREE);
    expect(m.execute(...IRETD)).toEqual({ vector: NP, errorCode: FREE });
  });

  test('the new task has its LDT, and data segments from it', () => {
    const m = twoTasks();
    m.segment(4, { base: 0x1234, limit: 0xff, type: READ_WRITE });
    m.write32(TSS2 + LDT_AT, LDT_SELECTOR);
    m.write32(TSS2 + SELECTORS + 4 * FS, 4);
    expect(m.execute(...farCall(FREE, 0))).toBeNull();
    expect([m.S[SEG_SELECTOR + LDTR], m.S[SEG_BASE + FS], m.S[SEG_LIMIT + FS]]).toEqual([LDT_SELECTOR, 0x1234, 0xff]);
  });

  test('a task in virtual-8086 mode gets real-mode segments', () => {
    const m = twoTasks();
    m.write32(TSS2 + EFLAGS_AT, VM | 0x3202);
    [0x4000, 0x2000, 0x3000, 0x5000, 0x6000, 0x7000].forEach((selector, n) => {
      m.write32(TSS2 + SELECTORS + 4 * n, selector);
    });
    m.write32(TSS2 + EIP_AT, 0x100);
    expect(m.execute(...farJump(FREE, 0))).toBeNull();
    expect([m.cs, m.eip, m.S[SEG_BASE + CS], m.S[SEG_ACCESS + CS], m.cpl]).toEqual([0x2000, 0x100, 0x2_0000, 0xf3, 3]);
    expect([m.S[SEG_BASE + GS], flags(m)]).toEqual([0x7_0000, VM | 0x3202]);
    dispatch(m.cpu, { vector: 0x20, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
    expect([m.cpl, m.esp, m.stack(2)[1]]).toEqual([0, STACK2 + 0x1000 - 36, 0x2000]);
  });
});

describe('a 16-bit TSS', () => {
  const TSS16 = 0x5_0100;
  function task16(): FarMachine {
    const m = twoTasks();
    m.segment(FREE3, { base: TSS16, limit: 0x2b, type: 1 });
    m.write16(TSS16 + 0x0e, 0x7654); // IP
    m.write16(TSS16 + 0x10, 0x8d7);
    for (let n = 0; n < 8; n++) m.write16(TSS16 + 0x12 + 2 * n, 0x100 * (n + 1));
    [DATA0, CODE0, DATA0, DATA0].forEach((selector, n) => {
      m.write16(TSS16 + 0x22 + 2 * n, selector);
    });
    m.write16(TSS16 + 0x2a, LDT_SELECTOR);
    return m;
  }

  test('is loaded with zero-extended IP and FLAGS, null FS and GS, and upper halves of all ones', () => {
    const m = task16();
    m.cpu.setFlags(0x20_0002);
    m.set(CR3, 0x9000);
    expect(m.execute(...farCall(FREE3, 0))).toBeNull();
    expect([m.eip, flags(m), m.cs, m.S[SEG_SELECTOR + FS], m.S[SEG_ACCESS + FS]]).toEqual([
      0x7654,
      0x8d7 | NT,
      CODE0,
      0,
      AR_UNUSABLE,
    ]);
    expect([m.S[EAX] >>> 0, m.S[EDI] >>> 0]).toEqual([0xffff_0100, 0xffff_0800]);
    expect([m.S[SEG_SELECTOR + LDTR], m.S[SEG_ACCESS + TR], m.read16(TSS16), m.S[CR3]]).toEqual([
      LDT_SELECTOR,
      0x83,
      TSS_SELECTOR,
      0x9000,
    ]);
  });

  test('is saved in words', () => {
    const m = task16();
    m.execute(...farJump(FREE3, 0));
    m.set(EDI, 0x1234_5678);
    m.memory.writeBytes(TSS16 + 0x2a, Uint8Array.of(0x30, 0, 0xee, 0xee));
    expect(m.execute(...farJump(FREE, 0))).toBeNull();
    expect([m.read16(TSS16 + 0x0e), m.read16(TSS16 + 0x10), m.read16(TSS16 + 0x20)]).toEqual([
      0x7654 + 7,
      0x8d7,
      0x5678,
    ]);
    expect([m.read16(TSS16 + 0x24), m.read16(TSS16 + 0x28), m.read16(TSS16 + 0x2c)]).toEqual([CODE0, DATA0, 0xeeee]);
    expect(m.eip).toBe(CODE2);
  });
});

describe('a fault behind the commit point', () => {
  const absentCode = { ...FLAT, type: EXECUTE_READ, present: false };
  test.each<[string, number, Parameters<FarMachine['segment']>[1] | null, number, number]>([
    ['an LDT that is none', LDTR, { ...FLAT, type: READ_WRITE }, TS, FREE3],
    ['an absent LDT', LDTR, { type: 2, present: false }, TS, FREE3],
    ['a CS that is data', CS, { ...FLAT, type: READ_WRITE }, TS, FREE3],
    ['a CS of another level', CS, { ...FLAT, type: EXECUTE_READ, dpl: 3 }, TS, FREE3],
    ['a conforming CS of an outer level', CS, { ...FLAT, type: CONFORMING, dpl: 3 }, TS, FREE3],
    ['an absent CS', CS, absentCode, NP, FREE3],
    ['a DS that is execute-only', DS, { ...FLAT, type: EXECUTE_ONLY }, TS, FREE3],
    ['an absent ES', ES, { ...FLAT, type: READ_ONLY, present: false }, NP, FREE3],
    ['a GS beyond the GDT', GS, null, TS, 0x7f8],
  ])('%s is met in the new task', (_, segment, parts, vector, errorCode) => {
    const m = twoTasks();
    if (parts !== null) m.segment(FREE3, parts);
    m.write32(TSS2 + (segment === LDTR ? LDT_AT : SELECTORS + 4 * segment), errorCode);
    if (segment === CS || segment === LDTR) handlerTask(m, vector);
    expect(m.execute(...farJump(FREE, 0))).toBeNull();
    if (segment === CS || segment === LDTR) {
      // SS could not be loaded yet, so the handler is a task of its own; the new task's TSS has what it would continue with.
      expect([m.read32(TSS2 + EIP_AT), m.read16(HANDLER_TSS)]).toEqual([CODE2, FREE]);
      expect(m.read16(TSS2 + SELECTORS + 4 * CS)).toBe(segment === CS ? errorCode : CODE0);
      expect(m.stack(1)).toEqual([errorCode]);
      expect(busy(m, TSS_SELECTOR)).toBe(false);
      return;
    }
    expect([m.eip, m.esp]).toEqual([HANDLERS + 16 * vector, STACK2 - 16]);
    expect(m.stack(3)).toEqual([errorCode, CODE2, CODE0]);
    expect([m.S[SEG_SELECTOR + TR], m.S[SEG_SELECTOR + segment]]).toEqual([FREE, errorCode]);
  });

  const HANDLER_TSS = 0x5_0200;
  const HANDLER_SELECTOR = 0x50;
  /** Vector `vector` leads to a task of its own. */
  function handlerTask(m: FarMachine, vector: number): void {
    m.segment(HANDLER_SELECTOR, { base: HANDLER_TSS, limit: 0x67, type: 9 });
    m.idt(vector, { selector: HANDLER_SELECTOR, offset: 0, type: 5 });
    m.write32(HANDLER_TSS + EIP_AT, 0x6_8000);
    m.write32(HANDLER_TSS + EFLAGS_AT, 2);
    m.write32(HANDLER_TSS + ESP_AT, 0x7_8000);
    [DATA0, ...SEGMENTS].forEach((selector, n) => {
      m.write32(HANDLER_TSS + SELECTORS + 4 * n, selector);
    });
  }

  test('SS: #TS for its level and type, #SS if it is absent, on the stack of ring 0 where the task is in ring 3', () => {
    for (const [selector, parts, vector] of [
      [DATA0, null, TS],
      [CODE3, null, TS],
      [FREE3 | 3, { ...FLAT, type: READ_WRITE, dpl: 3, present: false }, SS],
      [0, null, TS],
    ] as const) {
      const m = twoTasks();
      if (parts !== null) m.segment(FREE3, parts);
      m.write32(TSS2 + SELECTORS + 4 * CS, CODE3);
      m.write32(TSS2 + SELECTORS + 4 * SS_, selector);
      expect(m.execute(...farJump(FREE, 0))).toBeNull();
      expect([m.eip, m.esp]).toEqual([HANDLERS + 16 * vector, STACK2 + 0x1000 - 24]);
      expect(m.stack(6)).toEqual([selector & ~3, CODE2, CODE3, 0x1_08d7, STACK2, selector]);
    }
  });

  test('EIP beyond the code segment is #GP(0)', () => {
    const m = twoTasks();
    m.segment(FREE3, { limit: 0xffff, type: EXECUTE_READ, big: true });
    m.write32(TSS2 + SELECTORS + 4 * CS, FREE3);
    m.execute(...farJump(FREE, 0));
    expect([m.eip, ...m.stack(3)]).toEqual([HANDLERS + 16 * GP, 0, CODE2, FREE3]);
  });

  test('a data segment of ring 0 is #TS for a task in ring 3', () => {
    const m = twoTasks();
    m.write32(TSS2 + SELECTORS + 4 * CS, CODE3);
    m.write32(TSS2 + SELECTORS + 4 * SS_, DATA3);
    m.execute(...farJump(FREE, 0));
    expect([m.eip, ...m.stack(3)]).toEqual([HANDLERS + 16 * TS, DATA0, CODE2, CODE3]);
  });
});

describe('a task gate in the IDT', () => {
  const event = (vector: number, type: 0 | 3 | 4, errorCode = -1, instructionLength = 0) =>
    ({ vector, type, errorCode, instructionLength, address: 0 }) as const;

  test('nests, and IRET goes on where the event came', () => {
    const m = twoTasks();
    m.cpu.setFlags(0x202);
    m.idt(0x20, { selector: FREE, offset: 0, type: 5 });
    expect(dispatch(m.cpu, event(0x20, 0))).toBe(true);
    expect([m.eip, m.esp, flags(m), m.read16(TSS2)]).toEqual([CODE2, STACK2, 0x8d7 | NT, TSS_SELECTOR]);
    expect([m.read32(TSS + EIP_AT), m.read32(TSS + EFLAGS_AT)]).toEqual([CODE, 0x202]);
    m.execute(...IRETD);
    expect([m.eip, flags(m)]).toEqual([CODE, 0x202]);
  });

  test('pushes an error code on the new stack, and saves RF for a fault', () => {
    const m = twoTasks();
    m.idt(GP, { selector: FREE, offset: 0, type: 5 });
    dispatch(m.cpu, event(GP, 3, 0x1234));
    expect([m.esp, m.stack(1)[0], m.read32(TSS + EFLAGS_AT)]).toEqual([STACK2 - 4, 0x1234, 0x1_0002]);
  });

  test('pushes a word where the new TSS has 16 bits', () => {
    const m = twoTasks();
    m.segment(FREE, { base: TSS2, limit: 0x2b, type: 1 });
    m.memory.writeBytes(TSS2, new Uint8Array(0x2c));
    m.write16(TSS2 + 0x1a, 0x8000);
    m.segment(FREE3, { limit: 0xffff, type: READ_WRITE });
    [0, CODE0, FREE3, 0].forEach((selector, n) => {
      m.write16(TSS2 + 0x22 + 2 * n, selector);
    });
    m.idt(GP, { selector: FREE, offset: 0, type: 5 });
    dispatch(m.cpu, event(GP, 3, 0x1234));
    expect([m.esp & 0xffff, m.read16(0x7ffe)]).toEqual([0x7ffe, 0x1234]);
  });

  test('INT n continues behind itself, and asks for the privilege of the gate', () => {
    const m = twoTasks(3);
    m.idt(0x30, { selector: FREE, offset: 0, type: 5, dpl: 3 });
    m.step(0xcd, 0x30);
    expect([m.eip, m.cpl, m.read32(TSS + EIP_AT)]).toEqual([CODE2, 0, CODE + 2]);
    const n = twoTasks(3);
    n.idt(0x30, { selector: FREE, offset: 0, type: 5 });
    n.step(0xcd, 0x30);
    expect([n.eip, n.stack(1)[0]]).toEqual([HANDLERS + 16 * GP, 0x30 * 8 + 2]);
  });

  test('that leads to a busy task is #GP with EXT, and so makes a double fault of a contributory one', () => {
    const m = twoTasks();
    m.segment(FREE, { base: TSS2, limit: 0x67, type: 11 });
    m.idt(0x20, { selector: FREE, offset: 0, type: 5 });
    dispatch(m.cpu, event(0x20, 0));
    expect([m.eip, m.stack(1)[0]]).toEqual([HANDLERS + 16 * GP, FREE | 1]);
    m.idt(GP, { selector: FREE, offset: 0, type: 5 });
    dispatch(m.cpu, event(GP, 3, 0));
    expect(m.eip).toBe(HANDLERS + 16 * 8);
  });

  test('that leads to a task with a bad DS is #TS with EXT, in the new task', () => {
    const m = twoTasks();
    m.write32(TSS2 + SELECTORS + 4 * DS, 0x7f8);
    m.idt(0x20, { selector: FREE, offset: 0, type: 5 });
    dispatch(m.cpu, event(0x20, 0));
    expect([m.eip, ...m.stack(3)]).toEqual([HANDLERS + 16 * TS, 0x7f9, CODE2, CODE0]);
  });
});

test('a TSS with T set raises #DB before the first instruction of its task', () => {
  const m = twoTasks();
  m.write32(TSS2 + TRAP_AT, 1);
  expect(m.execute(...farJump(FREE, 0))).toBeNull();
  expect(m.eip).toBe(CODE2);
  expect(debugBoundary(m.cpu)).toBe(true);
  expect(m.S[DR6] & 0x8000).toBe(0x8000); // BT
  expect([m.eip, ...m.stack(3)]).toEqual([HANDLERS + 16, CODE2, CODE0, 0x8d7]);
  const n = twoTasks();
  n.write32(TSS2 + TRAP_AT, 1);
  n.idt(0x20, { selector: FREE, offset: 0, type: 5 });
  dispatch(n.cpu, { vector: 0x20, type: 0, errorCode: -1, instructionLength: 0, address: 0 });
  debugBoundary(n.cpu);
  expect([n.eip, ...n.stack(2)]).toEqual([HANDLERS + 16, CODE2, CODE0]);
});
