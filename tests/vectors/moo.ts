/** Reader of MOO files (SingleStepTests): chunks of tag (4), length (4, little endian), payload. */

const REGISTERS = ['ax', 'bx', 'cx', 'dx', 'cs', 'ss', 'ds', 'es', 'sp', 'bp', 'si', 'di', 'ip', 'flags'] as const;

export type MooRegister = (typeof REGISTERS)[number];

export interface MooState {
  registers: Partial<Record<MooRegister, number>>;
  /** Address and byte. */
  memory: [number, number][];
}

export interface MooTest {
  index: number;
  name: string;
  bytes: Uint8Array;
  initial: MooState;
  /** Only what changed. */
  final: MooState;
  /** Exception that the instruction raised, and where its FLAGS word was pushed. */
  exception: { vector: number; flagsAt: number } | null;
}

/** All tests of a file that has been decompressed. */
export function readMoo(file: Uint8Array): MooTest[] {
  const tests: MooTest[] = [];
  for (const { tag, payload } of chunks(file, 0)) if (tag === 'TEST') tests.push(readTest(payload));
  return tests;
}

interface Chunk {
  tag: string;
  payload: Uint8Array;
}

function* chunks(bytes: Uint8Array, start: number): Generator<Chunk> {
  for (let at = start; at < bytes.length; ) {
    const length = u32(bytes, at + 4);
    yield { tag: text(bytes.subarray(at, at + 4)), payload: bytes.subarray(at + 8, at + 8 + length) };
    at += 8 + length;
  }
}

function readTest(payload: Uint8Array): MooTest {
  const nothing = { registers: {}, memory: [] };
  const test: MooTest = {
    index: u32(payload, 0),
    name: '',
    bytes: new Uint8Array(),
    initial: nothing,
    final: nothing,
    exception: null,
  };
  for (const { tag, payload: p } of chunks(payload, 4)) {
    if (tag === 'NAME') test.name = text(p.subarray(4));
    else if (tag === 'BYTS') test.bytes = p.subarray(4);
    else if (tag === 'INIT') test.initial = readState(p);
    else if (tag === 'FINA') test.final = readState(p);
    else if (tag === 'EXCP') test.exception = { vector: p[0], flagsAt: u32(p, 1) };
  }
  return test;
}

function readState(payload: Uint8Array): MooState {
  const state: MooState = { registers: {}, memory: [] };
  for (const { tag, payload: p } of chunks(payload, 0)) {
    if (tag === 'REGS') {
      let at = 2;
      for (const [bit, name] of REGISTERS.entries()) {
        if (((u16(p, 0) >> bit) & 1) === 0) continue;
        state.registers[name] = u16(p, at);
        at += 2;
      }
    } else if (tag === 'RAM ') {
      for (let k = 0; k < u32(p, 0); k++) state.memory.push([u32(p, 4 + k * 5), p[8 + k * 5]]);
    }
  }
  return state;
}

const u16 = (b: Uint8Array, at: number): number => b[at] | (b[at + 1] << 8);
const u32 = (b: Uint8Array, at: number): number => (u16(b, at) | (u16(b, at + 2) << 16)) >>> 0;
const text = (b: Uint8Array): string => String.fromCharCode(...b);
