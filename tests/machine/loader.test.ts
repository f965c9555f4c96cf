import { describe, expect, test } from 'vitest';
import { InvalidInput } from '../../src/base/errors.ts';
import { placeImage } from '../../src/machine/loader/place.ts';
import { planImage } from '../../src/machine/loader/plan.ts';

/** Made by nasm and GNU ld: linked at C0100000h, loaded at 100000h, entry 12 bytes behind the header, 4 KiB of .bss. */
const kernelElf = (): Uint8Array => Uint8Array.from(atob(KERNEL_ELF), (c) => c.charCodeAt(0));
const KERNEL_ELF =
  'f0VMRgEBAQAAAAAAAAAAAAIAAwABAAAADAAQwDQAAAAIAQAAAAAAADQAIAABACgABgAFAAEAAABgAAAAAAAQwAAAEAAUAAAAACAAAAcAAAAQAAAAAAAAAAAAAAAAAAAAArCtGwMAAAD7T1LkvAAgEMD06/4AAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAABADx/wcAAAAAIBDAAAAAAAAAAgARAAAAEgAQwAAAAAAQAAEAFwAAAAwAEMAAAAAAEAABAABrLmFzbQBzdGFja190b3AAYWZ0ZXIAc3RhcnQAAC5zeW10YWIALnN0cnRhYgAuc2hzdHJ0YWIALnRleHQALmJzcwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABsAAAABAAAABgAAAAAAEMBgAAAAFAAAAAAAAAAAAAAAEAAAAAAAAAAhAAAACAAAAAMAAAAAEBDAdAAAAAAQAAAAAAAAAAAAAAQAAAAAAAAAAQAAAAIAAAAAAAAAAAAAAHQAAABQAAAABAAAAAMAAAAEAAAAEAAAAAkAAAADAAAAAAAAAAAAAADEAAAAHQAAAAAAAAAAAAAAAQAAAAAAAAARAAAAAwAAAAAAAAAAAAAA4QAAACYAAAAAAAAAAAAAAAEAAAAAAAAA';
const PROGRAM_HEADER = 52;
const MIB = 0x10_0000;

const words = (...values: number[]): Uint8Array => new Uint8Array(new Uint32Array(values).buffer);
const patched = (file: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = file.slice();
  new DataView(copy.buffer).setUint32(at, value, true);
  return copy;
};
/** Magic, flags 16, checksum, header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr, then code. */
const byFields = (headerAddr: number, loadAddr: number, loadEnd: number, bssEnd: number, entry: number): Uint8Array =>
  words(0, 0x1bad_b002, 0x1_0003, -(0x1bad_b002 + 0x1_0003), headerAddr, loadAddr, loadEnd, bssEnd, entry, 0xf4f4_f4f4);

const ram = (bytes: number) => {
  const u8 = new Uint8Array(bytes).fill(0xcc);
  return { bytes, u8, v: new DataView(u8.buffer), writeBytes: (at: number, b: Uint8Array) => u8.set(b, at) };
};
const text = (u8: Uint8Array, at: number): string => String.fromCharCode(...u8.subarray(at, u8.indexOf(0, at)));

