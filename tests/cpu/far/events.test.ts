import { describe, expect, test } from 'vitest';
import {
  ACTIVITY,
  CR2,
  CS,
  ESP,
  EVENT_HALT,
  EVENTS,
  IDTR_LIMIT,
  INTERRUPTIBILITY,
  SEG_ACCESS,
  SEG_LIMIT,
  SS_,
  TR,
} from '../../../src/base/registers.ts';
import { DF, GP, NP, PF, SIGNAL_EPT_VIOLATION, SS, TS, UD } from '../../../src/base/signal.ts';
import { deliver, dispatch } from '../../../src/cpu/far/index.ts';
import type { ExecutionMonitor, ProcessorEvent } from '../../../src/cpu/monitor.ts';
import {
  CODE,
  CODE0,
  CODE3,
  CONFORMING,
  DATA0,
  DATA3,
  EXECUTE_READ,
  FarMachine,
  FREE,
  HANDLERS,
  READ_WRITE,
  STACK0,
  STACK3,
  TSS,
  TSS_SELECTOR,
} from './far-machine.ts';

const FLAT = { limit: 0xf_ffff, pages: true, big: true } as const;
const UD2 = [0x0f, 0x0b];
const INT = (vector: number): number[] => [0xcd, vector];
const handler = (vector: number): number => HANDLERS + vector * 16;

const event = (vector: number, type: ProcessorEvent['type'], errorCode = -1, address = 0): ProcessorEvent => ({
  vector,
  type,
  errorCode,
  instructionLength: 0,
  address,
});

describe('delivery through the IDT', () => {
  test('of a fault pushes the address of the instruction, RF in the image, and the error code', () => {
    const m = new FarMachine();
    m.cpu.setFlags(0x4246);
    dispatch(m.cpu, event(GP, 3, 0x38));
    expect(m.stack(4)).toEqual([0x38, CODE, CODE0, 0x1_4246]);
    expect([m.cs, m.eip, m.esp]).toEqual([CODE0, handler(GP), STACK0 - 16]);
    expect(m.cpu.getFlags()).toBe(0x46);
  });

  test('of an interrupt leaves RF clear, and a trap gate leaves IF set', () => {
    const m = new FarMachine();
    m.cpu.setFlags(0x202);
    m.idt(0x30, { selector: CODE0, offset: handler(0x30), type: 15 });
    dispatch(m.cpu, event(0x30, 0));
    expect(m.stack(3)).toEqual([CODE, CODE0, 0x202]);
    expect(m.cpu.getFlags()).toBe(0x202);
  });

  test('of INT n pushes the address of the next instruction', () => {
    const m = new FarMachine();
    expect(m.execute(...INT(0x21))).toBeNull();
    expect(m.stack(3)).toEqual([CODE + 2, CODE0, 2]);
    expect(m.eip).toBe(handler(0x21));
  });

  test('of INT3, INT1 and INTO uses their vectors', () => {
    for (const [byte, vector] of [
      [0xcc, 3],
      [0xf1, 1],
      [0xce, 4],
    ] as const) {
      const m = new FarMachine();
      m.cpu.setFlags(0x802);
      expect(m.execute(byte)).toBeNull();
      expect([m.eip, m.stack(1)[0]]).toEqual([handler(vector), CODE + 1]);
    }
    const m = new FarMachine();
    expect(m.execute(0xce)).toBeNull();
    expect(m.eip).toBe(CODE + 1);
  });

  test('from ring 3 switches to the stack of the TSS', () => {
    const m = new FarMachine(3);
    m.cpu.setFlags(0x3202);
    dispatch(m.cpu, event(PF, 3, 7, 0xdead_b000));
    expect(m.stack(6)).toEqual([7, CODE, CODE3, 0x1_3202, STACK3, DATA3]);
    expect([m.cs, m.ss, m.cpl, m.esp]).toEqual([CODE0, DATA0, 0, STACK0 - 24]);
    expect(m.S[CR2] >>> 0).toBe(0xdead_b000);
    expect(m.cpu.delivering).toBeNull();
  });

  test('to a conforming handler stays in ring 3', () => {
    const m = new FarMachine(3);
    m.segment(FREE, { ...FLAT, type: CONFORMING });
    m.idt(0x30, { selector: FREE, offset: 0x500, type: 14, dpl: 3 });
    expect(m.execute(...INT(0x30))).toBeNull();
    expect([m.cs, m.cpl, m.esp]).toEqual([FREE | 3, 3, STACK3 - 12]);
  });

  test('through a 16-bit gate pushes words', () => {
    const m = new FarMachine(3);
    m.idt(GP, { selector: CODE0, offset: 0x9_8765, type: 6 });
    dispatch(m.cpu, event(GP, 3, 0x1234));
    expect(m.stack(6, 2)).toEqual([0x1234, CODE & 0xffff, CODE3, 2, STACK3 & 0xffff, DATA3]);
    expect([m.eip, m.esp]).toEqual([0x8765, STACK0 - 12]);
  });

  test('onto a 16-bit stack changes only SP, and wraps', () => {
    const m = new FarMachine();
    m.segment(FREE, { base: 0x5_0000, type: READ_WRITE });
    m.hold(SS_, FREE);
    m.S[ESP] = 0x1234_0008;
    dispatch(m.cpu, event(0x30, 0));
    expect(m.esp).toBe(0x1234_fffc);
    expect([m.read32(0x5_fffc), m.read32(0x5_0000), m.read32(0x5_0004)]).toEqual([CODE, CODE0, 2]);
  });

  test('ends blocking by STI and MOV SS, wakes a halted processor, and blocks NMIs after an NMI', () => {
    const m = new FarMachine();
    m.S[INTERRUPTIBILITY] = 3;
    m.S[ACTIVITY] = 1;
    m.S[EVENTS] = EVENT_HALT;
    dispatch(m.cpu, event(2, 2));
    expect([m.S[INTERRUPTIBILITY], m.S[ACTIVITY], m.S[EVENTS] & EVENT_HALT]).toEqual([8, 0, 0]);
  });
});

