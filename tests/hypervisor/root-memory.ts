import type { RootMemory } from '../../src/machine/root-mode.ts';

/** Host-physical memory without a machine around it. */
export function fakeMemory(bytes: number): RootMemory {
  const u8 = new Uint8Array(bytes);
  const v = new DataView(u8.buffer);
  return {
    bytes,
    references: 0,
    read8: (at) => v.getUint8(at),
    read16: (at) => v.getUint16(at, true),
    read32: (at) => v.getUint32(at, true),
    write8: (at, value) => v.setUint8(at, value),
    write16: (at, value) => v.setUint16(at, value, true),
    write32: (at, value) => v.setUint32(at, value, true),
    readBytes: (at, length) => u8.slice(at, at + length),
    writeBytes: (at, b) => u8.set(b, at),
    fill: (at, length, value) => {
      u8.fill(value, at, at + length);
    },
  };
}