describe('recognising images', () => {
  test('a multiboot ELF file: physical addresses, entry translated, symbols by address', () => {
    const plan = planImage(kernelElf());
    expect(plan.format).toBe('multiboot-elf');
    expect(plan.segments.map((s) => [s.at, s.bytes.length, s.length])).toEqual([[0x10_0000, 0x14, 0x2000]]);
    expect(plan.entry).toBe(0x10_000c);
    expect(plan.symbols.map((s) => `${s.name}@${s.address.toString(16)}`)).toEqual([
      'start@c010000c',
      'after@c0100012',
      'stack_top@c0102000',
    ]);
  });

  test('multiboot address fields', () => {
    const plan = planImage(byFields(0x10_0004, 0x10_0000, 0x10_0028, 0x10_1000, 0x10_0024));
    expect(plan.format).toBe('multiboot-fields');
    expect([plan.segments[0].at, plan.segments[0].bytes.length, plan.segments[0].length]).toEqual([MIB, 40, 0x1000]);
    expect(plan.entry).toBe(0x10_0024);
  });

  test('zero end addresses mean the whole file and no bss; a load address of all ones the beginning of the file', () => {
    const plan = planImage(byFields(0x20_0004, 0xffff_ffff, 0, 0, 0x20_0024));
    expect([plan.segments[0].at, plan.segments[0].length]).toEqual([0x20_0000, 40]);
  });

  test('anything else is a flat binary, at 1 MiB or where the user says', () => {
    const code = Uint8Array.of(0xf4);
    expect(planImage(code)).toMatchObject({ format: 'flat', entry: MIB, entryState: 'flat' });
    expect(planImage(code, { load: 0x20_0000 })).toMatchObject({ entry: 0x20_0000 });
    expect(planImage(code, { real: true })).toMatchObject({ format: 'real', entry: 0x7c00, entryState: 'real' });
    expect(planImage(kernelElf(), { load: 0x20_0000 }).format).toBe('flat');
  });

  test('a magic number whose checksum is wrong is no header', () => {
    const file = byFields(0x10_0004, 0x10_0000, 0, 0, 0x10_0024);
    expect(planImage(patched(file, 12, 0)).format).toBe('flat');
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /empty: give a kernel/],
    ['an ELF file cut in its segment', patched(kernelElf(), PROGRAM_HEADER + 4, 500), /segment 0 is cut off/],
    ['program headers outside the file', patched(kernelElf(), 28, 0xffff_fff0), /program headers are cut off/],
    ['64-bit ELF', patched(kernelElf(), 4, 0x01_01_02), /build it for i386/],
    ['ELF for another machine', patched(kernelElf(), 16, (62 << 16) | 2), /machine 62/],
    ['an object file', patched(kernelElf(), 16, (3 << 16) | 1), /not an executable/],
    ['more file than memory', patched(kernelElf(), PROGRAM_HEADER + 20, 8), /more bytes in the file/],
    ['ELF without multiboot', patched(kernelElf(), 0x60, 0), /no multiboot header/],
    ['unknown demands', words(0x1bad_b002, 0x1_0008, -(0x1bad_b002 + 0x1_0008)), /demands something unknown/],
    ['no address fields in a flat file', words(0x1bad_b002, 3, -(0x1bad_b002 + 3)), /set flag 16/],
    ['a cut header', words(0x1bad_b002, 0x1_0003, -(0x1bad_b002 + 0x1_0003)), /header is cut off/],
    ['a header that is not where it says', byFields(0x10_0100, 0x10_0000, 0, 0, MIB), /do not fit the file/],
    ['a load end behind the file', byFields(0x10_0004, MIB, MIB + 4096, 0, MIB), /before multiboot load_end_addr/],
    ['a bss end before the load end', byFields(0x10_0004, MIB, MIB + 40, MIB + 8, MIB), /bss_end_addr/],
  ])('refuses %s with a line that says what to change', (_name, file, message) => {
    expect(() => planImage(file)).toThrow(InvalidInput);
    expect(() => planImage(file)).toThrow(message);
  });

  test('whatever byte of an ELF file is damaged, it is planned or refused, never worse', () => {
    const good = kernelElf();
    for (let at = 0; at < good.length; at++) {
      for (const value of [0x00, 0x7f, 0xff]) {
        const file = good.slice();
        file[at] = value;
        try {
          placeImage(planImage(file), ram(4 * MIB));
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInput);
        }
        expect(() => planImage(good.subarray(0, at))).not.toThrow(RangeError);
      }
    }
  });
});

