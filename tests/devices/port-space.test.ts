import { describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { type AccessSize, PortSpace } from '../../src/mmu/port-space.ts';

const recorder = (widestAccess: AccessSize) => {
  const log: string[] = [];
  return {
    log,
    widestAccess,
    read: (offset: number, size: AccessSize) => {
      log.push(`r${size}@${offset}`);
      return 0xa0 + offset;
    },
    write: (offset: number, value: number, size: AccessSize) => {
      log.push(`w${size}@${offset}=${value.toString(16)}`);
    },
  };
};

describe('port space', () => {
  test('floats where no device is: all ones of the access size, writes dropped, one count for each access', () => {
    const ports = new PortSpace();
    expect([ports.read(0x80, 1), ports.read(0x80, 2), ports.read(0xffff, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    ports.write(0x80, 1, 4);
    expect(ports.floats).toBe(4);
  });

  test('splits a wide access to a device of byte registers, lowest port first', () => {
    const ports = new PortSpace();
    const device = recorder(1);
    ports.add(0x10, 4, device);
    expect(ports.read(0x10, 4)).toBe(0xa3a2_a1a0);
    ports.write(0x11, 0x1234, 2);
    expect(device.log).toEqual(['r1@0', 'r1@1', 'r1@2', 'r1@3', 'w1@1=34', 'w1@2=12']);
    expect(ports.floats).toBe(0);
  });

  test('gives an access whole to a device that takes its width, and cuts values to the access size', () => {
    const ports = new PortSpace();
    const device = recorder(2);
    ports.add(0x604, 2, device);
    ports.write(0x604, 0xffff_2000, 2);
    expect(device.log).toEqual(['w2@0=2000']);
  });

  test('an access over the end of a device reaches it with its own part, the rest floats', () => {
    const ports = new PortSpace();
    ports.add(0x20, 2, recorder(4));
    expect(ports.read(0x21, 2)).toBe(0xffa1);
    expect(ports.floats).toBe(1);
  });

  test('refuses two devices on one port, and ports outside', () => {
    const ports = new PortSpace();
    ports.add(0x20, 2, recorder(1));
    expect(() => ports.add(0x1f, 2, recorder(1))).toThrow(InvalidInput);
    expect(() => ports.add(0xffff, 2, recorder(1))).toThrow(InvalidInput);
  });
});
