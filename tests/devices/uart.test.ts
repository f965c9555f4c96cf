import { beforeEach, describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { Uart } from '../../src/devices/uart/uart.ts';

// Expected values: PC16550D data sheet, tables II to IV.
let uart: Uart;
let sent: number[];
let irq: boolean;
let edges: number;

beforeEach(() => {
  sent = [];
  irq = false;
  edges = 0;
  const line = {
    set: (level: boolean) => {
      if (level && !irq) edges++;
      irq = level;
    },
  };
  uart = new Uart(line, { transmit: (value) => sent.push(value) });
});

describe('16550A', () => {
  test('after reset the transmitter is empty, nothing is pending, and the far end is connected', () => {
    expect([uart.read(2), uart.read(5), uart.read(6)]).toEqual([0x01, 0x60, 0xb0]);
  });

  test('sends at once, and raises the THRE interrupt again after each byte', () => {
    uart.write(1, 0x02);
    expect(irq).toBe(true);
    expect(uart.read(2)).toBe(0x02);
    expect(irq).toBe(false);
    uart.write(0, 0x41);
    expect(sent).toEqual([0x41]);
    expect([irq, edges]).toEqual([true, 2]);
    uart.write(0, 0x42);
    expect(edges).toBe(3);
  });

  test('reading IIR resets THRE only when THRE is what it shows', () => {
    uart.write(1, 0x03);
    uart.receive([0x61]);
    expect(uart.read(2)).toBe(0x04); // received data is more important
    expect(uart.read(0)).toBe(0x61);
    expect(uart.read(2)).toBe(0x02);
    expect(uart.read(2)).toBe(0x01);
  });

  test('without FIFO each received byte is an interrupt of its own, and the sender waits for room', () => {
    uart.write(1, 0x01);
    uart.receive([1, 2, 3]);
    expect(edges).toBe(1);
    expect([uart.read(0), uart.read(0)]).toEqual([1, 2]);
    expect(edges).toBe(3);
    expect(uart.read(5)).toBe(0x61);
    expect(uart.read(0)).toBe(3);
    expect([uart.read(5), irq]).toEqual([0x60, false]);
  });

  test('with FIFO it tells the trigger level from characters that wait below it', () => {
    uart.write(2, 0x81); // enable, trigger 8
    uart.write(1, 0x01);
    uart.receive([1, 2, 3]);
    expect(uart.read(2)).toBe(0xcc);
    uart.receive([4, 5, 6, 7, 8]);
    expect(uart.read(2)).toBe(0xc4);
    uart.write(2, 0x83); // clears the receiver FIFO
    expect(uart.read(2)).toBe(0xc1);
  });

  test('the divisor latch hides RBR and IER', () => {
    uart.write(3, 0x83);
    uart.write(0, 0x34);
    uart.write(1, 0x12);
    expect([uart.read(0), uart.read(1)]).toEqual([0x34, 0x12]);
    uart.write(3, 0x03);
    expect(uart.read(1)).toBe(0);
    expect(sent).toEqual([]);
  });

  test('loopback returns bytes and modem lines, and nothing leaves', () => {
    uart.write(4, 0x1a); // loop, OUT2, RTS: how Linux looks for a port
    expect(uart.read(6) & 0xf0).toBe(0x90);
    uart.write(0, 0x5a);
    expect(uart.read(5)).toBe(0x61);
    expect(uart.read(0)).toBe(0x5a);
    expect(sent).toEqual([]);
  });

  test('modem status shows each change once; of RI only the trailing edge', () => {
    uart.write(4, 0x10); // CTS, DSR, DCD fall
    expect(uart.read(6)).toBe(0x0b);
    expect(uart.read(6)).toBe(0x00);
    uart.write(4, 0x14); // RI rises
    expect(uart.read(6)).toBe(0x40);
    uart.write(1, 0x08);
    uart.write(4, 0x10);
    expect(uart.read(2)).toBe(0x00);
    expect(uart.read(6)).toBe(0x04);
    expect(uart.read(2)).toBe(0x01);
  });

  test('overrun in loopback: a full FIFO loses the new byte, a lone register the old one', () => {
    uart.write(1, 0x04);
    uart.write(4, 0x10);
    uart.write(0, 1);
    uart.write(0, 2);
    expect(uart.read(2)).toBe(0x06); // line status first
    expect(uart.read(5)).toBe(0x63);
    expect(uart.read(5)).toBe(0x61);
    expect(uart.read(0)).toBe(2);
    uart.write(2, 0x01);
    for (let i = 0; i < 20; i++) uart.write(0, i);
    const got: number[] = [];
    while (uart.read(5) & 1) got.push(uart.read(0));
    expect(got).toEqual(Array.from({ length: 16 }, (_, i) => i)); // how Linux measures the FIFO
  });

  test('IER and MCR keep their defined bits, the scratch register all', () => {
    uart.write(1, 0xff);
    uart.write(4, 0xff);
    uart.write(7, 0xa5);
    expect([uart.read(1), uart.read(4), uart.read(7)]).toEqual([0x0f, 0x1f, 0xa5]);
  });

  test('goes on from a saved state as if nothing had happened, and refuses a broken one', () => {
    uart.write(2, 0xc1);
    uart.write(1, 0x0f);
    uart.receive(Array.from({ length: 20 }, (_, i) => i));
    const saved = JSON.parse(JSON.stringify(uart.save()));
    const other = new Uart({ set: () => {} }, { transmit: () => {} });
    other.restore(saved);
    expect(other.save()).toEqual(uart.save());
    for (const [field, value] of [
      ['ier', 0x10],
      ['received', new Array(17).fill(0)],
      ['overrun', 1],
      ['waiting', [256]],
      ['scratch', undefined],
    ] as const) {
      expect(() => other.restore({ ...saved, [field]: value }), field).toThrow(InvalidInput);
    }
  });
});
