import { expect, test } from 'vitest';
import { DS, EIP, ES, SEG_BASE, SEG_LIMIT } from '../../../src/base/registers.ts';
import { CODE, DATA, Processor } from '../processor.ts';

const GP = 13;

test('a repeated instruction uses exactly the budget and can be gone on with', () => {
  const p = new Processor();
  p.set({ ecx: 100, esi: DATA, edi: DATA + 0x1000 });
  p.load(0xf3, 0xa4); // rep movsb
  const start = p.cpu.now();
  expect(p.run(10)).toBe('budget');
  expect([p.get('ecx'), p.get('esi'), p.get('edi'), p.S[EIP]]).toEqual([90, DATA + 10, DATA + 0x100a, CODE]);
  expect(p.cpu.now() - start).toBe(10);
  expect(p.run(1000)).toBe('halted');
  expect(p.cpu.now() - start).toBe(101); // 100 iterations and the HLT
});

test('without an iteration a repeated instruction still counts as one, and touches nothing', () => {
  const p = new Processor();
  p.set({ ecx: 0, edi: 0x7fff_0000 });
  p.load(0xf3, 0xab); // rep stosd
  const start = p.cpu.now();
  expect(p.run(100)).toBe('halted');
  expect(p.cpu.now() - start).toBe(2);
  expect(p.get('edi')).toBe(0x7fff_0000);
});

test('a fault in the middle leaves the registers as the iterations before it made them', () => {
  const p = new Processor();
  p.S[SEG_LIMIT + ES] = DATA + 0x17ff;
  p.cpu.segmentsChanged();
  p.set({ ecx: 0x1000, edi: DATA + 0xff0, eax: 0x77 });
  p.load(0xf3, 0xaa); // rep stosb
  const start = p.cpu.now();
  expect(p.execute1(0xf3, 0xaa)).toBe(GP);
  expect([p.get('edi'), p.get('ecx')]).toEqual([DATA + 0x1800, 0x1000 - 0x810]);
  expect(p.memory.read8(DATA + 0x17ff)).toBe(0x77);
  expect(p.memory.read8(DATA + 0x1800)).toBe(0);
  expect(p.cpu.now() - start).toBe(0x810 + 1); // the HLT of the handler; the fault itself takes no time
});

test('REP STOS over the instructions that follow it takes effect', () => {
  const p = new Processor();
  p.load(0xf3, 0xaa, 0xb3, 1, 0xb3, 1, 0xb3, 1); // rep stosb; mov bl, 1 three times; hlt
  p.set({ ecx: 6, edi: CODE + 2, eax: 0x90, ebx: 0 });
  expect(p.run(100)).toBe('halted');
  expect(p.get('ebx')).toBe(0);
});

test('16-bit addresses wrap around within the segment', () => {
  const p = new Processor();
  for (const segment of [DS, ES]) p.S[SEG_BASE + segment] = 0x1_0000;
  p.cpu.segmentsChanged();
  p.memory.write8(0x1_ffff, 0x11);
  p.memory.write8(0x1_0000, 0x22);
  p.set({ ecx: 0x5555_0002, esi: 0x1234_ffff, edi: 0x4000 });
  p.execute1(0x67, 0xf3, 0xa4);
  expect(p.memory.read16(0x1_4000)).toBe(0x2211);
  expect([p.get('ecx'), p.get('esi'), p.get('edi')]).toEqual([0x5555_0000, 0x1234_0001, 0x4002]);
});

test('the source may lie in another segment, the destination never', () => {
  const p = new Processor();
  p.S[SEG_BASE + 4] = 0x1_0000; // FS
  p.memory.write8(0x1_0040, 0x99);
  p.set({ esi: 0x40, edi: DATA });
  p.execute1(0x64, 0xa4);
  expect(p.memory.read8(DATA)).toBe(0x99);
});

test('INS reads the port only once the destination is known to be writable; OUTS passes elements on in order', () => {
  const p = new Processor();
  const log: string[] = [];
  p.cpu.ports.add(0x300, 4, {
    widestAccess: 4,
    read: (_, size) => {
      log.push(`read ${size} at ${p.cpu.now()}`);
      return 0x1122_3344;
    },
    write: (_, value, size) => void log.push(`write ${size} ${value.toString(16)}`),
  });
  const start = p.cpu.now();
  p.set({ ecx: 2, edx: 0x300, edi: DATA });
  p.execute1(0xf3, 0x66, 0x6d); // rep insw
  expect(log).toEqual([`read 2 at ${start}`, `read 2 at ${start + 1}`]);
  expect(p.memory.read32(DATA)).toBe(0x3344_3344);
  log.length = 0;
  p.set({ ecx: 2, esi: DATA });
  p.execute1(0xf3, 0x6e); // rep outsb
  expect(log).toEqual(['write 1 44', 'write 1 33']);
  log.length = 0;
  p.S[SEG_LIMIT + ES] = 0xff;
  p.cpu.segmentsChanged();
  p.set({ edi: DATA });
  expect(p.execute1(0x6d)).toBe(GP);
  expect(log).toEqual([]);
});

test('a repeated move onto itself, one element ahead, repeats the element; less than one element ahead, it mixes', () => {
  const p = new Processor();
  p.memory.writeBytes(DATA, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  p.set({ ecx: 3, esi: DATA, edi: DATA + 2 });
  p.execute1(0xf3, 0x66, 0xa5); // rep movsw
  expect([...p.memory.readBytes(DATA, 8)]).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
  p.memory.writeBytes(DATA, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  p.set({ ecx: 3, esi: DATA, edi: DATA + 1 });
  p.execute1(0xf3, 0x66, 0xa5);
  expect([...p.memory.readBytes(DATA, 8)]).toEqual([1, 1, 2, 2, 4, 4, 6, 8]);
});
