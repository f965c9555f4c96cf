import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ACTIVITY,
  CR0,
  CR0_PG,
  CR3,
  DS,
  EAX,
  ECX,
  EDI,
  EIP,
  ES,
  ESI,
  EVENTS,
  FLAG_CF,
  FLAG_ZF,
  SEG_BASE,
} from '../../../src/base/registers.ts';
import { runs } from '../../effort.ts';
import { HANDLERS, Processor, STACK } from '../processor.ts';

/** The manual's definition of the string instructions, one element at a time, on a byte array. */
class Model {
  readonly memory: Uint8Array;
  /** Page that is not there: an access to it ends the run. */
  readonly absent: number;
  eax = 0;
  ecx = 0;
  esi = 0;
  edi = 0;
  /** ZF and CF of the last comparison. */
  zf: boolean | null = null;
  cf: boolean | null = null;

  constructor(memory: Uint8Array, absent: number) {
    this.memory = memory;
    this.absent = absent;
  }

  #touch(at: number, size: number): void {
    if (at >> 12 === this.absent || (at + size - 1) >> 12 === this.absent) throw new PageFault();
  }

  load(at: number, size: number): number {
    this.#touch(at, size);
    let value = 0;
    for (let k = size - 1; k >= 0; k--) value = value * 256 + this.memory[at + k];
    return value;
  }

  store(at: number, size: number, value: number): void {
    this.#touch(at, size);
    for (let k = 0; k < size; k++) this.memory[at + k] = Math.floor(value / 256 ** k) % 256;
  }
}

class PageFault extends Error {}

interface Case {
  op: 'movs' | 'cmps' | 'stos' | 'lods' | 'scas';
  size: 1 | 2 | 4;
  rep: 0 | 0xf2 | 0xf3;
  address16: boolean;
  backwards: boolean;
  esi: number;
  distance: number;
  ecx: number;
  slices: number[];
  fill: number;
  absent: number;
}

const OPCODES = { movs: 0xa4, cmps: 0xa6, stos: 0xaa, lods: 0xac, scas: 0xae };
const REGION = 0x1_0000;
const BYTES = 0x2_0000;

const cases: fc.Arbitrary<Case> = fc.record({
  op: fc.constantFrom('movs', 'cmps', 'stos', 'lods', 'scas'),
  size: fc.constantFrom(1, 2, 4),
  rep: fc.constantFrom(0, 0xf2, 0xf3),
  address16: fc.boolean(),
  backwards: fc.boolean(),
  esi: fc.oneof(fc.integer({ min: 0x4000, max: 0xb000 }), fc.constantFrom(0x7ffd, 0x8000, 0x8fff)),
  distance: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -0x3000, max: 0x3000 })),
  ecx: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3000 })),
  slices: fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 6 }),
  fill: fc.constantFrom(0, 1, 2),
  absent: fc.oneof(fc.constant(0), fc.integer({ min: 0x14, max: 0x1b })),
});

/** Executes the instruction; returns how many iterations it took (at least 1), and whether a page fault ended it. */
function reference(m: Model, c: Case): { iterations: number; fault: boolean } {
  const mask = c.address16 ? 0xffff : 0xffff_ffff;
  const step = c.backwards ? -c.size : c.size;
  const move = (n: number): number => (n & ~mask) + ((n + step) & mask);
  const limit = 2 ** (8 * c.size);
  const compare = (a: number, b: number): void => {
    m.zf = a === b;
    m.cf = a < b;
  };
  if (c.rep !== 0 && (m.ecx & mask) === 0) return { iterations: 1, fault: false };
  for (let iterations = 1; ; iterations++) {
    const source = REGION + (m.esi & mask);
    const destination = REGION + (m.edi & mask);
    try {
      if (c.op === 'movs') m.store(destination, c.size, m.load(source, c.size));
      else if (c.op === 'stos') m.store(destination, c.size, m.eax % limit);
      else if (c.op === 'lods') m.eax = Math.floor(m.eax / limit) * limit + m.load(source, c.size);
      else if (c.op === 'cmps') compare(m.load(source, c.size), m.load(destination, c.size));
      else compare(m.eax % limit, m.load(destination, c.size));
    } catch {
      return { iterations: iterations - 1, fault: true };
    }
    if (c.op === 'movs' || c.op === 'lods' || c.op === 'cmps') m.esi = move(m.esi);
    if (c.op !== 'lods') m.edi = move(m.edi);
    if (c.rep === 0) return { iterations, fault: false };
    m.ecx--;
    if ((m.ecx & mask) === 0) return { iterations, fault: false };
    if (m.zf !== null && m.zf !== (c.rep === 0xf3)) return { iterations, fault: false };
  }
}

