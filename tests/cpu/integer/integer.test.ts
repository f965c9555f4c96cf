import { expect, test } from 'vitest';
import { SEG_LIMIT, SS_ } from '../../../src/base/registers.ts';
import { DATA, Processor, STACK } from '../processor.ts';

const CF = 1;
const AF = 0x10;
const ZF = 0x40;

test('DAA and DAS as in the examples of the manual', () => {
  const p = new Processor();
  p.set({ eax: 0x79, ebx: 0x35 });
  p.execute1(0x00, 0xd8, 0x27); // add al, bl; daa: 79 + 35 = 114 (decimal)
  expect(p.get('eax')).toBe(0x14);
  expect(p.cpu.getFlags() & (CF | AF)).toBe(CF | AF);
  p.set({ eax: 0x35, ebx: 0x47 });
  p.execute1(0x28, 0xd8, 0x2f); // sub al, bl; das: 35 − 47 = −12, as 88 with a borrow
  expect(p.get('eax')).toBe(0x88);
  expect(p.cpu.getFlags() & (CF | AF)).toBe(CF | AF);
});

test('AAM with base 0 raises #DE, another base than 10 works', () => {
  const p = new Processor();
  p.set({ eax: 0x7f });
  expect(p.execute1(0xd4, 0)).toBe(0);
  expect(p.execute1(0xd4, 16)).toBeNull();
  expect(p.get('eax')).toBe(0x070f);
});

test('BTS with a register reaches words before and behind the addressed one', () => {
  const p = new Processor();
  p.set({ ebx: DATA, ecx: -33 });
  p.execute1(0x0f, 0xab, 0x0b); // bts [ebx], ecx
  expect(p.memory.read32(DATA - 8) >>> 0).toBe(0x8000_0000);
  p.set({ ecx: 64 });
  p.execute1(0x0f, 0xab, 0x0b);
  expect(p.memory.read32(DATA + 8)).toBe(1);
  expect(p.cpu.getFlags() & CF).toBe(0);
  p.execute1(0x0f, 0xbb, 0x0b); // btc takes it away again
  expect(p.memory.read32(DATA + 8)).toBe(0);
  expect(p.cpu.getFlags() & CF).toBe(CF);
});

test('an immediate bit number stays within the operand', () => {
  const p = new Processor();
  p.set({ ebx: DATA });
  p.execute1(0x0f, 0xba, 0x2b, 33); // bts dword [ebx], 33
  expect(p.memory.read32(DATA)).toBe(2);
});

test('BSF and BSR find bits, and leave the destination alone if there is none', () => {
  const p = new Processor();
  p.set({ eax: 0x0010_8000, ecx: 77, edx: 77 });
  p.execute1(0x0f, 0xbc, 0xc8, 0x0f, 0xbd, 0xd0); // bsf ecx, eax; bsr edx, eax
  expect([p.get('ecx'), p.get('edx')]).toEqual([15, 20]);
  expect(p.cpu.getFlags() & ZF).toBe(0);
  p.set({ eax: 0 });
  p.execute1(0x0f, 0xbc, 0xc8);
  expect(p.get('ecx')).toBe(15);
  expect(p.cpu.getFlags() & ZF).toBe(ZF);
});

test('CMPXCHG exchanges if the accumulator matches, else loads it', () => {
  const p = new Processor();
  p.memory.write32(DATA, 5);
  p.set({ eax: 5, ecx: 9, ebx: DATA });
  p.execute1(0x0f, 0xb1, 0x0b); // cmpxchg [ebx], ecx
  expect(p.memory.read32(DATA)).toBe(9);
  expect(p.cpu.getFlags() & ZF).toBe(ZF);
  p.execute1(0x0f, 0xb1, 0x0b);
  expect(p.get('eax')).toBe(9);
  expect(p.cpu.getFlags() & (ZF | CF)).toBe(CF); // 5 − 9
});