describe('error codes of faults met in a delivery', () => {
  type Row = [string, (m: FarMachine) => void, number, number];
  const gate = { selector: CODE0, offset: 0x500, type: 14, dpl: 3 };
  const rows: Row[] = [
    ['a vector beyond the IDT', (m) => m.set(IDTR_LIMIT, 0x186), GP, 0x182],
    ['a gate of the wrong type', (m) => m.idt(0x30, { ...gate, type: 12 }), GP, 0x182],
    ['a gate that is not present', (m) => m.idt(0x30, { ...gate, present: false }), NP, 0x182],
    ['a null selector in the gate', (m) => m.idt(0x30, { ...gate, selector: 0 }), GP, 0],
    ['a selector beyond the GDT', (m) => m.idt(0x30, { ...gate, selector: 0x100 }), GP, 0x100],
    ['a data segment in the gate', (m) => m.idt(0x30, { ...gate, selector: DATA0 }), GP, DATA0],
    [
      'a code segment that is not present',
      (m) => m.segment(CODE0, { ...FLAT, type: EXECUTE_READ, present: false }),
      NP,
      CODE0,
    ],
    ['an offset beyond the code segment', (m) => m.segment(CODE0, { type: EXECUTE_READ, limit: 0x4ff }), GP, 0],
    ['a TSS that is too short', (m) => m.set(SEG_LIMIT + TR, 8), TS, TSS_SELECTOR],
    ['a null SS0', (m) => m.write16(TSS + 8, 0), TS, 0],
    ['an SS0 that is code', (m) => m.write16(TSS + 8, CODE0), TS, CODE0],
    ['an SS0 that is not present', (m) => m.segment(DATA0, { ...FLAT, type: READ_WRITE, present: false }), SS, DATA0],
    ['an SS0 that is too small', (m) => m.segment(DATA0, { type: READ_WRITE, limit: 0x100 }), SS, DATA0],
  ];
  test.each(rows)('%s: EXT is clear for INT n, set for an interrupt', (_, spoil, vector, errorCode) => {
    for (const [type, ext] of [
      [4, 0],
      [0, 1],
    ] as const) {
      const m = new FarMachine(3);
      m.idt(0x30, gate);
      spoil(m);
      const before = [...m.S];
      const stack = [...m.memory.readBytes(STACK0 - 64, 64)];
      try {
        deliver(m.cpu, event(0x30, type));
        expect.unreachable();
      } catch (thrown) {
        expect(thrown).toBe(m.cpu.signal);
      }
      expect([m.cpu.signal.vector, m.cpu.signal.errorCode]).toEqual([vector, errorCode | ext]);
      expect(m.cpu.signal.because).not.toBe('');
      expect([...m.S]).toEqual(before);
      expect([...m.memory.readBytes(STACK0 - 64, 64)]).toEqual(stack);
    }
  });

  test('INT n to a gate of ring 0 from ring 3 is #GP(vector × 8 + 2) at the instruction', () => {
    const m = new FarMachine(3);
    m.execute(...INT(0x30));
    expect(m.stack(3)).toEqual([0x182, CODE, CODE3]);
    expect(m.eip).toBe(handler(GP));
    // It did not complete, so it does not count.
    expect(m.cpu.retires).toBe(0);
  });

  test('the DPL of a gate binds neither INT1 nor exceptions nor interrupts', () => {
    const m = new FarMachine(3);
    expect(m.execute(0xf1)).toBeNull();
    expect(m.eip).toBe(handler(1));
  });
});