const DIRECTORY = 0x5000;
const TABLE = 0x6000;
/** Frame that holds a page of the region: neighbouring pages never lie in neighbouring frames. */
const frameOf = (page: number): number => 0x10 + (((page - 0x10) * 13 + 5) & 31);

/** Paging with the first 64 KiB as they are, the region scattered. */
function scatteredProcessor(): Processor {
  const p = new Processor();
  p.memory.write32(DIRECTORY, TABLE | 3);
  for (let page = 0; page < 0x10; page++) p.memory.write32(TABLE + page * 4, (page << 12) | 3);
  const cr0 = p.S[CR0];
  p.S[CR3] = DIRECTORY;
  p.S[CR0] = cr0 | CR0_PG;
  p.cpu.mmu.controlRegistersChanged(cr0, 0);
  for (const segment of [DS, ES]) p.S[SEG_BASE + segment] = REGION;
  p.cpu.segmentsChanged();
  return p;
}

/** Mostly equal bytes, so that comparisons go on for a while. */
function fillRegion(p: Processor, c: Case): Uint8Array {
  const bytes = new Uint8Array(REGION + BYTES);
  for (let k = 0; k < BYTES; k++) bytes[REGION + k] = [0, k % 997 === 0 ? 1 : 0, (k * 167) >> 3][c.fill];
  for (let page = REGION >> 12; page < (REGION + BYTES) >> 12; page++) {
    p.memory.writeBytes(frameOf(page) << 12, bytes.subarray(page << 12, (page + 1) << 12));
    p.memory.write32(TABLE + page * 4, page === c.absent ? 0 : (frameOf(page) << 12) | 3);
    p.cpu.mmu.invlpg(page << 12);
  }
  return bytes;
}

function expectSameMemory(p: Processor, bytes: Uint8Array): void {
  for (let page = REGION >> 12; page < (REGION + BYTES) >> 12; page++) {
    const actual = p.memory.readBytes(frameOf(page) << 12, 4096);
    expect(Buffer.compare(actual, bytes.subarray(page << 12, (page + 1) << 12)), `page ${page}`).toBe(0);
  }
}

test('string instructions do what their definition says, however the run is cut into slices and memory scattered', () => {
  const p = scatteredProcessor();
  fc.assert(
    fc.property(cases, (c) => {
      // Arrange
      const bytes = fillRegion(p, c);
      const m = new Model(bytes, c.absent);
      m.eax = c.fill === 2 ? 0x4433_2211 : 0;
      m.ecx = c.ecx;
      m.esi = c.esi;
      m.edi = c.esi + c.distance;
      p.set({ eax: m.eax, ecx: m.ecx, esi: m.esi, edi: m.edi, esp: STACK });
      const prefixes = [...(c.address16 ? [0x67] : []), ...(c.size === 2 ? [0x66] : []), ...(c.rep ? [c.rep] : [])];
      p.load(c.backwards ? 0xfd : 0xfc, ...prefixes, OPCODES[c.op] | (c.size === 1 ? 0 : 1));
      p.S[ACTIVITY] = 0;
      p.S[EVENTS] = 0;

      // Act
      const { iterations, fault } = reference(m, c);
      const start = p.cpu.now();
      let end = 'budget';
      for (const slice of c.slices) if (end === 'budget') end = p.run(slice);
      if (end === 'budget') end = p.run(10_000);

      // Assert: one instruction before, one HLT behind
      expect(end).toBe('halted');
      expect(p.S[EIP] === HANDLERS + 15).toBe(fault);
      expect(p.cpu.now() - start).toBe(iterations + 2);
      expect([EAX, ECX, ESI, EDI].map((r) => p.S[r] >>> 0)).toEqual([m.eax, m.ecx, m.esi, m.edi].map((n) => n >>> 0));
      if (m.zf !== null && !fault) {
        expect((p.cpu.getFlags() & FLAG_ZF) !== 0).toBe(m.zf);
        expect((p.cpu.getFlags() & FLAG_CF) !== 0).toBe(m.cf);
      }
      expectSameMemory(p, bytes);
    }),
    { numRuns: runs(300) },
  );
});