describe('placing images', () => {
  test('a multiboot kernel gets its segments, zeroed bss, magic, and the information structure', () => {
    const memory = ram(4 * MIB);
    const module = { bytes: Uint8Array.of(1, 2, 3), commandLine: 'disk' };
    const entry = placeImage(planImage(kernelElf()), memory, { commandLine: 'a=1', modules: [module, module] });
    expect(entry.general[0]).toBe(0x2bad_b002);
    expect([entry.eip, entry.cr0 & 0x8000_0001, entry.eflags]).toEqual([0x10_000c, 1, 2]);
    expect(memory.v.getUint32(MIB, true)).toBe(0x1bad_b002);
    expect(memory.u8.subarray(MIB + 0x14, MIB + 0x2000).every((b) => b === 0)).toBe(true);
    expect(memory.u8[MIB + 0x2000 + 3]).toBe(0xcc);

    const info = entry.general[3];
    const at = (offset: number): number => memory.v.getUint32(info + offset, true);
    expect(at(0)).toBe(0x24d);
    expect([at(4), at(8)]).toEqual([640, 3072]);
    expect(text(memory.u8, at(16))).toBe('a=1');
    expect(text(memory.u8, at(64))).toBe('ringlet');
    expect(at(20)).toBe(2);
    const modules = [0, 1].map((i) => [0, 4, 8].map((o) => memory.v.getUint32(at(24) + i * 16 + o, true)));
    expect(modules.map(([start, end]) => [start, end])).toEqual([
      [0x10_2000, 0x10_2003],
      [0x10_3000, 0x10_3003],
    ]);
    expect(text(memory.u8, modules[1][2])).toBe('disk');
    expect([...memory.u8.subarray(0x10_3000, 0x10_3003)]).toEqual([1, 2, 3]);

    const map: number[][] = [];
    for (let p = at(48); p < at(48) + at(44); p += 4 + memory.v.getUint32(p, true)) {
      map.push([4, 12, 20].map((o) => memory.v.getUint32(p + o, true)));
    }
    expect(map).toEqual([
      [0, 0xa_0000, 1],
      [0xa_0000, 0x6_0000, 2],
      [MIB, 3 * MIB, 1],
    ]);
  });

  test('flat segments for a flat binary, real-mode ones for a boot sector', () => {
    const flat = placeImage(planImage(Uint8Array.of(0xf4)), ram(2 * MIB));
    expect(flat.segments[1]).toEqual({ selector: 8, base: 0, limit: 0xffff_ffff, access: 0xc09b });
    expect(flat.general).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const memory = ram(MIB);
    const real = placeImage(planImage(Uint8Array.of(0xf4), { real: true }), memory);
    expect([real.cr0 & 1, real.eip, real.segments[1].base, memory.u8[0x7c00]]).toEqual([0, 0x7c00, 0, 0xf4]);
  });

  const flatAt = (load: number, entry = load) => planImage(Uint8Array.of(0xf4), { load, entry });
  test.each<[string, () => unknown, RegExp]>([
    ['larger than memory', () => placeImage(flatAt(2 * MIB), ram(2 * MIB)), /at least 2049 KiB/],
    ['with its entry outside', () => placeImage(flatAt(MIB, 0x500), ram(2 * MIB)), /0500h lies outside/],
    ['with too little memory', () => placeImage(planImage(kernelElf()), ram(MIB + 0x2000)), /at least 2 MiB/],
    [
      'over the boot information',
      () => placeImage(planImage(byFields(0x9004, 0x9000, 0, 0, 0x9024)), ram(2 * MIB)),
      /boot information/,
    ],
    [
      'with a module that does not fit',
      () => placeImage(planImage(kernelElf()), ram(2 * MIB), { modules: [{ bytes: new Uint8Array(MIB) }] }),
      /module 0/,
    ],
    [
      'with modules that nobody would find',
      () => placeImage(flatAt(MIB), ram(2 * MIB), { modules: [{ bytes: new Uint8Array(1) }] }),
      /only a multiboot kernel/,
    ],
    [
      'with a command line that is too long',
      () => placeImage(planImage(kernelElf()), ram(2 * MIB), { commandLine: 'x'.repeat(30_000) }),
      /shorten/,
    ],
  ])('refuses an image %s', (_name, place, message) => {
    expect(place).toThrow(InvalidInput);
    expect(place).toThrow(message);
  });
});
