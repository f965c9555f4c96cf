import { beforeEach, describe, expect, test } from 'vitest';
import { VirtualClock } from '../../src/base/clock.ts';
import { InvalidInput } from '../../src/base/errors.ts';
import { PC } from '../../src/machine/board.ts';
import { type BoardDevices, instantiate } from '../../src/machine/board-devices.ts';
import { PortSpace } from '../../src/mmu/port-space.ts';

let ports: PortSpace;
let board: BoardDevices;
let time: number;
let clock: VirtualClock;
let log: string[];

const make = (): void => {
  ports = new PortSpace();
  clock = new VirtualClock(() => time);
  board = instantiate(PC, {
    ports,
    clock,
    interrupt: { set: (level) => level && log.push('int') },
    serial: [{ transmit: (b) => log.push(`com1 ${b}`) }, { transmit: (b) => log.push(`com2 ${b}`) }],
    onPowerOff: () => log.push('off'),
    onDebugExit: (v) => log.push(`exit ${v}`),
  });
  log = [];
};

beforeEach(() => {
  time = 0;
  log = [];
  make();
});

describe('the PC board', () => {
  test('serial ports, debug exit and power off are where kernels look for them', () => {
    ports.write(0x3f8, 65, 1);
    ports.write(0x2f8, 66, 1);
    ports.write(0xf4, 0x10, 4);
    ports.write(0xf4, 7, 1);
    ports.write(0x604, 0x2400, 2); // another sleep type
    ports.write(0x604, 0x2000, 2);
    expect(log).toEqual(['com1 65', 'com2 66', 'exit 16', 'exit 7', 'off']);
    expect(ports.floats).toBe(0);
  });

  test('the timer reaches the processor through the interrupt controller', () => {
    for (const [port, value] of [
      [0x20, 0x11],
      [0x21, 0x20],
      [0x21, 0x04],
      [0x21, 0x01],
      [0x43, 0x34],
      [0x40, 100],
      [0x40, 0],
    ]) {
      ports.write(port, value, 1);
    }
    time = clock.next;
    clock.runDue();
    log = [];
    time = clock.next;
    clock.runDue();
    expect([log, time / 838]).toEqual([['int'], 101]);
    expect(board.acknowledge()).toBe(0x20);
  });

  test('serial input raises IRQ 4', () => {
    for (const value of [0x11, 0x20, 0x04, 0x01]) ports.write(value === 0x11 ? 0x20 : 0x21, value, 1);
    ports.write(0x3f9, 1, 1);
    board.serial[0].receive([65]);
    expect(board.acknowledge()).toBe(0x24);
  });

  test('saves and restores all of its devices, and refuses the state of another board', () => {
    ports.write(0x43, 0x36, 1);
    ports.write(0x40, 0x10, 1);
    ports.write(0x40, 0x27, 1);
    ports.write(0x3ff, 0x5a, 1);
    ports.write(0x21, 0xfe, 1);
    const saved = JSON.parse(JSON.stringify(board.save()));
    const next = clock.next;
    make();
    board.restore(saved);
    expect(board.save()).toEqual(saved);
    expect([ports.read(0x3ff, 1), ports.read(0x21, 1), clock.next]).toEqual([0x5a, 0xfe, next]);
    expect(() => board.restore({ devices: saved.devices.slice(1) })).toThrow(InvalidInput);
    expect(() => board.restore({ devices: [...saved.devices].reverse() })).toThrow(/another board/);
  });

  test('a description that gives one interrupt line to two devices is refused', () => {
    const twice = { name: 'twice', devices: [...PC.devices, { kind: 'uart', port: 0x3e8, irq: 4 } as const] };
    expect(() =>
      instantiate(twice, {
        ports: new PortSpace(),
        clock,
        interrupt: { set: () => {} },
        onPowerOff: () => {},
        onDebugExit: () => {},
      }),
    ).toThrow(/interrupt line 4/);
  });
});