describe('double and triple faults', () => {
  const remove = (m: FarMachine, ...vectors: number[]): void => {
    for (const vector of vectors) m.idt(vector, { selector: CODE0, offset: 0, type: 14, present: false });
  };

  test('a contributory exception in the delivery of another makes #DF with error code 0', () => {
    const m = new FarMachine();
    remove(m, GP);
    dispatch(m.cpu, event(GP, 3, 0x10));
    expect(m.eip).toBe(handler(DF));
    expect(m.stack(3)).toEqual([0, CODE, CODE0]);
  });

  test('a contributory exception in the delivery of a benign one is delivered instead of it', () => {
    const m = new FarMachine();
    remove(m, UD);
    m.step(...UD2);
    expect(m.eip).toBe(handler(NP));
    expect(m.stack(2)).toEqual([(UD << 3) | 3, CODE]);
  });

  test('INT n is benign, even with the vector of a contributory exception', () => {
    const m = new FarMachine();
    remove(m, GP);
    expect(m.execute(...INT(GP))).toBeNull();
    expect(m.eip).toBe(handler(NP));
    expect(m.stack(2)).toEqual([(GP << 3) | 2, CODE]);
  });

  test('a contributory exception in the delivery of a page fault makes #DF; the address stays in CR2', () => {
    const m = new FarMachine();
    remove(m, PF);
    dispatch(m.cpu, event(PF, 3, 2, 0x1234));
    expect([m.eip, m.S[CR2]]).toEqual([handler(DF), 0x1234]);
  });

  test('a fault in the delivery of #DF shuts the processor down', () => {
    const m = new FarMachine();
    remove(m, GP, DF);
    dispatch(m.cpu, event(GP, 3, 0x10));
    expect([m.S[ACTIVITY], m.S[EVENTS] & EVENT_HALT]).toEqual([2, EVENT_HALT]);
    expect([m.eip, m.esp]).toEqual([CODE, STACK0]);
  });

  test('an empty IDT shuts it down', () => {
    const m = new FarMachine();
    m.S[IDTR_LIMIT] = 0;
    m.step(...UD2);
    expect(m.S[ACTIVITY]).toBe(2);
  });
});

describe('delivery in real mode', () => {
  test('pushes FLAGS, CS and IP and loads CS:IP from the vector table', () => {
    const m = new FarMachine().real();
    m.cpu.setFlags(0x4_0302);
    m.write32(0x21 * 4, 0x0456_0123);
    expect(m.execute(...INT(0x21))).toBeNull();
    expect(m.stack(3, 2)).toEqual([0x1002, 0, 0x302]);
    expect([m.cs, m.eip, m.esp, m.cpu.getFlags()]).toEqual([0x456, 0x123, 0x1ffa, 2]);
    expect(m.S[SEG_ACCESS + CS]).toBe(0x93);
  });

  test('pushes no error code', () => {
    const m = new FarMachine().real();
    m.write32(GP * 4, 0x0456_0123);
    dispatch(m.cpu, event(GP, 3, -1));
    expect(m.esp).toBe(0x1ffa);
  });

  test('with an IDT that is too short ends in #GP, #DF and shutdown', () => {
    const m = new FarMachine().real();
    m.S[IDTR_LIMIT] = GP * 4 + 3;
    m.write32(GP * 4, 0x0456_0123);
    expect(m.execute(...INT(0x21))).toBeNull();
    expect([m.cs, m.eip, m.stack(1, 2)[0]]).toEqual([0x456, 0x123, 0x1000]);
    const n = new FarMachine().real();
    n.S[IDTR_LIMIT] = 3;
    n.execute(...INT(0x21));
    expect(n.S[ACTIVITY]).toBe(2);
  });
});

