import { describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { EptBuilder } from '../../src/hypervisor/ept-builder.ts';
import { FrameAllocator, HYPERVISOR, VM_OWNER } from '../../src/hypervisor/frames.ts';
import { GuestMemory } from '../../src/hypervisor/guest-memory.ts';
import type { RootMemory } from '../../src/machine/root-mode.ts';
import { fakeMemory } from './root-memory.ts';

const MIB = 0x10_0000;

/** A walk after the manual's figure "Formats of EPTP and EPT Paging-Structure Entries", knowing nothing of the builder. */
function walk(memory: RootMemory, eptp: number, address: number): { at: number; bits: number; large: boolean } | null {
  expect(eptp & 0xfff).toBe(0x1e); // write-back, four levels
  let table = eptp - (eptp & 0xfff);
  for (const shift of [39, 30, 21, 12]) {
    const entry = memory.read32(table + (Math.floor(address / 2 ** shift) % 512) * 8);
    expect(memory.read32(table + (Math.floor(address / 2 ** shift) % 512) * 8 + 4)).toBe(0);
    if ((entry & 7) === 0) return null;
    const large = shift === 21 && (entry & 0x80) !== 0;
    if (shift === 12 || large) {
      const page = 2 ** shift;
      expect(entry & 0x38).toBe(0x30);
      return { at: entry - (entry % page) + (address % page), bits: entry & 7, large };
    }
    expect(entry & 0xf8).toBe(0);
    table = entry - (entry % 4096);
  }
  return null;
}

const make = (hostBytes: number, guestBytes: number, largePages = false) => {
  const memory = fakeMemory(hostBytes);
  const frames = new FrameAllocator(hostBytes, 11);
  const ept = new EptBuilder(memory, () => frames.allocate(HYPERVISOR));
  const guest = new GuestMemory(guestBytes, memory, frames, VM_OWNER, ept, largePages);
  return { memory, frames, ept, guest };
};

describe('guest memory', () => {
  test('every guest page has a frame of its own, and the extended page tables say the same', () => {
    const { memory, frames, ept, guest } = make(4 * MIB, MIB);
    const seen = new Set<number>();
    for (let page = 0; page < 256; page++) {
      const at = guest.toHost(page * 4096 + 5);
      expect(walk(memory, ept.pointer, page * 4096 + 5)).toEqual({ at, bits: 7, large: false });
      expect(frames.ownerOf(at >> 12)).toBe(VM_OWNER);
      seen.add(at >> 12);
    }
    expect(seen.size).toBe(256);
    expect(walk(memory, ept.pointer, MIB)).toBeNull();
    expect(guest.toHost(MIB)).toBe(-1);
    expect(ept.tables).toBe(4);
  });

  test('bytes written across pages are read back, and lie scattered in the host', () => {
    const { memory, guest } = make(4 * MIB, MIB);
    const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i * 7);
    guest.writeBytes(4090, bytes);
    expect(guest.readBytes(4090, bytes.length)).toEqual(bytes);
    expect(memory.read8(guest.toHost(4096))).toBe(bytes[6]);
    expect(guest.read32(MIB)).toBe(-1);
    expect(() => guest.writeBytes(MIB - 1, bytes)).toThrow(RangeError);
  });

  test('uses 2-MiB pages where the host has such blocks, 4-KiB pages for the rest', () => {
    const { memory, ept, guest } = make(16 * MIB, 5 * MIB, true);
    expect(guest.largePages).toBe(2);
    for (const address of [0, 2 * MIB + 4096, 4 * MIB, 5 * MIB - 1]) {
      const found = walk(memory, ept.pointer, address);
      expect(found).toEqual({ at: guest.toHost(address), bits: 7, large: address < 4 * MIB });
    }
  });

  test('rights and removal of single pages', () => {
    const { memory, ept } = make(4 * MIB, MIB);
    ept.map(3, 9, 1);
    expect(walk(memory, ept.pointer, 3 * 4096)).toEqual({ at: 9 * 4096, bits: 1, large: false });
    ept.unmap(3);
    expect(walk(memory, ept.pointer, 3 * 4096)).toBeNull();
    expect(() => ept.mapLarge(512, 3)).toThrow(RangeError);
  });

  test('refuses what the machine cannot give', () => {
    expect(() => make(MIB, 2 * MIB)).toThrow(InvalidInput);
    expect(() => make(4 * MIB, 5000)).toThrow(/multiple of 4 KiB/);
    expect(() => make(MIB, MIB - 4096)).toThrow(InvalidInput); // no frame is left for the tables
  });
});
