import { beforeEach, describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { Pic } from '../../src/devices/pic/pic.ts';

// Expected values: Intel 8259A data sheet, "Initialization Command Words", "Operation Command Words".
let pic: Pic;
let int: boolean;

const setUp = (icw4 = 0x01, icw1 = 0x11): void => {
  for (const [chip, base, cascade] of [
    [pic.master, 0x20, 4],
    [pic.slave, 0x28, 2],
  ] as const) {
    chip.write(0, icw1, 1);
    chip.write(1, base, 1);
    chip.write(1, cascade, 1);
    if (icw1 & 1) chip.write(1, icw4, 1);
  }
};
const pulse = (irq: number): void => {
  pic.line(irq).set(false);
  pic.line(irq).set(true);
};
const isr = (chip = pic.master): number => {
  chip.write(0, 0x0b, 1);
  return chip.read(0, 1);
};
const irr = (chip = pic.master): number => {
  chip.write(0, 0x0a, 1);
  return chip.read(0, 1);
};
const eoi = (command = 0x20, chip = pic.master): void => chip.write(0, command, 1);

beforeEach(() => {
  int = false;
  pic = new Pic({
    set: (level) => {
      int = level;
    },
  });
  setUp();
});

describe('pair of 8259A', () => {
  test('a rising edge asks, INTA gives the vector, EOI makes room for lower priorities', () => {
    pulse(1);
    pulse(3);
    expect([int, irr()]).toEqual([true, 0x0a]);
    expect(pic.acknowledge()).toBe(0x21);
    expect([int, irr(), isr()]).toEqual([false, 0x08, 0x02]);
    pulse(0); // more important: interrupts the service of 1
    expect(int).toBe(true);
    expect(pic.acknowledge()).toBe(0x20);
    eoi();
    expect(isr()).toBe(0x02);
    eoi();
    expect([int, pic.acknowledge()]).toEqual([true, 0x23]);
  });

  test('a line that stays high asks once; a level-triggered one until it falls', () => {
    pulse(5);
    pic.acknowledge();
    eoi();
    expect(int).toBe(false);
    pic.elcr.write(0, 0xff, 1);
    expect(pic.elcr.read(0, 1)).toBe(0xf8);
    expect(int).toBe(true);
    pic.acknowledge();
    eoi();
    expect(int).toBe(true);
    pic.line(5).set(false);
    expect(int).toBe(false);
  });

  test('the slave asks through input 2 and needs an EOI of its own', () => {
    pulse(12);
    expect([irr(), irr(pic.slave)]).toEqual([0x04, 0x10]);
    expect(pic.acknowledge()).toBe(0x2c);
    expect([isr(), isr(pic.slave)]).toEqual([0x04, 0x10]);
    pulse(9);
    expect(int).toBe(false); // input 2 is in service
    eoi();
    expect(pic.acknowledge()).toBe(0x29);
  });

  test('special fully nested mode lets a more important input of the same slave through', () => {
    setUp(0x11);
    pulse(12);
    pic.acknowledge();
    pulse(9);
    expect([int, pic.acknowledge()]).toEqual([true, 0x29]);
  });

  test('a request that goes away before INTA becomes IRQ 7 or 15 without a bit in ISR', () => {
    pulse(3);
    pic.line(3).set(false);
    expect([int, pic.acknowledge(), isr()]).toEqual([false, 0x27, 0]);
  });

  test('a slave request that goes away between the two INTAs becomes IRQ 15 with input 2 in service', () => {
    pulse(10);
    pic.slave.write(1, 0xff, 1); // masking it lowers input 2 as well
    pic.line(2).set(true); // the master still sees it
    expect(pic.acknowledge()).toBe(0x2f);
    expect([isr(), isr(pic.slave)]).toEqual([0x04, 0x00]);
  });

  test('masking holds a request back without losing it', () => {
    pic.master.write(1, 0x10, 1);
    pulse(4);
    expect([int, irr(), pic.master.read(1, 1)]).toEqual([false, 0x10, 0x10]);
    pic.master.write(1, 0x00, 1);
    expect([int, pic.acknowledge()]).toEqual([true, 0x24]);
  });

  test('specific EOI, set priority, and rotation', () => {
    pulse(4);
    pic.acknowledge();
    pulse(1);
    pic.acknowledge();
    eoi(0x64);
    expect(isr()).toBe(0x02);
    eoi(0xa0); // rotate on non-specific EOI: 1 becomes the lowest
    pulse(1);
    pulse(2);
    pulse(0);
    expect(pic.acknowledge() & 7).toBe(7); // input 2 has the highest priority now; its slave is silent: IRQ 15
    eoi(0x62);
    expect(pic.acknowledge()).toBe(0x20);
    eoi(0xe0); // rotate on specific EOI: 0 lowest, 1 highest
    expect(pic.acknowledge()).toBe(0x21);
    eoi();
    eoi(0xc5); // set priority: 5 lowest, 6 highest
    pulse(6);
    pulse(5);
    expect(pic.acknowledge()).toBe(0x26);
    pulse(7);
    expect(int).toBe(false);
  });

  test('automatic EOI leaves nothing in service, and rotates when told so', () => {
    setUp(0x03);
    eoi(0x80);
    pulse(0);
    pulse(1);
    expect([pic.acknowledge(), isr()]).toEqual([0x20, 0]);
    pulse(0);
    expect(pic.acknowledge()).toBe(0x21);
    expect(pic.acknowledge()).toBe(0x20);
  });

  test('special mask mode: a masked input in service blocks nobody, and EOI passes over it', () => {
    pulse(1);
    pic.acknowledge();
    pulse(6);
    expect(int).toBe(false);
    pic.master.write(1, 0x02, 1);
    expect(int).toBe(false);
    eoi(0x68);
    expect([int, pic.acknowledge()]).toEqual([true, 0x26]);
    eoi();
    expect(isr()).toBe(0x02);
  });

  test('poll answers with the input and takes it into service', () => {
    pulse(3);
    pic.master.write(0, 0x0c, 1);
    expect(pic.master.read(0, 1)).toBe(0x83);
    expect([isr(), int]).toEqual([0x08, false]);
    pic.master.write(0, 0x0c, 1);
    expect(pic.master.read(0, 1)).toBe(0x00);
  });

  test('initialisation forgets requests and masks, and wants a new edge; without ICW4 it takes three words', () => {
    pulse(4);
    pic.master.write(1, 0xff, 1);
    setUp(0, 0x10);
    expect([int, irr(), pic.master.read(1, 1)]).toEqual([false, 0, 0]);
    pic.master.write(1, 0xfe, 1);
    expect(pic.master.read(1, 1)).toBe(0xfe);
  });

  test('saves, restores, tells the processor of a pending request, and refuses a broken state', () => {
    pulse(9);
    pic.acknowledge();
    pulse(0);
    const saved = JSON.parse(JSON.stringify(pic.save()));
    let level = false;
    const other = new Pic({
      set: (l) => {
        level = l;
      },
    });
    other.restore(saved);
    expect(other.save()).toEqual(saved);
    expect([level, other.acknowledge()]).toEqual([true, 0x20]);
    for (const [field, value] of [
      ['isr', 256],
      ['lowest', 8],
      ['expecting', -1],
      ['poll', 'no'],
    ] as const) {
      const broken = { ...saved, slave: { ...saved.slave, [field]: value } };
      expect(() => other.restore(broken), field).toThrow(InvalidInput);
    }
    expect(() => other.restore({ master: saved.master })).toThrow(InvalidInput);
  });
});