describe('the execution monitor', () => {
  /** Records what it is asked; `leave` decides which events exit. */
  function monitor(m: FarMachine, leave: (e: ProcessorEvent) => boolean): string[] {
    const log: string[] = [];
    const under = (): string => (m.cpu.delivering === null ? '-' : `${m.cpu.delivering.vector}`);
    m.cpu.monitor = {
      nonRoot: true,
      interceptEvent(e: ProcessorEvent) {
        log.push(`event ${e.vector}/${e.type} during ${under()}`);
        return leave(e);
      },
      interceptTripleFault() {
        log.push(`triple fault during ${under()}`);
        return true;
      },
      interceptTaskSwitch(selector: number, source: number) {
        log.push(`task switch ${selector} ${source} during ${under()}`);
        return true;
      },
      eptEvent() {
        log.push(`EPT event during ${under()}`);
      },
    } as unknown as ExecutionMonitor;
    return log;
  }
  const absent = { selector: CODE0, offset: 0, type: 14, present: false };

  test('may take an event before anything happens, CR2 included', () => {
    const m = new FarMachine();
    const log = monitor(m, (e) => e.vector === PF);
    expect(dispatch(m.cpu, event(PF, 3, 0, 0x5000))).toBe(false);
    expect(log).toEqual(['event 14/3 during -']);
    expect([m.eip, m.esp, m.S[CR2]]).toEqual([CODE, STACK0, 0]);
  });

  test('sees a software interrupt at the instruction itself', () => {
    const m = new FarMachine();
    monitor(m, () => true);
    m.execute(...INT(3));
    expect(m.eip).toBe(CODE);
  });

  test('is asked about a nested exception under its own vector, then about the double fault alone', () => {
    const m = new FarMachine();
    const log = monitor(m, () => false);
    for (const vector of [GP, DF]) m.idt(vector, absent);
    dispatch(m.cpu, event(GP, 3, 0));
    expect(log).toEqual([
      'event 13/3 during -',
      'event 11/3 during 13',
      'event 8/3 during -',
      'event 11/3 during 8',
      'triple fault during -',
    ]);
    expect([m.S[ACTIVITY], m.cpu.delivering]).toEqual([0, null]);
  });

  test('does not see an injected event, which leaves CR2 alone and RF as it is', () => {
    const m = new FarMachine();
    const log = monitor(m, () => true);
    expect(dispatch(m.cpu, event(PF, 3, 0, 0x5000), true)).toBe(true);
    expect([log, m.S[CR2], m.stack(4)[3]]).toEqual([[], 0, 2]);
  });

  test('hears of a task gate in the IDT, with the event that wanted it', () => {
    const m = new FarMachine();
    const log = monitor(m, () => false);
    m.segment(FREE, { type: 9, limit: 0x67 });
    m.idt(0x30, { selector: FREE, offset: 0, type: 5 });
    expect(dispatch(m.cpu, event(0x30, 0))).toBe(false);
    expect(log).toEqual(['event 48/0 during -', `task switch ${FREE} 3 during 48`]);
  });

  test('hears of an EPT violation during delivery', () => {
    const m = new FarMachine();
    const log = monitor(m, () => false);
    m.cpu.mmu.readSystem32 = () => {
      m.cpu.signal.kind = SIGNAL_EPT_VIOLATION;
      throw m.cpu.signal;
    };
    expect(dispatch(m.cpu, event(0x30, 0))).toBe(false);
    expect(log).toEqual(['event 48/0 during -', 'EPT event during 48']);
    expect(m.cpu.delivering).toBeNull();
  });
});