test('CMPXCHG8B compares and exchanges eight bytes across a page boundary', () => {
  const p = new Processor();
  const at = DATA + 0xffc;
  p.memory.write32(at, -1);
  p.memory.write32(at + 4, 7);
  p.set({ eax: -1, edx: 7, ebx: 1, ecx: 2, esi: at });
  p.execute1(0x0f, 0xc7, 0x0e);
  expect([p.memory.read32(at), p.memory.read32(at + 4)]).toEqual([1, 2]);
  expect(p.cpu.getFlags() & ZF).toBe(ZF);
  p.execute1(0x0f, 0xc7, 0x0e);
  expect([p.get('eax'), p.get('edx')]).toEqual([1, 2]);
  expect(p.cpu.getFlags() & ZF).toBe(0);
});

test('XADD of a register with itself doubles it', () => {
  const p = new Processor();
  p.set({ eax: 21 });
  p.execute1(0x0f, 0xc1, 0xc0);
  expect(p.get('eax')).toBe(42);
});

test('PUSHA and POPA mirror each other, the saved ESP is skipped', () => {
  const p = new Processor();
  p.set({ eax: 1, ecx: 2, edx: 3, ebx: 4, ebp: 6, esi: 7, edi: 8 });
  p.execute1(0x60);
  expect(p.get('esp')).toBe(STACK - 32);
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((k) => p.memory.read32(STACK - 32 + k * 4))).toEqual([
    8,
    7,
    6,
    STACK,
    4,
    3,
    2,
    1,
  ]);
  p.memory.write32(STACK - 32 + 12, 0x1234);
  p.set({ eax: 0, ecx: 0, edx: 0, ebx: 0, ebp: 0, esi: 0, edi: 0 });
  p.execute1(0x61);
  expect([p.get('eax'), p.get('edi'), p.get('esp')]).toEqual([1, 8, STACK]);
});

test('ENTER copies the frame pointers of the enclosing levels', () => {
  const p = new Processor();
  const outer = DATA + 0x100;
  p.memory.write32(outer - 4, 0xaaaa);
  p.memory.write32(outer - 8, 0xbbbb);
  p.set({ ebp: outer });
  p.execute1(0xc8, 0x10, 0x00, 3); // enter 16, 3
  const frame = STACK - 4;
  expect([0, 1, 2, 3].map((k) => p.memory.read32(frame - k * 4))).toEqual([outer, 0xaaaa, 0xbbbb, frame]);
  expect([p.get('ebp'), p.get('esp')]).toEqual([frame, frame - 12 - 16]);
});

test('PUSHA and ENTER that meet the end of the stack segment change neither registers nor memory', () => {
  const p = new Processor();
  p.S[SEG_LIMIT + SS_] = 0x7fff;
  p.cpu.segmentsChanged();
  for (const code of [[0x60], [0xc8, 0, 0, 4]]) {
    // Bytes 0 to 7 of the segment are there, what comes below wraps to its far end. #SS cannot be delivered on such a stack.
    p.set({ esp: 8, eax: 0x55, ebp: 0x1000 });
    p.memory.write32(0, 0);
    p.memory.write32(4, 0);
    p.load(...code);
    expect(p.run(1)).toBe('shutdown');
    expect([p.get('esp'), p.get('eax'), p.get('ebp')]).toEqual([8, 0x55, 0x1000]);
    expect([p.memory.read32(0), p.memory.read32(4)]).toEqual([0, 0]);
    p.S[18] = 0; // active again
    p.S[16] = 0;
  }
});

test('XLAT and SALC', () => {
  const p = new Processor();
  p.memory.write8(DATA + 0xff, 0x5a);
  p.set({ ebx: DATA, eax: 0x1ff });
  p.execute1(0xd7);
  expect(p.get('eax')).toBe(0x15a);
  p.execute1(0xf9, 0xd6); // stc; salc
  expect(p.get('eax')).toBe(0x1ff);
});
